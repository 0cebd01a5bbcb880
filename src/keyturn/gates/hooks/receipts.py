"""From a client's result to receipts: what was allowed, compared with what the client says it ran. Pure but for files."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from keyturn.actions import FileEdit, Shell, action_digest
from keyturn.canonical import digest_bytes
from keyturn.gates.hooks import files
from keyturn.gates.hooks.contents import changed
from keyturn.gates.hooks.model import HookEvent
from keyturn.gates.hooks.runs import Allowed
from keyturn.service.model import Receipt

_OUTCOMES = ("done", "failed", "not-run", "unknown")


def receipts(event: HookEvent, allowed: tuple[Allowed, ...], uid: int) -> list[Receipt]:
    """One receipt for each thing that the call was allowed to do."""
    result = event.result or {}
    outcome = result.get("outcome")
    output = _bytes(result.get("output"))
    found = []
    for number, one in enumerate(allowed):
        ran, note = _ran(event, number, one, uid)
        found.append(
            Receipt(
                action=one.action_id,
                permit=one.permit,
                outcome=outcome if outcome in _OUTCOMES else "unknown",
                ran=ran,
                exit_code=_code(result.get("exit_code")),
                output=digest_bytes(output),
                output_bytes=len(output),
                note=note,
            )
        )
    return found


def _bytes(output: Any) -> bytes:
    return output.encode("utf-8", "replace") if isinstance(output, str) else msgspec.json.encode(output)


def _code(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _ran(event: HookEvent, number: int, one: Allowed, uid: int) -> tuple[str | None, str]:
    """The digest of what really ran, as far as can be told, and what is to be noted."""
    content = one.action.content
    if number >= len(event.proposals):
        return None, "the client did not say what it ran"
    said = event.proposals[number].content
    if isinstance(content, FileEdit):
        return _file(content, one, uid)
    reemitted = isinstance(content, Shell) and isinstance(said, Shell) and said.script == one.canonical
    if said == content or reemitted:
        moved = changed(one.action.executes, uid)
        if moved:
            return None, f"it ran {moved[0]}, which is no longer what was read: which bytes ran can't be told"
        return one.digest, "" if said == content else "it ran in its re-emitted form"
    return action_digest(
        replace(one.action, content=said), one.policy
    ), "the client ran something else than was allowed"


def _file(content: FileEdit, one: Allowed, uid: int) -> tuple[str | None, str]:
    if content.operation == "read":
        return one.digest, ""
    data = files.content(content.path, uid)
    now = None if data is None else digest_bytes(data)
    if content.operation == "delete":
        return (one.digest, "") if now is None else (None, f"the file is still there, as {now}")
    if content.after is None:
        return None, f"the file is now {now}"
    return (one.digest, "") if now == content.after else (None, f"the file is {now}, not what was shown")
