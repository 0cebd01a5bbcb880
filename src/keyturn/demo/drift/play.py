"""The drift story, from a new home to a log that verifies."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

from keyturn.cli.init import create
from keyturn.demo.drift import policy
from keyturn.demo.drift.chapters import CHAPTERS
from keyturn.demo.drift.stage import Stage, shown
from keyturn.demo.drift.told import Told
from keyturn.demo.people import Tell
from keyturn.demo.scratch import DemoFailed
from keyturn.gates.connection import Connection, RemoteService
from keyturn.home import Home
from keyturn.server import Server
from keyturn.service.settings import Settings


def play(folder: Path, home: Home, tell: Tell, *, unattended: bool) -> tuple[Told, ...]:
    """Play every chapter in *home*, which is made; attended, the pages stay open afterwards. Raises `DemoFailed`."""
    create(home, "dana", "Dana, the developer", "enforce", policy=dict(policy.files()))
    return asyncio.run(_play(folder, home, tell, unattended))


async def _play(folder: Path, home: Home, tell: Tell, unattended: bool) -> tuple[Told, ...]:
    work = folder / "project"
    work.mkdir(exist_ok=True)
    (work / "customers.csv").write_text("id,name\n1,Kim\n", encoding="utf-8")
    server = Server(home, Settings(port=0))
    told: list[Told] = []
    async with server.running() as service:
        for person, groups, roles in (
            ("riley", ["reviewers", "policy"], ["member"]),
            ("ada", ["reviewers"], ["member", "admin"]),
        ):
            await service.enrol(
                person, name=person.title(), groups=groups, roles=roles, os_uids=[], by="dana"
            )
        connection = Connection(home.gate_socket)
        stage = Stage(server, service, RemoteService(connection), work, tell)
        try:
            for number, chapter in enumerate(CHAPTERS, 1):
                tell("")
                tell(f"{number}. {(chapter.play.__doc__ or '').strip()}")
                tell(f"   {chapter.area}. The policy says: {chapter.says}")
                began = time.monotonic()
                found = await chapter.play(stage)
                took = int((time.monotonic() - began) * 1000)
                for line in shown(found):
                    tell(line)
                if {one.explanation.grade for one in found} != {chapter.grade}:
                    raise DemoFailed(
                        f"{chapter.name}: what explains it is {chapter.grade}, and something else was said."
                    )
                told.append(
                    Told(
                        chapter.name,
                        chapter.area,
                        tuple(one.kind for one in found),
                        tuple(one.explanation.grade for one in found),
                        took,
                    )
                )
            if not unattended:
                await _look(stage)
        finally:
            await connection.close()
    return tuple(told)


async def _look(stage: Stage) -> None:
    """Let people look at the pages until they have seen enough."""
    code = stage.service.logins.link_code("riley")
    stage.tell("")
    stage.tell("Look at it as Riley (the link works once, for five minutes):")
    stage.tell(f"  {stage.server.url}/login?code={code}")
    stage.tell("and then Findings, Agents, Drift, Retention. Press Enter here when you have seen enough.")
    with contextlib.suppress(EOFError):
        await asyncio.to_thread(input)
