"""tar(1) with its old way of writing options, unzip(1), and dd(1) with its `name=value` words."""

from __future__ import annotations

import re

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.effects import apply, unpack
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import read_words
from keyturn.readers.shell.special.wrappers import held

_MODES = {"-c": "create", "-x": "extract", "-t": "list", "-r": "append", "-u": "append", "-d": "list"}


def tar(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Creates, lists or unpacks an archive. What is unpacked could be anything, hooks included."""
    words = read_words(grammar, _with_dashes(grammar, arguments, call), call)
    if any(argument.may_bring_options for argument in arguments):
        anything(call)
    modes = {_MODES[name] for given in words.given for name in given.option.names if name in _MODES}
    archives = [given.value for given in words.given if "-f" in given.option.names and given.value]
    if len(modes) != 1 or len(archives) > 1:
        if not any(given.option.shown in ("--help", "--version") for given in words.given):
            call.refuse("tar without exactly one of -c, -t, -x, -r, -u")
        return
    mode = modes.pop()
    call.subcommand = mode
    for archive in archives:
        if ":" in archive.text:
            call.refuse("An archive on another machine", archive.span)
        elif not (archive.known and archive.text == "-"):
            call.path("reads" if mode in ("list", "extract") else "writes", archive)
    folders = [g.value for g in words.given if "-C" in g.option.names and g.value]
    if len(folders) > 1:
        call.refuse("tar with more than one folder to work in")
    held(words, call)
    if mode == "extract" and not any("-O" in given.option.names for given in words.given):
        where = Argument(".", call.span)
        before = len(call.effects)
        call.path("writes", where)
        for effect in call.effects[before:]:
            call.add("configures", effect.what, effect.zone)
    elif mode in ("create", "append"):
        for operand in words.operands:
            call.path("reads", operand)


_SHOWS = frozenset({"-l", "-v", "-t", "-z", "-p", "-c"})


def unzip(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Lists, tests, prints or unpacks an archive. What is unpacked could be anything, hooks included."""
    words = apply(grammar, arguments, call)
    given = {name for one in words.given for name in one.option.names}
    if given & _SHOWS and "-d" not in given:
        return
    folders = [one.value for one in words.given if "-d" in one.option.names and one.value]
    for folder in folders or [Argument(".", call.span)]:
        unpack(folder, call)


def _with_dashes(grammar: Grammar, arguments: list[Argument], call: Call) -> list[Argument]:
    """`tar xzf a.tar b` as `tar -x -z -f a.tar b` (GNU tar manual, 3.3.3 Old Option Style)."""
    if not arguments or not arguments[0].known or arguments[0].text.startswith("-"):
        return arguments
    first, rest = arguments[0], list(arguments[1:])
    if not re.fullmatch(r"[A-Za-z]+", first.text):
        return arguments
    written: list[Argument] = []
    for letter in first.text:
        written.append(Argument("-" + letter, first.span))
        option = grammar.options.get("-" + letter)
        if option and option.value("-" + letter) == "required":
            if not rest:
                call.refuse(f"tar {letter} without its value", first.span)
                return arguments
            written.append(rest.pop(0))
    return written + rest


def dd(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """`if=` is read, `of=` written."""
    del grammar
    for argument in arguments:
        name, equals, _ = argument.text.partition("=")
        if not argument.known or not equals:
            call.refuse("A word of dd that is not name=value", argument.span)
        elif name in ("if", "of"):
            call.path("reads" if name == "if" else "writes", argument.without(name + "="))
        elif name not in (
            "bs",
            "ibs",
            "obs",
            "cbs",
            "count",
            "skip",
            "seek",
            "conv",
            "iflag",
            "oflag",
            "status",
        ):
            call.refuse(f"dd has no {name}= that is described", argument.span)
        call.options.append(name + "=")
