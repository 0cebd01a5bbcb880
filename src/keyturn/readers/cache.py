"""Readings that were worked out before, by exact content and surroundings. A reading depends on nothing else."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from keyturn.actions import Content, Reading
from keyturn.readers.shell.parser import TRANSIENT
from keyturn.recent import Recent
from keyturn.resources import Surroundings

MAX_READINGS = 4_096
"""Most readings kept."""

MAX_KEY_BYTES = 16_384
"""Content larger than this is worked out each time, so that a few big ones can't fill the memory."""

_ENCODER = msgspec.msgpack.Encoder()


def _texts(around: Surroundings) -> int:
    return sum(len(file.text or "") for file in around.contents or ())


class ReadingCache:
    """A bounded map from (content, surroundings) to reading; what was not asked for lately goes first. Thread-safe.

    Keys are the exact bytes of the content, not a digest, so that nothing rests on a hash.
    """

    def __init__(
        self, read: Callable[[Content, Surroundings], Reading], capacity: int = MAX_READINGS
    ) -> None:
        self._read = read
        self._kept: Recent[tuple[bytes, Surroundings], Reading] = Recent(max(1, capacity // 2))

    def read(self, content: Content, around: Surroundings) -> Reading:
        """The reading of *content* in *around*, from memory if it was asked before."""
        try:
            key = (_ENCODER.encode(content), around)
        except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError):
            return self._read(content, around)
        if len(key[0]) + _texts(around) > MAX_KEY_BYTES:
            return self._read(content, around)
        known = self._kept.get(key)
        if known is not None:
            return known
        reading = self._read(content, around)
        if not any(unread.why.startswith(TRANSIENT) for unread in reading.unread):
            self._kept.keep(key, reading)
        return reading

    def known(self, content: Content, around: Surroundings) -> Reading | None:
        """The reading of *content* in *around* if it was asked before; works nothing out, so it never waits."""
        try:
            key = (_ENCODER.encode(content), around)
        except (TypeError, ValueError, OverflowError, RecursionError, UnicodeError):
            return None
        return self._kept.get(key)

    def __len__(self) -> int:
        return len(self._kept)
