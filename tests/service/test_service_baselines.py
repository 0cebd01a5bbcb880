"""Sessions are measured, a baseline is pinned by somebody else's approval, drift from it is found; and all of it is in the log."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from service_world import World, decide, person

from keyturn.approvals.errors import NotEligible
from keyturn.drift.baseline import seen
from keyturn.drift.stream import AgentStream
from keyturn.service import baselines
from keyturn.service.behaviour_rows import for_agent
from keyturn.service.detectors import FOLLOWERS
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.measuring import Measuring

AGENT = "claude-code"
HOUR = 3600.0
ORDINARY = ("ls -la", "cat README.md", "git status", "git diff", "grep -r TODO .")
SECRET = "cat .env"


class Clock:
    """Moves when it is told to."""

    def __init__(self, service: Keyturn) -> None:
        self.now = max(time.time(), service.core.ledger.time / 1000) + 1
        service.core.clock = self
        service.core.ledger._writer._clock = self

    def __call__(self) -> float:
        return self.now


class Play:
    """Agents' sessions, and the followers that read them."""

    def __init__(self, world: World, service: Keyturn) -> None:
        self.world, self.service, self.clock = world, service, Clock(service)
        self.following = Following(service.core, (Measuring,))
        self.draw = random.Random(4)

    async def session(self, commands: tuple[str, ...] | list[str], *, close: bool = True) -> str:
        self.clock.now += 8 * HOUR
        session = await self.world.session(self.service)
        for command in commands:
            self.clock.now += 1
            await self.service.authorize(self.world.action(session, command), self.world.around)
        if close:
            await self.service.close_session(session)
        return session

    def ordinary(self) -> list[str]:
        start = self.draw.randrange(len(ORDINARY))
        return [ORDINARY[(start + step) % len(ORDINARY)] for step in range(self.draw.randrange(2, 6))]

    async def watch(self, count: int, change: Any = lambda commands: commands) -> None:
        for _ in range(count):
            await self.session(change(self.ordinary()))
        await self.following.catch_up()

    async def pinned(self) -> Any:
        await self.watch(43)
        asked = await baselines.propose(
            self.service.core, AGENT, person(self.service, "sam"), "It settled down."
        )
        await decide(self.service, asked.id, "riley")
        return self.service.core.ledger.row("baseline", AGENT)

    def measured(self) -> list[dict[str, Any]]:
        return self.service.core.ledger.rows("measured", state=AGENT, newest_first=False)

    def findings(self) -> list[dict[str, Any]]:
        return self.service.core.ledger.rows("finding", newest_first=False)


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_server_runs_the_follower_that_measures() -> None:
    assert Measuring in FOLLOWERS


def test_a_baseline_is_pinned_by_somebody_else_and_drift_from_it_is_found(home: World) -> None:
    async def story(service: Keyturn) -> None:
        play = Play(home, service)
        with pytest.raises(baselines.TooLittle):
            await baselines.propose(service.core, AGENT, person(service, "sam"), "Too soon.")
        await play.watch(45)
        assert len(play.measured()) == 45
        assert all(one["evidence"] == {} for one in play.measured())  # nothing to be measured against yet
        asked = await baselines.propose(service.core, AGENT, person(service, "sam"), "It settled down.")
        shown = (await service.request(asked.id, person(service, "riley"))).content
        assert "shell git reads:workspace" in str(shown)
        for nobody in ("sam", "dana"):  # who proposed it, and for whom the agent acts
            with pytest.raises(NotEligible):
                await decide(service, asked.id, nobody)
        assert service.core.ledger.row("baseline", AGENT) is None
        await decide(service, asked.id, "riley")
        view = baselines.view(service.core, AGENT)
        assert (view.sessions, view.approvers, view.why) == (45, ("riley",), "It settled down.")
        assert "reads:workspace" in (seen(service.core.ledger.row("baseline", AGENT)) or ())

        await play.watch(6)
        assert play.findings() == []  # negative control: what is ordinary is no drift
        await play.watch(24, lambda commands: [*commands[:-1], SECRET])
        kinds = {finding["kind"] for finding in play.findings()}
        assert kinds <= {"behaviour.sensitive", "behaviour.novel", "behaviour.order"}
        assert "behaviour.sensitive" in kinds or "behaviour.novel" in kinds
        finding = next(one for one in play.findings() if one["kind"] != "behaviour.order")
        assert finding["magnitude"]["evidence"] > 100
        assert finding["magnitude"]["value"] > finding["magnitude"]["baseline"]
        assert finding["explanation"]["grade"] == "NONE"
        assert "Searched 0 approved changes" in finding["explanation"]["searched"]
        # When it began depends on coins that the sessions' names toss; that the interval ends before the alarm does not.
        assert (
            play.measured()[44]["time"]
            < finding["since"]["earliest"]
            <= finding["since"]["latest"]
            <= finding["opened"]
        )
        assert 0 < len(finding["entries"]) <= 20
        entries = [service.core.ledger.entry(index) for index in finding["entries"]]
        assert all(one is not None and one.type == "action.decided" for one in entries)
        assert "cat reads:workspace+secret" in finding["cause"]
        assert (
            len([one for one in play.findings() if one["kind"] == finding["kind"]]) == 1
        )  # while it is open

    home.play(story)


def test_what_was_measured_is_measured_once_and_a_rebuild_gives_the_same_bytes(home: World) -> None:
    async def before(service: Keyturn) -> list[int]:
        play = Play(home, service)
        await play.pinned()
        await play.watch(6)
        await play.session(play.ordinary(), close=False)  # under way when the server is killed
        await play.session(play.ordinary())  # ended, and not measured yet
        return [one["entry"] for one in play.measured()]

    measured = home.play(before)

    async def after(service: Keyturn) -> None:
        play = Play(home, service)
        again = Following(service.core, (Measuring,))
        again._next = 0  # everything is read again, as after a kill
        await again.catch_up()
        assert [one["entry"] for one in play.measured()][: len(measured)] == measured
        assert len(play.measured()) == len(measured) + 1
        play.clock.now += HOUR
        await again.tick(int(play.clock.now * 1000))
        await again.tick(int(play.clock.now * 1000))
        assert len(play.measured()) == len(measured) + 2  # the idle one, once
        # What the entry says and what the fold made of it is the same sum.
        state = service.core.ledger.row("drift-stream", AGENT)
        reference = service.core.ledger.row("drift-reference", AGENT)
        assert state is not None
        assert reference is not None
        stream = AgentStream.of_rows(state, reference)
        assert stream.portfolio.evidence == state["evidence"]["evidence"] > 0
        assert stream.sessions == 8
        rebuilt = service.core.ledger.rebuild(check=True)
        assert rebuilt.identical, rebuilt.differences

    home.play(after)


def test_a_long_session_and_a_pause_make_parts_and_a_drill_makes_none(home: World) -> None:
    async def story(service: Keyturn) -> None:
        play = Play(home, service)
        session = await play.session(["ls -la"] * 201, close=False)
        play.clock.now += HOUR
        await service.authorize(home.action(session, "git status"), home.around)
        await service.close_session(session)
        await play.following.catch_up()
        assert [(one["part"], one["actions"]) for one in play.measured()] == [(1, 200), (2, 1), (3, 1)]

    home.play(story)


def test_an_agent_without_a_baseline_is_measured_against_its_peer(home: World) -> None:
    async def story(service: Keyturn) -> None:
        play = Play(home, service)
        await play.pinned()
        rows = service.core.ledger
        peer = for_agent(rows, "another", "sha256:" + "0" * 64)
        assert peer is not None
        assert peer["agent"] == AGENT
        assert for_agent(rows, "another", "sha256:" + "1" * 64) is None
        assert for_agent(rows, "another", "") is None

    home.play(story)


def test_a_baseline_that_was_replaced_meanwhile_is_not_pinned_over(home: World) -> None:
    async def story(service: Keyturn) -> None:
        play = Play(home, service)
        await play.watch(43)
        sam = person(service, "sam")
        first = await baselines.propose(service.core, AGENT, sam, "One.")
        second = await baselines.propose(service.core, AGENT, sam, "Two.")
        await decide(service, first.id, "riley")
        with pytest.raises(baselines.BaselineMoved):
            await decide(service, second.id, "riley")
        assert baselines.view(service.core, AGENT).id == first.id

    home.play(story)
