"""What auditors are shown: enough to check, not what agents were told and would run, unless policy says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from service_world import World, decide, person

from keyturn import policy as policies
from keyturn.errors import KeyturnError
from keyturn.service import people
from keyturn.service.disclosure import disclosed
from keyturn.service.keyturn import Keyturn

SECRET = "rm -r very-private-folder"


def world(tmp_path: Path, level: str) -> World:
    files = policies.read_folder(policies.STARTER)
    text = files.get("requirements.toml", b"") + (
        f'\n[disclosure]\nauditor = "{level}"\n'.encode() if level else b""
    )
    return World(tmp_path, policy={**files, "requirements.toml": text})


async def audited(house: World, service: Keyturn) -> tuple[Any, Any]:
    """A held and approved action, and what the auditor Ada is shown of it: the request and all entries."""
    await people.enrol(
        service.core, "ada", name="", groups=["reviewers"], roles=["auditor"], os_uids=[], by="dana"
    )
    session = await house.session(service)
    held = await service.authorize(house.action(session, SECRET), house.around)
    assert held.request
    await decide(service, held.request, "riley", reason="fine by me")
    ada = person(service, "ada")
    view = await service.request(held.request, ada)
    entries = [disclosed(service.core, entry, ada) for entry in service.core.ledger.entries()]
    return view, entries


@pytest.mark.parametrize("level", ["", "digests"])
def test_an_auditor_sees_what_was_decided_and_not_what_it_was_made_of(tmp_path: Path, level: str) -> None:
    house = world(tmp_path, level)

    async def story(service: Keyturn) -> None:
        view, entries = await audited(house, service)
        assert view.withheld
        shown = [
            entry
            for entry in entries
            if entry.type in ("action.decided", "request.opened", "session.instructed")
        ]
        for text in (view.text, json.dumps(view.content), json.dumps(view.attribution)):
            assert "private" not in text
            assert "tidy up" not in text
        for entry in shown:
            assert "content" not in entry.fields
            assert "action" not in entry.fields or entry.type != "action.decided"
            raw = json.dumps(
                [entry.fields.get(name) for name in ("action", "content", "instruction", "attribution")]
            )
            assert "private" not in raw
        # What an auditor is there for stays: who approved what digest, why it was held, what it would do.
        assert (view.digest, view.approvals[0].person, view.approvals[0].reason) == (
            view.digest,
            "riley",
            "fine by me",
        )
        assert view.sentence
        assert view.reading.steps
        (decided,) = (e for e in entries if e.type == "action.decided")
        assert {"digest", "verdict", "sentence", "decision"} <= decided.fields.keys()
        whole = service.core.ledger.entry(decided.index)
        assert whole is not None
        assert decided.leaf == whole.leaf  # its proof still verifies
        assert set(decided.disclosures) < set(whole.disclosures)

    house.play(story)


def test_policy_may_show_auditors_everything(tmp_path: Path) -> None:
    house = world(tmp_path, "content")

    async def story(service: Keyturn) -> None:
        view, entries = await audited(house, service)
        assert (view.withheld, view.text) == (False, SECRET)
        assert any(
            "private" in json.dumps(entry.fields) for entry in entries if entry.type == "action.decided"
        )

    house.play(story)


def test_others_are_shown_everything(tmp_path: Path) -> None:
    house = world(tmp_path, "digests")

    async def story(service: Keyturn) -> None:
        view, _ = await audited(house, service)
        assert (await service.request(view.id, person(service, "sam"))).text == SECRET

    house.play(story)


def test_a_level_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyturnError):
        world(tmp_path, "everything")
