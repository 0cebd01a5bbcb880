"""One supervised run: the session at the server, the supervisor in its thread, the decisions between them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from keyturn.actions import Agent, Attribution, Gate, Human, Text
from keyturn.drift.definition import Definition
from keyturn.drift.tags import carried
from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.connection import Connection, RemoteService
from keyturn.gates.exec import killswitch
from keyturn.gates.exec.clients import client_of
from keyturn.gates.exec.confinement import Standing
from keyturn.gates.exec.decisions import Counts, Decisions, Setting
from keyturn.gates.exec.family import serial
from keyturn.gates.exec.hooked import Hooks
from keyturn.gates.exec.standing import StandingLine
from keyturn.gates.exec.wired import Around, Wired
from keyturn.gates.hooks import places
from keyturn.gates.hooks.authorization import wiring
from keyturn.gates.hooks.definition import captured
from keyturn.gates.hooks.dialects import dialect_of
from keyturn.gates.protocol import Recorded
from keyturn.resources import Surroundings
from keyturn.service.model import Confinement, SessionView

_CODES = {
    "refused": ExitCode.RUN_REFUSED,
    "denied": ExitCode.RUN_DENIED,
    "expired": ExitCode.RUN_EXPIRED,
    "failed": ExitCode.RUN_INTERNAL,
    "unreachable": ExitCode.RUN_UNREACHABLE,
}


class Command(Struct, frozen=True):
    """What is to be run. `agent`: the name of the agent that it is, empty for a command that is asked for itself.

    `client`: the known client that it is, whose hooks ask Keyturn, too, by what is in `hooks`.
    """

    argv: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    agent: str = ""
    parents: tuple[str, ...] = ()
    client: str = ""
    hooks: Hooks | None = None


class ExecSession:
    """The session of *command*, with its gate at the socket *gates*; *tell* shows a line to the person.

    *how* is recorded as what the gate is: `seccomp` or `shims`. A run that is confined asks for its profile, and says so with
    `confine`, before it is opened.
    """

    def __init__(self, gates: Path, command: Command, tell: Callable[[str], None], *, how: str) -> None:
        self._command = command
        self._tell = tell
        self._connection = Connection(gates)
        self._line = StandingLine(gates)
        self._service = RemoteService(self._connection)
        name = f"run:{command.client}" if command.client else "exec"
        self._gate = Gate(f"{name}@{socket.gethostname()}", "cooperative", how)
        home = os.path.realpath(Path.home())
        self._place = places.Place(home, places.workspace(command.cwd, home))
        self._confined = False
        self._view: SessionView | None = None
        self._decisions: Decisions | None = None

    @property
    def around(self) -> Surroundings:
        """Where the command starts."""
        place = self._place
        return Surroundings(
            cwd=self._command.cwd, workspace=place.workspace, home=place.home, protected=wiring(place)
        )

    async def profile(self, name: str) -> Confinement | None:
        """What policy says about commands confined by the profile *name*; its default for an empty one."""
        return await self._service.confinement(name)

    def confine(self, environment: dict[str, str], standing: Standing) -> None:
        """The tree will start with *environment*, behind the walls that are *standing*."""
        self._confined = True
        self._command = replace(self._command, environment=environment)
        self._gate = replace(self._gate, version=f"{self._gate.version}+{standing.mark}")

    async def open(self) -> SessionView:
        """Open the session. Raises `Unreachable`: then nothing may be started."""
        command = self._command
        agent = Agent(
            command.client or command.agent or os.path.basename(command.argv[0]), command.client or "exec"
        )
        uid, place = os.getuid(), self._place
        described = await asyncio.to_thread(self._described, place, uid)
        definition = described.digest if described else None
        self._view = view = await self._service.open_session(
            agent=agent,
            human=None,
            gate=self._gate,
            cwd=command.cwd,
            parents=command.parents,
            definition=definition,
            described=described,
            pid=os.getpid(),
        )
        human = Human(view.human, "os-uid", uid) if view.human else None
        setting = Setting(
            session=view.id,
            gate=self._gate,
            attribution=Attribution(agent=agent, human=human, definition=definition, parents=command.parents),
            around=replace(self.around, cwd="/"),
            baseline=carried(view.tag, view.trace, command.environment),
            uid=uid,
            agent=bool(command.agent or command.client),
            wired=self._wired(place.home, uid),
            confined=self._confined,
        )
        self._decisions = Decisions(
            self._service, self._line, asyncio.get_running_loop(), setting, self._tell
        )
        return view

    def _described(self, place: places.Place, uid: int) -> Definition | None:
        if not self._command.client:
            return None
        return captured(dialect_of(self._command.client), place.workspace, place.home, uid)

    def _wired(self, home: str, uid: int) -> Wired | None:
        command = self._command
        client = client_of(command.client) if command.client else None
        if client is None:
            return None
        temporary = command.environment.get("TMPDIR", "").rstrip("/") or "/tmp"  # noqa: S108
        view = self._view
        started = carried(view.tag, view.trace, command.environment) if view else dict(command.environment)
        return Wired(client, Around(home, temporary, started, uid, command.hooks), serial)

    async def instruct(self, prompt: str) -> None:
        """Record the instruction that the client is about to get."""
        if self._view is not None:
            await self._service.instruct(self._view.id, Text(prompt, "run:--prompt"))

    async def stopped(self) -> str:
        """Wait until somebody stops the session: who and why, in words. Never returns while it is open."""
        assert self._view is not None
        return await killswitch.stopped(self._connection, self._view.id)

    @property
    def decisions(self) -> Decisions:
        """Who decides. Only after `open`."""
        assert self._decisions is not None
        return self._decisions

    @property
    def counts(self) -> Counts:
        """What was decided so far."""
        return self.decisions.counts

    def exit_code(self, code: int) -> int:
        """The child's *code*, or one of Keyturn's own when the first program was not allowed to start."""
        ended = self.decisions.not_started
        return code if ended is None else _CODES.get(ended.state, code)

    async def close(self, code: int | None, why: str, recording: Recorded | None = None) -> int | None:
        """Report, close with the closing count and the *recording*'s digest, hang up; the count, None when it can't be closed."""
        try:
            await self.decisions.finished(code)
            view = await self._service.close_session(self._view.id, why, recording) if self._view else None
            return view.entries if view else None
        except KeyturnError as error:
            self._tell(f"the session could not be closed: {error.happened}")
            return None
        finally:
            self._line.close()
            await self._connection.close()


def agent_environment(environment: Mapping[str, str], session: SessionView, variable: str) -> dict[str, str]:
    """*environment* for what is supervised: it knows its session, carries its tag, and has no person's token."""
    kept = {name: value for name, value in environment.items() if name != "KEYTURN_TOKEN_FILE"}
    return {**carried(session.tag, session.trace, kept), variable: session.id}


__all__ = ["Command", "ExecSession", "agent_environment"]
