"""Approved changes of a configuration that nobody made: the window closed, and the first look after it shows none, or not all, of it
(taxonomy C5, *approved and never applied*). Pure.

Rules kept here:

- It is said once, by the first look after the window: later ones show nothing new about it.
- A field counts as made when any look accounted for it, or when it is as approved now. What was made and taken back between two looks
  was not seen.
- What the control plane writes by itself is not waited for.
- Without a look after the window nothing is said: nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable

from keyturn.drift.explaining import Approved, moment
from keyturn.drift.finding import Drift, Explanation, Magnitude, Since
from keyturn.drift.patches import OBJECT, Normal, Scalar, State, normalised, pairs, shown

MOST_SHOWN = 6


def unapplied(
    changes: Iterable[Approved], state: State, normal: Normal, looked: int, before: int, entry: int
) -> list[Drift]:
    """A finding for each of *changes* that was not made, as the look at *looked* shows: *state*. *before* is when the last look was.

    Times in milliseconds since 1970; *entry* is the look's.
    """
    return [
        found
        for change in changes
        if before <= change.closes < looked
        and (found := _finding(change, state, normal, looked, entry)) is not None
    ]


def _finding(change: Approved, state: State, normal: Normal, looked: int, entry: int) -> Drift | None:
    fields = pairs(normalised(change.patch, normal))
    missing = [one for one in fields if not change.used.get((one[0], one[1])) and not _stands(state, one)]
    if not missing:
        return None
    none = len(missing) == len(fields)
    what = "nothing of it" if none else f"{len(fields) - len(missing)} of its {len(fields)} fields"
    names = "; ".join(shown(one) for one in missing[:MOST_SHOWN])
    more = f" and {len(missing) - MOST_SHOWN} more" if len(missing) > MOST_SHOWN else ""
    return Drift(
        "configuration.not_applied",
        (change.target, change.id),
        f"A change of {change.target} was approved until {moment(change.closes)}, and {what} was seen to be made. Not seen: {names}{more}.",
        {"target": change.target, "object": missing[0][0]},
        observed=f"{len(fields) - len(missing)} of {len(fields)} fields",
        expected=f"what {change.id} approves, or nobody asks for it",
        since=Since(change.closes, looked),
        magnitude=Magnitude(float(len(missing)), 0.0, "approved fields that were not seen"),
        entries=(entry,),
        cause="It was forgotten, or failed, or was made elsewhere: what people believe to be there is not."
        if none
        else "It stopped half-way, or something else took a part of it back.",
        explanation=Explanation(searched=f"Every look at {change.target} up to {moment(looked)}."),
    )


def _stands(state: State, one: tuple[str, str, Scalar | None]) -> bool:
    name, field, value = one
    if field == OBJECT:
        return (name in state) == (value is not None)
    now = state.get(name, {}).get(field)
    return now == value and type(now) is type(value)


__all__ = ["unapplied"]
