"""Salts and identifiers rest on this: no byte is given twice, not even across threads and forks."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from keyturn.randomness import POOL_BYTES, fresh


def test_no_bytes_are_given_twice_in_one_thread_or_many() -> None:
    with ThreadPoolExecutor(4) as threads:
        given = [
            piece
            for pieces in threads.map(lambda _: [fresh(16) for _ in range(9000)], range(4))
            for piece in pieces
        ]
    assert len(set(given)) == len(given) == 36_000
    assert {len(piece) for piece in given} == {16}


def test_more_than_the_pool_holds_can_be_asked_for() -> None:
    assert len(fresh(POOL_BYTES * 2 + 1)) == POOL_BYTES * 2 + 1
    assert len(fresh(0)) == 0


def test_a_forked_child_does_not_repeat_its_parent() -> None:
    fresh(16)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, fresh(16))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 16) != fresh(16)
    os.close(read)
    os.close(write)
