"""Which approved change explains what was observed: by content, never by time alone (promise of design §1: *change*).

Rules kept here:

- PROVEN: every field that was observed (normalised) is in an approved patch for that target with that value, in its window, and
  that field of that change was not used up before. Several approved changes may cover one observation together.
- Lineage first: where the observation carries the tag of a change, that change has to cover it; another one does not step in.
- VERSION-BOUND: for behaviour, not content: it occurs only under one version, which an approved change brought, and the effects that
  the change declared cover it.
- CANDIDATE: a change of the same target and object is near in content, in time or by its tag, but something differs; the residual
  says what. A person has to say that it is the cause.
- NONE: says what was searched. Time proximity alone is NONE: it "explains" whatever happens beside something else.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from keyturn.drift.finding import Explanation, Grade
from keyturn.drift.patches import PLAIN, Normal, Patch, Scalar, holds, normalised, pairs, shown

Wanted = tuple[str, str, Scalar | None]
"""Object, field, and the value that it was seen to have; None where it is gone."""

MOST_RESIDUAL = 12
"""Fields that an explanation names; further ones are counted."""


class Approved(Struct, frozen=True):
    """An approved change with its content: `patch` for `target`, good from `opens` to `closes` (milliseconds since 1970), `max_uses` times.

    `tag` is what an execution carries that comes from it (its id, where empty). `used` are (object, field) → how often seen.
    `effects` are what it declares that agents will do more (`writes:production`, globs), `versions` (before, after) that it brings.
    """

    id: str
    target: str
    patch: Patch = {}
    opens: int = 0
    closes: int = 2**53
    max_uses: int = 1
    tag: str = ""
    actor: str = ""
    approvers: tuple[str, ...] = ()
    reason: str = ""
    time: int = 0
    used: Mapping[tuple[str, str], int] = {}
    effects: tuple[str, ...] = ()
    versions: tuple[str, str] = ("", "")


class Observed(Struct, frozen=True):
    """What was seen: `patch` of `target`, at `time` at the latest and after `since`; `tag` of the change that it says to come from."""

    target: str
    patch: Patch
    time: int
    since: int = 0
    tag: str = ""


class Linked(Struct, frozen=True):
    """The explanation, and for each change that covers a part of it the (object, field)s that it accounts for."""

    explanation: Explanation
    used: Mapping[str, tuple[tuple[str, str], ...]] = {}


def explain(observed: Observed, changes: Sequence[Approved], normal: Normal = PLAIN) -> Linked:
    """The approved change that *observed* comes from, if any. *changes* are those known for any target; order does not matter."""
    wanted = pairs(normalised(observed.patch, normal))
    ours = [one for one in changes if one.target == observed.target]
    if not wanted:
        return Linked(
            Explanation(
                "PROVEN", reason="", outcome="Only what the control plane writes by itself has changed."
            )
        )
    tagged = [one for one in ours if observed.tag and observed.tag in (one.tag, one.id)]
    looked_at = tagged or ours
    left, used = list(wanted), {}
    for change in sorted(looked_at, key=lambda one: (-_share(one, wanted, normal), one.time, one.id)):
        if not _in_window(change, observed):
            continue
        free = {
            pair for pair in left if _free(change, pair) and holds(normalised(change.patch, normal), pair)
        }
        if free:
            used[change.id] = tuple((name, field) for name, field, _ in sorted(free, key=str))
            left = [pair for pair in left if pair not in free]
        if not left:
            break
    covering = [one for one in looked_at if one.id in used]
    if not left:
        return Linked(_of(covering[0], "PROVEN", (), _outcome(covering, used, normal)), used)
    nearest = _nearest(observed, looked_at, wanted, normal)
    if nearest is None:
        return Linked(Explanation("NONE", searched=_searched(observed, changes)))
    residual = _residual(nearest, observed, left if nearest.id in used else wanted, normal)
    partly = {nearest.id: used[nearest.id]} if nearest.id in used else {}
    return Linked(_of(nearest, "CANDIDATE", residual, "It does not cover everything that was seen."), partly)


def _share(change: Approved, wanted: Iterable[Wanted], normal: Normal) -> int:
    patch = normalised(change.patch, normal)
    return sum(holds(patch, one) for one in wanted)


def _in_window(change: Approved, observed: Observed) -> bool:
    """Whether it can have happened in the window: some moment between the last look and this one lies in it.

    Who looks only now and then can't tell a late change from one in time, unless the window was over at the look before.
    """
    return change.opens <= observed.time and max(observed.since, change.opens) <= change.closes


def _free(change: Approved, pair: Wanted) -> bool:
    return change.used.get((pair[0], pair[1]), 0) < change.max_uses


def _nearest(
    observed: Observed, changes: Sequence[Approved], wanted: Sequence[Wanted], normal: Normal
) -> Approved | None:
    """The change that a person should look at: by tag, then by content, then by object within its window."""
    objects = {name for name, _, _ in wanted}

    def near(change: Approved) -> tuple[int, int, int]:
        by_tag = int(bool(observed.tag) and observed.tag in (change.tag, change.id))
        same_object = bool(objects & set(change.patch)) and _in_window(change, observed)
        return by_tag, _share(change, wanted, normal), int(same_object)

    found = [(near(change), -change.time, change) for change in changes]
    best = max(found, key=lambda item: (item[0], item[1]), default=None)
    return best[2] if best is not None and any(best[0]) else None


def _residual(
    change: Approved, observed: Observed, wanted: Sequence[Wanted], normal: Normal
) -> tuple[str, ...]:
    """What keeps *change* from explaining it."""
    patch = normalised(change.patch, normal)
    said = []
    if observed.time < change.opens:
        said.append(f"its window opens only at {moment(change.opens)}")
    elif not _in_window(change, observed):
        said.append(f"its window closed at {moment(change.closes)}")
    for one in wanted:
        if not holds(patch, one):
            allowed = patch.get(one[0], {})
            approved = f" (approved: {shown((one[0], one[1], allowed[one[1]]))})" if one[1] in allowed else ""
            said.append(f"not approved: {shown(one)}{approved}")
        elif not _free(change, one):
            said.append(f"used before: {shown(one)}")
    more = len(said) - MOST_RESIDUAL
    return (*said[:MOST_RESIDUAL], *([f"and {more} more"] if more > 0 else []))


def _outcome(
    covering: Sequence[Approved], used: Mapping[str, Sequence[tuple[str, str]]], normal: Normal
) -> str:
    change = covering[0]
    whole = len(pairs(normalised(change.patch, normal)))
    seen = len(used[change.id])
    done = (
        "Everything that was approved was seen."
        if seen >= whole
        else f"{seen} of {whole} approved fields were seen."
    )
    others = ", ".join(one.id for one in covering[1:])
    return f"{done} The rest comes from {others}." if others else done


def _of(change: Approved, grade: Grade, residual: tuple[str, ...], outcome: str) -> Explanation:
    return Explanation(
        grade,
        change=change.id,
        actor=change.actor,
        approvers=change.approvers,
        reason=change.reason,
        time=change.time,
        outcome=outcome,
        residual=residual,
    )


def _searched(observed: Observed, changes: Sequence[Approved]) -> str:
    ours = [one for one in changes if one.target == observed.target]
    times = sorted(one.time for one in ours)
    span = f" from {moment(times[0])} to {moment(times[-1])}" if times else ""
    tag = f"; no change has the tag {observed.tag!r}" if observed.tag else ""
    return (
        f"Searched {len(ours)} approved changes of {observed.target}{span} (of {len(changes)} in all): none sets any of these fields to "
        f"these values, and none concerns these objects{tag}."
    )


def moment(time: int) -> str:
    """*time* (milliseconds since 1970) in words."""
    if time >= 2**53 - 1:
        return "no time"
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


# --- behaviour and actions -----------------------------------------------------------------------


def explain_behaviour(
    categories: Sequence[str],
    seen: Mapping[str, tuple[int, int]],
    changes: Sequence[Approved],
    expected: float = 0.0,
) -> Explanation:
    """Drift of behaviour in *categories* (`writes:production`): *seen* is version → (actions of them, actions in all).

    VERSION-BOUND if it occurs under one version only and is no more than *expected* (a share) under the others, an approved change
    brought that version, and its declared effects cover every category. The most that behaviour can have: it proves no intent.
    """
    under = [version for version, (some, whole) in seen.items() if whole and some / whole > expected]
    free = [version for version, (some, whole) in seen.items() if whole and some / whole <= expected]
    searched = (
        f"Searched {len(changes)} approved changes for one that brought the version under which this occurs and declared "
        f"{', '.join(categories)}: none."
    )
    if len(under) != 1:
        where = "under no version alone" if not under else f"under {len(under)} versions"
        return Explanation("NONE", searched=f"{searched} It occurs {where}.")
    brought = [one for one in changes if one.versions[1] == under[0]]
    for change in brought:
        missing = [
            name
            for name in categories
            if not any(fnmatch.fnmatchcase(name, effect) for effect in change.effects)
        ]
        if not missing and change.versions[0] in free:
            return _of(
                change,
                "VERSION-BOUND",
                (),
                f"It occurs only under {under[0][:19]}, never under {change.versions[0][:19]}; declared: {', '.join(change.effects)}.",
            )
        if not missing:
            return _of(
                change,
                "CANDIDATE",
                (f"nothing is known of {change.versions[0][:19] or 'the version before'}",),
                "",
            )
        return _of(change, "CANDIDATE", tuple(f"it did not declare {name}" for name in missing), "")
    return Explanation("NONE", searched=searched)


class Lineage(Struct, frozen=True):
    """Where one executed action comes from, as the log has it. Digests are `sha256:<hex>`; what there is none of is empty.

    `decided` is the digest that was decided on, `ran` the one that the gate reports; `by` one of rule, approval, grant, plan, glass.
    """

    action: str
    decided: str
    ran: str
    verdict: str
    by: str = ""
    reference: str = ""
    actor: str = ""
    approvers: tuple[str, ...] = ()
    reason: str = ""
    time: int = 0
    permits: int = 1
    outcome: str = ""


def explain_action(lineage: Lineage) -> Explanation:
    """What allowed an action that ran: its rule, approval, grant or plan, over exactly these bytes and one permit."""
    residual = []
    if not lineage.decided:
        return Explanation("NONE", searched=f"The log has no decision on {lineage.action}.")
    if lineage.ran and lineage.ran != lineage.decided:
        residual.append(f"what ran is {lineage.ran[:19]}, what was decided on {lineage.decided[:19]}")
    if lineage.permits != 1:
        residual.append(
            "no permit was used" if not lineage.permits else f"{lineage.permits} permits were used"
        )
    if lineage.verdict == "refuse" or not lineage.by:
        residual.append(f"the decision was {lineage.verdict}, and nothing released it")
    allowed = Approved(
        id=lineage.reference,
        target="",
        actor=lineage.actor,
        approvers=lineage.approvers,
        reason=lineage.reason,
        time=lineage.time,
    )
    if residual:
        return _of(allowed, "CANDIDATE" if lineage.by else "NONE", tuple(residual), lineage.outcome)
    return _of(allowed, "PROVEN", (), lineage.outcome)
