"""Two people from one place: who asked and who approved, or two who approved one request (taxonomy F3). Pure.

Rules kept here:

- This is evidence and no proof, so it blocks nothing: two people may share a desk, an office's address, a terminal server. A finding
  says how strong it is. *Strong*: one browser was signed in as both. *Fair*: one account of the operating system on one machine.
  *Weak*: one network address.
- Only the strongest kind is told of a pair. Browsers and addresses are keyed digests: equal ones are known again, none can be read.
- An account tells only of somebody who has one of their own on the roster, and came from another's: where nobody said whose accounts are
  whose, all may share one. What came through a relay says nothing about an account: it is the relay's.
- A place counts for `DAYS_MS` after somebody was last seen there.

Source: NIST SP 800-53r5 AC-5 (separation of duties), AU-10 (non-repudiation), IA-3 (device identification).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from keyturn.drift.finding import Drift, Magnitude, Severity, Since

Kind = Literal["device", "account", "address"]
KINDS: tuple[Kind, ...] = ("device", "account", "address")
"""Strongest first."""
GRADES: dict[Kind, tuple[str, Severity]] = {
    "device": ("strong", "high"),
    "account": ("fair", "medium"),
    "address": ("weak", "low"),
}
WORDS: dict[Kind, str] = {
    "device": "the same browser",
    "account": "the same account of the operating system on one machine",
    "address": "the same network address",
}
DAYS_MS = 30 * 86_400_000
MOST = 10
"""Places of each kind that are remembered of one person, the newest."""

Places = Mapping[str, Mapping[str, int]]
"""Kind → place → when somebody was last seen there (milliseconds since 1970)."""


class Party(Struct, frozen=True):
    """One of the two: who, what they did (`asked`, `approved`), where they were seen, and the entry that says so."""

    person: str
    did: str
    places: Places
    entry: int
    time: int


def seen(places: Places, now: Mapping[str, Any], time: int) -> dict[str, dict[str, int]]:
    """*places* of a person who is at *now* (kind → place) at *time*."""
    found: dict[str, dict[str, int]] = {kind: dict(places.get(kind, {})) for kind in KINDS}
    for kind in KINDS:
        if isinstance(now.get(kind), str) and now[kind]:
            found[kind][now[kind]] = time
        newest = sorted(found[kind].items(), key=lambda one: (-one[1], one[0]))[:MOST]
        found[kind] = dict(sorted(newest))
    return {kind: there for kind, there in found.items() if there}


def shared(one: Places, other: Places, now: int) -> Kind | None:
    """The strongest kind of place in which both were seen within the last thirty days of *now*."""
    for kind in KINDS:
        mine = {place for place, time in one.get(kind, {}).items() if time > now - DAYS_MS}
        theirs = {place for place, time in other.get(kind, {}).items() if time > now - DAYS_MS}
        if mine & theirs:
            return kind
    return None


def drifts(approver: Party, others: Iterable[Party], request: str) -> list[Drift]:
    """The findings that *approver*'s decision on *request* shows, with those who asked for it or approved it before."""
    found = []
    for other in others:
        kind = shared(approver.places, other.places, approver.time)
        if kind is not None and other.person != approver.person:
            found.append(_drift(approver, other, kind, request))
    return found


def _drift(approver: Party, other: Party, kind: Kind, request: str) -> Drift:
    pair = tuple(sorted((approver.person, other.person)))
    grade, severity = GRADES[kind]
    words = (
        f"{approver.person} approved what {other.person} {other.did}, from {WORDS[kind]}. "
        f"That is {grade} evidence that they are one person, or that one of them has what is the other's."
    )
    return Drift(
        "sod.same_place",
        (*pair, kind),
        words,
        {"people": list(pair), "person": approver.person, "request": request, "evidence": grade},
        observed=f"both from {WORDS[kind]}: {grade} evidence",
        expected="two people, each from a place of their own",
        since=Since(other.time, approver.time),
        magnitude=Magnitude(len(KINDS) - KINDS.index(kind), 0, "strength of evidence, 1 to 3"),
        entries=tuple(sorted({one for one in (other.entry, approver.entry) if one >= 0})),
        cause="They sit at one machine, use one sign-in, or are one person.",
        severity=severity,
    )


__all__ = ["DAYS_MS", "KINDS", "Party", "Places", "drifts", "seen", "shared"]
