"""A finding as a `Notice`, whom it is told, and when. Pure.

Rules kept here:

- Told are the people of the group that `[lag] tell` names, of findings of severity high and critical, and of those that a
  `[response.NAME] tell` names, of the findings that it answers to; each by every account that a channel reaches, as with requests.
- One message a finding. Where the channel can, it is changed as the finding's state changes; a message of a settled one is not begun.
- Nothing can be decided in it: it leads to the finding's page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyturn.channels.notices.channel import Follows
from keyturn.channels.notices.notice import Line, Notice, Offer
from keyturn.channels.notices.routing import Due
from keyturn.drift.finding_life import UNRESOLVED
from keyturn.policy.drift import DriftRules
from keyturn.service.finding_rows import LOUD
from keyturn.service.findings import FindingView
from keyturn.service.notice_rows import WAITING

Row = Mapping[str, Any]

KEPT_MS = 7 * 24 * 3600 * 1000
"""How long a push service keeps a message for a browser that is away."""
_NAMED = ("agent", "target", "person", "session", "definition", "credential", "policy", "object")
"""What of a finding's subject a message names."""


def groups(rules: DriftRules, kind: str, severity: str) -> tuple[str, ...]:
    """Groups whose people are told of a finding of that kind and severity."""
    named = [rules.lag.tell] if severity in LOUD else []
    named += [one.tell for one in rules.responses.values() if one.tell and one.answers(kind, severity)]
    return tuple(dict.fromkeys(named))


def due(follows: Follows, row: Row, told: Row | None, wanted: bool) -> Due | None:
    """What a receiver is to be told of the finding *row* now; *told* is their row, *wanted* whether they are among those told."""
    if told is not None and told["dropped"]:
        return None
    if told is None or not told["phases"]:
        return Due("finding", "opened") if wanted and row["state"] in UNRESOLVED else None
    key = f"changed:{row['state']}:{len(row['life'])}"
    over = row["state"] not in UNRESOLVED
    says = follows == "changes" or (follows == "end" and over)
    return Due("finding", key) if says and told["shown"] != shown(row) and key not in told["phases"] else None


def shown(row: Row) -> str:
    """Tells two states of a finding apart; begins like a waiting request's while it asks something of people."""
    return f"{WAITING}:{row['state']}" if row["state"] in UNRESOLVED else str(row["state"])


def compose(view: FindingView, row: Row, key: str, link: str) -> Notice:
    """What to say about *view*."""
    named = [Line(name.capitalize(), str(view.subject[name])) for name in _NAMED if view.subject.get(name)]
    grade = view.explanation.grade
    explained = "no approved change" if grade == "NONE" else f"{view.explanation.change} ({grade})"
    return Notice(
        about=view.id,
        phase="finding",
        key=key,
        title=f"{view.severity.capitalize()} finding: {view.state}",
        sentence=view.words,
        kind="finding",
        tier=view.severity,
        text=f"observed: {view.observed or view.words}\nexpected: {view.expected or 'that this does not happen'}\n",
        beside=(Line("Kind", view.kind), Line("Area", view.area), Line("Explained by", explained)),
        who=tuple(named),
        why=(),
        stages=(),
        effects=(),
        state=view.state,
        outcome=_outcome(view),
        opened=view.opened,
        expires=view.opened + KEPT_MS,
        digest=str(row["key"]),
        display="",
        link=link,
        offer=Offer(False, False, "A finding is settled on its page."),
        reason_required=False,
        shown=shown(row),
        agent=str(view.subject.get("agent") or ""),
    )


def _outcome(view: FindingView) -> str:
    """Where it stands, in one line."""
    on = [f"{one.do} of {one.of[0]} {one.of[1]}" for one in view.responses if one.state == "on"]
    led = f" In force: {', '.join(on)}." if on else ""
    if not view.life:
        return f"Somebody has to look at it.{led}"
    step = view.life[-1]
    why = f": {step.reason}" if step.reason else ""
    return f"{step.by or 'Time'} {step.verb} it{why}.{led}".replace("..", ".")
