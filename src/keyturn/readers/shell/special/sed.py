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
_FLAGS = re.compile(r"[gpiIm0-9Me]*")
_WITH_FILE = frozenset("rRwW")
_OLD_SUFFIX = re.compile(r"(?:\.[A-Za-z0-9_~-]+)?")
"""What BSD's `-i` takes as a word of its own. GNU's takes that word for the script, and none that begins with a dot is one."""
_BRACKET = re.compile(r"\^?\]?(?:\[:[^\n]*?:\]|\[\.[^\n]*?\.\]|\[=[^\n]*?=\]|\[(?![:.=])|[^]\[\n])*\]")
_CHANNELS = frozenset({"/dev/stdout", "/dev/stderr", "/dev/stdin"})


class _Odd(Exception):
    """Why a script is not understood."""


class _Error(_Odd):
    """Why every sed refuses a script before it does anything."""


def sed(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Reads its files; with -i also writes them."""
    words = read_words(grammar, arguments, call)
    operands = list(words.operands)
    scripts = [given.value for given in words.given if "-e" in given.option.names and given.value]
    files = [given.value for given in words.given if "-f" in given.option.names and given.value]
    for given in words.given:
        for clause in given.option.clauses:
            if clause.action == "held":
                call.refuse(f"The option {given.option.shown} {clause.rest}")
    if any(given.option.shown in ("--help", "--version") for given in words.given):
        return
    in_place = [given for given in words.given if "-i" in given.option.names]
    suffixes = [given.value for given in in_place if given.value and given.value.text]
    if (
        in_place
        and not suffixes
        and len(operands) > 1
        and operands[0].known
        and _OLD_SUFFIX.fullmatch(operands[0].text)
    ):
        suffixes = [suffix for suffix in (operands.pop(0),) if suffix.text]
        scripts += [] if scripts or files else operands[:1]
        operands = operands[1:] if suffixes else operands
    if not scripts and not files and operands:
        scripts = [operands.pop(0)]
    for file in files:
        call.code(file)
        _anywhere(file, call)
    _check(scripts, bool(files), call)
    _files(operands, bool(in_place), suffixes, call)


def _anywhere(script: Argument, call: Call) -> None:
    for verb in ("reads", "writes"):
        call.path(verb, Argument("files that the script for sed names", script.span, known=False))


def _files(operands: list[Argument], in_place: bool, suffixes: list[Argument], call: Call) -> None:
    for operand in operands:
        if operand.may_bring_options:
            anything(call)
        if not (operand.known and operand.text == "-"):
            call.path("reads", operand)
            if in_place:
                call.path("writes", operand)
        for suffix in suffixes if in_place else ():
            _kept(operand, suffix, call)


def _kept(operand: Argument, suffix: Argument, call: Call) -> None:
    """The old file: its name and *suffix*, unless that has a `*` (for the name) or a slash (for a folder) in it."""
    if suffix.known and "/" not in suffix.text and "*" not in suffix.text:
        call.path("writes", replace(operand, text=operand.text + suffix.text))
    elif suffix.known and "/" not in suffix.text and operand.known:
        folder, slash, name = operand.text.rpartition("/")
        call.path("writes", replace(operand, text=folder + slash + suffix.text.replace("*", name)))
    else:
        call.path("writes", Argument(f"old copies {suffix.text}", suffix.span, known=False))


def _check(scripts: list[Argument], from_files: bool, call: Call) -> None:
    if not scripts:
        if not from_files:
            call.refuse("sed without a script")
        return
    for script in scripts:
        if not script.known:
            anything(call)
            _anywhere(script, call)
            return
    text = "\n".join(script.text for script in scripts)
    readings = [_Script(text, brackets) for brackets in (False, True)]
    failures = [failure for failure in (reading.failure() for reading in readings) if failure]
    if len(failures) == len(readings) or any(not isinstance(failure, _Error) for failure in failures):
        call.refuse(str(failures[0]), scripts[0].span)
    for reading in readings:
        _does(reading, scripts[0], call)


def _does(reading: _Script, script: Argument, call: Call) -> None:
    for verb, name in reading.touched:
        if name not in _CHANNELS:
            call.path("writes" if verb == "writes" else "reads", Argument(name, script.span))
    for line in reading.lines:
        call.runs(line)
        call.line(line, script.span)
    if reading.runs_input:
        call.runs("lines of the input")
        anything(call)


class _Script:
    """One script, read from left to right.

    With `brackets`, a delimiter inside `[…]` is a character like any other: GNU sed 4.9 reads so, older ones don't.
    `touched` are files that it reads and writes, `lines` what it gives to the shell; `runs_input`: what it reads, too.
    """

    def __init__(self, text: str, brackets: bool) -> None:
        self._brackets = brackets
        self.touched: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.runs_input = False
        self._text = text
        self._at = 0

    def failure(self) -> _Odd | None:
        """Read the whole script; why it can't be."""
        try:
            self.read()
        except _Odd as odd:
            return odd
        return None

    def read(self) -> None:
        """Every command up to the end. Raises `_Odd`."""
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

    def _delimited(self, delimiter: str, pattern: bool = True) -> None:
        """Up to the next *delimiter* that no backslash precedes and, with `brackets`, that is in none."""
        if not delimiter or delimiter in "\\\n[" or delimiter.isalnum():
            raise _Odd("A delimiter of sed that is not described")
        while True:
            character = self._take()
            if not character or (character == "\n"):
                raise _Error("An expression of sed without its end")
            if character == "\\":
                self._at += 1
            elif character == delimiter:
                return
            elif character == "[" and pattern and self._brackets:
                self._bracket()

    def _bracket(self) -> None:
        match = _BRACKET.match(self._text, self._at)
        if match is None:
            raise _Error("A bracket expression of sed without its end")
        self._at = match.end()

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
        elif name in _WITH_FILE and name:
            self._file(name)
            return 0
        elif name == "e":
            self._execute()
            return 0
        elif name == "s":
            self._substitute()
        elif name == "y":
            delimiter = self._take()
            self._delimited(delimiter, pattern=False)
            self._delimited(delimiter, pattern=False)
        else:
            why = f"The command {name or '(none)'} of sed is not described"
            raise _Odd(why) if name.isalnum() else _Error(why)
        self._skip(" \t")
        if self._peek() not in ("", "\n", ";", "}", "#"):
            why = "A script for sed with something after a command"
            raise _Error(why) if name == "s" else _Odd(why)
        return 0

    def _file(self, name: str) -> None:
        """The rest of the line is a file's name, whatever is in it."""
        self._skip(" \t")
        file = self._line()
        if not file:
            raise _Odd("A file for sed without a name")
        self.touched.append(("writes" if name in "wW" else "reads", file))

    def _execute(self) -> None:
        self._skip(" \t")
        line = self._line()
        if line.endswith("\\"):
            raise _Odd("A command of sed that goes on in the next line")
        if line.strip(" ;}"):
            self.lines.append(line)
        else:
            self.runs_input = True

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
        if flags:
            self._at = flags.end()
            self.runs_input = self.runs_input or "e" in flags.group()
        if self._peek() == "w":
            self._at += 1
            self._file("w")

    def _replacement(self, delimiter: str) -> None:
        while True:
            character = self._take()
            if not character:
                raise _Error("A replacement of sed without its end")
            if character == "\\":
                self._at += 1
            elif character == delimiter:
                return
