"""Several requests decided together: only those that differ in words alone; each gets its own decision and entry."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from service_world import World, person

from keyturn.approvals.gesture import Gesture, NotTogether
from keyturn.errors import KeyturnError
from keyturn.service.batches import Item
from keyturn.service.keyturn import Keyturn


async def _ask(world: World, service: Keyturn, session: str, script: str, **changes: Any) -> Any:
    outcome = await service.authorize(world.action(session, script, **changes), world.around)
    assert outcome.request is not None
    return await service.request(outcome.request, None)


def _items(*views: Any) -> list[Item]:
    return [Item(view.id, view.digest, view.display) for view in views]


async def _together(service: Keyturn, views: Any, choice: Any = "approve", **changes: Any) -> Any:
    given = {"reason": "", "channel": "test", **changes}
    return await service.decide_together(_items(*views), person(service, "riley"), choice, **given)


def test_each_is_decided_and_recorded_on_its_own(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        views = [await _ask(world, service, session, f"rm -r {name}") for name in ("build", "dist", "out")]
        assert (await service.request(views[0].id, None)).alike == 3
        listed = await service.together(views[1].id, person(service, "riley"))
        assert [view.id for view in listed] == [view.id for view in views]
        results = await _together(service, views, gesture=Gesture(dwell_ms=9_000))
        assert [one.state for one in results] == ["approved"] * 3
        entries = [service.core.ledger.entry(one.entry) for one in results]
        batches = {entry.fields["gesture"]["batch"] for entry in entries if entry is not None}
        assert len(entries) == 3
        assert [e.fields["gesture"]["dwell_ms"] for e in entries if e is not None] == [3_000] * 3
        assert len(batches) == 1
        assert await service.together(views[0].id, person(service, "riley")) == []

    world.play(story)


@pytest.mark.parametrize(
    ("other", "changes"),
    [
        ("rm -r -v dist", {}),  # another option
        ("rm -r dist extra", {}),  # one word more
        ("rm -r dist; ls", {}),  # something after it
        ("rm -r dist", {"cwd": "/"}),  # elsewhere
        ("rm -r dist", {"environment": {"LD_PRELOAD": "/x.so"}}),
        ("rm -r dist", {"executes": {"/x": "sha256:" + "1" * 64}}),
        ("rm -r ~/notes", {}),  # in the home, not in the workspace
    ],
)
def test_what_differs_in_more_than_words_is_refused_before_any_is_decided(
    world: World, other: str, changes: dict[str, Any]
) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        one = await _ask(world, service, session, "rm -r build")
        two = await _ask(world, service, session, other, **changes)
        with pytest.raises(NotTogether):
            await _together(service, (one, two))
        assert {(await service.request(v.id, None)).state for v in (one, two)} == {"waiting"}

    world.play(story)


def test_other_agents_and_definitions_are_not_mixed(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        one = await _ask(world, service, session, "rm -r build")
        who = world.action(session, "rm -r dist").attribution
        two = await _ask(
            world, service, session, "rm -r dist", attribution=replace(who, definition="sha256:" + "2" * 64)
        )
        with pytest.raises(NotTogether):
            await _together(service, (one, two))

    world.play(story)


def test_a_wrong_digest_of_one_stops_that_one_only(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        one = await _ask(world, service, session, "rm -r build")
        two = await _ask(world, service, session, "rm -r dist")
        results = await _together(service, (one, replace(two, digest=one.digest)))
        assert [(r.state, r.entry is None) for r in results] == [("approved", False), ("waiting", True)]
        assert "other bytes" in results[1].words

    world.play(story)


def test_nobody_approves_their_own_by_taking_several(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        views = [await _ask(world, service, session, f"rm -r {name}") for name in ("build", "dist")]
        assert await service.together(views[0].id, person(service, "dana")) == []
        results = await service.decide_together(
            _items(*views), person(service, "dana"), "approve", reason="", channel="test"
        )
        assert {r.entry for r in results} == {None}

    world.play(story)


def test_twice_the_same_or_only_one_is_no_batch(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        one = await _ask(world, service, session, "rm -r build")
        for views in ((one,), (one, one)):
            with pytest.raises(KeyturnError):
                await _together(service, views)

    world.play(story)


def test_the_queue_is_ordered_by_care_and_then_by_time(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        medium = await _ask(world, service, session, "rm -r build")
        high = await _ask(world, service, session, "frobnicate --all")
        critical = await _ask(world, service, session, "scp dump.sql db.prod.example:/srv/")
        again = await _ask(world, service, session, "rm -r dist")
        listed = await service.requests("waiting")
        assert [one.id for one in listed] == [critical.id, high.id, medium.id, again.id]
        pages = []
        before = None
        while found := await service.requests("waiting", None, 1, before):
            pages.append(found[0].id)
            before = found[0].id
        assert pages == [one.id for one in listed]
        assert [one.id for one in await service.requests("waiting", rank="medium")] == [medium.id, again.id]
        assert service.waiting_counts() == {"critical": 1, "high": 1, "change": 0, "medium": 2, "low": 0}

    world.play(story)
