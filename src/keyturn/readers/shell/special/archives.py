"""unzip(1), jar(1) with letters like tar's, and dd(1) with its `name=value` words."""

from __future__ import annotations

import re

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.effects import apply, unpack
from keyturn.readers.shell.grammar import Grammar

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


_JAR = re.compile(r"-?[vfm0Mep]*[ctxui][vfm0Mep]*")
"""The letters of jar's old way of writing: one of c, t, x, u, i among them."""


def jar(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Makes, lists or unpacks a Java archive. What is unpacked could be anything, hooks included."""
    words = apply(grammar, _letters_apart(arguments, call), call)
    names = {name for given in words.given for name in given.option.names}
    archives = [given.value for given in words.given if "-f" in given.option.names and given.value]
    if any(operand.text.startswith("@") for operand in words.operands):
        call.refuse("jar takes words out of a file that begins with @")
    for archive in archives:
        call.path("writes" if names & {"-c", "-u", "-i"} else "reads", archive)
    if names & {"-c", "-u"}:
        for operand in words.operands:
            call.path("reads", operand)
    if "-x" in names and "--dir" not in names:
        unpack(Argument(".", call.span), call)


def _letters_apart(arguments: list[Argument], call: Call) -> list[Argument]:
    """`jar cfe a.jar Main x` as `jar -c -f a.jar -e Main x`: values follow in the order of their letters."""
    if not arguments or not arguments[0].known or not _JAR.fullmatch(arguments[0].text):
        return arguments
    first, rest = arguments[0], list(arguments[1:])
    written: list[Argument] = []
    for letter in first.text.removeprefix("-"):
        written.append(Argument("-" + letter, first.span))
        if letter in "fmepi" and rest:
            written.append(rest.pop(0))
        elif letter in "fmepi":
            call.refuse(f"jar {letter} without its value", first.span)
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
