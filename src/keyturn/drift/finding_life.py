"""The life of a finding: acknowledged, explained, accepted until a date, closed, and what brings it back. Pure.

Rules kept here:

- A finding is opened `open`, or `explained` where what was observed is proven to be an approved change's (grades PROVEN and
  VERSION-BOUND); everything else is explained by people. Time proximity alone explains nothing.
- Explaining, accepting and closing need another person: not the agent's owner, not whoever its sessions or actions ran for, not the
  author of the change that explains it. They are counted as humans, through the roster (NIST SP 800-53r5 AC-5, IA-2).
- Acknowledging says "I look after it" and changes nothing; anybody may. So may anybody bring one back: that only makes it stricter.
- What lets a finding rest has a reason, in words; accepting has an end, at most `MOST_ACCEPTED_MS` away, and is open again then.
- A closed finding stays closed: what is seen again is a new one.
- A person's explanation is of grade CANDIDATE, confirmed by that person: nobody makes it PROVEN by saying so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from keyturn.drift.finding import Grade
from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Roster

State = Literal["open", "acknowledged", "explained", "accepted", "closed"]
STATES: tuple[State, ...] = ("open", "acknowledged", "explained", "accepted", "closed")
UNRESOLVED: tuple[State, ...] = ("open", "acknowledged")
"""States in which a finding still asks something of people; policy's fact `findings` counts these."""

Verb = Literal["acknowledge", "explain", "accept", "close", "reopen"]
Outcome = Literal["fixed", "explained", "false-alarm"]
OUTCOMES: tuple[Outcome, ...] = ("fixed", "explained", "false-alarm")

SURE: tuple[Grade, ...] = ("PROVEN", "VERSION-BOUND")
"""Grades with which a finding is opened as explained."""

MOST_ACCEPTED_MS = 366 * 24 * 3600 * 1000
"""For how long a finding may be accepted at most: whoever wants it longer says so again in a year."""
MOST_REASON = 4_000
"""Characters of a reason."""

_FROM: dict[Verb, tuple[State, ...]] = {
    "acknowledge": ("open",),
    "explain": ("open", "acknowledged", "accepted"),
    "accept": ("open", "acknowledged", "accepted"),
    "close": ("open", "acknowledged", "explained", "accepted"),
    "reopen": ("acknowledged", "explained", "accepted"),
}
_TO: dict[Verb, State] = {
    "acknowledge": "acknowledged",
    "explain": "explained",
    "accept": "accepted",
    "close": "closed",
    "reopen": "open",
}
_NEEDS_ANOTHER: tuple[Verb, ...] = ("explain", "accept", "close")


class LifeRefused(KeyturnError):
    """A finding can't be changed like that."""

    code = "finding.refused"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "The finding is as it was."
    next_step = "`keyturn findings show` says in which state it is and what happened so far."


class NotInThisState(LifeRefused):
    """The finding is in a state in which that can't be done."""

    code = "finding.not_now"


class OwnFinding(LifeRefused):
    """Who wants to let the finding rest has a part in what it is about."""

    code = "finding.own"
    status = 403
    next_step = (
        "Ask somebody else to look at it: nobody explains, accepts or closes what their own agent did."
    )


class FindingUnexplained(LifeRefused):
    """No reason was given."""

    code = "finding.reason_missing"
    status = 422
    exit_code = ExitCode.USAGE
    next_step = "Say why, in your own words: whoever audits this reads it."


class ReasonOfFindingTooLong(LifeRefused):
    """The reason is longer than is kept."""

    code = "finding.reason_too_long"
    status = 413
    exit_code = ExitCode.USAGE
    next_step = "Shorten the reason; link to longer explanations."


class UntilWrong(LifeRefused):
    """A finding is accepted until a time that is to come, at most a year away."""

    code = "finding.until"
    status = 422
    exit_code = ExitCode.USAGE
    next_step = "Name a time within a year from now."


class NoChangeExplains(LifeRefused):
    """It is to be closed as explained by an approved change, and none is named."""

    code = "finding.no_change"
    exit_code = ExitCode.USAGE
    status = 422
    next_step = "Explain it first and name the approved change, or close it as fixed or as a false alarm."


class Life(Struct, frozen=True):
    """Where it stands. `until`: when an acceptance ends (milliseconds since 1970), `change`: the approved change that explains it."""

    state: State = "open"
    until: int | None = None
    change: str = ""


class Involved(Struct, frozen=True):
    """Who has a part in what a finding is about: ids of people, and operating-system accounts."""

    people: tuple[str, ...] = ()
    uids: tuple[int, ...] = ()

    def humans(self, roster: Roster) -> frozenset[str]:
        """The humans behind them, as *roster* counts people."""
        owners = {human for uid in self.uids for human in roster.humans_of_uid(uid)}
        return frozenset(owners | {roster.human(person) for person in self.people})

    def includes(self, person: str, roster: Roster) -> bool:
        """Whether *person* is one of them, under whichever of their records."""
        return roster.human(person) in self.humans(roster)

    def and_others(self, people: Iterable[str]) -> Involved:
        """Together with *people*."""
        return replace(self, people=tuple(sorted({*self.people, *people})))


class Move(Struct, frozen=True):
    """What a person wants to do. `until` belongs to accept, `outcome` to close, `change` to explain and close."""

    verb: Verb
    by: str
    reason: str = ""
    until: int | None = None
    change: str = ""
    outcome: Outcome = "fixed"


def first_state(grade: Grade) -> State:
    """In which state a finding with that explanation is opened."""
    return "explained" if grade in SURE else "open"


def step(life: Life, move: Move, involved: Involved, roster: Roster, now_ms: int) -> Life | LifeRefused:
    """The finding after *move*, or why it is not allowed."""
    if life.state not in _FROM[move.verb]:
        return NotInThisState(f"The finding is {life.state}, so nobody can {move.verb} it.")
    if move.verb in _NEEDS_ANOTHER and involved.includes(move.by, roster):
        return OwnFinding(
            f"{move.by} has a part in what this finding is about, so somebody else has to {move.verb} it."
        )
    refused = _words(move)
    if refused is not None:
        return refused
    change = move.change or life.change
    if move.verb == "accept":
        if move.until is None or not now_ms < move.until <= now_ms + MOST_ACCEPTED_MS:
            return UntilWrong("That is no time to come within a year.")
        return Life("accepted", move.until, life.change)
    if move.verb == "close" and move.outcome == "explained" and not change:
        return NoChangeExplains("No approved change explains it.")
    if move.verb == "reopen":
        return Life("open", None, life.change)
    return Life(_TO[move.verb], None, change)


def _words(move: Move) -> LifeRefused | None:
    if len(move.reason) > MOST_REASON:
        return ReasonOfFindingTooLong(f"A reason has at most {MOST_REASON:,} characters.")
    if move.verb != "acknowledge" and not move.reason.strip():
        return FindingUnexplained(f"To {move.verb} a finding needs a reason.")
    return None


def lapsed(life: Life, now_ms: int) -> bool:
    """Whether its acceptance has ended."""
    return life.state == "accepted" and life.until is not None and life.until <= now_ms


__all__ = [
    "MOST_ACCEPTED_MS", "MOST_REASON", "OUTCOMES", "STATES", "SURE", "UNRESOLVED", "Involved", "Life", "LifeRefused", "Move", "Outcome",
    "State", "Verb", "first_state", "lapsed", "step",
]  # fmt: skip
