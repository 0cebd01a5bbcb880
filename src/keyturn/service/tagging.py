"""Tags of this home's actions and sessions, for whoever may say them."""

from __future__ import annotations

from keyturn.drift.tags import ANY, MAX_TARGET, Tags
from keyturn.errors import Malformed, NotFound
from keyturn.service.core import Core


def tags_of(core: Core) -> Tags:
    """The tags of this home: they come of the key that signs permits, so they last as long."""
    return Tags(core.permit_key.private_bytes_raw())


def tag(core: Core, id: str, target: str) -> str:
    """The tag of the action or session *id*, for *target*. Raises `NotFound`, `Malformed`."""
    kind = {"a": "action", "s": "session"}.get(id.partition("_")[0], "")
    if not kind or core.ledger.row(kind, id) is None:
        raise NotFound(f"There is no action and no session {id}.")
    if kind == "action" and (not target or target == ANY or len(target) > MAX_TARGET):
        raise Malformed("The tag of an action is for one target: name it as the action does.")
    return tags_of(core).tag(id, target)


def session_of_tagged(core: Core, id: str) -> str:
    """The session that *id* is, or in which the action *id* was asked for. Raises `NotFound`."""
    row = core.ledger.row("action", id) if id.startswith("a_") else core.ledger.row("session", id)
    if row is None:
        raise NotFound(f"There is no action and no session {id}.")
    return str(row["session"] if id.startswith("a_") else id)


__all__ = ["session_of_tagged", "tag", "tags_of"]
