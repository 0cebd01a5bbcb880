"""The parser's process: its own processor time is bounded; a busy machine is no fault of the script's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn.readers.shell import spare
from keyturn.readers.shell.spare import Spares

SECONDS = 0.1


@pytest.fixture
def spares() -> Iterator[Spares]:
    made = Spares()
    yield made
    made.end()


def run(spares: Spares, script: str) -> bytes:
    return spares.run(("/bin/sh", "-c", script), b"text", SECONDS, 1000)[0]


def test_a_process_that_computes_for_too_long_is_ended(
    spares: Spares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spare, "BUSY", 100.0)
    with pytest.raises(TimeoutError):
        run(spares, "while :; do :; done")


def test_time_that_it_did_not_get_does_not_count(spares: Spares, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "BUSY", 100.0)
    assert run(spares, "sleep 0.3; cat") == b"text"


def test_nobody_waits_for_ever(spares: Spares, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spare, "BUSY", 0.3)
    with pytest.raises(TimeoutError):
        run(spares, "sleep 600")


def test_where_no_other_process_tells_its_time_all_of_it_counts(
    spares: Spares, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untold(_: int) -> float:
        raise OSError

    monkeypatch.setattr(spare, "BUSY", 100.0)
    monkeypatch.setattr(spare.time, "clock_gettime", untold)  # type: ignore[attr-defined]
    with pytest.raises(TimeoutError):
        run(spares, "sleep 600")
