"""Erasing in a real home: with approval, on the record, gone from every file, proofs valid, never under a legal hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from service_world import ALLOWED, HELD, World, decide, person

from keyturn.actions import Text
from keyturn.errors import KeyturnError
from keyturn.ledger.erasable import ERASABLE, ERASED
from keyturn.ledger.erasing import chosen, erased_entries
from keyturn.ledger.export import export
from keyturn.ledger.rebuild import rebuild
from keyturn.ledger.verify import verify
from keyturn.service import erasing, legal_holds, people, requests
from keyturn.service.erasing import NothingToErase, OnHold, StillInUse
from keyturn.service.keyturn import Keyturn
from keyturn.service.projections import fold

CANARY = "XK41-canary-of-kim"


async def company(service: Keyturn) -> None:
    """A second administrator, and somebody to forget."""
    for name, shown, roles in (("ada", "Ada", ["admin", "member"]), ("kim", f"Kim {CANARY}", ["member"])):
        await people.enrol(
            service.core, name, name=shown, groups=["reviewers"], roles=roles, os_uids=[], by="dana"
        )


async def lived(world: World, service: Keyturn) -> tuple[str, str]:
    """A session with an instruction, an action that ran and one that was denied; (session, held action)."""
    session = await world.session(service)
    await service.instruct(session, Text(f"please, {CANARY}", "hook"))
    await service.authorize(world.action(session, ALLOWED), world.around, consume=True)
    held = await service.authorize(world.action(session, f"{HELD} {CANARY}"), world.around)
    assert held.request
    await decide(service, held.request, "kim", "deny", reason=f"no, says {CANARY}")
    return session, held.action


def files_with(folder: Path, word: bytes) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()]


def plain(service: Keyturn) -> str:
    """Everything that the log discloses, as text."""
    return "".join(str(entry.fields) for entry in service.core.ledger.entries())


async def erased(service: Keyturn, scope: str, of: str) -> int:
    asked = await erasing.propose(service.core, scope, of, "they asked for it", person(service, "dana"))
    await decide(service, asked.id, "ada", reason="they may")
    (row, *_) = service.core.ledger.rows("erasure")
    return await erasing.perform(service.core, row)


def test_a_persons_words_and_name_go_and_every_proof_stays(world: World, tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        await company(service)
        await lived(world, service)
        index = next(
            e.index
            for e in core.ledger.entries()
            if e.type == "approval.given" and e.fields["person"] == "kim"
        )
        before = core.ledger.entry(index)
        assert before is not None
        proof = core.ledger.inclusion(index)
        with pytest.raises(StillInUse):
            await erasing.propose(core, "person", "kim", "they asked", person(service, "dana"))
        await people.remove(core, "kim", by="dana")
        assert await erased(service, "person", "kim") == 4  # the reason, twice; the name; the accounts
        after = core.ledger.entry(index)
        assert after is not None
        assert (after.leaf, after.fields["reason"], after.erased) == (before.leaf, ERASED, ("reason",))
        assert core.ledger.inclusion(index).splitlines()[:3] == proof.splitlines()[:3]
        assert f"Kim {CANARY}" not in plain(service)
        assert f"says {CANARY}" not in plain(service)
        assert (core.ledger.row("person", "kim") or {})["name"] == ""
        assert rebuild(core.ledger._store, fold, check=True).identical
        again = await erasing.perform(core, core.ledger.rows("erasure")[0])
        assert again == 0
        assert verify(core.ledger._store, core.ledger.vkey).intact
        export(core.ledger._store, tmp_path / "out", core.ledger.vkey)
        assert verify(tmp_path / "out", core.ledger.vkey).intact
        assert not [name for name in files_with(tmp_path / "out", b'"~') if "disclosures" in name]

    world.play(story)


def test_the_content_of_an_action_leaves_every_file_of_the_home(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await company(service)
        session, _ = await lived(world, service)
        await people.remove(service.core, "kim", by="dana")
        await service.close_session(session)
        assert CANARY in plain(service)
        await erased(service, "session", session)
        await erased(service, "person", "kim")
        for entry in service.core.ledger.entries():
            left = [name for name, value in entry.fields.items() if CANARY in str(value)]
            assert not left, (entry.type, left)

    world.play(story)
    left = files_with(world.home.root, CANARY.encode())
    assert left == []


def test_nothing_is_erased_under_a_legal_hold_or_alone_or_twice(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        await company(service)
        session, _ = await lived(world, service)
        await service.close_session(session)
        dana = person(service, "dana")
        hold = await legal_holds.place(
            core, "person", "dana", "case 9", dana
        )  # Dana's agent ran that session
        with pytest.raises(OnHold):
            await erasing.propose(core, "session", session, "tidy", dana)
        lift = await legal_holds.lift(core, hold.id, "over", dana)
        await decide(service, lift.id, "ada", reason="over")
        asked = await erasing.propose(core, "session", session, "tidy", dana)
        with pytest.raises(KeyturnError):
            await decide(service, asked.id, "dana", reason="mine")
        await legal_holds.place(core, "session", session, "case 10", dana)  # placed after it was asked for
        with pytest.raises(OnHold):
            await decide(service, asked.id, "ada", reason="fine")
        assert core.ledger.rows("erasure") == []
        with pytest.raises(KeyturnError, match="administrators"):
            await erasing.propose(core, "session", session, "tidy", person(service, "riley"))

    world.play(story)


def test_what_waits_for_people_is_not_erased_under_them(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await company(service)
        session = await world.session(service)
        held = await service.authorize(world.action(session, HELD), world.around)
        with pytest.raises(StillInUse):
            await erasing.propose(service.core, "action", held.action, "tidy", person(service, "dana"))

    world.play(story)


def test_killed_before_it_was_done_it_is_done_at_the_next_start(world: World) -> None:
    async def first(service: Keyturn) -> str:
        await company(service)
        session, action = await lived(world, service)
        await service.close_session(session)
        asked = await erasing.propose(service.core, "action", action, "a mistake", person(service, "dana"))
        await decide(service, asked.id, "ada", reason="yes")
        assert f"{HELD} {CANARY}" in plain(service)  # recorded, not done: the server stops here
        return action

    async def second(service: Keyturn) -> None:
        for row in service.core.ledger.rows("erasure"):
            assert await erasing.perform(service.core, row) > 0
        assert f"{HELD} {CANARY}" not in plain(service)
        with pytest.raises(NothingToErase):
            await erasing.propose(service.core, "action", action, "again", person(service, "dana"))

    action = world.play(first)
    world.play(second)


def test_a_log_folds_and_shows_with_everything_erased_that_can_be(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        await company(service)
        session, _ = await lived(world, service)
        await service.close_session(session)
        everything = chosen((e.index, ERASABLE.get(e.type, {})) for e in core.ledger.entries())
        assert core.ledger.erase(everything, core.ledger.size) > 10
        assert rebuild(core.ledger._store, fold, check=True).identical
        assert len(list(erased_entries(core.ledger._store, core.ledger.size))) > 5
        core.people_changed()
        for row in core.ledger.rows("request"):
            assert requests.view(core, row["id"], None).state != "waiting"
        again = await world.session(service, "another")
        outcome = await service.authorize(world.action(again, ALLOWED), world.around)
        assert outcome.verdict == "run"

    world.play(story)


@pytest.mark.parametrize("type_", sorted(ERASABLE))
def test_every_erasable_field_is_one_that_the_type_has(type_: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "entries.md").read_text()
    section = page.partition(f"### {type_}\n")[2].partition("\n### ")[0]
    section += (
        page.partition("### person.enrolled\n")[2].partition("\n### ")[0]
        if type_.startswith("person")
        else ""
    )
    section += page.partition("### approval.given\n")[2].partition("\n### ")[0]
    for name in ERASABLE[type_]:
        assert f"`{name}`" in section, name


def test_a_recording_that_can_not_be_removed_now_is_removed_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(service: Keyturn) -> None:
        tried: list[str] = []

        async def perform(core: Any, row: Any) -> int:
            tried.append(row["id"])
            if len(tried) == 1:
                raise PermissionError("the folder is read-only")
            return 1

        async def at_once(seconds: float) -> None:
            return None

        monkeypatch.setattr(erasing, "perform", perform)
        monkeypatch.setattr("keyturn.service.erasing.asyncio.sleep", at_once)
        await erasing._attempt(service.core, {"id": "e"})
        assert tried == ["e", "e"]

    world.play(story)
