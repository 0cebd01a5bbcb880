"""Drills: nothing can run by one, nobody can tell before the decision, everybody can check after it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from service_world import GATE, World, decide, person, types

from keyturn.approvals.drill import ACTION, seal_of
from keyturn.errors import KeyturnError, Malformed
from keyturn.policy.suggest import NoRule
from keyturn.service import drills, requests, sealed
from keyturn.service.drills import NothingToCopy
from keyturn.service.keyturn import Keyturn


async def _real(world: World, service: Keyturn, script: str = "rm -r build") -> Any:
    session = await world.session(service, "11111111-2222-3333-4444-555555555555")
    outcome = await service.authorize(world.action(session, script), world.around)
    assert outcome.request is not None
    return await service.request(outcome.request, None)


async def _drill(world: World, service: Keyturn, seed: int = 1) -> tuple[Any, Any]:
    real = await _real(world, service)
    drill = await drills.open_one(service.core, random.Random(seed))
    return real, await service.request(drill, None)


async def _approve(service: Keyturn, view: Any, choice: str = "approve") -> Any:
    typed = view.risk.target
    from keyturn.approvals.gesture import Gesture

    return await decide(service, view.id, "riley", choice, reason="looks fine", gesture=Gesture(typed=typed))


def test_an_approved_drill_is_revealed_and_nothing_is_approved(world: World) -> None:
    async def story(service: Keyturn) -> None:
        _, drill = await _drill(world, service)
        after = await _approve(service, drill)
        assert after.state == "withdrawn"
        assert after.drill is not None
        assert not after.drill.caught
        assert "This was a drill" in after.ended_why
        assert after.approvals == ()
        assert "approval.given" not in types(service)
        assert "permit.issued" not in types(service)
        with pytest.raises(KeyturnError) as refused:
            await service.claim(drill.id, drill.digest, GATE.name)
        assert refused.value.code in ("request.not_claimable", "session.closed")

    world.play(story)


def test_the_same_steps_on_the_real_one_end_in_a_permit(world: World) -> None:
    """Negative control: claiming works, so it is the drill that stops it."""

    async def story(service: Keyturn) -> None:
        real, _ = await _drill(world, service)
        assert (await _approve(service, real)).state == "approved"
        outcome = await service.claim(real.id, real.digest, GATE.name)
        assert outcome.permit is not None

    world.play(story)


def test_a_drill_that_was_never_told_can_not_be_claimed_either(world: World) -> None:
    async def story(service: Keyturn) -> None:
        _, drill = await _drill(world, service)
        with pytest.raises(KeyturnError):
            await service.claim(drill.id, drill.digest, GATE.name)
        row = requests.required(service.core, drill.id)
        action = service.core.ledger.row("action", row["action"])
        assert action is not None
        assert action["permit"] is None

    world.play(story)


def test_catching_one_is_told_and_counted(world: World) -> None:
    async def story(service: Keyturn) -> None:
        _, drill = await _drill(world, service)
        after = await _approve(service, drill, "deny")
        assert after.drill.caught
        assert "You caught it" in after.ended_why
        own = service.vigilance(person(service, "riley"), "riley")
        assert (own.decisions, own.drills, own.caught) == (0, 1, 1)

    world.play(story)


def test_before_the_decision_nobody_can_tell_it_from_a_real_one(world: World) -> None:
    async def story(service: Keyturn) -> None:
        real, drill = await _drill(world, service)
        one, other = to_builtins(real), to_builtins(drill)
        assert one.keys() == other.keys()
        assert one["drill"] is None is other["drill"]
        same = ("subject", "kind", "state", "gate", "assurance", "cwd", "seen_before", "attribution")
        assert {name: one[name] for name in same} == {name: other[name] for name in same}
        entries = list(service.core.ledger.entries())
        told = {entry.type for entry in entries}
        assert "drill.decided" not in told
        for kind in ("session.opened", "action.decided", "request.opened"):
            a, b = [entry for entry in entries if entry.type == kind][-2:]
            assert a.fields.keys() == b.fields.keys(), kind
            assert {k: type(v) for k, v in a.fields.items()} == {k: type(v) for k, v in b.fields.items()}
            assert not any("drill" in str(value) for value in b.fields.values())
        a, b = [entry for entry in entries if entry.type == "session.opened"][-2:]
        assert len(a.fields["client_session"]) == len(b.fields["client_session"])
        assert a.fields["client_session"] != b.fields["client_session"]

    world.play(story)


def test_the_rule_for_a_drill_tells_nothing_and_none_is_made_of_it(world: World) -> None:
    """Anybody may look at "always allow" of what waits: a drill that had no rule, or were not in its own replay, would be told by it."""

    async def story(service: Keyturn) -> None:
        real, drill = await _drill(world, service)
        dana = person(service, "dana")
        shown = {one.id: await service.always_allow(one.id) for one in (real, drill)}
        for one in (real, drill):
            assert one.id in {a.request for a in shown[one.id].allowed}
        for one in (real, drill):
            with pytest.raises(Malformed):
                await service.propose_always(one.id, dana, days=30, digest="sha256:other")
        with pytest.raises(NoRule):
            await service.propose_always(drill.id, dana, days=30, digest=shown[drill.id].digest)
        assert "policy.proposed" not in types(service)
        # Negative control: of the real one a rule is proposed; and a drill that was told is no part of the past any more.
        await service.propose_always(real.id, dana, days=30, digest=shown[real.id].digest)
        assert "policy.proposed" in types(service)
        await _approve(service, drill, "deny")
        after = await service.always_allow(drill.id)
        assert drill.id not in {a.request for a in after.allowed}

    world.play(story)


def test_the_seal_can_be_checked_by_anybody_afterwards(world: World) -> None:
    async def story(service: Keyturn) -> None:
        real, drill = await _drill(world, service)
        await _approve(service, drill, "deny")
        opened = {
            e.fields["id"]: e.fields["seal"]
            for e in service.core.ledger.entries()
            if e.type == "request.opened"
        }
        told = next(e.fields for e in service.core.ledger.entries() if e.type == "drill.decided")
        assert seal_of(drill.id, told["mutation"], told["nonce"]) == opened[drill.id]
        assert seal_of(drill.id, ACTION, told["nonce"]) != opened[drill.id]
        assert seal_of(real.id, told["mutation"], told["nonce"]) != opened[real.id]

    world.play(story)


def test_a_request_with_a_seal_that_nobody_knows_is_no_action(world: World) -> None:
    """A seal made with another key, or for a mutation of another version: it is treated as a drill, so it can't run."""

    async def story(service: Keyturn) -> None:
        real = await _real(world, service)
        row = requests.required(service.core, real.id)
        assert not sealed.is_drill(service.core, row)
        assert sealed.is_drill(service.core, {**row, "seal": "sha256:" + "0" * 64})
        assert not sealed.is_drill(
            service.core, {k: v for k, v in row.items() if k != "seal"}
        )  # an older one

    world.play(story)


def test_what_is_refused_on_a_real_one_is_refused_on_a_drill(world: World) -> None:
    async def story(service: Keyturn) -> None:
        _, drill = await _drill(world, service)
        with pytest.raises(KeyturnError) as refused:
            await decide(service, drill.id, "riley", display="sha256:" + "0" * 64, reason="x")
        assert refused.value.code == "approval.other_bytes"
        with pytest.raises(KeyturnError) as refused:
            await decide(service, drill.id, "dana", reason="x")
        assert refused.value.code == "approver.initiator"
        assert (await service.request(drill.id, None)).state == "waiting"

    world.play(story)


def test_a_drill_whose_session_is_stopped_was_caught(world: World) -> None:
    async def story(service: Keyturn) -> None:
        _, drill = await _drill(world, service)
        await service.stop_session(drill.session, person(service, "riley"), "this is not what we do")
        await drills.settle(service.core, drill.id)
        view = await service.request(drill.id, None)
        assert view.drill.caught
        assert view.drill.person == "riley"
        await drills.settle(service.core, drill.id)  # told once
        assert types(service).count("drill.decided") == 1

    world.play(story)


def test_one_that_nobody_decides_is_told_of_and_counts_for_nobody(world: World) -> None:
    async def story(service: Keyturn) -> None:
        _, drill = await _drill(world, service)
        await service.withdraw(drill.id, "over", by="dana")
        await drills.settle(service.core, drill.id)
        view = await service.request(drill.id, None)
        assert (view.drill.person, view.drill.caught) == ("", False)
        assert service.core.ledger.count("review") == 0

    world.play(story)


def test_real_requests_are_left_alone_by_the_settling(world: World) -> None:
    async def story(service: Keyturn) -> None:
        real = await _real(world, service)
        await service.withdraw(real.id, "over", by="dana")
        await drills.settle(service.core, real.id)
        assert "drill.decided" not in types(service)

    world.play(story)


def test_only_administrators_open_them_and_are_not_told_which(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await _real(world, service)
        with pytest.raises(KeyturnError) as refused:
            await service.drill(person(service, "riley"))
        assert refused.value.code == "auth.forbidden"
        assert await service.drill(person(service, "dana")) is None  # type: ignore[func-returns-value]
        assert service.core.ledger.count("request", state="waiting") == 2

    world.play(story)


def test_without_anything_recorded_there_is_none(world: World) -> None:
    async def story(service: Keyturn) -> None:
        with pytest.raises(NothingToCopy):
            await drills.open_one(service.core, random.Random(1))

    world.play(story)


def test_they_come_by_themselves_as_often_as_policy_says(world: World) -> None:
    async def story(service: Keyturn) -> None:
        real = await _real(world, service)
        entry = service.core.ledger.entry(real.entry)
        assert entry is not None
        await drills.follow(service.core, entry)
        assert service.core.ledger.count("request", state="waiting") == 1  # the starter asks for none
        policy = service.core.policy
        policy.requirements = replace(policy.requirements, drills=1.0)
        await drills.follow(service.core, entry)
        assert service.core.ledger.count("request", state="waiting") == 2
        newest = [e for e in service.core.ledger.entries() if e.type == "request.opened"][-1]
        await drills.follow(service.core, newest)  # a drill is not followed by another
        assert service.core.ledger.count("request", state="waiting") == 2

    world.play(story)
