"""What auditors are shown (need to know): sentences, effects, digests and decisions; the content of actions only where policy says so.

Rules kept here:

- Fields are disclosed one by one (RFC 9901 §4.2): what is withheld is left out beside the leaf, which stays whole, and so does its proof.
- Changes of policy, roster and keys are shown whole: they are what an auditor is there for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

Disclosure = Literal["digests", "content"]
"""What is disclosed: all but `WITHHELD`, or everything."""

LEVELS: tuple[str, ...] = get_args(Disclosure)

WITHHELD = frozenset(
    {
        "action",
        "args",
        "attribution",
        "call",
        "content",
        "cwd",
        "environment",
        "instruction",
        "note",
        "reasoning",
        "shown",
    }
)
"""Fields of entries that are, or quote, what an agent was told, thought or would run."""

OF_AGENTS = ("action", "plan")
"""Subjects of requests that an agent's gate opens: what people see of them is what an agent would do. Others are changes by people."""

LONGEST_ID = 64
_OPEN = ("person.", "key.", "policy.", "scim.", "provider.", "gate.", "credential.", "delegation.", "log.")


def is_open(kind: str, subject: Any = None) -> bool:
    """Whether entries of the type *kind* are shown whole. *subject* is the field of that name of a `request.opened`."""
    if kind.startswith(_OPEN):
        return True
    return kind == "request.opened" and subject not in (None, *OF_AGENTS)


def is_withheld(kind: str, name: str, value: Any) -> bool:
    """Whether the field *name* of an entry of the type *kind*, which is not open, is left out.

    `action` is what would run in `action.decided`; elsewhere it is that action's id, without which nothing could be joined to it.
    """
    if name != "action":
        return name in WITHHELD
    return kind == "action.decided" or not (
        value is None or (isinstance(value, str) and len(value) <= LONGEST_ID)
    )


def shown(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of *fields* that are not withheld."""
    if is_open(kind, fields.get("subject")):
        return dict(fields)
    return {name: value for name, value in fields.items() if not is_withheld(kind, name, value)}


__all__ = ["LEVELS", "OF_AGENTS", "WITHHELD", "Disclosure", "is_open", "is_withheld", "shown"]
