"""unzip(1), and dd(1) with its `name=value` words."""

from __future__ import annotations

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
