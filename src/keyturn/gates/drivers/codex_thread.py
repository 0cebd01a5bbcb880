"""How a Codex thread is started so that it asks about everything, and whether it was started like that. Pure."""

from __future__ import annotations

import re
from typing import Any

ASKING = {"approvalPolicy": "untrusted", "approvalsReviewer": "user", "sandbox": "danger-full-access"}
"""Without a sandbox of Codex's own, in which an allowed command would start first (see `codex_app_server`)."""

ASKS_ABOUT_ALL = (0, 169, 0)
"""The oldest version that is known to ask about every command, also about one that only reads."""

_BELIEVED = ("approvalPolicy", "approvalsReviewer")
_UNCONFINED = "dangerFullAccess"


def otherwise(result: dict[str, Any]) -> str:
    """Why the thread in the answer to `thread/start` can't be driven; empty when it is as it was asked for."""
    for name in _BELIEVED:
        if result.get(name) != ASKING[name]:
            found = str(result.get(name))[:40]
            return f"Codex started the thread with {name} {found!r}, with which it may act without asking."
    sandbox = result.get("sandbox")
    if not isinstance(sandbox, dict) or sandbox.get("type") != _UNCONFINED:
        return (
            "Codex keeps to a sandbox of its own, as it is configured for this machine: it would start an allowed command"
            " inside it first, and then perhaps again outside."
        )
    return ""


def too_old(version: str) -> str:
    """Why that version can't be driven; empty when it can."""
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
    if numbers >= ASKS_ABOUT_ALL:
        return ""
    oldest = ".".join(str(number) for number in ASKS_ABOUT_ALL)
    return f"Codex {version or 'of an unknown version'} may run commands without asking; {oldest} is the oldest that is driven."


def version_of(agent: Any) -> str:
    """The version in a `userAgent`; empty when there is none."""
    found = re.search(r"/(\d+\.\d+\.\d+\S*)", agent) if isinstance(agent, str) else None
    return found[1] if found else ""
