"""What should not be of findings, evidence, retention, stops, and the people who look: one seed for each exception that a test can tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from world import DAY, HOUR, MINUTE, START, digest_of
from world_b import UNTIL, House, late, seed

# --- findings --------------------------------------------------------------------------------------------------------


@seed
def findings_that_nobody_acknowledged(h: House) -> Iterator[float]:
    for severity in ("critical", "high", "medium", "low"):
        entry, hours = h.index, (UNTIL - h.now) // HOUR
        finding = h.finding("order.broken", severity)
        h.expect(
            "findings_in_time", entry, finding, f"{severity}, and nobody acknowledged it for {hours} hours"
        )
    yield from ()


@seed
def finding_acknowledged_late(h: House) -> Iterator[float]:
    entry, begun = h.index, h.now
    finding = h.finding("order.broken")
    yield 2
    hours = (h.now - begun) // HOUR
    h.settled(finding)
    h.expect("findings_in_time", entry, finding, f"high, acknowledged after {hours} hours")


@seed
def finding_not_settled(h: House) -> Iterator[float]:
    entry, days = h.index, (UNTIL - h.now) // DAY
    finding = h.finding("order.broken")
    h.moved(finding, "acknowledged")
    h.expect("findings_in_time", entry, finding, f"high, not settled for {days} days")
    yield from ()


@seed
def finding_settled_late(h: House) -> Iterator[float]:
    entry, begun = h.index, h.now
    finding = h.finding("order.broken", "critical")
    h.moved(finding, "acknowledged")
    yield 9
    days = (h.now - begun) // DAY
    h.moved(finding, "closed", outcome="fixed")
    h.expect("findings_in_time", entry, finding, f"critical, settled after {days} days")


@seed
def finding_opened_again_and_left(h: House) -> Iterator[float]:
    entry = h.index
    finding = h.finding("order.broken", "medium")
    h.settled(finding)
    days = (UNTIL - h.now) // DAY
    h.moved(finding, "reopened", by="mia")
    h.expect("findings_in_time", entry, finding, f"medium, not settled for {days} days")
    yield from ()


@seed
def finding_of_no_severity(h: House) -> Iterator[float]:
    entry = h.index
    finding = h.finding("order.broken", "severe")
    h.expect("findings_in_time", entry, finding, "its severity is unknown: severe")
    yield from ()


def _judged(
    h: House, words: str, event: str = "closed", about: dict[str, Any] | None = None, **more: Any
) -> None:
    finding = h.finding("order.broken", about=about)
    h.moved(finding, "acknowledged")
    if event == "closed":
        more.setdefault("outcome", "fixed")
    h.expect("findings_judged", h.moved(finding, event, **more), finding, words)


@seed
def finding_closed_by_a_party(h: House) -> Iterator[float]:
    _judged(h, "closed by dee, who has a part in it", apart=False)
    yield from ()


@seed
def finding_closed_by_whom_it_names(h: House) -> Iterator[float]:
    _judged(h, "closed by dee, for whom the agent acted", about={"person": "dee"})
    _judged(
        h,
        "explained by mia, for whom the agent acted",
        "explained",
        {"session": h.session()},
        by="mia",
        change=_change(h),
    )
    _judged(h, "closed by noa, for whom the agent acted", about={"session": h.session()}, by="noa")
    yield from ()


def _change(h: House, by: str = "eve") -> str:
    return h.changed("configuration", by, "ada").id


@seed
def finding_explained_by_ones_own_change(h: House) -> Iterator[float]:
    words = "explained by dee, who asked for the change that explains it"
    _judged(h, words, "explained", change=_change(h, "dee"))
    yield from ()


@seed
def finding_explained_by_nothing_approved(h: House) -> Iterator[float]:
    asked = h.request(None, subject="configuration", initiator="eve")
    h.end(asked, "denied", by="ada")
    for change in ("r_nothing", asked.id):
        _judged(h, f"explained with {change}, which nobody approved", "explained", change=change)
    yield from ()


@seed
def finding_explained_by_no_change(h: House) -> Iterator[float]:
    _judged(h, "closed, and no approved change is named", outcome="explained", change="")
    _judged(h, "closed, and no approved change is named", by="", apart=False)
    yield from ()


@seed
def finding_closed_without_a_reason(h: House) -> Iterator[float]:
    _judged(h, "closed without a reason", reason="")
    yield from ()


@seed
def finding_accepted_for_ever(h: House) -> Iterator[float]:
    _judged(h, "accepted without an end", "accepted")
    _judged(h, "accepted for 400 days", "accepted", until=h.now + 400 * DAY + HOUR)
    yield from ()


# --- evidence --------------------------------------------------------------------------------------------------------


@seed
def evidence_read_by_others(h: House) -> Iterator[float]:
    who = h.fresh("stranger")
    h.expect("evidence_access", h.reads(who, "entry"), who, "read entry, and is on no roster")
    gone = h.joins(roles=("auditor",))
    h.leaves(gone)
    h.expect("evidence_access", h.reads(gone), gone, "read control after being removed")
    unnamed, request = h.fresh("person"), h.changed("roster", "ada", "bea").id
    h.add(
        "person.enrolled",
        {"id": unnamed, "name": "X", "groups": [], "by": "ada", "request": request},
    )
    h.people.append(unnamed)
    lost = h.joins(roles=("auditor", "member"))
    request = h.changed("roster", "ada", "bea", authors=["ada", lost]).id
    h.add("person.changed", {"id": lost, "by": "ada", "roles": ["member"], "request": request})
    for person in ("mia", unnamed, lost):
        words = "without the role of an auditor or administrator"
        h.expect("evidence_access", h.reads(person), person, f"read control {words}")
    _, entry = h.exports(by="mia")
    h.expect("evidence_access", entry, "mia", "made a pack without the role of an auditor or administrator")
    yield from ()


@seed
def pack_of_nobody(h: House) -> Iterator[float]:
    pack, entry = h.exports(by="")
    h.expect("exports_recorded", entry, pack, "nobody is named who made it")
    h.expect("evidence_access", entry, "", "made a pack, and is on no roster")
    yield from ()


@seed
def packs_that_say_too_little(h: House) -> Iterator[float]:
    for more, words in (
        ({"for": ""}, "nobody is named whom it is for"),
        ({"disclosure": "everything"}, "it does not say how much it shows"),
        ({"since": h.now, "until": START}, "it covers no time"),
    ):
        pack, entry = h.exports(**more)
        h.expect("exports_recorded", entry, pack, words)
    for size in (0, h.index + 9):
        pack, entry = h.exports(size=size)
        h.expect("exports_recorded", entry, pack, "it covers other entries than there were")
    yield from ()


@seed
def pack_that_was_never_made(h: House) -> Iterator[float]:
    pack = h.id("e")
    entry = h.reads("aud", "pack", pack)
    h.expect("exports_recorded", entry, pack, "aud read it, and its making is not recorded")
    yield from ()


# --- retention -------------------------------------------------------------------------------------------------------


@seed
def file_that_is_still_there(h: House) -> Iterator[float]:
    artefact, entry = h.writes(h.start(), days=2)
    hours = (UNTIL - (h.now - 1000 + 2 * DAY)) // HOUR
    h.expect("retained", entry, artefact, f"it is still there {hours} hours after its time")
    yield from ()


@seed
def file_deleted_late(h: House) -> Iterator[float]:
    artefact, entry = h.writes(h.start(), days=1)
    due = h.now - 1000 + DAY
    yield 3
    hours = (h.now - due) // HOUR
    h.deletes(artefact)
    h.expect("retained", entry, artefact, f"it was deleted {hours} hours after its time")


@seed
def file_deleted_late_after_a_hold(h: House) -> Iterator[float]:
    artefact, entry = h.writes(h.start(), days=1, labels=("odd",))
    hold = h.holds("label", "odd")
    yield 2
    h.lifts(hold)
    lifted = h.now - 1000
    yield 2
    hours = (h.now - lifted) // HOUR
    h.deletes(artefact)
    h.expect("retained", entry, artefact, f"it was deleted {hours} hours after its time")


@late
def file_deleted_under_a_hold(h: House) -> Iterator[float]:
    for scope in ("session", "agent", "person", "label", "everything"):
        session = h.start(agent=h.fresh("agent"), person="noa")
        of = {"session": session, "agent": f"agent{h._ids['agent']}", "person": "noa", "label": "rare"}.get(
            scope, ""
        )
        agent = f"agent{h._ids['agent']}"
        action = h.ran(session, agent=agent, person="noa")
        id, entry = h.id("x"), h.index
        h.add(
            "artefact.written",
            {
                "id": id,
                "path": "/x",
                "rule": "r",
                "labels": ["rare"],
                "made": h.now,
                "due": h.now + DAY,
                "action": action.id,
            },
            session=session,
        )
        hold = h.holds(scope, of)
        h.deletes(id)
        h.lifts(hold)
        h.expect("retained", entry, id, f"it was deleted under the legal hold {hold}")
    yield from ()


@late
def erasures_under_a_hold(h: House) -> Iterator[float]:
    gone, agent = h.joins(), h.fresh("agent")
    session = h.start(agent, person=gone)
    action = h.ran(session, agent=agent, person=gone)
    h.leaves(gone)
    for scope, of in (("everything", ""), ("person", gone), ("session", session), ("agent", agent)):
        hold = h.holds(scope, of)
        for erased, what in (("person", gone), ("session", session), ("action", action.id)):
            erasure, entry = h.erases(erased, what, "bea")
            h.expect("erasure_lawful", entry, erasure, f"the legal hold {hold} covered it")
        h.lifts(hold)
    yield from ()


@seed
def erasures_that_nobody_approved(h: House) -> Iterator[float]:
    asked = h.request(None, subject="erasure", initiator="ada")
    h.end(asked, "denied", by="bea")
    for request, words in (
        (asked.id, "its request was not approved before"),
        ("r_nothing", "its request r_nothing is not in the log"),
        (h.changed("roster", "ada", "bea").id, ""),
    ):
        erasure, entry = h.erases("session", h.session(), "bea", request=request)
        h.expect("erasure_lawful", entry, erasure, "no approved request stands behind it")
        if words:
            h.expect("changes_by_two", entry, erasure, f"erasure.done: {words}")
    own = h.changed("erasure", "ada", "ada")
    h.expect("no_self_approval", own.entry + 1, own.id, "approved by ada, its initiator ada")
    erasure, entry = h.erases("session", h.session(), "bea", request=own.id)
    h.expect("erasure_lawful", entry, erasure, "nobody but ada, who asked, approved it")
    h.expect("changes_by_two", entry, erasure, "erasure.done: 0 of 1 people approved it")
    yield from ()


@seed
def erasure_of_somebody_who_is_there(h: House) -> Iterator[float]:
    who = h.joins()
    erasure, entry = h.erases("person", who, "bea")
    h.expect("erasure_lawful", entry, erasure, f"{who} was still on the roster")
    yield from ()


@seed
def erasure_without_a_reason(h: House) -> Iterator[float]:
    erasure, entry = h.erases("session", h.session(), "bea", why="")
    h.expect("erasure_lawful", entry, erasure, "it has no reason")
    yield from ()


# --- stops -----------------------------------------------------------------------------------------------------------


@seed
def run_after_a_stop(h: House) -> Iterator[float]:
    session = h.start()
    entry = h.stops(session)
    action = h.action(session)
    h.expect("stop_works", entry, session, f"{action.id} was let run after the stop")
    yield from ()


@seed
def permit_used_after_a_stop(h: House) -> Iterator[float]:
    session = h.start()
    action = h.action(session)
    entry = h.stops(session)
    h.consume(action)
    h.receipt(action)
    h.expect("stop_works", entry, session, f"the permit of {action.id} was issued or used after the stop")
    yield from ()


@seed
def start_after_a_stop(h: House) -> Iterator[float]:
    session = h.start()
    action = h.action(session)
    h.consume(action)
    entry = h.stops(session)
    h.add("action.started", {"action": action.id, "gate": h.gate})
    h.receipt(action)
    h.expect("stop_works", entry, session, f"{action.id} started after the stop")
    yield from ()


@seed
def running_long_after_a_stop(h: House) -> Iterator[float]:
    session = h.start()
    action = h.action(session)
    h.consume(action)
    entry = h.stops(session)
    h.wait(minutes=2)
    h.receipt(action)
    h.expect("stop_works", entry, session, f"{action.id} still ran long after the stop")
    yield from ()


@seed
def child_after_a_stop(h: House) -> Iterator[float]:
    session = h.start()
    child = h.start(parents=[h.start(parents=[session])])
    entry = h.stops(session)
    action = h.ran(child)
    h.expect("stop_works", entry, session, f"{action.id} was let run after the stop")
    yield from ()


@seed
def run_while_stopped_by_a_response(h: House) -> Iterator[float]:
    for kind in ("agent", "definition", "session"):
        agent = h.fresh("agent")
        session = h.start(agent)
        of = {"agent": agent, "definition": digest_of(f"definition of {agent}"), "session": session}[kind]
        before = h.action(session, agent=agent, lasts=7_200)
        block, entry = h.blocks(kind, of)
        if kind == "session":
            h.consume(before)
            h.receipt(before)
            h.expect(
                "stop_works", entry, block, f"the permit of {before.id} was issued or used after the stop"
            )
        else:
            action = h.action(session, agent=agent)
            h.expect("stop_works", entry, block, f"{action.id} was let run after the stop")
    yield from ()


# --- people ----------------------------------------------------------------------------------------------------------


@seed
def reviewer_who_misses_drills(h: House) -> Iterator[float]:
    who = h.joins()
    for caught in (True, False):
        choice = "deny" if caught else "approve"
        entry = h.add(
            "drill.decided", {"request": h.id("r"), "person": who, "choice": choice, "caught": caught}
        )
    h.expect("people_look", entry, who, "approved 1 of 2 drills")
    yield from ()


def _approvals(h: House, who: str, gestures: list[dict[str, Any]]) -> int:
    _, request = h.held(h.start())
    return [h.approve(request, who, gesture=gesture) for gesture in gestures][-1]


@seed
def reviewer_who_never_says_no(h: House) -> Iterator[float]:
    who = h.joins()
    h.expect("people_look", _approvals(h, who, [{"looked_ms": 30_000}] * 200), who, "approved all 200")
    yield from ()


@seed
def reviewer_in_haste(h: House) -> Iterator[float]:
    who = h.joins()
    entry = _approvals(h, who, [{"looked_ms": 2_900}] * 11 + [{"dwell_ms": 30_000}] * 9 + [{}] * 5)
    h.expect("people_look", entry, who, "approved 11 of 20 faster than anybody can read")
    yield from ()


@seed
def reviewer_of_heaps(h: House) -> Iterator[float]:
    who = h.joins()
    entry = _approvals(h, who, [{"batch": "b"}] * 11 + [{"dwell_ms": 30_000}] * 9)
    h.expect("people_look", entry, who, "approved 11 of 20 together with others")
    yield from ()


@seed
def key_for_too_long(h: House) -> Iterator[float]:
    who = h.joins()
    request = h.changed("key", who, "ada").id
    entry, days = h.index, (UNTIL - h.now) // DAY
    key = h.key(who, request=request)
    h.expect("keys_rotated", entry, key, f"in use for {days} days")
    other = h.joins()
    request = h.changed("key", other, "ada").id
    made, entry = h.now, h.index
    key = h.key(other, request=request)
    yield 92
    days = (h.now - made) // DAY
    h.add("key.revoked", {"id": key, "person": other, "by": other, "why": "old"})
    h.expect("keys_rotated", entry, key, f"in use for {days} days")


@late
def reviewer_whom_nobody_else_looked_at(h: House) -> Iterator[float]:
    who = h.joins(roles=("admin", "member"))
    entry = h.looks_through(who)
    h.leaves(who)
    h.expect("access_reviewed", entry, who, f"nobody but {who} looked at what {who} may do")
    yield 1


@seed
def delegations_without_bounds(h: House) -> Iterator[float]:
    gone = h.joins()
    h.leaves(gone)
    for person, to, more, words in (
        ("cyd", "cyd", {}, "cyd handed over to themselves"),
        ("nobody", "cyd", {}, "nobody, who handed over, was on no roster"),
        (gone, "cyd", {}, f"{gone}, who handed over, was on no roster"),
        ("cyd", gone, {}, f"{gone}, who stands in, was on no roster"),
        ("cyd", "dee", {"groups": []}, "it is about no group"),
        ("cyd", "dee", {"until": 0}, "it has no end"),
        ("cyd", "dee", {"days": 91}, "it lasts 91 days"),
    ):
        delegation, entry = h.delegates(person, to, **more)
        h.add("delegation.ended", {"delegation": delegation, "by": to})
        h.expect("delegations_bounded", entry, delegation, words)
    yield from ()


@seed
def decisions_in_a_place_that_nobody_handed_over(h: House) -> Iterator[float]:
    session = h.start()
    giver, other = h.joins(), h.joins()
    words = f"{other} decided in the place of {giver}, and nobody had handed that over"

    def decides() -> None:
        _, request = h.held(session)
        entry = h.approve(request, other, on_behalf_of=[giver])
        h.expect("delegations_bounded", entry, request.id, words)

    decides()
    early, _ = h.delegates(giver, other, since=h.now + DAY, until=h.now + 2 * DAY)
    decides()
    ended, _ = h.delegates(giver, other)
    h.add("delegation.ended", {"delegation": ended, "by": giver})
    decides()
    over, _ = h.delegates(giver, other, until=h.now + MINUTE)
    h.delegates(giver, "eve")
    h.wait(minutes=2)
    decides()
    assert early != over
    yield from ()


@seed
def people_who_were_not_told(h: House) -> Iterator[float]:
    about, entry = h.id("r"), h.index
    h.tells(about, "failed", final=True, retry=None)
    h.tells(about, person="dee")
    h.expect("people_told", entry, about, "cyd was not told: it was given up")
    about, entry = h.id("r"), h.index
    h.tells(about, "failed", person="", final=True, retry=None)
    h.expect("people_told", entry, about, "nobody was told: it was given up")
    about, entry = h.id("r"), h.index
    h.tells(about, "failed")
    h.expect("people_told", entry, about, "cyd was not told: no try went through")
    about, entry = h.id("r"), h.index
    h.tells(about, "failed", person="")
    h.expect("people_told", entry, about, "nobody was told: no try went through")
    yield from ()


@seed
def requests_that_expired_unheard(h: House) -> Iterator[float]:
    session = h.start()
    _, request = h.held(session)
    h.wait(minutes=30)
    h.end(request, "expired")
    h.expect("people_told", request.entry, request.id, "it expired, and nobody was told of it")
    yield from ()


@seed
def scim_token_for_too_long(h: House) -> Iterator[float]:
    entry = h.lets_scim_in()
    made = h.made[-1].entry.time
    yield 95
    days = (h.now - made) // DAY
    h.add("scim.token", {"token": "", "by": "ada"})
    h.expect("keys_rotated", entry, "token of the SCIM client", f"in use for {days} days")
