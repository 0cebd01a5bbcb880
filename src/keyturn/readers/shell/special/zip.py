"""zip(1): options of one and two letters in one word, lists of names, a command that tests the result. Source: zip 3.0's manual."""

from __future__ import annotations

import shlex

from msgspec.structs import replace

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.effects import apply
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import Words


def zip_files(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Packs files into an archive whose name gets `.zip` unless it has a dot in it."""
    words = apply(grammar, _apart(grammar, arguments), call)
    if any(argument.may_bring_options for argument in arguments):
        anything(call)
    names = {name for given in words.given for name in given.option.names}
    listed = any(operand.known and operand.text == "@" for operand in words.operands) or "-@" in names
    operands = [operand for operand in words.operands if not (operand.known and operand.text == "@")]
    if not operands:
        return
    archive, *files = operands
    outputs = [given.value for given in words.given if "-O" in given.option.names and given.value]
    for made in (archive, *outputs):
        if not (made.known and made.text == "-"):
            call.path("writes", made)
            if not made.known or "." not in made.text.rsplit("/", 1)[-1]:
                call.path("writes", replace(made, text=made.text + ".zip"))
    if listed:
        files += call.scene.lines or (Argument("files that a list names", archive.span, known=False),)
    if names & {"-R", "-FS"}:
        files.append(Argument(".", archive.span))
    if "-d" not in names:
        for file in files:
            call.path("reads", replace(file, span=archive.span))
            if names & {"-m", "-MM"}:
                call.path("deletes", replace(file, span=archive.span))
    _tests(words, names, archive, call)


def _tests(words: Words, names: set[str], archive: Argument, call: Call) -> None:
    commands = [given.value for given in words.given if "-TT" in given.option.names and given.value]
    for command in commands:
        if command.known:
            call.line(command.text.replace("{}", "x.zip") + " x.zip", command.span)
        else:
            anything(call)
    if "-T" in names and not commands and archive.known:
        call.line(f"unzip -tqq {shlex.quote(archive.text)}", archive.span)
    elif "-T" in names and not commands:
        call.nest([Argument("unzip", archive.span), Argument("-tqq", archive.span), archive])


def _apart(grammar: Grammar, arguments: list[Argument]) -> list[Argument]:
    """`-jmT` as `-j -m -T`, `-dbr` as `-db -r`: two letters go before one, as zip takes them."""
    apart: list[Argument] = []
    for at, argument in enumerate(arguments):
        text = argument.text
        if argument.known and text == "--":
            return apart + arguments[at:]
        if not argument.known or not argument.may_be_option or text.startswith("--"):
            apart.append(argument)
            continue
        place = 1
        while place < len(text):
            length = 2 if f"-{text[place : place + 2]}" in grammar.options and place + 1 < len(text) else 1
            name = f"-{text[place : place + length]}"
            option = grammar.options.get(name)
            if option is not None and option.value(name) != "none":
                apart.append(replace(argument, text=name))
                if place + length < len(text):
                    apart.append(replace(argument, text=text[place + length :]))
                break
            apart.append(replace(argument, text=name))
            place += length
    return apart


__all__ = ["zip_files"]
