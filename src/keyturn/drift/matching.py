"""The target's own log against the ledger, in both directions: what happened there that nobody was asked about, and the reverse.

Rules kept here:

- Tags first. A tag counts when its MAC is right, its action was allowed, it stands beside that action's statement, in that action's
  time, and for the first time. A session's tag counts while the session is open; where the session says all its statements,
  each counts once. Any other tag is a bypass that says so (I1).
- Where agents tag, a statement under their credential without a tag is a bypass (I2).
- Where nobody tags, statements and actions are matched one to one for each fingerprint, after the skew between the two clocks was
  estimated: never "there is one like it", which lets a copy through. The count of what is left over is exact; which of the
  lines it is can't be known, so none is named: "3 surplus executions of F between 10:02 and 10:04" (I5).
- Only what lies before the watermark is judged: a log that is late has not yet said everything. What was allowed, leaves a line
  and left none, is told in the other direction (I3).
- Pure, and linear but for sorting; the largest matching on a line is found greedily, since all intervals are equally long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median_low
from typing import Literal

from msgspec import Struct

from keyturn.drift import fingerprints
from keyturn.drift.expected import EXACT, QUIET, Expected, Span
from keyturn.drift.observed import Observed
from keyturn.drift.pairing import SKEW_MS, Surplus, paired, skew, surplus
from keyturn.drift.tags import Tags
from keyturn.policy.drift.coverage import Tagging

LATE_MS = 15 * 60 * 1000
"""How long after it was let go an action without a receipt may still speak to the target, or one that runs code after it."""

TOLERANCE_MS = 2_000
"""How far a statement and its action may lie apart once the skew is taken out."""


class Frame(Struct, frozen=True):
    """What is compared: the period [`since`, `until`) by the target's clock, for events of `principals` (all, when empty)."""

    target: str
    since: int
    until: int
    principals: tuple[str, ...] = ()
    tagging: Tagging = "auto"
    tolerance: int = TOLERANCE_MS


class Bypass(Struct, frozen=True):
    """One line of the target's log that no action accounts for. `kind` is `unknown_tag` or `untagged`."""

    kind: Literal["unknown_tag", "untagged"]
    why: str
    event: Observed


class Account(Struct, frozen=True, gc=False):
    """What stands behind one event that is no bypass: an action, a session only, or a program that it is `within`."""

    how: Literal["tagged", "in_session", "matched", "within"]
    event: Observed
    action: str = ""
    session: str = ""


class Missing(Struct, frozen=True):
    """An action that was allowed and left no line."""

    action: str
    fingerprint: str
    time: int
    entry: int = 0
    session: str = ""


class Used(Struct, frozen=True):
    """How often the line of an action with that fingerprint was seen, and when last."""

    action: str
    fingerprint: str
    count: int
    time: int


class Outcome(Struct, frozen=True):
    """What came of it. `events` = `tagged` + `in_session` + `matched` + `within` + bypasses + surplus: each event is in exactly one.

    `others` are events of other principals, `outside` those outside the period. `skew` is the target's clock minus ours in
    milliseconds, None where it could not be told. `used` is what was seen of actions whose time is not over, which the next run must know.
    `accounts` says what stands behind each event that is no bypass and no surplus, in the order of the log.
    """

    events: int
    others: int
    outside: int
    tagged: int
    in_session: int
    matched: int
    within: int
    bypasses: tuple[Bypass, ...]
    surplus: tuple[Surplus, ...]
    missing: tuple[Missing, ...]
    skew: int | None
    tagging: bool
    principals: tuple[str, ...]
    used: tuple[Used, ...]
    accounts: tuple[Account, ...] = ()

    @property
    def surpluses(self) -> int:
        """Executions more than were allowed."""
        return sum(one.count for one in self.surplus)

    @property
    def accounted(self) -> int:
        """Events with a matching action."""
        return self.tagged + self.in_session + self.matched

    @property
    def coverage(self) -> float | None:
        """The share of the agents' events that a matching action accounts for; None without events."""
        return self.accounted / self.events if self.events else None

    @property
    def drift(self) -> bool:
        """Whether something happened there that nobody was asked about, or the reverse."""
        return bool(self.bypasses or self.surplus or self.missing)


def compare(
    events: Iterable[Observed],
    expected: Sequence[Expected],
    spans: Mapping[str, Span],
    tags: Tags,
    frame: Frame,
    used: Sequence[Used] = (),
) -> Outcome:
    """What of *events* the actions *expected* in the sessions *spans* account for. *used*: what the run before saw last."""
    return _Comparison(expected, spans, tags, frame, used).outcome(events)


def last_moment(action: Expected) -> int:
    """Until when a line of it may come: its receipt, which a gate gives after the act."""
    if action.ended and not action.open:
        return action.ended
    return max(action.time, action.ended) + LATE_MS


def _quiet(said: str) -> bool:
    """Whether the log may leave it out."""
    return said.partition(":")[2].partition(" ")[0] in QUIET


class _Comparison:
    def __init__(
        self,
        expected: Sequence[Expected],
        spans: Mapping[str, Span],
        tags: Tags,
        frame: Frame,
        used: Sequence[Used],
    ) -> None:
        self.frame, self.tags, self.spans = frame, tags, spans
        self.actions = {one.id: one for one in expected}
        self.traces = {span.trace: span.id for span in spans.values() if span.trace}
        self.spent = Counter({(one.action, one.fingerprint): one.count for one in used})
        self.seen = {(one.action, one.fingerprint): one.time for one in used}
        self.touched = {one.action for one in used}
        self.saying: dict[tuple[str, str], list[Expected]] = defaultdict(list)
        self.unsaid: set[str] = set()
        self.running: dict[str, list[Expected]] = defaultdict(list)
        for action in expected:
            if not action.allowed:
                continue
            for said in set(action.statements):
                self.saying[action.session, said].append(action)
            if action.open:
                self.unsaid.add(action.session)
                self.running[action.account].append(action)
        self.bypasses: list[Bypass] = []
        self.accounts: list[Account] = []
        self.tagged = self.in_session = self.matched = self.within = 0
        self.skew: int | None = None

    def outcome(self, events: Iterable[Observed]) -> Outcome:
        frame = self.frame
        given = list(events)
        inside = sorted(
            (one for one in given if frame.since <= one.time < frame.until),
            key=lambda one: (one.time, one.index),
        )
        marked = [(one, self._id(one)) for one in inside if one.tag]
        good = [(one, id) for one, id in marked if id]
        agents = frozenset(frame.principals or {one.principal for one, _ in good})
        self.skew = self._skew_of_tags(good)
        for one, id in marked:
            why = self._wrong(one, id)
            if why:
                self.bypasses.append(Bypass("unknown_tag", why, one))
        bare = [one for one in inside if not one.tag]
        ours = [one for one in bare if one.principal in agents] if agents else bare
        tagging = frame.tagging == "required" or (frame.tagging == "auto" and bool(good))
        over: list[Surplus] = []
        if tagging:
            why = "no tag, under a credential of agents, on a target where they tag"
            self.bypasses += [Bypass("untagged", why, one) for one in ours]
        else:
            over = self._one_to_one(ours)
        self.bypasses.sort(key=lambda one: (one.event.time, one.event.index))
        self.accounts.sort(key=lambda one: (one.event.time, one.event.index))
        end = frame.until - (self.skew or 0) - frame.tolerance
        return Outcome(
            events=len(marked) + len(ours),
            others=len(bare) - len(ours),
            outside=len(given) - len(inside),
            tagged=self.tagged,
            in_session=self.in_session,
            matched=self.matched,
            within=self.within,
            bypasses=tuple(self.bypasses),
            surplus=tuple(over),
            missing=tuple(self._missing()),
            skew=self.skew,
            tagging=tagging,
            principals=tuple(sorted(agents)),
            used=tuple(
                Used(*key, self.spent[key], at)
                for key, at in sorted(self.seen.items())
                if key[0] in self.actions and last_moment(self.actions[key[0]]) >= end
            ),
            accounts=tuple(self.accounts),
        )

    # --- tags -------------------------------------------------------------------------------------

    def _id(self, one: Observed) -> str:
        """The action or session that the event's tag is of; empty when it is no tag of ours for this target."""
        if one.tag in self.traces:
            return self.traces[one.tag]
        checked = self.tags.checked(one.tag, self.frame.target)
        return checked.id if checked else ""

    def _skew_of_tags(self, good: Sequence[tuple[Observed, str]]) -> int | None:
        apart = [one.time - self.actions[id].time for one, id in good if id in self.actions]
        return median_low(apart) if apart else None

    def _wrong(self, one: Observed, id: str) -> str:
        """Why the tagged event is not accounted for; empty, and counted, when it is."""
        if not id:
            return "its tag was not made here for this target"
        if id.startswith("s_"):
            return self._wrong_session(one, id)
        action = self.actions.get(id)
        if action is None:
            return f"its tag names {id}, which is no action of that time"
        if not action.allowed:
            return f"its tag names {id}, which was never let go"
        if action.target not in (self.frame.target, "local"):
            return f"its tag names {id}, which is about {action.target}"
        if not self._says(one, action):
            return f"its tag is of {id}, which says something else"
        if self._used_up(one, action):
            return f"its tag, of {id}, was used before"
        if not self._in_time(one, action.time, last_moment(action)):
            return f"its tag is of {id}, long before or after that action"
        self._spend(action, one.fingerprint, one.time)
        self.accounts.append(Account("tagged", one, action.id, action.session))
        self.tagged += 1
        return ""

    def _spend(self, action: Expected, fingerprint: str, time: int) -> None:
        key = (action.id, fingerprint)
        self.spent[key] += 1
        self.seen[key] = time
        self.touched.add(action.id)

    def _used_up(self, one: Observed, action: Expected) -> bool:
        """Whether the action has had all its lines like this one: as many as it says, and one where it does not say."""
        if action.open or action.id not in self.touched:
            return False
        allowed = action.statements.count(one.fingerprint)
        known = self._speaks(action, one) and one.fingerprint
        return self.spent[action.id, one.fingerprint] >= allowed if known else True

    def _says(self, one: Observed, action: Expected) -> bool:
        if action.open or not one.fingerprint or not self._speaks(action, one):
            return True
        return one.fingerprint in action.statements

    def _speaks(self, action: Expected, one: Observed) -> bool:
        """Whether it is known what the action says in the event's language."""
        spoken = fingerprints.language(one.fingerprint)
        return any(fingerprints.language(said) == spoken for said in action.statements)

    def _in_time(self, one: Observed, first: int, last: int) -> bool:
        at, slack = one.time - (self.skew or 0), self.frame.tolerance if self.skew is not None else SKEW_MS
        return first - slack <= at <= last + slack

    def _wrong_session(self, one: Observed, id: str) -> str:
        span = self.spans.get(id)
        if span is None:
            return f"its tag names {id}, which is no session of that time"
        if not self._in_time(one, span.opened, span.closed + LATE_MS if span.closed else self.frame.until):
            return f"its tag is of {id}, outside that session's time"
        saying = self.saying[id, one.fingerprint]
        while saying and self._full(saying[0], one.fingerprint):
            saying.pop(0)
        place = next((action for action in saying if self._has_room(action, one)), None)
        if place is not None:
            self._spend(place, one.fingerprint, one.time)
        elif one.fingerprint and id not in self.unsaid:
            return f"its tag is of {id}, in which nobody was asked for it"
        self.accounts.append(Account("in_session", one, place.id if place is not None else "", id))
        self.in_session += 1
        return ""

    def _has_room(self, action: Expected, one: Observed) -> bool:
        """Whether *action* says this statement, in its time, oftener than it was seen."""
        if self._full(action, one.fingerprint):
            return False
        return self._in_time(one, action.time, last_moment(action))

    def _full(self, action: Expected, fingerprint: str) -> bool:
        return self.spent[action.id, fingerprint] >= action.statements.count(fingerprint)

    # --- one to one -----------------------------------------------------------------------------------

    def _one_to_one(self, events: Sequence[Observed]) -> list[Surplus]:
        theirs: dict[str, list[Observed]] = defaultdict(list)
        for one in events:
            theirs[one.fingerprint or f"operation:{one.operation}"].append(one)
        ours = self._open_places(theirs)
        if self.skew is None:
            self.skew = skew(
                {name: [one.time for one in said] for name, said in theirs.items()},
                {name: [at for at, _ in places] for name, places in ours.items()},
            )
        found: list[Surplus] = []
        shift, reach = self.skew or 0, self.frame.tolerance
        for name, said in theirs.items():
            places = ours.get(name, [])
            pairs = paired([one.time - shift for one in said], [at for at, _ in places], reach)
            self.matched += len(pairs)
            for event, place in pairs:
                action = self.actions[places[place][1]]
                self._spend(action, name, said[event].time)
                self.accounts.append(Account("matched", said[event], action.id, action.session))
            taken = {event for event, _ in pairs}
            left = [place for place in range(len(said)) if place not in taken]
            left = [place for place in left if not self._part_of_something(said[place])]
            found += surplus(name, said, left, reach)
        return sorted(found, key=lambda one: (one.earliest, one.fingerprint))

    def _open_places(self, theirs: Mapping[str, object]) -> dict[str, list[tuple[int, str]]]:
        """For each fingerprint, when it was allowed and by which action, as far as no tag used it."""
        places: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for action in self.actions.values():
            if not action.allowed or action.target not in (self.frame.target, "local"):
                continue
            spent = Counter({said: self.spent[action.id, said] for said in set(action.statements)})
            for said in action.statements:
                if spent[said] > 0:
                    spent[said] -= 1
                elif said in theirs:
                    places[said].append((action.time, action.id))
        for found in places.values():
            found.sort()
        return places

    def _part_of_something(self, one: Observed) -> bool:
        """Whether it is a program that started while one that was allowed and runs code did, under the same account.

        That is no match, and no bypass either: it is counted as `within`.
        """
        if fingerprints.language(one.fingerprint) not in ("command", "script"):
            return False
        at = one.time - (self.skew or 0)
        part = any(self._runs_at(action, at) for action in self.running[one.principal])
        if part:
            self.accounts.append(Account("within", one))
        self.within += part
        return part

    def _runs_at(self, action: Expected, at: int) -> bool:
        span = self.spans.get(action.session)
        end = action.ended or (span.closed if span and span.closed else self.frame.until)
        return action.time - self.frame.tolerance <= at <= end + self.frame.tolerance

    # --- the other direction ----------------------------------------------------------------------------

    def _missing(self) -> list[Missing]:
        """Actions about this target that leave a line of each statement, and left none."""
        frame, shift = self.frame, self.skew or 0
        found = []
        for action in self.actions.values():
            at = action.time + shift
            judged = frame.since + frame.tolerance <= at < frame.until - frame.tolerance
            if (
                not judged
                or not action.allowed
                or action.failed
                or action.open
                or action.target != frame.target
            ):
                continue
            for said in dict.fromkeys(action.statements):
                if (
                    fingerprints.language(said) in EXACT
                    and not self.spent[action.id, said]
                    and not _quiet(said)
                ):
                    found.append(Missing(action.id, said, action.time, action.entry, action.session))
        return sorted(found, key=lambda one: (one.time, one.action))


__all__ = [
    "LATE_MS", "TOLERANCE_MS", "Account", "Bypass", "Frame", "Missing", "Outcome", "Surplus", "Used", "compare", "paired", "skew",
]  # fmt: skip
