"""A real PostgreSQL with pgaudit: what went past the gate is found, all of it, and nothing else is called a bypass."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import pytest
from drift_gateway import POLICY, SKEW, TARGET, Skewed, compared, past_the_gate, statement, through_the_gate
from drift_postgres import Audited

from keyturn.service.keyturn import Keyturn

STATEMENTS = 3_000
BYPASSES = 64
PARTS = 8


@pytest.fixture
def shop(postgres_audited: Audited) -> Audited:
    """The server with an empty log: a log that was read is put aside."""
    postgres_audited.emptied()
    return postgres_audited


async def _day(world: Skewed, service: Keyturn, shop: Audited, count: int, *, tagged: bool) -> list[str]:
    """*count* statements through the gate, with `BYPASSES` others between them, half of them byte-identical; the latter."""
    dice = random.Random(7)
    said = [statement(dice) for _ in range(count)]
    planted: list[str] = []
    for part in range(PARTS):
        own = said[part * count // PARTS : (part + 1) * count // PARTS]
        width = 100 if tagged else 20
        await through_the_gate(world, service, shop.url(), own, tagged=tagged, width=width, told=not tagged)
        copies = dice.sample(own, BYPASSES // PARTS // 2)
        others = [f"delete from orders where id = {dice.randrange(900, 999)}" for _ in copies]
        await asyncio.to_thread(past_the_gate, shop.url(), [*copies, *others], "" if tagged else "gate")
        planted += [*copies, *others]
    return planted


def _written(shop: Audited, count: int) -> Path:
    """The log, once its collector has written all of *count* audited statements."""
    shop.settled()
    assert shop.csv.read_bytes().count(b"AUDIT: ") >= count
    return shop.csv


def test_every_bypass_of_three_thousand_tagged_statements_is_found_and_nothing_else(
    tmp_path: Path, shop: Audited
) -> None:
    world = Skewed(tmp_path)

    async def story(service: Keyturn) -> None:
        planted = await _day(world, service, shop, STATEMENTS, tagged=True)
        found = await compared(service, _written(shop, STATEMENTS + BYPASSES))
        counts = found.counts
        assert len(planted) == BYPASSES
        assert (counts["tagged"], counts["untagged"], counts["unknown_tag"]) == (STATEMENTS, BYPASSES, 0)
        assert (counts["missing"], counts["surplus"], counts["broken"]) == (0, 0, 0)
        assert {one["principal"] for one in found.bypasses} == {"agent_rw"}
        assert found.coverage == STATEMENTS / (STATEMENTS + BYPASSES)
        assert found.skew is not None
        assert found.skew >= -1000 * SKEW - 5  # what a statement waits for is taken for skew, too
        opened = [one["kind"] for one in service.core.ledger.rows("finding", limit=10)]
        assert opened == ["bypass.untagged"]

    world.play(story)


def test_without_tags_the_count_is_exact_and_no_line_is_accused(tmp_path: Path, shop: Audited) -> None:
    world = Skewed(tmp_path)

    async def story(service: Keyturn) -> None:
        await _day(world, service, shop, 480, tagged=False)
        found = await compared(service, _written(shop, 480 + BYPASSES), tagging="none")
        counts = found.counts
        assert (counts["matched"], counts["surplus"], counts["missing"]) == (480, BYPASSES, 0)
        assert counts["bypasses"] == BYPASSES
        assert found.bypasses == ()  # no guessed row
        assert sum(one["count"] for one in found.surplus) == BYPASSES
        assert found.skew is not None
        assert found.skew >= -1000 * SKEW - 5  # what a statement waits for is taken for skew, too
        words = service.core.ledger.rows("finding", limit=1)[0]
        assert "surplus executions of DELETE FROM ORDERS WHERE ID = ?" in words["observed"]

    world.play(story)


def test_a_tag_that_is_stolen_forged_or_said_again_is_a_bypass(tmp_path: Path, shop: Audited) -> None:
    world = Skewed(tmp_path)

    async def story(service: Keyturn) -> None:
        from keyturn.service.tagging import tag, tags_of

        same = "select count(*) from orders where total > 7"
        first, *_ = await through_the_gate(
            world, service, shop.url(), [same, same.replace("7", "8")], tagged=True
        )
        right = tag(service.core, first, TARGET)
        for name, text in {
            right: same,  # said again, byte for byte
            right[:-1] + ("0" if right[-1] != "0" else "1"): same,  # a MAC that is guessed
            tags_of(service.core).tag(first, "another-db"): same,  # made for another target
        }.items():
            past_the_gate(shop.url(), [text], name)
        session = await world.session(service)
        held = world.action(session, "psql -c 'select 1'", target=TARGET)
        refused = await service.authorize(held, world.around, consume=True)
        past_the_gate(shop.url(), ["select 1"], tag(service.core, refused.action, TARGET))
        past_the_gate(shop.url(), ["drop table if exists nothing"], right)
        found = await compared(service, _written(shop, 7))
        why = [one["why"] for one in found.bypasses]
        assert found.counts["tagged"] == 2
        assert found.counts["unknown_tag"] == len(why) == 5
        assert sum("used before" in one for one in why) == 1
        assert sum("not made here for this target" in one for one in why) == 2
        assert sum("never let go" in one for one in why) == 1
        assert sum("says something else" in one for one in why) == 1

    world.play(story)


def test_a_run_goes_on_where_the_last_one_ended_and_remembers_what_was_used(
    tmp_path: Path, shop: Audited
) -> None:
    world = Skewed(tmp_path, POLICY)

    async def story(service: Keyturn) -> None:
        from keyturn.service.tagging import tag

        said = ["update orders set total = 1 where id = 1", "select customer from orders where id in (1, 2)"]
        first, *_ = await through_the_gate(world, service, shop.url(), said, tagged=True)
        one = await compared(service, _written(shop, 2))
        assert (one.counts["events"], one.counts["tagged"], one.counts["bypasses"]) == (2, 2, 0)
        past_the_gate(shop.url(), said[:1], tag(service.core, first, TARGET))
        two = await compared(service, _written(shop, 3))
        assert (two.counts["events"], two.counts["late"]) == (1, 2)
        assert two.counts["unknown_tag"] == 1
        again = await compared(service, shop.csv, since=one.since)
        assert (again.counts["events"], again.counts["tagged"], again.counts["unknown_tag"]) == (3, 2, 1)

    world.play(story)


def test_an_action_that_left_no_line_is_told_in_the_other_direction(tmp_path: Path, shop: Audited) -> None:
    world = Skewed(tmp_path)

    async def story(service: Keyturn) -> None:
        from keyturn.actions import ToolCall

        session = await world.session(service)
        silent = world.action(
            session, ToolCall("query", {"sql": "delete from orders"}, "postgres"), target=TARGET
        )
        now = time.time()
        lost = await service.authorize(silent, world.around, consume=True)
        service.core.clock = service.core.ledger._writer._clock = lambda: time.time() + 30
        seen = ["select count(*) from orders where total > 1"]
        await through_the_gate(world, service, shop.url(), seen, tagged=True)
        found = await compared(service, _written(shop, 1), since=int(now * 1000) - 120_000)
        assert [one["action"] for one in found.missing] == [lost.action]
        assert found.counts["bypasses"] == 0
        assert service.core.ledger.rows("finding", limit=1)[0]["kind"] == "action.not_in_target"

    world.play(story)
