"""Attribution that erodes: accounts that stand for many, instructions that feed many, reasons that are boilerplate. Pure.

Each detector keeps a day of what it saw, for a bounded number of subjects; the longest unseen goes first. Rules kept here:

- A *credential* is what a session was opened with; where there is none, the account of the operating system at its gate.
- Counted are different agents (by name and definition) and different people, not sessions: one agent with many sessions is one.
- Two reasons read alike where their sets of four-word shingles do (A. Broder, *On the resemblance and containment of documents*, 1997):
  eight minima under eight keyed hashes stand for a set, and two bands of four find it again. Four of five words alike is nearly
  always found, half of them in one of ten cases.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from hashlib import blake2b
from time import gmtime, strftime

from msgspec import Struct

from keyturn.drift.finding import Drift, Magnitude, Since

DAY_MS = 86_400_000
MOST_SUBJECTS = 10_000
"""Credentials, instructions or agents that are remembered at once."""
MOST_MEMBERS = 500
"""Different ones that are remembered of each: more than any limit is too many anyway."""
REASONS, ENOUGH_REASONS, ENOUGH_SESSIONS = 200, 30, 5
"""Newest reasons of an agent that are compared, and from how many, in how many sessions, a share can be told."""

_Seen = dict[str, tuple[int, int]]
"""Name → (time, entry) when it was seen last."""


class Members:
    """Different members of each subject within a day."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, _Seen] = OrderedDict()

    def add(self, subject: str, member: str, time: int, entry: int) -> _Seen:
        """All members of *subject* in the day that ends with this one."""
        seen = {name: at for name, at in self._of.pop(subject, {}).items() if at[0] > time - DAY_MS}
        seen.pop(member, None)
        seen[member] = (time, entry)
        while len(seen) > MOST_MEMBERS:
            seen.pop(next(iter(seen)))
        self._of[subject] = seen
        while len(self._of) > MOST_SUBJECTS:
            self._of.popitem(last=False)
        return seen


class Collapse:
    """Several agents, or people, behind one credential or account."""

    def __init__(self) -> None:
        self._agents, self._people = Members(), Members()

    def opened(
        self, account: str, agent: str, person: str, time: int, entry: int, agents: int, people: int
    ) -> list[Drift]:
        """A session was opened with *account*. *agents* and *people*: how many policy lets it stand for, 0 for any number."""
        found = []
        seen = self._agents.add(account, agent, time, entry)
        if agents and len(seen) > agents:
            found.append(_collapsed(account, "agent", "agents", seen, agents))
        if person:
            seen = self._people.add(account, person, time, entry)
            if people and len(seen) > people:
                found.append(_collapsed(account, "person", "people", seen, people))
        return found


def _collapsed(account: str, one: str, many: str, seen: _Seen, most: int) -> Drift:
    names = sorted(seen)
    times = [at for at, _ in seen.values()]
    words = (
        f"{len(names)} {many} used {account} within a day, where policy lets it stand for {most}: "
        f"{_listed(names)}. What one of them did can't be told from the account alone."
    )
    return Drift(
        "attribution.collapsed",
        (account, one),
        words,
        {"credential": account, many: names[:20]},
        observed=f"{len(names)} {many}",
        expected=f"at most {most}",
        since=Since(min(times), min(times)),
        magnitude=Magnitude(len(names), most, f"{many} behind one account a day"),
        entries=tuple(sorted(entry for _, entry in seen.values()))[-20:],
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown


class Spread:
    """One and the same instruction in many sessions."""

    def __init__(self) -> None:
        self._sessions = Members()

    def instructed(self, digest: str, session: str, time: int, entry: int, most: int) -> list[Drift]:
        """*session* got the instruction with *digest*; *most*: how many a day may, 0 for any number."""
        seen = self._sessions.add(digest, session, time, entry)
        if not most or len(seen) <= most:
            return []
        times = [at for at, _ in seen.values()]
        words = f"One instruction, word for word, opened {len(seen)} sessions within a day: nobody decided on each of them."
        return [
            Drift(
                "attribution.spread",
                (digest,),
                words,
                {"object": digest, "sessions": sorted(seen)[:20]},
                observed=f"{len(seen)} sessions",
                expected=f"at most {most}",
                since=Since(min(times), min(times)),
                magnitude=Magnitude(len(seen), most, "sessions of one instruction a day"),
                entries=tuple(sorted(index for _, index in seen.values()))[-20:],
            )
        ]


# --- reasons that read alike ------------------------------------------------------------------------------------

_WORD = re.compile(r"\w+")
_SHINGLE, _HASHES, _BAND = 4, 8, 4
Sketch = tuple[int, ...]


def sketch(text: str) -> Sketch:
    """Eight numbers that two texts share more of, the more of their shingles they share. Numbers in it don't count."""
    words = ["0" if word.isdigit() else word for word in _WORD.findall(text.lower()[:4000])]
    grams = {" ".join(words[at : at + _SHINGLE]) for at in range(max(1, len(words) - _SHINGLE + 1))}
    digests = [blake2b(gram.encode("utf-8", "replace"), digest_size=8 * _HASHES).digest() for gram in grams]
    return tuple(
        min(int.from_bytes(digest[8 * at : 8 * at + 8]) for digest in digests) for at in range(_HASHES)
    )


def bands(of: Sketch) -> tuple[Sketch, ...]:
    """The parts of a sketch of which one has to be the same."""
    return tuple(of[at : at + _BAND] for at in range(0, _HASHES, _BAND))


class _Reason(Struct, frozen=True):
    bands: tuple[Sketch, ...]
    session: str
    alike: bool
    entry: int


class Boilerplate:
    """The share of an agent's reasons that read like one of another session."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, deque[_Reason]] = OrderedDict()

    def reasoned(
        self, agent: str, session: str, text: str, time: int, entry: int, most: float
    ) -> list[Drift]:
        """*agent* gave the reason *text*; *most*: which share may read alike, 0 for any."""
        reasons = self._of.pop(agent, deque(maxlen=REASONS))
        self._of[agent] = reasons
        while len(self._of) > MOST_SUBJECTS:
            self._of.popitem(last=False)
        own = bands(sketch(text))
        alike = any(one.session != session and not set(own).isdisjoint(one.bands) for one in reasons)
        reasons.append(_Reason(own, session, alike, entry))
        if (
            not most
            or len(reasons) < ENOUGH_REASONS
            or len({one.session for one in reasons}) < ENOUGH_SESSIONS
        ):
            return []
        share = sum(one.alike for one in reasons) / len(reasons)
        if share <= most:
            return []
        words = (
            f"{share:.0%} of the last {len(reasons)} reasons of {agent} read like those of other sessions: "
            "they say nothing about what it was about to do."
        )
        return [
            Drift(
                "attribution.boilerplate",
                (agent,),
                words,
                {"agent": agent},
                observed=f"{share:.0%} of its reasons read alike",
                expected=f"at most {most:.0%}",
                since=Since(time - DAY_MS, time),
                magnitude=Magnitude(share, most, "share of reasons that read alike"),
                entries=tuple(one.entry for one in reasons if one.alike)[-20:],
            )
        ]


def missing(
    agent: str, parts: tuple[str, ...], action: str, session: str, time: int, entry: int
) -> list[Drift]:
    """An action of *agent* lacked *parts* that policy asks for: one finding for each, while it is open."""
    return [
        Drift(
            "attribution.missing",
            (agent, part),
            f"An action of {agent} came without {_article(part)}, which policy asks for.",
            {"agent": agent, "action": action, "session": session},
            observed=f"no {part}",
            expected=f"{_article(part)} behind every action",
            since=Since(time, time),
            magnitude=Magnitude(1, 0, "actions"),
            entries=(entry,),
        )
        for part in parts
    ]


def absence(kind: str, until: int) -> str:
    """Why nobody is behind a name, as a sentence goes on: *kind* is `away` until *until* (milliseconds), or `shared`."""
    if kind == "away":
        return f"is on leave until {strftime('%Y-%m-%d %H:%M UTC', gmtime(until / 1000))}"
    return "is a name that several people use"


def nobody(person: str, why: str, agent: str, session: str, time: int, entry: int, of: str = "") -> Drift:
    """An action in the name of somebody who is no living person here. *of*: an absence (`away`, `shared`), a finding of its own."""
    return Drift(
        "attribution.nobody",
        (person, of) if of else (person,),
        f"{agent} acts for {person}, who {why}: nobody answers for what it does.",
        {"agent": agent, "person": person, "session": session},
        observed=f"{person} {why}",
        expected="a person on the roster, in a group, who is there",
        since=Since(time, time),
        entries=(entry,),
    )


def decided_absent(person: str, kind: str, until: int, request: str, time: int, entry: int) -> Drift:
    """A decision in the name of somebody who is on leave, or of a name that several people use."""
    why = absence(kind, until)
    return Drift(
        "sod.absent",
        (person, kind, str(until)),
        f"{person}, who {why}, approved a request: it is not said which person looked at it.",
        {"person": person, "request": request},
        observed=f"an approval of {person}, who {why}",
        expected="a decision of a person who is there; a colleague stands in by delegation",
        since=Since(time, time),
        entries=(entry,),
        cause="Somebody else has their token or session, they work on leave, or the name is nobody's own.",
    )


def _article(part: str) -> str:
    return f"{'an' if part[0] in 'aeiou' else 'a'} {part}"


__all__ = [
    "Boilerplate", "Collapse", "Members", "Spread", "absence", "bands", "decided_absent", "missing", "nobody", "sketch",
]  # fmt: skip
