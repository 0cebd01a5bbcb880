"""A review of access is an entry: of exactly the list that was shown, by somebody who is not alone in it, with what was taken away."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_world import World, person, types
from signing_world import SoftSshKey, enrol

from keyturn.actions import Agent, Gate, Human
from keyturn.evidence.examining import Asked, examine
from keyturn.evidence.testing import TestResult, load_tests
from keyturn.identity import Person
from keyturn.ledger.entries import Draft
from keyturn.service import access_review, people
from keyturn.service.access_review import AccessMoved, AccessOwnOnly, AccessView
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden
from keyturn.service.keyturn import Keyturn

DAY = 24 * 3600


def later(service: Keyturn, days: float) -> None:
    """The clocks of the use cases and of the ledger go on."""
    before = service.core.clock

    def clock() -> float:
        return before() + days * DAY

    service.core.clock = clock
    service.core.ledger._writer._clock = clock


def seen(service: Keyturn, who: str) -> AccessView:
    return access_review.look(service.core, person(service, who))


async def reviews(service: Keyturn, who: str, note: str = "") -> access_review.Reviewed:
    return await access_review.record(service.core, person(service, who), seen(service, who).digest, note)


async def two_administrators(service: Keyturn) -> None:
    await people.change(service.core, "sam", {"roles": ["member", "admin"]}, by="dana")


def lines(view: AccessView) -> set[str]:
    return {f"{one.kind} {one.name} {one.what}".strip() for one in view.rights}


def accessed(service: Keyturn, folder: Path) -> TestResult:
    """What the control test comes to now, over everything."""
    now, test = service.core.now(), load_tests()["access_reviewed"]
    asked = Asked(0, now + 1)
    found = examine(service.core.ledger._store, service.core.ledger.vkey, folder, [test], asked, now)
    return {one.test: one for one in found.results}["access_reviewed"]


def test_a_review_says_who_looked_at_what_and_what_was_taken_away(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        await two_administrators(service)
        key = await enrol(service, "riley", SoftSshKey())
        view = seen(service, "dana")
        assert {
            "person riley",
            "group riley reviewers",
            "role sam admin",
            f"key {key} ssh of riley",
        } <= lines(view)
        assert (view.administrators, view.own, view.last) == (("dana", "sam"), ("dana",), None)
        first = await reviews(service, "dana", "looks right")
        fields = service.core.ledger.entry(first.entry).fields  # type: ignore[union-attr]
        assert (fields["by"], fields["digest"], fields["note"]) == ("dana", view.digest, "looks right")
        assert fields["counts"]["person"] == 3
        assert {one["person"]: (one["admin"], one["own"]) for one in fields["people"]} == {
            "dana": (True, True), "riley": (False, False), "sam": (True, False),
        }  # fmt: skip
        await people.remove(service.core, "riley", by="dana")
        again = seen(service, "sam")
        assert again.last is not None
        assert again.last.by == "dana"
        second = await reviews(service, "sam")
        assert {f"{one.kind} {one.name} {one.what}".strip() for one in second.taken} == lines(view) - lines(
            again
        )
        assert f"key {key} ssh of riley" in lines(view) - lines(again)
        assert service.core.ledger.rebuild(check=True).identical

    World(tmp_path).play(story)


@pytest.mark.parametrize("change", ["person", "key", "token"])
def test_a_list_that_changed_since_it_was_shown_is_not_recorded(tmp_path: Path, change: str) -> None:
    async def story(service: Keyturn) -> None:
        await two_administrators(service)
        view = seen(service, "dana")
        if change == "person":
            await people.change(service.core, "riley", {"groups": []}, by="dana")
        elif change == "key":
            await enrol(service, "riley", SoftSshKey())
        else:
            await service.enrol("kim", name="", groups=[], roles=["member"], os_uids=[], by="dana")
        size = service.core.ledger.size
        with pytest.raises(AccessMoved):
            await access_review.record(service.core, person(service, "dana"), view.digest)
        assert service.core.ledger.size == size
        await reviews(service, "dana")  # the negative control: of the list as it is now

    World(tmp_path).play(story)


@pytest.mark.parametrize("moves", [True, False])
def test_what_changes_between_the_look_and_the_append_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    """The same race inside the use case: it has looked, and then somebody's groups change. Any other entry is none (the control)."""
    powers = Draft("person.changed", {"id": "riley", "groups": ["dba"], "by": "sam"})
    other = Draft("clock.jumped", {"clock": 1, "log": 2})

    async def story(service: Keyturn) -> None:
        await two_administrators(service)
        view, real = seen(service, "dana"), access_review.look
        raced = []

        def look(core: Core, who: Person) -> AccessView:
            found = real(core, who)
            if not raced:
                raced.append(core.ledger.append_sync([powers if moves else other]))
            return found

        monkeypatch.setattr(access_review, "look", look)
        if moves:
            with pytest.raises(AccessMoved):
                await access_review.record(service.core, person(service, "dana"), view.digest)
        else:
            await access_review.record(service.core, person(service, "dana"), view.digest)
        assert types(service).count("access.reviewed") == (0 if moves else 1)
        assert raced

    World(tmp_path).play(story)


def test_the_only_administrator_reviews_nobody_also_under_a_second_record(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        with pytest.raises(AccessOwnOnly):
            await reviews(service, "dana")
        # The same human twice is nobody else: people are counted, not records.
        await people.change(service.core, "sam", {"roles": ["member", "admin"]}, by="dana")
        for one in ("dana", "sam"):
            await service.core.ledger.append(
                [Draft("person.changed", {"id": one, "accounts": ["https://id|1"], "by": "test"})]
            )
        service.core.people_changed()
        with pytest.raises(AccessOwnOnly):
            await reviews(service, "sam")
        assert "access.reviewed" not in types(service)
        await service.enrol("kim", name="", groups=[], roles=["member", "admin"], os_uids=[], by="dana")
        await reviews(service, "dana")  # the negative control

    World(tmp_path).play(story)


def test_others_than_administrators_record_nothing_and_auditors_may_look(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        await two_administrators(service)
        await service.enrol("aud", name="", groups=[], roles=["auditor"], os_uids=[], by="dana")
        digest = seen(service, "aud").digest
        with pytest.raises(Forbidden):
            await access_review.record(service.core, person(service, "aud"), digest)
        with pytest.raises(Forbidden):
            seen(service, "riley")
        assert seen(service, "dana").digest == digest

    World(tmp_path).play(story)


def test_the_control_test_wants_a_review_in_time_and_somebody_else_for_the_reviewer(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        await two_administrators(service)
        assert accessed(service, tmp_path / "t").verdict == "no-population"
        await reviews(service, "dana")
        assert accessed(service, tmp_path / "t").verdict == "pass"
        later(service, 31)
        late = accessed(service, tmp_path / "t")
        assert (late.verdict, [one.exception for one in late.listed]) == (
            "fail", ["nobody but dana looked at what dana may do"],
        )  # fmt: skip
        await reviews(service, "sam")
        later(service, 100)
        found = accessed(service, tmp_path / "t")
        assert "nobody looked through it" in {one.exception for one in found.listed}

    World(tmp_path).play(story)


def test_two_administrators_who_look_at_each_other_pass(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        await two_administrators(service)
        for _ in range(3):
            await reviews(service, "dana")
            later(service, 10)
            await reviews(service, "sam")
            later(service, 70)
        found = accessed(service, tmp_path / "t")
        assert (found.verdict, found.listed) == ("pass", ())
        assert found.population >= 8

    World(tmp_path).play(story)


def test_last_use_is_what_the_log_knows_of_a_person_and_no_agents_mere_word(tmp_path: Path) -> None:
    gate, agent = Gate("hooks:test@here", "cooperative"), Agent("claude-code")

    async def ran_for(service: Keyturn, human: Human) -> None:
        await service.open_session(agent=agent, human=human, gate=gate, cwd=str(tmp_path))

    async def story(service: Keyturn) -> None:
        def used(who: str) -> str:
            found = access_review.last_uses(service.core, person(service, "dana")).get(who)
            return found.how if found else "never"

        await two_administrators(service)
        assert used("riley") == "never"
        await ran_for(service, Human("riley", "declared"))
        assert used("riley") == "never"
        await ran_for(service, Human("riley", "token"))  # negative control
        assert used("riley") == "an agent ran for them"
        await reviews(service, "sam")
        assert used("sam") == "acted"
        looks = access_review.last_looks(service.core, person(service, "dana"))
        assert {who: one.by for who, one in looks.items()} == {"dana": "sam", "riley": "sam"}
        assert service.core.ledger.rebuild(check=True).identical

    World(tmp_path).play(story)
