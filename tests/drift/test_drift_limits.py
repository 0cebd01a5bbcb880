"""Limits hold the one too many, exactly, and nothing before it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from service_world import World, person
from service_world import decide as decided

from keyturn import readers
from keyturn.actions import Shell
from keyturn.policy import Facts, Policy, PolicyInvalid
from keyturn.resources import Surroundings
from keyturn.service import limits
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome, Receipt

RULES = b"""
@id("all") @because("tried")
permit(principal, action, resource)
unless { context.words like "*held*" || context.words like "*never*" };

@id("held") @hold @because("tried") @approve("1 of reviewers")
permit(principal, action, resource)
when { context.words like "*held*" };

@id("never") @because("tried")
forbid(principal, action, resource)
when { context.words like "*never*" };
"""
QUERY = "psql -h db1 -d orders -c 'select 1'"


def files(drift: str, mode: str = "enforce") -> dict[str, bytes]:
    return {
        "policy.toml": f'name = "tried"\nmode = "{mode}"\n'.encode(),
        "rules/main.cedar": RULES,
        "drift.toml": drift.encode(),
    }


def world(folder: Path, drift: str, mode: str = "enforce") -> World:
    return World(folder, policy=files(drift, mode))


LIMIT = """
[limit.queries]
counts = "on:database"
per = ["agent", "target"]
window = "1h"
most = 5
because = "nobody reviewed that many"
"""


class Clock:
    """Moves only when told."""

    def __init__(self, service: Keyturn) -> None:
        self.at = float((service.core.now() // 3_600_000 + 1) * 3600)  # the next full hour
        service.core.clock = lambda: self.at
        service.core.ledger._writer._clock = lambda: self.at

    def forward(self, seconds: float) -> None:
        self.at += seconds


async def ask(service: Keyturn, played: World, session: str, command: str = QUERY, **more: Any) -> Outcome:
    action = played.action(session, command, **more)
    return await service.authorize(action, played.around, consume=True)


def test_the_one_too_many_is_held_and_the_sentence_explains_the_aggregate(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT)

    async def story(service: Keyturn) -> None:
        clock, session = Clock(service), await played.session(service)
        for _ in range(5):
            assert (await ask(service, played, session)).verdict == "run"
            clock.forward(600)
        over = await ask(service, played, session)
        assert over.verdict == "hold"
        assert over.decision.reasons[0] == (
            "claude-code asked database db1/orders 5 times in the last 50 minutes (limit 5 an hour); this would be 6. "
            "Nobody reviewed that many. [limit queries]"
        )
        assert over.words.find("5 times") >= 0
        # Another database, and nothing that is no database, is held by it.
        assert (await ask(service, played, session, "psql -h db2 -d orders -c 'select 1'")).verdict == "run"
        assert (await ask(service, played, session, "ls -l")).verdict == "run"
        # The window slides: the first of the five is out of it.
        clock.forward(720)
        assert (await ask(service, played, session)).verdict == "run"

    played.play(story)


def test_of_forty_at_once_exactly_five_run(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT)

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        every = await asyncio.gather(
            *(ask(service, played, session, f"psql -h db1 -d orders -c 'select {n}'") for n in range(40))
        )
        assert sorted(one.verdict for one in every) == ["hold"] * 35 + ["run"] * 5

    played.play(story)


def test_the_count_is_the_same_after_a_restart_and_a_rebuild(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT)
    kept: list[str] = []

    async def before(service: Keyturn) -> None:
        kept.append(await played.session(service))
        for _ in range(5):
            await ask(service, played, kept[0])
        rebuilt = await asyncio.to_thread(service.core.ledger.rebuild)
        assert rebuilt.identical

    async def after(service: Keyturn) -> None:
        assert (await ask(service, played, kept[0])).verdict == "hold"

    played.play(before)
    played.play(after)


def test_what_is_held_or_refused_does_not_count_and_what_people_let_go_does(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT)

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        for number in range(9):
            await ask(service, played, session, f"psql -h db1 -d orders -c 'never {number}'")
        for _ in range(4):
            assert (await ask(service, played, session)).verdict == "run"
        held = await ask(service, played, session, "psql -h db1 -d orders -c 'held'")
        assert held.verdict == "hold"
        assert not any("limit" in words for words in held.decision.reasons)
        await decided(service, held.request, "riley")
        assert (await ask(service, played, session, "psql -h db1 -d orders -c 'held'")).verdict == "run"
        assert (await ask(service, played, session)).verdict == "hold"  # four, and the one that people let go

    played.play(story)


def test_a_grant_from_before_does_not_cover_what_is_too_much(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT)
    granted = "psql -h db1 -d orders -c 'held'"

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        held = await ask(service, played, session, granted)
        await decided(service, held.request, "riley", grant="3600s")
        for _ in range(5):
            assert (await ask(service, played, session, granted)).verdict == "run"
        # The approval itself is for exactly this, once, and nobody used it yet.
        assert (await ask(service, played, session, granted)).verdict == "run"
        over = await ask(service, played, session, granted)
        assert over.verdict == "hold"
        # Approved with its sentence in view, it runs; people know what they let go.
        await decided(service, over.request, "riley", grant="3600s")
        assert (await ask(service, played, session, granted)).verdict == "run"

    played.play(story)


def test_a_script_of_queries_counts_each_and_is_held_as_a_whole(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT)

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        assert (await ask(service, played, session, "; ".join([QUERY] * 4))).verdict == "run"
        assert (await ask(service, played, session, f"{QUERY}; {QUERY}")).verdict == "hold"
        assert (await ask(service, played, session)).verdict == "run"

    played.play(story)


def test_what_runs_within_something_allowed_is_held_as_well(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT)

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        (played.work / "x.sh").write_text("echo\n")
        whole = await ask(service, played, session, "make all")
        verdicts = [
            (
                await service.authorize(
                    played.action(session, QUERY), played.around, consume=True, within=whole.action
                )
            ).verdict
            for _ in range(6)
        ]
        assert verdicts == ["run"] * 5 + ["hold"]

    played.play(story)


def test_an_action_that_is_counted_may_not_be_remembered_by_a_gate(tmp_path: Path) -> None:
    night = LIMIT + '[limit.queries.when]\nfrom = "20:00"\nto = "06:00"\n'
    for drift in (LIMIT, night):  # at whatever time this runs
        folder = tmp_path / str(len(drift))
        folder.mkdir()
        played = world(folder, drift)

        async def story(service: Keyturn, played: World = played) -> None:
            session = await played.session(service)
            assert (await ask(service, played, session)).counted
            assert not (await ask(service, played, session, "ls -l")).counted

        played.play(story)


def test_observe_mode_lets_it_run_and_says_so() -> None:
    reading = readers.read(Shell(QUERY), Surroundings(cwd="/w", workspace="/w"))
    facts = Facts(agent="a", over=("queries",), told=(("over:queries", "Five times."),))
    watched = Policy.parse(files(LIMIT, "observe")).decide("shell", reading, facts)
    assert (watched.verdict, watched.would, watched.reasons[0]) == ("run", "hold", "Five times.")
    kept = Policy.parse(files(LIMIT)).decide("shell", reading, facts)
    assert (kept.verdict, kept.would) == ("hold", "hold")


SUM = """
[limit.rows]
counts = "on:database"
per = ["agent"]
window = "1h"
most = 10000
sum = "rows"
reserve = 3000
approve = "1 of reviewers"
"""


def test_a_sum_is_what_receipts_say_and_the_reserve_until_then(tmp_path: Path) -> None:
    played = world(tmp_path, SUM)

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        open_ones = [await ask(service, played, session) for _ in range(3)]
        assert [one.verdict for one in open_ones] == ["run"] * 3
        assert (await ask(service, played, session)).verdict == "hold"  # 9,000 reserved
        for one in open_ones:
            await service.report(Receipt(one.action, None, "done", rows=100))
        for _ in range(3):
            done = await ask(service, played, session, QUERY + " -t")
            assert done.verdict == "run"
            await service.report(Receipt(done.action, None, "done", rows=2800))
        over = await ask(service, played, session, QUERY + " -t")
        assert over.verdict == "hold"
        assert "claude-code took 8,700 rows with on:database in the last" in over.decision.reasons[0]
        assert "in 6 actions (limit 10,000 an hour)" in over.decision.reasons[0]

    played.play(story)


DISTINCT = """
[limit.breadth]
counts = "on:database"
per = ["session"]
window = "24h"
most = 2
distinct = "target"
"""


def test_a_task_touches_no_more_different_targets_than_it_may(tmp_path: Path) -> None:
    played = world(tmp_path, DISTINCT)

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        for name in ("a", "b", "a", "b", "a"):
            assert (await ask(service, played, session, f"psql -d {name} -c 'select 1'")).verdict == "run"
        third = await ask(service, played, session, "psql -d c -c 'select 1'")
        assert third.verdict == "hold"
        assert "touched 2 different targets" in third.decision.reasons[0]
        other = await played.session(service)
        assert (await ask(service, played, other, "psql -d c -c 'select 1'")).verdict == "run"

    played.play(story)


def test_nothing_goes_uncounted_because_there_is_too_much_of_it(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT)

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        many = "; ".join(f"psql -d d{n} -c 'select 1'" for n in range(60))
        held = await ask(service, played, session, many)
        assert held.verdict == "hold"
        assert "more than [limit queries] can keep apart" in held.decision.reasons[0]

    played.play(story)


def test_at_night_people_decide(tmp_path: Path) -> None:
    drift = """
[limit.night]
counts = "everything"
window = "1h"
most = 0
[limit.night.when]
from = "20:00"
to = "06:00"
"""
    played = world(tmp_path, drift)

    async def story(service: Keyturn) -> None:
        clock, session = Clock(service), await played.session(service)
        clock.at += 86_400 - clock.at % 86_400 + 12 * 3600
        assert (await ask(service, played, session, "ls -l")).verdict == "run"
        clock.forward(10 * 3600)
        held = await ask(service, played, session, "ls -l")
        assert held.verdict == "hold"
        assert "may not do this now without people" in held.decision.reasons[0]
        clock.forward(10 * 3600)
        assert (await ask(service, played, session, "ls -l")).verdict == "run"

    played.play(story)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ('[limit.x]\nwindow = "1h"\nmost = 1\n', "says what it counts"),
        ('[limit.x]\ncounts = "raeds"\nwindow = "1h"\nmost = 1\n', 'no term "raeds"'),
        ('[limit.x]\ncounts = "on:databse"\nwindow = "1h"\nmost = 1\n', "no class of target"),
        ('[limit.x]\ncounts = "label:prodution"\nwindow = "1h"\nmost = 1\n', "no label prodution"),
        ('[limit.x]\ncounts = "approval"\nwindow = "1h"\nmost = 1\n', "only [order] knows it"),
        ('[limit.x]\ncounts = "reads"\nmost = 1\n', "has a window"),
        ('[limit.x]\ncounts = "reads"\nwindow = "1h"\n', "has a most"),
        ('[limit.x]\ncounts = "reads"\nwindow = "1h"\nmost = 1\nper = ["agnet"]\n', "counts per"),
        ('[limit.x]\ncounts = "reads"\nwindow = "1h"\nmost = 1\napprove = "two"\n', "N of GROUP"),
        ('[limit.x]\ncounts = "reads"\nwindow = "1h"\nmost = 1\nsum = "rows"\ndistinct = "target"\n', "not both"),
        ('[limit.x]\ncounts = "reads"\nwindow = "1h"\nmost = 1\nreserve = 4\n', "only a sum"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_limit_is_told_with_its_place(wrong: str, words: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        Policy.parse(files(wrong))
    assert words in " ".join(problem.message for problem in caught.value.problems)
    assert all(problem.line for problem in caught.value.problems)


def test_who_may_decide_is_who_the_limit_says(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT + 'approve = "2 of reviewers"\n')

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        for _ in range(5):
            await ask(service, played, session)
        over = await ask(service, played, session)
        assert over.decision.obligations.approve == "2 of reviewers"
        assert (await service.request(over.request or "", person(service, "riley"))).state == "waiting"

    played.play(story)


def test_how_full_the_limits_are_is_shown_the_fullest_first(tmp_path: Path) -> None:
    played = world(tmp_path, LIMIT + DISTINCT)

    async def story(service: Keyturn) -> None:
        clock, session = Clock(service), await played.session(service)
        assert limits.views(service.core) == []
        for _ in range(3):
            await ask(service, played, session)
        found = limits.views(service.core)
        assert [(one.limit, one.amount, one.most) for one in found] == [("queries", 3, 5), ("breadth", 1, 2)]
        assert found[0].key == ("claude-code", "database db1/orders")
        clock.forward(2 * 3600)
        assert [one.limit for one in limits.views(service.core)] == ["breadth"]

    played.play(story)
