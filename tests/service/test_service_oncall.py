"""On-call schedules: whoever is on call counts for the group, nobody else does, and a source that fails empties it in time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from outside_servers import Outside, outside
from service_world import HELD, World, decide, person, types

from keyturn import readers
from keyturn.approvals.errors import DecisionRefused
from keyturn.policy import STARTER, read_folder
from keyturn.service import facts
from keyturn.service.conditions import oncall
from keyturn.service.keyturn import Keyturn

ASKS = "[default]\nwithin = '7d'\napprove = '1 of primary'\n"
FILE = ASKS + "[oncall.primary]\nsource = 'file'\npath = 'oncall.json'\ntrust = '2h'\n"


def world_of(folder: Path, requirements: str = FILE) -> World:
    return World(folder, policy={**read_folder(STARTER), "requirements.toml": requirements.encode()})


def at(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def write(world: World, *shifts: tuple[float, float, list[str]]) -> None:
    body = {"shift": [{"from": at(a), "until": at(b), "people": who} for a, b, who in shifts]}
    (world.home.root / "oncall.json").write_text(json.dumps(body))


def later(service: Keyturn, minutes: float) -> None:
    instant = time.time() + minutes * 60
    service.core.clock = lambda: instant


async def held(world: World, service: Keyturn, text: str = HELD) -> Any:
    session = await world.session(service)
    return await service.authorize(world.action(session, text), world.around)


def test_who_is_on_call_approves_and_who_was_does_not(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    write(world, (-60, 30, ["riley"]), (30, 90, ["sam"]))

    async def story(service: Keyturn) -> None:
        await oncall.refresh(service.core)
        first, second = await held(world, service), await held(world, service, "rm -r dist")
        with pytest.raises(DecisionRefused, match="primary"):
            await decide(service, first.request, "sam")
        assert (await decide(service, first.request, "riley")).state == "approved"
        later(service, 31)
        await oncall.refresh(service.core)
        with pytest.raises(DecisionRefused, match="primary"):
            await decide(service, second.request, "riley")
        assert (await decide(service, second.request, "sam")).state == "approved"
        changed = [e.fields["people"] for e in service.core.ledger.entries() if e.type == "oncall.changed"]
        assert changed == [["riley"], ["sam"]]
        assert not service.core.ledger.rebuild(check=True).differing

    world.play(story)


def test_policy_knows_who_is_on_call_at_this_moment_without_any_entry(tmp_path: Path) -> None:
    """What is remembered of an agent's person ends with their shift: time alone changes it."""
    world = world_of(tmp_path)
    write(world, (-60, 30, ["dana"]))

    async def story(service: Keyturn) -> None:
        core = service.core
        await oncall.refresh(core)
        action = world.action(await world.session(service), "ls")
        reading = readers.read(action.content, world.around)
        for _ in range(2):
            assert "primary" in facts.gathered(core, action, reading).human_groups
        size = core.ledger.size
        later(service, 31)
        for _ in range(2):
            assert "primary" not in facts.gathered(core, action, reading).human_groups
        assert core.ledger.size == size

    world.play(story)


def test_a_group_that_a_schedule_fills_has_nobody_for_any_other_reason(tmp_path: Path) -> None:
    """Neither before the schedule was read first, nor because an administrator put somebody in."""
    from keyturn.service import people

    world = world_of(tmp_path)

    async def story(service: Keyturn) -> None:
        await people.change(service.core, "riley", {"groups": ["primary", "reviewers"]}, by="dana")
        outcome = await held(world, service)
        with pytest.raises(DecisionRefused, match="primary"):
            await decide(service, outcome.request, "riley")
        write(world, (-60, 60, ["sam"]))
        await oncall.refresh(service.core)
        with pytest.raises(DecisionRefused, match="primary"):
            await decide(service, outcome.request, "riley")
        assert (await service.request(outcome.request, None)).stages[0].who == ("sam",)
        assert (await decide(service, outcome.request, "sam")).state == "approved"

    world.play(story)


def test_a_group_that_no_schedule_fills_is_as_people_are_recorded(tmp_path: Path) -> None:
    """The negative control."""
    from keyturn.service import people

    world = world_of(tmp_path, ASKS)

    async def story(service: Keyturn) -> None:
        await people.change(service.core, "riley", {"groups": ["primary"]}, by="dana")
        outcome = await held(world, service)
        assert (await decide(service, outcome.request, "riley")).state == "approved"

    world.play(story)


def test_who_is_not_on_the_roster_does_not_count_and_is_named(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    write(world, (-60, 60, ["mallory", "riley", "dana"]))

    async def story(service: Keyturn) -> None:
        await oncall.refresh(service.core)
        (shown,) = oncall.views(service.core)
        assert (shown.people, shown.unknown) == (("dana", "riley"), ("mallory",))
        outcome = await held(world, service)
        with pytest.raises(
            DecisionRefused, match="asked for this"
        ):  # being on call gives nobody their own approval
            await decide(service, outcome.request, "dana")
        assert (await decide(service, outcome.request, "riley")).state == "approved"

    world.play(story)


def test_the_source_gone_the_last_known_stay_until_what_is_known_ends_and_then_nobody_is(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    write(world, (-60, 30, ["riley"]), (30, 90, ["sam"]))

    async def story(service: Keyturn) -> None:
        await oncall.refresh(service.core)
        (world.home.root / "oncall.json").unlink()
        await oncall.refresh(service.core)
        (shown,) = oncall.views(service.core)
        assert shown.people == ("riley",)
        assert "can't be read" in shown.failing
        first, second = await held(world, service), await held(world, service, "rm -r dist")
        assert (await decide(service, first.request, "riley")).state == "approved"
        later(service, 30.1)
        with pytest.raises(DecisionRefused, match="primary"):  # from that instant on, entry or not
            await decide(service, second.request, "riley")
        await oncall.refresh(service.core)
        await oncall.refresh(service.core)
        last = [entry for entry in service.core.ledger.entries() if entry.type == "oncall.changed"]
        assert [entry.fields["people"] for entry in last] == [["riley"], []]
        assert "its source fails" in last[-1].fields["why"]
        with pytest.raises(DecisionRefused, match="primary"):
            await decide(service, second.request, "riley")

    world.play(story)


def test_an_answer_is_believed_for_no_longer_than_policy_trusts_it(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    write(world, (-60, 60 * 24 * 7, ["riley"]))  # on call for a week

    async def story(service: Keyturn) -> None:
        await oncall.refresh(service.core)
        (world.home.root / "oncall.json").write_text("{")
        later(service, 119)
        await oncall.refresh(service.core)
        outcome = await held(world, service)
        assert (await service.request(outcome.request, person(service, "riley"))).may_decide == ""
        later(service, 121)
        assert (await service.request(outcome.request, person(service, "riley"))).may_decide != ""

    world.play(story)


def test_a_shift_that_is_shortened_ends_as_the_source_said_last(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    write(world, (-60, 100, ["riley"]))

    async def story(service: Keyturn) -> None:
        await oncall.refresh(service.core)
        write(world, (-60, 10, ["riley"]))
        await oncall.refresh(service.core)
        (world.home.root / "oncall.json").unlink()
        later(service, 11)
        await oncall.refresh(service.core)
        assert oncall.views(service.core)[0].people == ()

    world.play(story)


def test_time_alone_makes_an_entry_only_now_and_then(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    write(world, (-60, 60 * 24 * 7, ["riley"]))

    async def story(service: Keyturn) -> None:
        for minute in range(0, 240, 5):
            later(service, minute)
            await oncall.refresh(service.core)
            assert oncall.views(service.core)[0].people == ("riley",)
        assert types(service).count("oncall.changed") <= 5

    world.play(story)


def http(url: str) -> str:
    return ASKS + f"[oncall.primary]\nsource = 'http'\nurl = '{url}/primary'\n"


def says(server: Outside, body: Any) -> None:
    server.answer = lambda handler: handler.say(body)


def test_a_schedule_by_http(tmp_path: Path) -> None:
    with outside(time.time) as server:
        world = world_of(tmp_path, http(server.url))

        async def story(service: Keyturn) -> None:
            says(server, {"people": ["riley"], "valid_until": at(30)})
            await oncall.refresh(service.core)
            assert oncall.views(service.core)[0].people == ("riley",)
            for wrong in (
                {"people": "riley", "valid_until": at(30)},
                {"people": ["sam"]},
                {"shifts": [{"people": ["sam"]}]},
                ["sam"],
                {"people": ["x"] * 51, "valid_until": at(30)},
            ):
                says(server, wrong)
                await oncall.refresh(service.core)
                (shown,) = oncall.views(service.core)
                assert shown.failing, wrong
                assert shown.people == ("riley",), "a wrong answer changes nothing"
            says(server, {"people": ["sam"], "valid_until": at(-1)})
            await oncall.refresh(service.core)
            assert oncall.views(service.core)[0].people == (), "what is no longer valid puts nobody on call"

        world.play(story)


def test_a_policy_without_the_schedule_makes_it_an_ordinary_group_again(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    write(world, (-60, 60, ["riley"]))

    async def story(service: Keyturn) -> None:
        from keyturn.service import people

        await people.change(service.core, "sam", {"groups": ["policy", "primary", "reviewers"]}, by="dana")
        await oncall.refresh(service.core)
        assert [p.id for p in service.core.roster.members("primary")] == ["riley"]
        files = {**service.core.policy.files, "requirements.toml": ASKS.encode()}
        proposed = await service.propose_policy(files, person(service, "dana"), "no schedule any more")
        await decide(service, proposed.id, "riley")
        assert [p.id for p in service.core.roster.members("primary")] == ["sam"]
        assert oncall.views(service.core) == []
        assert not service.core.ledger.rebuild(check=True).differing

    world.play(story)


def test_a_running_server_reads_schedules_by_itself(tmp_path: Path) -> None:
    import asyncio

    from keyturn.server import Server
    from keyturn.service.settings import Settings

    world = world_of(tmp_path)

    async def story() -> None:
        async with Server(world.home, Settings(port=0)).running() as service:
            assert service.core.failing_schedules or oncall.views(service.core)[0].people == ()
            async with service.core.ledger.subscribe() as entries:
                write(world, (-60, 60, ["dana"]))
                service.core.schedules.set()  # what a publication does; otherwise it is read every minute
                async for entry in entries:
                    if entry.type == "oncall.changed":
                        assert entry.fields["people"] == ["dana"]
                        break
            assert [p.id for p in service.core.roster.members("primary")] == ["dana"]

    asyncio.run(asyncio.wait_for(story(), 120))
