"""Sessions are measured when they end, after 200 actions, or after half an hour without one; what is found is recorded with it.

Rules kept here:

- The state of the detectors is in the log: `session.measured` says what went in and what came out, and the fold does the same sum again.
- The same actions are measured once, whatever is read again after a restart: `measured-session` says how far a session was measured.
- A drill is nobody's behaviour. A session is measured under the baseline that is pinned at that very moment.
- The agent's finding is opened in the same commit, so there is no alarm without its finding and no finding twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from keyturn import canonical
from keyturn.drift.baseline import Baseline
from keyturn.drift.features import IDLE_MS, MOST_ACTIONS, Doing, doing, session
from keyturn.drift.stream import Promise, Surprisal
from keyturn.ledger.entries import Draft, Entry, Rows
from keyturn.service import behaviour, findings, widening
from keyturn.service.baselines import content_of
from keyturn.service.behaviour_rows import for_agent, step_of, stream_of
from keyturn.service.core import Core
from keyturn.service.following import Follower, Noted

SHOWN = 20
"""Things out of the baseline that an entry names, and actions that it points at, each."""
_DAY_MS = 86_400_000


class Part:
    """The actions of one session that were not measured yet."""

    def __init__(self, name: str, number: int, last: int) -> None:
        self.session, self.number, self.last = name, number, last
        self.doings: list[Doing] = []
        self.entries: list[int] = []
        self.requests: list[str] = []
        self.began = self.ended = 0
        self.agent = self.definition = self.policy = ""
        self.effects: set[str] = set()
        self.targets: set[str] = set()


class Pinned:
    """A baseline made ready."""

    def __init__(self, baseline: Baseline) -> None:
        self.baseline = baseline
        self.surprisal = Surprisal(baseline.model)


class Measuring(Follower):
    """The follower that measures sessions."""

    name = "behaviour"
    reads = frozenset(
        (
            "action.decided",
            "request.opened",
            "session.closed",
        )
    )

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._parts: dict[str, Part] = {}
        self._pinned: dict[str, Pinned] = {}
        self._permitted: dict[tuple[str, str], frozenset[str]] = {}

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """An action is taken in; a session that ended is measured."""
        if entry.session is None or entry.type not in ("action.decided", "request.opened", "session.closed"):
            return ()
        part = self._parts.get(entry.session) or self._part(entry.session)
        if entry.index <= part.last:
            return ()
        if entry.type == "request.opened":
            part.requests.append(entry.fields["id"])
            return ()
        if entry.type == "session.closed":
            del self._parts[entry.session]
            return self._measured(part, "closed")
        found: list[Noted] = []
        if part.doings and entry.time - part.ended > IDLE_MS:
            found += self._measured(part, "idle")
            part = self._next(part)
        self._add(part, entry)
        if len(part.doings) >= MOST_ACTIONS:
            found += self._measured(part, "full")
            self._next(part)
        return found

    def tick(self, now: int) -> Sequence[Noted]:
        """Sessions in which nothing happened for a while. Who waits for people is not idle."""
        found: list[Noted] = []
        for part in list(self._parts.values()):
            row = self.core.ledger.row("session", part.session) or {}
            if part.doings and now - part.ended > IDLE_MS and not row.get("waiting"):
                found += self._measured(part, "idle")
                self._next(part)
        return found

    def _part(self, name: str) -> Part:
        known = self.core.ledger.row("measured-session", name) or {"part": 0, "last": -1}
        part = self._parts[name] = Part(name, known["part"] + 1, known["last"])
        return part

    def _next(self, part: Part) -> Part:
        last = part.entries[-1]
        following = self._parts[part.session] = Part(part.session, part.number + 1, last)
        return following

    def _add(self, part: Part, entry: Entry) -> None:
        f = entry.fields
        reading = self.core.full(f["reading"])
        part.doings.append(doing(reading, self.core.policy.drift.statistics.sensitive))
        part.entries.append(entry.index)
        part.began = part.began or entry.time
        part.ended = entry.time
        part.agent = self.core.full(f["agent"])["name"]
        part.definition = f["definition"] or ""
        part.policy = self.core.full(f["decision"])["policy"]
        if f["verdict"] != "refuse":
            part.effects.update(part.doings[-1].effects)
            part.targets.add(self.core.full(f["action"])["target"])

    def _measured(self, part: Part, why: str) -> list[Noted]:
        if not part.doings:
            return []
        return [lambda rows: self._drafts(rows, part, why)]

    def _drafts(self, rows: Rows, part: Part, why: str) -> Sequence[Draft]:
        known = rows.row("measured-session", part.session)
        if known is not None and known["part"] >= part.number:
            return []
        if any(rows.row("drill", request) is not None for request in part.requests):
            return []
        fields = _features(part, why)
        row = for_agent(rows, part.agent, part.definition)
        fields |= {
            "baseline": "",
            "peer": "",
            "score": 0,
            "novel": [],
            "promise": [0, 0],
            "evidence": {},
            "telling": {},
            "unusual": 0,
        }
        fields["day"] = part.ended // _DAY_MS
        fields["powers"] = widening.used(
            self.core, part.session, part.effects, part.targets, self._given(part)
        )
        if row is None:
            return [_draft(part, fields)]
        pinned = self._ready(row)
        done = session(part.doings)
        novel = pinned.baseline.novel(done)
        promise = self._promise(row)
        fields |= {
            "baseline": row["id"],
            "peer": row["agent"] if row["agent"] != part.agent else "",
            "score": pinned.surprisal.score(done.categories),
            "novel": [one[:120] for one in novel[:SHOWN]],
            "promise": [promise.sessions, promise.days],
            "telling": _telling(part, pinned),
            "unusual": pinned.baseline.hours.score(part.ended),
        }
        _, told = stream_of(rows, part.agent, row["id"]).after(step_of(fields))
        fields["evidence"] = to_builtins(told)
        drafts = [_draft(part, fields)]
        for cause in told.alarms:
            drift = behaviour.drift(self.core, rows, cause, fields, pinned.baseline, row)
            drafts += findings.drafts(self.core, rows, drift)
        return drafts

    def _given(self, part: Part) -> frozenset[str]:
        """What the definition gives it, worked out once."""
        name = (part.agent, part.definition)
        if name not in self._permitted:
            if len(self._permitted) > 200:
                self._permitted.clear()
            self._permitted[name] = widening.permitted(self.core, *name)
        return self._permitted[name]

    def _ready(self, row: dict[str, Any]) -> Pinned:
        known = self._pinned.get(row["id"])
        if known is None:
            if len(self._pinned) > 200:
                self._pinned.clear()
            known = self._pinned[row["id"]] = Pinned(content_of(self.core, row))
        return known

    def _promise(self, row: dict[str, Any]) -> Promise:
        agents = max(self.core.ledger.count("baseline"), self.core.ledger.count("drift-stream"))
        days = self.core.policy.drift.statistics.days_between_false_alarms
        return Promise.of(agents, row["a_day"], days)


def _features(part: Part, why: str) -> dict[str, Any]:
    done = session(part.doings)
    names = list(dict.fromkeys(done.categories))
    places = {name: place for place, name in enumerate(names)}
    what = {
        "categories": names,
        "sequence": [places[one] for one in done.categories],
        "effects": list(done.effects),
        "sensitive": done.sensitive,
    }
    return {
        **what,
        "digest": canonical.digest(what),
        "session": part.session,
        "part": part.number,
        "agent": part.agent,
        "definition": part.definition,
        "policy": part.policy,
        "why": why,
        "actions": len(done.categories),
        "first": part.entries[0],
        "last": part.entries[-1],
        "began": part.began,
        "ended": part.ended,
    }


def _draft(part: Part, fields: dict[str, Any]) -> Draft:
    return Draft("session.measured", fields, once=f"session.measured:{part.session}:{part.number}")


def _telling(part: Part, pinned: Pinned) -> dict[str, list[int]]:
    """Entries of the actions that speak for each cause, the first few."""
    baseline = pinned.baseline
    strange = set(pinned.surprisal.strangest([one.category for one in part.doings]))
    before, found = "", {"sensitive": [], "novel": [], "order": []}  # type: ignore[var-annotated]
    for one, index in zip(part.doings, part.entries, strict=True):
        if one.sensitive:
            found["sensitive"].append(index)
        if one.category not in baseline.categories or any(e not in baseline.effects for e in one.effects):
            found["novel"].append(index)
        if (before, one.category) in strange:
            found["order"].append(index)
        before = one.category
    found["hours"] = part.entries if baseline.hours.quiet(part.ended) else []
    return {cause: entries[:SHOWN] for cause, entries in found.items() if entries}
