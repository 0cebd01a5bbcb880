"""The roster: what gives somebody power needs another administrator; an account says who is whom, for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from service_world import World, decide, person

from keyturn.approvals.errors import (
    AlreadyGiven,
    ApproverIsAuthor,
    ApproverIsInitiator,
    ApproverNotMember,
    ApproverReadsOnly,
)
from keyturn.errors import KeyturnError
from keyturn.identity import tokens
from keyturn.ledger.entries import Draft
from keyturn.service import people, roster_changes
from keyturn.service.errors import Forbidden
from keyturn.service.keyturn import Keyturn
from keyturn.service.roster_changes import PersonMoved, TooSoonAlone

ACCOUNT = "https://id.example|7"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def second_admin(service: Keyturn) -> None:
    """Alex, another administrator; from here on Dana is not alone."""
    await people.enrol(
        service.core, "alex", name="", groups=[], roles=["member", "admin"], os_uids=[], by="dana"
    )


def last(service: Keyturn, kind: str) -> dict[str, Any]:
    return [e.fields for e in service.core.ledger.entries() if e.type == kind][-1]


def test_a_single_administrator_does_it_alone_and_that_is_on_the_record(world: World) -> None:
    async def story(service: Keyturn) -> None:
        made = await roster_changes.enrol(service.core, "kim", groups=["dba"], by=person(service, "dana"))
        assert (made.request, last(service, "person.enrolled")["alone"]) == (None, True)
        await roster_changes.change(service.core, "kim", {"name": "Kim"}, by=person(service, "dana"))
        assert "alone" not in last(service, "person.changed")  # nothing was gained

    world.play(story)


GAINS: dict[str, Callable[[Keyturn], Awaitable[roster_changes.Asked]]] = {
    "a new person in a group": lambda s: roster_changes.enrol(
        s.core, "kim", groups=["dba"], by=person(s, "dana")
    ),
    "a new administrator": lambda s: roster_changes.enrol(
        s.core, "kim", roles=["admin"], by=person(s, "dana")
    ),
    "a new author": lambda s: roster_changes.change(
        s.core, "riley", {"roles": ["member", "author"]}, by=person(s, "dana")
    ),
    "one more group": lambda s: roster_changes.change(
        s.core, "riley", {"groups": ["reviewers", "policy", "dba"]}, by=person(s, "dana")
    ),
    "an account of the machine": lambda s: roster_changes.change(
        s.core, "riley", {"os_uids": [4711]}, by=person(s, "dana")
    ),
    "an account at the provider": lambda s: roster_changes.link(
        s.core, "riley", ACCOUNT, by=person(s, "dana")
    ),
    "my own account": lambda s: roster_changes.link(s.core, "riley", ACCOUNT, by=person(s, "riley")),
}


@pytest.mark.parametrize("gain", GAINS)
def test_power_is_given_by_two_administrators(world: World, gain: str) -> None:
    async def story(service: Keyturn) -> None:
        await second_admin(service)
        before = dict(service.core.roster.people)
        made = await GAINS[gain](service)
        assert made.request is not None
        assert dict(service.core.roster.people) == before
        # Neither who asked, nor who gains, nor a reviewer who is no administrator.
        refusals: dict[str, type[KeyturnError]] = {"sam": ApproverNotMember}
        refusals["riley" if gain == "my own account" else "dana"] = ApproverIsInitiator
        for who, why in refusals.items():
            with pytest.raises(why):
                await decide(service, made.request.id, who)
        assert dict(service.core.roster.people) == before
        view = await decide(service, made.request.id, "alex")
        assert view.state == "approved"
        service.core.people_changed()
        after = dict(service.core.roster.people)
        assert after != before
        kind = "person.enrolled" if made.token else "person.changed"
        assert last(service, kind)["request"] == made.request.id
        if made.token:
            found = people.by_token(service.core, made.token)
            assert found is not None

    world.play(story)


LOSSES: dict[str, Callable[[Keyturn], Awaitable[Any]]] = {
    "a group": lambda s: roster_changes.change(s.core, "riley", {"groups": ["policy"]}, by=person(s, "dana")),
    "everything": lambda s: people.remove(s.core, "riley", by="dana"),
    "writing": lambda s: roster_changes.change(
        s.core, "riley", {"roles": ["member", "auditor"]}, by=person(s, "dana")
    ),
    "administering": lambda s: roster_changes.change(
        s.core, "alex", {"roles": ["member"]}, by=person(s, "dana")
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_power_is_taken_by_one(world: World, loss: str) -> None:
    async def story(service: Keyturn) -> None:
        await second_admin(service)
        before = dict(service.core.roster.people)
        made = await LOSSES[loss](service)
        assert getattr(made, "request", None) is None  # nobody is asked: it is done
        service.core.people_changed()
        assert dict(service.core.roster.people) != before

    world.play(story)


def test_power_that_was_taken_a_moment_before_the_approval_does_not_come_back_with_it(world: World) -> None:
    """Both at once: the change that is approved names whole lists, so it must see what was recorded just before it."""

    async def story(service: Keyturn) -> None:
        await second_admin(service)
        dana = person(service, "dana")
        asked = await roster_changes.change(
            service.core, "riley", {"groups": ["reviewers", "policy", "dba"]}, by=dana
        )
        assert asked.request is not None
        taken = roster_changes.change(service.core, "riley", {"groups": ["policy"]}, by=dana)
        given = decide(service, asked.request.id, "alex")
        _, moved = await asyncio.gather(taken, given, return_exceptions=True)
        assert isinstance(moved, PersonMoved)
        service.core.people_changed()
        assert person(service, "riley").groups == ("policy",)
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_who_removes_the_other_administrator_is_not_alone_for_a_week(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await second_admin(service)
        now = service.core.now()
        service.core.clock = lambda: now / 1000
        await people.remove(service.core, "alex", by="dana")
        for changes in ({"groups": ["reviewers", "dba"]}, {"roles": ["member", "admin"]}):
            with pytest.raises(TooSoonAlone):
                await roster_changes.change(service.core, "riley", changes, by=person(service, "dana"))
        await roster_changes.change(service.core, "riley", {"groups": []}, by=person(service, "dana"))
        service.core.clock = lambda: now / 1000 + 7 * 86_400 + 60
        made = await roster_changes.change(
            service.core, "riley", {"groups": ["dba"]}, by=person(service, "dana")
        )
        assert (made.request, last(service, "person.changed")["alone"]) == (None, True)

    world.play(story)


def test_a_second_record_of_the_same_administrator_is_nobody_to_ask(world: World) -> None:
    """People are counted: two records that share an account are one administrator, who can't approve their own wish."""

    async def story(service: Keyturn) -> None:
        await second_admin(service)
        made = await roster_changes.change(
            service.core, "riley", {"groups": ["dba"]}, by=person(service, "dana")
        )
        assert made.request is not None
        for name in ("dana", "alex"):
            await service.core.ledger.append(
                [Draft("person.changed", {"id": name, "accounts": [ACCOUNT], "by": "test"})]
            )
        service.core.people_changed()
        with pytest.raises(ApproverIsInitiator):
            await decide(service, made.request.id, "alex")
        assert roster_changes.company(service.core, person(service, "dana")) == "alone"

    world.play(story)


def test_nobody_changes_their_own_under_another_record(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await service.core.ledger.append(
            [
                Draft("person.changed", {"id": name, "accounts": [ACCOUNT], "by": "test"})
                for name in ("dana", "riley")
            ]
        )
        service.core.people_changed()
        with pytest.raises(Forbidden):
            await roster_changes.change(
                service.core, "riley", {"groups": ["dba"]}, by=person(service, "dana")
            )

    world.play(story)


def test_what_was_approved_is_what_happens_or_nothing_does(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await second_admin(service)
        ask = roster_changes.change
        groups = await ask(
            service.core, "riley", {"groups": ["reviewers", "policy", "dba"]}, by=person(service, "dana")
        )
        await ask(service.core, "riley", {"groups": ["policy"]}, by=person(service, "alex"))
        gone = await ask(
            service.core, "sam", {"groups": ["reviewers", "policy", "dba"]}, by=person(service, "dana")
        )
        await people.remove(service.core, "sam", by="alex")
        for made in (groups, gone):
            assert made.request is not None
            with pytest.raises(PersonMoved):
                await decide(service, made.request.id, "alex")
            assert (await service.request(made.request.id)).state == "waiting"
        assert service.core.roster.people["riley"].groups == ("policy",)
        assert service.core.roster.people["sam"].removed

    world.play(story)


def test_a_link_makes_one_human_in_requests_that_wait_already(world: World) -> None:
    """Linking can't launder promise 6: from that entry on, whoever shares the account is who asked."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = [
            await service.authorize(world.action(session, f"rm -r {n}"), world.around) for n in ("a", "b")
        ]
        assert held[0].request
        assert held[1].request
        await decide(service, held[1].request, "riley")  # negative control: until now she may
        for name in ("riley", "dana"):
            await roster_changes.link(service.core, name, ACCOUNT, by=person(service, name))
            if name == "riley":
                request = service.core.ledger.rows("request", state="waiting", limit=5)[0]["id"]
                await decide(service, request, "dana")
        service.core.people_changed()
        with pytest.raises(ApproverIsInitiator):
            await decide(service, held[0].request, "riley")
        # Unlinking does not undo it: whoever had the account is still who they were.
        await roster_changes.unlink(service.core, "riley", ACCOUNT, by=person(service, "dana"))
        assert service.core.roster.people["riley"].accounts == ()
        with pytest.raises(ApproverIsInitiator):
            await decide(service, held[0].request, "riley")
        # Unless it never was theirs, which is said, and is a change of its own.
        await roster_changes.unlink(service.core, "riley", ACCOUNT, by=person(service, "dana"), mistake=True)
        assert (await decide(service, held[0].request, "riley")).state == "approved"

    world.play(story)


def test_two_reviewers_who_turn_out_to_be_one_person_count_once(tmp_path: Path) -> None:
    from keyturn import policy as policies

    rule = """
@id("two")
@hold
@approve("2 of reviewers")
@because("Two.")
permit(principal, action, resource)
when { context.program == "rm" };
"""
    world = World(
        tmp_path, policy={**policies.read_folder(policies.STARTER), "rules/two.cedar": rule.encode()}
    )

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = await service.authorize(world.action(session, "rm -r build"), world.around)
        assert held.request
        await decide(service, held.request, "riley")
        for name in ("riley", "sam"):
            await service.core.ledger.append(
                [Draft("person.changed", {"id": name, "accounts": [ACCOUNT], "by": "test"})]
            )
        with pytest.raises(AlreadyGiven):
            await decide(service, held.request, "sam")

    world.play(story)


def test_an_auditor_decides_nothing_in_whichever_group(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = await service.authorize(world.action(session, "rm -r build"), world.around)
        assert held.request
        await people.change(service.core, "riley", {"roles": ["member", "auditor"]}, by="dana")
        for choice in ("approve", "deny"):
            with pytest.raises(ApproverReadsOnly):
                await decide(service, held.request, "riley", choice)
        view = await service.request(held.request)
        assert all("riley" not in stage.who for stage in view.stages)
        await people.change(service.core, "riley", {"roles": ["member"]}, by="dana")
        assert (await decide(service, held.request, "riley")).state == "approved"

    world.play(story)


def test_an_administrator_approves_nothing_by_being_one(world: World) -> None:
    async def story(service: Keyturn) -> None:
        await second_admin(service)
        session = await world.session(service)
        held = await service.authorize(world.action(session, "rm -r build"), world.around)
        assert held.request
        with pytest.raises(ApproverNotMember):
            await decide(service, held.request, "alex")
        with pytest.raises((ApproverIsAuthor, ApproverIsInitiator)):
            await decide(service, held.request, "dana")

    world.play(story)


def test_an_account_that_was_unlinked_opens_nothing_and_what_it_opened_ends(world: World) -> None:
    async def story(service: Keyturn) -> None:
        dana, core = person(service, "dana"), service.core
        await roster_changes.link(core, "riley", ACCOUNT, by=dana)
        key, own = tokens.new_token("kts"), tokens.new_token("kts")
        how = {"how": "provider", "account": ACCOUNT}
        opened = [people.open_session(core, "riley", key, how)]
        opened.append(people.open_session(core, "riley", own, {"how": "link"}))
        await core.ledger.append(opened)
        assert service.logins.person(tokens.cookie_of(key)) is not None
        await roster_changes.unlink(core, "riley", ACCOUNT, by=dana)
        assert service.logins.person(tokens.cookie_of(key)) is None
        # Negative control: the session that does not rest on the account goes on.
        assert service.logins.person(tokens.cookie_of(own)) is not None

    world.play(story)
