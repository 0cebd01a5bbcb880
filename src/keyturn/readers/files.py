"""File edits -> Reading."""

from __future__ import annotations

from msgspec.structs import replace

from keyturn.actions import Effect, FileEdit, Reading, Step, Unread, Verb
from keyturn.readers.odd import odd_text
from keyturn.readers.paths import path_effects, search_labels
from keyturn.readers.sentence import sentence
from keyturn.resources import Surroundings

MAX_PATH = 4_096
"""Longest path that Linux accepts (PATH_MAX)."""

_VERBS: dict[str, tuple[Verb, ...]] = {
    "create": ("writes",),
    "write": ("writes",),
    "edit": ("reads", "writes"),
    "delete": ("deletes",),
    "read": ("reads",),
}


def read_file(edit: FileEdit, around: Surroundings) -> Reading:
    """What a change of one file would do: its path's zone and labels decide."""
    problem = _problem(edit.path, around)
    if problem:
        unread = (Unread(0, len(edit.path), problem),)
        step = Step(edit.operation, (edit.path,), complete=False)
        return Reading("file", False, (step,), unread, sentence((step,), unread))
    effects: list[Effect] = []
    for verb in _VERBS[edit.operation]:
        effects += path_effects(verb, edit.path, around)
    if edit.operation == "read" and "/**" in edit.path:
        hidden = search_labels(edit.path, around)
        effects = [replace(e, labels=tuple(sorted({*e.labels, *hidden}))) for e in effects]
    step = Step(edit.operation, (edit.path,), effects=tuple(effects))
    return Reading("file", True, (step,), (), sentence((step,), ()))


def _problem(path: str, around: Surroundings) -> str | None:
    if not path or len(path) > MAX_PATH:
        return "A file needs a path of 1 to 4,096 characters"
    if path.startswith("~") and not (path == "~" or path.startswith("~/")):
        return "A path that begins with another user's home"
    if path.startswith("~") and not around.home:
        return "A path below a home that is not known"
    if path.startswith(("/dev/fd/", "/dev/std")):
        return "A descriptor of the program that opens it could be any file"
    return odd_text(path)
