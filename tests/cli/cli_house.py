"""The command line as people use it: run in this process where that is the same, in one of its own where it isn't."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server_process import GateClient, Process

from keyturn.cli import main
from keyturn.cli.client import Client
from keyturn.cli.init import create
from keyturn.home import Home

QUIET = {"KEYTURN_PORT": "0", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """Its error, when it was asked for JSON."""
        found: dict[str, str] = json.loads(self.err)["error"]
        return found

    @property
    def all(self) -> str:
        """Both streams."""
        return self.out + self.err


def environment(**more: str) -> dict[str, str]:
    """The environment without anything of Keyturn, and *more*."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith("KEYTURN_")}, **QUIET, **more}


def keyturn(*arguments: object, env: dict[str, str] | None = None) -> Said:
    """Run `keyturn` in this process, with neither input nor terminal."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before, stdin = dict(os.environ), sys.stdin
    os.environ.clear()
    os.environ.update(environment(**(env or {})))
    sys.stdin = io.TextIOWrapper(io.BytesIO(), "utf-8")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main([str(one) for one in arguments])
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.stdin = stdin
    return Said(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))  # type: ignore[attr-defined]


def process(*arguments: object, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
    """Start `keyturn` as a process of its own."""
    command = [sys.executable, "-m", "keyturn", *map(str, arguments)]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
    return subprocess.Popen(command, env=environment(**(env or {})), **options)


def in_process_of_its_own(*arguments: object, env: dict[str, str] | None = None) -> Said:
    """Run `keyturn` as a process of its own, to its end."""
    started = process(*arguments, env=env, stdin=subprocess.DEVNULL)
    out, err = started.communicate(timeout=120)
    return Said(started.returncode, out, err)


class House:
    """A home, its server, Dana whose agent asks, Riley and Robin who review, Nemo who does not."""

    def __init__(self, server: Process) -> None:
        self.server = server
        self.home: Home = server.home
        self.tokens = self.home.root.parent / "people"
        self.tokens.mkdir(exist_ok=True)
        self._dana = (self.home.tokens / "dana").read_text().strip()

    def enrol(self, person: str, *groups: str) -> Path:
        """Enrol somebody; the file that holds their token."""
        token = Client(self.home, self._dana).post("/v1/people", {"id": person, "groups": groups})["token"]
        file = self.tokens / person
        file.touch(mode=0o600)
        file.write_text(token + "\n")
        return file

    def keyturn(self, *arguments: object, by: str = "dana", env: dict[str, str] | None = None) -> Said:
        """Run `keyturn` in this process, as one of the people."""
        return keyturn(*arguments, env={**self.environment(by), **(env or {})})

    def environment(self, by: str = "dana") -> dict[str, str]:
        """What a person has to export."""
        file = self.home.tokens / "dana" if by == "dana" else self.tokens / by
        return {"KEYTURN_HOME": str(self.home.root), "KEYTURN_TOKEN_FILE": str(file)}

    def ask(self, command: str = "", **changes: Any) -> str:
        """Let an agent of Dana's ask for something that is held; the request's id."""
        gate = GateClient(self.home)
        try:
            outcome = gate.authorize(command or f"rm -r build{next(_NUMBERS)}", **changes).outcome
        finally:
            gate.close()
        assert outcome is not None
        assert outcome.request, outcome
        return outcome.request

    def digest(self, request: str) -> str:
        """What `show` prints for it."""
        line = self.keyturn("show", request, by="riley").out.splitlines()[-1]
        return line.rpartition("digest ")[2]


@contextlib.contextmanager
def furnished(folder: Path, policy: dict[str, bytes] | None = None, mode: str = "enforce") -> Iterator[House]:
    """A home with people and its running server."""
    home = Home(folder / "home")
    create(home, "dana", "Dana", mode, policy=policy)
    server = Process(home, environ=environment())
    try:
        house = House(server.start())
        for person, groups in (("riley", ("reviewers", "policy")), ("robin", ("reviewers",)), ("nemo", ())):
            house.enrol(person, *groups)
        yield house
    finally:
        server.stop()
