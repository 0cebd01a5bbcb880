"""A policy's own descriptions of programs (`programs/*.toml`), in the notation of `readers/shell/programs/README.md`.

They may describe new programs and replace or extend (`like`) shipped ones. They are part of the policy's version, so
that people decide on them as on rules; a workspace, where agents write, can't add any (`overlay`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from keyturn.policy.folder import Table
from keyturn.policy.problems import Problem
from keyturn.readers.shell.grammar import BadGrammar, load, programs
from keyturn.readers.shell.wordlist import words

FOLDER = "programs/"
"""Where a policy keeps them."""

Descriptions = tuple[tuple[str, str], ...]
"""(file name, TOML text), sorted: as `Surroundings.programs` takes them."""

_SHELL = words(
    ". : alias bg bind break builtin caller cd command compgen complete compopt continue coproc declare dirs disown echo "
    "enable eval exec exit export false fc fg getopts hash help history jobs kill let local logout mapfile popd printf "
    "pushd pwd read readarray readonly return set shift shopt source suspend test times trap true type typeset ulimit "
    "umask unalias unset wait [ [[ case do done elif else esac fi for function if in select then time until while ! { }"
)
"""Builtins and reserved words of bash(1): the shell's own, whatever a program of that name does."""

_NAME = re.compile(r"[A-Za-z0-9_.+@-]+")


def read_programs(files: Mapping[str, bytes]) -> tuple[Descriptions, list[Problem]]:
    """The descriptions in *files*, and every file's first mistake with its place."""
    found: list[tuple[str, str]] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    for path in sorted(name for name in files if name.startswith(FOLDER)):
        table = Table(path, files[path])
        if not table.problems:
            _check(table, tuple(found), seen)
        if table.problems:
            problems += table.problems
        else:
            found.append((path, table.source.text))
    return tuple(found), problems


def _check(table: Table, before: Descriptions, seen: dict[str, str]) -> None:
    path = table.source.file
    try:
        described = load(table.source.text, path, programs(before))
    except BadGrammar as error:
        _misplaced(table, str(error).removeprefix(f"{path}: "))
        return
    for name in described:
        if name in _SHELL:
            table.wrong(name, f"{name} is a part of the shell and can't be described")
        elif not _NAME.fullmatch(name):
            table.wrong(name, f"{name} is not the plain name of a program")
        elif name in seen:
            table.wrong(name, f"{name} is described already, in {seen[name]}")
        seen[name] = path


def _misplaced(table: Table, message: str) -> None:
    """Place a mistake: `PROGRAM SUBCOMMAND: words` is about that table, or the word of it that is named."""
    names, colon, words = message.partition(": ")
    if not colon:
        table.wrong(message.split(" ", 1)[0], message)
        return
    header = _header(table.source.text, names.split())
    for word in re.findall(r"(?<!\w)'([^']+)'|unknown (?:setting|operand|grammar) (\S+)", words):
        wanted = word[0] or word[1]
        if re.search(rf"(?<![\w-]){re.escape(wanted)}(?![\w-])", table.source.text[len(header[0]) :]):
            table.wrong(wanted, f"{names}: {words}", after=header[1])
            return
    table.wrong(names.split()[-1], f"{names}: {words}", after=header[1])


def _header(text: str, names: list[str]) -> tuple[str, str]:
    """The text before the table of *names* and its heading as written; empty when it has no heading."""
    dotted = r"\s*\.\s*subcommands\s*\.\s*".join(rf'["\']?{re.escape(name)}["\']?' for name in names)
    found = re.search(rf"^\s*\[\s*{dotted}\s*\]", text, re.MULTILINE)
    return (text[: found.start()], found.group().strip()) if found else ("", "")


__all__ = ["FOLDER", "Descriptions", "read_programs"]
