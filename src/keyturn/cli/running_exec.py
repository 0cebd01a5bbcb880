"""`keyturn run` of a command that is no known client: every program of its tree is asked for before it starts."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from keyturn.cli.client import home_of
from keyturn.cli.running import SESSION_VARIABLE, NoProgram, NotStarted, Wanted
from keyturn.cli.terminal import noted
from keyturn.gates.connection import ServerSaid, Unreachable
from keyturn.gates.drivers.launch import NoGate
from keyturn.gates.drivers.process import FORWARDED, Child
from keyturn.gates.exec.clients import client_of
from keyturn.gates.exec.confinement import ASIDE, Confined, NoEnvelope, Standing
from keyturn.gates.exec.hooked import Hooks
from keyturn.gates.exec.recording import recording_path
from keyturn.gates.exec.screen import Screen, on_a_terminal
from keyturn.gates.exec.session import Command, ExecSession, agent_environment
from keyturn.gates.exec.shims import NotThere, Shims, found
from keyturn.gates.exec.supervisor import Child as SupervisedChild
from keyturn.gates.exec.supervisor import NotConfined, NotSupervised, Supervisor, support
from keyturn.gates.protocol import Recorded
from keyturn.home import Home

UNGATED = (
    "Programs can't be stopped here as they start ({why}), so only those that PATH finds ask Keyturn: level "
    "cooperative. One that is started by its whole path is not seen."
)


UNGATED_CLIENT = (
    "Programs can't be stopped here as they start ({why}), so only its hooks ask Keyturn: level cooperative."
)
UNLISTED_CLIENT = (
    "What {client} starts to live is not described here, so only its hooks ask Keyturn: level cooperative."
)


class Summary(Struct):
    """What came of a run. `entries` is the session's closing count, None when the session could not be closed.

    `envelope` says which walls stood around it, None for none.
    """

    session: str
    client: str
    mode: str
    exit_code: int = 0
    envelope: Standing | None = None
    entries: int | None = None
    predicted: int = 0
    remembered: int = 0
    allowed: int = 0
    approved: int = 0
    refused: int = 0
    own: int = 0
    begun: int = 0


class ClientRun(Struct, frozen=True):
    """A known client with its hooks wired: its name, how they were wired, what to start, and what they start."""

    name: str
    mode: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    hooks: Hooks | None


def ungated(client: str) -> str:
    """Why *client* can't be run under the exec gate here, in words; empty when it can."""
    offered = support()
    if client_of(client) is None:
        return UNLISTED_CLIENT.format(client=client)
    if offered.user_notification and offered.verified:
        return ""
    return UNGATED_CLIENT.format(why="; ".join(offered.why) or "the kernel refuses")


def running_client(wanted: Wanted, home: Home, gates: Path, client: ClientRun) -> Summary:
    """Run a known client under the exec gate. Raises `NotStarted`, `NoProgram`."""
    return asyncio.run(_Run(wanted, home, gates, client).go())


def running_exec(wanted: Wanted) -> int:
    """Run it; the exit code. Raises `NotStarted`, `NoProgram`, `NoGate`, `NoEnvelope`."""
    home = home_of(wanted.home)
    gates = Path(os.path.abspath(wanted.socket)) if wanted.socket else home.gate_socket  # noqa: PTH100
    summary = asyncio.run(_Run(wanted, home, gates).go())
    if wanted.as_json:
        click.echo(msgspec.json.encode(summary).decode())
    return summary.exit_code


class _Run:
    """One run, from the session's opening to its closing."""

    def __init__(self, wanted: Wanted, home: Home, gates: Path, client: ClientRun | None = None) -> None:
        self._wanted = wanted
        self._client = client
        self._home = home
        parent = os.environ.get(SESSION_VARIABLE)
        self._command = Command(
            argv=client.argv if client else wanted.command,
            environment=client.environment if client else dict(os.environ),
            cwd=os.path.realpath(Path.cwd()),
            agent=wanted.agent,
            parents=(parent,) if parent else (),
            client=client.name if client else "",
            hooks=client.hooks if client else None,
        )
        self._offered = offered = support()
        self._verifies = offered.user_notification and offered.verified
        how = "seccomp" if self._verifies else "shims"
        how = f"{client.mode}+{how}" if client else how
        self._session = ExecSession(gates, self._command, self._note, how=how)
        self._confined: Confined | None = None
        self._screen: Screen | None = None
        self._signal: Callable[[int], None] | None = None
        self._summary = Summary("", client.name if client else "exec", client.mode if client else "shims")

    async def go(self) -> Summary:
        """Run the command inside its session."""
        try:
            await self._confine()
            return await self._go()
        finally:
            if self._confined is not None:
                for path in await asyncio.to_thread(self._confined.clear):
                    self._note(
                        f"{path} appeared, which programs outside would obey: it is {path}{ASIDE} now."
                    )

    async def _confine(self) -> None:
        """Work out the envelope that was asked for, or that policy has for every command; a client's hooks must reach us."""
        if self._client is not None:
            return
        try:
            told = await self._session.profile(self._wanted.confine)
        except Unreachable as error:
            raise NotStarted(error.happened) from error
        except ServerSaid as error:
            raise NoEnvelope(error.happened, next_step=error.do_next) from error
        if told is None:
            return
        own = (str(self._home.root), os.path.realpath(self._home.root), *self._session.around.protected)
        self._confined = confined = await asyncio.to_thread(
            Confined, told, self._session.around, own, self._offered
        )
        self._command = replace(self._command, environment=confined.environment(self._command.environment))
        self._session.confine(self._command.environment, confined.standing)
        self._summary.envelope = confined.standing
        self._note(confined.standing.words)

    async def _go(self) -> Summary:
        loop = asyncio.get_running_loop()
        try:
            view = await self._session.open()
        except Unreachable as error:
            raise NotStarted(error.happened) from error
        self._summary.session = view.id
        if self._client is not None and self._wanted.prompt is not None:
            await self._session.instruct(self._wanted.prompt)
        for number in FORWARDED:
            loop.add_signal_handler(number, self._signalled, number)
        code: int | None = None
        try:
            environment = agent_environment(self._command.environment, view, SESSION_VARIABLE)
            if self._verifies:
                code = await self._supervised(environment)
            else:
                self._note(UNGATED.format(why="; ".join(self._offered.why) or "the kernel refuses"))
                code = await self._shimmed(environment)
            self._summary.exit_code = self._session.exit_code(code)
        finally:
            for number in FORWARDED:
                loop.remove_signal_handler(number)
            await self._close(code)
        return self._summary

    async def _supervised(self, environment: dict[str, str]) -> int:
        if self._client is None:
            self._summary.mode = "supervised"
        decisions = self._session.decisions
        program = self._program(environment)
        supervisor = Supervisor(decisions.decide, killed=decisions.killed)
        decisions.revoking.orphans = supervisor.orphans
        try:
            try:
                child = self._started(supervisor, program, environment)
            except NotConfined as error:
                raise NoEnvelope(f"A wall that was asked for can't be built: {error.strerror}.") from error
            except NotSupervised as error:
                raise NoGate(f"The gate could not be set up: {error.strerror}.") from error
            self._signal = lambda number: _tell(child.pid, number)
            await self._ended_or_stopped(_ended(child.pid), child.kill_tree)
            code = await asyncio.to_thread(child.wait)
            self._signal = None
            await asyncio.to_thread(child.kill_tree)
            return code
        finally:
            await asyncio.to_thread(supervisor.close)

    def _started(self, supervisor: Supervisor, program: str, environment: dict[str, str]) -> SupervisedChild:
        argv, cwd = [program, *self._command.argv[1:]], self._command.cwd
        build = self._confined.build if self._confined else None
        if not on_a_terminal():
            return supervisor.start(argv, environment, cwd, envelope=build)
        path = recording_path(self._home.root, self._summary.session)
        self._screen = screen = Screen(path, shlex.join(self._command.argv))
        side = screen.slave
        child = supervisor.start(
            argv, environment, cwd, envelope=build, stdin=side, stdout=side, stderr=side, terminal=True
        )
        screen.begin()
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, screen.resized)
        return child

    def _program(self, environment: dict[str, str]) -> str:
        try:
            return found(self._command.argv[0], environment.get("PATH", os.defpath), "")
        except NotThere as error:
            raise NoProgram(f"There is no program {self._command.argv[0]!r}.") from error

    async def _shimmed(self, environment: dict[str, str]) -> int:
        with tempfile.TemporaryDirectory(prefix="shims-", dir=self._home.run) as folder:
            async with Shims(Path(folder), self._session.decisions, environment) as shims:
                argv = shims.argv(self._program(environment), self._command.argv)
                return await self._as_child(argv, shims.environment(environment))

    async def _as_child(self, argv: list[str], environment: dict[str, str]) -> int:
        child = await Child.start(argv, environment, terminal=True)
        self._signal = child.tell
        try:
            await self._ended_or_stopped(child.wait(), lambda: child.tell(signal.SIGKILL))
            return await child.wait() or 0
        finally:
            self._signal = None
            await child.clean_up()

    async def _ended_or_stopped(self, ended: Awaitable[object], kill: Callable[[], object]) -> None:
        """Until the command has *ended*; when somebody stops the session first, *kill* ends it."""
        end, stop = asyncio.ensure_future(ended), asyncio.ensure_future(self._session.stopped())
        try:
            await asyncio.wait((end, stop), return_when=asyncio.FIRST_COMPLETED)
            if not end.done() and stop.done() and stop.exception() is None:
                self._note(stop.result())
                await asyncio.to_thread(kill)
            await end
        finally:
            stop.cancel()
            await asyncio.gather(stop, return_exceptions=True)

    async def _close(self, code: int | None) -> None:
        recorded: Recorded | None = None
        if self._screen is not None:
            recording = await asyncio.to_thread(self._screen.end, -1 if code is None else code)
            self._screen = None
            self._note(recording.trouble or f"recorded in {recording.path}")
            if recording.size:
                recorded = Recorded(recording.digest, recording.size, recording.trouble)
        why = f"The command ended with exit code {code}." if code is not None else "The run failed."
        self._summary.entries = await self._session.close(code, why, recorded)
        for name, value in msgspec.structs.asdict(self._session.counts).items():
            setattr(self._summary, name, value)

    def _signalled(self, number: int) -> None:
        """Signals are the child's own business."""
        if self._signal is not None:
            self._signal(number)

    def _note(self, words: str) -> None:
        line = noted(words)
        if self._screen is not None:
            self._screen.told(line, lambda shown: click.echo(shown, err=True))
        else:
            click.echo(line, err=True)


async def _ended(pid: int) -> None:
    """Wait until *pid* has ended, without waitpid(2): that would take the stops that the supervisor waits for."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    watched = os.pidfd_open(pid)
    loop.add_reader(watched, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)


def _tell(pid: int, number: int) -> None:
    """Pass a signal on, unless the terminal gave it to everyone in front of it already."""
    if number in (signal.SIGINT, signal.SIGQUIT) and os.isatty(0):
        return
    with suppress(ProcessLookupError):
        os.kill(pid, number)


__all__ = ["running_exec"]
