"""perl(1) and ruby(1): one-line programs over files, whose switches have a way of writing of their own.

The program's text is code that runs, unless it is one of the few forms of `one_liners`; what is read here beside it is which files `-n`,
`-p` and `-i` read and write. Sources: perlrun(1), ruby(1).
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import Words, read_words
from keyturn.readers.shell.special.one_liners import only_changes_lines
from keyturn.readers.shell.special.wrappers import held

_ATTACHED = {
    "perl": {"l": r"[0-7]*", "0": r"x[0-9A-Fa-f]+|[0-7]*", "C": r"[0-9]+|[IOEioASDLa]*"},
    "ruby": {"0": r"[0-7]*", "W": r"[0-2]?", "T": r"[0-9]*", "K": r"[A-Za-z]?"},
}
"""Switches that other switches may follow in the same word, and what of it is their own value."""


def perl(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """`-e` code over files, or a script's file and its words."""
    words = read_words(grammar, _apart(grammar, arguments, call), call, stops=True)
    held(words, call)
    names = {name for given in words.given for name in given.option.names}
    programs = [given.value for given in words.given if "-e" in given.option.names and given.value]
    plain = call.program == "perl" and only_changes_lines(names, programs, words.operands)
    for given in words.given:
        if plain:
            break
        if given.value and {"-e", "-E", "-M", "-m", "-r"} & set(given.option.names):
            _code(given.value, call)
        elif given.value and "-I" in given.option.names:
            call.runs(f"modules in {given.value.text}")
            call.path("reads", given.value)
    if not _inline(words, call):
        if not words.operands:
            if not names & {"-v", "-V", "-h"}:
                call.refuse(f"{call.program} with a program from standard input")
            return
        call.code(words.operands.pop(0))
    if names & {"-n", "-p", "-i"}:
        _files(words, "-i" in names, call)


def _inline(words: Words, call: Call) -> bool:
    """Whether the program is an option's value (ruby's `-E` is an encoding)."""
    own = {"-e", "-E"} if call.program == "perl" else {"-e"}
    return any(own & set(given.option.names) for given in words.given)


def _code(text: Argument, call: Call) -> None:
    call.runs(text.text)
    if not text.known and not text.prefix:
        call.refuse("Code that is only known when it runs", text.span)
    elif not text.known:
        anything(call)
        for verb in ("reads", "writes"):
            call.path(verb, Argument("files that the code names", text.span, known=False))


def _files(words: Words, in_place: bool, call: Call) -> None:
    """The operands are read in turn, and with `-i` replaced; a suffix keeps the old file."""
    suffixes = [g.value for g in words.given if "-i" in g.option.names and g.value and g.value.text]
    for operand in words.operands:
        if operand.may_bring_options:
            anything(call)
        call.path("reads", operand)
        if in_place:
            call.path("writes", operand)
        for suffix in suffixes:
            if suffix.known and not set("*/") & set(suffix.text):
                call.path("writes", replace(operand, text=operand.text + suffix.text))
            else:
                call.path("writes", Argument(suffix.text, suffix.span, known=False))


def _apart(grammar: Grammar, arguments: list[Argument], call: Call) -> list[Argument]:
    """`-lane CODE` as `-l -a -n -e CODE`; up to the first word that is no switch."""
    attached = _ATTACHED["perl" if call.program == "perl" else "ruby"]
    apart: list[Argument] = []
    at = 0
    while at < len(arguments):
        argument = arguments[at]
        at += 1
        if not argument.known or not re.fullmatch(r"-[^-].*", argument.text, re.DOTALL):
            apart.append(argument)
            if argument.known and (argument.text == "--" or not argument.text.startswith("--")):
                break
            continue
        text, place, open_value = argument.text, 1, False
        while place < len(text):
            letter = text[place]
            option = grammar.options.get(f"-{letter}")
            takes = option.value(f"-{letter}") if option else "none"
            if letter in attached:
                match = re.compile(attached[letter]).match(text, place + 1)
                end = match.end() if match else place + 1
            else:
                end = len(text) if takes != "none" else place + 1
            apart.append(replace(argument, text=f"-{text[place:end]}"))
            open_value = takes == "required" and end == place + 1
            place = end
        if open_value and at < len(arguments):
            apart.append(arguments[at])
            at += 1
    return apart + arguments[at:]
