"""What the hooks that Keyturn wired start: its own hook client, straight or through a shell. Pure but for one file's digest."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from keyturn.canonical import digest_bytes
from keyturn.gates.hooks import client as hook_client
from keyturn.gates.hooks.dialects import dialect_of
from keyturn.gates.hooks.wiring import Wire


class Hooks(Struct, frozen=True):
    """Every command with which the hooks of one client ask Keyturn.

    `words` are those of the hook client after `python`; `lines` its command lines as a shell takes them, `inner` what such
    a line hands to another shell. `digest` is what the file `script` must be.
    """

    python: str
    script: str
    digest: str
    words: frozenset[tuple[str, ...]]
    lines: frozenset[str]
    inner: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, client: str, wire: Wire) -> Hooks:
        """What *client* starts when it is wired by *wire*."""
        dialect = dialect_of(client)
        lines = frozenset(wire.line(dialect, hooked) for hooked in dialect.events)
        parted = [tuple(shlex.split(line)) for line in lines]
        return cls(
            python=wire.python,
            script=wire.script,
            digest=digest_bytes(Path(hook_client.__file__).read_bytes()),
            words=frozenset(tuple(wire.words(dialect, hooked)[1:]) for hooked in dialect.events),
            lines=lines,
            inner=frozenset(words[1:] for words in parted if words[0] == "/bin/sh"),
        )

    def asks(self, path: str, words: Sequence[str]) -> bool:
        """Whether the program at *path* with *words* is the hook client, its file unchanged."""
        return path == self.python and tuple(words) in self.words and self._unchanged()

    def _unchanged(self) -> bool:
        try:
            return digest_bytes(Path(self.script).read_bytes()) == self.digest
        except OSError:
            return False


__all__ = ["Hooks"]
