"""Gates that keep answers in mind hear first of what makes them stale.

Rules kept here:

- Whoever watches is told in the ledger's own thread, after what was recorded is visible and before anybody is answered. So
  a change that was confirmed to its author is known to every gate: no exec that begins later is decided by what was before.
- What is known not to matter is listed; any other entry is told, also of a kind that is added one day.
- Told once: who was told has to ask again, and is then a new watcher.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

from keyturn.ledger.entries import Entry

Tell = Callable[[], None]

WITHOUT_EFFECT = frozenset(
    (
        "action.decided", "action.started", "action.receipt", "request.opened", "request.reminded", "request.escalated",
        "request.ended", "approval.given",
        "grant.opened", "grant.used", "plan.answered", "plan.opened", "plan.advanced", "plan.ended",
        "permit.issued", "permit.consumed", "policy.proposed", "login.opened", "login.closed", "probe.result",
        "finding.viewed", "finding.acknowledged",
        "definition.seen",
    )
)  # fmt: skip
"""Entries after which the same question gets the same answer in every session."""


class Watches:
    """Who watches, by session. Thread-safe. What tells must be quick, and does its best: nobody can act on its failure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watching: dict[object, tuple[str, Tell]] = {}

    def add(self, session: str, tell: Tell) -> Callable[[], None]:
        """Call *tell* once, from any thread, when an answer given in *session* may be stale; gives what ends it.

        After that has returned, *tell* is not called any more.
        """
        key = object()
        with self._lock:
            self._watching[key] = (session, tell)

        def end() -> None:
            with self._lock:
                self._watching.pop(key, None)

        return end

    def landed(self, entries: Sequence[Entry] | None) -> None:
        """Tell whom *entries* concern; None concerns everybody."""
        if entries is None:
            self._tell(None)
        for entry in entries or ():
            if entry.type.startswith("session."):
                self._tell(entry.session)
            elif entry.type not in WITHOUT_EFFECT:
                self._tell(None)

    def everybody(self) -> None:
        """Tell all."""
        self._tell(None)

    def _tell(self, session: str | None) -> None:
        with self._lock:
            found = [key for key, (own, _) in self._watching.items() if session is None or own == session]
            for key in found:
                with contextlib.suppress(Exception):  # one that fails must not keep it from the others
                    self._watching.pop(key)[1]()

    def __len__(self) -> int:
        return len(self._watching)


__all__ = ["WITHOUT_EFFECT", "Watches"]
