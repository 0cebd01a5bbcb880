"""One action's whole journey through the use cases, and what each promise refuses on the way."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from service_world import ALLOWED, GATE, HELD, World, decide, person, types

from keyturn.actions import Gate, Human, Text
from keyturn.approvals import permit as permits
from keyturn.approvals.errors import DecisionRefused, OtherBytes, RequestEnded
from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Draft
from keyturn.service.errors import NotClaimable, ReceiptRepeated, SessionClosed, UnknownSession
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Receipt


def test_an_allowed_action_gets_a_permit_that_opens_once(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, ALLOWED), world.around)
        assert outcome.verdict == "run"
        assert outcome.permit is not None
        assert await service.consume(outcome.permit.token, outcome.digest, GATE.name) == outcome.action
        with pytest.raises(permits.PermitUsed):
            await service.consume(outcome.permit.token, outcome.digest, GATE.name)
        assert types(service)[-3:] == ["action.decided", "permit.consumed", "permit.refused"]

    world.play(story)


def test_fifty_uses_of_one_permit_at_the_same_moment_open_once(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, ALLOWED), world.around)
        assert outcome.permit is not None
        uses = [service.consume(outcome.permit.token, outcome.digest, GATE.name) for _ in range(50)]
        results = await asyncio.gather(*uses, return_exceptions=True)
        assert sum(isinstance(result, str) for result in results) == 1
        assert types(service).count("permit.consumed") == 1
        assert types(service).count("permit.refused") == 49

    world.play(story)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"digest": "sha256:" + "1" * 64}, permits.PermitOtherBytes),
        ({"gate": "hooks:other@here"}, permits.PermitOtherGate),
        ({"late": True}, permits.PermitExpired),
        ({"forged": True}, permits.PermitForged),
    ],
)
def test_a_permit_for_other_bytes_gate_or_time_is_refused_and_recorded(
    world: World, change: dict[str, Any], error: type[KeyturnError]
) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, ALLOWED), world.around)
        assert outcome.permit is not None
        token = outcome.permit.token
        if change.get("forged"):
            token = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
        if change.get("late"):
            now = service.core.clock()
            service.core.clock = lambda: now + 61
        with pytest.raises(error):
            await service.consume(token, change.get("digest", outcome.digest), change.get("gate", GATE.name))
        refused = list(service.core.ledger.entries())[-1]
        assert refused.type == "permit.refused"
        assert refused.fields["code"] == error.code

    world.play(story)


def test_a_held_action_runs_only_after_somebody_else_approved_exactly_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.verdict == "hold"
        assert outcome.permit is None
        assert outcome.request is not None
        with pytest.raises(NotClaimable):
            await service.claim(outcome.request, outcome.digest, GATE.name)
        waiting = asyncio.create_task(service.wait(outcome.request, 60))
        await decide(service, outcome.request, "riley")
        assert (await waiting).state == "approved"
        with pytest.raises(permits.PermitOtherBytes):
            await service.claim(outcome.request, "sha256:" + "2" * 64, GATE.name)
        with pytest.raises(permits.PermitOtherGate):
            await service.claim(outcome.request, outcome.digest, "hooks:other@here")
        claimed = await service.claim(outcome.request, outcome.digest, GATE.name)
        assert claimed.permit is not None
        with pytest.raises(NotClaimable):
            await service.claim(outcome.request, outcome.digest, GATE.name)
        await service.consume(claimed.permit.token, outcome.digest, GATE.name)
        await service.report(Receipt(outcome.action, claimed.permit.id, "done", exit_code=0))
        with pytest.raises(ReceiptRepeated):
            await service.report(Receipt(outcome.action, claimed.permit.id, "failed", exit_code=1))

    world.play(story)


def test_asking_again_for_the_same_bytes_continues_the_request_and_other_bytes_do_not(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        asks = [service.authorize(world.action(session, HELD), world.around) for _ in range(20)]
        outcomes = await asyncio.gather(*asks)
        assert len({outcome.request for outcome in outcomes}) == 1
        other = await service.authorize(world.action(session, HELD + "2"), world.around)
        assert other.request != outcomes[0].request
        assert outcomes[0].request is not None
        await decide(service, outcomes[0].request, "riley")
        again = await service.authorize(world.action(session, HELD), world.around)
        assert again.verdict == "run"
        assert again.permit is not None
        # The approval was for once: the next time is a new request.
        third = await service.authorize(world.action(session, HELD), world.around)
        assert third.verdict == "hold"
        assert third.request != outcomes[0].request

    world.play(story)


def test_the_initiator_can_not_approve_whatever_their_role_but_may_withdraw(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request is not None
        assert "admin" in person(service, "dana").roles
        with pytest.raises(DecisionRefused) as refused:
            await decide(service, outcome.request, "dana")
        assert refused.value.code == "approver.initiator"
        assert "approval.given" not in types(service)
        assert (await service.withdraw(outcome.request, "no longer needed", "dana")).state == "withdrawn"
        with pytest.raises(RequestEnded):
            await decide(service, outcome.request, "riley")

    world.play(story)


def test_an_approval_of_something_else_than_was_shown_is_refused(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request is not None
        for change in ({"digest": "sha256:" + "0" * 64}, {"display": "sha256:" + "0" * 64}):
            with pytest.raises(OtherBytes):
                await decide(service, outcome.request, "riley", **change)
        assert (await decide(service, outcome.request, "riley")).state == "approved"

    world.play(story)


def test_a_denial_wins_over_an_approval_and_its_reason_reaches_the_view(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request is not None
        results = await asyncio.gather(
            decide(service, outcome.request, "sam", "deny", reason="not today"),
            decide(service, outcome.request, "riley"),
            return_exceptions=True,
        )
        assert sum(isinstance(result, RequestEnded) for result in results) == 1
        view = await service.request(outcome.request)
        assert view.state == "denied"
        assert view.approvals[0].reason == "not today"

    world.play(story)


def test_time_ends_a_request_as_expired_never_as_approved(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request is not None
        now = service.core.clock()
        service.core.clock = lambda: now + 1800
        with pytest.raises(RequestEnded):
            await decide(service, outcome.request, "riley")
        assert (await service.request(outcome.request)).state == "expired"
        await service.expire()
        assert types(service).count("request.ended") == 1
        with pytest.raises(NotClaimable):
            await service.claim(outcome.request, outcome.digest, GATE.name)

    world.play(story)


def test_a_held_request_outlives_the_server(world: World) -> None:
    async def first(service: Keyturn) -> tuple[str, str]:
        session = await world.session(service, "client-1")
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request is not None
        return outcome.request, outcome.digest

    async def second(service: Keyturn) -> None:
        assert (await service.request(request)).state == "waiting"
        session = await world.session(service, "client-1")
        again = await service.authorize(world.action(session, HELD), world.around)
        assert again.request == request
        await decide(service, request, "riley")
        assert (await service.claim(request, digest, GATE.name)).verdict == "run"

    request, digest = world.play(first)
    world.play(second)


def test_a_closed_session_runs_nothing_and_its_requests_are_withdrawn(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request is not None
        closed = await service.close_session(session)
        assert closed.closed is not None
        assert (await service.request(outcome.request)).state == "withdrawn"
        with pytest.raises(SessionClosed):
            await service.authorize(world.action(session, ALLOWED), world.around)
        last = [e for e in service.core.ledger.entries() if e.session == session][-1]
        assert last.type == "session.closed"
        assert last.fields["count"] == last.n == closed.entries

    world.play(story)


def test_attribution_is_recorded_whole_and_what_is_missing_is_named(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await service.authorize(world.action(session, ALLOWED), world.around)
        whole = list(service.core.ledger.entries())[-1].fields
        assert whole["human"]["person"] == "dana"
        assert whole["instruction"]["text"] == "tidy up"
        assert whole["reasoning"]["text"] == "because"
        assert whole["missing"] == []
        session = await world.session(service, known=False)
        bare = world.action(session, ALLOWED)
        bare = type(bare)(
            bare.content, type(bare.attribution)(bare.attribution.agent), GATE, session, cwd=bare.cwd
        )
        await service.authorize(bare, world.around)
        fields = list(service.core.ledger.entries())[-1].fields
        assert fields["missing"] == ["definition", "human", "instruction", "reasoning"]
        assert fields["human"] is None

    world.play(story)


def test_an_instruction_is_carried_by_every_later_action_of_its_session_also_after_a_restart(
    world: World,
) -> None:
    async def first(service: Keyturn) -> None:
        session = await world.session(service, "client-1")
        await service.instruct(session, Text("mend the typo", "hook:UserPromptSubmit"))

    async def second(service: Keyturn) -> None:
        session = await world.session(service, "client-1")
        whole = world.action(session, ALLOWED)
        who = msgspec.structs.replace(whole.attribution, instruction=None)
        await service.authorize(msgspec.structs.replace(whole, attribution=who), world.around)
        fields = list(service.core.ledger.entries())[-1].fields
        assert fields["instruction"] == {"text": "mend the typo", "source": "hook:UserPromptSubmit"}
        assert "instruction" not in fields["missing"]

    world.play(first)
    world.play(second)


def test_a_policy_takes_effect_only_when_somebody_else_approved_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        held = await service.authorize(world.action(session, HELD), world.around)
        files = {path: service.core.bytes_of(blob) for path, blob in _files(service).items()}
        files["README.md"] = b"A new version.\n"
        before = service.core.policy.digest
        view = await service.propose_policy(files, person(service, "dana"), "words only")
        assert service.core.policy.digest == before
        with pytest.raises(DecisionRefused):
            await decide(service, view.id, "dana")
        await decide(service, view.id, "riley")
        assert service.core.policy.digest != before
        # What was held under the old version is not approved under the new one.
        assert held.request is not None
        with pytest.raises(RequestEnded):
            await decide(service, held.request, "riley")
        assert (await service.request(held.request)).state == "superseded"

    world.play(story)


def _files(service: Keyturn) -> dict[str, str]:
    row = service.core.ledger.row("policy", service.core.policy.digest)
    assert row is not None
    files: dict[str, str] = service.core.full(row["files"])
    return files


def test_projections_rebuild_to_the_same_bytes(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service, "c")
        for number in range(20):
            outcome = await service.authorize(
                world.action(session, f"ls -{number % 3}a"), world.around, consume=True
            )
            if outcome.permit:
                await service.report(Receipt(outcome.action, outcome.permit.id, "done"))
        held = await service.authorize(world.action(session, HELD), world.around)
        assert held.request is not None
        await decide(service, held.request, "riley")
        await service.claim(held.request, held.digest, GATE.name, consume=True)
        await service.close_session(session)
        assert service.core.ledger.rebuild(check=True).identical
        # Negative control: a row that no entry explains is found.
        await service.core.ledger.append([Draft("gate.started", {"name": "g", "assurance": "advisory"})])
        _alter_a_row(world)
        assert not service.core.ledger.rebuild(check=True).identical

    world.play(story)


def _alter_a_row(world: World) -> None:
    """As somebody with the database's password or file would."""
    update = "UPDATE \"row\" SET state = 'approved' WHERE kind = 'request'"
    if world.settings.store:
        import psycopg

        with psycopg.connect(world.settings.store) as database:
            assert database.execute(update).rowcount
    else:
        import sqlite3

        with sqlite3.connect(world.home.ledger) as file:
            assert file.execute(update).rowcount


def test_a_workspace_tightens_the_policy_and_can_not_loosen_it(world: World) -> None:
    rules = world.work / ".keyturn" / "rules"
    rules.mkdir(parents=True)

    async def story(service: Keyturn) -> None:
        service.core.workspaces.fresh = 0
        session = await world.session(service)

        async def verdict(command: str) -> str:
            return (await service.authorize(world.action(session, command), world.around)).verdict

        assert (await verdict(ALLOWED), await verdict(HELD)) == ("run", "hold")
        (rules / "strict.cedar").write_text(
            '@id("no-ls") @because("Not here.") forbid (principal, action == Action::"shell", resource)'
            ' when { context.program == "ls" };'
        )
        assert (await verdict(ALLOWED), await verdict(HELD)) == ("refuse", "hold")
        (rules / "strict.cedar").write_text('@id("all") @because("x") permit (principal, action, resource);')
        with pytest.raises(KeyturnError) as refused:
            await verdict(HELD)
        assert refused.value.code == "policy.invalid"
        (rules / "strict.cedar").unlink()
        assert (await verdict(ALLOWED), await verdict(HELD)) == ("run", "hold")

    world.play(story)


def test_nobody_acts_in_a_session_of_another_gate_or_another_human(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        mine = world.action(session, ALLOWED)
        assert (await service.authorize(mine, world.around)).verdict == "run"
        others = (
            msgspec.structs.replace(mine, gate=Gate("hooks:other@here", "cooperative")),
            msgspec.structs.replace(
                mine, attribution=msgspec.structs.replace(mine.attribution, human=Human("sam", "declared"))
            ),
        )
        for other in others:
            with pytest.raises(UnknownSession):
                await service.authorize(other, world.around)

    world.play(story)


def test_a_decision_under_a_workspace_s_own_rules_names_the_published_version(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await service.authorize(world.action(session, ALLOWED), world.around)
        rules = world.work / ".keyturn" / "rules"
        rules.mkdir(parents=True)
        ours = '@id("ours") @because("ours") @hold permit(principal, action == Action::"shell", resource);'
        (rules / "ours.cedar").write_text(ours)
        service.core.workspaces.fresh = 0
        await service.authorize(world.action(session, ALLOWED), world.around)
        entries = service.core.ledger.entries()
        plain, tightened = (one.fields for one in entries if one.type == "action.decided")
        active = service.core.policy.digest
        assert (plain["decision"]["policy"], "published" in plain) == (active, False)
        assert (tightened["decision"]["policy"] != active, tightened["published"]) == (True, active)

    world.play(story)
