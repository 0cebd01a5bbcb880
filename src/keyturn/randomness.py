"""Random bytes of the operating system, fetched many at once.

A system call for each id and each salt gives up the interpreter each time, and getting it back is what costs. No byte is
given twice: the pool belongs to one thread, and a forked child starts with an empty one.
"""

from __future__ import annotations

import os
import threading

POOL_BYTES = 65_536


class _Pool(threading.local):
    data = b""
    at = 0


_pool = _Pool()


def fresh(count: int) -> bytes:
    """*count* random bytes, fit for keys' salts and identifiers (`os.urandom`)."""
    end = _pool.at + count
    if end > len(_pool.data):
        _pool.data, _pool.at, end = os.urandom(max(POOL_BYTES, count)), 0, count
    given = _pool.data[end - count : end]
    _pool.at = end
    return given


def _forget() -> None:
    _pool.data = b""


os.register_at_fork(after_in_child=_forget)
