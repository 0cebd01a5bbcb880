"""sed(1): the script is read command by command; those that run programs or touch files are effects or refused.

Source: the GNU sed manual, sections 3 (scripts) and 4 (addresses).
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import read_words

_ADDRESS = re.compile(r"(?:[0-9]+(?:~[0-9]+)?|\$|[+~][0-9]+)")
_SIMPLE = frozenset("=dDgGhHnNpPxzF")
_WITH_NUMBER = frozenset("qQlL")
_WITH_LABEL = frozenset("btT:")
_WITH_TEXT = frozenset("aic")
_FLAGS = re.compile(r"[gpiIm0-9M]*")


class _Odd(Exception):
    """Why a script is not understood."""


def sed(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Reads its files; with -i also writes them."""
    words = read_words(grammar, arguments, call)
    operands = list(words.operands)
    scripts = [given.value for given in words.given if "-e" in given.option.names and given.value]
    for given in words.given:
        for clause in given.option.clauses:
            if clause.action == "held":
                call.refuse(f"The option {given.option.shown} {clause.rest}")
    if not scripts and operands:
        scripts = [operands.pop(0)]
    if any(given.option.shown in ("--help", "--version") for given in words.given):
        return
    _check(scripts, call)
    in_place = [given for given in words.given if "-i" in given.option.names]
    suffixes = [given.value for given in in_place if given.value and given.value.text]
    for suffix in suffixes:
        if not suffix.known or "/" in suffix.text or "*" in suffix.text:
            call.refuse("sed -i with old copies whose names are not described", suffix.span)
    _files(operands, bool(in_place), call)
    for operand in operands if in_place else ():
        for suffix in suffixes:
            call.path("writes", replace(operand, text=operand.text + suffix.text))


def _files(operands: list[Argument], in_place: bool, call: Call) -> None:
    for operand in operands:
        if operand.may_bring_options:
            anything(call)
        if not (operand.known and operand.text == "-"):
            call.path("reads", operand)
            if in_place:
                call.path("writes", operand)
    if in_place and not operands:
        call.refuse("sed -i without files")


def _check(scripts: list[Argument], call: Call) -> None:
    if not scripts:
        call.refuse("sed without a script")
        return
    for script in scripts:
        if not script.known:
            anything(call)
            return
    try:
        _Script("\n".join(script.text for script in scripts)).read()
    except _Odd as odd:
        call.refuse(str(odd), scripts[0].span)


class _Script:
    """One script, read from left to right. Raises `_Odd`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self) -> None:
        """Every command up to the end."""
        depth = 0
        while True:
            self._skip(" \t\n;")
            if self._at >= len(self._text):
                break
            if self._text[self._at] == "#":
                self._line()
                continue
            if self._text[self._at] == "}":
                depth -= 1
                self._at += 1
                continue
            self._addresses()
            depth += self._command()
        if depth != 0:
            raise _Odd("A script for sed with unbalanced braces")

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip(self, characters: str) -> None:
        while self._peek() and self._peek() in characters:
            self._at += 1

    def _line(self) -> str:
        end = self._text.find("\n", self._at)
        end = len(self._text) if end < 0 else end
        line = self._text[self._at : end]
        self._at = end
        return line

    def _addresses(self) -> None:
        if self._address():
            self._skip(" \t")
            if self._peek() == ",":
                self._at += 1
                self._skip(" \t")
                if not self._address():
                    raise _Odd("An address of sed that is not described")
        self._skip(" \t")
        while self._peek() == "!":
            self._at += 1
            self._skip(" \t")

    def _address(self) -> bool:
        match = _ADDRESS.match(self._text, self._at)
        if match:
            self._at = match.end()
            return True
        if self._peek() == "\\":
            self._at += 1
            self._delimited(self._take())
        elif self._peek() == "/":
            self._delimited(self._take())
        else:
            return False
        while self._peek() in ("I", "M"):
            self._at += 1
        return True

    def _take(self) -> str:
        character = self._peek()
        self._at += 1
        return character

    def _delimited(self, delimiter: str) -> None:
        """Up to the next *delimiter* that no backslash precedes (GNU sed looks at nothing else)."""
        if not delimiter or delimiter in "\\\n" or delimiter.isalnum():
            raise _Odd("A delimiter of sed that is not described")
        while True:
            character = self._take()
            if not character or (character == "\n"):
                raise _Odd("An expression of sed without its end")
            if character == "\\":
                self._at += 1
            elif character == delimiter:
                return

    def _command(self) -> int:
        """One command; returns 1 where it opens a block."""
        name = self._take()
        if name == "{":
            return 1
        if name in _SIMPLE and name:
            pass
        elif name in _WITH_NUMBER and name:
            self._skip(" \t0123456789")
        elif name in _WITH_LABEL and name:
            label = re.compile(r"[ \t]*[A-Za-z0-9_.-]*").match(self._text, self._at)
            self._at = label.end() if label else self._at
        elif name in _WITH_TEXT and name:
            self._inserted()
            return 0
        elif name == "s":
            self._substitute()
        elif name == "y":
            delimiter = self._take()
            self._delimited(delimiter)
            self._delimited(delimiter)
        else:
            raise _Odd(
                f"The command {name or '(none)'} of sed runs programs, touches files or is not described"
            )
        self._skip(" \t")
        if self._peek() not in ("", "\n", ";", "}", "#"):
            raise _Odd("A script for sed with something after a command")
        return 0

    def _inserted(self) -> None:
        """Text of a, i, c: the rest of the line, and further lines while it ends in a backslash."""
        while True:
            line = self._line()
            if not line.endswith("\\") or self._at >= len(self._text):
                return
            self._at += 1

    def _substitute(self) -> None:
        delimiter = self._take()
        self._delimited(delimiter)
        self._replacement(delimiter)
        flags = _FLAGS.match(self._text, self._at)
        self._at = flags.end() if flags else self._at

    def _replacement(self, delimiter: str) -> None:
        while True:
            character = self._take()
            if not character:
                raise _Odd("A replacement of sed without its end")
            if character == "\\":
                self._at += 1
            elif character == delimiter:
                return
