"""One-line programs for perl that only change or pick out lines: recognized by their whole text, all others are code.

What perl would make of a text is only told for a small part of the language: `s///` and `tr///` with a plain delimiter,
`print` with a pattern, `chomp`. Nothing in it may stand for an expression: no `@`, no `$` but the groups of a match, no
code inside patterns, no flag `e`. Sources: perlop(1) (Quote and Quote-like Operators), perlre(1), perlrun(1); for names of
files, open in perlfunc(1).
"""

from __future__ import annotations

import re

from keyturn.readers.shell.calls import Argument

_SWITCHES = frozenset({"-p", "-n", "-i", "-e", "-l", "-0", "-w", "-W", "-X"})
"""Switches of perl that load nothing and run nothing."""


def _pattern(delimiter: str) -> str:
    end = re.escape(delimiter)
    group = r"\((?![*?])|\(\?(?=[:=!>|]|<[=!]|[imsx-]*[:)])"
    return rf"(?:\\[^NpP\n]|{group}|[^\\@$(\n{end}]|\$(?=[)|]|{end}))*"


def _text(delimiter: str) -> str:
    end = re.escape(delimiter)
    group = r"\$(?:[0-9]{1,2}|&|\{[0-9]{1,2}\})(?![\w\[{:'\-])"
    return rf"(?:\\[^N\n]|[^\\@$\n{end}]|{group})*"


def _plain(delimiter: str) -> str:
    return rf"[^\\\n{re.escape(delimiter)}]*"


_DELIMITERS = "/|,#!~%"
_CHANGES = "|".join(
    rf"s{re.escape(d)}{_pattern(d)}{re.escape(d)}{_text(d)}{re.escape(d)}[gimsxo]*"
    rf"|(?:tr|y){re.escape(d)}{_plain(d)}{re.escape(d)}{_plain(d)}{re.escape(d)}[cds]*"
    for d in _DELIMITERS
)
_MATCH = rf"m?/{_pattern('/')}/[imsx]*"
_PICKS = rf"print(?: \$[1-9])? (?:if|unless) {_MATCH}|{_MATCH} ?(?:and|&&) ?print|chomp|print"
_PROGRAM = re.compile(rf"\s*(?:(?:{_CHANGES}|{_PICKS})\s*(?:;\s*|$))*")

_MAGIC = re.compile(r"\s*[<>|+&=-]|.*[|&]\s*$|.*[\0\n]", re.DOTALL)
"""Names that perl's `<>` takes for a command or descriptor rather than a file."""
_MAX = 2_000


def only_changes_lines(switches: set[str], programs: list[Argument], files: list[Argument]) -> bool:
    """Whether a call of perl with *switches* does no more than read *files*, line by line, and print or replace them."""
    if not switches <= _SWITCHES or not switches & {"-p", "-n"} or len(programs) != 1:
        return False
    program = programs[0]
    if not program.known or len(program.text) > _MAX or not _PROGRAM.fullmatch(program.text):
        return False
    return all(_is_plain(file) for file in files)


def _is_plain(file: Argument) -> bool:
    """Whether *file* can only be the name of a file. Names that end with a bar are told apart where they are made (`paths`)."""
    if file.known:
        return not _MAGIC.fullmatch(file.text) and not _MAGIC.match(file.text)
    return file.wild and file.text[:1].isalnum() | (file.text[:1] in (".", "/", "_"))


__all__ = ["only_changes_lines"]
