"""A follower is told of the entries that it reads, and of no others, which would say nothing to it."""

from __future__ import annotations

from collections.abc import Sequence

from service_world import ALLOWED, HELD, World, decide, person

from keyturn.drift.definition import Definition
from keyturn.drift.finding import Drift
from keyturn.drift.finding_life import Move
from keyturn.ledger.entries import ENTRY_TYPES, Entry
from keyturn.service import finding_moves
from keyturn.service.detectors import FOLLOWERS
from keyturn.service.following import Follower, Following, Noted
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Receipt


async def _story(world: World, service: Keyturn) -> None:
    """Entries of many types."""
    session = await world.session(service)
    await service.define(session, Definition("claude-code"))
    for command in (ALLOWED, HELD, "echo x > /etc/motd", f"git -C {world.work} log"):
        outcome = await service.authorize(world.action(session, command), world.around, consume=True)
        if outcome.request:
            await decide(service, outcome.request, "riley", reason="needed")
        if outcome.permit:
            await service.report(Receipt(outcome.action, outcome.permit.id, "done", exit_code=0))
    await service.close_session(session)


def test_what_a_follower_does_not_read_would_say_nothing_to_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await _story(world, service)
        entries = list(service.core.ledger.entries())
        assert len({entry.type for entry in entries}) > 10
        some = 0
        for make in FOLLOWERS:
            follower = make(service.core)
            assert follower.reads is not None
            assert follower.reads <= set(ENTRY_TYPES)
            for entry in entries:
                if entry.type not in follower.reads:
                    assert not list(follower.landed(entry)), (follower.name, entry.type)
            some += sum(len(list(follower.landed(one))) for one in entries if one.type in follower.reads)
        assert some  # the negative control: of what they read they do say something

    world.play(story)


def test_followers_are_told_of_all_that_they_read_in_order(world: World) -> None:
    told: dict[str, list[int]] = {"all": [], "some": []}

    class All(Follower):
        name = "all"

        def landed(self, entry: Entry) -> Sequence[Noted]:
            told[self.name].append(entry.index)
            return ()

    class Some(All):
        name = "some"
        reads = frozenset(("action.decided", "session.closed"))

    async def story(service: Keyturn) -> None:
        await _story(world, service)
        following = Following(service.core, (All, Some))
        await following.catch_up()
        entries = list(service.core.ledger.entries())
        assert told["all"] == [entry.index for entry in entries]
        assert told["some"] == [entry.index for entry in entries if entry.type in Some.reads]
        assert told["some"]

    world.play(story)


def test_what_people_closed_is_not_opened_again_by_reading_the_same_entries_again(world: World) -> None:
    class One(Follower):
        name = "one"
        reads = frozenset(("session.opened",))

        def landed(self, entry: Entry) -> Sequence[Noted]:
            return [Drift("order.broken", ("o",), "An order was broken.")]

    async def story(service: Keyturn) -> None:
        async def found(following: Following | None = None) -> list[str]:
            following = following or Following(service.core, (One,))
            following._next = 0
            await following.catch_up()
            assert following.failed == 0
            rows = service.core.ledger.rows("finding", newest_first=False)
            return [row["state"] for row in rows if row["kind"] == "order.broken"]

        async def close() -> None:
            rows = service.core.ledger.rows("finding")
            [row] = [one for one in rows if one["kind"] == "order.broken" and one["state"] == "open"]
            move = Move("close", "riley", "the order was wrong")
            await finding_moves.move(service.core, row["id"], person(service, "riley"), move)

        slow = Following(service.core, (One,))
        await world.session(service)
        assert await found() == ["open"]
        await close()
        assert await found() == ["closed"]  # as after a restart
        await world.session(service)
        assert await found() == ["closed", "open"]  # the negative control: what is new is a finding
        await close()
        assert await found() == ["closed", "closed"]
        assert await found(slow) == ["closed", "closed", "open"]  # nobody had read that when it was closed

    world.play(story)
