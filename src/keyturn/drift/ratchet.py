"""The ratchet: many steps, each small beside the last one, together far from what was approved at first. Pure.

Rules kept here:

- Everything is measured against the *original*: what the agent changed when it was first seen, or the instructions that were first
  approved. A step is never measured against the last one: that is how twelve harmless edits take the last limit away unseen.
- A step is a new highest rank of what an agent changes (`surface`). Going back takes nothing away from it.
- An alarm needs two steps and a distance of `alarm`; from a distance of `block` on, after at least two steps, the next one isn't for
  people to approve one more time: policy has to say that this belongs to the agent's surface (`[ratchet] known`).
- One large step at once is no ratchet: whoever approves it sees it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from msgspec import Struct, convert, to_builtins

from keyturn.drift import instructions
from keyturn.drift.finding import MOST_ENTRIES, Drift, Magnitude, Since
from keyturn.drift.instructions import InstructionDelta
from keyturn.drift.lexicon import Lexicon
from keyturn.drift.surface import RANKS, Reach

STEPS = 2
"""Steps before anything is a ratchet."""
NAME = "ratchet"
"""Under which it is among the facts `broken`."""
LEAST_ORIGINAL = 1
"""Temporary files belong to everybody's work."""

Verdict = Literal["", "alarm", "block"]


class Step(Struct, frozen=True):
    """One rise: to which rank, by which path, in which entry and when (milliseconds since 1970)."""

    rank: int
    path: str
    entry: int
    time: int


class Ladder(Struct, frozen=True):
    """What one agent has climbed: `original` is the rank of what it changed first, `steps` are its rises since."""

    original: int
    began: int
    steps: tuple[Step, ...] = ()

    @property
    def top(self) -> int:
        """The highest so far."""
        return self.steps[-1].rank if self.steps else self.original

    @property
    def distance(self) -> int:
        """From the original to the top."""
        return self.top - self.original


def of_row(row: Mapping[str, Any] | None) -> Ladder | None:
    """The ladder of a row."""
    return None if row is None else convert(row, Ladder)


def as_row(ladder: Ladder) -> dict[str, Any]:
    """What is kept of it."""
    made: dict[str, Any] = to_builtins(ladder)
    return {**made, "steps": list(made["steps"])}


def climbed(ladder: Ladder | None, to: Reach, entry: int, time: int) -> Ladder | None:
    """The ladder after an action that changed *to*; None where that is no step."""
    if ladder is None:
        return Ladder(max(to.rank, LEAST_ORIGINAL), time)
    if to.rank <= ladder.top:
        return None
    return Ladder(ladder.original, ladder.began, (*ladder.steps, Step(to.rank, to.path, entry, time)))


def judged(ladder: Ladder | None, to: Reach | None, alarm: int, block: int) -> Verdict:
    """What the next action, which would change *to*, is."""
    if ladder is None or to is None or to.rank <= ladder.top:
        return ""
    distance, steps = to.rank - ladder.original, len(ladder.steps) + 1
    if block and len(ladder.steps) >= STEPS and distance >= block:
        return "block"
    return "alarm" if steps >= STEPS and distance >= alarm else ""


def words(ladder: Ladder, to: Reach) -> str:
    """What is said of the next step."""
    way = " → ".join([RANKS[ladder.original], *(one.path for one in ladder.steps), to.path])
    return (
        f"Step {len(ladder.steps) + 1} away from what it changed at first ({RANKS[ladder.original]}): now {RANKS[to.rank]}. Each step was "
        f"small, together they are: {way}. [ratchet]"
    )


def drift(agent: str, person: str, ladder: Ladder, session: str | None = None) -> Drift:
    """The finding about a ladder that went too far."""
    way = " → ".join(one.path for one in ladder.steps)
    name = f"{agent} of {person}" if person else agent
    return Drift(
        "ratchet.surface",
        (agent, person, str(ladder.top)),
        f"What {name} changes grew in {len(ladder.steps)} steps from {RANKS[ladder.original]} to {RANKS[ladder.top]}: {way}.",
        subject={
            "agent": agent,
            **({"person": person} if person else {}),
            **({"session": session} if session else {}),
        },
        observed=RANKS[ladder.top],
        expected=RANKS[ladder.original],
        since=Since(ladder.began, ladder.steps[0].time if ladder.steps else ladder.began),
        magnitude=Magnitude(ladder.top, ladder.original, "rank of 5"),
        entries=tuple(one.entry for one in ladder.steps)[-MOST_ENTRIES:],
        cause="Each step was let go by itself, and looks small beside the one before.",
    )


# --- the same for instructions -------------------------------------------------------------------


class Erosion(Struct, frozen=True):
    """A sequence of versions of instructions against the original one.

    `total` is what the newest lets the agent do beyond the original, `steps` the delta of each version beside its predecessor, `largest`
    the largest of them, `versions` how many there were.
    """

    total: InstructionDelta
    steps: tuple[float, ...]

    @property
    def versions(self) -> int:
        """How many came after the original."""
        return len(self.steps)

    @property
    def largest(self) -> float:
        """The largest single step."""
        return max(self.steps, default=0.0)


INSTRUCTIONS_ALARM = 3.0
"""A prohibition lost, or its like."""


def erosion(
    original: Mapping[str, str], versions: Sequence[Mapping[str, str]], lexicon: Lexicon | None = None
) -> Erosion:
    """*versions* in order (oldest first), each file name → text, against the *original* that people approved."""
    chain = [original, *versions]
    steps = tuple(instructions.delta(before, after, lexicon).expands for before, after in pairwise(chain))
    return Erosion(instructions.delta(original, chain[-1], lexicon), steps)


def instruction_drift(
    agent: str,
    found: Erosion,
    definition: str = "",
    baseline: str = "",
    entries: Sequence[int] = (),
    since: Since | None = None,
) -> Drift | None:
    """The finding about instructions that eroded; None below `INSTRUCTIONS_ALARM`."""
    total = found.total
    if total.expands < INSTRUCTIONS_ALARM:
        return None
    lost = [line for line in total.lines if line.delta > 0]
    shown = "; ".join(f"{line.why}: “{(line.before or line.after)[:120]}”" for line in lost[:3])
    return Drift(
        "ratchet.instructions",
        (agent, baseline),
        f"The instructions of {agent} let it do more than the ones approved at first, after {found.versions} versions: {shown}.",
        subject={"agent": agent, **({"definition": definition} if definition else {})},
        observed=f"{len(lost)} sentences let it do more (delta {total.delta:+.1f}); the largest single step was {found.largest:+.1f}",
        expected="the instructions that were approved at first",
        since=since,
        magnitude=Magnitude(total.expands, 0.0, "deontic delta"),
        entries=tuple(entries)[-MOST_ENTRIES:],
        cause="Versions were compared with the one before, if at all.",
    )
