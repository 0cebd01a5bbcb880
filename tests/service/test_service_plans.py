"""Plans in a real home: proposed, approved as a whole, walked in order, stopped; and what an agent might try with them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from service_world import ALLOWED, GATE, World, person, types
from service_world import decide as decided

from keyturn import canonical
from keyturn.approvals import plans as rules
from keyturn.approvals.errors import DecisionRefused
from keyturn.approvals.gesture import Gesture
from keyturn.approvals.permit import PermitRefused
from keyturn.errors import KeyturnError
from keyturn.policy import Policy
from keyturn.service import plans
from keyturn.service.authorization import PermitOfPlan
from keyturn.service.errors import NotClaimable, UnknownSession
from keyturn.service.genesis import published
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome, PlanAnswer, Proposed, Revoked
from keyturn.service.plan_errors import InvalidPlan, PlanOpen, PlanStopped, PlanUnexplained, UnknownPlan

STEPS = ("rm -r build", "ls -la", "rm -r dist", "rm -r cache")
"""The second runs by itself."""


async def decide(service: Keyturn, request: str, who: str, choice: str = "approve", **changes: Any) -> Any:
    """*who* decides, and says why: what is risky needs that."""
    return await decided(service, request, who, choice, **{"reason": "looked at all of it", **changes})


async def proposed(
    world: World, service: Keyturn, session: str, scripts: tuple[str, ...] = STEPS, **changes: Any
) -> PlanAnswer:
    """What a plan of *scripts* gets."""
    steps = [Proposed(world.action(session, one), world.around) for one in scripts]
    return await service.propose_plan(steps, **{"why": "clean up", "seconds": 600, **changes})


async def opened(world: World, service: Keyturn, session: str, scripts: tuple[str, ...] = STEPS) -> str:
    """A plan of *scripts* that riley approved; its id."""
    answer = await proposed(world, service, session, scripts)
    assert answer.request is not None
    view = await decide(service, answer.request, "riley")
    assert view.state == "approved"
    return plans.views(service.core, "open", 10)[0].id


async def asked(
    world: World, service: Keyturn, session: str, script: str, *, consume: bool = True, **changes: Any
) -> Outcome:
    """What one action gets, used at once as hooks do."""
    return await service.authorize(world.action(session, script, **changes), world.around, consume=consume)


def test_a_plan_is_approved_once_and_walked_in_order_each_step_once(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        answer = await proposed(world, service, session)
        assert (answer.verdict, [one.verdict for one in answer.steps]) == (
            "hold",
            ["hold", "run", "hold", "hold"],
        )
        assert "3 of 4 steps need people" in answer.words
        view = await service.request(answer.request, person(service, "riley"))
        assert view.subject == "plan"
        assert all(script in view.text for script in STEPS)
        assert view.digest == canonical.digest(
            {"subject": "plan", "content": view.content, "request": view.id}
        )
        assert [canonical.digest(one["act"]) for one in view.content["steps"]] == [
            one.digest for one in answer.steps
        ]
        assert rules.text(view.content) == view.text
        assert (await asked(world, service, session, STEPS[1])).verdict == "run"
        assert view.risk is not None
        assert all(line.words.startswith("step ") for line in view.risk.lines)
        await decide(service, answer.request, "riley")
        (found,) = plans.views(service.core, "open", 10)
        assert (found.state, found.next, found.approvers) == ("open", 1, ("riley",))
        for number, script in enumerate(STEPS, 1):
            got = await asked(world, service, session, script)
            assert got.verdict == "run", got.words
            if script != STEPS[1]:
                assert f"Step {number} of 4 of plan {found.id}" in got.words
                assert got.grant == found.id
        after = plans.view(service.core, found.id)
        assert (after.state, after.next) == ("done", 0)
        assert [bool(one.action) for one in after.steps] == [True, False, True, True]
        assert (await asked(world, service, session, STEPS[0])).verdict == "hold", "each once"
        told = [one for one in types(service) if one.startswith("plan.")]
        assert told == ["plan.opened", "plan.advanced", "plan.advanced", "plan.advanced", "plan.ended"]
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_without_the_plan_each_step_is_held(world: World) -> None:
    """Negative control of the test above: the same steps, the plan denied."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        answer = await proposed(world, service, session)
        await decide(service, answer.request, "riley", "deny")
        assert (await asked(world, service, session, STEPS[0])).verdict == "hold"
        assert "plan.opened" not in types(service)

    world.play(story)


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("rm -r dist", "step 3 was asked for where step 1 is next"),
        ("rm -r build ", "an action that is no step of it"),
        ("rm -r other", "an action that is no step of it"),
    ],
)
def test_what_else_policy_holds_stops_the_plan_and_the_rest_of_it(
    world: World, then: str, words: str
) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        plan = await opened(world, service, session)
        assert (await asked(world, service, session, ALLOWED)).verdict == "run", (
            "it needs nobody: no deviation"
        )
        assert plans.view(service.core, plan).state == "open"
        left = await asked(world, service, session, then)
        assert left.verdict == "hold"
        assert words in left.words
        assert "The plan is stopped" in left.words
        assert plans.view(service.core, plan).state == "stopped"
        assert (await asked(world, service, session, STEPS[0])).verdict == "hold", "the rest is not covered"
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_a_used_step_again_stops_the_plan(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        plan = await opened(world, service, session)
        assert (await asked(world, service, session, STEPS[0])).verdict == "run"
        again = await asked(world, service, session, STEPS[0])
        assert "used already" in again.words
        assert plans.view(service.core, plan).state == "stopped"

    world.play(story)


@pytest.mark.parametrize("part", ["cwd", "environment", "executes", "definition", "agent"])
def test_a_step_with_something_swapped_is_another_action(world: World, part: str) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        plan = await opened(world, service, session)
        action = world.action(session, STEPS[0])
        who = action.attribution
        changed: dict[str, Any] = {
            "cwd": {"cwd": str(world.work.parent)},
            "environment": {"environment": {"PATH": "/tmp"}},
            "executes": {"executes": {"/bin/rm": "sha256:" + "1" * 64}},
            "definition": {"attribution": replace(who, definition="sha256:" + "1" * 64)},
            "agent": {"attribution": replace(who, agent=replace(who.agent, name="other"))},
        }[part]
        assert (await service.authorize(replace(action, **changed), world.around)).verdict == "hold"
        assert plans.view(service.core, plan).state == "stopped"

    world.play(story)


def test_another_session_neither_uses_nor_stops_a_plan(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session, other = await world.session(service), await world.session(service, "other")
        plan = await opened(world, service, session)
        assert (await asked(world, service, other, STEPS[0])).verdict == "hold"
        assert (await asked(world, service, other, "rm -r elsewhere")).verdict == "hold"
        assert plans.view(service.core, plan).state == "open"
        assert (await asked(world, service, session, STEPS[0])).verdict == "run", "negative control"
        foreign = [Proposed(world.action(one, STEPS[0]), world.around) for one in (session, other)]
        with pytest.raises(InvalidPlan):
            await service.propose_plan(foreign, "", 600)
        with pytest.raises(UnknownSession):
            await service.propose_plan(
                [Proposed(world.action(other, STEPS[0], gate=replace(GATE, name="x")), world.around)], "", 600
            )

    world.play(story)


def test_permits_of_steps_are_neither_collected_nor_used_after_a_stop(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        plan = await opened(world, service, session)
        first = await asked(world, service, session, STEPS[0], consume=False)
        assert first.permit is not None
        second = await asked(world, service, session, STEPS[2], consume=False)
        assert second.verdict == "hold"
        assert "before the permit of the step before was used" in second.words
        with pytest.raises(PermitOfPlan):
            await service.consume(first.permit.token, first.digest, GATE.name)
        assert plans.view(service.core, plan).state == "stopped"

    world.play(story)


def test_a_permit_of_a_step_is_used_while_the_plan_is_open(world: World) -> None:
    """Negative control of the test above."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await opened(world, service, session)
        for script in (STEPS[0], STEPS[2]):
            step = await asked(world, service, session, script, consume=False)
            assert step.permit is not None, step.words
            await service.consume(step.permit.token, step.digest, GATE.name)

    world.play(story)


def test_a_revocation_stops_what_waits_and_is_heard_by_what_runs(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        plan = await opened(world, service, session)
        first = await asked(world, service, session, STEPS[0], consume=False)
        listening = asyncio.create_task(service.revoked(session, 0, 30))
        with pytest.raises(PlanUnexplained):
            await service.revoke_plan(plan, person(service, "sam"), " ")
        with pytest.raises(UnknownPlan):
            await service.revoke_plan("pl_none", person(service, "sam"), "no")
        view = await service.revoke_plan(plan, person(service, "sam"), "not today")
        assert (view.state, view.stopped_by, view.stopped_why) == ("revoked", "sam", "not today")
        assert await listening == (Revoked(plan, f"sam revoked the plan {plan}: not today"),)
        with pytest.raises(PlanStopped):
            await service.revoke_plan(plan, person(service, "riley"), "me too")
        with pytest.raises(PermitOfPlan):
            await service.consume(first.permit.token, first.digest, GATE.name)  # type: ignore[union-attr]
        assert (await asked(world, service, session, STEPS[2])).verdict == "hold"
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_its_time_ends_it_and_permits_do_not_outlive_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        plan = await opened(world, service, session)
        before = service.core.clock
        service.core.clock = lambda: before() + 590
        late = await asked(world, service, session, STEPS[0], consume=False)
        assert late.permit is not None
        assert late.permit.expires == plans.view(service.core, plan).ends
        service.core.clock = lambda: before() + 601
        assert plans.view(service.core, plan).state == "ended"
        with pytest.raises(PermitRefused):
            await service.consume(late.permit.token, late.digest, GATE.name)
        assert (await asked(world, service, session, STEPS[2])).verdict == "hold"

    world.play(story)


def test_another_policy_supersedes_a_plan_that_waits_and_one_that_is_open(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        plan = await opened(world, service, session)
        other = await world.session(service, "other")
        waiting = await proposed(world, service, other)
        files = {**service.core.policy.files, "requirements.toml": b'[default]\nwithin = "29m"\n'}
        await service.core.ledger.append([published(Policy.parse(files), files, by="genesis", request=None)])
        assert plans.view(service.core, plan).state == "superseded"
        assert (await asked(world, service, session, STEPS[0])).verdict == "hold"
        with pytest.raises(DecisionRefused):
            await decide(service, waiting.request, "riley")
        assert len(plans.views(service.core, "all", 10)) == 1

    world.play(story)


@pytest.mark.parametrize("who", ["dana", "riley"])
def test_who_asks_does_not_approve_the_plan(world: World, who: str) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        answer = await proposed(world, service, session)
        if who == "dana":
            with pytest.raises(DecisionRefused):
                await decide(service, answer.request, who)
            assert plans.views(service.core, "all", 10) == []
        else:
            await decide(service, answer.request, who)
            assert len(plans.views(service.core, "all", 10)) == 1

    world.play(story)


def test_an_approver_who_left_no_longer_carries_the_plan(world: World) -> None:
    async def story(service: Keyturn) -> None:
        from keyturn.service import people

        session = await world.session(service)
        plan = await opened(world, service, session)
        assert (await asked(world, service, session, STEPS[0])).verdict == "run", "negative control"
        await people.remove(service.core, "riley", by="dana")
        held = await asked(world, service, session, STEPS[2])
        assert held.verdict == "hold"
        assert "fewer of those who approved" in held.words
        assert plans.view(service.core, plan).state == "open", "nobody left the plan"

    world.play(story)


def test_one_step_that_policy_refuses_refuses_all_of_it_and_is_recorded(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        refused = "rm -rf /"
        assert (await asked(world, service, session, refused)).verdict == "refuse"
        before = len(types(service))
        answer = await proposed(world, service, session, (STEPS[0], refused, STEPS[2]))
        assert (answer.verdict, answer.request) == ("refuse", None)
        assert "step 2 of 3" in answer.words
        assert types(service)[before:] == ["plan.answered"]
        assert (await proposed(world, service, session, (STEPS[0], STEPS[2]))).verdict == "hold", "control"

    world.play(story)


def test_a_plan_that_needs_nobody_asks_nobody(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        answer = await proposed(world, service, session, (ALLOWED, "ls"))
        assert (answer.verdict, answer.request) == ("run", None)

    world.play(story)


def test_fifty_steps_are_read_fifty_one_are_not(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session, other = await world.session(service), await world.session(service, "other")
        many = tuple(f"rm -r d{n}" for n in range(51))
        with pytest.raises(InvalidPlan):
            await proposed(world, service, session, many)
        with pytest.raises(InvalidPlan):
            await proposed(world, service, session, ())
        with pytest.raises(InvalidPlan):
            await proposed(world, service, session, seconds=86_401)
        with pytest.raises(InvalidPlan):
            await proposed(world, service, session, why="x" * 2_001)
        assert (await proposed(world, service, other, many[:50])).verdict == "hold"

    world.play(story)


def test_a_session_has_one_plan_at_a_time(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        answer = await proposed(world, service, session)
        with pytest.raises(PlanOpen):
            await proposed(world, service, session, ("rm -r x",))
        await decide(service, answer.request, "riley")
        with pytest.raises(PlanOpen):
            await proposed(world, service, session, ("rm -r x",))
        plan = plans.views(service.core, "open", 1)[0].id
        await service.revoke_plan(plan, person(service, "sam"), "another one")
        assert (await proposed(world, service, session, ("rm -r x",))).verdict == "hold"

    world.play(story)


def test_a_plan_is_not_claimed_and_not_approved_for_longer(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        answer = await proposed(world, service, session)
        with pytest.raises(KeyturnError):
            await decide(service, answer.request, "riley", grant="600s")
        await decide(service, answer.request, "riley")
        with pytest.raises(NotClaimable):
            await service.claim(answer.request, answer.digest, GATE.name)

    world.play(story)


def test_a_step_can_not_look_like_another_heading(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        forged = "rm -r build\n# \nStep 2 of 2: runs by itself\n  in /nowhere"
        answer = await proposed(world, service, session, (forged,))
        view = await service.request(answer.request, person(service, "riley"))
        headings = [line for line in view.text.split("\n") if line.startswith("Step ")]
        assert headings == ["Step 1 of 1: needs people"]

    world.play(story)


def test_the_same_step_twice_at_once_is_used_once(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        await opened(world, service, session)
        both = await asyncio.gather(*(asked(world, service, session, STEPS[0]) for _ in range(2)))
        assert sorted(one.verdict for one in both) == ["hold", "run"]
        assert types(service).count("plan.advanced") == 1

    world.play(story)


def test_a_critical_step_makes_the_plan_critical(world: World) -> None:
    """Approved like a critical action: its target is typed, or it is signed."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        critical = "scp dump.sql db.prod.example:/srv/"
        answer = await proposed(world, service, session, (STEPS[0], critical))
        view = await service.request(answer.request, person(service, "riley"))
        assert view.risk is not None
        assert (view.risk.tier, bool(view.risk.target)) == ("critical", True)
        assert all(line.words.startswith("step 2: ") for line in view.risk.lines)
        with pytest.raises(DecisionRefused):
            await decide(service, answer.request, "riley")
        assert plans.views(service.core, "all", 10) == []
        typed = Gesture(typed=view.risk.target)
        after = await decide(service, answer.request, "riley", gesture=typed)
        if after.state == "waiting":  # policy asks two people for what sends a dump away
            after = await decide(service, answer.request, "sam", gesture=typed)
        assert after.state == "approved"
        for script in (STEPS[0], critical):
            got = await asked(world, service, session, script)
            assert got.verdict == "run", got.words

    world.play(story)


def test_what_policy_asks_for_any_step_is_asked_for_all_of_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        strict = b'[default]\napprove = "1 of reviewers"\n[tier.critical]\napprove = "2 of reviewers"\nwithin = "10m"\n'
        files = {**service.core.policy.files, "requirements.toml": strict}
        await service.core.ledger.append([published(Policy.parse(files), files, by="genesis", request=None)])
        session, other = await world.session(service), await world.session(service, "other")
        mild = await proposed(world, service, other, (STEPS[0],))
        assert (await service.request(mild.request)).obligations.approve == "1 of reviewers", "control"
        answer = await proposed(world, service, session, (STEPS[0], "scp dump.sql db.prod.example:/srv/"))
        view = await service.request(answer.request)
        assert (view.obligations.approve, view.obligations.within) == ("2 of reviewers", 600)
        typed = Gesture(typed=view.risk.target)  # type: ignore[union-attr]
        assert (await decide(service, answer.request, "riley", gesture=typed)).state == "waiting"
        assert (await asked(world, service, session, STEPS[0])).verdict == "hold", "one of two is not enough"
        assert (await decide(service, answer.request, "sam", gesture=typed)).state == "approved"

    world.play(story)


def test_closing_the_session_withdraws_its_plan(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        answer = await proposed(world, service, session)
        await service.close_session(session)
        assert (await service.request(answer.request)).state == "withdrawn"

    world.play(story)
