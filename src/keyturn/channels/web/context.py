"""What the pages need from the rest of Keyturn. `server.py` hands in one object that keeps `WebContext`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from keyturn.identity import Person
from keyturn.ledger.entries import Entry
from keyturn.service.interface import Service
from keyturn.service.model import SessionView


class HealthLine(Struct, frozen=True):
    """One line of the about page: what was looked at, how it is, in words."""

    name: str
    state: Literal["ok", "warning", "bad"]
    words: str


class LedgerReader(Protocol):
    """Read access to the ledger. Methods are called from worker threads, too, and give entries as they lie there.

    An entry that does not verify is still given (the page shows that it does not verify).
    """

    @property
    def size(self) -> int:
        """Number of entries."""
        ...

    def entry(self, index: int) -> Entry | None:
        """One entry, or None beyond the end."""
        ...

    def entries(self, start: int = 0, end: int | None = None) -> Iterable[Entry]:
        """Entries with start ≤ index < end, in order."""
        ...

    def head(self) -> str | None:
        """The newest checkpoint, a signed note (C2SP tlog-checkpoint)."""
        ...

    def inclusion(self, index: int) -> str:
        """A C2SP tlog-proof text for that entry: index, path, and the checkpoint it leads to."""
        ...


class WebContext(Protocol):
    """Everything a page may use. Nothing here changes state but `login`, `logout` and the service's own verbs."""

    @property
    def service(self) -> Service:
        """The use cases. Its `changes()` must end when the server is about to stop: open streams end with it."""
        ...

    @property
    def ledger(self) -> LedgerReader:
        """The log."""
        ...

    @property
    def hosts(self) -> Sequence[str]:
        """Host names beside the loopback names under which the pages may be opened (setting `hosts`)."""
        ...

    @property
    def recordings(self) -> Path | None:
        """The folder with sessions' recordings; None where there is none."""
        ...

    async def login(self, code: str) -> str:
        """Redeem a one-time link code: the new web session's key, of which `cookie_of` is the cookie. Raises `KeyturnError`."""
        ...

    async def logout(self, cookie: str) -> None:
        """End that web session. Unknown cookies are no error."""
        ...

    def person_of_cookie(self, cookie: str) -> Person | None:
        """Whose session that is; None when unknown, ended, expired, or the person was removed."""
        ...

    def count(self, state: str) -> int:
        """How many requests are in that state."""
        ...

    async def session(self, session: str) -> SessionView | None:
        """One agent run."""
        ...

    def health(self) -> Sequence[HealthLine]:
        """What to say about this server: store, ledger, clock, policy."""
        ...
