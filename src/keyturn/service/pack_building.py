"""Building packs for whoever has no access to the server's own disk: in a process of its own, one at a time, files in the home.

A pack that is there is the one that was asked for; one that is not can be built at any time, since its entry says all that it takes.
There are never more than `MOST` files: who fetched theirs deletes them.

A server that ends, also by `kill -9`, ends what it was building. The next one removes what that left, and says which files were not made:
beside the files lies `.PACK.wanted` from when one is asked for until it is there, or was said not to be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Literal

from msgspec import Struct

from keyturn.errors import KeyturnError
from keyturn.home import Home
from keyturn.service import apart

log = logging.getLogger("keyturn.evidence")

NICE = 10
"""How much the building gives way to the server that decides."""
MOST = 50
"""Files in the home, with those that wait for their turn: whoever may ask for packs does not fill the disk that the log is on."""
LONGEST = 2_000
"""Characters of what a process that failed says."""
WANTED = ".wanted"
ENDED = "The server ended before its file was made. Have it made again."
"""`keyturn evidence pack` that ends with the server."""

Stage = Literal["none", "waiting", "building", "ready", "failed"]


class NotBuilt(KeyturnError):
    """The file of that pack is not there (yet)."""

    code = "evidence.not_built"
    status = 409
    not_done = "Nothing was sent."
    next_step = (
        "Ask for it to be built (`POST /v1/evidence/packs/{id}/build`), and look again until it is `ready`."
    )


class Building(Struct, frozen=True):
    """How far a pack's file is. `bytes` of one that is ready; `why` one failed."""

    stage: Stage
    bytes: int = 0
    why: str = ""


class PackBuilder:
    """Builds packs of a home, each in a child process."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._turn = asyncio.Lock()
        self._stages: dict[str, Building] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._child: asyncio.subprocess.Process | None = None
        self._tidy()
        for left in self._home.packs.glob(f".*{WANTED}"):
            self._stages[left.name[1 : -len(WANTED)]] = Building("failed", 0, ENDED)
            with contextlib.suppress(OSError):
                left.unlink()

    def _tidy(self) -> None:
        """Remove what is half built."""
        for left in self._home.packs.glob(".*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)

    def _wanted(self, pack: str) -> Path:
        return self._home.packs / f".{pack}{WANTED}"

    def path(self, pack: str) -> Path:
        """Where the file lies. Raises `NotBuilt`."""
        path = self._home.packs / f"{pack}.zip"
        if not path.is_file():
            raise NotBuilt(f"The pack {pack} is not built.")
        return path

    def look(self, pack: str) -> Building:
        """How far it is."""
        known = self._stages.get(pack)
        if known is not None and known.stage in ("waiting", "building"):
            return known
        path = self._home.packs / f"{pack}.zip"
        if path.is_file():
            return Building("ready", path.stat().st_size)
        return known or Building("none")

    def start(self, pack: str) -> Building:
        """Have it built, unless it is there or being built."""
        found = self.look(pack)
        if found.stage in ("none", "failed") and self._full():
            why = f"{MOST} packs lie in {self._home.packs} already: delete those that were fetched."
            found = self._stages[pack] = Building("failed", 0, why)
        elif found.stage in ("none", "failed"):
            found = self._stages[pack] = Building("waiting")
            # Whether there is room for the file itself is seen when it is made.
            with contextlib.suppress(OSError):
                self._home.packs.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._wanted(pack).touch(mode=0o600)
            task = asyncio.create_task(self._build(pack))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return found

    def _full(self) -> bool:
        waiting = sum(one.stage in ("waiting", "building") for one in self._stages.values())
        return waiting + sum(1 for _ in self._home.packs.glob("*.zip")) >= MOST

    async def _build(self, pack: str) -> None:
        try:
            async with self._turn:
                self._stages[pack] = Building("building")
                why = await self._run(pack)
        except OSError as error:
            why = f"{error.strerror}."
        if why:
            log.warning("pack %s: %s", pack, why)
            self._stages[pack] = Building("failed", 0, why)
        else:
            self._stages.pop(pack, None)
        with contextlib.suppress(OSError):
            self._wanted(pack).unlink(missing_ok=True)

    async def _run(self, pack: str) -> str:
        """Empty when it was built, else why not."""
        self._home.packs.mkdir(mode=0o700, parents=True, exist_ok=True)
        out = self._home.packs / f"{pack}.zip"
        program = [sys.executable, "-m", apart.PROGRAM, "evidence", "pack", "--again", pack, "--json"]
        ends, alive = os.pipe()  # `alive` is closed when this server ends: then the other process ends, too
        try:
            child = await asyncio.create_subprocess_exec(
                *program,
                "--home",
                str(self._home.root),
                "--out",
                str(out),
                stdin=ends,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            self._child = child
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, child.pid, NICE)
            _, said = await child.communicate()
        finally:
            self._child = None
            os.close(ends)
            os.close(alive)
        return "" if child.returncode == 0 else _why(said, child.returncode)

    async def close(self) -> None:
        """End what is being built: its process, and those that it started."""
        for task in tuple(self._tasks):
            task.cancel()
        child = self._child
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tidy()


def _why(said: bytes, code: int | None) -> str:
    """What the process said last, in words."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    last = lines[-1] if lines else ""
    try:
        error = json.loads(last)["error"]
        return f"{error['happened']} {error['next']} [{error['code']}]"[:LONGEST]
    except (ValueError, KeyError, TypeError):
        return f"The process that built it ended with {code}. {last}"[:LONGEST]


__all__ = ["Building", "NotBuilt", "PackBuilder"]
