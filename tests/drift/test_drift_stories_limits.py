"""Scenarios with known truth: what the mission tells, played on the whole service; each has what must not be found beside it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from service_world import decide as decided
from service_world import person
from test_drift_limits import Clock, ask, files, world

from keyturn import readers
from keyturn.actions import Agent, Human, Shell, Text
from keyturn.drift import windows
from keyturn.drift.counting import counts_of
from keyturn.policy import STARTER, Policy
from keyturn.resources import Surroundings
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Opener, Receipt
from keyturn.service.noticing import Noticing

SHIPPED = (STARTER / "drift.toml").read_text()


async def findings(service: Keyturn, *kinds: str) -> list[dict[str, Any]]:
    """What the detectors find in everything that is recorded, oldest first; of *kinds* if any are named."""
    following = Following(service.core, (Noticing,))
    following._next = 0
    await following.catch_up()
    await following.tick(service.core.now())
    assert following.failed == 0
    rows = service.core.ledger.rows("finding", newest_first=False)
    return [row for row in rows if not kinds or row["kind"] in kinds]


def test_two_hundred_queries_before_the_coffee_is_finished(tmp_path: Path) -> None:
    """The shipped limit; the 201st is held, whoever asks how often."""
    played = world(tmp_path, SHIPPED)

    async def story(service: Keyturn) -> None:
        clock, session = Clock(service), await played.session(service)
        for number in range(200):
            one = await ask(service, played, session, f"psql -d orders -c 'select {number % 20}'")
            assert one.verdict == "run", number
            clock.forward(3)
        over = [await ask(service, played, session, f"psql -d orders -c 'select {n}'") for n in (1, 2)]
        assert [one.verdict for one in over] == ["hold", "hold"]
        assert (
            over[0]
            .decision.reasons[0]
            .startswith(
                "claude-code for dana asked database orders 200 times in the last 10 minutes (limit 200 an hour); this would be 201."
            )
        )
        found = await findings(service)
        assert [row["kind"] for row in found] == ["rate.exceeded"]
        assert found[0]["magnitude"] | {"evidence": 0} == {
            "value": 201,
            "baseline": 200,
            "unit": "times",
            "evidence": 0,
        }
        assert found[0]["subject"]["target"] == "database orders"
        assert found[0]["since"]["earliest"] <= service.core.now() - 600_000
        assert len(found[0]["entries"]) > 5

    played.play(story)


def ninety_days(seed: int) -> Iterable[tuple[int, str]]:
    """A busy agent's queries: tasks in office hours, in bursts, on three databases."""
    rng, day = random.Random(seed), 1_700_006_400_000
    for number in range(90):
        for _ in range(0 if number % 7 in (5, 6) else rng.randint(4, 14)):
            now = day + number * 86_400_000 + int(rng.uniform(8, 18) * 3_600_000)
            for _ in range(min(60, 1 + int(rng.expovariate(1 / 12)))):
                now += int(rng.expovariate(1 / 20_000))
                yield now, rng.choice(("orders", "stock", "people"))


def held(events: list[tuple[int, str]]) -> list[int]:
    """Numbers of the events that the shipped limits would hold, counted by the same parts that decide."""
    limits = Policy.parse(files(SHIPPED)).drift.limits
    around = Surroundings(cwd="/w", workspace="/w")
    reading = {d: readers.read(Shell(f"psql -d {d} -c 'select 1'"), around) for d in {d for _, d in events}}
    who = {"agent": "coder", "person": "dana", "session": "s", "gate": "g"}
    known: dict[str, list[windows.Cell]] = {}
    late = []
    for number, (now, database) in enumerate(sorted(events)):
        counts = counts_of(limits, "shell", reading[database], "local", who, now)
        rated = [one for one in counts.counts if not one.of]
        assert len(rated) == 2
        if any(
            windows.total(known.get(c.id, []), now, c.window).amount + 1 > limits[c.limit].most for c in rated
        ):
            late.append(number)
            continue
        for one in rated:
            known[one.id] = windows.added(known.get(one.id, []), now, one.window)
    return late


def test_ninety_ordinary_days_are_not_held_once_and_a_night_of_copying_is() -> None:
    ordinary = list(ninety_days(11))
    assert len(ordinary) > 4_000
    assert held(ordinary) == []
    night = 1_700_006_400_000 + 40 * 86_400_000 + 3 * 3_600_000
    burst = [(night + second * 3_000, "people") for second in range(260)]
    found = held([*ordinary, *burst])
    assert len(found) == 60
    assert sorted([*ordinary, *burst])[found[0]] == burst[200]


def test_more_than_a_task_needs_in_214_small_queries(tmp_path: Path) -> None:
    """None of them is large; together they are the whole table."""
    rows = '[limit.people]\ncounts = "target:people"\nper = ["agent"]\nwindow = "24h"\nmost = 1000000\nsum = "rows"\nreserve = 10000\n'
    played = world(tmp_path, rows)

    async def story(service: Keyturn) -> None:
        session, verdicts = await played.session(service), []
        for number in range(214):
            one = await ask(service, played, session, f"psql -d people -c 'select * limit {number % 10}'")
            verdicts.append(one.verdict)
            if one.verdict != "run":
                break
            await service.report(Receipt(one.action, None, "done", rows=5_600))
        assert len(verdicts) == 178  # 177 × 5,600 and what the next one may take are a million
        assert verdicts[-1] == "hold"
        found = await findings(service, "rate.exceeded")
        assert len(found) == 1
        assert "took 991,200 rows with target:people" in found[0]["words"]
        assert "in 177 actions" in found[0]["words"]

    played.play(story)


def test_twenty_agents_behind_one_account(tmp_path: Path) -> None:
    """One finding; and each record still says for whom it was."""
    played = world(tmp_path, "[attribution]\nagents = 1\n")

    async def story(service: Keyturn) -> None:
        one = Opener("uid:1000", 4711, 1)
        for number in range(20):
            whose = ("dana", "riley", "sam")[number % 3]
            opened = await service.open_session(
                agent=Agent(f"agent-{number:02}"), human=Human(whose, "token"), gate=played.action("s", "ls").gate,
                cwd="/", client_session=f"c{number}", opener=one,
            )  # fmt: skip
            plain = played.action(opened.id, "ls")
            who = type(plain.attribution)(Agent(f"agent-{number:02}"), Human(whose, "token"))
            done = await service.authorize(
                played.action(opened.id, "ls", attribution=who), played.around, consume=True
            )
            row = service.core.ledger.row("action", done.action)
            assert row is not None
            entry = service.core.ledger.entry(row["entry"])
            assert entry is not None
            assert entry.fields["human"]["person"] == whose
            assert entry.fields["agent"]["name"] == f"agent-{number:02}"
        found = await findings(service)
        assert [row["kind"] for row in found] == ["attribution.collapsed"]
        assert found[0]["observed"] == "2 agents"  # said at the second, not at the twentieth
        assert await findings(service) == found

    played.play(story)


def test_an_agent_that_proposes_and_runs_what_was_held(tmp_path: Path) -> None:
    played = world(tmp_path, "")

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        allowed = await ask(service, played, session, "ls")
        await service.report(Receipt(allowed.action, None, "done"))
        approved = await ask(service, played, session, "echo held 1")
        await decided(service, approved.request, "riley")
        again = await ask(service, played, session, "echo held 1")
        await service.report(Receipt(again.action, None, "done"))
        assert await findings(service, "sod.self_executed") == []
        alone = await ask(service, played, session, "echo held 2")
        await service.report(Receipt(alone.action, None, "done"))
        found = await findings(service, "sod.self_executed")
        assert [row["severity"] for row in found] == ["critical"]
        assert "claude-code ran what was held, and nobody approved it" in found[0]["words"]

    played.play(story)


def test_a_no_that_is_asked_again_in_other_words(tmp_path: Path) -> None:
    played = world(tmp_path, "")

    async def story(service: Keyturn) -> None:
        session = await played.session(service)
        denied = await ask(service, played, session, "rm -r build held")
        await decided(service, denied.request, "riley", "deny", reason="it is needed")
        await ask(service, played, session, "rm -r other")
        assert await findings(service, "retry.variant") == []
        await ask(service, played, session, "find build -delete")
        found = await findings(service, "retry.variant")
        assert len(found) == 1
        assert found[0]["subject"]["session"] == session

    played.play(story)


def test_an_order_that_was_broken_or_never_ended_is_found(tmp_path: Path) -> None:
    orders = (
        '[order.ticket]\nbefore = "program:date"\nafter = "program:touch"\n'
        '[order.smoke]\nafter = "program:mkdir"\nthen = "program:date"\nwithin = "10m"\n'
    )
    played = world(tmp_path, orders)

    async def story(service: Keyturn) -> None:
        clock, good, bad = Clock(service), await played.session(service), await played.session(service)
        for command in ("date", "touch x", "mkdir y", "date"):
            assert (await ask(service, played, good, command)).verdict == "run"
        assert await findings(service) == []
        await ask(service, played, bad, "touch x")
        await ask(service, played, bad, "mkdir y")
        clock.forward(700)
        found = await findings(service)
        assert sorted((row["kind"], row["subject"]["object"]) for row in found) == [
            ("order.broken", "smoke"),
            ("order.broken", "ticket"),
        ]
        assert {row["subject"]["session"] for row in found} == {bad}

    played.play(story)


def test_what_nobody_stands_behind_is_found_once(tmp_path: Path) -> None:
    played = world(tmp_path, '[attribution]\nrequire = ["reasoning"]\nsessions = 2\n')

    async def story(service: Keyturn) -> None:
        for number in range(3):
            session = await played.session(service, f"c{number}")
            await service.instruct(session, Text("do what the page says", "hook"))
            plain = played.action(session, "ls").attribution
            silent = type(plain)(plain.agent, plain.human, plain.instruction, None, plain.definition)
            await ask(service, played, session, "ls", attribution=silent if number else plain)
        found = await findings(service)
        assert sorted(row["kind"] for row in found) == ["attribution.missing", "attribution.spread"]

    played.play(story)


@pytest.mark.parametrize(("whose", "told"), [("dana", ["dana"]), ("riley", [])])
def test_a_policy_for_its_authors_own_agents_is_told_to_whoever_approves_it(
    tmp_path: Path, whose: str, told: list[str]
) -> None:
    played = world(tmp_path, "")
    loose = files("")
    loose["rules/main.cedar"] = (
        loose["rules/main.cedar"]
        .replace(b'@id("held") @hold', b'@id("held")')
        .replace(b'@approve("1 of reviewers")', b"")
    )

    async def story(service: Keyturn) -> None:
        opened = await service.open_session(
            agent=Agent("coder"), human=Human(whose, "token"), gate=played.action("s", "ls").gate, cwd="/"
        )
        plain = played.action(opened.id, "ls").attribution
        mine = type(plain)(Agent("coder"), Human(whose, "token"))
        assert (await ask(service, played, opened.id, "echo held 1", attribution=mine)).verdict == "hold"
        await service.propose_policy(loose, person(service, "dana"), "less asking")
        found = await findings(service, "sod.beneficiary")
        assert [row["subject"]["person"] for row in found] == told

    played.play(story)
