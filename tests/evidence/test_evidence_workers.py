"""Processes that make parts of a pack: who does what, in which order, and what becomes of it when one is lost."""

from __future__ import annotations

import os
import signal
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool

import pytest

from keyturn.evidence.workers import Workers

DONE: list[str] = []


def begin(word: str) -> None:
    DONE[:] = [word]


def do(word: str) -> list[str]:
    DONE.append(word)
    return list(DONE)


def who() -> int:
    return os.getpid()


def fail() -> None:
    raise ValueError("not that")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_each_remembers_what_it_was_asked_in_order() -> None:
    with Workers(2, begin, ("begun",)) as workers:
        asked = [workers.on(number % 2, do, str(number)) for number in range(6)]
        assert asked[4].result() == ["begun", "0", "2", "4"]
        assert asked[5].result() == ["begun", "1", "3", "5"]
        assert workers.on(0, who).result() != workers.on(1, who).result()


def test_whoever_is_free_does_what_anyone_may_and_answers_come_in_order() -> None:
    with Workers(2, begin, ("begun",)) as workers:
        found = list(workers.map(do, [str(number) for number in range(40)]))
    assert [one[-1] for one in found] == [str(number) for number in range(40)]


def test_an_error_is_told_and_others_go_on() -> None:
    with Workers(2, begin, ("begun",)) as workers:
        wrong, right = workers.submit(fail), workers.submit(do, "a")
        with pytest.raises(ValueError, match="not that"):
            wrong.result()
        assert right.result() == ["begun", "a"]
        assert workers.submit(do, "b").result()[-1] == "b"


def test_one_that_is_ended_breaks_what_waits_for_it() -> None:
    with Workers(1, begin, ("begun",)) as workers:
        asked = [workers.submit(die), *(workers.submit(do, "a") for _ in range(3))]
        for one in asked:
            with pytest.raises(BrokenProcessPool):
                one.result()
        with pytest.raises(BrokenProcessPool):
            workers.submit(do, "b").result()


def test_what_nobody_has_begun_is_not_done_when_they_end() -> None:
    workers = Workers(1, begin, ("begun",))
    asked = [workers.submit(do, str(number)) for number in range(50)]
    workers.shutdown(cancel_futures=True)
    undone = [one for one in asked if one.cancelled()]
    assert undone
    with pytest.raises(CancelledError):
        undone[-1].result()
    assert all(one.done() for one in asked)
