"""A finding without an explanation says what was searched, and names a candidate only where something is about the same thing."""

from __future__ import annotations

from msgspec.structs import replace
from service_world import GATE, HELD, World, decide

from keyturn.drift.finding import Drift, Explanation
from keyturn.service.keyturn import Keyturn
from keyturn.service.searching import explained


def test_what_people_approved_is_a_candidate_and_never_more(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core, session = service.core, await world.session(service)
        held = await service.authorize(world.action(session, HELD), world.around)
        assert held.request
        await decide(service, held.request, "riley", reason="build output")
        await service.claim(held.request, held.digest, GATE.name, consume=True)
        entry = (core.ledger.row("action", held.action) or {})["entry"]
        found = Drift("ratchet.surface", ("a",), "It moved.", {"agent": "claude-code"}, entries=(entry,))
        linked = explained(core, found).explanation
        assert (linked.grade, linked.change, linked.actor) == ("CANDIDATE", held.request, "dana")
        assert (linked.approvers, linked.reason) == (("riley",), "build output")
        other = explained(
            core, replace(found, entries=(1,))
        ).explanation  # negative control: the same time, another action
        assert (other.grade, other.change) == ("NONE", "")
        assert other.searched.startswith("Searched 1 approved change from ")
        assert other.searched.endswith("none is about agent claude-code.")

    world.play(story)


def test_what_a_detector_knows_stands(world: World) -> None:
    async def story(service: Keyturn) -> None:
        known = Explanation("PROVEN", "r_1")
        found = Drift("ratchet.surface", ("a",), "It moved.", explanation=known)
        assert explained(service.core, found).explanation == known
        old = explained(service.core, Drift("ratchet.surface", ("a",), "It moved.")).explanation
        assert old.searched.startswith("Searched 0 approved changes")

    world.play(story)
