"""Delivery to one sink: entries in order, from where it stands, for as long as the server lives.

Rules kept here:

- A sink reads from the log, not from a queue: a slow one delays nobody, costs no memory, and has lost nothing when it comes back.
- Where it stands is written, synced, after the other side has a batch, and before the next is read: what was sent and not yet noted
  comes again (at least once), and nothing is skipped. What the other side refuses for good is not skipped either: the sink stands
  still and says so, until somebody mends it.
- A position of another log, or behind the end of this one, is refused in words: a restored log is never silently taken for the old one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from keyturn import metrics
from keyturn.channels.notices.channel import ChannelDown, ReceiverRefused, Undelivered
from keyturn.channels.sinks.event import Event, event_of
from keyturn.channels.sinks.targets import Target
from keyturn.errors import ExitCode, KeyturnError
from keyturn.ledger.log import Ledger

log = logging.getLogger("keyturn.sinks")

State = Literal["ok", "warning", "bad"]
FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
LOOK = 5.0
"""Seconds between looks for an operator's move, which another process makes."""


class SinkMisplaced(KeyturnError):
    """A sink's position is of another log, or of a longer one, or can't be read."""

    code = "sink.misplaced"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing is sent to this sink."
    next_step = "Say where it goes on: `keyturn sink move NAME --to INDEX`."


class Position(Struct, frozen=True):
    """Where a sink stands. `next` is the first entry that it has not got; `sent` when it last took something (milliseconds)."""

    origin: str
    next: int
    sent: int = 0


class Positions:
    """The positions of all sinks of a home, a file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str, suffix: str = ".json") -> Position | None:
        """None where it never stood anywhere. Raises `SinkMisplaced`."""
        path = self._path(name, suffix)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Position)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise SinkMisplaced(f"{path} can't be read: {error}.") from error

    def move(self, name: str, origin: str, to: int) -> None:
        """What an operator wants: the server takes it up (`moved`), or finds it when it starts."""
        self.write(name, Position(origin, to), ".move")

    def moved(self, name: str) -> Position | None:
        """A move that was not taken up yet; it is from here on."""
        found = self.read(name, ".move")
        if found is not None:
            self.write(name, found)
            self._path(name, ".move").unlink()
        return found

    def write(self, name: str, position: Position, suffix: str = ".json") -> None:
        """On disk when it returns."""
        path = self._path(name, suffix)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(f"{suffix}.new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(position) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str, suffix: str = ".json") -> Path:
        return self.folder / f"{name}{suffix}"


def placed(position: Position | None, begin: str, origin: str, size: int) -> Position:
    """Where a sink goes on in the log *origin* of *size* entries. Raises `SinkMisplaced`. Pure."""
    if position is None:
        return Position(origin, 0 if begin == "start" else size)
    if position.origin != origin:
        raise SinkMisplaced(f"It stands in the log {position.origin[:80]!r}, and this one is {origin!r}.")
    if not 0 <= position.next <= size:
        raise SinkMisplaced(
            f"It has entries up to {position.next}, and the log has {size}: entries are missing here that were sent once."
        )
    return position


def wait_after(failures: int, asked: float, chance: float) -> float:
    """Seconds until the next try: twice as long each time, spread by *chance* (0 to 1), and no less than was *asked* for. Pure."""
    longest: float = min(FIRST_WAIT * 2.0 ** min(failures, 20), LONGEST_WAIT)
    return max(longest * (0.5 + chance / 2), min(asked, 3600.0))


class Delivery:
    """One sink at work."""

    def __init__(
        self, name: str, target: Target, ledger: Ledger, full: Callable[[Any], Any], positions: Positions, *,
        content: bool, begin: str, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.name, self._target, self._ledger, self._full = name, target, ledger, full
        self._positions, self._content, self._begin, self._clock = positions, content, begin, clock
        self.woken = asyncio.Event()
        self.next = 0
        self.sent = 0
        self.failures = 0
        self.trouble = ""

    @property
    def behind(self) -> int:
        """Entries that it has not got."""
        return self._ledger.size - self.next

    def health(self) -> tuple[State, str]:
        """ok, warning or bad, and words."""
        if self.trouble:
            return ("bad" if self.failures > 5 else "warning"), f"{self._lag()} behind: {self.trouble}"
        return "ok", f"{self._lag()} behind." if self.behind else "It has everything."

    def _lag(self) -> str:
        return f"{self.behind:,} {'entry' if self.behind == 1 else 'entries'}"

    async def run(self) -> None:
        """For ever; what goes wrong is told in `trouble`, and tried again."""
        try:
            while True:
                try:
                    await self._place()
                    while not await self._moved():
                        await self._filled()
                        await self._step()
                except (KeyturnError, OSError) as error:
                    self._told(error)
                    await asyncio.sleep(LOOK)  # another process mends it: a file, a disk, a move
        finally:
            await self._target.close()

    async def _moved(self) -> bool:
        """Whether an operator moved it."""
        return await asyncio.to_thread(self._positions.moved, self.name) is not None

    def _told(self, error: Exception) -> None:
        words = f"{error.happened} {error.do_next}" if isinstance(error, KeyturnError) else f"{error}."
        if words != self.trouble:
            log.error("the sink %s stands still: %s", self.name, words)
        self.failures += 1
        self.trouble = words
        metrics.sink(self.name, self.behind, self.failures)

    async def _place(self) -> None:
        await self._moved()
        found = placed(self._positions.read(self.name), self._begin, self._ledger.origin, self._ledger.size)
        self.next = found.next
        await asyncio.to_thread(self._positions.write, self.name, found)

    async def _filled(self) -> None:
        """Until there is a batch: a full one, or one that waited long enough; or it is time to look for a move."""
        patience = self._target.patience if self.behind else LOOK
        enough = self._target.most if self.behind else 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.behind < enough:
                    self.woken.clear()
                    if self.behind < enough:
                        await self.woken.wait()

    async def _step(self) -> None:
        events = await asyncio.to_thread(self._read)
        if not events:
            return
        try:
            await self._target.send(events)
            await asyncio.to_thread(self._note, events[-1].index + 1)
            self.failures, self.trouble = 0, ""
            metrics.sink(self.name, self.behind, 0)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever a target meets: nothing is skipped, and the server goes on
            await self._failed(error)

    async def _failed(self, error: Exception) -> None:
        words = error.happened if isinstance(error, KeyturnError) else f"{type(error).__name__}: {error}"
        if words != self.trouble:
            log.warning("the sink %s did not take entries from %d on: %s", self.name, self.next, words)
        if not isinstance(error, Undelivered):
            log.exception("the sink %s failed", self.name)
        self.failures += 1
        self.trouble = words
        metrics.sink(self.name, self.behind, self.failures)
        asked = LONGEST_WAIT if isinstance(error, ReceiverRefused) else getattr(error, "retry_after", 0.0)
        await asyncio.sleep(wait_after(self.failures, asked, random.random()))  # noqa: S311 — spreads tries

    def _read(self) -> list[Event]:
        until = min(self.next + self._target.most, self._ledger.size)
        origin = self._ledger.origin
        entries = itertools.islice(self._ledger.entries(self.next, until), self._target.most)
        return [event_of(one, origin, self._full, content=self._content) for one in entries]

    def _note(self, reached: int) -> None:
        moment = int(self._clock() * 1000)
        try:
            self._positions.write(self.name, Position(self._ledger.origin, reached, moment))
        except OSError as error:
            raise ChannelDown(f"Where it stands can't be written: {error.strerror}.") from error
        self.next, self.sent = reached, moment


__all__ = ["Delivery", "Position", "Positions", "SinkMisplaced", "placed", "wait_after"]
