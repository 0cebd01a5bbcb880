"""Shell scripts -> Reading, soundly: what is not fully understood is never `complete`."""

from __future__ import annotations

from msgspec.structs import replace

from keyturn.actions import Reading, Shell, Unread
from keyturn.readers.sentence import sentence
from keyturn.readers.shell.analysis import Walk
from keyturn.readers.shell.calls import Scene
from keyturn.readers.shell.content import Trust, rewritten
from keyturn.readers.shell.emission import emit
from keyturn.readers.shell.inheritance import names_set
from keyturn.readers.shell.script import understand
from keyturn.resources import Surroundings


def read_shell(script: str | Shell, around: Surroundings) -> Reading:
    """What *script* would do when bash (or, for `posix`, sh) runs it in `around.cwd`. Never raises for odd content."""
    content = Shell(script) if isinstance(script, str) else script
    text = content.script
    if (len(text) - len(text.rstrip("\\"))) % 2:
        return _both_ends(content, around)
    return _read(content, around)


def _both_ends(content: Shell, around: Surroundings) -> Reading:
    """A script whose last character is a backslash: it stands for itself where a shell is handed the text alone, and is

    gone with the line end that some clients put behind it. Both are read; what is run anew has it quoted.
    """
    kept = _read(replace(content, script=content.script + "\\"), around)
    gone = _read(replace(content, script=content.script[:-1]), around)
    steps = tuple(dict.fromkeys((*kept.steps, *gone.steps)))
    unread = tuple(dict.fromkeys((*kept.unread, *gone.unread)))
    complete = kept.complete and gone.complete
    return Reading(
        "shell", complete, steps, unread, sentence(steps, unread), kept.canonical if complete else None
    )


def _read(content: Shell, around: Surroundings) -> Reading:
    tree = understand(content.script, content.dialect)
    if isinstance(tree, Unread):
        return _unread(tree)
    own = names_set(content.script) if around.fresh else None
    scene = Scene(around, frozenset({around.cwd or "/"}), own=own)
    walk = Walk()
    try:
        walk.script(tree, scene)
        if rewritten(walk.trust, walk.steps, around):
            walk = Walk(Trust(doubted=True))
            walk.script(tree, scene)
        canonical = emit(tree, walk.texts)
    except RecursionError:
        size = len(content.script.encode())
        return _unread(Unread(0, size, "The script is nested too deeply to be read"))
    steps, unread = tuple(walk.steps), tuple(walk.unread)
    complete = not unread and all(step.complete for step in steps)
    return Reading("shell", complete, steps, unread, sentence(steps, unread), canonical if complete else None)


def _unread(unread: Unread) -> Reading:
    return Reading("shell", False, (), (unread,), sentence((), (unread,)))


__all__ = ["read_shell"]
