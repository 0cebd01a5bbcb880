"""One table per agent client: what it starts to live, and in what it wraps a command that it was allowed to run.

Everything here is a positive list. What a client starts and that no entry describes, word for word, is asked for under
policy like the start of anything else; a command in a wrapping that differs in one character is not unwrapped. The
tables were written from what the real clients start, seen by the exec gate (`tests/agents/test_agents_exec_gate.py`).

In a pattern `{home}`, `{temporary}`, `{package}`, `{interpreter}` and `{script}` stand for the user's home, the folder of
temporary files, the folder `node_modules` in which the client lies, and what the client was started with; the rest is a
regular expression for a whole word (Python's `re`).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from msgspec import Struct


class Child(Struct, frozen=True):
    """A program in the system's folders, with exactly these words after its name."""

    program: str
    words: tuple[str, ...] = ()


class Own(Struct, frozen=True):
    """Something a client starts to live: a program of the system with words that match, and what that starts itself."""

    program: str
    words: tuple[str, ...]
    children: tuple[Child, ...] = ()


class StandIn(Struct, frozen=True):
    """The client's own program under another name in place of a system's program: with `before` its words are the same."""

    called: str
    before: tuple[str, ...]
    program: str


class Wrapping(Struct, frozen=True):
    """How a command is started: the shell's words up to the text, and the text, with the command in group `script`.

    `quoted`: the group is one word for the shell (as `eval` takes it), else it is the script itself. `snapshot`: group
    of the file that is read in first, empty when there is none. `whole_paths`: the client may start `command '/path/of/program' …`
    for a command that names the program otherwise.
    """

    before: tuple[str, ...]
    text: str
    quoted: bool = False
    snapshot: str = ""
    whole_paths: bool = False


class Client(Struct, frozen=True):
    """One client's table.

    `programs`: paths of programs beside the first that are the client itself, with the words that they may have (`...`
    stands for all words of the first). `hook_shell`: what a hook's command line is handed to; empty: it has none.
    `folders`: the client's own that it puts at the end of PATH. What any client asks git is in `git`; `git_writes`: what this
    one has git do in folders of its own, `git_folder`. `snapshot`: (words before, pattern) of the shell
    that writes the file which its commands read in first, its path in group `path`; `snapshot_children`: what that starts.
    """

    name: str
    wrapping: Wrapping
    programs: tuple[tuple[str, tuple[str, ...]], ...] = ()
    hook_shell: tuple[str, ...] = ()
    own: tuple[Own, ...] = ()
    folders: tuple[str, ...] = ()
    git_writes: tuple[tuple[str, ...], ...] = ()
    git_folder: str = ""
    stand_ins: tuple[StandIn, ...] = ()
    snapshot: tuple[tuple[str, ...], str] | None = None
    snapshot_children: tuple[Child, ...] = ()
    fresh_shell: bool = True


_MODULES = {"claude-code": "claude_code", "copilot": "copilot", "gemini": "gemini", "opencode": "opencode"}


def client_of(name: str) -> Client | None:
    """The table of the client *name*; None where there is none yet: it runs with its hooks only."""
    if name not in _MODULES:
        return None
    return import_module(f"{__name__}.{_MODULES[name]}").CLIENT  # type: ignore[no-any-return]


TABLES: Mapping[str, str] = _MODULES
"""Clients that have a table."""

__all__ = ["TABLES", "Child", "Client", "Own", "StandIn", "Wrapping", "client_of"]
