"""What is shown of behaviour, and which approved change explains it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from service_world import World, decide, person
from test_service_baselines import AGENT, SECRET, Play

from keyturn.drift.baseline import Measured, baseline
from keyturn.drift.behaviour import Seen, dated, drift
from keyturn.drift.features import Session
from keyturn.drift.stream import CONDITIONS, day_class
from keyturn.errors import NotFound
from keyturn.service import baselines, behaviour_views
from keyturn.service.behaviour_explaining import declared, effect_of, of_behaviour
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.measuring import Measuring
from keyturn.service.publication import propose as propose_policy
from keyturn.service.widening import Widening


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_shown_of_a_fleet_and_of_one_agent(home: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        play = Play(home, service)
        with pytest.raises(NotFound):
            behaviour_views.course(core, AGENT)
        await play.watch(12)
        (line,) = behaviour_views.fleet(core)
        assert (line.agent, line.sessions, line.measured_against, line.enough) == (AGENT, 12, "", False)
        early = behaviour_views.course(core, AGENT)
        assert early.baseline is None
        assert early.groups == ()
        with pytest.raises(baselines.NoBaseline):
            baselines.view(core, AGENT)
        await play.pinned()
        await play.watch(4, lambda commands: [*commands, SECRET])
        (line,) = behaviour_views.fleet(core)
        assert line.measured_against == AGENT
        assert line.evidence["evidence"] > 0
        assert line.threshold == pytest.approx(1 * 3 * line_rate(service) * 30)
        course = behaviour_views.course(core, AGENT, 10)
        assert len(course.points) == 10
        assert course.conditions == CONDITIONS
        now = {group.name: group for group in course.groups}
        assert now["sessions with any"].now == 1.0 > now["sessions with any"].baseline
        assert course.categories[0].name == "shell cat reads:workspace+secret"
        assert [view.agent for view in baselines.views(core)] == [AGENT]

    home.play(story)


def line_rate(service: Keyturn) -> float:
    return float((service.core.ledger.row("baseline", AGENT) or {})["a_day"])


def test_a_change_declares_in_its_reason_what_it_will_bring() -> None:
    assert declared("New release helper. brings: writes:production, connects:network") == (
        "writes:production",
        "connects:network",
    )
    assert declared("It brings: nothing that is an effect") == ()
    assert effect_of("shell cat reads:workspace+secret") == "reads:secret"
    assert effect_of("shell curl sends:network unread") == "sends:network"
    assert effect_of("shell true") == "shell true"


def test_only_a_version_that_declared_it_explains_and_time_alone_does_not(home: World) -> None:
    async def story(service: Keyturn) -> None:
        before = service.core.policy.digest
        files = dict(service.core.policy.files)
        files["README.md"] = b"Now it may look at secrets.\n"
        note = "The release helper needs tokens. brings: reads:secret"
        asked = await propose_policy(service.core, files, person(service, "dana"), note)
        await decide(service, asked.id, "riley")
        after = service.core.policy.digest

        def seen(policy: str, sensitive: int) -> Seen:
            return Seen(0, 0, 10, sensitive, False, 0.5, "", policy)

        what = ("shell cat reads:workspace+secret",)
        bound = [*(seen(before, 0) for _ in range(20)), *(seen(after, 3) for _ in range(20))]
        flagged = [one.sensitive > 0 for one in bound]
        found = of_behaviour(service.core, AGENT, bound, flagged, what, 0.05)
        assert (found.grade, found.change, found.actor) == ("VERSION-BOUND", asked.id, "dana")
        assert found.approvers == ("riley",)
        assert found.reason == note
        # Controls: it declared something else; it drifted under the version before, too.
        other = of_behaviour(service.core, AGENT, bound, flagged, ("shell rm deletes:system",), 0.05)
        assert other.grade == "CANDIDATE"
        assert "deletes:system" in other.residual[0]
        everywhere = [seen(before, 3), *bound[20:]]
        both = of_behaviour(service.core, AGENT, everywhere, [True] * len(everywhere), what, 0.05)
        assert both.grade == "NONE"
        assert "Searched 1 approved change" in both.searched

    home.play(story)


def test_an_alarm_says_since_when_how_much_and_names_the_actions() -> None:
    ordinary = Session(("shell ls reads:workspace",) * 10, ("reads:workspace",))
    pinned = baseline("coder", "", "", [Measured(0, ordinary)] * 400)
    quiet = [Seen(n * 10, n * 10 + 5, 10, 0, False, 0.5) for n in range(100)]
    loud = [Seen(n * 10, n * 10 + 5, 10, 4, False, 0.5, telling={"sensitive": [n]}) for n in range(100, 130)]
    sessions = [*quiet, *loud]
    earliest, _, latest = dated("sensitive", sessions, pinned)
    assert earliest <= 100 <= latest
    found: Any = drift("coder", "sensitive", 5_000.0, sessions, pinned, ("shell cat reads:workspace+secret",))
    assert found.kind == "behaviour.sensitive"
    assert "odds against no drift are 5,000 to 1" in found.words
    assert found.magnitude.value > found.magnitude.baseline
    assert found.since.earliest <= 1_000 <= found.since.latest
    assert set(found.entries) <= set(range(100, 130))
    assert len(found.entries) == 20


async def _days(play: Play, count: int, hours: tuple[int, ...]) -> None:
    """*count* days from now on, with a session at each of *hours* (UTC) on those that are workdays."""
    day = int(play.clock.now // 86_400) + 1
    for number in range(day, day + count):
        for hour in hours if day_class(number) == "workday" else ():
            play.clock.now = (
                number * 86_400.0 + (hour - 8) * 3_600.0
            )  # a session begins eight hours after the last
            await play.session(["ls -la"])
        play.clock.now = max(play.clock.now, (number + 1) * 86_400.0 - 1)
    await play.following.catch_up()


def test_nights_are_found_in_days_and_a_working_day_is_none(home: World) -> None:
    async def story(service: Keyturn) -> None:
        play = Play(home, service)
        # Names toss the coins, and days are named by their date: both are fixed, or chance would decide now and then.
        play.clock.now = 2_200_000_000.0
        numbers = itertools.count()
        service.core.ids = lambda prefix, now_ms: f"{prefix}_{next(numbers):026}"
        await _days(play, 44, (9, 13, 16))
        asked = await baselines.propose(service.core, AGENT, person(service, "sam"), "Six weeks.")
        shown = str((await service.request(asked.id, person(service, "riley"))).content)
        assert "At work (UTC" in shown
        await decide(service, asked.id, "riley")
        await _days(play, 14, (9, 13, 16))
        assert play.findings() == []  # negative control: what is ordinary is no drift, nor an hour later
        await _days(play, 7, (10, 14, 17))
        assert play.findings() == []
        began = play.clock.now * 1000
        await _days(play, 18, (2, 13, 16))
        (finding,) = [one for one in play.findings() if one["kind"] == "behaviour.hours"]
        assert finding["expected"] == "0.0 %"
        assert "(UTC: 02)" in finding["observed"]
        assert finding["magnitude"]["value"] > 0.2
        assert finding["magnitude"]["evidence"] > 90
        assert finding["explanation"]["grade"] == "NONE"
        assert finding["since"]["latest"] >= began
        entries = [service.core.ledger.entry(index) for index in finding["entries"]]
        assert all(one is not None and one.time % 86_400_000 // 3_600_000 == 2 for one in entries)
        course = behaviour_views.course(service.core, AGENT)
        assert [one.kind for one in course.findings] == ["behaviour.hours"]
        now = {group.name: group for group in course.groups}
        assert now["actions in its quiet hours"].now > 0.1 > now["actions in its quiet hours"].baseline
        assert service.core.ledger.rebuild(check=True).identical

    home.play(story)


async def _uses(play: Play, command: str) -> None:
    for _ in range(2):
        await play.session(["ls -la", command])
    await play.following.catch_up()
    await play.following.catch_up()  # what was measured is read, too


def test_scope_that_grows_by_small_steps_is_told_against_the_first_baseline(home: World) -> None:
    async def story(service: Keyturn) -> None:
        play = Play(home, service)
        play.following = Following(service.core, (Measuring, Widening))
        await play.pinned()
        steps = ("cat .env", "curl https://api.example/x", "touch /opt/tool/x")
        for command in steps[:2]:
            await _uses(play, command)
        grown = [one for one in play.findings() if one["kind"] == "scope.grown"]
        assert grown == []  # negative control: two steps are not enough, however often they are used
        shown = behaviour_views.course(service.core, AGENT).powers
        assert [step.power for step in shown.steps] == ["reads:secret", "connects:network"]
        await _uses(play, steps[2])
        (finding,) = [one for one in play.findings() if one["kind"] == "scope.grown"]
        assert "reads:secret, connects:network, writes:system" in finding["observed"]
        assert finding["expected"].startswith(f"the {len(shown.original)} of its first baseline")
        assert finding["magnitude"]["value"] == finding["magnitude"]["baseline"] + 3
        assert finding["explanation"]["grade"] == "NONE"
        assert "Searched" in finding["explanation"]["searched"]
        entries = [service.core.ledger.entry(index) for index in finding["entries"]]
        assert [one.type for one in entries if one is not None] == ["session.measured"] * 3
        assert service.core.ledger.rebuild(check=True).identical

    home.play(story)
