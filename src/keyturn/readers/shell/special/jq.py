"""jq(1): options that take a name and a value, beside those that descriptions can tell."""

from __future__ import annotations

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import widest
from keyturn.readers.shell.effects import apply
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.transfer import read_file

_NAMED = {"--arg": False, "--argjson": False, "--slurpfile": True, "--rawfile": True}
"""Options with a name and a value -> whether the value is a file to read."""
_REST = frozenset({"--args", "--jsonargs"})
"""What stands behind them is text; it is read like names of files all the same."""


def jq(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """A filter, then files; named values may stand anywhere before `--`."""
    rest: list[Argument] = []
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        if argument.known and argument.text == "--":
            rest += arguments[at:]
            break
        if argument.known and argument.text in _NAMED and at + 2 < len(arguments):
            named = arguments[at + 1 : at + 3]
            if any(word.many and not word.inherited for word in named):
                widest(grammar, call)
            if _NAMED[argument.text]:
                read_file(named[1], call)
            call.options.append(argument.text)
            at += 3
            continue
        if not (argument.known and argument.text in _REST):
            rest.append(argument)
        at += 1
    apply(grammar, rest, call)


__all__ = ["jq"]
