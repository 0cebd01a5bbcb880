"""awk(1): a program that can only read its files and print. Anything that could do more is code that runs.

The language can't be told apart safely without a full parser (a `/` is a division or begins a pattern), so the
screen errs towards calling it code. Source: POSIX.1-2017 XCU *awk*; the gawk manual for what gawk adds.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.effects import apply
from keyturn.readers.shell.grammar import Grammar, Operand

_REACHES_OUT = re.compile(
    r"system|ENVIRON|ARGV|ARGC|SYMTAB|FUNCTAB|PROCINFO|close|@|\|&|/inet|extension|\\\n"
)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_FIELDS_OF_MATCHES = re.compile(
    r"\s*!?/((?:[^/\\\n]|\\.)*)/\s*(?:\{\s*print\s*(?:\$[0-9]+\s*(?:,\s*\$[0-9]+\s*)*)?\}\s*)?"
)
"""`/pattern/` or `/pattern/ { print $1, $2 }`: the one form in which a pattern may hold `|` and `>`."""
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)


def awk(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """A program (or files with programs), then files and `name=value` words."""
    words = apply(replace(grammar, operands=(Operand("text", many=True),)), arguments, call)
    operands = list(words.operands)
    programs: list[Argument] = []
    sources = 0
    for given in words.given:
        if "-v" in given.option.names and given.value and re.match(r"ARG|PROCINFO", given.value.text):
            call.refuse("awk with a variable that names its files")
        if given.value is not None and {"-f", "-E"} & set(given.option.names):
            sources += 1
            call.code(given.value)
            _anywhere(given.value, call)
        elif given.value is not None and {"-i", "-l"} & set(given.option.names):
            call.runs(f"library {given.value.text}")
            _anywhere(given.value, call)
        elif given.value is not None and "-e" in given.option.names:
            programs.append(given.value)
    if not programs and not sources:
        if not operands:
            if not any(given.option.shown in ("--help", "--version") for given in words.given):
                call.refuse("awk without a program")
            return
        programs.append(operands.pop(0))
    for program in programs:
        _program(program, call)
    for operand in operands:
        _file(operand, call)


def _program(program: Argument, call: Call) -> None:
    if not program.known:
        anything(call)
        _anywhere(program, call)
    elif screened(program.text):
        call.runs(program.text)  # it may do more than read and print, so it is code like any other
        _anywhere(program, call)


def _anywhere(program: Argument, call: Call) -> None:
    for verb in ("reads", "writes"):
        call.path(verb, Argument("files that the program for awk names", program.span, known=False))


def _file(operand: Argument, call: Call) -> None:
    if operand.may_bring_options:
        anything(call)
    if operand.known and _ASSIGNMENT.fullmatch(operand.text):
        if re.match(r"ARG|PROCINFO", operand.text):
            call.refuse("awk with a variable that names its files", operand.span)
    elif not (operand.known and operand.text == "-"):
        call.path("reads", operand)


def screened(program: str) -> str | None:
    """Why *program* might do more than read its input and print, or None."""
    if _REACHES_OUT.search(program) or ("getline" in program and "<" in program):
        return "A program for awk that could run commands or open other files"
    if _FIELDS_OF_MATCHES.fullmatch(program):
        return None
    exact = "/" not in program and "#" not in program  # then strings are all there is to skip
    bare = _STRING.sub("''", program) if exact else program
    if exact and '"' in bare:
        return "A program for awk with an unfinished string"
    if "|" in bare.replace("||", ""):
        return "A program for awk with a pipe"
    if ">" not in bare or "print" not in program:
        return None
    # A line end does not always end a statement (`print a,` goes on in the next line), so it separates nothing here.
    pieces = (piece for piece in re.split(r"[{};]", bare) if ">" in piece)
    if not exact or any("print" in piece.split(">", 1)[0] for piece in pieces):
        return "A program for awk that may write to a file"
    return None
