"""Floods of wrong credentials: stopped where they come from, and nobody else is."""

from __future__ import annotations

import pytest

from keyturn.service import attempts
from keyturn.service.attempts import MOST, MOST_KEPT, WINDOW_SECONDS, Attempts, TooManyTries


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def flood(given: Attempts, address: str, count: int) -> int:
    """How many of *count* failures were answered with *too many*."""
    refused = 0
    for _ in range(count):
        try:
            given.failed(address)
        except TooManyTries:
            refused += 1
    return refused


def test_after_too_many_nothing_from_there_is_looked_at_for_a_while() -> None:
    clock = Clock()
    given = Attempts(clock)
    assert flood(given, "192.0.2.1", MOST) == 0
    with pytest.raises(TooManyTries):
        given.check("192.0.2.1")
    given.check("192.0.2.2")  # negative control: somebody else is looked at
    assert flood(given, "192.0.2.1", 5) == 5
    clock.now += WINDOW_SECONDS
    given.check("192.0.2.1")
    assert flood(given, "192.0.2.1", 1) == 0


@pytest.mark.parametrize("address", ["", "127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_on_this_machine_a_flood_locks_nobody_out(address: str) -> None:
    given = Attempts(Clock())
    assert flood(given, address, MOST + 3) == 3
    given.check(address)


def test_a_flood_from_everywhere_takes_no_more_than_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "MOST_KEPT", 50)
    given = Attempts(Clock())
    for number in range(500):
        given.failed(f"2001:db8::{number:x}")
    assert len(given._failed) == 50
    assert MOST_KEPT > 50
