"""OCSF 1.x events. Pure.

Rules kept here:

- What an agent proposed, and what came of it, is API Activity (6003); a person's word and a change of what counts is Entity
  Management (3004); a finding is Detection Finding (2004); everything else is the base event (0), so that nothing is left out.
- `metadata.uid` is `origin:index`: the same for a second delivery. `unmapped` carries the entry's own fields, and the hash that proves it.
- Authorize Session (3003) is about rights at login, not about approvals, and is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keyturn import __version__
from keyturn.channels.sinks.event import Event

VERSION = "1.8.0"
API, ENTITY, DETECTION, BASE = 6003, 3004, 2004, 0
_NAMES = {
    API: ("API Activity", 6, "Application Activity"),
    ENTITY: ("Entity Management", 3, "Identity & Access Management"),
    DETECTION: ("Detection Finding", 2, "Findings"),
    BASE: ("Base Event", 0, "Uncategorized"),
}
_SEVERITY = {"": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_LABEL = ("Unknown", "Informational", "Low", "Medium", "High", "Critical", "Fatal")
_ENTITIES = (
    "policy",
    "definition",
    "configuration",
    "person",
    "key",
    "gate",
    "credential",
    "grant",
    "delegation",
)
_VERBS = {
    "enrolled": 1,
    "issued": 1,
    "opened": 1,
    "seen": 2,
    "removed": 4,
    "revoked": 4,
    "withdrawn": 4,
    "ended": 4,
}
"""Last word of an entry type → activity of Entity Management: 1 create, 2 read, 3 update, 4 delete."""
OTHER = 99


def ocsf(event: Event) -> dict[str, Any]:
    """*event* as OCSF."""
    return _MAPPED.get(event.type, _change if _is_change(event) else _base)(event)


def _is_change(event: Event) -> bool:
    return event.type.partition(".")[0] in _ENTITIES and event.type != "gate.heartbeat"


def _frame(event: Event, kind: int, activity: int, name: str, severity: str, message: str) -> dict[str, Any]:
    caption, category, category_name = _NAMES[kind]
    level = _SEVERITY.get(severity, 0)
    return {
        "class_uid": kind,
        "class_name": caption,
        "category_uid": category,
        "category_name": category_name,
        "activity_id": activity,
        "activity_name": name,
        "type_uid": kind * 100 + activity,
        "type_name": f"{caption}: {name if activity != OTHER else 'Other'}",
        "severity_id": level,
        "severity": _LABEL[level],
        "time": event.time,
        "message": message,
        "metadata": {
            "version": VERSION,
            "uid": event.id,
            "sequence": event.index,
            "event_code": event.type,
            "log_name": event.origin,
            "logged_time": event.time,
            "product": {"name": "Keyturn", "vendor_name": "Keyturn", "version": __version__},
            **({"correlation_uid": event.session} if event.session else {}),
        },
        "unmapped": {
            "keyturn": {
                "leaf_hash": event.leaf,
                "n": event.n,
                "withheld": event.withheld,
                "fields": dict(event.fields),
            }
        },
    }


def _base(event: Event) -> dict[str, Any]:
    return _frame(event, BASE, OTHER, event.type, "", event.type)


def _action(event: Event) -> dict[str, Any]:
    f = event.fields
    verdict = _text(f.get("verdict")) or "unknown"
    agent, human, gate = _dict(f.get("agent")), _dict(f.get("human")), _dict(f.get("gate"))
    made = _frame(
        event, API, OTHER, verdict, "", _text(f.get("sentence")) or f"{verdict} {_text(f.get('kind'))}"
    )
    rules = [
        _text(hit.get("rule"))
        for hit in _dict(f.get("decision")).get("rules", ())
        if isinstance(hit, Mapping)
    ]
    return made | {
        "actor": _actor(_text(human.get("person")), _text(agent.get("name")) or "agent", event.session),
        "api": {"operation": _text(f.get("kind")) or "action", "request": {"uid": _text(f.get("id")) or str(event.index)}},
        "src_endpoint": {"name": _text(gate.get("name")) or "gate", "type_id": OTHER, "type": "gate"},
        **_status({"run": 1, "refuse": 2}.get(verdict, OTHER), verdict),
        **({"status_detail": ", ".join(dict.fromkeys(rules))} if rules else {}),
    }  # fmt: skip


def _outcome(event: Event) -> dict[str, Any]:
    f = event.fields
    outcome = _text(f.get("outcome")) or event.type
    made = _frame(event, API, OTHER, event.type, "", f"{event.type} {_text(f.get('action'))}".strip())
    return made | {
        "actor": _actor("", "gate", event.session),
        "api": {"operation": event.type, "request": {"uid": _text(f.get("action")) or str(event.index)}},
        "src_endpoint": {"name": _text(f.get("gate")) or "gate", "type_id": OTHER, "type": "gate"},
        **_status({"done": 1, "failed": 2}.get(outcome, OTHER), outcome),
    }


def _approval(event: Event) -> dict[str, Any]:
    f = event.fields
    choice = _text(f.get("choice")) or "decide"
    made = _frame(event, ENTITY, OTHER, choice, "", f"{_text(f.get('person')) or 'somebody'}: {choice}")
    return made | {
        "actor": _actor(_text(f.get("person")), "person", event.session),
        "entity": {"uid": _text(f.get("request")) or str(event.index), "name": "request", "type": "request"},
        **_status(1, _text(f.get("assurance")) or "click"),
    }


def _change(event: Event) -> dict[str, Any]:
    f = event.fields
    kind, _, verb = event.type.partition(".")
    activity = _VERBS.get(verb, 3)
    name = {1: "Create", 2: "Read", 3: "Update", 4: "Delete"}[activity]
    what = next(
        (_text(f[one]) for one in ("id", "name", "digest", kind) if _text(f.get(one))), str(event.index)
    )
    return _frame(event, ENTITY, activity, name, "", f"{event.type} {what}") | {
        "actor": _actor(_text(f.get("by")) or _text(f.get("person")), "person", event.session),
        "entity": {"uid": what, "name": what, "type": kind},
        "status_id": 1,
    }


def _finding(event: Event) -> dict[str, Any]:
    f = event.fields
    opened = event.type == "finding.opened"
    activity, name = (
        (1, "Create") if opened else (3, "Close") if event.type == "finding.closed" else (2, "Update")
    )
    uid = _text(f.get("id")) or _text(f.get("finding")) or str(event.index)
    made = _frame(
        event, DETECTION, activity, name, _text(f.get("severity")), _text(f.get("words")) or event.type
    )
    return made | {
        "finding_info": {
            "uid": uid,
            "title": _text(f.get("kind")) or event.type,
            **({"desc": _text(f.get("words"))} if _text(f.get("words")) else {}),
        },
        "status_id": 1 if opened else 4 if name == "Close" else 2,
    }


def _status(number: int, ours: str) -> dict[str, Any]:
    """The status as OCSF has it, and our own word for it beside (`status_code`)."""
    return {
        "status_id": number,
        "status": {1: "Success", 2: "Failure"}.get(number, ours),
        "status_code": ours,
    }


def _actor(person: str, agent: str, session: str) -> dict[str, Any]:
    made: dict[str, Any] = {"app_name": agent}
    if person:
        made["user"] = {"uid": person, "name": person}
    if session:
        made["session"] = {"uid": session}
    return made


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


_MAPPED: Mapping[str, Callable[[Event], dict[str, Any]]] = {
    "action.decided": _action,
    "action.receipt": _outcome,
    "action.started": _outcome,
    "permit.consumed": _outcome,
    "permit.refused": _outcome,
    "approval.given": _approval,
    **{
        f"finding.{one}": _finding
        for one in ("opened", "viewed", "acknowledged", "explained", "accepted", "closed", "reopened")
    },
}
