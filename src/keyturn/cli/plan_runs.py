"""`keyturn plan run`: reading the file, and saying how it went."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tomllib
from pathlib import Path

import msgspec

from keyturn.cli.running import SESSION_VARIABLE
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import Malformed
from keyturn.gates.connection import Connection, RemoteService
from keyturn.gates.planned import Ended, PlanFile, PlanRun
from keyturn.home import Home


def read_plan(file: Path) -> PlanFile:
    """The plan in *file*. Raises `Malformed`, `OSError`."""
    raw = file.read_bytes()
    try:
        if file.suffix == ".json":
            return msgspec.json.decode(raw, type=PlanFile)
        return msgspec.convert(tomllib.loads(raw.decode("utf-8")), PlanFile)
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{file} is no plan: {error}.") from error


def run_file(file: Path, home: Home, as_json: bool) -> int:
    """Propose it, wait, run it; gives the exit code of the command that failed, 0 when none did."""
    plan = read_plan(file)
    ended = asyncio.run(_run(plan, home, as_json))
    if as_json:
        say_json(msgspec.to_builtins(ended))
    return ended.failed if ended.failed >= 0 else 128 - ended.failed


async def _run(plan: PlanFile, home: Home, as_json: bool) -> Ended:
    connection = Connection(home.gate_socket)
    parent = os.environ.get(SESSION_VARIABLE)
    run = PlanRun(
        RemoteService(connection),
        host=socket.gethostname(),
        cwd=str(Path.cwd()),
        home=os.path.realpath(Path.home()),
        parents=(parent,) if parent else (),
        output=sys.__stderr__.fileno() if as_json and sys.__stderr__ else None,
        tell=lambda words: say(visible(words), err=True),
    )
    try:
        return await run.go(plan)
    finally:
        await connection.close()
