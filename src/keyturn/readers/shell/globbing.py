"""What a pattern such as `*.md` does where one of the names that it becomes looks like an option.

A file may be called `-tx.md`. The names fit the pattern and have no slash in them, so all that such a word can ask for is told: every
option of the program that takes a value, with a file of this folder as that value. Words of plain options alone can't end in
`.md`: no program has an option called `.`, and getopt_long(3) ends it with an error before it does anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from keyturn.actions import Verb
from keyturn.readers.paths import names_meet, unknown_path
from keyturn.readers.shell.calls import Argument, Call, below, join
from keyturn.readers.shell.ceiling import ANYTHING
from keyturn.readers.shell.grammar import Clause, Grammar

_TAIL = re.compile(r"[^*?\]]*\Z")
_ENDS_AS_FILE = re.compile(r"\.[A-Za-z0-9]+\Z")
_TOLD = frozenset({"reads", "writes", "outputs", "globs", "pattern", "name", "alone", "target"})
"""What a value can be used for here; an option whose value is anything else leaves only the ceiling of the program."""
_VERBS: dict[str, tuple[Verb, ...]] = {
    "reads": ("reads",), "globs": ("reads",), "writes": ("writes",), "outputs": ("writes",),
}  # fmt: skip
_SOURCES: dict[str, tuple[Verb, ...]] = {"reads": ("reads",), "moves": ("deletes",), "links": ("reads",)}


def taken_for_option(grammar: Grammar, pattern: Argument, words: list[Argument], call: Call) -> bool:
    """Note what a name that fits *pattern* does as an option of *grammar*; False, and nothing noted, where no bound is known."""
    tail = _tail(pattern)
    if tail is None or not _plain(grammar):
        return False
    clauses = _with_value(grammar, pattern.text)
    if clauses is None:
        return False
    others = [word for word in words if word is not pattern and not word.may_be_option]
    values = (
        Argument("*" + tail, pattern.span, known=False, wild=True),
        Argument(tail, pattern.span),  # a leading dot is matched by no `*`
    )
    whole = any(word.text.startswith("--p") for word in words)  # `--parents`, as far as it may be shortened
    for clause in clauses:
        for value in values:
            _note(clause, value, [pattern, *others], below if whole else join, grammar, call)
    return True


def _tail(pattern: Argument) -> str | None:
    """What every name ends with; None where a name may lie in another folder or end as an option may."""
    if not pattern.wild or "/" in pattern.text:
        return None
    found = _TAIL.search(pattern.text)
    tail = found.group() if found else ""
    return tail if _ENDS_AS_FILE.search(tail) else None


def _plain(grammar: Grammar) -> bool:
    odd = grammar.by_name or grammar.held_text or grammar.subcommands or grammar.single_dash or grammar.stops
    return not odd and not grammar.argument_files and grammar.special in ("", "chmod")


def _with_value(grammar: Grammar, pattern: str) -> list[Clause] | None:
    """What is done with the values that a name may bring; None if it may be an option itself, or change what other words mean."""
    clauses: list[Clause] = []
    flags: list[Clause] = []
    attached = False
    for option in grammar.options.values():
        for name, takes in zip(option.names, option.values, strict=True):
            if name.startswith("--") and any(
                names_meet(pattern, name[:end]) for end in range(3, len(name) + 1)
            ):
                return None
            if takes == "none":
                flags += option.clauses if not name.startswith("--") else ()
                continue
            attached = attached or not name.startswith("--")
            clauses += option.clauses
    if any(clause.action not in _TOLD for clause in clauses) or (attached and flags):
        return None  # `-abt x`: flags before an option that takes a value count, too
    return list(dict.fromkeys(clauses))


def _note(
    clause: Clause,
    value: Argument,
    words: list[Argument],
    inside: Callable[[Argument, Argument], Argument],
    grammar: Grammar,
    call: Call,
) -> None:
    """Note what an option does with *value*; where that is a target folder, *inside* tells what each of *words* becomes there."""
    for verb in _VERBS.get(clause.action, ()):
        call.path(verb, value)
    if clause.action == "target":
        kinds = [kind.kind for kind in grammar.operands if kind.many]
        for word in words:  # what was the target is one more source then
            call.path("writes", inside(value, word))
            for verb in (verb for kind in kinds for verb in _SOURCES.get(kind, ("writes",))):
                _near(verb, word, call)


def _near(verb: Verb, word: Argument, call: Call) -> None:
    """Note *verb* done to *word*; of what lies elsewhere it is only told that something might, as it hardly ever does."""
    before = len(call.effects)
    call.path(verb, word)
    if any(effect.zone not in ("workspace", "temporary") for effect in call.effects[before:]):
        call.effects[before:] = unknown_path(verb, ANYTHING)


__all__ = ["taken_for_option"]
