"""The risk is recorded when a request opens, is part of what is shown, and counts what this agent asked for before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from service_world import World, decide

from keyturn.approvals.statement import display_digest
from keyturn.errors import KeyturnError
from keyturn.policy.risk import Risk
from keyturn.service import requests
from keyturn.service.keyturn import Keyturn


async def _held(world: World, service: Keyturn, script: str) -> Any:
    session = await world.session(service)
    outcome = await service.authorize(world.action(session, script), world.around)
    assert outcome.request is not None
    return await service.request(outcome.request, None)


def test_it_is_recorded_with_the_request_and_digested_with_what_is_shown(world: World) -> None:
    async def story(service: Keyturn) -> None:
        view = await _held(world, service, "rm -r build")
        entry = service.core.ledger.entry(view.entry)
        assert entry is not None
        assert view.risk is not None
        assert msgspec.convert(entry.fields["risk"], Risk) == view.risk
        assert view.risk.tier == "medium"
        row = requests.required(service.core, view.id)
        lower = {**row, "risk": {**row["risk"], "tier": "low"}}
        assert display_digest(requests.document(service.core, lower)) != view.display
        with pytest.raises(KeyturnError):
            await decide(
                service, view.id, "riley", display=display_digest(requests.document(service.core, lower))
            )

    world.play(story)


def test_a_request_of_an_older_version_keeps_its_digest(world: World) -> None:
    async def story(service: Keyturn) -> None:
        view = await _held(world, service, "rm -r build")
        row = requests.required(service.core, view.id)
        old = {key: value for key, value in row.items() if key not in ("risk", "shape")}
        assert "risk" not in requests.document(service.core, old)

    world.play(story)


def test_what_was_asked_before_is_less_new_and_what_was_denied_weighs_more(world: World) -> None:
    async def story(service: Keyturn) -> None:
        first = await _held(world, service, "rm -r build")
        again = await _held(world, service, "rm -r dist")
        assert first.shape == again.shape
        other = await _held(world, service, "rm -r -v dist")
        assert other.shape != first.shape
        assert again.risk.score < first.risk.score == other.risk.score
        await decide(service, first.id, "riley", "deny")
        denied = await _held(world, service, "rm -r out")
        assert denied.risk.score > again.risk.score
        assert any("denied" in line.words for line in denied.risk.lines)

    world.play(story)


def test_another_agents_habits_do_not_count(world: World) -> None:
    async def story(service: Keyturn) -> None:
        first = await _held(world, service, "rm -r build")
        session = await world.session(service)
        action = world.action(session, "rm -r build")
        who = action.attribution
        from msgspec.structs import replace

        other = replace(action, attribution=replace(who, agent=replace(who.agent, name="other")), cwd="/")
        outcome = await service.authorize(other, world.around)
        view = await service.request(outcome.request or "", None)
        assert view.risk is not None
        assert any(line.factor == "novelty" for line in view.risk.lines)
        assert first.shape  # the same words elsewhere are another agent's

    world.play(story)
