"""Facts are gathered from rows, and what is remembered of them, or not asked again, is what they would be now (promise 7)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from service_world import ALLOWED, GATE, World
from test_service_findings import drift

from keyturn import readers
from keyturn.actions import Action, Agent, Human, Reading
from keyturn.drift.finding import Drift
from keyturn.ledger.entries import Draft
from keyturn.policy.folder import STARTER, read_folder
from keyturn.service import facts, findings
from keyturn.service.core import Core
from keyturn.service.keyturn import Keyturn

COUNTED = b'[limit.all]\ncounts = "everything"\nper = ["agent"]\nwindow = "1h"\nmost = 3\n'


class Watched:
    """The ledger's rows, with the kinds that were asked for."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.kinds: set[str] = set()
        self._row = core.ledger.row

    def row(self, kind: str, key: str) -> dict[str, Any] | None:
        self.kinds.add(kind)
        return self._row(kind, key)

    def moved(self, kinds: tuple[str, ...]) -> int:
        return self.core.ledger.moved(kinds)


def _counted(tmp_path: Path) -> World:
    return World(tmp_path, policy={**read_folder(STARTER), "drift.toml": COUNTED})


def _asked(world: World, session: str, script: str = ALLOWED) -> tuple[Action, Reading]:
    action = world.action(session, script)
    return action, readers.read(action.content, world.around)


async def _seen(world: World, service: Keyturn) -> tuple[Action, Reading]:
    """An action of a session with one above it, about whose agent there is a finding."""
    above = await world.session(service)
    await findings.record(service.core, drift(above))
    below = await service.open_session(
        agent=Agent("helper"), human=Human("dana", "os-uid", 1), gate=GATE, cwd="/", parents=(above,)
    )
    return _asked(world, below.id)


def test_what_is_not_asked_again_reads_rows_of_the_kinds_that_are_watched_and_no_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        action, reading = await _seen(world, service)
        known = facts.gathered(core, action, reading)
        assert known.findings == ("credential.shared",)
        rows = Watched(core)
        monkeypatch.setattr(core.ledger, "row", rows.row)  # what they read past what they are given
        for still in facts.STANDING:
            if still not in facts.COUNTING:
                assert still(core, rows, action, reading, known)
        for gather in facts.OF_THE_AGENT:
            gather(core, action, reading)
        assert rows.kinds
        assert rows.kinds - {"policy-active"} <= set(facts.READ)

    world.play(story)


def test_what_counts_reads_rows_that_are_not_watched_so_it_is_asked_each_time(tmp_path: Path) -> None:
    world = _counted(tmp_path)

    async def story(service: Keyturn) -> None:
        core = service.core
        action, reading = _asked(world, await world.session(service))
        as_of = core.ledger.moved(facts.READ)
        known = facts.gathered(core, action, reading)
        rows, counted = Watched(core), facts.watched(core, action, reading)
        assert counted
        assert facts.stand(core, rows, action, reading, known, as_of, counted)
        assert "limit" in rows.kinds - set(facts.READ)
        for _ in range(3):
            assert (await service.authorize(action, world.around)).verdict == "run"
        assert core.ledger.moved(facts.READ) == as_of  # nothing that is watched has moved, and still
        assert not facts.stand(core, core.ledger, action, reading, known, as_of, counted)
        assert facts.gathered(core, action, reading).over == ("all",)

    world.play(story)


def test_where_nothing_moved_nobody_is_asked_and_where_something_did_all_are(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        action, reading = _asked(world, await world.session(service))
        as_of = core.ledger.moved(facts.READ)
        known = facts.gathered(core, action, reading)
        rows, counted = Watched(core), facts.watched(core, action, reading)
        assert not counted
        assert (await service.authorize(action, world.around)).verdict == "run"
        assert facts.stand(core, rows, action, reading, known, as_of, counted)
        assert not rows.kinds
        await findings.record(core, drift(action.session))
        assert not facts.stand(core, rows, action, reading, known, as_of, counted)
        assert rows.kinds

    world.play(story)


def test_facts_that_are_remembered_are_those_of_now(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        action, reading = await _seen(world, service)
        await service.enrol("robin", name="", groups=["dba"], roles=["member"], os_uids=[], by="dana")
        robin = replace(action, attribution=replace(action.attribution, human=Human("robin", "token")))

        def fresh(of: Action) -> Any:
            remembered = facts.gathered(core, of, reading)
            core.facts_of_agents = type(core.facts_of_agents)()
            assert remembered == facts.gathered(core, of, reading)
            return remembered

        assert fresh(action).findings == ("credential.shared",)
        assert fresh(robin).human_groups == ("dba",)
        of_session = Drift("secret.in_action", ("s",), "Something was seen.", {"session": action.session})
        await findings.record(core, of_session)
        assert fresh(action).findings == ("credential.shared", "secret.in_action")
        await core.ledger.append([Draft("person.changed", {"id": "robin", "groups": ["sre"], "by": "dana"})])
        assert fresh(robin).human_groups == ("sre",)
        assert fresh(action).human == "dana"
        others = {
            "session": {"session": await world.session(service)},
            "gate": {"gate": replace(action.gate, assurance="advisory")},
            "target": {"target": "db-7"},
            "agent": {"attribution": replace(action.attribution, agent=Agent("else"))},
            "definition": {"attribution": replace(action.attribution, definition=None)},
        }
        for what, changes in others.items():
            assert fresh(replace(action, **changes)) != fresh(action), what

    world.play(story)


@pytest.mark.parametrize("watched", [False, True])
def test_what_nothing_counts_is_gathered_as_if_all_were_asked(tmp_path: Path, watched: bool) -> None:
    world = _counted(tmp_path) if watched else World(tmp_path)

    async def story(service: Keyturn) -> None:
        core = service.core
        for script in (ALLOWED, "psql -h db -c 'select 1'", "echo x > /etc/motd", "rm -r build"):
            action, reading = _asked(world, await world.session(service), script)
            assert watched <= facts.watched(core, action, reading)
            known = facts.gathered(core, action, reading)
            every = {
                name: value for one in facts.GATHERERS for name, value in one(core, action, reading).items()
            }
            assert {name: getattr(known, name) for name in every} == every
            told: dict[str, Any] = {}
            for record in facts.RECORDERS:
                told |= record(core, action, reading, known)
            assert (
                facts.fields(core, action, reading, known, watched or facts.watched(core, action, reading))
                == told
            )

    world.play(story)
