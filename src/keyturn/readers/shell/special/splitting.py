"""split(1), csplit(1): one file becomes many, whose names begin alike."""

from __future__ import annotations

from msgspec.structs import replace

from keyturn.readers.paths import begun_effects, sure
from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.effects import apply
from keyturn.readers.shell.grammar import Grammar


def split(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """The file, then the beginning of the names: `x` unless it is told."""
    words = apply(grammar, arguments, call)
    beginning = words.operands[1] if len(words.operands) > 1 else Argument("x", call.span)
    names = {name for given in words.given for name in given.option.names}
    if any(operand.many for operand in words.operands):
        call.path("writes", Argument("…", call.span, known=False))
    if "--filter" not in names:
        _begins(beginning, "--additional-suffix" in names, call)


def csplit(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """A file, then where to split it; names begin with `xx` unless `-f` tells it."""
    words = apply(grammar, arguments, call)
    told = [given.value for given in words.given if "-f" in given.option.names and given.value]
    names = {name for given in words.given for name in given.option.names}
    _begins(told[-1] if told else Argument("xx", call.span), "-b" in names, call)


def _begins(beginning: Argument, ends_otherwise: bool, call: Call) -> None:
    """Note that files are written whose names go on in small letters and digits or, with *ends_otherwise*, in anything."""
    folders = [folder for folder in call.scene.folders if folder is not None]
    plain = beginning.known and len(folders) == len(call.scene.folders) and not ends_otherwise
    if plain and all(sure(beginning.text, folder, call.scene.around) for folder in folders):
        for folder in sorted(folders):
            path = beginning.text if beginning.text.startswith("/") else f"{folder}/{beginning.text}"
            call.effects += begun_effects(path, call.scene.around)
    else:
        wild = beginning.known or beginning.wild
        call.path("writes", replace(beginning, text=beginning.text + "*", known=False, wild=wild))


__all__ = ["csplit", "split"]
