"""`[freeze.NAME]`: a time in which nothing changes, whatever the rules say.

    [freeze.year-end]
    from = 2026-12-23T18:00:00+01:00
    until = 2027-01-02T08:00:00+01:00
    decision = "refuse"                  # or "hold": people decide, `approve` among them
    because = "the accounts are closed"
    labels = ["production"]              # only what touches these; everything without `labels` and `targets`
    targets = ["db-1"]
    except_groups = ["incident"]         # people whose agents it does not stop

Rules kept here:

- It begins with `from` and has ended with `until`.
- It covers what does one of `verbs` (all but `reads`, unless it says otherwise) to something with one of `labels` or at one of
  `targets`; effects with one of `except_labels` don't count.
- What was not understood completely is covered: nobody knows that it does none of that.
- It only makes decisions stricter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from keyturn.actions import Effect, Reading, Verb
from keyturn.policy import obligations
from keyturn.policy.decision import Decision, Facts, Obligations
from keyturn.policy.problems import nearest
from keyturn.policy.requirements.part import Part
from keyturn.policy.requirements.windows import shown

VERBS: tuple[str, ...] = get_args(Verb)
CHANGES = tuple(verb for verb in VERBS if verb != "reads")
"""What a freeze stops unless it says otherwise."""


class Freeze(Struct, frozen=True):
    """One freeze; instants are milliseconds since 1970. `approve` is who decides where it holds, empty: the default."""

    name: str
    begins: int
    ends: int
    decision: Literal["hold", "refuse"] = "refuse"
    because: str = ""
    approve: str = ""
    labels: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    verbs: tuple[str, ...] = CHANGES
    except_groups: tuple[str, ...] = ()
    except_labels: tuple[str, ...] = ()
    zone: tzinfo = UTC

    def in_force(self, at_ms: int) -> bool:
        """Whether it is on at *at_ms*."""
        return self.begins <= at_ms < self.ends

    def covers(self, reading: Reading, facts: Facts) -> bool:
        """Whether it is about an action with this *reading*."""
        if set(self.except_groups).intersection(facts.human_groups):
            return False
        understood = reading.complete and not reading.unread and all(s.complete for s in reading.steps)
        if not understood or not reading.steps:
            return True
        return any(self._stops(effect, facts.target) for effect in reading.effects)

    def _stops(self, effect: Effect, target: str) -> bool:
        if effect.verb not in self.verbs or set(self.except_labels).intersection(effect.labels):
            return False
        everything = not self.labels and not self.targets
        return everything or target in self.targets or bool(set(self.labels).intersection(effect.labels))

    @property
    def words(self) -> str:
        """Why, and until when."""
        why = f": {self.because.rstrip('.')}" if self.because else ""
        return f"Frozen until {shown(self.ends, self.zone)}{why}. [freeze {self.name}]"


Freezes = Mapping[str, Freeze]


def in_force(freezes: Freezes, at_ms: int) -> tuple[Freeze, ...]:
    """The freezes that are on at *at_ms*, in the order of their names."""
    return tuple(one for _, one in sorted(freezes.items()) if one.in_force(at_ms))


def covering(freezes: Freezes, reading: Reading, facts: Facts, at_ms: int) -> tuple[Freeze, ...]:
    """Those of them that are about this action."""
    return tuple(one for one in in_force(freezes, at_ms) if one.covers(reading, facts))


def freeze(decision: Decision, by: Sequence[Freeze], default: Obligations) -> Decision:
    """*decision* under the freezes *by*: never milder, and with their words first."""
    if not by or decision.would == "refuse":
        return decision
    reasons = (*(one.words for one in by), *decision.reasons)
    if any(one.decision == "refuse" for one in by):
        return replace(decision, verdict="refuse", would="refuse", reasons=reasons, obligations=Obligations())
    asked = [decision.obligations] if decision.would == "hold" else []
    asked += [replace(default, approve=one.approve) for one in by if one.approve]
    try:
        merged = obligations.merge(asked or [default])
    except obligations.TooManyPeople as error:
        words = (*reasons, f"Refused: {error}.")
        return replace(decision, verdict="refuse", would="refuse", reasons=words, obligations=Obligations())
    verdict = decision.verdict if decision.mode == "observe" else "hold"
    return replace(decision, verdict=verdict, would="hold", reasons=reasons, obligations=merged)


def read_freezes(part: Part) -> dict[str, Freeze]:
    """All `[freeze.NAME]`."""
    return {one.name: found for one in part.named() if (found := _freeze(one)) is not None}


def _freeze(part: Part) -> Freeze | None:
    part.known(
        "from", "until", "timezone", "decision", "because", "approve", "labels", "targets", "verbs", "except_groups",
        "except_labels",
    )  # fmt: skip
    zone = part.zone()
    begins, ends = part.instant("from", zone), part.instant("until", zone)
    if begins is None or ends is None:
        return None
    if ends <= begins:
        part.wrong("until", "it never begins: it ends first")
    decision = part.choice("decision", ("hold", "refuse"), "refuse")
    verbs = part.texts("verbs") or CHANGES
    for verb in verbs:
        if verb not in VERBS:
            part.wrong(verb, f"there is no verb {verb}", nearest(verb, VERBS) or "verbs: " + ", ".join(VERBS))
    approve = part.text("approve")
    if approve:
        try:
            approve = obligations.requirement_text(approve)
        except ValueError as error:
            part.wrong("approve", str(error))
        if decision == "refuse":
            part.wrong("approve", "nobody is asked: it refuses", 'decision = "hold"')
    return Freeze(
        name=part.name,
        begins=begins,
        ends=ends,
        decision="hold" if decision == "hold" else "refuse",
        because=part.text("because"),
        approve=approve,
        labels=part.texts("labels"),
        targets=part.texts("targets"),
        verbs=verbs,
        except_groups=part.texts("except_groups"),
        except_labels=part.texts("except_labels"),
        zone=zone,
    )
