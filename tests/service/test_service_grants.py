"""Grants in a real home: opened, used, ended, revoked; and what somebody might try with them (promises 4, 5, 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from service_world import GATE, HELD, World, person, types
from service_world import decide as decided
from signing_world import SoftSshKey, enrol

from keyturn.actions import Gate, Human
from keyturn.approvals.errors import DecisionRefused, GrantTooLong, InvalidGrant
from keyturn.approvals.permit import PermitRefused
from keyturn.identity.keys import from_b64
from keyturn.policy import Policy
from keyturn.service import grants, people
from keyturn.service.authorization import PermitOfGrant
from keyturn.service.errors import GrantEnded, GrantUnexplained, NotClaimable, UnknownGrant
from keyturn.service.genesis import published
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome, Revoked


async def decide(service: Keyturn, request: str, who: str, choice: str = "approve", **changes: Any) -> Any:
    """*who* decides, and says why: what is risky needs that."""
    return await decided(service, request, who, choice, **{"reason": "known to be safe", **changes})


async def granted(world: World, service: Keyturn, session: str, wish: str = "600s", **changes: Any) -> str:
    """A grant for `HELD` in *session*, whose first use was claimed; its id."""
    held = await service.authorize(world.action(session, HELD, **changes), world.around)
    assert held.request is not None
    await decide(service, held.request, "riley", grant=wish)
    first = await service.claim(held.request, held.digest, GATE.name, consume=True)
    assert first.grant is not None
    return first.grant


async def asked(world: World, service: Keyturn, session: str, **changes: Any) -> Outcome:
    """What the same action gets now."""
    return await service.authorize(world.action(session, HELD, **changes), world.around)


def later(service: Keyturn, seconds: float) -> None:
    """The service's clock goes on by *seconds*."""
    before = service.core.clock
    service.core.clock = lambda: before() + seconds


def test_exactly_this_action_runs_again_until_the_end_and_no_moment_longer(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session, other = await world.session(service), await world.session(service, "other")
        grant = await granted(world, service, session)
        again = await asked(world, service, session)
        assert (again.verdict, again.grant) == ("run", grant)
        assert again.decision.would == "hold"
        assert f"Grant {grant} covers it: riley approved exactly this action until" in again.words
        assert (await asked(world, service, other)).verdict == "run", (
            "any session of the same agent, gate and human"
        )
        assert grants.view(service.core, grant).used == 3
        assert (await asked(world, service, session)).permit.expires <= grants.view(service.core, grant).ends
        later(service, 599)
        late = await asked(world, service, session)
        assert late.permit is not None
        assert late.permit.expires == grants.view(service.core, grant).ends, (
            "a permit never outlives its grant"
        )
        later(service, 1)
        assert (await asked(world, service, session)).verdict == "hold"
        with pytest.raises(PermitRefused):
            await service.consume(late.permit.token, late.digest, GATE.name)
        assert grants.view(service.core, grant).state == "ended"
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_without_a_wish_it_is_once(world: World) -> None:
    """Negative control of the test above."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = await asked(world, service, session)
        await decide(service, held.request, "riley")
        assert (await service.claim(held.request, held.digest, GATE.name)).grant is None
        assert (await asked(world, service, session)).verdict == "hold"
        assert "grant.opened" not in types(service)

    world.play(story)


def test_a_grant_of_a_session_or_of_few_uses_is_no_more_than_that(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session, other = await world.session(service), await world.session(service, "other")
        await granted(world, service, session, "600s session 3 uses")
        assert (await asked(world, service, other)).verdict == "hold", "another session"
        assert (await asked(world, service, session)).verdict == "run"
        assert (await asked(world, service, session)).verdict == "run"
        assert (await asked(world, service, session)).verdict == "hold", "used up: the first run counted, too"

    world.play(story)


@pytest.mark.parametrize(
    "part", ["content", "cwd", "environment", "executes", "definition", "agent", "gate", "human"]
)
def test_something_else_is_not_covered(world: World, part: str) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await granted(world, service, session)
        action = world.action(session, HELD)
        who = action.attribution
        other = Gate("hooks:other@here", "cooperative")
        changed: dict[str, Any] = {
            "content": {"content": replace(action.content, script=HELD + " ")},
            "cwd": {"cwd": str(world.work.parent)},
            "environment": {"environment": {"PATH": "/tmp"}},
            "executes": {"executes": {"/bin/rm": "sha256:" + "1" * 64}},
            "definition": {"attribution": replace(who, definition="sha256:" + "1" * 64)},
            "agent": {"attribution": replace(who, agent=replace(who.agent, name="other"))},
            "gate": {"gate": other},
            "human": {"attribution": replace(who, human=Human("sam", "os-uid", 4242))},
        }[part]
        if part in ("gate", "human"):
            opened = await service.open_session(
                agent=who.agent,
                human=changed.get("attribution", who).human,
                gate=changed.get("gate", GATE),
                cwd=str(world.work),
            )
            changed["session"] = opened.id
        assert (await service.authorize(replace(action, **changed), world.around)).verdict == "hold"
        assert (await asked(world, service, session)).verdict == "run", "negative control"

    world.play(story)


def test_a_new_policy_ends_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        grant = await granted(world, service, session)
        assert (await asked(world, service, session)).verdict == "run", "negative control"
        files = {**service.core.policy.files, "requirements.toml": b'[default]\nwithin = "29m"\n'}
        await service.core.ledger.append([published(Policy.parse(files), files, by="genesis", request=None)])
        assert (await asked(world, service, session)).verdict == "hold"
        assert grants.view(service.core, grant).state == "superseded"

    world.play(story)


def test_what_policy_refuses_is_refused_whatever_was_granted(world: World) -> None:
    """A workspace's own rules tighten; they are part of the digest, and a refusal is looked at first anyway."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await granted(world, service, session)
        service.core.workspaces.fresh = 0
        around = replace(world.around, workspace=str(world.work))
        assert (await service.authorize(world.action(session, HELD), around)).verdict == "run", (
            "negative control"
        )
        rules = world.work / ".keyturn" / "rules"
        rules.mkdir(parents=True)
        (rules / "no.cedar").write_text(
            '@id("no-rm")\n@because("not here")\nforbid(principal, action == Action::"shell", resource)'
            ' when { context.program == "rm" };\n'
        )
        assert (await service.authorize(world.action(session, HELD), around)).verdict == "refuse"

    world.play(story)


@pytest.mark.parametrize("how", ["removed", "left the group"])
def test_an_approver_who_may_no_longer_approve_takes_it_along(world: World, how: str) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await granted(world, service, session)
        assert (await asked(world, service, session)).verdict == "run", "negative control"
        if how == "removed":
            await people.remove(service.core, "riley", by="dana")
        else:
            await people.change(service.core, "riley", {"groups": ["policy"]}, by="dana")
        assert (await asked(world, service, session)).verdict == "hold"

    world.play(story)


def test_an_approver_who_turns_out_to_be_who_asks_takes_it_along(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await granted(world, service, session)
        assert (await asked(world, service, session)).verdict == "run", "negative control"
        own = service.core.roster.people["dana"].os_uids
        await people.change(service.core, "riley", {"os_uids": list(own)}, by="dana")
        assert (await asked(world, service, session)).verdict == "hold"

    world.play(story)


def two(world: World) -> World:
    """With two approvers needed."""

    async def story(service: Keyturn) -> None:
        files = {**service.core.policy.files, "requirements.toml": b'[default]\napprove = "2 of reviewers"\n'}
        await service.core.ledger.append([published(Policy.parse(files), files, by="genesis", request=None)])

    world.play(story)
    return world


@pytest.mark.parametrize(
    ("riley", "sam", "seconds"),
    [("600s", "120s", 120), ("120s", "600s session", 120), ("once", "600s", None)],
)
def test_of_several_approvers_the_narrowest_counts(
    world: World, riley: str, sam: str, seconds: int | None
) -> None:
    async def story(service: Keyturn) -> None:
        session, other = await world.session(service), await world.session(service, "other")
        held = await asked(world, service, session)
        await decide(service, held.request, "riley", grant=riley)
        with pytest.raises(DecisionRefused):  # who approved can't extend what they said
            await decide(service, held.request, "riley", grant="3600s")
        done = await decide(service, held.request, "sam", grant=sam)
        with pytest.raises(DecisionRefused):
            await decide(service, held.request, "sam", grant="3600s")
        outcome = await service.claim(held.request, held.digest, GATE.name)
        if seconds is None:
            assert outcome.grant is None
            return
        view = grants.view(service.core, outcome.grant)
        assert abs((view.ends - done.ended) / 1000 - seconds) < 60  # which of the two it was
        assert (await asked(world, service, other)).verdict == ("hold" if "session" in sam else "run")
        assert (await asked(world, service, session)).verdict == "run"

    two(world).play(story)


def test_nobody_grants_more_than_policy_lets_them_and_is_told(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = await asked(world, service, session)
        with pytest.raises(GrantTooLong):
            await decide(service, held.request, "riley", grant="7200s")
        with pytest.raises(InvalidGrant):
            await decide(service, held.request, "riley", grant="for ever")
        assert (await service.request(held.request)).approvals == ()
        await decide(service, held.request, "riley", grant="3600s")

    world.play(story)


def test_a_change_is_approved_once(world: World) -> None:
    async def story(service: Keyturn) -> None:
        files = {**service.core.policy.files, "requirements.toml": b'[default]\nwithin = "29m"\n'}
        view = await service.propose_policy(files, person(service, "dana"), "shorter")
        with pytest.raises(InvalidGrant):
            await decide(service, view.id, "riley", grant="600s")
        await decide(service, view.id, "riley")

    world.play(story)


def test_revoked_is_revoked_permits_waiting_approvals_and_what_belongs_to_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        grant = await granted(world, service, session)
        permit = await asked(world, service, session)
        spent = await asked(world, service, session)
        await service.consume(spent.permit.token, spent.digest, GATE.name)  # negative control
        hears = asyncio.create_task(service.revoked(session, 0, 30))
        with pytest.raises(GrantUnexplained):
            await service.revoke_grant(grant, person(service, "sam"), "  ")
        with pytest.raises(UnknownGrant):
            await service.revoke_grant("g_none", person(service, "sam"), "why")
        assert not hears.done()
        view = await service.revoke_grant(grant, person(service, "sam"), "wrong database")
        assert (view.state, view.revoked_by, view.revoked_why) == ("revoked", "sam", "wrong database")
        assert await hears == (Revoked(grant, f"sam revoked the grant {grant}: wrong database"),)
        with pytest.raises(PermitOfGrant, match=r"sam revoked the grant .*: wrong database"):
            await service.consume(permit.permit.token, permit.digest, GATE.name)
        assert (await asked(world, service, session)).verdict == "hold"
        with pytest.raises(GrantEnded):
            await service.revoke_grant(grant, person(service, "riley"), "again")
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_an_approval_whose_grant_was_revoked_before_anybody_came_is_not_claimed(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = await asked(world, service, session)
        await decide(service, held.request, "riley", grant="600s")
        row = service.core.ledger.row("request", held.request)
        await service.revoke_grant(row["grant"], person(service, "sam"), "no")
        with pytest.raises(NotClaimable, match="sam revoked"):
            await service.claim(held.request, held.digest, GATE.name)
        assert (await asked(world, service, session)).verdict == "hold", "asked again, it is held anew"

    world.play(story)


def test_an_approval_for_ten_minutes_is_not_claimed_in_the_eleventh(world: World) -> None:
    """The time that people gave runs from their decision, not from the first use (JIT overrun)."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = await asked(world, service, session)
        await decide(service, held.request, "riley", grant="600s")
        later(service, 600)
        with pytest.raises(NotClaimable, match="its time is over"):
            await service.claim(held.request, held.digest, GATE.name)

    world.play(story)


def test_what_is_part_of_revoked_work_is_asked_for(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        script = "make deploy"
        held = await service.authorize(world.action(session, script), world.around)
        assert held.request is not None
        await decide(service, held.request, "riley", grant="600s")
        first = await service.claim(held.request, held.digest, GATE.name, consume=True)
        part = world.action(session, HELD)
        allowed = await service.authorize(part, world.around, within=first.action)
        assert allowed.verdict == "run", "negative control"
        await service.revoke_grant(first.grant, person(service, "sam"), "stop it")
        assert (await service.authorize(part, world.around, within=first.action)).verdict == "hold"

    world.play(story)


def test_a_use_that_races_with_the_revocation_is_decided_anew(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(service: Keyturn) -> None:
        from keyturn.service import authorization

        session = await world.session(service)
        grant = await granted(world, service, session)
        record, raced = authorization._record, []

        async def late(core: Any, *args: Any) -> Any:
            if not raced:
                raced.append(True)
                await service.revoke_grant(grant, person(service, "sam"), "now")
            return await record(core, *args)

        monkeypatch.setattr(authorization, "_record", late)
        assert (await asked(world, service, session)).verdict == "hold"
        assert raced

    world.play(story)


def test_how_far_it_goes_is_in_the_statement_and_in_the_approval(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await granted(world, service, session, "600s session")
        entry = next(e for e in service.core.ledger.entries() if e.type == "approval.given")
        assert entry.fields["grant"] == "600s session"

    world.play(story)


def test_revoking_the_key_that_signed_it_ends_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        key = await enrol(service, "riley", soft)
        session = await world.session(service)
        held = await asked(world, service, session)
        view = await service.request(held.request, person(service, "riley"))
        given = {"reason": "safe", "digest": view.digest, "display": view.display, "grant": "600s"}
        handed = await service.statement(held.request, person(service, "riley"), "approve", **given)
        proof = soft.prove(from_b64(handed.bytes))
        nonce = handed.statement["nonce"]
        await decide(service, held.request, "riley", **given, proof=proof, statement_nonce=nonce)
        assert (await service.claim(held.request, held.digest, GATE.name)).grant is not None
        assert (await asked(world, service, session)).verdict == "run", "negative control"
        await service.revoke_key(key, person(service, "riley"), "stolen")
        assert (await asked(world, service, session)).verdict == "hold"

    world.play(story)
