"""What the ledger says was allowed in a period, as reconciliation compares it: actions with their statements, and sessions.

Reads only, from a worker thread; its cost grows with the period, not with the log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from keyturn.drift import fingerprints
from keyturn.drift.expected import Expected, Span, statements
from keyturn.drift.matching import LATE_MS
from keyturn.drift.observed import Observed
from keyturn.drift.tags import Tags
from keyturn.ledger.entries import Entry
from keyturn.service.core import Core
from keyturn.service.instants import first_since
from keyturn.service.redacting import Redaction

MARGIN_MS = 60_000
"""How much longer than the period is read: two clocks may differ."""


class Recollection:
    """Actions and sessions of a period; `named` are ids out of tags, which are looked up wherever they lie."""

    def __init__(self, core: Core, tags: Tags) -> None:
        self._core = core
        self._tags = tags
        self.actions: dict[str, Expected] = {}
        self.spans: dict[str, Span] = {}

    def read(self, since: int, until: int, named: Iterable[str]) -> None:
        """Everything that was allowed between *since* and *until*, and what *named* says."""
        named = set(named)
        for session in {id for id in named if id.startswith("s_")}:
            self._session(session)
        start = min([since - LATE_MS, *(span.opened for span in self.spans.values())]) - MARGIN_MS
        for entry in self._core.ledger.entries(first_since(self._core.ledger, start)):
            if entry.time > until + LATE_MS + MARGIN_MS:
                break
            self._entry(entry)
        for action in {id for id in named if id.startswith("a_")} - self.actions.keys():
            self._look_up(action)

    def _entry(self, entry: Entry) -> None:
        f = entry.fields
        if entry.type == "action.decided":
            self._decided(entry)
        elif entry.type == "permit.consumed":
            action = self.actions.get(f["action"])
            if action is not None:
                self.actions[action.id] = replace(action, allowed=True, time=entry.time)
        elif entry.type == "action.receipt":
            action = self.actions.get(f["action"])
            if action is not None:
                failed = f.get("outcome") in ("failed", "not-run")
                self.actions[action.id] = replace(action, ended=entry.time, failed=failed)
        elif entry.type == "session.opened":
            self._session(str(entry.session))

    def _decided(self, entry: Entry) -> None:
        f, full = entry.fields, self._core.full
        action, reading = full(f["action"]), full(f["reading"])
        said, more = statements(full(action["content"]), full(reading.get("steps", ())))
        human = full(f.get("human")) or {}
        self.actions[f["id"]] = Expected(
            id=f["id"],
            session=entry.session or "",
            time=entry.time,
            target=str(full(action.get("target", ""))),
            statements=said,
            open=more or not reading.get("complete", False),
            entry=entry.index,
            allowed=False,
            account="" if human.get("os_uid") is None else str(human["os_uid"]),
        )
        if entry.session and entry.session not in self.spans:
            self._session(entry.session)

    def _session(self, session: str) -> None:
        row: dict[str, Any] | None = self._core.ledger.row("session", session)
        if row is not None:
            closed = int(row.get("closed") or 0)
            self.spans[session] = Span(session, int(row["opened"]), closed, self._tags.trace(session))

    def _look_up(self, action: str) -> None:
        """An action of long ago that a tag names: whether it was allowed is known from its row."""
        row: dict[str, Any] | None = self._core.ledger.row("action", action)
        entry = self._core.ledger.entry(int(row["entry"])) if row is not None else None
        if row is None or entry is None:
            return
        self._decided(entry)
        consumed, receipt = (row.get("permit") or {}).get("consumed"), row.get("receipt") or {}
        known = self.actions[action]
        ended = self._core.ledger.entry(int(receipt["entry"])) if receipt else None
        self.actions[action] = replace(
            known,
            allowed=bool(consumed),
            time=int(consumed or known.time),
            ended=ended.time if ended else 0,
            failed=receipt.get("outcome") in ("failed", "not-run"),
        )


def without_secrets(redaction: Redaction, event: Observed) -> Observed:
    """*event* with its command as the same command is recorded of an action: without the secrets in it."""
    spoken, _, said = event.fingerprint.partition(":")
    if spoken == "command" and said.startswith("["):
        argv: list[str] = json.loads(said)
        words = redaction.secrets().taken(argv)
        if words != argv:
            return replace(event, fingerprint=fingerprints.command(words), statement=" ".join(words))
    elif spoken == "script":
        text = redaction.secrets().redacted(said, fresh=True).text
        if text != said:
            return replace(event, fingerprint=fingerprints.script(text), statement=text)
    return event


__all__ = ["Recollection", "without_secrets"]
