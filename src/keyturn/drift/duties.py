"""Separation of duties that erodes: who approves whom, and what agents do in spite of a no. Pure.

Rules kept here:

- People are counted, not channels: an approval is by one person, of a request by another.
- A pattern is told only where people could have done otherwise: with fewer than three who approve at all, two have nobody else.
- Concentration is the Herfindahl-Hirschman index of the approvers' shares: 1 when one approves everything, 1/n when n share evenly.
- That one person approves nearly everything in seconds is `approvals.vigilance`'s to tell; here it becomes a finding. One who never says
  no is told by odds: where others deny a share q, n approvals without a denial have probability (1 - q)^n.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque

from msgspec import Struct

from keyturn.actions import Effect, Reading
from keyturn.approvals.vigilance import Vigilance
from keyturn.drift.finding import Drift, Magnitude, Since
from keyturn.drift.targets import targets

DAYS_30_MS = 30 * 86_400_000
MOST = 5_000
"""Newest approvals that are looked at."""
FEWEST_APPROVERS = 3
ENOUGH_EACH, MUTUAL = 10, 0.8
"""How many one approved of the other, and which share of all that was approved for the other, each way."""
ENOUGH, CONCENTRATED = 50, 0.6
TOGETHER_MS = 1_000
"""Two people who press at the same second: one of them may have two windows."""
DENIED_ELSEWHERE, ODDS = 0.07, 1_000.0
"""Which share reviewers deny where nothing else is known (drift.md §2.1 D3), and from which odds on never denying is told."""


class Given(Struct, frozen=True):
    """One decision of *person* on what *requester* asked for (in whose name an agent did)."""

    person: str
    requester: str
    request: str
    channel: str
    time: int
    entry: int
    approves: bool = True


class Approvals:
    """Who approves whom, over the last thirty days."""

    def __init__(self) -> None:
        self._given: deque[Given] = deque(maxlen=MOST)
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._for: Counter[str] = Counter()
        self._by: Counter[str] = Counter()

    def given(self, one: Given) -> list[Drift]:
        """*one* was decided; what that shows."""
        if not one.approves:
            return []
        found = self._together(one)
        self._add(one)
        if len(self._by) >= FEWEST_APPROVERS:
            found += self._reciprocal(one)
            found += self._concentration(one)
        return found

    def _add(self, one: Given) -> None:
        while self._given and (self._given[0].time <= one.time - DAYS_30_MS or len(self._given) == MOST):
            self._count(self._given.popleft(), -1)
        self._given.append(one)
        self._count(one, 1)

    def _count(self, one: Given, by: int) -> None:
        for counter, key in ((self._by, one.person), (self._for, one.requester)):
            counter[key] += by
            if not counter[key]:
                del counter[key]
        self._pairs[one.person, one.requester] += by
        if not self._pairs[one.person, one.requester]:
            del self._pairs[one.person, one.requester]

    def _together(self, one: Given) -> list[Drift]:
        for before in reversed(self._given):
            if before.time < one.time - TOGETHER_MS:
                break
            if before.request == one.request and before.person != one.person:
                pair = tuple(sorted((one.person, before.person)))
                words = (
                    f"{pair[0]} and {pair[1]} approved the same request within {one.time - before.time} milliseconds"
                    f"{f', both over {one.channel}' if one.channel == before.channel else ''}: nobody reads that fast after the other."
                )
                return [
                    Drift(
                        "sod.together",
                        pair,
                        words,
                        {"people": list(pair), "request": one.request},
                        observed=f"{one.time - before.time} ms apart",
                        expected="two people who looked, one after the other",
                        since=Since(before.time, one.time),
                        magnitude=Magnitude(
                            one.time - before.time, TOGETHER_MS, "milliseconds between two approvals"
                        ),
                        entries=(before.entry, one.entry),
                    )
                ]
        return []

    def _reciprocal(self, one: Given) -> list[Drift]:
        a, b = one.person, one.requester
        there, back = self._pairs[a, b], self._pairs[b, a]
        if a == b or min(there, back) < ENOUGH_EACH:
            return []
        share = min(there / self._for[b], back / self._for[a])
        if share < MUTUAL:
            return []
        pair = tuple(sorted((a, b)))
        words = (
            f"{a} approved {there} of the {self._for[b]} requests that were approved for {b}, and {b} {back} of {self._for[a]} for {a}, "
            "in thirty days, though others could have."
        )
        entries = [g.entry for g in self._given if {g.person, g.requester} == {a, b}]
        return [
            Drift(
                "sod.reciprocal",
                pair,
                words,
                {"people": list(pair)},
                observed=f"{there} and {back} approvals for each other",
                expected="approvals that are spread over all who may give them",
                since=Since(self._given[0].time, one.time),
                magnitude=Magnitude(share, MUTUAL, "smaller share of each other's approvals"),
                entries=tuple(entries[-20:]),
            )
        ]

    def _concentration(self, one: Given) -> list[Drift]:
        total = sum(self._by.values())
        if total < ENOUGH:
            return []
        index = sum((count / total) ** 2 for count in self._by.values())
        top, most = max(self._by.items(), key=lambda item: (item[1], item[0]))
        if index <= CONCENTRATED:
            return []
        words = f"{top} gave {most} of the {total} approvals of the last thirty days; {len(self._by)} people give any."
        entries = [g.entry for g in self._given if g.person == top]
        return [
            Drift(
                "sod.concentration",
                (top,),
                words,
                {"person": top},
                observed=f"concentration {index:.2f}",
                expected=f"at most {CONCENTRATED:.2f} among {len(self._by)}",
                since=Since(self._given[0].time, one.time),
                magnitude=Magnitude(index, 1 / len(self._by), "Herfindahl-Hirschman index of approvers"),
                entries=tuple(entries[-20:]),
            )
        ]


def rubber_stamp(found: Vigilance, denied_elsewhere: float, entry: int, time: int) -> Drift | None:
    """Whether *found* is somebody who doesn't look: everything approved in seconds, or nothing ever denied."""
    never, odds = found.approved == found.decisions, 0.0
    if never and 0 < denied_elsewhere < 1:
        odds = math.exp(min(700.0, -found.approved * math.log1p(-denied_elsewhere)))
    if found.everything:
        words = f"{found.person}: {' '.join(found.words)}"
        observed = f"{found.approved} of {found.decisions} approved, half of them within {(found.median_ms or 0) / 1000:.1f} seconds"
    elif odds >= ODDS:
        words = (
            f"{found.person} approved all of the last {found.decisions}, where {denied_elsewhere:.0%} are denied by others: "
            f"odds of {odds:,.0f} to 1 against that."
        )
        observed = f"{found.approved} approvals, no denial"
    else:
        return None
    return Drift(
        "review.rubber_stamp",
        (found.person,),
        words,
        {"person": found.person},
        observed=observed,
        expected="decisions that were looked at, some of them no",
        since=Since(time, time),
        magnitude=Magnitude(
            found.approved / max(1, found.decisions), 1 - denied_elsewhere, "share approved", odds
        ),
        entries=(entry,),
    )


# --- after a no -------------------------------------------------------------------------------------------------

MOST_SESSIONS, MOST_DENIED = 2_000, 20
_CHANGES = ("writes", "deletes", "sends", "grants", "configures")


class Denied(Struct, frozen=True):
    """What was denied or refused: its digest, programs with their targets, and what it would have changed."""

    action: str
    digest: str
    did: frozenset[tuple[str, str]]
    touched: tuple[tuple[str, str], ...]
    entry: int
    sentence: str = ""


class Retries:
    """Variants, in the same session, of what was denied before."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[Denied]] = OrderedDict()

    def denied(self, session: str, one: Denied) -> None:
        """People, or policy, said no to *one*."""
        known = self._of.pop(session, deque(maxlen=MOST_DENIED))
        if all(one.digest != other.digest for other in known):
            known.append(one)
        self._of[session] = known
        while len(self._of) > MOST_SESSIONS:
            self._of.popitem(last=False)

    def watches(self, session: str) -> bool:
        """Whether anything was denied in *session*."""
        return session in self._of

    def closed(self, session: str) -> None:
        """Nothing more comes of it."""
        self._of.pop(session, None)

    def proposed(self, session: str, one: Denied, agent: str, time: int) -> list[Drift]:
        """An action was proposed in *session*: whether it is another way to what was denied."""
        for before in self._of.get(session, ()):
            if before.digest != one.digest and before.action != one.action and _variant(before, one):
                words = f"{agent} was told no to “{before.sentence}”, and asked for another form of it: “{one.sentence}”."
                return [
                    Drift(
                        "retry.variant",
                        (session, before.digest),
                        words,
                        {"agent": agent, "session": session, "action": one.action},
                        observed=one.sentence,
                        expected="what was denied is not asked for in other words",
                        since=Since(time, time),
                        magnitude=Magnitude(1, 0, "variants"),
                        entries=(before.entry, one.entry),
                    )
                ]
        return []


def denied_of(action: str, digest: str, reading: Reading, target: str, entry: int, sentence: str) -> Denied:
    """An action as retries compare it."""
    did = frozenset(
        (step.program, str(about))
        for step, about in zip(reading.steps, targets(reading, target), strict=True)
        if about is not None
    )
    touched = tuple((e.verb, e.what) for e in reading.effects if _names(e))
    return Denied(action, digest, did, touched, entry, sentence[:200])


def _names(effect: Effect) -> bool:
    return effect.verb in _CHANGES and effect.zone not in ("code", "unknown", "device", "network", "loopback")


def _variant(a: Denied, b: Denied) -> bool:
    if a.did & b.did:
        return True
    return any(verb == other and _overlap(x, y) for verb, x in a.touched for other, y in b.touched)


def _overlap(a: str, b: str) -> bool:
    """Whether one path is the other, or in it."""
    a, b = a.removesuffix("/*").rstrip("/"), b.removesuffix("/*").rstrip("/")
    return a == b or (bool(a) and b.startswith(f"{a}/")) or (bool(b) and a.startswith(f"{b}/"))


__all__ = ["Approvals", "Denied", "Given", "Retries", "denied_of", "rubber_stamp"]
