"""What auditors read is recorded: reading evidence is an event like any other, and somebody reviews it.

Rules kept here:

- It is recorded before it is shown: where the log can't be written, nothing is shown to an auditor.
- Once an hour and thing: `times` says how often since the entry before, so that a page that is reloaded does not flood the log.
- Only auditors: everybody else is here to work, and what they do is recorded where they do it.
"""

from __future__ import annotations

from collections import OrderedDict

from keyturn.identity import Person
from keyturn.ledger.entries import Draft
from keyturn.service.core import Core

HOUR_MS = 3_600_000
MOST = 20_000
"""Things that are remembered; of the oldest ones the next look is recorded again."""
LONGEST = 200

NAMES = {
    "agents": "agent",
    "controls": "control",
    "definitions": "definition",
    "evidence": "pack",
    "findings": "finding",
    "grants": "grant",
    "ledger": "entry",
    "people": "person",
    "player": "recording",
    "recordings": "recording",
    "requests": "request",
    "sessions": "session",
}
"""First part of a path → what one thing below it is."""
QUEUE = "queue"
NOTHING = frozenset(
    ("about", "assets", "events", "healthz", "livez", "login", "logout", "manifest.webmanifest", "me", "metrics", "openapi.json",
     "readyz", "sw.js", "tokens", "you")
)  # fmt: skip
"""First parts of paths that show nothing of the log, or one's own matters alone. Whatever is not here is recorded: what is forgotten is."""


def thing(path: str) -> tuple[str, str] | None:
    """What the page or the API's answer at *path* shows: (what, which); None for what shows no evidence. Pure."""
    parts = [part for part in path.removeprefix("/v1").split("/") if part and part != "entries"]
    if not parts or parts[0] == "fragments":  # pieces of the queue, as they change
        return QUEUE, ""
    first, rest = parts[0][:LONGEST], "/".join(parts[1:])[:LONGEST]
    if first in NOTHING:
        return None
    if parts[-1] == "proof":
        return "proof", rest.removesuffix("/proof")
    return (NAMES.get(first, first) if rest else first), rest


class Viewing:
    """Records what auditors look at."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: OrderedDict[tuple[str, str, str], tuple[int, int, int]] = OrderedDict()

    async def viewed(self, person: Person, path: str) -> None:
        """*person* is about to be shown what lies at *path*. Raises what the ledger raises."""
        found = thing(path) if person.reads_only else None
        if found is None:
            return
        what, of = found
        key, now = (person.id, what, of), self._core.now()
        began, since, times = self._known.get(key, (-HOUR_MS, now, 0))
        if now - began < HOUR_MS:
            self._known[key] = (began, since, times + 1)
            return
        fields = {"by": person.id, "what": what, "of": of, "from": since, "to": now, "times": times + 1}
        await self._core.ledger.append([Draft("evidence.viewed", fields)])
        self._known[key] = (now, now, 0)
        self._known.move_to_end(key)
        if len(self._known) > MOST:
            self._known.popitem(last=False)
