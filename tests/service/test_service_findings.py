"""The life of a finding over a real log: who may do what, what stays, what follows (promises 3, 6, 7)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from service_world import ALLOWED, HELD, World, decide, person, types

from keyturn.drift.finding import Drift, Explanation
from keyturn.drift.finding_life import Move, NotInThisState, OwnFinding
from keyturn.policy.drift import DriftRules
from keyturn.policy.drift.lag import Lag
from keyturn.service import finding_moves, findings
from keyturn.service.detectors import FOLLOWERS
from keyturn.service.errors import ReadsOnly
from keyturn.service.finding_follower import FindingFollower
from keyturn.service.following import Follower, Following
from keyturn.service.keyturn import Keyturn

DAY = 24 * 3600 * 1000


def drift(session: str = "", kind: str = "credential.shared", key: str = "k", **more: Any) -> Drift:
    subject = {"agent": "claude-code", **({"session": session} if session else {})}
    return Drift(kind, (key,), "Something was seen.", subject, **more)


async def opened(service: Keyturn, found: Drift) -> str:
    """Open it; its id."""
    await findings.record(service.core, found)
    return findings.views(service.core)[0].id


async def do(service: Keyturn, finding: str, who: str, verb: Any, **more: Any) -> Any:
    wish = Move(verb, who, **{"reason": "looked at it", **more})
    return await finding_moves.move(service.core, finding, person(service, who), wish)


def test_the_human_of_the_session_settles_nothing_and_somebody_else_does(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        finding = await opened(service, drift(session))
        assert (await do(service, finding, "dana", "acknowledge")).state == "acknowledged"
        for verb in ("explain", "close"):
            with pytest.raises(OwnFinding):
                await do(service, finding, "dana", verb)
        with pytest.raises(OwnFinding):
            await do(service, finding, "dana", "accept", until=service.core.now() + DAY)
        before = service.core.ledger.size
        done = await do(service, finding, "riley", "close", outcome="false-alarm")  # the negative control
        assert (done.state, service.core.ledger.size) == ("closed", before + 1)
        with pytest.raises(NotInThisState):
            await do(service, finding, "sam", "reopen")

    world.play(story)


def test_what_can_not_be_recorded_keeps_nothing_else_out_of_the_log(world: World) -> None:
    class Finds(Follower):
        def tick(self, now: int) -> list[Drift]:
            return [drift(key="broken", cause="\ud800"), drift(key="small")]

    async def story(service: Keyturn) -> None:
        following = Following(service.core, (Finds,))
        await following.tick(service.core.now())
        assert following.failed == 1
        (found,) = findings.views(service.core)
        assert found.kind == "credential.shared"

    world.play(story)


def test_what_is_seen_again_after_closing_is_a_new_finding_and_before_it_is_not(world: World) -> None:
    async def story(service: Keyturn) -> None:
        first = await opened(service, drift())
        assert await opened(service, drift()) == first
        await do(service, first, "riley", "close")
        assert await opened(service, drift()) != first

    world.play(story)


def test_one_that_a_change_explains_hides_no_other(world: World) -> None:
    async def story(service: Keyturn) -> None:
        known = await opened(service, drift(explanation=Explanation("PROVEN", change="r_1")))
        assert findings.views(service.core)[0].state == "explained"
        assert await opened(service, drift(explanation=Explanation("PROVEN", change="r_1"))) == known
        assert await opened(service, drift()) != known
        assert [one.state for one in findings.views(service.core)] == ["open", "explained"]

    world.play(story)


def test_policy_knows_the_kinds_that_are_open_about_the_agent(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        action = world.action(session, ALLOWED)
        from keyturn.service import finding_facts

        def kinds() -> tuple[str, ...]:
            return finding_facts.kinds(service.core, service.core.ledger, action)

        assert kinds() == ()
        finding = await opened(service, drift())
        other = Drift("breakglass.unreviewed", ("x",), "It.", {"agent": "another"})
        await findings.record(service.core, other)
        assert kinds() == ("credential.shared",)
        await do(service, finding, "riley", "acknowledge")
        assert kinds() == ("credential.shared",)
        await do(service, finding, "riley", "accept", until=service.core.now() + DAY)
        assert kinds() == ()
        outcome = await service.authorize(action, world.around)
        assert outcome.verdict == "run"

    world.play(story)


def test_an_acceptance_ends_by_itself_and_the_finding_is_open_again(world: World) -> None:
    async def story(service: Keyturn) -> None:
        finding = await opened(service, drift())
        until = service.core.now() + DAY
        await do(service, finding, "riley", "accept", until=until)
        following = Following(service.core, FOLLOWERS)
        await following.tick(until - 1)
        assert findings.views(service.core)[0].state == "accepted"
        service.core.clock = lambda: (until + 1) / 1000
        await following.tick(until + 1)
        await following.tick(until + 2)
        found = findings.view(service.core, findings.required(service.core, finding))
        assert (found.state, [step.verb for step in found.life]) == ("open", ["accepted", "reopened"])
        assert types(service).count("finding.reopened") == 1

    world.play(story)


def test_rows_are_rebuilt_to_the_same_bytes(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        finding = await opened(service, drift(session))
        await do(service, finding, "riley", "accept", until=service.core.now() + DAY)
        await do(service, finding, "sam", "reopen")
        await finding_moves.looked(service.core, finding, person(service, "sam"))
        assert not (await asyncio.to_thread(service.core.ledger.rebuild)).differing

    world.play(story)


def test_the_author_of_the_change_does_not_explain_with_it_and_nobody_with_what_was_not_approved(
    world: World,
) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        finding = await opened(service, drift(session))
        held = await service.authorize(world.action(session, HELD), world.around)
        change = str(held.request)
        with pytest.raises(finding_moves.ChangeUnknown):
            await do(service, finding, "riley", "explain", change=change)
        await decide(service, change, "sam")
        with pytest.raises(OwnFinding):
            await do(service, finding, "dana", "explain", change=change)
        done = await do(service, finding, "riley", "explain", change=change)
        assert (done.state, done.change, done.explanation.grade) == ("explained", change, "NONE")
        closed = await do(service, finding, "riley", "close", outcome="explained")
        assert closed.life[-1].outcome == "explained"
        other = await opened(service, drift(key="other"))
        with pytest.raises(OwnFinding):
            await do(service, other, "dana", "close", outcome="explained", change=change)

    world.play(story)


def test_nobody_looked_is_a_finding_once_and_a_look_says_what_ran(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        session = await world.session(service)
        finding = await opened(service, drift(session))
        for _ in range(3):
            await service.authorize(world.action(session, ALLOWED), world.around)
        following = Following(core, [FindingFollower])
        core.policy.drift = DriftRules(lag=Lag(3600))
        later = core.now() + 3_600_000
        await following.tick(later - 60_000)
        assert types(service).count("finding.opened") == 1
        core.clock = lambda: later / 1000
        for _ in range(2):
            await following.tick(later)
        kinds = [one.kind for one in findings.views(core)]
        assert kinds == ["lag.unseen", "credential.shared"], "once, and not of itself"
        assert findings.unseen_count(core) == 1
        for who in ("dana", "riley", "sam"):  # Dana has a part in it, Sam is late
            await finding_moves.looked(core, finding, person(service, who))
        seen = findings.view(core, findings.required(core, finding)).viewed
        assert seen is not None
        assert seen.exposure is not None
        assert (seen.by, seen.exposure.actions, findings.unseen_count(core)) == ("riley", 3, 0)
        assert types(service).count("finding.viewed") == 1
        assert following.failed == 0

    world.play(story)


def test_an_auditor_reads_and_settles_nothing(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await service.enrol("aud", name="", groups=[], roles=["auditor"], os_uids=[], by="dana")
        finding = await opened(service, drift())
        with pytest.raises(ReadsOnly):
            await do(service, finding, "aud", "acknowledge")
        await finding_moves.looked(service.core, finding, person(service, "aud"))
        assert types(service).count("finding.viewed") == 0

    world.play(story)
