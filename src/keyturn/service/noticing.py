"""Detectors of limits, orders, attribution and separation of duties: what the entries show, as findings.

Nothing here stops an action: what has to is a fact at decision time (`limits`, `orders`). Rules kept here:

- Limits are policy's; without a section of drift.toml the detectors that need one say nothing. Patterns of approvals need none.
- What is kept is bounded, and is read again from the log at the start (`following`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from keyturn import canonical
from keyturn.drift import attribution, declared, duties
from keyturn.drift.finding import Drift, Magnitude, Since
from keyturn.drift.orders import Marks, overdue, sentence, trail_of
from keyturn.drift.ratchet import NAME as RATCHET
from keyturn.ledger.entries import Entry
from keyturn.policy.drift import NO_DRIFT, DriftRules
from keyturn.service import reviewing, scopes
from keyturn.service.core import Core, NoPolicy
from keyturn.service.following import Follower, Noted
from keyturn.service.orders import ROW, key
from keyturn.service.starting import reading_of

Body = dict[str, Any]
MOST_OWING = 10_000
"""Sessions of which it is remembered that they may owe something."""
LAST_APPROVALS = 50


class Noticing(Follower):
    """All of them; one method a type of entry."""

    name = "noticing"

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._collapse = attribution.Collapse()
        self._spread = attribution.Spread()
        self._boilerplate = attribution.Boilerplate()
        self._approvals = duties.Approvals()
        self._retries = duties.Retries()
        self._owing: dict[str, None] = {}
        self._by_type: dict[str, Callable[[Entry], Iterator[Drift]]] = {
            "session.opened": self._opened,
            "session.instructed": self._instructed,
            "session.closed": self._closed,
            "action.decided": self._decided,
            "action.receipt": self._received,
            "permit.issued": self._permitted,
            "request.ended": self._ended,
            "approval.given": self._given,
            "policy.proposed": self._proposed,
        }
        self.reads = frozenset(self._by_type)

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """What *entry* shows."""
        read = self._by_type.get(entry.type)
        return list(read(entry)) if read is not None else ()

    def tick(self, now: int) -> Sequence[Noted]:
        """Answers that are owed for too long."""
        found: list[Drift] = []
        for session in list(self._owing):
            late = list(self._owed(session, now))
            found += late
            if not late and not self._owes(session):
                del self._owing[session]
        return found

    @property
    def _rules(self) -> DriftRules:
        try:
            return self.core.policy.drift
        except NoPolicy:
            return NO_DRIFT

    def _full(self, entry: Entry, field: str) -> Any:
        return self.core.full(entry.fields.get(field))

    # --- sessions ---------------------------------------------------------------------------------------------

    def _opened(self, entry: Entry) -> Iterator[Drift]:
        rules, agent, human = self._rules.attribution, self._full(entry, "agent"), self._full(entry, "human")
        opener, gate = self._full(entry, "opener") or {}, self._full(entry, "gate")
        account = opener.get("credential") or opener.get("holder") or ""
        if not account:
            account = (
                f"uid {human['os_uid']} at {gate['name']}"
                if human and human.get("os_uid") is not None
                else gate["name"]
            )
        elif not opener.get("credential"):
            account = f"{account} at {opener.get('machine') or 'this machine'}"
        person = human["person"] if human else ""
        yield from self._collapse.opened(
            account, agent["name"], person, entry.time, entry.index, rules.agents, rules.people
        )

    def _instructed(self, entry: Entry) -> Iterator[Drift]:
        said = self._full(entry, "instruction")
        digest = canonical.digest({"text": said["text"]})
        most = self._rules.attribution.sessions
        yield from self._spread.instructed(digest, entry.session or "", entry.time, entry.index, most)

    def _closed(self, entry: Entry) -> Iterator[Drift]:
        session = entry.session or ""
        self._retries.closed(session)
        self._owing.pop(session, None)
        row = self.core.ledger.row(ROW, session)
        for order in self._rules.orders.values():
            trail = trail_of((row or {}).get("trails", {}).get(key(order)))
            if order.template == "exactly" and 0 < trail.count < order.times:
                words = f"The session ended after {trail.count} of {order.times} times: {order.words}. [order {order.name}]"
                yield self._broken(order.name, session, words, order.words, entry, (trail.a,))
            elif order.template == "response" and trail.owed:
                words = f"The session ended and never did what it owed: {order.words}. [order {order.name}]"
                yield self._broken(order.name, session, words, order.words, entry, (trail.owed_entry,))

    def _broken(
        self, order: str, session: str, words: str, expected: str, entry: Entry, entries: tuple[int, ...]
    ) -> Drift:
        agent = (self.core.full((self.core.ledger.row("session", session) or {}).get("agent")) or {}).get(
            "name", ""
        )
        return Drift(
            "order.broken",
            (order, session),
            words,
            {"agent": agent, "session": session, "object": order},
            observed=words,
            expected=expected,
            since=Since(entry.time, entry.time),
            entries=(*(one for one in entries if one >= 0), entry.index),
        )

    def _owes(self, session: str) -> bool:
        trails = (self.core.ledger.row(ROW, session) or {}).get("trails", {})
        return any(trail.get("owed") for trail in trails.values())

    def _owed(self, session: str, now: int) -> Iterator[Drift]:
        trails = (self.core.ledger.row(ROW, session) or {}).get("trails", {})
        for order in self._rules.orders.values():
            trail = trail_of(trails.get(key(order)))
            entry = self.core.ledger.entry(trail.owed_entry) if overdue(order, trail, now) else None
            if entry is not None:
                yield self._broken(
                    order.name, session, sentence(order, trail, Marks(), now), order.words, entry, ()
                )

    # --- actions ----------------------------------------------------------------------------------------------

    def _decided(self, entry: Entry) -> Iterator[Drift]:
        f, session = entry.fields, entry.session or ""
        agent, known = self._full(entry, "agent")["name"], self._full(entry, "facts") or {}
        human = self._full(entry, "human")
        if f.get("orders") and len(self._owing) < MOST_OWING:
            self._owing[session] = None
        yield from self._exceeded(entry, agent, human)
        for name in known.get("broken", ()):
            if name == RATCHET:  # it has a finding of its own
                continue
            order = self._rules.orders.get(name)
            words = next(
                (one for one in self._full(entry, "decision")["reasons"] if f"[order {name}]" in one),
                f"An action would have broken the order {name}.",
            )
            yield self._broken(name, session, words, order.words if order else name, entry, ())
        yield from self._beyond(entry, agent, known)
        yield from self._attributed(entry, agent, human)
        yield from self._alone(entry, agent, human)
        yield from self._variants(entry, agent)

    def _exceeded(self, entry: Entry, agent: str, human: Body | None) -> Iterator[Drift]:
        for one in self._full(entry, "exceeded") or ():
            limit = self._rules.limits.get(one["limit"])
            per = dict(zip(limit.per, one["key"], strict=False)) if limit else {}
            subject: Body = {
                "agent": agent,
                "session": entry.session,
                "action": entry.fields["id"],
                "object": one["limit"],
            }
            subject |= {"person": human["person"]} if human else {}
            subject |= {"target": per["target"]} if "target" in per else {}
            since = one["since"] or entry.time
            yield Drift(
                "rate.exceeded",
                (one["limit"], *one["key"]),
                one["words"],
                subject,
                observed=f"{one['amount'] + one['adding']:,}",
                expected=f"at most {limit.most:,} {limit.each}" if limit else "less",
                since=Since(since, since),
                magnitude=Magnitude(
                    one["amount"] + one["adding"],
                    limit.most if limit else 0,
                    _unit(limit.sum, limit.distinct) if limit else "",
                ),
                entries=(*one["entries"][-19:], entry.index),
            )

    def _beyond(self, entry: Entry, agent: str, known: Body) -> Iterator[Drift]:
        """What is touched and not named; the decision knew it as a fact."""
        if scopes.FACT not in known:
            return
        said = (self._full(entry, name) for name in ("instruction", "reasoning"))
        names = declared.named(*(one["text"] for one in said if one is not None))
        effects = reading_of(self.core, entry.fields["id"]).effects
        over = declared.beyond(names, effects)
        if over:
            session, action = entry.session or "", entry.fields["id"]
            yield declared.exceeded(agent, session, action, names, effects, over, entry.time, entry.index)

    def _attributed(self, entry: Entry, agent: str, human: Body | None) -> Iterator[Drift]:
        rules, session = self._rules.attribution, entry.session or ""
        missing = tuple(name for name in rules.require if name in self._full(entry, "missing"))
        yield from attribution.missing(agent, missing, entry.fields["id"], session, entry.time, entry.index)
        if human is not None:
            person = self.core.roster.get(human["person"])
            nowhere = person is not None and not person.groups and "human" in rules.require
            why = "is not on the roster" if person is None else "is in no group" if nowhere else ""
            if why:
                yield attribution.nobody(human["person"], why, agent, session, entry.time, entry.index)
            absent = person.absent(entry.time) if person is not None else ""
            if person is not None and absent:
                why = attribution.absence(absent, person.away_until)
                yield attribution.nobody(person.id, why, agent, session, entry.time, entry.index, absent)
        reasoning = self._full(entry, "reasoning")
        if reasoning is not None and rules.boilerplate:
            yield from self._boilerplate.reasoned(
                agent, session, reasoning["text"], entry.time, entry.index, rules.boilerplate
            )

    # --- duties -----------------------------------------------------------------------------------------------

    def _alone(self, entry: Entry, agent: str, human: Body | None) -> Iterator[Drift]:
        """Policy wanted people, and none were asked: observe mode."""
        decision = self._full(entry, "decision")
        if decision["mode"] == "observe" and decision["would"] == "hold" and entry.fields["verdict"] == "run":
            who = human["person"] if human else ""
            words = f"{agent} proposed and ran what policy wants people for: it is only observed. {entry.fields['sentence'][:200]}"
            yield replace(
                self._self_executed((agent, who, "observed"), words, agent, who, entry), severity="medium"
            )

    def _self_executed(
        self, name: tuple[str, ...], words: str, agent: str, person: str, entry: Entry, *others: int
    ) -> Drift:
        return Drift(
            "sod.self_executed",
            name,
            words,
            {
                "agent": agent,
                "person": person,
                "session": entry.session,
                "action": entry.fields.get("action") or entry.fields.get("id"),
            },
            observed="nobody else decided",
            expected="another person's approval before it runs",
            since=Since(entry.time, entry.time),
            entries=(*others, entry.index),
        )

    def _received(self, entry: Entry) -> Iterator[Drift]:
        """A gate reports that something ran which was held or refused, and for which no permit ever left."""
        row = self.core.ledger.row("action", entry.fields["action"])
        ran = entry.fields["outcome"] in ("done", "failed")
        if row is None or not ran or row.get("permit") or row["verdict"] == "run":
            return
        decided = self.core.ledger.entry(row["entry"])
        if decided is None:
            return
        agent, human = (
            self.core.full(decided.fields["agent"])["name"],
            self.core.full(decided.fields["human"]),
        )
        words = f"{agent} ran what was {'held' if row['verdict'] == 'hold' else 'refused'}, and nobody approved it: {row['sentence'][:200]}"
        yield self._self_executed(
            (agent, row["id"]), words, agent, human["person"] if human else "", entry, row["entry"]
        )

    def _permitted(self, entry: Entry) -> Iterator[Drift]:
        """A permit that only those let go who stand behind the action."""
        row = self.core.ledger.row("request", entry.fields["request"])
        if row is None:
            return
        behind = {row.get("initiator"), row.get("owner"), *row.get("authors", ())} - {None}
        voices = {a["person"] for a in row["approvals"] if a["choice"] == "approve" and not a.get("void")}
        if voices and voices <= behind:
            words = f"{', '.join(sorted(voices))} let go what was asked for in their own name: {row['sentence'][:200]}"
            yield self._self_executed(
                (row["agent"], row["id"]), words, row["agent"], row.get("initiator") or "", entry
            )

    def _given(self, entry: Entry) -> Iterator[Drift]:
        f = entry.fields
        row = self.core.ledger.row("request", f["request"])
        if row is None or self.core.ledger.row("drill", f["request"]) is not None:
            return
        requester = row.get("initiator") or row.get("owner") or ""
        one = duties.Given(
            f["person"],
            requester,
            f["request"],
            f["channel"],
            entry.time,
            entry.index,
            f["choice"] == "approve",
        )
        yield from self._approvals.given(one)
        if one.approves:
            yield from self._absent(one)
            found = duties.rubber_stamp(
                reviewing.of(self.core, one.person), duties.DENIED_ELSEWHERE, entry.index, entry.time
            )
            if found is not None:
                yield found

    def _absent(self, one: duties.Given) -> Iterator[Drift]:
        """An approval in a name behind which nobody can be."""
        person = self.core.roster.get(one.person)
        kind = person.absent(one.time) if person is not None else ""
        if person is not None and kind:
            until = person.away_until if kind == "away" else 0
            yield attribution.decided_absent(person.id, kind, until, one.request, one.time, one.entry)

    def _proposed(self, entry: Entry) -> Iterator[Drift]:
        """A policy that lets more run, and only for its author's own agents."""
        by, replay = entry.fields["by"], self._full(entry, "replay") or {}
        loosened = [one for one in replay.get("changes", ()) if one["change"].endswith("→ run")]
        people = [self._human_of(one["action"]) for one in loosened]
        if not people or set(people) != {by}:
            return
        words = (
            f"{by} proposes a policy that would have let {len(loosened)} recorded actions run which were held or refused: all of them "
            f"their own agents'. Whoever approves it should know."
        )
        yield Drift(
            "sod.beneficiary",
            (by, entry.fields["digest"]),
            words,
            {"person": by, "policy": entry.fields["digest"]},
            observed=f"{len(loosened)} actions of their own agents would run",
            expected="a policy whose author does not alone profit by it",
            since=Since(entry.time, entry.time),
            magnitude=Magnitude(len(loosened), 0, "actions that would run"),
            entries=(entry.index,),
        )

    def _human_of(self, action: str) -> str:
        row = self.core.ledger.row("action", action)
        decided = self.core.ledger.entry(row["entry"]) if row else None
        human = self.core.full(decided.fields["human"]) if decided else None
        return human["person"] if human else ""

    # --- after a no -------------------------------------------------------------------------------------------

    def _ended(self, entry: Entry) -> Iterator[Drift]:
        if entry.fields["state"] == "denied":
            row = self.core.ledger.row("request", entry.fields["request"])
            if row is not None and row["subject"] == "action" and row.get("session"):
                self._no(row["action"], row["session"], entry.index)
        yield from ()

    def _no(self, action: str, session: str, entry: int) -> None:
        one = self._denied(action, entry)
        if one is not None:
            self._retries.denied(session, one)

    def _denied(self, action: str, entry: int) -> duties.Denied | None:
        row = self.core.ledger.row("action", action)
        decided = self.core.ledger.entry(row["entry"]) if row else None
        if row is None or decided is None:
            return None
        target = self.core.full(decided.fields["action"])["target"]
        reading = reading_of(self.core, action)
        return duties.denied_of(action, row["digest"], reading, target, entry, row["sentence"])

    def _variants(self, entry: Entry, agent: str) -> Iterator[Drift]:
        session = entry.session or ""
        refused = entry.fields["verdict"] == "refuse"
        if not refused and not self._retries.watches(session):
            return
        one = self._denied(entry.fields["id"], entry.index)
        if one is not None:
            yield from self._retries.proposed(session, one, agent, entry.time)
            if refused:
                self._retries.denied(session, one)


def _unit(total: str, distinct: str) -> str:
    return total or (f"different {distinct}s" if distinct else "times")


__all__ = ["Noticing"]
