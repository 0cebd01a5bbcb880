"""What is due while a request waits: once each, whatever is restarted; escalation lets more people decide and nobody fewer."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from service_world import HELD, World, decide, person, types

from keyturn.errors import KeyturnError
from keyturn.policy import STARTER, read_folder
from keyturn.service.conditions.due import due_times
from keyturn.service.keyturn import Keyturn

ASKS = "[default]\nwithin = '30m'\nremind = '5m'\nescalate = '10m to managers'\n"
START = datetime.fromisoformat("2031-01-06T10:00+01:00").timestamp()


def world_of(folder: Path, requirements: str = ASKS) -> World:
    return World(folder, policy={**read_folder(STARTER), "requirements.toml": requirements.encode()})


def set_clock(service: Keyturn, minutes: float) -> None:
    instant = START + minutes * 60
    service.core.clock = lambda: instant
    service.core.ledger._writer._clock = lambda: instant


async def held(world: World, service: Keyturn) -> Any:
    session = await world.session(service)
    return await service.authorize(world.action(session, HELD), world.around)


async def manager(service: Keyturn) -> None:
    await service.enrol("max", name="", groups=["managers"], roles=["member"], os_uids=[], by="dana")


def test_it_is_reminded_escalated_and_expired_each_once_and_in_time(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        set_clock(service, 0)
        outcome = await held(world, service)
        seen = []
        for minute in range(32):
            set_clock(service, minute)
            await service.expire()
            await service.expire()  # whoever looks twice does nothing twice
            new = [
                t for t in types(service) if t in ("request.reminded", "request.escalated", "request.ended")
            ]
            if len(new) > len(seen):
                seen += [(minute, new[-1])]
        assert seen == [(10, "request.escalated"), (25, "request.reminded"), (30, "request.ended")]
        assert (await service.request(outcome.request, None)).state == "expired", "time never approves"
        assert service.core.ledger.rows("due") == []

    world = world_of(tmp_path)
    world.play(story)


def test_a_restart_forgets_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    made: list[Any] = []

    async def before(service: Keyturn) -> None:
        set_clock(service, 0)
        made.append(await held(world, service))
        set_clock(service, 11)
        await service.expire()

    async def after(service: Keyturn) -> None:
        set_clock(service, 26)
        await service.expire()
        assert types(service).count("request.escalated") == 1
        assert types(service).count("request.reminded") == 1
        assert (await service.request(made[0].request, None)).state == "waiting"
        rebuilt = service.core.ledger.rebuild(check=True)
        assert not rebuilt.differing, "the rows are what the log says"

    world.play(before)
    world.play(after)


def test_people_of_the_other_group_may_decide_only_after_the_escalation(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        await manager(service)
        set_clock(service, 0)
        outcome = await held(world, service)
        view = await service.request(outcome.request, person(service, "max"))
        assert "none of the groups" in view.may_decide or "reviewers" in view.may_decide
        assert (view.conditions.escalate_to, view.conditions.escalate_at) == (
            "managers",
            view.opened + 600_000,
        )
        with pytest.raises(KeyturnError):
            await decide(service, outcome.request, "max")
        set_clock(service, 10)
        await service.expire()
        view = await service.request(outcome.request, person(service, "max"))
        assert view.may_decide == ""
        assert [one.to for one in view.conditions.escalated] == ["managers"]
        assert (await decide(service, outcome.request, "max")).state == "approved"
        claimed = await service.claim(outcome.request, outcome.digest, "hooks:test@here")
        assert claimed.verdict == "run"

    world = world_of(tmp_path)
    world.play(story)


def test_an_escalation_gives_nobody_their_own_approval(tmp_path: Path) -> None:
    """Promise 6 holds in the other group, too: the initiator is a manager and stays the initiator."""

    async def story(service: Keyturn) -> None:
        from keyturn.service import people

        set_clock(service, 0)
        await service.enrol("boss", name="", groups=[], roles=["admin"], os_uids=[], by="dana")
        await people.change(service.core, "dana", {"groups": ["managers"]}, by="boss")
        outcome = await held(world, service)
        set_clock(service, 10)
        await service.expire()
        with pytest.raises(KeyturnError, match="asked for this"):
            await decide(service, outcome.request, "dana")

    world = world_of(tmp_path)
    world.play(story)


def test_without_reminder_and_escalation_there_is_none(tmp_path: Path) -> None:
    """The negative control."""

    async def story(service: Keyturn) -> None:
        set_clock(service, 0)
        await held(world, service)
        set_clock(service, 29)
        await service.expire()
        assert {"request.reminded", "request.escalated"}.isdisjoint(types(service))

    world = world_of(tmp_path, "[default]\nwithin = '30m'\n")
    world.play(story)


def test_what_ended_is_neither_reminded_nor_escalated(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        set_clock(service, 0)
        outcome = await held(world, service)
        await decide(service, outcome.request, "riley", "deny")
        set_clock(service, 29)
        await service.expire()
        assert {"request.reminded", "request.escalated"}.isdisjoint(types(service))

    world = world_of(tmp_path)
    world.play(story)


def test_what_would_come_too_late_does_not_come() -> None:
    asked = {"remind": 3600, "escalate_after": 1800, "escalate_to": "managers"}
    assert due_times(asked, 0, 1_800_000) == {"remind": 900_000}, (
        "half of the time, and no escalation at the end"
    )
    assert due_times({}, 0, 1_800_000) == {}, "requests of older versions"
