"""Windows, freezes and tiers: a thing is approved and run only when policy lets it, whatever the clock is made to say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from service_world import ALLOWED, HELD, World, decide, person

from keyturn.approvals.permit import PermitRefused
from keyturn.errors import KeyturnError
from keyturn.policy import STARTER, read_folder
from keyturn.service.conditions.errors import Frozen, NotNow, OutsideWindow, PermitNotNow
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Proposed

OFFICE = '[window.office]\ndays = ["mon", "tue", "wed", "thu", "fri"]\nfrom = "09:00"\nto = "17:00"\ntimezone = "Europe/Berlin"\n'
IN_OFFICE = OFFICE + '[default]\nwithin = "7d"\nwindow = "office"\n'
FREEZE = "[freeze.year-end]\nfrom = 2031-12-23T18:00:00+01:00\nuntil = 2032-01-02T08:00:00+01:00\nbecause = 'the accounts are closed'\n"

SUNDAY, MONDAY, EVENING = "2031-01-05T12:00+01:00", "2031-01-06T10:00+01:00", "2031-01-06T17:00+01:00"


def files(requirements: str) -> dict[str, bytes]:
    # A hold without own demands asks for the default: the rule of these tests.
    return {**read_folder(STARTER), "requirements.toml": requirements.encode()}


def play(folder: Path, requirements: str, story: Callable[[World, Keyturn, Any], Awaitable[None]]) -> None:
    world = World(folder, policy=files(requirements))

    async def told(service: Keyturn) -> None:
        def at(text: str) -> None:
            instant = datetime.fromisoformat(text).timestamp()
            service.core.clock = lambda: instant
            service.core.ledger._writer._clock = lambda: instant

        await story(world, service, at)

    world.play(told)


async def held(world: World, service: Keyturn, text: str = HELD) -> Any:
    session = await world.session(service)
    return await service.authorize(world.action(session, text), world.around)


def test_an_approval_outside_the_window_is_refused_with_the_next_opening(tmp_path: Path) -> None:
    async def story(world: World, service: Keyturn, at: Any) -> None:
        at(SUNDAY)
        outcome = await held(world, service)
        assert "The window office is closed; it opens Mon 6 Jan 2031" in outcome.words
        with pytest.raises(OutsideWindow, match=r"it opens Mon 6 Jan 2031, 09:00 CET"):
            await decide(service, outcome.request, "riley")
        view = await service.request(outcome.request, person(service, "riley"))
        assert "The window office is closed" in view.may_decide
        assert view.may_deny == ""
        assert view.state == "waiting"
        at(MONDAY)
        assert (await decide(service, outcome.request, "riley")).state == "approved"

    play(tmp_path, IN_OFFICE, story)


def test_a_denial_is_never_outside_a_window(tmp_path: Path) -> None:
    async def story(world: World, service: Keyturn, at: Any) -> None:
        at(SUNDAY)
        outcome = await held(world, service)
        assert (await decide(service, outcome.request, "riley", "deny")).state == "denied"

    play(tmp_path, IN_OFFICE, story)


def test_what_was_approved_in_the_window_does_not_run_outside_of_it(tmp_path: Path) -> None:
    """The approval of a late afternoon is no permit for the night: looked at when it is claimed, and when it is used."""

    async def story(world: World, service: Keyturn, at: Any) -> None:
        at("2031-01-06T16:59:30+01:00")
        outcome = await held(world, service)
        assert (await decide(service, outcome.request, "riley")).state == "approved"
        at(EVENING)
        with pytest.raises(NotNow, match="it opens Tue 7 Jan 2031, 09:00 CET"):
            await service.claim(outcome.request, outcome.digest, "hooks:test@here")
        # A permit that was claimed in time and is used too late.
        at("2031-01-07T16:59:30+01:00")
        again = await held(world, service)
        await decide(service, again.request, "riley")
        claimed = await service.claim(again.request, again.digest, "hooks:test@here")
        at("2031-01-07T17:00:05+01:00")
        with pytest.raises(PermitNotNow):
            await service.consume(claimed.permit.token, again.digest, "hooks:test@here")
        assert service.core.ledger.row("action", again.action)["permit"].get("consumed") is None

    play(tmp_path, IN_OFFICE, story)


def test_within_the_window_it_runs(tmp_path: Path) -> None:
    """The negative control: without a closed window the same journey reaches its end."""

    async def story(world: World, service: Keyturn, at: Any) -> None:
        at(MONDAY)
        outcome = await held(world, service)
        await decide(service, outcome.request, "riley")
        claimed = await service.claim(outcome.request, outcome.digest, "hooks:test@here")
        assert await service.consume(claimed.permit.token, outcome.digest, "hooks:test@here")

    play(tmp_path, IN_OFFICE, story)


def test_a_clock_that_is_set_back_opens_no_window_again(tmp_path: Path) -> None:
    async def story(world: World, service: Keyturn, at: Any) -> None:
        at(EVENING)
        outcome = await held(world, service)
        service.core.clock = lambda: datetime.fromisoformat(MONDAY).timestamp()  # this machine's clock alone
        with pytest.raises(OutsideWindow):
            await decide(service, outcome.request, "riley")

    play(tmp_path, IN_OFFICE, story)


def test_a_freeze_refuses_changes_and_lets_people_look(tmp_path: Path) -> None:
    async def story(world: World, service: Keyturn, at: Any) -> None:
        at("2031-12-24T12:00+01:00")
        outcome = await held(world, service)
        assert outcome.verdict == "refuse"
        assert "Frozen until Fri 2 Jan 2032" in outcome.words
        assert "the accounts are closed" in outcome.words
        assert (await held(world, service, ALLOWED)).verdict == "run"
        at("2032-01-02T08:00+01:00")
        assert (await held(world, service)).verdict == "hold"

    play(tmp_path, FREEZE, story)


def test_what_was_decided_before_a_freeze_does_not_run_in_it(tmp_path: Path) -> None:
    async def story(world: World, service: Keyturn, at: Any) -> None:
        at("2031-12-23T17:50+01:00")
        waiting = await held(world, service)
        approved = await held(world, service, "rm -r dist")
        await decide(service, approved.request, "riley")
        at("2031-12-23T17:59:30+01:00")
        allowed = await held(world, service, "touch made")
        assert allowed.verdict == "run"
        at("2031-12-23T18:00+01:00")
        with pytest.raises(Frozen, match="accounts are closed"):
            await decide(service, waiting.request, "riley")
        with pytest.raises(NotNow):
            await service.claim(approved.request, approved.digest, "hooks:test@here")
        with pytest.raises(PermitNotNow):
            await service.consume(allowed.permit.token, allowed.digest, "hooks:test@here")
        assert (await decide(service, waiting.request, "riley", "deny")).state == "denied"

    play(tmp_path, FREEZE, story)


def test_a_freeze_that_holds_asks_its_own_people(tmp_path: Path) -> None:
    holding = FREEZE + "decision = 'hold'\napprove = '2 of reviewers'\n"

    async def story(world: World, service: Keyturn, at: Any) -> None:
        at("2031-12-23T17:59:30+01:00")
        before = await held(world, service, "touch made")
        at("2031-12-24T12:00+01:00")
        with pytest.raises(PermitRefused):  # decided before anybody knew of the freeze
            await service.consume(before.permit.token, before.digest, "hooks:test@here")
        outcome = await held(world, service, "touch made")
        assert outcome.verdict == "hold"
        assert outcome.decision.obligations.approve == "2 of reviewers"
        await decide(service, outcome.request, "riley")
        assert (await decide(service, outcome.request, "sam")).state == "approved"
        claimed = await service.claim(outcome.request, outcome.digest, "hooks:test@here", consume=True)
        assert claimed.verdict == "run"

    play(tmp_path, holding, story)


def test_a_tier_asks_for_what_it_says_and_the_request_shows_it(tmp_path: Path) -> None:
    tiers = "[tier.medium]\nreason = 'required'\napprove = '2 of reviewers'\n"

    async def story(world: World, service: Keyturn, at: Any) -> None:
        outcome = await held(world, service)
        view = await service.request(outcome.request, None)
        assert view.risk is not None
        assert view.risk.tier == "medium"
        assert (view.obligations.approve, view.obligations.reason_required) == ("2 of reviewers", True)
        assert view.obligations == outcome.decision.obligations
        with pytest.raises(KeyturnError, match="without a reason"):
            await decide(service, outcome.request, "riley")
        assert (await decide(service, outcome.request, "riley", "deny")).state == "denied"

    play(tmp_path, tiers, story)


def test_the_same_tier_without_a_section_asks_for_nothing_more(tmp_path: Path) -> None:
    async def story(world: World, service: Keyturn, at: Any) -> None:
        outcome = await held(world, service)
        assert (await decide(service, outcome.request, "riley")).state == "approved"

    play(tmp_path, "[tier.critical]\napprove = '9 of nobody'\n", story)


def test_gates_that_keep_answers_are_told_of_a_freeze_and_keep_none_in_it(tmp_path: Path) -> None:
    """The exec gate remembers what policy allowed by itself: a freeze that begins must be known to it."""

    async def story(world: World, service: Keyturn, at: Any) -> None:
        at("2031-12-23T17:59+01:00")
        session = await world.session(service)
        digest = service.core.policy.digest
        turns = await service.expire()
        assert turns == datetime.fromisoformat("2031-12-23T18:00+01:00").timestamp() * 1000
        assert service.standing(session, str(world.work)) == digest
        told: list[str] = []
        service.watch(session, lambda: told.append("begins"))
        at("2031-12-23T18:00+01:00")
        await service.expire()
        assert told == ["begins"]
        assert service.standing(session, str(world.work)) != digest, "no answer from before stands"
        service.watch(session, lambda: told.append("ends"))
        await service.expire()
        assert told == ["begins"], "told once"
        at("2032-01-02T08:00+01:00")
        await service.expire()
        assert told == ["begins", "ends"]
        assert service.standing(session, str(world.work)) == digest

    play(tmp_path, FREEZE, story)


def test_what_people_let_run_again_before_a_freeze_does_not_cover_it(tmp_path: Path) -> None:
    """And a grant opened in the freeze does: the people who opened it knew."""
    holding = "[default]\ngrant = '1h'\n" + FREEZE + "decision = 'hold'\n"

    async def story(world: World, service: Keyturn, at: Any) -> None:
        session = await world.session(service)

        async def ask() -> Any:
            return await service.authorize(world.action(session, HELD), world.around)

        at("2031-12-23T17:50+01:00")
        first = await ask()
        await decide(service, first.request, "riley", grant="3000s")
        await service.claim(first.request, first.digest, "hooks:test@here", consume=True)
        assert (await ask()).verdict == "run", "the grant covers it"
        at("2031-12-23T18:01+01:00")
        again = await ask()
        assert again.verdict == "hold"
        assert "Frozen until" in again.words
        await decide(service, again.request, "riley", grant="3000s")
        await service.claim(again.request, again.digest, "hooks:test@here", consume=True)
        assert (await ask()).verdict == "run"

    play(tmp_path, holding, story)


def test_a_grant_runs_nothing_outside_of_the_window(tmp_path: Path) -> None:
    async def story(world: World, service: Keyturn, at: Any) -> None:
        session = await world.session(service)

        async def ask() -> Any:
            return await service.authorize(world.action(session, HELD), world.around)

        at("2031-01-06T16:50+01:00")
        first = await ask()
        await decide(service, first.request, "riley", grant="3000s")
        await service.claim(first.request, first.digest, "hooks:test@here", consume=True)
        late = await ask()
        assert late.verdict == "run"
        at(EVENING)
        assert (await ask()).verdict == "hold"

    play(tmp_path, IN_OFFICE + "grant = '1h'\n", story)


def test_a_plan_runs_nothing_in_a_freeze_nor_outside_of_the_window_and_is_not_left_by_that(
    tmp_path: Path,
) -> None:
    async def story(world: World, service: Keyturn, at: Any) -> None:
        session = await world.session(service)

        async def ask(script: str = HELD) -> Any:
            return await service.authorize(world.action(session, script), world.around, consume=True)

        at("2031-12-23T16:40+01:00")
        steps = [Proposed(world.action(session, one), world.around) for one in (HELD, "rm -r other")]
        answer = await service.propose_plan(steps, "", 86_400)
        await decide(service, answer.request, "riley")
        at("2031-12-23T17:10+01:00")
        assert (await ask()).verdict == "hold", "the office is closed"
        at("2031-12-23T18:01+01:00")
        assert (await ask()).verdict != "run", "frozen"
        (plan,) = await service.plans("open", 10)
        assert plan.next == 1, "nobody left the plan"

    play(tmp_path, IN_OFFICE + FREEZE, story)


def test_a_plan_runs_inside_of_the_window(tmp_path: Path) -> None:
    """Negative control of the test above."""

    async def story(world: World, service: Keyturn, at: Any) -> None:
        session = await world.session(service)
        at("2031-12-22T16:40+01:00")
        step = Proposed(world.action(session, HELD), world.around)
        answer = await service.propose_plan([step], "", 86_400)
        await decide(service, answer.request, "riley")
        assert (await service.authorize(step.action, step.around, consume=True)).verdict == "run"

    play(tmp_path, IN_OFFICE + FREEZE, story)
