"""What a server runs beside itself ends with it: told to stop, killed, or only forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest
from service_world import World

from keyturn.service import apart
from keyturn.service.following import Follower, Following
from keyturn.service.keyturn import Keyturn


def serving(home: Path) -> list[str]:
    """A command that ends only when it is told to."""
    return ["serve", "--home", str(home)]


def test_it_is_ended_with_the_session_it_leads(tmp_path: Path) -> None:
    process = apart.start(serving(World(tmp_path).home.root))
    assert process.poll() is None
    apart.close(process)
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    apart.close(process)  # again is no mistake


def test_it_ends_when_nobody_holds_the_other_end(tmp_path: Path) -> None:
    process = apart.start(serving(World(tmp_path).home.root))
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(60) == -9


def test_followers_are_told_that_the_server_stops(tmp_path: Path) -> None:
    closed: list[str] = []

    class One(Follower):
        name = "one"

        def close(self) -> None:
            closed.append(self.name)

    async def story(service: Keyturn) -> None:
        following = Following(service.core, (One,))
        running = asyncio.create_task(following.run())
        await following.settled()
        assert closed == []  # the negative control: only its end closes them
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert closed == ["one"]

    World(tmp_path).play(story)
