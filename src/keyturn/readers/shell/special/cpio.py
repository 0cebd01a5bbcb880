"""cpio(1): archives of files whose names are lines of its input. Source: the GNU cpio manual."""

from __future__ import annotations

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.effects import apply, unpack
from keyturn.readers.shell.grammar import Grammar

_ASKS = frozenset({"--help", "--version"})
_ANY = "any file"


def cpio(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Packs the files named on its input, unpacks an archive, or copies the named files into a folder."""
    words = apply(grammar, arguments, call)
    names = {name for given in words.given for name in given.option.names}
    modes = names & {"-o", "-i", "-p"}
    if not modes and "-t" in names:
        modes = {"-i"}
    if len(modes) != 1:
        if not names & _ASKS:
            call.refuse("cpio without exactly one of -o, -i and -p")
        return
    mode = call.subcommand = modes.pop()
    for given in words.given:
        if given.value is not None and {"-F", "-O", "-I"} & set(given.option.names):
            _archive(given.value, mode == "-o", call)
    if mode == "-i" and not names & {"-t", "--to-stdout", "--only-verify-crc"}:
        unpack(Argument(".", call.span), call)
        if "--no-absolute-filenames" not in names:
            unpack(Argument(_ANY, call.span, known=False), call)  # names in an archive may begin with a slash
    elif mode != "-i":
        for line in call.scene.lines or (Argument("files that a list names", call.span, known=False),):
            call.path("reads", line)
    if mode == "-p":
        for operand in words.operands:
            unpack(operand, call)
        if call.scene.lines is None:
            unpack(Argument(_ANY, call.span, known=False), call)  # a name with `..` leads out of the folder


def _archive(file: Argument, made: bool, call: Call) -> None:
    text = file.text if file.known else file.prefix
    if not file.known or ":" in text.split("/", 1)[0]:
        call.add("connects", file.text, "network")
        if made:
            call.add("sends", file.text, "network")
    if file.known and ":" in text.split("/", 1)[0]:
        call.refuse("An archive on another machine", file.span)
    call.path("writes" if made else "reads", file)


__all__ = ["cpio"]
