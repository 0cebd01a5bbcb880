"""Which approved change explains a drift of behaviour, if any (`drift.explaining.explain_behaviour`).

Behaviour has no content to compare, so PROVEN is out of reach; time proximity alone explains nothing (measured: it "explains" 98–100 % of
drifts without any cause). VERSION-BOUND needs all of: the drift is in sessions under one definition or policy only, an approved
change brought that version, and it declared what drifted, where its approvers read it: as effects of the change (`definition propose
--effect`), or in its reason after the word `brings:`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keyturn.drift.baseline import Baseline
from keyturn.drift.behaviour import Seen
from keyturn.drift.explaining import Approved, explain_behaviour
from keyturn.drift.finding import Explanation
from keyturn.errors import Malformed
from keyturn.service.core import Core

SUBJECTS = ("definition", "policy")
"""Subjects of changes that bring a version which sessions are stamped with."""
SEARCHED = 500
_EFFECT = r"[a-z]+:[a-z0-9*?-]+"
_BRINGS = re.compile(rf"\bbrings:\s*({_EFFECT}(?:\s*,\s*{_EFFECT})*)", re.ASCII)
MOST_EFFECTS = 50
STRONGER = {"VERSION-BOUND": 2, "CANDIDATE": 1}
MOST_WORDS = 12


def declared(reason: str) -> tuple[str, ...]:
    """What a reason says that the change will bring: `brings: writes:production, connects:network`."""
    return tuple(word.strip() for match in _BRINGS.finditer(reason) for word in match[1].split(","))


def effects_of(given: Iterable[str]) -> list[str]:
    """The effects that a change declares, in order and once each. Raises `Malformed` for what is none."""
    found = sorted(set(given))
    for one in found:
        if not re.fullmatch(_EFFECT, one, re.ASCII):
            raise Malformed(
                f"{one[:80]!r} is no effect: say a verb and a label or zone, as writes:production."
            )
    if len(found) > MOST_EFFECTS:
        raise Malformed(f"A change declares at most {MOST_EFFECTS} effects.")
    return found


def approved(core: Core, agent: str) -> list[Approved]:
    """The newest approved changes that bring a version of *agent*, or of policy."""
    found = []
    for row in core.ledger.rows("request", state="approved", limit=SEARCHED):
        if row["subject"] in SUBJECTS:
            content: dict[str, Any] = core.full(row["content"])
            if content.get("agent", agent) == agent:
                found.append(_approved(core, row, content))
    return found


def _approved(core: Core, row: Mapping[str, Any], content: Mapping[str, Any]) -> Approved:
    version = content.get("policy") if row["subject"] == "policy" else content.get("digest")
    given = [one for one in row["approvals"] if one["choice"] == "approve" and not one["void"]]
    reason = str(content.get("note") or content.get("why") or "")
    return Approved(
        id=row["id"],
        target=row["subject"],
        actor=row["initiator"] or "",
        approvers=tuple(one["person"] for one in given),
        reason=reason or next((one["reason"] for one in given if one["reason"]), ""),
        time=row.get("ended", row["opened"]),
        effects=(*declared(reason), *core.full(content.get("effects") or ())),
        versions=(str(content.get("before") or ""), str(version or "")),
    )


def effect_of(category: str) -> str:
    """The effect that *category* is about, as changes declare it: by its label where it has one (`writes:production`)."""
    words = [word for word in category.split(" ") if ":" in word]
    if not words:
        return category
    verb, _, where = words[-1].partition(":")
    zone, *labels = where.split("+")
    return f"{verb}:{labels[0] if labels else zone}"


def of_behaviour(
    core: Core,
    agent: str,
    sessions: Sequence[Seen],
    flagged: Sequence[bool],
    what: Sequence[str],
    expected: float,
) -> Explanation:
    """The best explanation of a drift in *sessions*, of which *flagged* show it, in categories *what*; *expected* is the share of
    sessions that the baseline lets expect."""
    changes = approved(core, agent)
    effects = tuple(dict.fromkeys(effect_of(one) for one in what))[:MOST_WORDS]
    best = explain_behaviour(effects, _seen(sessions, flagged, "definition"), changes, expected)
    other = explain_behaviour(effects, _seen(sessions, flagged, "policy"), changes, expected)
    best = other if STRONGER.get(other.grade, 0) > STRONGER.get(best.grade, 0) else best
    return best if effects or best.grade == "NONE" else Explanation("NONE", searched=NOTHING_TO_NAME)


NOTHING_TO_NAME = "The drift is in no category of its own, so no change can have declared it."


def _seen(sessions: Sequence[Seen], flagged: Sequence[bool], of: str) -> dict[str, tuple[int, int]]:
    """Version → (sessions under it that show the drift, sessions)."""
    counts: dict[str, tuple[int, int]] = {}
    for one, shows in zip(sessions, flagged, strict=True):
        version = one.definition if of == "definition" else one.policy
        some, whole = counts.get(version, (0, 0))
        counts[version] = (some + shows, whole + 1)
    return counts


def expected(cause: str, baseline: Baseline) -> float:
    """The share of sessions that show *cause* without any drift, at most."""
    return {"sensitive": baseline.presence_bound, "novel": baseline.novel_bound}.get(cause, 0.2)
