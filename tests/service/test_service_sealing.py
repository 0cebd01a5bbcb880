"""The server seals by itself what is complete, in a process of its own, and whoever is killed at it leaves nothing that counts."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from service_world import World

from keyturn.service import sealing
from keyturn.service.keyturn import Keyturn
from keyturn.service.sealing import AGAIN, DAY, FIRST, LATE, MOST, Sealing, due, overdue, sealed
from keyturn.store.analytics import segments as made_by


class Log:
    """As much of a ledger as `due` asks for: the time of each entry."""

    def __init__(self, *times: int) -> None:
        self.times = times
        self.size, self.time = len(times), times[-1] if times else 0

    def entry(self, index: int) -> Log | None:
        return Log(self.times[index])


def test_a_day_that_is_over_is_due_and_one_that_goes_on_is_not() -> None:
    assert not due(Log(), 0)  # type: ignore[arg-type]
    assert not due(Log(DAY, DAY + 5), 0)  # type: ignore[arg-type]
    assert due(Log(DAY, DAY + 5, 2 * DAY), 0)  # type: ignore[arg-type]
    assert not due(Log(DAY, DAY + 5, 2 * DAY), 2)  # type: ignore[arg-type]


def test_enough_entries_are_due_within_a_day_and_both_know_how_many_that_is() -> None:
    assert due(Log(*[DAY] * (MOST + 1)), 0)  # type: ignore[arg-type]
    assert not due(Log(*[DAY] * MOST), 0)  # type: ignore[arg-type]
    assert made_by.MOST == MOST
    assert made_by.DAY == DAY


@pytest.mark.parametrize(
    ("times", "end", "now", "late"),
    [
        ((), 0, 9 * DAY, False),
        ((DAY, DAY + 5), 0, 9 * DAY, False),  # a quiet log: its last day is not over in it
        ((DAY, 2 * DAY), 0, 2 * DAY + LATE - 1, False),
        ((DAY, 2 * DAY), 0, 2 * DAY + LATE, True),
        ((DAY, 2 * DAY), 1, 9 * DAY, False),
        ((DAY, 2 * DAY, 3 * DAY), 1, 9 * DAY, True),
        ((DAY, 2 * DAY), 7, 9 * DAY, False),  # segments of another time
    ],
)
def test_it_is_overdue_only_some_time_after_it_could_have_been_sealed(
    times: tuple[int, ...], end: int, now: int, late: bool
) -> None:
    assert overdue(lambda n: times[n], end, len(times), now) is late


def test_the_server_seals_when_something_is_due_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)

    async def story(service: Keyturn) -> None:
        session = await world.session(service, "one")
        await service.authorize(world.action(session, "ls -la"), world.around, consume=True)
        folder, follower, now = world.home.segments, Sealing(service.core), service.core.now()
        follower.tick(now + FIRST)
        assert follower.running is None  # the negative control: nothing is complete
        wanted = iter((True, True, False))
        monkeypatch.setattr(sealing, "due", lambda ledger, end: next(wanted))
        follower.tick(now)
        assert follower.running is None  # it has just started
        follower.tick(now + FIRST)
        assert follower.running is not None
        os.kill(follower.running.pid, signal.SIGKILL)
        follower.running.wait()
        follower.tick(now + FIRST)
        assert follower.running is None
        follower.tick(now + FIRST + 1)
        assert follower.running is None  # not at once again
        follower.tick(now + FIRST + AGAIN)
        assert follower.running is not None
        assert follower.running.wait() == 0
        follower.tick(now + FIRST + AGAIN)
        assert sealed(folder) == 0  # nothing of this log was complete
        assert [one.name for one in folder.glob(".*")] == []
        follower.tick(now + FIRST + 3 * AGAIN)
        assert follower.running is None

    world.play(story)


def test_only_a_whole_segment_counts_as_sealed(tmp_path: Path) -> None:
    for name in ("000000000000-000000000010", "000000000010-000000000025", ".sealing-x"):
        (tmp_path / name).mkdir()
    (tmp_path / "000000000000-000000000010" / "seal.json").write_text("{}")
    assert sealed(tmp_path) == 10
    (tmp_path / "000000000010-000000000025" / "seal.json").write_text("{}")
    assert sealed(tmp_path) == 25
    assert sealed(tmp_path / "nowhere") == 0
