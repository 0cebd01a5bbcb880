"""Attempts on approvals, sessions and roles that a dishonest person, gate or moment could make."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from litestar.testing import AsyncTestClient
from msgspec.structs import replace
from service_world import GATE, HELD, World, decide, person, types

from keyturn.actions import Agent, Gate, HttpRequest, Human, ToolCall
from keyturn.app import make_app
from keyturn.errors import KeyturnError, Malformed
from keyturn.gates import protocol as wire
from keyturn.identity import tokens
from keyturn.identity.tokens import LoginRefused, cookie_of
from keyturn.ledger.entries import Draft
from keyturn.policy import Policy
from keyturn.service import authorization, delegations, people
from keyturn.service.errors import Forbidden, UnknownSession
from keyturn.service.genesis import published
from keyturn.service.keyturn import Keyturn


@pytest.fixture
def here(tmp_path: Path) -> World:
    """A home for attacks on rules, which are the same on every store."""
    return World(tmp_path)


def stricter(service: Keyturn) -> tuple[Policy, dict[str, bytes]]:
    """The active policy with two approvers by default."""
    files = dict(service.core.policy.files)
    files["requirements.toml"] = b'[default]\napprove = "2 of reviewers"\nwithin = "30m"\n'
    return Policy.parse(files), files


def test_a_request_never_asks_less_than_the_policy_it_is_recorded_under(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stricter version takes effect between deciding and recording: the action is decided again under it."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        record, raced = authorization._record, []

        async def late(core: Any, *args: Any) -> Any:
            if not raced:
                raced.append(True)
                policy, files = stricter(service)
                await core.ledger.append([published(policy, files, by="genesis", request=None)])
            return await record(core, *args)

        monkeypatch.setattr(authorization, "_record", late)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request
        view = await service.request(outcome.request)
        assert view.obligations.approve == "2 of reviewers"
        assert outcome.decision.policy == service.core.policy.digest
        await decide(service, outcome.request, "riley")
        assert (await service.request(outcome.request)).state == "waiting"
        await decide(service, outcome.request, "sam")
        assert (await service.request(outcome.request)).state == "approved"

    world.play(story)


def test_without_a_change_one_approval_is_enough(world: World) -> None:
    """Negative control of the test above."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request
        await decide(service, outcome.request, "riley")
        assert (await service.request(outcome.request)).state == "approved"

    world.play(story)


@pytest.mark.parametrize("other", ["gate", "human"])
def test_an_approval_is_not_handed_to_who_repeats_the_bytes_in_somebody_elses_session(
    world: World, other: str
) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        action = world.action(session, HELD)
        outcome = await service.authorize(action, world.around)
        assert outcome.request
        await decide(service, outcome.request, "riley")
        if other == "gate":
            thief = world.action(session, HELD, gate=Gate("hooks:other@here", "cooperative"))
        else:
            stolen = type(action.attribution)(
                action.attribution.agent,
                Human("sam", "os-uid", 4242),
                definition=action.attribution.definition,
            )
            thief = world.action(session, HELD, attribution=stolen)
        with pytest.raises(UnknownSession):
            await service.authorize(thief, world.around)
        again = await service.authorize(action, world.around)
        assert again.verdict == "run", "negative control: who asked gets it"

    world.play(story)


def test_replacing_a_token_ends_the_web_sessions_and_links_that_came_of_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        cookie = cookie_of(await service.logins.redeem(service.logins.link_code("riley")))
        left = service.logins.link_code("riley")
        other = cookie_of(await service.logins.redeem(service.logins.link_code("sam")))
        assert service.logins.person(cookie) == person(service, "riley"), "negative control"
        await people.new_token(service.core, "riley", by="riley")
        service.logins.void("riley")
        assert service.logins.person(cookie) is None
        with pytest.raises(LoginRefused):
            await service.logins.redeem(left)
        assert service.logins.person(other) == person(service, "sam"), "other people stay signed in"

    world.play(story)


def test_the_last_administrator_stays(world: World) -> None:
    async def story(service: Keyturn) -> None:
        with pytest.raises(Forbidden):
            await people.remove(service.core, "dana", by="dana")
        with pytest.raises(Forbidden):
            await people.change(service.core, "dana", {"roles": ["member"]}, by="riley")
        await people.change(service.core, "riley", {"roles": ["admin"]}, by="dana")
        await people.remove(service.core, "dana", by="riley")
        assert service.core.roster.get("dana") is None

    world.play(story)


@pytest.mark.parametrize(
    "change",
    [
        {"roles": ["superuser"]},
        {"groups": ["x y"]},
        {"groups": [""]},
        {"os_uids": [-1]},
        {"os_uids": [2**40]},
    ],
)
def test_a_role_group_or_account_that_can_not_be_is_refused(world: World, change: dict[str, Any]) -> None:
    async def story(service: Keyturn) -> None:
        with pytest.raises(KeyturnError) as refused:
            await people.change(service.core, "riley", change, by="dana")
        assert isinstance(refused.value, Malformed) or refused.value.status == 400
        await people.change(service.core, "riley", {"roles": ["auditor"], "groups": ["dba"]}, by="dana")

    world.play(story)


def test_a_proposal_that_weakens_its_own_cases_says_so_first(world: World) -> None:
    async def story(service: Keyturn) -> None:
        dana = person(service, "dana")
        lax = b'@id("all")\n@because("everything")\npermit(principal, action, resource);\n'
        files = {
            path: data
            for path, data in service.core.policy.files.items()
            if not path.startswith(("tests/", "rules/"))
        }
        files["rules/all.cedar"] = lax
        files["tests/t.toml"] = b'[[must_run]]\ncommand = "rm -r build"\n'
        view = await service.propose_policy(files, dana, "")
        assert "no longer be right" in view.sentence
        assert "RUNS" not in view.sentence

    world.play(story)


def test_a_proposal_to_stop_holding_says_so_first(world: World) -> None:
    async def story(service: Keyturn) -> None:
        dana = person(service, "dana")
        observe = dict(service.core.policy.files)
        observe["policy.toml"] = observe["policy.toml"].replace(b'"enforce"', b'"observe"')
        view = await service.propose_policy(observe, dana, "tidy up")
        assert "observe mode: what would be held RUNS" in view.sentence
        _, files = stricter(service)
        other = await service.propose_policy(files, dana, "")
        assert "observe" not in other.sentence, "negative control"
        assert "no longer be right" not in other.sentence

    world.play(story)


def test_of_two_racing_proposals_the_second_can_not_be_approved_any_more(world: World) -> None:
    async def story(service: Keyturn) -> None:
        dana = person(service, "dana")
        _, files = stricter(service)
        first = await service.propose_policy(files, dana, "one")
        observe = dict(service.core.policy.files)
        observe["policy.toml"] = observe["policy.toml"].replace(b'"enforce"', b'"observe"')
        second = await service.propose_policy(observe, dana, "two")
        await decide(service, first.id, "riley")
        with pytest.raises(KeyturnError):
            await decide(service, second.id, "sam")
        assert service.core.policy.mode == "enforce"
        assert (await service.request(second.id)).state == "superseded"

    world.play(story)


# --- attacks on approvals that other systems let through, one test each ---------------------------------------------
#
# What is tried was found in products of this kind: approvals that count groups, exempt administrators, are looked up by a
# session's id, compare `==`, lose their evidence in the next write, run past their end, or are there from the beginning.


async def policed(service: Keyturn, approve: str, **more: str) -> None:
    """From here on *approve* is asked for everything that waits."""
    files = dict(service.core.policy.files)
    given = {"approve": approve, "within": "30m", **more}
    files["requirements.toml"] = "\n".join(
        ["[default]", *(f'{k} = "{v}"' for k, v in given.items())]
    ).encode()
    policy = Policy.parse(files)
    await service.core.ledger.append([published(policy, files, by="genesis", request=None)])


async def joins(service: Keyturn, name: str, *groups: str, **more: Any) -> None:
    """Somebody is enrolled."""
    facts = {"name": "", "roles": ["member"], "os_uids": [], **more}
    await service.enrol(name, groups=groups, by="dana", **facts)


async def held(world: World, service: Keyturn, session: str = "", script: str = HELD, **changes: Any) -> str:
    """An action of Dana's agent that waits; the request's id."""
    session = session or await world.session(service)
    outcome = await service.authorize(world.action(session, script, **changes), world.around)
    assert outcome.verdict == "hold"
    assert outcome.request
    return outcome.request


async def refused(service: Keyturn, request: str, who: str, choice: str = "approve", **changes: Any) -> str:
    """The code with which *who*'s decision is refused; nothing is recorded."""
    before = service.core.ledger.size
    with pytest.raises(KeyturnError) as caught:
        await decide(service, request, who, choice, **changes)
    assert "approval.given" not in types(service)[before:]
    return caught.value.code


async def state(service: Keyturn, request: str) -> str:
    return (await service.request(request)).state


def test_one_person_in_two_groups_is_one_person(here: World) -> None:
    """Quorum by groups: one click of somebody in three groups must not fill three places."""

    async def story(service: Keyturn) -> None:
        await policed(service, "1 of dba, 1 of security, 1 of reviewers")
        await joins(service, "ben", "dba", "security", "reviewers")
        request = await held(here, service)
        await decide(service, request, "ben")
        view = await service.request(request)
        assert sum(stage.have for stage in view.stages) == 1
        assert await refused(service, request, "ben") == "approval.already_given"
        await joins(service, "cleo", "security")
        await decide(service, request, "cleo")
        assert await state(service, request) == "waiting"
        await decide(service, request, "riley")
        assert await state(service, request) == "approved", "three people are enough"

    here.play(story)


def test_one_person_does_not_stand_in_two_steps(here: World) -> None:
    async def story(service: Keyturn) -> None:
        await policed(service, "1 of dba then 1 of security")
        await joins(service, "ben", "dba", "security")
        await joins(service, "cleo", "security")
        request = await held(here, service)
        await decide(service, request, "ben")
        assert await refused(service, request, "ben") == "approval.already_given"
        await decide(service, request, "cleo")
        assert await state(service, request) == "approved"

    here.play(story)


def test_a_quorum_is_not_lowered_to_the_people_there_are(here: World) -> None:
    """`min(wanted, members)`: with two reviewers, three are still three."""

    async def story(service: Keyturn) -> None:
        await policed(service, "3 of reviewers")
        request = await held(here, service)
        await decide(service, request, "riley")
        await decide(service, request, "sam")
        view = await service.request(request)
        assert view.state == "waiting"
        assert view.stages[0].need == 3
        await joins(service, "kim", "reviewers")
        await decide(service, request, "kim")
        assert await state(service, request) == "approved"

    here.play(story)


def test_more_approvals_than_asked_do_not_wedge_a_request(here: World) -> None:
    """`==` for `>=`: somebody whose word brings the count past the number must not leave it waiting for ever."""

    async def story(service: Keyturn) -> None:
        await policed(service, "2 of reviewers")
        request = await held(here, service)
        await decide(service, request, "riley")
        await people.change(service.core, "riley", {"groups": ["policy"]}, by="dana")
        await decide(service, request, "sam")
        assert await state(service, request) == "waiting", "riley's no longer counts"
        await people.change(service.core, "riley", {"groups": ["reviewers"]}, by="dana")
        await joins(service, "kim", "reviewers")
        assert await state(service, request) == "waiting", "coming back is no click"
        await decide(service, request, "kim")
        assert await state(service, request) == "approved"

    here.play(story)


def test_an_administrator_does_not_approve_their_own_agent(here: World) -> None:
    async def story(service: Keyturn) -> None:
        await joins(service, "root", "reviewers", roles=["admin"])
        await people.change(service.core, "dana", {"groups": ["reviewers"]}, by="root")
        request = await held(here, service)
        assert {"admin"} <= set(person(service, "dana").roles)
        assert await refused(service, request, "dana") == "approver.initiator"
        await decide(service, request, "root")
        assert await state(service, request) == "approved", "as a reviewer who did not ask"

    here.play(story)


def test_an_administrator_who_is_in_no_group_that_is_asked_approves_nothing(here: World) -> None:
    async def story(service: Keyturn) -> None:
        await joins(service, "root", roles=["admin"])
        request = await held(here, service)
        assert await refused(service, request, "root") == "approver.not_member"

    here.play(story)


def test_an_auditor_neither_approves_nor_uses_what_others_approved(here: World) -> None:
    """Read only is read only: the auditor's role opens no way to decide, and no way to run an approved action."""

    async def story(service: Keyturn) -> None:
        await joins(service, "ada", "reviewers", roles=["auditor"])
        request = await held(here, service)
        assert await refused(service, request, "ada") == "approver.reads_only"
        await decide(service, request, "riley")
        row = service.core.ledger.row("request", request) or {}
        with pytest.raises(KeyturnError) as caught:
            await service.claim(request, row["digest"], "person:ada")
        assert caught.value.code == "permit.other_gate"

    here.play(story)


def test_a_second_account_is_no_second_person(here: World) -> None:
    async def story(service: Keyturn) -> None:
        await joins(service, "dana2", "reviewers", os_uids=[os.getuid()])
        request = await held(here, service)
        assert await refused(service, request, "dana2") == "approver.initiator"
        assert await refused(service, request, "dana2", "deny") == "approver.initiator"
        await people.change(service.core, "dana2", {"os_uids": [os.getuid() + 7]}, by="dana")
        await people.change(service.core, "dana", {"os_uids": []}, by="dana2")
        assert await refused(service, request, "dana") == "approver.initiator"

    here.play(story)


def test_the_agents_owner_does_not_approve(here: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await here.session(service)
        base = here.action(session, HELD).attribution
        owned = replace(base, agent=replace(base.agent, owner="riley"))
        request = await held(here, service, session, attribution=owned)
        assert await refused(service, request, "riley") == "approver.owner"
        await decide(service, request, "sam")
        assert await state(service, request) == "approved"

    here.play(story)


def test_an_agent_started_by_an_agent_does_not_shed_its_people(here: World) -> None:
    """On behalf of: riley's agent starts another, which is opened for dana; riley still stands behind what it asks."""

    async def story(service: Keyturn) -> None:
        def agent(owner: str | None = None) -> Agent:
            return Agent("claude-code", "claude-code", "2.1", owner=owner)

        first = await service.open_session(
            agent=agent("kim"), human=Human("riley", "token"), gate=GATE, cwd="/", parents=()
        )
        second = await service.open_session(
            agent=agent(), human=Human("dana", "os-uid", os.getuid()), gate=GATE, cwd="/", parents=(first.id,)
        )
        await joins(service, "kim", "reviewers")
        request = await held(here, service, second.id)
        assert await refused(service, request, "riley") == "approver.party"
        assert await refused(service, request, "kim") == "approver.party"
        await decide(service, request, "sam")
        assert await state(service, request) == "approved"
        alone = await held(here, service, await here.session(service))
        await decide(service, alone, "riley")
        assert await state(service, alone) == "approved", "negative control: without the parent she may"

    here.play(story)


def test_a_chain_of_sessions_that_can_not_be_followed_runs_nothing(here: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await here.session(service)
        base = here.action(session, HELD)
        many = replace(base, attribution=replace(base.attribution, parents=tuple(f"s{i}" for i in range(70))))
        with pytest.raises(KeyturnError) as caught:
            await service.authorize(many, here.around)
        assert caught.value.code == "session.chain_too_long"
        few = replace(base, attribution=replace(base.attribution, parents=("s1", "s2")))
        assert (await service.authorize(few, here.around)).request

    here.play(story)


def test_a_delegate_does_not_decide_for_who_asked_nor_twice_for_one(here: World) -> None:
    """Delegation is no way back: not to who asked, and not to a second voice."""

    async def story(service: Keyturn) -> None:
        core, day = service.core, service.core.now() + 86_400_000
        await policed(service, "2 of reviewers")
        await joins(service, "eve")
        await joins(service, "fay", "reviewers")
        await people.change(core, "dana", {"groups": ["reviewers"]}, by="riley")
        await delegations.open_delegation(core, person(service, "dana"), "eve", until=day)
        request = await held(here, service)
        assert await refused(service, request, "eve") == "approver.stands_in"
        await delegations.open_delegation(core, person(service, "riley"), "eve", until=day)
        await decide(service, request, "eve")
        view = await service.request(request, person(service, "riley"))
        assert view.approvals[0].on_behalf_of == ("riley",)
        assert await refused(service, request, "riley") == "approval.already_given"
        await decide(service, request, "fay")
        assert await state(service, request) == "approved"

    here.play(story)


def test_only_a_person_hands_over_their_own_places(here: World) -> None:
    async def story(service: Keyturn) -> None:
        core, day = service.core, service.core.now() + 86_400_000
        await joins(service, "eve")
        with pytest.raises(KeyturnError) as caught:
            await delegations.open_delegation(
                core, person(service, "eve"), "dana", groups=["reviewers"], until=day
            )
        assert caught.value.code == "delegation.not_yours"
        made = await delegations.open_delegation(core, person(service, "riley"), "eve", until=day)
        with pytest.raises(KeyturnError) as caught:
            await delegations.end_delegation(core, person(service, "sam"), made.id)
        assert caught.value.code == "delegation.unknown"
        ended = await delegations.end_delegation(core, person(service, "eve"), made.id)
        assert not ended.carries

    here.play(story)


def test_a_decision_for_other_bytes_or_another_display_is_refused(here: World) -> None:
    """Digest swap at the reviewer: a page that shows one thing and sends another."""

    async def story(service: Keyturn) -> None:
        session = await here.session(service)
        first = await held(here, service, session)
        other = await held(here, service, session, "rm -r other")
        view = await service.request(other)
        assert await refused(service, first, "riley", digest=view.digest) == "approval.other_bytes"
        assert await refused(service, first, "riley", display=view.display) == "approval.other_bytes"
        assert await refused(service, first, "riley", "deny", digest=view.digest) == "approval.other_bytes"
        await decide(service, first, "riley")
        assert await state(service, first) == "approved"
        assert await state(service, other) == "waiting"

    here.play(story)


def test_what_was_approved_is_what_runs(here: World) -> None:
    """Digest swap at the gate: approve `rm -r build`, then run something else under it."""

    async def story(service: Keyturn) -> None:
        session = await here.session(service)
        request = await held(here, service, session)
        await decide(service, request, "riley")
        swapped = await service.authorize(here.action(session, "rm -r /"), here.around)
        assert swapped.verdict != "run"
        with pytest.raises(KeyturnError) as caught:
            await service.claim(request, swapped.digest, GATE.name)
        assert caught.value.code == "permit.other_bytes"
        again = await service.authorize(here.action(session, HELD), here.around)
        assert again.verdict == "run"

    here.play(story)


def test_other_surroundings_are_other_bytes(here: World) -> None:
    """The same words in another folder, environment or with another script are not what was approved."""

    async def story(service: Keyturn) -> None:
        session = await here.session(service)
        request = await held(here, service, session)
        await decide(service, request, "riley")
        for change in (
            {"cwd": "/"},
            {"environment": {"PATH": "/tmp"}},
            {"executes": {"/bin/rm": "sha256:" + "1" * 64}},
        ):
            moved = await service.authorize(here.action(session, HELD, **change), here.around)
            assert moved.request != request, change
            assert moved.verdict != "run", change
        assert (await service.authorize(here.action(session, HELD), here.around)).verdict == "run"

    here.play(story)


def test_an_approval_is_used_once_whoever_races_for_it(here: World) -> None:
    """Two ways to run one approval must not both run it."""

    async def story(service: Keyturn) -> None:
        session = await here.session(service)
        request = await held(here, service, session)
        await decide(service, request, "riley")
        digest = (service.core.ledger.row("request", request) or {})["digest"]
        ways = [
            *(service.claim(request, digest, GATE.name, consume=True) for _ in range(10)),
            *(service.authorize(here.action(session, HELD), here.around, consume=True) for _ in range(10)),
        ]
        results = await asyncio.gather(*ways, return_exceptions=True)
        ran = [r for r in results if not isinstance(r, BaseException) and r.verdict == "run"]
        assert len(ran) == 1
        assert types(service).count("permit.consumed") == 1

    here.play(story)


@pytest.mark.parametrize("other", ["session", "gate", "client_session"])
def test_an_approval_is_not_replayed_elsewhere(here: World, other: str) -> None:
    """Knowing a request's or a session's id opens nothing at another gate or in another session."""

    async def story(service: Keyturn) -> None:
        session = await here.session(service, "chat-1")
        request = await held(here, service, session)
        await decide(service, request, "riley")
        digest = (service.core.ledger.row("request", request) or {})["digest"]
        if other == "gate":
            with pytest.raises(KeyturnError) as caught:
                await service.claim(request, digest, "hooks:other@here")
            assert caught.value.code == "permit.other_gate"
        elif other == "session":
            elsewhere = await service.authorize(here.action(await here.session(service), HELD), here.around)
            assert elsewhere.verdict == "hold"
            assert elsewhere.request != request
        else:
            # The same client's id at another gate opens another session, never the one that is there.
            taken = await service.open_session(
                agent=Agent("x"), human=Human("sam", "os-uid", 4242), gate=Gate("hooks:evil@here", "cooperative"),
                cwd="/", client_session="chat-1",
            )  # fmt: skip
            assert taken.id != session
        assert (await service.authorize(here.action(session, HELD), here.around)).verdict == "run"

    here.play(story)


def test_an_approval_does_not_outlive_its_time(here: World) -> None:
    """Expiry overrun: not the request, not the approval that nobody used, not the permit."""

    async def story(service: Keyturn) -> None:
        core = service.core
        session = await here.session(service)
        late = await held(here, service, session, "rm -r late")
        unused = await held(here, service, session)
        await decide(service, unused, "riley")
        quick = await held(here, service, session, "rm -r quick")
        await decide(service, quick, "riley")
        claimed = await service.claim(quick, (core.ledger.row("request", quick) or {})["digest"], GATE.name)
        assert claimed.permit
        start = core.clock()
        core.clock = lambda: start + core.settings.permit_seconds
        with pytest.raises(KeyturnError) as caught:
            await service.consume(claimed.permit.token, claimed.digest, GATE.name)
        assert caught.value.code == "permit.expired"
        core.clock = lambda: start + 1800  # the policy says half an hour
        assert await refused(service, late, "riley") == "request.ended"
        assert await state(service, late) == "expired"
        digest = (core.ledger.row("request", unused) or {})["digest"]
        core.clock = lambda: start + core.settings.claim_seconds + 1
        with pytest.raises(KeyturnError) as caught:
            await service.claim(unused, digest, GATE.name)
        assert caught.value.code == "request.not_claimable"

    here.play(story)


def test_an_approval_under_an_older_policy_counts_for_nothing(here: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await here.session(service)
        waiting = await held(here, service, session)
        approved = await held(here, service, session, "rm -r other")
        await decide(service, approved, "riley")
        digest = (service.core.ledger.row("request", approved) or {})["digest"]
        await policed(service, "2 of reviewers")
        assert await refused(service, waiting, "riley") == "request.ended"
        assert await state(service, waiting) == "superseded"
        with pytest.raises(KeyturnError) as caught:
            await service.claim(approved, digest, GATE.name)
        assert caught.value.code == "request.not_claimable"
        fresh = await held(here, service, session)
        await decide(service, fresh, "riley")
        assert await state(service, fresh) == "waiting", "and the new one asks what the new policy asks"

    here.play(story)


def test_what_was_said_with_an_approval_survives_everything_that_follows(here: World) -> None:
    """Lost evidence: a later read-modify-write must not drop who said what, nor that it was forced."""

    async def story(service: Keyturn) -> None:
        await policed(service, "2 of reviewers", reason="required")
        request = await held(here, service)
        await decide(service, request, "riley", reason="ticket 7, build folder only")
        await service.core.ledger.append([])
        await decide(service, request, "sam", reason="agreed")
        view = await service.request(request)
        assert [(a.person, a.reason) for a in view.approvals] == [
            ("riley", "ticket 7, build folder only"),
            ("sam", "agreed"),
        ]
        given = [e for e in service.core.ledger.entries() if e.type == "approval.given"]
        assert [e.index for e in given] == [a.entry for a in view.approvals]
        assert service.core.ledger.rebuild().differing == 0

    here.play(story)


def test_an_approval_without_the_reason_that_is_asked_is_none(here: World) -> None:
    async def story(service: Keyturn) -> None:
        await policed(service, "1 of reviewers", reason="required")
        request = await held(here, service)
        assert await refused(service, request, "riley", reason=" \n") == "approval.reason_missing"
        await decide(service, request, "riley", reason="needed")
        assert await state(service, request) == "approved"

    here.play(story)


def test_a_click_is_not_taken_for_a_signature_whoever_says_so(here: World) -> None:
    async def story(service: Keyturn) -> None:
        await policed(service, "1 of reviewers", assurance="signed")
        request = await held(here, service)
        assert await refused(service, request, "riley") == "approval.assurance"
        assert await refused(service, request, "riley", channel="web signed+hardware") == "approval.assurance"
        await decide(service, request, "riley", "deny")
        assert await state(service, request) == "denied", "a denial needs no signature"

    here.play(story)


def test_which_rule_decides_does_not_depend_on_their_order(here: World) -> None:
    """Non-deterministic rule choice: all that hold are merged, in whatever files and order they stand."""

    async def story(service: Keyturn) -> None:
        rule = '@id("{0}")\n@because("{0}")\n@hold\n@approve("{1}")\npermit(principal, action == Action::"shell", resource);\n'
        rules = [
            rule.format("a", "1 of dba"),
            rule.format("b", "2 of reviewers"),
            rule.format("c", "1 of reviewers"),
        ]
        asked = set()
        for order in itertools.permutations(rules):
            files = {
                path: data
                for path, data in service.core.policy.files.items()
                if not path.startswith("tests/")
            }
            files["rules/extra.cedar"] = "".join(order).encode()
            policy = Policy.parse(files)
            await service.core.ledger.append([published(policy, files, by="genesis", request=None)])
            request = await held(here, service)
            asked.add((await service.request(request)).obligations.approve)
        assert len(asked) == 1
        assert asked.pop() == "1 of dba, 2 of reviewers"

    here.play(story)


def test_what_no_rule_speaks_of_waits_for_people(here: World) -> None:
    """Fail-open rule selection: no rule for this kind, this program or this target is no permission."""

    async def story(service: Keyturn) -> None:
        session = await here.session(service)
        for content in (
            "frobnicate --all",
            ToolCall("unheard-of", {"x": 1}, "server"),
            HttpRequest("https://a.example/", "POST"),
        ):
            outcome = await service.authorize(here.action(session, content), here.around)
            assert outcome.verdict == "hold", content
            assert outcome.permit is None
        assert (await service.authorize(here.action(session, "ls"), here.around)).verdict == "run"

    here.play(story)


def test_nothing_is_approved_from_the_beginning(here: World) -> None:
    """Provision-as-approved: no way of asking makes a request that people have not decided on."""

    async def story(service: Keyturn) -> None:
        request = await held(here, service)
        row = service.core.ledger.row("request", request) or {}
        assert (row["state"], row["approvals"]) == ("waiting", [])
        forged = {
            **{k: v for k, v in row.items() if k not in ("entry", "opened", "session")},
            "id": "r_forged",
        }
        forged |= {
            "state": "approved",
            "approvals": [{"person": "riley", "choice": "approve"}],
            "seen_before": 0,
        }
        await service.core.ledger.append([Draft("request.opened", forged)])
        made = service.core.ledger.row("request", "r_forged") or {}
        assert (made["state"], made["approvals"]) == ("waiting", []), "even where the entry says otherwise"
        with pytest.raises(KeyturnError):
            await service.claim("r_forged", row["digest"], GATE.name)

    here.play(story)


def test_agents_and_gates_have_no_verb_that_decides(here: World) -> None:
    """The approve verb over MCP, the socket or a gate's token: there is none, and a gate's token opens no person's."""

    async def story(service: Keyturn) -> None:
        verbs = {kind.__name__ for kind in get_args(wire.Ask)}
        assert {"Authorize", "Claim", "Report"} <= verbs
        assert not [
            verb
            for verb in verbs
            if verb.lower().startswith(("decide", "approve", "deny", "delegat", "grant"))
        ]
        gates = Path(wire.__file__).parent
        calls = re.compile(r"\.(decide|grant_break_glass|open_delegation|enrol|propose_policy)\(")
        assert [str(path) for path in gates.rglob("*.py") if calls.search(path.read_text())] == []
        request = await held(here, service)
        view = await service.request(request)
        token = tokens.new_token("ktg")
        fields = {"name": "ci", "assurance": "advisory", "token": tokens.hash_token(token), "by": "dana"}
        await service.core.ledger.append([Draft("gate.enrolled", fields)])
        body = {"digest": view.digest, "display": view.display}
        async with AsyncTestClient(make_app(service, here.settings), base_url="https://keyturn.test") as api:
            as_gate = {"authorization": f"Bearer {token}"}
            for verb, sent in (("approve", body), ("deny", body), ("withdraw", {})):
                answer = await api.post(f"/v1/requests/{request}/{verb}", json=sent, headers=as_gate)
                assert answer.status_code == 403, verb
            handed = {"to": "riley", "until": service.core.now() + 60_000}
            assert (await api.post("/v1/delegations", json=handed, headers=as_gate)).status_code == 403
            assert (await api.post("/v1/delegations", json=handed)).status_code == 401
            as_riley = {"authorization": f"Bearer {here.tokens['riley']}"}
            done = await api.post(f"/v1/requests/{request}/approve", json=body, headers=as_riley)
            assert done.status_code == 200, "negative control: a person's token does"

    here.play(story)


def test_who_a_caller_says_they_are_decides_nothing(here: World) -> None:
    """Forged forwarding headers and fields: the person is the token's, and a body has no field for another."""

    async def story(service: Keyturn) -> None:
        request = await held(here, service)
        view = await service.request(request)
        body = {"digest": view.digest, "display": view.display}
        async with AsyncTestClient(make_app(service, here.settings), base_url="https://keyturn.test") as api:
            forged = {
                "x-forwarded-user": "riley",
                "x-forwarded-for": "127.0.0.1",
                "x-keyturn-person": "riley",
            }
            assert (
                await api.post(f"/v1/requests/{request}/approve", json=body, headers=forged)
            ).status_code == 401
            as_sam = {"authorization": f"Bearer {here.tokens['sam']}", **forged}
            more = {**body, "person": "riley", "assurance": "signed"}
            assert (
                await api.post(f"/v1/requests/{request}/approve", json=more, headers=as_sam)
            ).status_code == 400
            assert (
                await api.post(f"/v1/requests/{request}/approve", json=body, headers=as_sam)
            ).status_code == 200
        assert (await service.request(request)).approvals[0].person == "sam"

    here.play(story)


async def grantable(service: Keyturn, approve: str = "1 of reviewers") -> None:
    """From here on what waits may be granted for ten minutes."""
    files = dict(service.core.policy.files)
    text = f'[default]\napprove = "{approve}"\nwithin = "30m"\ngrant = "10m"\n'
    files["requirements.toml"] = text.encode()
    policy = Policy.parse(files)
    await service.core.ledger.append([published(policy, files, by="genesis", request=None)])


def test_a_grant_is_not_used_by_an_agent_of_who_gave_it(here: World) -> None:
    """Who approved for ten minutes must not have an agent of theirs start another that runs it on their own behalf."""

    async def story(service: Keyturn) -> None:
        await grantable(service)
        agent, dana = Agent("claude-code", "claude-code", "2.1"), Human("dana", "os-uid", os.getuid())
        session = await here.session(service)
        request = await held(here, service, session)
        await decide(service, request, "riley", grant="600s", reason="known")
        assert (await service.authorize(here.action(session, HELD), here.around)).verdict == "run"
        again = await here.session(service)
        assert (await service.authorize(here.action(again, HELD), here.around)).grant, (
            "negative control: covered"
        )
        hers = await service.open_session(agent=agent, human=Human("riley", "token"), gate=GATE, cwd="/")
        below = await service.open_session(agent=agent, human=dana, gate=GATE, cwd="/", parents=(hers.id,))
        outcome = await service.authorize(here.action(below.id, HELD), here.around)
        assert (outcome.verdict, outcome.grant) == ("hold", None)

    here.play(story)


def test_a_grant_by_a_stand_in_lasts_no_longer_than_they_stand_in(here: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        await grantable(service)
        await joins(service, "eve")
        until = core.now() + 3_600_000
        made = await delegations.open_delegation(core, person(service, "riley"), "eve", until=until)
        session = await here.session(service)
        request = await held(here, service, session)
        await decide(service, request, "eve", grant="600s", reason="known")
        digest = (core.ledger.row("request", request) or {})["digest"]
        assert (await service.claim(request, digest, GATE.name)).verdict == "run"
        assert (await service.authorize(here.action(session, HELD), here.around)).grant
        await delegations.end_delegation(core, person(service, "riley"), made.id)
        outcome = await service.authorize(here.action(session, HELD), here.around)
        assert (outcome.verdict, outcome.grant) == ("hold", None)

    here.play(story)
