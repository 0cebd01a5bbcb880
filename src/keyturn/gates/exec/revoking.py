"""What ran under a grant that was revoked is ended: the process that was let go, and everything that comes from it.

Rules kept here:

- Heard of by a long poll, as the kill switch is; nothing is asked while no grant was used.
- A process is known by its number and its birth, so another one that got the number is left alone.
- What left its parent and came to us meanwhile can't be told apart any more from other work that did: all of it that is
  younger than what was let go is ended, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msgspec import Struct

from keyturn.errors import KeyturnError
from keyturn.gates.connection import RemoteService, Unreachable
from keyturn.gates.exec import family
from keyturn.gates.exec.tree import descendants, kill_all, parents

Orphans = Callable[[dict[int, tuple[int, str]]], set[int]]
"""Out of all processes: those that lost their parent and came to us."""


class Work(Struct, frozen=True):
    """A process that was let go under a grant, and when it was born."""

    process: int
    born: str


class Revoking:
    """Of one tree. Lives on *loop*; `orphans` is set by who supervises, else nobody's orphans come to us."""

    def __init__(
        self,
        service: RemoteService,
        loop: asyncio.AbstractEventLoop,
        session: str,
        tell: Callable[[str], None],
    ) -> None:
        self._service, self._loop, self._session, self._tell = service, loop, session, tell
        self._work: dict[str, list[Work]] = {}
        self._revoked: dict[str, str] = {}
        self._known = 0
        self._watching: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.orphans: Orphans = lambda known: set()

    def began(self, process: int, grant: str | None) -> None:
        """*process* goes on under *grant*; None is no grant."""
        if grant is None:
            return
        work = Work(process, family.born(process))
        self._work.setdefault(grant, []).append(work)
        if grant in self._revoked:  # it was revoked while its answer was on its way
            self._end_soon(grant, [work])
        if self._watching is None:
            self._watching = self._loop.create_task(self._watch())

    async def close(self) -> None:
        """Hear of nothing any more."""
        tasks = [*self._ending, *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            try:
                found = await self._service.revoked(self._session, self._known)
            except Unreachable:  # nothing new is allowed while it is away; it is asked again
                continue
            except KeyturnError as error:
                self._tell(f"revocations are not heard of any more: {error.happened}")
                return
            for one in found[self._known :]:
                self._revoked[one.grant] = one.words
                self._end_soon(one.grant, self._work.get(one.grant, []))
            self._known = len(found)

    def _end_soon(self, grant: str, works: list[Work]) -> None:
        task = self._loop.create_task(self._end(grant, list(works)))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, grant: str, works: list[Work]) -> None:
        ended = sum([await asyncio.to_thread(end, work, self.orphans) for work in works])
        self._tell(f"{self._revoked[grant]} What ran under it was ended ({ended} processes).")


def end(work: Work, orphans: Orphans) -> int:
    """End *work* and all that comes from it; how many processes that were."""
    return len(kill_all(lambda: _alive(work, orphans)))


def _alive(work: Work, orphans: Orphans) -> set[int]:
    known = parents()
    tops = {pid for pid in orphans(known) if _younger(pid, work)}
    if work.process in known and family.born(work.process) == work.born:
        tops.add(work.process)
    living = {pid for pid in tops if known[pid][1] not in ("Z", "X")}
    return living.union(*(descendants(pid, known) for pid in tops))


def _younger(process: int, work: Work) -> bool:
    birth = family.born(process)
    return bool(birth) and bool(work.born) and int(birth) >= int(work.born)


__all__ = ["Revoking", "Work", "end"]
