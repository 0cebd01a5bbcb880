"""A proper house, and everything wrong in it that the tests of approvals, runs and records tell: each seeded with a known subject.

A seed records what should not be and says which tests have to find it, as (subject, words) under the test's name; every other test has to
find nothing. A subject may be worked out at the end, when it is known where the blocks of the log end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from world import HOUR, MINUTE, SECOND, Done, World, digest_of

TESTS = (
    "approved_before_run", "approved_in_time", "approvers_enrolled", "breakglass_reviewed", "changes_by_two", "clock_in_order",
    "decided_by_policy", "fields_complete", "leavers_out", "log_complete", "no_self_approval", "nothing_unrecorded", "permit_once",
    "policy_tested", "presence", "receipts_paired", "reconciled", "refused_stays_refused", "same_bytes", "sessions_closed",
    "signed_where_required", "targets_saw_it", "two_people",
)  # fmt: skip

Subject = str | Callable[[World], str]
Expected = dict[str, list[tuple[Subject, str]]]
Seed = Callable[[World], Expected]


def block(index: int) -> Callable[[World], str]:
    """The block of 256 entries in which *index* lies, as tests name it."""

    def named(world: World) -> str:
        first = index - index % 256
        last = max(m.entry.index for m in world.made if first <= m.entry.index < first + 256)
        return f"entries {first} to {last}"

    return named


# --- what a house does -------------------------------------------------------------------------------------------------


def later(world: World, hours: float) -> None:
    """Time goes by, with a heartbeat every hour."""
    end = world.now + int(hours * HOUR)
    while world.now < end:
        world.now = min(end, world.now + HOUR)
        world.heartbeat(interval_s=3600)


def planned(
    world: World, session: str, *people: str, steps: int = 2, minutes: float = 60
) -> tuple[str, Done]:
    """People approve a plan of *steps* as a whole; gives its id and request. Steps are digests of `step N of ID`."""
    request = world.request(None, subject="plan", initiator="mia", approve="1 of reviewers")
    for person in people:
        world.approve(request, person)
    world.end(request)
    plan = world.id("l")
    places = [
        {"number": n, "digest": digest_of(f"step {n} of {plan}"), "asks": ""} for n in range(1, steps + 1)
    ]
    fields = {
        "id": plan, "request": request.id, "digest": request.digest, "policy": world.policy, "sentence": "", "agent": "claude-code",
        "gate": world.gate, "initiator": "mia", "initiator_uid": None, "owner": "noa", "requires": "1 of reviewers",
        "approvers": list(people), "chains": [], "escalated": [], "tier": "medium", "places": places, "length": steps,
        "ends": world.now + int(minutes * MINUTE),
    }  # fmt: skip
    world.add("plan.opened", fields, session=session)
    return plan, request


def step(world: World, session: str, plan: str, number: int, digest: str = "") -> Done:
    """The next step of a plan is let go, and runs."""
    action = world.action(session, would="hold", digest=digest or digest_of(f"step {number} of {plan}"))
    world.add("plan.advanced", {"plan": plan, "step": number, "action": action.id}, session=session)
    world.consume(action)
    world.receipt(action)
    return action


def again(world: World, session: str, grant: str, like: Done, digest: str = "") -> Done:
    """The same action again, under a grant."""
    action = world.action(session, would="hold", digest=digest or like.digest)
    world.add("grant.used", {"grant": grant, "action": action.id}, session=session)
    world.consume(action)
    world.receipt(action)
    return action


def reconciled(
    world: World, target: str = "orders", *, hours: float = 1, since: int | None = None, **more: object
) -> str:
    """A target's own log is compared up to now; *more* are counts and fields that differ."""
    run = world.id("v")
    counts = {"lines": 9, "broken": 0, "events": 5, "accounted": 5, "bypasses": 0, "missing": 0}
    counts |= {name: more.pop(name) for name in list(more) if name in counts}
    fields = {
        "id": run, "source": "pgaudit", "target": target, "by": "ada", "file": digest_of(run), "size": 900,
        "since": world.now - int(hours * HOUR) if since is None else since, "until": world.now, "principals": ["agent"],
        "tagging": True, "skew": 20, "counts": counts, "reasons": [], "stopped": "", "bypassed": "", "content": {}, "used": [],
    }  # fmt: skip
    world.watermarks[target] = world.now
    world.add("source.reconciled", fields | more)
    return run


def compared(world: World) -> None:
    """Every target that is still looked after is compared once more."""
    for target, until in list(world.watermarks.items()):
        reconciled(world, target, since=until)


def settle(world: World) -> None:
    """The end of the period. A session is open, an action runs, and somebody broke the glass: none of that is due yet."""
    compared(world)
    session = world.session()
    world.consume(world.action(session))
    world.break_glass(world.held(session)[1])
    world.heartbeat(interval_s=3600)


def joined(world: World, name: str, **more: object) -> str:
    """Another reviewer, whom nothing else in the world knows; gives their id."""
    person = f"{name}{len(world.made)}"
    world.enrol(person, approved_by="bea", **more)  # type: ignore[arg-type]
    return person


def base(world: World | None = None) -> tuple[World, int]:
    """A house in which every test has a population and nothing is wrong; gives it, and when the period begins."""
    world = world or World()
    world.begin()
    world.heartbeat(interval_s=3600)
    since = world.now
    lived_in(world)
    return world, since


def lived_in(world: World) -> None:
    """What gives every test a population: some hours in which nothing is wrong."""
    world.heartbeat(interval_s=3600)
    session = world.session()
    world.ran(session)
    world.approved(session, "cyd", signed=True)
    world.approved(session, "cyd", "dee", approve="1 of reviewers, 1 of security")
    held, request = world.approved(session, "eve")
    grant = world.grant(request, "eve", uses=2)
    again(world, session, grant, held)
    plan, _ = planned(world, session, "cyd")
    parent = step(world, session, plan, 1)
    hook = world.action(session)
    world.consume(hook)
    world.add("action.started", {"action": hook.id, "gate": "exec:laptop"})
    world.receipt(hook)
    words = f"It is part of {parent.id}, which was allowed and runs code."
    world.ran(session, would="hold", reasons=[words])
    world.action(session, "refuse")
    world.end(world.held(session)[1], "denied", by="cyd")
    drill, sealed = world.held(session)
    told = {
        "request": sealed.id,
        "action": drill.id,
        "drilled": session,
        "person": "dee",
        "choice": "deny",
        "caught": True,
    }
    world.add("drill.decided", told, session=session)
    world.end(sealed, "withdrawn", by="drill")
    action, released = world.held(session)
    glass = world.break_glass(released)
    world.issue(released, action)
    world.consume(action)
    world.receipt(action)
    world.review(glass)
    world.close(session)
    world.publish("1")
    stale = world.held(world.session())[1]
    world.end(stale, "superseded")
    world.close(stale.session)
    person = joined(world, "fay")
    world.key(person, approved_by="ada")
    world.add(
        "login.opened",
        {"person": person, "cookie": digest_of("cookie"), "expires": world.now + HOUR, "how": "link"},
    )
    world.add("key.revoked", {"id": world.key_of(person), "person": person, "by": person, "why": "leaves"})
    world.add("person.removed", {"id": person, "by": "ada"})
    world.add("person.changed", {"id": "noa", "groups": [], "by": "ada"})  # takes nothing but what was there
    world.add("clock.jumped", {"clock": world.now - 2 * SECOND, "log": world.now})
    reconciled(world)
    later(world, 1)
    compared(world)
    world.heartbeat(interval_s=3600)


# --- what can be wrong -------------------------------------------------------------------------------------------------

UNTOLD = "and nobody had handed that over"
SEEDS: dict[str, Seed] = {}


def seed(make: Seed) -> Seed:
    SEEDS[make.__name__] = make
    return make


def let_go(world: World, session: str, action: Done, request: Done) -> None:
    """The permit leaves and is used, whatever people said."""
    world.issue(request, action)
    world.consume(action)
    world.receipt(action)


@seed
def one_approved_where_two_are_needed(w: World) -> Expected:
    s = w.session()
    action, request = w.approved(s, "cyd", approve="1 of reviewers, 1 of security")
    w.close(s)
    words = "1 of 2 people approved it"
    return {"approved_before_run": [(action.id, words)], "two_people": [(request.id, words)]}


@seed
def nobody_ended_the_request(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    let_go(w, s, action, request)
    w.close(s)
    return {"approved_before_run": [(action.id, f"its request {request.id} was not approved before it ran")]}


@seed
def approved_after_it_ran(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    let_go(w, s, action, request)
    w.approve(request, "cyd")
    w.end(request)
    w.close(s)
    return {"approved_before_run": [(action.id, f"its request {request.id} was not approved before it ran")]}


@seed
def ran_after_a_denial(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.approve(request, "cyd", "deny")
    w.end(request, "denied", by="cyd")
    let_go(w, s, action, request)
    w.close(s)
    return {
        "approved_before_run": [(action.id, f"its request {request.id} was not approved before it ran")],
        "refused_stays_refused": [(action.id, "it was denied, and its permit was used")],
    }


@seed
def approved_other_bytes(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.approve(request, "cyd", digest=digest_of("something else"))
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    return {"approved_before_run": [(action.id, "0 of 1 people approved it")]}


@seed
def permit_for_other_bytes(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.approve(request, "cyd")
    w.end(request)
    w.issue(request, action, digest=digest_of("something else"))
    w.consume(action)
    w.receipt(action)
    w.close(s)
    return {
        "approved_before_run": [(action.id, "people approved other bytes")],
        "same_bytes": [(action.id, "its permit was for other bytes")],
    }


@seed
def ran_although_policy_holds_it(w: World) -> Expected:
    s = w.session()
    action = w.ran(s, would="hold")
    w.close(s)
    return {"approved_before_run": [(action.id, "nobody approved it, though policy holds it")]}


@seed
def held_in_observe_mode(w: World) -> Expected:
    s = w.session()
    action = w.ran(s, would="hold", mode="observe")
    w.close(s)
    return {"approved_before_run": [(action.id, "it ran in observe mode, though policy would hold it")]}


@seed
def its_request_is_not_there(w: World) -> Expected:
    s = w.session()
    action = w.action(s, "hold")
    w.issue(Done("r_gone", action.digest), action)
    w.consume(action)
    w.receipt(action)
    w.close(s)
    return {"approved_before_run": [(action.id, "its request r_gone is not in the log")]}


def involved(w: World, approver: str, words: str, **more: object) -> Expected:
    s = w.session()
    action, request = w.approved(s, approver, **more)  # type: ignore[arg-type]
    w.close(s)
    return {
        "approved_before_run": [(action.id, "0 of 1 people approved it")],
        "no_self_approval": [(request.id, words)],
    }


@seed
def approved_by_its_initiator(w: World) -> Expected:
    return involved(w, "mia", "approved by mia, its initiator mia")


@seed
def approved_by_the_agent_s_owner(w: World) -> Expected:
    return involved(w, "noa", "approved by noa, its agent's owner noa")


@seed
def approved_by_an_author(w: World) -> Expected:
    return involved(w, "eve", "approved by eve, its author eve", asked={"authors": ["dee", "eve"]})


@seed
def approved_by_a_party(w: World) -> Expected:
    return involved(w, "eve", "approved by eve, its party eve", asked={"parties": ["mia", "eve"]})


@seed
def approved_by_who_owns_the_machine_s_account(w: World) -> Expected:
    person = joined(w, "uwe", os_uids=[4000 + len(w.made)])
    uid = int(w.made[-1].entry.fields["os_uids"][0])
    return involved(w, person, f"approved by {person}, its party uid:{uid}", asked={"party_uids": [uid]})


@seed
def approved_by_the_initiator_s_other_account(w: World) -> Expected:
    account = f"https://idp.example|{len(w.made)}"
    one, other = joined(w, "ian", accounts=[account]), joined(w, "jan", accounts=[account])
    return involved(w, other, f"approved by {other}, its initiator {one}", person=one)


@seed
def approved_for_its_initiator(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.approve(request, "eve", on_behalf_of=["mia"])
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    return {
        "approved_before_run": [(action.id, "0 of 1 people approved it")],
        "no_self_approval": [(request.id, "approved by eve for mia, its initiator mia")],
        "delegations_bounded": [(request.id, f"eve decided in the place of mia, {UNTOLD}")],
    }


def two_that_are_one(w: World, one: str, other: str, **more: object) -> Expected:
    s = w.session()
    action, request = w.held(s, approve="2 of reviewers")
    w.approve(request, one)
    w.approve(request, other, **more)  # type: ignore[arg-type]
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    words = "1 of 2 people approved it"
    return {"approved_before_run": [(action.id, words)], "two_people": [(request.id, words)]}


@seed
def two_accounts_of_one_human(w: World) -> Expected:
    uid = 9000 + len(w.made)
    return two_that_are_one(w, joined(w, "kim", os_uids=[uid]), joined(w, "kay", os_uids=[uid]))


@seed
def three_records_that_are_one_human_through_the_middle_one(w: World) -> Expected:
    a, b = f"https://idp.example|a{len(w.made)}", f"https://idp.example|b{len(w.made)}"
    one = joined(w, "lea", accounts=[a])
    joined(w, "leo", accounts=[a, b])
    return two_that_are_one(w, one, joined(w, "lou", accounts=[b]))


@seed
def a_person_and_who_stands_in_for_them(w: World) -> Expected:
    found = two_that_are_one(w, "cyd", "dee", on_behalf_of=["cyd"])
    request = found["two_people"][0][0]
    return found | {"delegations_bounded": [(request, f"dee decided in the place of cyd, {UNTOLD}")]}


@seed
def an_approval_without_a_place(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.approve(request, "cyd")
    w.end(request, placed=[])
    let_go(w, s, action, request)
    w.close(s)
    return {"approved_before_run": [(action.id, "0 of 1 people approved it")]}


@seed
def an_approval_with_a_key_that_was_revoked(w: World) -> Expected:
    person = joined(w, "max")
    key = w.key(person, approved_by="ada")
    s = w.session()
    action, request = w.held(s)
    w.approve(request, person, signed=True)
    w.add("key.revoked", {"id": key, "person": person, "by": "ada", "why": "lost"})
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    return {"approved_before_run": [(action.id, "0 of 1 people approved it")]}


@seed
def an_approval_of_somebody_who_was_removed(w: World) -> Expected:
    person = joined(w, "nik")
    s = w.session()
    action, request = w.held(s)
    w.approve(request, person)
    w.add("person.removed", {"id": person, "by": "ada"})
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    return {"approved_before_run": [(action.id, "0 of 1 people approved it")]}


@seed
def nobody_knows_who_asked(w: World) -> Expected:
    s = w.session(person=None)
    action, request = w.approved(s, "cyd", person=None)
    w.close(s)
    words = "1 of 2 people approved it"
    return {
        "approved_before_run": [(action.id, words)],
        "two_people": [(request.id, words)],
        "fields_complete": [(action.id, "it does not say for which person")],
    }


def granted(w: World, **more: object) -> tuple[str, str, Done]:
    s = w.session()
    action, request = w.approved(s, "cyd")
    return s, w.grant(request, "cyd", **more), action  # type: ignore[arg-type]


@seed
def other_bytes_under_a_grant(w: World) -> Expected:
    s, grant, like = granted(w)
    action = again(w, s, grant, like, digest=digest_of("other"))
    w.close(s)
    return {"approved_before_run": [(action.id, "people approved other bytes")]}


@seed
def a_grant_that_had_ended(w: World) -> Expected:
    s, grant, like = granted(w, minutes=1)
    w.wait(minutes=2)
    action = again(w, s, grant, like)
    w.close(s)
    return {
        "approved_in_time": [(action.id, "it ran after its grant had ended")],
        "grants_narrow": [(grant, "it was used after its end")],
    }


@seed
def a_grant_that_was_revoked(w: World) -> Expected:
    s, grant, like = granted(w)
    w.add("grant.revoked", {"grant": grant, "by": "dee", "why": "enough"})
    action = again(w, s, grant, like)
    w.close(s)
    return {
        "approved_in_time": [(action.id, "it ran after dee had revoked its grant")],
        "grants_narrow": [(grant, "it was used after it was revoked")],
    }


@seed
def a_grant_used_too_often(w: World) -> Expected:
    s, grant, like = granted(w, uses=1)
    again(w, s, grant, like)
    action = again(w, s, grant, like)
    w.close(s)
    return {
        "approved_in_time": [(action.id, "it ran as the use 2 of a grant for 1")],
        "grants_narrow": [(grant, "it was used 2 times of 1")],
    }


@seed
def another_step_than_the_plan_s(w: World) -> Expected:
    s = w.session()
    plan, _ = planned(w, s, "cyd")
    action = step(w, s, plan, 1, digest_of("another step"))
    w.close(s)
    return {"approved_before_run": [(action.id, "people approved other bytes")]}


@seed
def a_plan_that_nobody_approved(w: World) -> Expected:
    s = w.session()
    plan, _ = planned(w, s)
    action = step(w, s, plan, 1)
    w.close(s)
    return {"approved_before_run": [(action.id, "0 of 1 people approved it")]}


@seed
def a_plan_that_had_ended(w: World) -> Expected:
    s = w.session()
    plan, _ = planned(w, s, "cyd", minutes=1)
    w.wait(minutes=2)
    action = step(w, s, plan, 1)
    w.close(s)
    return {"approved_in_time": [(action.id, "it ran after its plan had ended")]}


@seed
def a_plan_that_was_stopped(w: World) -> Expected:
    s = w.session()
    plan, _ = planned(w, s, "cyd")
    w.add("plan.stopped", {"plan": plan, "by": "dee", "why": "no", "action": None}, session=s)
    action = step(w, s, plan, 1)
    w.close(s)
    return {"approved_in_time": [(action.id, "it ran after its plan had been stopped")]}


@seed
def a_part_of_what_did_not_run(w: World) -> Expected:
    s = w.session()
    parent = w.action(s)
    action = w.ran(s, would="hold", reasons=[f"It is part of {parent.id}, which was allowed and runs code."])
    w.close(s)
    return {"approved_before_run": [(action.id, f"it is part of {parent.id}, which did not run before")]}


@seed
def approved_after_it_expired(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.wait(minutes=31)
    w.approve(request, "cyd")
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    return {"approved_in_time": [(action.id, "it was approved after its request had expired")]}


@seed
def an_expired_permit_of_a_request(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.approve(request, "cyd")
    w.end(request)
    permit = w.issue(request, action)
    w.wait(minutes=2)
    w.consume(action)
    w.receipt(action)
    w.close(s)
    return {
        "approved_in_time": [(action.id, "it ran after its permit had expired")],
        "permit_once": [(permit, "it was used after it had expired")],
    }


@seed
def an_expired_permit_of_a_decision(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.wait(minutes=2)
    w.consume(action)
    w.receipt(action)
    w.close(s)
    return {"permit_once": [(action.permit, "it was used after it had expired")]}


@seed
def a_permit_used_twice(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    first = w.consume(action)
    w.consume(action)
    w.receipt(action)
    w.close(s)
    return {"permit_once": [(action.permit, f"it had been used at entry {first}")]}


@seed
def a_permit_used_at_another_gate(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.consume(action, gate="exec:elsewhere")
    w.receipt(action)
    w.close(s)
    return {"permit_once": [(action.permit, f"it is for the gate {w.gate}")]}


@seed
def a_permit_used_for_another_action(w: World) -> Expected:
    s = w.session()
    held, request = w.held(s)
    w.approve(request, "cyd")
    w.end(request)
    permit = w.issue(request, held)
    other = w.action(s)
    w.consume(other, permit=permit)
    w.receipt(other, permit=permit)
    w.close(s)
    return {
        "permit_once": [(permit, f"it is for the action {held.id}")],
        "nothing_unrecorded": [(other.id, "a permit was used that neither its decision nor a request gave")],
        "same_bytes": [(other.id, "its permit was for other bytes")],
    }


@seed
def a_permit_that_nobody_issued(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    forged = f"p_forged{len(w.made)}"
    w.consume(action, permit=forged)
    w.receipt(action, permit=forged)
    w.close(s)
    return {
        "nothing_unrecorded": [(action.id, "a permit was used that neither its decision nor a request gave")]
    }


@seed
def a_permit_for_what_nobody_decided(w: World) -> Expected:
    id = f"a_ghost{len(w.made)}"
    ghost = Done(id, digest_of("ghost"), permit=f"p_ghost{len(w.made)}", action=id)
    w.consume(ghost)
    w.receipt(ghost)
    return {
        "nothing_unrecorded": [
            (id, "a permit was used for an action that nobody decided on"),
        ]
    }


@seed
def a_receipt_of_what_nobody_decided(w: World) -> Expected:
    id = f"a_unknown{len(w.made)}"
    w.receipt(Done(id, digest_of("ghost"), action=id), permit=None)
    return {"nothing_unrecorded": [(id, "it ran, and no permit was used for it before")]}


@seed
def a_permit_used_before_the_decision(w: World) -> Expected:
    s = w.session()
    early = Done(
        "a_early", digest_of("early"), s, permit=f"p_early{len(w.made)}", action=f"a_early{len(w.made)}"
    )
    w.consume(early)
    given = {"id": early.permit, "expires": w.now + MINUTE}
    action = w.action(s, id=early.action, permit=given)
    w.receipt(Done(early.action, action.digest, s, permit=early.permit, action=early.action))
    w.close(s)
    return {"nothing_unrecorded": [(early.action, "its permit was used before it was decided on")]}


@seed
def ran_without_its_permit(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.receipt(action, permit=None)
    w.end(request, "expired")
    w.close(s)
    return {
        "nothing_unrecorded": [(action.id, "it ran, and no permit was used for it before")],
        "refused_stays_refused": [(action.id, "it was expired, and a gate reports that it ran")],
    }


@seed
def started_without_its_permit(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.add("action.started", {"action": action.id, "gate": "exec:laptop"})
    w.close(s)
    return {"nothing_unrecorded": [(action.id, "it started, and no permit was used for it before")]}


@seed
def refused_and_its_permit_used(w: World) -> Expected:
    s = w.session()
    permit = {"id": w.id("p"), "expires": w.now + MINUTE}
    action = w.action(s, "refuse", permit=permit)
    action.permit = str(permit["id"])
    w.consume(action)
    w.receipt(action)
    w.close(s)
    return {"refused_stays_refused": [(action.id, "it was refused, and its permit was used")]}


@seed
def refused_and_seen_to_start(w: World) -> Expected:
    s = w.session()
    action = w.action(s, "refuse")
    w.add("action.started", {"action": action.id, "gate": "exec:laptop"})
    w.close(s)
    return {
        "refused_stays_refused": [(action.id, "it was refused, and a gate saw it start")],
        "nothing_unrecorded": [(action.id, "it started, and no permit was used for it before")],
    }


@seed
def refused_in_observe_mode(w: World) -> Expected:
    s = w.session()
    action = w.ran(s, would="refuse", mode="observe")
    w.close(s)
    return {
        "refused_stays_refused": [(action.id, "it ran in observe mode, though policy would refuse it")],
    }


@seed
def a_permit_for_a_drill(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.add(
        "drill.decided",
        {"request": request.id, "action": action.id, "person": "dee", "choice": "deny", "caught": True},
    )
    w.end(request, "withdrawn", by="drill")
    w.issue(request, action)
    w.close(s)
    return {"refused_stays_refused": [(action.id, "it was withdrawn, and a permit left for it")]}


@seed
def other_bytes_ran(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.consume(action)
    w.receipt(action, ran=digest_of("other"))
    w.close(s)
    return {"same_bytes": [(action.id, "other bytes ran than were decided on")]}


@seed
def nobody_knows_which_bytes_ran(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.consume(action)
    w.receipt(action, ran="")
    w.close(s)
    return {"same_bytes": [(action.id, "its gate can't say what ran")]}


# --- break-glass -------------------------------------------------------------------------------------------------------


def released(w: World, person: str = "cyd", **more: object) -> tuple[str, str, Done]:
    s = w.session()
    action, request = w.held(s, **more)  # type: ignore[arg-type]
    glass = w.break_glass(request, person)
    let_go(w, s, action, request)
    w.close(s)
    return glass, request.id, action


@seed
def nobody_reviewed_break_glass(w: World) -> Expected:
    glass, _, _ = released(w)
    later(w, 25)
    return {"breakglass_reviewed": [(glass, "nobody reviewed what cyd released alone")]}


@seed
def break_glass_reviewed_by_who_used_it(w: World) -> Expected:
    glass, _, _ = released(w)
    w.review(glass, "cyd")
    return {"breakglass_reviewed": [(glass, "cyd reviewed what they had released themselves")]}


@seed
def break_glass_reviewed_by_who_used_it_under_another_name(w: World) -> Expected:
    account = f"https://idp.example|{len(w.made)}"
    one, other = joined(w, "pia", accounts=[account]), joined(w, "pit", accounts=[account])
    glass, _, _ = released(w, one)
    w.review(glass, other)
    return {"breakglass_reviewed": [(glass, f"{other} reviewed what they had released themselves")]}


@seed
def break_glass_reviewed_by_the_agent_s_owner(w: World) -> Expected:
    glass, _, _ = released(w)
    w.review(glass, "noa")
    return {"breakglass_reviewed": [(glass, "reviewed by noa, who has another part in it")]}


@seed
def break_glass_that_was_unjustified(w: World) -> Expected:
    glass, _, _ = released(w)
    w.review(glass, "dee", "unjustified")
    return {"breakglass_reviewed": [(glass, "dee found it unjustified")]}


@seed
def break_glass_reviewed_too_late(w: World) -> Expected:
    glass, _, _ = released(w)
    later(w, 25)
    w.review(glass)
    return {"breakglass_reviewed": [(glass, "dee reviewed it too late")]}


# --- the record --------------------------------------------------------------------------------------------------------


@seed
def no_receipt(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.consume(action)
    w.close(s)
    later(w, 25)
    return {"receipts_paired": [(action.id, "nothing is known of how it ended")]}


@seed
def two_receipts(w: World) -> Expected:
    s = w.session()
    action = w.ran(s)
    w.receipt(action, "failed")
    w.close(s)
    return {"receipts_paired": [(action.id, "it has 2 receipts")]}


@seed
def a_receipt_before_the_run(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.receipt(action)
    w.consume(action)
    w.close(s)
    return {
        "receipts_paired": [(action.id, "its receipt comes before its permit was used")],
        "nothing_unrecorded": [(action.id, "it ran, and no permit was used for it before")],
    }


@seed
def a_receipt_of_another_permit(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.consume(action)
    w.receipt(action, permit="p_other")
    w.close(s)
    return {"receipts_paired": [(action.id, "its receipt names another permit")]}


@seed
def a_late_receipt(w: World) -> Expected:
    s = w.session()
    action = w.action(s)
    w.consume(action)
    later(w, 25)
    w.receipt(action)
    w.close(s)
    return {"receipts_paired": [(action.id, "its receipt is late")]}


@seed
def entries_that_are_missing(w: World) -> Expected:
    w.heartbeat(interval_s=3600)
    while w.index % 256 > 250:
        w.heartbeat(interval_s=3600)
    at = w.index
    w.lose(3)
    while w.index // 256 == at // 256:
        w.heartbeat(interval_s=3600)
    return {"log_complete": [(block(at), "3 entries of 256 are missing")]}


@seed
def whole_blocks_that_are_missing(w: World) -> Expected:
    while w.index % 256:
        w.heartbeat(interval_s=3600)
    w.lose(512)
    at = w.index
    w.heartbeat(interval_s=3600)
    while w.index % 256:
        w.heartbeat(interval_s=3600)
    return {"log_complete": [(block(at), "512 entries before them are missing")]}


@seed
def numbers_of_a_session_that_are_missing(w: World) -> Expected:
    s = w.session()
    w.lose_numbers(s, 2)
    w.close(s)
    return {
        "log_complete": [(s, "2 of its 5 entries are missing")],
        "sessions_closed": [(s, "it says that it has 5 entries, and has 3")],
    }


@seed
def a_number_of_a_session_that_is_there_twice(w: World) -> Expected:
    s = w.session()
    w.lose_numbers(s, -1)
    w.add("session.instructed", {"instruction": {"text": "again", "source": ""}}, session=s)
    w.close(s)
    return {
        "log_complete": [(s, "its numbers are not 1 to 4")],
        "sessions_closed": [(s, "it says that it has 3 entries, and has 4")],
    }


@seed
def a_session_that_goes_on_after_its_end(w: World) -> Expected:
    s = w.session()
    w.close(s)
    w.add("session.instructed", {"instruction": {"text": "go on", "source": ""}}, session=s)
    return {
        "log_complete": [(s, "it goes on after its end")],
        "sessions_closed": [(s, "it says that it has 3 entries, and has 4")],
    }


@seed
def a_session_that_is_left_open(w: World) -> Expected:
    s = w.session()
    later(w, 25)
    return {"sessions_closed": [(s, "it is open, and nothing happened in it for 24 hours")]}


@seed
def a_session_that_ended_twice(w: World) -> Expected:
    s = w.session()
    w.close(s)
    w.close(s)
    return {
        "sessions_closed": [(s, "it ended 2 times")],
        "log_complete": [(s, "it goes on after its end")],
    }


@seed
def a_session_with_another_count(w: World) -> Expected:
    s = w.session()
    w.close(s, off=1)
    return {"sessions_closed": [(s, "it says that it has 4 entries, and has 3")]}


def incomplete(name: str, words: str, fields: dict[str, object]) -> None:
    def make(w: World) -> Expected:
        s = w.session()
        action = w.action(s, **fields)  # type: ignore[arg-type]
        w.close(s)
        found = {"fields_complete": [(action.id, words)]}
        if name == "policy":
            found["decided_by_policy"] = [(action.id, "it names no version of the policy")]
        if name == "gate":
            found["gates_known"] = [("", "nobody enrolled it, and it never said what it is")]
        return found  # type: ignore[return-value]

    SEEDS[f"an_action_without_its_{name}"] = make


incomplete("agent", "it does not say which agent", {"agent": ""})
incomplete("gate", "it does not say at which gate", {"gate": None})
incomplete("digest", "it does not say what", {"digest": ""})
incomplete("kind", "it does not say what", {"kind": ""})
incomplete("verdict", "it does not say what was decided", {"verdict": ""})
incomplete(
    "policy", "it does not say under which policy", {"decision": {"rules": [{"rule": "x"}], "would": "run"}}
)


@seed
def an_action_without_a_rule(w: World) -> Expected:
    s = w.session()
    action = w.action(s, decision={"policy": w.policy, "would": "run", "rules": [], "reasons": []})
    w.close(s)
    return {"fields_complete": [(action.id, "it does not say by which rule, or why")]}


@seed
def a_time_that_goes_back(w: World) -> Expected:
    w.wait(seconds=-30)
    at = w.heartbeat(interval_s=3600)
    w.wait(seconds=30)
    while w.index // 256 == at // 256:
        w.heartbeat(interval_s=3600)
    return {"clock_in_order": [(block(at), "1 of them are earlier than the one before")]}


@seed
def a_time_that_goes_back_beside_a_missing_entry(w: World) -> Expected:
    while w.index % 256:
        w.heartbeat(interval_s=3600)
    at = w.index
    w.lose()
    w.wait(seconds=-30)
    w.heartbeat(interval_s=3600)
    w.wait(seconds=30)
    while w.index % 256:
        w.heartbeat(interval_s=3600)
    return {
        "clock_in_order": [(block(at), "1 of them are earlier than the one before")],
        "log_complete": [(block(at), "1 entries of 256 are missing")],
    }


@seed
def a_clock_that_went_back(w: World) -> Expected:
    w.add("clock.jumped", {"clock": w.now - 90 * SECOND, "log": w.now})
    return {"clock_in_order": [("clock", "the clock went back by 90 seconds")]}


@seed
def a_target_s_clock_that_differs(w: World) -> Expected:
    run = reconciled(w, f"skewed{len(w.made)}", skew=-400 * SECOND)
    target = w.made[-1].entry.fields["target"]
    return {"clock_in_order": [(run, f"the clock of {target} differs by 400 seconds")]}


@seed
def nothing_was_heard(w: World) -> Expected:
    w.heartbeat(interval_s=3600)
    w.wait(hours=4)
    w.heartbeat(interval_s=3600)
    return {"presence": [("heartbeat", "nothing was heard for 14401 seconds before it")]}


@seed
def a_gate_that_was_silent(w: World) -> Expected:
    w.heartbeat(interval_s=3600, silent=["exec:laptop", "sql:orders"])
    return {"presence": [("heartbeat", "silent: exec:laptop sql:orders")]}


@seed
def something_was_done_past_the_gates(w: World) -> Expected:
    run = reconciled(w, f"t{len(w.made)}", bypasses=2)
    target = w.made[-1].entry.fields["target"]
    return {"reconciled": [(run, f"2 things were done on {target} that no action accounts for")]}


@seed
def lines_that_could_not_be_read(w: World) -> Expected:
    run = reconciled(w, f"t{len(w.made)}", broken=3)
    target = w.made[-1].entry.fields["target"]
    return {"reconciled": [(run, f"3 lines of the log of {target} could not be read")]}


@seed
def a_log_that_was_read_in_part(w: World) -> Expected:
    run = reconciled(w, f"t{len(w.made)}", stopped="It was read up to line 9.")
    target = w.made[-1].entry.fields["target"]
    return {"reconciled": [(run, f"the log of {target} was read in part")]}


@seed
def time_that_was_not_compared(w: World) -> Expected:
    target = f"t{len(w.made)}"
    reconciled(w, target)
    until = w.now - SECOND
    w.wait(minutes=10)
    run = reconciled(w, target, since=until + 60 * SECOND)
    return {"reconciled": [(run, f"nothing was compared with {target} for 60 seconds before it")]}


@seed
def a_target_that_is_compared_no_more(w: World) -> Expected:
    target = f"t{len(w.made)}"
    reconciled(w, target)
    del w.watermarks[target]
    later(w, 50)
    words = f"nothing was compared with {target} at the end of the period"
    return {"reconciled": [(f"pgaudit {target}", words)]}


@seed
def actions_that_the_target_did_not_see(w: World) -> Expected:
    run = reconciled(w, f"t{len(w.made)}", missing=4)
    target = w.made[-1].entry.fields["target"]
    return {"targets_saw_it": [(run, f"4 actions are not in the log of {target}")]}


# --- changes -----------------------------------------------------------------------------------------------------------


@seed
def a_person_enrolled_alone(w: World) -> Expected:
    person = f"sue{len(w.made)}"
    w.enrol(person, by="ada", alone=True)
    words = "person.enrolled by ada alone: there was no other administrator"
    return {"changes_by_two": [(person, words)]}


@seed
def power_given_without_a_request(w: World) -> Expected:
    person = joined(w, "tom", groups=())
    w.add("person.changed", {"id": person, "groups": ["reviewers"], "by": "ada"})
    return {"changes_by_two": [(person, "person.changed by ada without a request")]}


@seed
def a_role_given_without_a_request(w: World) -> Expected:
    person = joined(w, "ute")
    w.add("person.changed", {"id": person, "roles": ["author", "member"], "by": "ada"})
    return {"changes_by_two": [(person, "person.changed by ada without a request")]}


@seed
def an_auditor_who_may_write_again(w: World) -> Expected:
    person = joined(w, "ulf", roles=("auditor",))
    w.add("person.changed", {"id": person, "roles": ["member"], "by": "ada"})
    return {"changes_by_two": [(person, "person.changed by ada without a request")]}


@seed
def an_account_taken_away_without_a_request(w: World) -> Expected:
    person = joined(w, "ugo", accounts=[f"https://idp.example|u{len(w.made)}"])
    w.add("person.changed", {"id": person, "accounts": [], "by": "ada"})
    return {"changes_by_two": [(person, "person.changed by ada without a request")]}


@seed
def a_policy_whose_request_is_not_there(w: World) -> Expected:
    before, digest = w.policy, digest_of(f"policy {len(w.made)}")
    w.add("policy.proposed", {"digest": digest, "mode": "enforce", "files": {"tests/a.toml": "x"}, "by": "ada",
                              "note": "", "replay": {"actions": 1}, "request": "r_none"})  # fmt: skip
    w.add("policy.published", w.policy_fields(digest, by="ada", request="r_none"))
    back(w, before)
    return {"changes_by_two": [(digest, "policy.published: its request r_none is not in the log")]}


def back(w: World, digest: str) -> None:
    """The policy of before takes effect again, as it should."""
    request = w.id("r")
    fields = w.policy_fields(digest, by="ada", request=request)
    w.add("policy.proposed", {**fields, "note": "back", "replay": {"actions": 1}})
    w.changed("policy", "ada", "bea", id=request)
    w.add("policy.published", fields)
    w.policy = digest


@seed
def a_definition_whose_request_was_denied(w: World) -> Expected:
    request = w.request(None, subject="definition", initiator="mia", approve="1 of reviewers")
    w.end(request, "denied", by="cyd")
    digest = digest_of(f"definition {len(w.made)}")
    w.add("definition.approved", {"agent": "helper", "digest": digest, "place": "/", "before": "", "request": request.id,
                                  "by": "mia", "why": ""})  # fmt: skip
    return {"changes_by_two": [(digest, "definition.approved: its request was not approved before")]}


@seed
def a_person_approved_by_who_asked(w: World) -> Expected:
    request = w.changed("roster", "ada", "ada")
    person = f"vic{len(w.made)}"
    w.enrol(person, by="ada", request=request.id)
    return {
        "changes_by_two": [(person, "person.enrolled: 0 of 1 people approved it")],
        "no_self_approval": [(request.id, "approved by ada, its initiator ada")],
    }


@seed
def a_request_that_let_two_changes_through(w: World) -> Expected:
    request = w.changed("roster", "ada", "bea")
    w.enrol(f"wim{len(w.made)}", by="ada", request=request.id)
    person = f"win{len(w.made)}"
    w.enrol(person, by="ada", request=request.id)
    words = "person.enrolled: its request had let another change through before"
    return {"changes_by_two": [(person, words)]}


@seed
def an_erasure_without_a_request(w: World) -> Expected:
    erasure = w.id("e")
    w.add("erasure.done", {"id": erasure, "scope": "person", "of": "mia", "why": "asked", "until": 3, "fields": 2, "entries": 1,
                           "list": "", "by": "ada", "request": ""})  # fmt: skip
    return {
        "changes_by_two": [(erasure, "erasure.done by ada without a request")],
        "erasure_lawful": [(erasure, "no approved request stands behind it")],
    }


@seed
def a_token_for_scim_without_a_request(w: World) -> Expected:
    token = digest_of(f"scim {len(w.made)}")
    w.add("scim.token", {"token": token, "by": "ada"})
    return {"changes_by_two": [(token, "scim.token by ada without a request")]}


@seed
def a_policy_that_was_not_proposed(w: World) -> Expected:
    before = w.policy
    digest = w.publish(f"unproposed {len(w.made)}", proposed=False)
    back(w, before)
    return {"policy_tested": [(digest, "it was not proposed before")]}


def proposed(w: World, words: str, **fields: object) -> Expected:
    before, digest, request = w.policy, digest_of(f"policy {len(w.made)}"), w.id("r")
    given = w.policy_fields(digest, by="ada", request=request)
    w.add("policy.proposed", {**given, "note": "", "replay": {"actions": 1}, **fields})
    w.changed("policy", "ada", "bea", id=request)
    w.add("policy.published", given)
    back(w, before)
    return {"policy_tested": [(digest, words)]}


@seed
def a_policy_without_cases(w: World) -> Expected:
    return proposed(w, "it has no cases that say what it must do", files={"policy.toml": "x"})


@seed
def a_policy_that_was_not_tried(w: World) -> Expected:
    return proposed(w, "it was not tried on the recorded past", replay={})


@seed
def a_decision_under_an_unknown_policy(w: World) -> Expected:
    s = w.session()
    before, w.policy = w.policy, digest_of("never published")
    action = w.ran(s)
    w.policy = before
    w.close(s)
    return {"decided_by_policy": [(action.id, "it was decided on under a version that had not taken effect")]}


@seed
def a_decision_under_an_old_policy(w: World) -> Expected:
    s = w.session()
    old = w.policy
    new = w.publish(f"new {len(w.made)}")
    w.policy = old
    action = w.ran(s)
    w.policy = new
    w.close(s)
    back(w, old)
    return {
        "decided_by_policy": [(action.id, "it was decided on under a version that was not in force any more")]
    }


@seed
def let_go_after_the_policy_changed(w: World) -> Expected:
    s = w.session()
    old = w.policy
    action, request = w.held(s)
    w.approve(request, "cyd")
    w.end(request)
    w.publish(f"newer {len(w.made)}")
    let_go(w, s, action, request)
    w.close(s)
    back(w, old)
    return {
        "decided_by_policy": [(action.id, "it was let go under a version that was not in force any more")]
    }


# --- people and keys ---------------------------------------------------------------------------------------------------


def given(w: World, words: str, asked: str = "signed", **more: object) -> Expected:
    s = w.session()
    action, request = w.held(s, assurance=asked)
    w.approve(request, "cyd", **more)  # type: ignore[arg-type]
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    return {"signed_where_required": [(request.id, words)]}


@seed
def a_click_where_a_signature_is_asked_for(w: World) -> Expected:
    return given(w, "cyd approved by click, and signed is asked for")


@seed
def a_level_that_nobody_knows(w: World) -> Expected:
    return given(
        w, "cyd approved by telepathy, and click is asked for", "click", assurance="telepathy", proof={"x": 1}
    )


@seed
def a_signature_without_a_proof(w: World) -> Expected:
    return given(w, "cyd approved by signed, and nothing shows it", signed=True, proof=None)


@seed
def a_signature_without_a_key(w: World) -> Expected:
    return given(w, "cyd approved by signed, and no key is named", signed=True, key="")


@seed
def a_statement_used_twice(w: World) -> Expected:
    s = w.session()
    _, one = w.approved(s, "cyd", signed=True)
    first = next(m.entry for m in reversed(w.made) if m.entry.type == "approval.given")
    action, request = w.held(s)
    w.approve(request, "cyd", signed=True, nonce=first.fields["nonce"])
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    assert one.id != request.id
    return {"signed_where_required": [(request.id, f"its statement was used at entry {first.index}")]}


def decided_by(w: World, person: str, words: str, counts: bool = True, **more: object) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.approve(request, person, **more)  # type: ignore[arg-type]
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    found: Expected = {"approvers_enrolled": [(request.id, words)]}
    if not counts:
        found["approved_before_run"] = [(action.id, "0 of 1 people approved it")]
    return found


@seed
def an_approver_whom_nobody_knows(w: World) -> Expected:
    return decided_by(w, "zoe", "zoe decided, and is not on the roster", counts=False)


@seed
def a_key_that_was_not_enrolled(w: World) -> Expected:
    return decided_by(w, "cyd", "cyd decided with a key that was not enrolled", signed=True, key="k_unknown")


@seed
def another_s_key(w: World) -> Expected:
    return decided_by(w, "cyd", "cyd decided with the key of dee", signed=True, key=w.key_of("dee"))


@seed
def a_revoked_key(w: World) -> Expected:
    person = joined(w, "xia")
    key = w.key(person, approved_by="ada")
    w.add("key.revoked", {"id": key, "person": person, "by": "ada", "why": "lost"})
    words = f"{person} decided with a key that had been revoked"
    return decided_by(w, person, words, counts=False, signed=True)


@seed
def a_key_that_nobody_approved(w: World) -> Expected:
    person = joined(w, "yan")
    key = w.key(person)
    return {
        "approvers_enrolled": [(key, f"nobody approved this key of {person}")],
        "changes_by_two": [(key, "key.enrolled without a request")],
    }


@seed
def a_key_approved_by_its_person(w: World) -> Expected:
    person = joined(w, "yes")
    key = w.key(person, approved_by=person)
    request = w.made[-1].entry.fields["request"]
    return {
        "approvers_enrolled": [(key, f"nobody but {person} approved this key")],
        "changes_by_two": [(key, "key.enrolled: 0 of 1 people approved it")],
        "no_self_approval": [(request, f"approved by {person}, its initiator {person}")],
    }


@seed
def a_key_whose_request_was_not_approved(w: World) -> Expected:
    person = joined(w, "yul")
    request = w.request(None, subject="key", initiator=person)
    key = w.key(person, request=request.id)
    return {
        "approvers_enrolled": [(key, f"the request for this key of {person} was not approved before")],
        "changes_by_two": [(key, "key.enrolled: its request was not approved before")],
    }


@seed
def a_key_enrolled_twice(w: World) -> Expected:
    person = joined(w, "yma")
    key = w.key(person, approved_by="ada")
    w.key(person, approved_by="ada")
    return {"approvers_enrolled": [(key, "the key was enrolled before")]}


def gone(w: World, name: str) -> str:
    person = joined(w, name)
    w.add("person.removed", {"id": person, "by": "ada"})
    return person


@seed
def somebody_who_was_removed_decides(w: World) -> Expected:
    person = gone(w, "zac")
    found = decided_by(w, person, "", counts=False)
    request = found.pop("approvers_enrolled")[0][0]
    return {**found, "leavers_out": [(request, f"{person} decided after being removed")]}


@seed
def somebody_who_was_removed_denies(w: World) -> Expected:
    person = gone(w, "zed")
    s = w.session()
    _, request = w.held(s)
    w.approve(request, person, "deny")
    w.end(request, "denied", by=person)
    w.close(s)
    return {"leavers_out": [(request.id, f"{person} decided after being removed")]}


@seed
def somebody_stands_in_for_who_was_removed(w: World) -> Expected:
    person = gone(w, "zia")
    s = w.session()
    _, request = w.held(s)
    w.approve(request, "dee", on_behalf_of=[person])
    w.end(request, "withdrawn")
    w.close(s)
    return {
        "leavers_out": [(request.id, f"dee decided for {person} after being removed")],
        "delegations_bounded": [(request.id, f"dee decided in the place of {person}, {UNTOLD}")],
    }


@seed
def somebody_who_was_removed_signs_in(w: World) -> Expected:
    person = gone(w, "zoa")
    w.add("login.opened", {"person": person, "cookie": "x", "expires": w.now + HOUR, "how": "link"})
    return {"leavers_out": [(person, f"{person} signed in after being removed")]}


@seed
def a_grant_of_somebody_who_was_removed(w: World) -> Expected:
    person = joined(w, "zak")
    s = w.session()
    like, request = w.approved(s, person)
    grant = w.grant(request, person)
    w.add("person.removed", {"id": person, "by": "ada"})
    action = again(w, s, grant, like)
    w.close(s)
    return {"leavers_out": [(action.id, f"it ran under a grant of {person} after being removed")]}


@seed
def a_leaver_whose_key_was_not_revoked(w: World) -> Expected:
    person = joined(w, "zyx")
    w.key(person, approved_by="ada")
    w.add("person.removed", {"id": person, "by": "ada"})
    later(w, 25)
    return {"leavers_out": [(person, f"1 keys of {person} were not revoked in time")]}


# --- where two are asked, and one of them does not count -----------------------------------------------------------------


def one_of_two(w: World, person: str, before_the_end: Callable[[], object] = int, **more: object) -> Expected:
    """Cyd approves, and *person* does in a way that does not count."""
    s = w.session()
    action, request = w.held(s, approve="2 of reviewers")
    w.approve(request, "cyd")
    w.approve(request, person, **more)  # type: ignore[arg-type]
    before_the_end()
    w.end(request)
    let_go(w, s, action, request)
    w.close(s)
    words = "1 of 2 people approved it"
    return {"approved_before_run": [(action.id, words)], "two_people": [(request.id, words)]}


@seed
def the_second_of_two_approved_other_bytes(w: World) -> Expected:
    return one_of_two(w, "dee", digest=digest_of("other"))


@seed
def the_second_of_two_asked_for_it(w: World) -> Expected:
    found = one_of_two(w, "mia")
    return {**found, "no_self_approval": [(found["two_people"][0][0], "approved by mia, its initiator mia")]}


@seed
def the_key_of_the_second_of_two_was_revoked(w: World) -> Expected:
    person = joined(w, "kai")
    key = w.key(person, approved_by="ada")
    fields = {"id": key, "person": person, "by": "ada", "why": "lost"}
    return one_of_two(w, person, lambda: w.add("key.revoked", fields), signed=True)


@seed
def the_second_of_two_was_removed(w: World) -> Expected:
    person = joined(w, "kit")
    return one_of_two(w, person, lambda: w.add("person.removed", {"id": person, "by": "ada"}))


@seed
def the_second_of_two_came_back_and_left_later(w: World) -> Expected:
    """Removed before and restored, and a key revoked after the end: both count."""
    person = joined(w, "kim")
    key = w.key(person, approved_by="ada")
    w.add("person.removed", {"id": person, "by": "ada"})
    change = w.changed("roster", "ada", "bea", authors=["ada", person])
    w.add("person.restored", {"id": person, "by": "ada", "request": change.id})
    s = w.session()
    w.approved(s, "cyd", person, approve="2 of reviewers", signed=True)
    w.add("key.revoked", {"id": key, "person": person, "by": "ada", "why": "old"})
    w.add("person.removed", {"id": person, "by": "ada"})
    w.close(s)
    return {}


@seed
def two_were_asked_and_somebody_released_it_alone(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s, approve="2 of reviewers")
    w.review(w.break_glass(request))
    let_go(w, s, action, request)
    _, other = w.held(s, approve="2 of reviewers")
    w.approve(other, "cyd")
    w.end(other, "denied", by="dee")
    w.close(s)
    return {}


@seed
def a_decision_under_a_version_that_was_only_proposed(w: World) -> Expected:
    s = w.session()
    old, new = w.policy, digest_of(f"proposed {len(w.made)}")
    w.add(
        "policy.proposed",
        {**w.policy_fields(new, by="ada", request="r_x"), "note": "", "replay": {"actions": 1}},
    )
    w.policy = new
    action = w.ran(s)
    w.policy = old
    w.close(s)
    return {"decided_by_policy": [(action.id, "it was decided on under a version that had not taken effect")]}


@seed
def a_decision_under_a_version_that_was_taken_back(w: World) -> Expected:
    s = w.session()
    old = w.policy
    new = w.publish(f"brief {len(w.made)}")
    back(w, old)
    w.policy = new
    action = w.ran(s)
    w.policy = old
    w.close(s)
    return {
        "decided_by_policy": [(action.id, "it was decided on under a version that was not in force any more")]
    }


@seed
def ran_with_a_permit_that_was_not_used(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s)
    w.approve(request, "cyd")
    w.end(request)
    w.issue(request, action)
    w.receipt(action)
    w.close(s)
    return {"nothing_unrecorded": [(action.id, "it ran, and no permit was used for it before")]}


@seed
def an_approval_of_nothing(w: World) -> Expected:
    request = f"r_nothing{len(w.made)}"
    w.approve(Done(request, digest_of("x")), "cyd")
    return {"signed_where_required": [(request, "its request is not in the log")]}


@seed
def a_key_approved_after_it_was_enrolled(w: World) -> Expected:
    person = joined(w, "yip")
    request = w.request(None, subject="key", initiator=person)
    w.approve(request, person)
    w.approve(request, "bea", "deny")
    w.end(request)
    key = w.key(person, request=request.id)
    w.approve(request, "ada")
    return {
        "approvers_enrolled": [(key, f"nobody but {person} approved this key")],
        "changes_by_two": [(key, "key.enrolled: 0 of 1 people approved it")],
        "no_self_approval": [(request.id, f"approved by {person}, its initiator {person}")],
    }


@seed
def somebody_who_was_removed_is_signed_out(w: World) -> Expected:
    person = joined(w, "zip")
    cookie = digest_of(person)
    w.add("login.opened", {"person": person, "cookie": cookie, "expires": w.now + HOUR, "how": "link"})
    w.add("person.removed", {"id": person, "by": "ada"})
    w.add("login.closed", {"person": person, "cookie": cookie, "expires": w.now})
    return {}


# --- what only looks wrong ---------------------------------------------------------------------------------------------


@seed
def a_place_for_one_of_two(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s, approve="2 of reviewers")
    w.approve(request, "cyd")
    w.approve(request, "dee")
    w.end(request, placed=["cyd"])
    let_go(w, s, action, request)
    w.close(s)
    words = "1 of 2 people approved it"
    return {"approved_before_run": [(action.id, words)], "two_people": [(request.id, words)]}


@seed
def the_second_of_two_came_after_the_end(w: World) -> Expected:
    s = w.session()
    action, request = w.held(s, approve="2 of reviewers")
    w.approve(request, "cyd")
    w.end(request, placed=["cyd", "dee"])
    w.approve(request, "dee")
    let_go(w, s, action, request)
    w.close(s)
    words = "1 of 2 people approved it"
    return {"approved_before_run": [(action.id, words)], "two_people": [(request.id, words)]}


@seed
def an_account_of_the_machine_that_went_to_somebody_else(w: World) -> Expected:
    """Not at one time: two people."""
    uid = 7000 + len(w.made)
    one = joined(w, "abe", os_uids=[uid])
    request = w.changed("roster", "ada", "bea", authors=["ada", one])
    w.add("person.changed", {"id": one, "os_uids": [uid + 1], "by": "ada", "request": request.id})
    other = joined(w, "abi", os_uids=[uid])
    s = w.session()
    w.approved(s, one, other, approve="2 of reviewers")
    _, held = w.held(s)
    glass = w.break_glass(held, one)
    w.review(glass, other)
    w.close(s)
    return {}


@seed
def an_account_that_was_never_theirs(w: World) -> Expected:
    """Linking it was a mistake, which people approved: two people."""
    account = f"https://idp.example|m{len(w.made)}"
    one, other = joined(w, "bob", accounts=[account]), joined(w, "bud", accounts=[account])
    request = w.changed("account-link", "ada", "bea", authors=["ada", other])
    w.add(
        "person.changed",
        {"id": other, "accounts": [], "mistake": [account], "by": "ada", "request": request.id},
    )
    s = w.session()
    w.approved(s, one, other, approve="2 of reviewers")
    _, held = w.held(s)
    glass = w.break_glass(held, one)
    w.review(glass, other)
    w.close(s)
    return {}


@seed
def what_came_after_the_end_changes_nothing(w: World) -> Expected:
    """A key is revoked, and its person removed and restored, after the request that they approved has ended."""
    person = joined(w, "cal")
    key = w.key(person, approved_by="ada")
    s = w.session()
    action, request = w.held(s)
    w.approve(request, person, signed=True)
    w.end(request)
    w.add("key.revoked", {"id": key, "person": person, "by": person, "why": "a new one"})
    w.add("person.removed", {"id": person, "by": "ada"})
    let_go(w, s, action, request)
    change = w.changed("roster", "ada", "bea", authors=["ada", person])
    w.add("person.restored", {"id": person, "by": "ada", "request": change.id})
    w.approved(s, person)
    w.close(s)
    return {}


@seed
def a_key_of_somebody_who_came_back(w: World) -> Expected:
    person = joined(w, "dan")
    w.key(person, approved_by="ada")
    w.add("person.removed", {"id": person, "by": "ada"})
    change = w.changed("roster", "ada", "bea", authors=["ada", person])
    w.add("person.restored", {"id": person, "by": "ada", "request": change.id})
    later(w, 25)
    return {}


@seed
def what_others_say_of_people(w: World) -> Expected:
    """The identity provider and SCIM change people; a token for SCIM is revoked; a response ends by itself."""
    person = joined(w, "ed", groups=())
    w.add("person.changed", {"id": person, "groups": ["reviewers"], "by": "scim"})
    w.add("person.changed", {"id": person, "accounts": [f"https://idp.example|{person}"], "by": "provider"})
    w.add("scim.token", {"token": "", "by": "ada"})
    w.add("response.lifted", {"response": "x_1", "by": "", "why": "its time was over", "request": ""})
    w.add("legalhold.placed", {"id": w.id("h"), "scope": "everything", "of": "", "why": "court", "by": "ada"})
    return {}


@seed
def changes_that_take_away(w: World) -> Expected:
    person = joined(w, "flo", groups=("reviewers", "security"))
    w.add("person.changed", {"id": person, "groups": ["security"], "by": "ada"})
    w.add("person.changed", {"id": person, "roles": ["auditor", "member"], "by": "ada"})
    w.add("person.changed", {"id": person, "name": "Flora", "by": "ada"})
    w.add("definition.withdrawn", {"agent": "helper", "digest": digest_of("x"), "by": "ada", "why": "old"})
    w.add("gate.removed", {"name": w.enrol_gate(f"exec:{person}"), "by": "ada"})
    return {}


@seed
def a_lifted_hold_without_a_request(w: World) -> Expected:
    hold = w.id("h")
    w.add("legalhold.lifted", {"hold": hold, "request": ""})
    return {"changes_by_two": [(hold, "legalhold.lifted without a request")]}


@seed
def a_lifted_response_without_a_request(w: World) -> Expected:
    response = w.id("x")
    w.add("response.lifted", {"response": response, "by": "ada", "why": "", "request": ""})
    return {"changes_by_two": [(response, "response.lifted by ada without a request")]}


@seed
def a_person_whose_approver_was_revoked_meanwhile(w: World) -> Expected:
    """The key that signed an approval of a change was revoked before the change was made."""
    admin = joined(w, "gus", roles=("admin", "member"))
    key = w.key(admin, approved_by="ada")
    request = w.request(None, subject="roster", initiator="ada")
    w.approve(request, admin, signed=True)
    w.add("key.revoked", {"id": key, "person": admin, "by": "ada", "why": "stolen"})
    w.end(request)
    person = f"guy{len(w.made)}"
    w.enrol(person, by="ada", request=request.id)
    return {"changes_by_two": [(person, "person.enrolled: 0 of 1 people approved it")]}


@seed
def a_person_approved_for_other_bytes(w: World) -> Expected:
    request = w.request(None, subject="roster", initiator="ada")
    w.approve(request, "bea", digest=digest_of("another person"))
    w.end(request)
    person = f"hal{len(w.made)}"
    w.enrol(person, by="ada", request=request.id)
    return {"changes_by_two": [(person, "person.enrolled: 0 of 1 people approved it")]}


@seed
def a_person_approved_by_who_had_been_removed(w: World) -> Expected:
    admin = joined(w, "hob", roles=("admin", "member"))
    request = w.request(None, subject="roster", initiator="ada")
    w.approve(request, admin)
    w.add("person.removed", {"id": admin, "by": "ada"})
    w.end(request)
    person = f"hue{len(w.made)}"
    w.enrol(person, by="ada", request=request.id)
    return {"changes_by_two": [(person, "person.enrolled: 0 of 1 people approved it")]}


@seed
def a_person_approved_by_who_asked_under_another_name(w: World) -> Expected:
    uid = 6000 + len(w.made)
    one = joined(w, "ike", roles=("admin", "member"), os_uids=[uid])
    other = joined(w, "ira", roles=("admin", "member"), os_uids=[uid])
    request = w.changed("roster", one, other)
    person = f"ivy{len(w.made)}"
    w.enrol(person, by=one, request=request.id)
    return {
        "changes_by_two": [(person, "person.enrolled: 0 of 1 people approved it")],
        "no_self_approval": [(request.id, f"approved by {other}, its initiator {one}")],
    }


@seed
def two_changes_of_which_two_people_approve_one(w: World) -> Expected:
    """Where two administrators are asked, one is not enough."""
    request = w.changed("roster", "ada", "bea", approve="2 of admins")
    person = f"jim{len(w.made)}"
    w.enrol(person, by="ada", request=request.id)
    return {
        "changes_by_two": [(person, "person.enrolled: 1 of 2 people approved it")],
        "two_people": [(request.id, "1 of 2 people approved it")],
    }


@seed
def the_policy_of_before_again(w: World) -> Expected:
    """The same version takes effect twice, and both times decides."""
    old = w.policy
    s = w.session()
    w.ran(s)
    w.publish(f"between {len(w.made)}")
    w.ran(s)
    back(w, old)
    w.ran(s)
    w.close(s)
    return {}


@seed
def a_decision_before_its_policy_took_effect(w: World) -> Expected:
    s = w.session()
    old, name = w.policy, f"early {len(w.made)}"
    w.policy = digest_of(f"policy {name}")
    action = w.ran(s)
    w.policy = old
    w.publish(name)
    back(w, old)
    w.close(s)
    return {"decided_by_policy": [(action.id, "it was decided on under a version that had not taken effect")]}


@seed
def a_workspace_s_own_rules(w: World) -> Expected:
    s = w.session()
    decision = {**w.decision("run"), "policy": digest_of("policy and workspace")}
    w.ran(s, decision=decision, published=w.policy)
    w.close(s)
    return {}


@seed
def held_by_default(w: World) -> Expected:
    """No rule says anything of it: the reason does."""
    s = w.session()
    decision = {**w.decision("refuse"), "rules": [], "reasons": ["No rule lets it run."]}
    w.action(s, "refuse", decision=decision)
    w.close(s)
    return {}


@seed
def a_permit_that_is_not_used(w: World) -> Expected:
    s = w.session()
    w.action(s)
    held, request = w.held(s)
    w.approve(request, "cyd")
    w.end(request)
    w.issue(request, held)
    w.add(
        "permit.refused",
        {"permit": held.permit, "gate": w.gate, "digest": held.digest, "code": "permit.expired"},
    )
    w.close(s)
    return {}


@seed
def refused_and_reported_as_not_run(w: World) -> Expected:
    s = w.session()
    action = w.action(s, "refuse")
    w.receipt(action, "not-run", ran="", permit=None)
    w.close(s)
    return {}


def resolved(
    world: World, expected: list[Expected], tests: Iterable[str] = TESTS
) -> dict[str, list[tuple[str, str]]]:
    """All that *tests* should find, by test, sorted."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in tests}
    for one in expected:
        for test, listed in one.items():
            if test not in found:
                continue
            found[test] += [(s if isinstance(s, str) else s(world), words) for s, words in listed]
    return {name: sorted(listed) for name, listed in found.items()}
