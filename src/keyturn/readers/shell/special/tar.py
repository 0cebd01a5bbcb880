"""tar(1): its old way of writing options, names that come from lists, and the programs that it can be told to run.

Source: the GNU tar manual; libarchive's tar(1) where its options are the same.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.ceiling import anything
from keyturn.readers.shell.effects import apply, entered
from keyturn.readers.shell.grammar import Grammar
from keyturn.readers.shell.invocation import Words

_MODES = {
    "-c": "create", "-x": "extract", "-t": "list", "-r": "append", "-u": "append", "-d": "compare", "-A": "join",
    "--delete": "delete", "--test-label": "list",
}  # fmt: skip
_WRITING = frozenset({"create", "append", "join", "delete"})
_PLAIN_ACTIONS = re.compile(r"(?:echo|ttyout|sleep|wait)(?:=.*)?|dot|\.|bell|totals", re.DOTALL)
_PROGRAM = re.compile(r"[A-Za-z0-9._/+ =,-]+")
_ASKS = frozenset({"--help", "--version", "--usage", "--show-defaults"})


def tar(grammar: Grammar, arguments: list[Argument], call: Call) -> None:
    """Creates, lists or unpacks an archive. What is unpacked could be anything, hooks included."""
    words = apply(grammar, _with_dashes(grammar, arguments, call), call)
    if any(argument.may_bring_options for argument in arguments):
        anything(call)
    names = {name for given in words.given for name in given.option.names}
    modes = {_MODES[name] for name in names if name in _MODES}
    if len(modes) != 1:
        if not names & _ASKS:
            call.refuse("tar without exactly one of -A, -c, -d, -r, -t, -u, -x and --delete")
        return
    mode = call.subcommand = modes.pop()
    for archive in _values(words, "-f"):
        _archive(archive, mode, "--force-local" in names, call)
    _packers(words, mode, call)
    lines = _lines(words, call)
    _folders(words, mode == "extract" and not lines, call)
    for line in lines:
        if line.known:
            call.line(line.text, line.span)
        else:
            anything(call)
    if mode == "extract":
        _extracts(words, names, call)
    else:
        _packs(words, names, mode, call)


def _values(words: Words, name: str) -> list[Argument]:
    return [given.value for given in words.given if name in given.option.names and given.value]


def _archive(archive: Argument, mode: str, local: bool, call: Call) -> None:
    """A file, `-`, or `host:file`, which a remote shell is run for."""
    text = archive.text if archive.known else archive.prefix
    host, colon, _ = text.partition(":")
    elsewhere = not local and "/" not in host and (bool(colon) or not archive.known)
    if elsewhere and archive.known:
        call.nest([Argument(word, archive.span) for word in ("ssh", host, "rmt")])
    elif elsewhere:
        call.add("connects", archive.text, "network")
    if elsewhere and mode in _WRITING:
        call.add("sends", archive.text, "network")
    if not (elsewhere and archive.known) and not (archive.known and archive.text == "-"):
        call.path("writes" if mode in _WRITING else "reads", archive)


def _packers(words: Words, mode: str, call: Call) -> None:
    for program in _values(words, "-I"):
        if not program.known:
            anything(call)
        elif not _PROGRAM.fullmatch(program.text):
            call.refuse("A packer of tar whose words can't be told apart", program.span)
        else:
            unpacks = [] if mode in _WRITING else ["-d"]
            call.nest([Argument(word, program.span) for word in (*program.text.split(), *unpacks)])


def _lines(words: Words, call: Call) -> list[Argument]:
    """What is given to a shell while tar works."""
    found = [*_values(words, "--to-command"), *_values(words, "-F")]
    for action in _values(words, "--checkpoint-action"):
        if action.known and action.text.startswith("exec="):
            found.append(action.without("exec="))
        elif not action.known and not _PLAIN_ACTIONS.match(action.prefix):
            anything(call)
        elif action.known and not _PLAIN_ACTIONS.fullmatch(action.text):
            call.refuse("An action of tar that is not described", action.span)
    return found


def _folders(words: Words, last: bool, call: Call) -> None:
    """`-C` counts for the operands behind it: what is packed may lie in each of the folders, what is unpacked in the *last*."""
    folders = scene = call.scene
    for folder in _values(words, "-C"):
        scene = scene.moved(entered(folder, scene, physical=True))
        folders = folders.moved(folders.folders | scene.folders)
    call.scene = scene if last and len(_values(words, "-C")) < 2 else folders


def _extracts(words: Words, names: set[str], call: Call) -> None:
    if names & {"-O", "--to-command"}:
        return
    verbs = (
        ("writes", "configures", "deletes")
        if names & {"-g", "-G", "--recursive-unlink"}
        else ("writes", "configures")
    )
    places = [Argument(".", call.span), *_values(words, "--one-top-level")]
    if names & {"-P", "--transform"}:
        places.append(Argument("any file", call.span, known=False))
    for place in places:
        before = len(call.effects)
        call.path("writes", place)
        written = call.effects[before:]
        call.effects += [
            replace(effect, verb=verb) for effect in written for verb in verbs if verb != "writes"
        ]
    _lists(words, names, call)


def _packs(words: Words, names: set[str], mode: str, call: Call) -> None:
    files = [*words.operands, *_values(words, "--add-file"), *_lists(words, names, call)]
    if mode == "compare":
        files.append(Argument(".", call.span))
    elif mode in ("list", "delete"):
        return
    for file in files:
        call.path(
            "reads", replace(file, text=file.text[1:]) if file.known and file.text.startswith("@") else file
        )
        call.path("reads", file)
        if "--remove-files" in names:
            call.path("deletes", file)


def _lists(words: Words, names: set[str], call: Call) -> list[Argument]:
    """The names in the lists of `-T`. A line is an option if it begins with a dash, unless names are told apart by NUL."""
    found: list[Argument] = []
    exact = bool(names & {"--null", "--verbatim-files-from"})
    for file in _values(words, "-T"):
        lines = call.scene.lines if file.known and file.text == "-" else None
        if lines is None:
            found.append(Argument("files that a list names", file.span, known=False))
        if (lines is None or any(line.may_be_option for line in lines)) and not exact:
            anything(call)
        found += [replace(line, span=file.span) for line in lines or ()]
    return found


def _with_dashes(grammar: Grammar, arguments: list[Argument], call: Call) -> list[Argument]:
    """`tar xzf a.tar b` as `tar -x -z -f a.tar b` (GNU tar manual, 3.3.3 Old Option Style)."""
    if not arguments or not arguments[0].known or arguments[0].text.startswith("-"):
        return arguments
    first, rest = arguments[0], list(arguments[1:])
    if not re.fullmatch(r"[A-Za-z]+", first.text):
        return arguments
    written: list[Argument] = []
    for letter in first.text:
        written.append(Argument("-" + letter, first.span))
        option = grammar.options.get("-" + letter)
        if option and option.value("-" + letter) == "required":
            if not rest:
                call.refuse(f"tar {letter} without its value", first.span)
                return arguments
            written.append(rest.pop(0))
    return written + rest


__all__ = ["tar"]
