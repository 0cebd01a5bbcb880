"""Identifiers: a prefix that says what it names, then 26 characters that sort by time (as ULID does)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_SHIFTS = range(120, -1, -10)
_POOL_BYTES = 10 * 512

NewId = Callable[[str, int], str]


class _Random(threading.local):
    """Random bytes fetched many at once: a system call for each id would give up the interpreter each time."""

    pool = b""
    at = 0

    def ten(self) -> bytes:
        """The next ten bytes; none is ever given twice."""
        if self.at + 10 > len(self.pool):
            self.pool, self.at = os.urandom(_POOL_BYTES), 0
        self.at += 10
        return self.pool[self.at - 10 : self.at]


_random = _Random()


def _forget() -> None:
    _random.pool = b""


os.register_at_fork(after_in_child=_forget)


def new_id(prefix: str, now_ms: int) -> str:
    """`<prefix>_<10 characters of time><16 of randomness>`; 80 random bits, so nobody guesses the next one."""
    number = (now_ms << 80) | int.from_bytes(_random.ten(), "big")
    return prefix + "_" + "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])
