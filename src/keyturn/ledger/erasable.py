"""Which fields can be erased, and what stands in their place where the log is read again. Pure.

An erased field's salt and value are gone; its digest stays in the leaf, so every proof stays valid, and nobody can guess the value
from the digest, whose 128 random bits are gone, too. What remains beside the leaf is the field's name behind a `~`, so that an
erased field is told from one that was never there.

Rules kept here:

- What binds people and bytes together stays: ids, digests, choices, times. Words, content, names and accounts can go.
- What stands in for an erased field has the same form, so that entries fold to rows as before (promise 7).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

ERASED = "[erased]"
MARK = "~"

Fields = Mapping[str, Any]

_CONTENT: dict[str, dict[str, Any]] = {
    "shell": {"kind": "shell", "script": ERASED, "dialect": "bash"},
    "file": {
        "kind": "file",
        "path": "/" + ERASED,
        "operation": "write",
        "before": None,
        "after": None,
        "diff": "",
    },
    "tool": {"kind": "tool", "tool": ERASED, "arguments": {}, "server": ""},
    "http": {"kind": "http", "url": ERASED, "method": "GET", "body": None},
}


def _content(fields: Fields) -> dict[str, Any]:
    known = _CONTENT.get(str(fields.get("kind")))
    return known or {"text": ERASED, "why": ERASED, "seconds": 0, "steps": []}


def _action(fields: Fields) -> dict[str, Any]:
    return {"content": _content(fields), "cwd": "/", "environment": {}, "target": "local", "executes": {}}


def _reading(fields: Fields) -> dict[str, Any]:
    return {
        "kind": str(fields.get("kind", "")), "complete": False, "steps": [], "unread": [], "sentence": ERASED, "canonical": None,
    }  # fmt: skip


def _attribution(fields: Fields) -> dict[str, Any]:
    return {
        "agent": {"name": fields.get("agent") or ERASED},
        "human": None,
        "instruction": None,
        "reasoning": None,
    }


def _text(fields: Fields) -> dict[str, Any]:
    return {"text": ERASED, "source": ERASED}


def _nothing(fields: Fields) -> None:
    return None


def _words(fields: Fields) -> str:
    return ERASED


def _empty(fields: Fields) -> str:
    return ""


def _none(fields: Fields) -> list[Any]:
    return []


def _blank(fields: Fields) -> dict[str, Any]:
    return {}


StandIn = Callable[[Fields], Any]

ERASABLE: dict[str, dict[str, StandIn]] = {
    "session.instructed": {"instruction": _text},
    "session.stopped": {"why": _words},
    "action.decided": {
        "action": _action, "instruction": _nothing, "reasoning": _nothing, "reading": _reading, "sentence": _words,
    },
    "action.receipt": {"note": _empty},
    "request.opened": {
        "content": _content, "reading": _reading, "sentence": _words, "attribution": _attribution, "environment": _blank, "cwd": _empty,
        "risk": _nothing,
    },
    "request.commented": {"text": _words},
    "request.ended": {"why": _empty},
    "approval.given": {"reason": _words},
    "drill.decided": {"reason": _words},
    "grant.opened": {"sentence": _words},
    "grant.revoked": {"why": _words},
    "plan.opened": {"sentence": _words},
    "plan.stopped": {"why": _words},
    "breakglass.used": {"reason": _words, "sentence": _words},
    "breakglass.reviewed": {"note": _empty},
    "delegation.opened": {"why": _empty},
    "key.revoked": {"why": _words},
    "credential.revoked": {"why": _words},
    "person.enrolled": {"name": _empty, "accounts": _none},
    "person.changed": {"name": _empty, "accounts": _none},
    "person.restored": {"name": _empty, "accounts": _none},
    "login.refused": {"said": _blank},
    "access.reviewed": {"note": _words},
}  # fmt: skip
"""Type → field → what stands in. A test folds a log with all of them erased, and shows every page of it."""


def stand_in(type_: str, name: str, fields: Fields) -> Any:
    """What stands in place of the erased field *name*; *fields* are those that are left."""
    make = ERASABLE.get(type_, {}).get(name)
    return make(fields) if make is not None else None


__all__ = ["ERASABLE", "ERASED", "MARK", "stand_in"]
