"""What happens in the house of `world_b` without anything being wrong: of each test's population, and of what looks like an exception.

Each part is a generator that begins on its day; what it yields is how many days later it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import world_a
from world import DAY, MINUTE, SECOND, Done, digest_of
from world_b import DAYS, House


def part_of(action: Done) -> str:
    """The reason for which a part of an action that was allowed runs."""
    return f"It is part of {action.id}, which was allowed and runs code."


Part = Callable[[House], Iterator[float]]
PARTS: list[tuple[int, Part]] = []


def on(day: int) -> Callable[[Part], Part]:
    """It begins on that day."""

    def kept(part: Part) -> Part:
        PARTS.append((day, part))
        return part

    return kept


@on(40)
def credentials(h: House) -> Iterator[float]:
    first = h.of_agent("coder", days=20)
    h.start("coder", opener=h.opener(first, "m1"))
    second = h.of_agent("coder", days=20)
    h.add(
        "credential.rotated",
        {"credential": first, "next": second, "until": h.now + MINUTE, "by": "mia"},
    )
    h.start("coder", opener=h.opener(first, "m1"))
    child = h.of_agent("coder", days=1, parent=second)
    h.start("coder", opener=h.opener(child, "m2"))
    h.add("credential.revoked", {"credential": second, "by": "mia", "why": "over"})
    alarm = h.of_agent("alarmed", days=20)
    finding = h.finding("credential.shared", about={"credential": alarm, "agent": "alarmed"})
    h.settled(finding, outcome="false-alarm")
    yield 70
    h.of_agent("coder", days=60)


@on(41)
def people_come_and_go(h: House) -> Iterator[float]:
    gone = h.joins()
    h.leaves(gone)
    gate = h.enrolled_gate()
    h.add("gate.removed", {"name": gate, "by": "ada"})
    back = h.joins()
    h.leaves(back)
    request = h.changed("roster", "ada", "bea", authors=["ada", back]).id
    h.add("person.restored", {"id": back, "by": "ada", "token": "", "request": request})
    h.people.append(back)
    yield 1
    h.session(agent="claude-code", owner=back)
    other = h.start("other", person="noa")
    about = (("person", "noa"), ("session", other), ("agent", "other"), ("label", "another"))
    others = [h.holds(scope, of) for scope, of in about]
    h.erases("person", gone, "bea")
    h.erases("session", h.session(), "bea")
    action = h.ran(h.session())
    h.erases("action", action.id, "bea")
    for hold in others:
        h.lifts(hold)


@on(42)
def grants(h: House) -> Iterator[float]:
    session = h.start()
    action, request = h.approved(session, "cyd")
    grant = h.grant(request, "cyd", minutes=600, uses=3)
    h.add("grant.used", {"grant": grant, "action": action.id}, session=session)
    again = h.ran(session)
    h.add("grant.used", {"grant": grant, "action": again.id}, session=session)
    h.add("grant.revoked", {"grant": grant, "by": "cyd", "why": "done"})
    h.grant(request, "cyd", minutes=30)
    h.grant(request, "cyd", minutes=300, session=session)
    yield 1


@on(43)
def production(h: House) -> Iterator[float]:
    session = h.start()
    first, _ = h.voted(session, ("writes", "network", ("production",)), ("executes", "code", ()))
    h.let(session, ("configures", "system", ()), would="hold", reasons=[part_of(first)])
    h.let(session, ("configures", "code", ()))
    h.let(session, ("reads", "workspace", ("production",)))
    other = h.start()
    h.let(other, ("writes", "workspace", ("staging",)))
    third = h.start()
    held, _ = h.held(
        third, reading=h.read(("grants", "system", ()), ("writes", "workspace", ("production",)))
    )
    assert held.id
    h.let(third, ("writes", "workspace", ("test",)))
    _under_grant_and_plan(h, reading=h.read(("grants", "system", ())))
    h.action(h.start(), reading=h.read(("grants", "system", ())))
    yield 1


def _under_grant_and_plan(h: House, **more: Any) -> None:
    """What people let run before, and what they approved as part of a plan."""
    session = h.start()
    granted = h.ran(session, **more)
    h.add("grant.used", {"grant": "g", "action": granted.id}, session=session)
    planned = h.ran(session, **more)
    h.add("plan.advanced", {"plan": "pl", "step": 1, "action": planned.id}, session=session)


@on(44)
def network(h: House) -> Iterator[float]:
    session = h.start()
    h.let(session, ("connects", "network", ()), ("sends", "network", ()))
    h.add("session.labelled", {"labels": ["customer"], "action": "a"}, session=session)
    h.let(session, ("connects", "network", ()))
    voted, _ = h.voted(session, ("connects", "network", ()), ("sends", "network", ()))
    h.let(session, ("connects", "network", ()), complete=False, would="hold", reasons=[part_of(voted)])
    _under_grant_and_plan(h, reading=h.read(("sends", "network", ()), complete=False))
    h.action(session, reading=h.read(("sends", "network", ())))
    yield 1


@on(45)
def findings(h: House) -> Iterator[float]:
    open_for = {
        "critical": h.finding("order.broken", "critical"),
        "high": h.finding("order.broken", "high"),
        "medium": h.finding("order.broken", "medium"),
        "low": h.finding("order.broken", "low"),
    }
    sure = h.finding("configuration.unexplained", "high", state="explained")
    assert sure
    h.wait(hours=3)
    for finding in open_for.values():
        h.moved(finding, "viewed")
        h.moved(finding, "acknowledged")
    yield 5
    change = h.changed("definition", "mia", "ada").id
    h.moved(open_for["critical"], "closed", outcome="explained", change=change)
    h.moved(open_for["high"], "accepted", until=h.now + 30 * 24 * 60 * MINUTE)
    auto = h.finding("definition.unknown", "high")
    h.moved(
        auto, "closed", by="", apart=False, reason="People approved it.", outcome="explained", change=change
    )
    yield 20
    h.moved(open_for["high"], "reopened", by="")
    yield 20
    h.moved(open_for["high"], "closed", outcome="fixed")
    h.moved(open_for["medium"], "explained", grade="CANDIDATE")


@on(46)
def evidence(h: House) -> Iterator[float]:
    pack, _ = h.exports()
    h.reads("aud", "pack", pack)
    h.reads("aud", "pack", f"packs/{pack}/file")
    h.reads("aud", "pack", "packs")
    h.exports(size=h.index - 1)
    reader = h.joins(roles=("auditor",), groups=())
    request = h.changed("roster", "ada", "bea", authors=["ada", reader]).id
    fields = {"id": reader, "by": "ada", "groups": ["reviewers"], "request": request}
    h.add("person.changed", fields)
    h.reads(reader)
    yield 1


@on(47)
def retention(h: House) -> Iterator[float]:
    session = h.start()
    for scope in ("person", "agent", "session"):
        h.holds(scope, "another")
    gone, _ = h.writes(session, days=2)
    kept, _ = h.writes(session, days=2, labels=("held",))
    h.writes(session, days=200)
    hold = h.holds("label", "held")
    stays = h.start(person="noa")
    h.writes(stays, days=2)
    h.holds("session", stays)
    yield 2
    h.wait(hours=4)
    h.deletes(gone)
    yield 3
    h.lifts(hold)
    h.deletes(kept)


@on(48)
def secrets(h: House) -> Iterator[float]:
    session = h.start()
    h.ran(session, facts={"secrets": ["aws"]}, sealed="hmac-sha256:00")
    wrote, _ = h.approved(session, "cyd", facts={"secrets": ["aws"]}, sealed="hmac-sha256:00")
    h.settled(h.finding("secret.written", about={"agent": "claude-code", "action": wrote.id}))
    again, step = h.ran(session), h.ran(session)
    h.add("grant.used", {"grant": "g", "action": again.id}, session=session)
    h.add("plan.advanced", {"plan": "pl", "step": 1, "action": step.id}, session=session)
    for action in (again, step):
        h.settled(h.finding("secret.written", about={"agent": "claude-code", "action": action.id}))
    held, _ = h.held(session)
    h.settled(h.finding("secret.written", about={"agent": "claude-code", "action": held.id}))
    found = h.finding("secret.recorded", "critical", about={"object": "entry 3"})
    h.settled(found, outcome="false-alarm")
    yield 1


@on(49)
def stops(h: House) -> Iterator[float]:
    session = h.start()
    running = h.action(session)
    h.consume(running)
    h.stops(session)
    h.receipt(running, "failed")
    held = h.action(h.start("helper", parents=[session]), "hold", agent="helper")
    assert held.id
    late = h.start("helper")
    _, lasting = h.blocks("agent", "helper", ends=h.now + 10 * MINUTE)
    assert lasting
    h.ran(h.start())
    h.action(late, "refuse", agent="helper", reasons=("A finding stops helper.",))
    h.wait(minutes=70)
    h.ran(late, agent="helper")
    block, _ = h.blocks("session", late)
    h.ran(h.start())
    h.add(
        "response.lifted",
        {"response": block, "by": "ada", "why": "over", "request": h.changed("response", "ada", "bea").id},
    )
    h.ran(late, agent="helper")
    yield 1


@on(50)
def reviewers(h: House) -> Iterator[float]:
    session = h.start()
    for number in range(24):
        _, request = h.held(session)
        more = {"looked_ms": 500} if number < 8 else {"dwell_ms": 60_000}
        h.approve(request, "eve", gesture=more | ({"batch": "b1"} if number > 18 else {}))
    for caught in (True, True, True, True, False):
        h.add(
            "drill.decided",
            {
                "request": h.id("r"),
                "person": "dee",
                "choice": "deny" if caught else "approve",
                "caught": caught,
            },
        )
    h.add("drill.decided", {"request": h.id("r"), "person": None, "choice": "", "caught": False})
    for _ in range(5):
        _, request = h.held(session)
        h.approve(request, "bea", gesture={"looked_ms": 500, "batch": "b2"})
    yield 1


@on(51)
def gates(h: House) -> Iterator[float]:
    for _ in range(3):
        h.probed(h.gate)
        yield 20
    h.probed(h.gate)
    own = h.fresh("wrap") + "@host"
    h.add("gate.started", {"name": own, "assurance": "advisory", "version": "1", "client": "sdk"})
    h.session(gate=own, assurance="advisory")


@on(52)
def limits(h: House) -> Iterator[float]:
    session = h.start()
    counts = {"counts": [{"id": "queries:1", "limit": "queries", "amount": 1}]}
    h.ran(session, limits=counts)
    over = {"limits": counts, "facts": {"over": ["queries"]}, "exceeded": [{"limit": "queries"}]}
    h.approved(session, "cyd", **over)
    h.held(session, **over)
    h.action(session, **over)
    _under_grant_and_plan(h, **over)
    yield 1


@on(53)
def refusals(h: House) -> Iterator[float]:
    session = h.start()
    for _ in range(12):
        h.action(session, "refuse")
    finding = h.finding("retry.variant", "medium", about={"agent": "claude-code", "session": session})
    stopped = h.start()
    for _ in range(11):
        h.action(stopped, "refuse")
    h.stops(stopped)
    yield 1
    h.moved(finding, "viewed")
    h.settled(finding)


@on(54)
def definitions(h: House) -> Iterator[float]:
    h.defined("changing", digest_of("v1"))
    session = h.session(agent="changing", definition=digest_of("v1"))
    h.ran(session, agent="changing", definition=digest_of("v1"))
    fields = {"agent": "changing", "digest": digest_of("v1"), "by": "noa", "why": "too much"}
    h.add("definition.withdrawn", fields)
    h.defined("changing", digest_of("v1"))
    h.ran(session, agent="changing", definition=digest_of("v1"))
    h.action(session, "hold", agent="changing", definition=digest_of("v2"))
    later = h.session(agent="changing", definition=digest_of("v1"))
    h.ran(later, agent="changing", definition=digest_of("v1"))
    h.ran(session, agent="changing", definition=digest_of("v1"))
    yield 1


@on(55)
def configurations(h: House) -> Iterator[float]:
    h.sees(
        "orders",
        first=True,
        explanation={"grade": "NONE", "change": ""},
        patch={"Deployment/x": {"image": "v1"}},
    )
    change = h.approves_configuration("orders")
    named = {"grade": "PROVEN", "change": change}
    h.sees("orders", patch={"Deployment/x": {"image": "v2"}}, explanation=named)
    h.sees("orders")
    yield 1


@on(56)
def delegations(h: House) -> Iterator[float]:
    session = h.start()
    _, early = h.held(session)
    first, _ = h.delegates("cyd", "dee")
    _, request = h.held(session)
    h.approve(request, "dee", on_behalf_of=["cyd"])
    h.delegates("dee", "eve", days=89)
    h.approve(early, "eve", on_behalf_of=["cyd", "dee"])
    h.add("delegation.ended", {"delegation": first, "by": "cyd"})
    yield 1


@on(57)
def notices(h: House) -> Iterator[float]:
    h.tells("r_told")
    h.tells("r_slow", "failed")
    h.tells("r_slow")
    h.tells("r_other", "failed", final=True, retry=None)
    h.tells("r_other", channel="page")
    h.tells("r_place", "failed", person="", final=True, retry=None)
    h.tells("r_place")
    _, request = h.held(h.start())
    h.tells(request.id)
    h.wait(minutes=30)
    h.end(request, "expired")
    yield DAYS - 1 - 57
    h.at(DAYS - 1, 23.5)
    h.tells("r_new", "failed")


@on(12)
def by_itself(h: House) -> Iterator[float]:
    """What the server does is nobody's review."""
    change = h.changed("definition", "mia", "ada").id
    finding = h.finding("definition.unknown", "low")
    h.moved(finding, "closed", by="", apart=False, outcome="explained", change=change)
    h.add("review.opened", {"rules": ["old"], "days": 90, "policy": h.policy, "by": None})
    yield 78
    h.add("review.opened", {"rules": ["old"], "days": 90, "policy": h.policy, "by": None})


@on(3)
def provisioning(h: House) -> Iterator[float]:
    h.lets_scim_in()
    yield 5
    h.lets_scim_in()
    h.add("scim.token", {"token": "", "by": "ada"})


@on(58)
def approvals_runs_and_records(h: House) -> Iterator[float]:
    """Some hours of the house of `world_a`, in which nothing is wrong either."""
    world_a.lived_in(h)
    h.heartbeat(interval_s=DAY // SECOND)
    yield DAYS - 1 - 58
    world_a.compared(h)
