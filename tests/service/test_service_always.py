"""“Always allow” from a request: what it would have run, another person's approval, its end; and rules that nobody uses."""

from __future__ import annotations

from typing import Any

import pytest
from service_world import World, decide, person, types

from keyturn.errors import KeyturnError
from keyturn.service import allowing
from keyturn.service.keyturn import Keyturn

DAY = 86_400_000


async def _held(world: World, service: Keyturn, script: str = "rm -r build") -> Any:
    session = await world.session(service)
    outcome = await service.authorize(world.action(session, script), world.around)
    return await service.request(outcome.request or "", None) if outcome.request else outcome


async def _proposed(service: Keyturn, request: str) -> Any:
    found = await service.always_allow(request)
    return await service.propose_always(
        request, person(service, "dana"), days=30, digest=found.digest, note="asked daily"
    )


def test_it_is_tried_on_the_past_and_says_what_people_denied(world: World) -> None:
    async def story(service: Keyturn) -> None:
        first = await _held(world, service)
        again = await _held(world, service)
        other = await _held(world, service, "rm -r dist")
        await decide(service, first.id, "riley", "deny")
        found = await service.always_allow(again.id)
        assert (found.looked, found.count, found.denied) == (3, 2, 1)
        assert {one.request for one in found.allowed} == {first.id, again.id}
        assert other.id not in {one.request for one in found.allowed}
        assert "PEOPLE DENIED 1 of the 2" in found.warnings[0]

    world.play(story)


def test_another_person_approves_it_and_then_it_runs_until_it_ends(world: World) -> None:
    async def story(service: Keyturn) -> None:
        held = await _held(world, service)
        asked = await _proposed(service, held.id)
        assert asked.subject == "policy"
        assert (await _held(world, service)).state == "waiting"
        with pytest.raises(KeyturnError) as refused:
            await decide(service, asked.id, "dana")
        assert refused.value.code == "approver.initiator"
        await decide(service, asked.id, "riley")
        assert (await _held(world, service)).verdict == "run"
        assert (await _held(world, service, "rm -r dist")).state == "waiting"
        before = service.core.clock
        service.core.clock = lambda: before() + 32 * DAY / 1000
        assert (await _held(world, service)).state == "waiting"

    world.play(story)


def test_only_what_was_shown_is_proposed_and_only_by_authors(world: World) -> None:
    async def story(service: Keyturn) -> None:
        held = await _held(world, service)
        found = await service.always_allow(held.id)
        with pytest.raises(KeyturnError):
            await service.propose_always(held.id, person(service, "dana"), days=7, digest=found.digest)
        with pytest.raises(KeyturnError) as refused:
            await service.propose_always(held.id, person(service, "riley"), days=30, digest=found.digest)
        assert refused.value.code == "auth.forbidden"
        assert "policy.proposed" not in types(service)

    world.play(story)


def _later(service: Keyturn, days: float) -> None:
    """The clocks of the use cases and of the ledger go on by *days*."""
    before = service.core.clock

    def clock() -> float:
        return before() + days * DAY / 1000

    service.core.clock = clock
    service.core.ledger._writer._clock = clock


def test_rules_that_nobody_uses_come_up_for_review_by_themselves(world: World) -> None:
    async def story(service: Keyturn) -> None:
        held = await _held(world, service)
        await decide(service, (await _proposed(service, held.id)).id, "riley")
        assert not await allowing.decay(service.core)
        _later(service, 31)
        assert await allowing.decay(service.core)
        assert not await allowing.decay(service.core)
        entry = next(e for e in service.core.ledger.entries() if e.type == "review.opened")
        assert len(entry.fields["rules"]) == 1
        _later(service, 31)
        assert await allowing.decay(service.core)

    world.play(story)


def test_a_rule_in_use_does_not_come_up(world: World) -> None:
    async def story(service: Keyturn) -> None:
        held = await _held(world, service)
        await decide(service, (await _proposed(service, held.id)).id, "riley")
        _later(service, 20)
        assert (await _held(world, service)).verdict == "run"
        _later(service, 11)
        assert not await allowing.decay(service.core)

    world.play(story)


def test_there_is_no_rule_for_what_was_not_understood(world: World) -> None:
    async def story(service: Keyturn) -> None:
        held = await _held(world, service, "frobnicate --all")
        with pytest.raises(KeyturnError) as refused:
            await service.always_allow(held.id)
        assert refused.value.code == "policy.no_rule"

    world.play(story)


def test_a_second_rule_stands_beside_the_first(world: World) -> None:
    async def story(service: Keyturn) -> None:
        one = await _held(world, service)
        await decide(service, (await _proposed(service, one.id)).id, "riley")
        two = await _held(world, service, "rm -r dist")
        await decide(service, (await _proposed(service, two.id)).id, "sam")
        assert (await _held(world, service)).verdict == "run"
        assert (await _held(world, service, "rm -r dist")).verdict == "run"

    world.play(story)


def test_rules_that_nobody_used_are_listed_and_reviewed(world: World) -> None:
    async def story(service: Keyturn) -> None:
        held = await _held(world, service)
        await decide(service, (await _proposed(service, held.id)).id, "riley")
        rule = next(r.id for r in service.core.policy.rules if r.lifts)
        assert rule in {one.rule for one in await service.unused_rules()}
        assert (await _held(world, service)).verdict == "run"
        assert rule not in {one.rule for one in await service.unused_rules()}
        before = service.core.clock
        service.core.clock = lambda: before() + 40 * DAY / 1000
        assert {one.rule: one.ended for one in await service.unused_rules()}[rule]
        with pytest.raises(KeyturnError):
            await service.review_rules(person(service, "riley"))
        assert "review.opened" not in types(service)
        await service.review_rules(person(service, "dana"))
        assert types(service).count("review.opened") == 1

    world.play(story)
