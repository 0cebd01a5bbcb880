"""What `keyturn run` does: choose how, open the session, run the client, close the session, pass the code on."""

from __future__ import annotations

import asyncio
import os
import posixpath
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from keyturn.cli.client import home_of
from keyturn.cli.terminal import noted
from keyturn.drift.tags import carried
from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.connection import Connection, RemoteService, Unreachable
from keyturn.gates.drivers import launch
from keyturn.gates.drivers.acp import Acp
from keyturn.gates.drivers.codex_app_server import CodexAppServer
from keyturn.gates.drivers.drive import Drive
from keyturn.gates.drivers.model import Ask, Driver, DriverError, Ended, Observed, Said, Verdict
from keyturn.gates.drivers.opencode_server import OpencodeServer
from keyturn.gates.drivers.process import ENDING, FORWARDED, Child
from keyturn.gates.drivers.session import DrivenSession
from keyturn.gates.drivers.transport import OpencodeTransport, StdioTransport
from keyturn.gates.exec.hooked import Hooks
from keyturn.gates.hooks import install
from keyturn.gates.hooks.dialects import dialect_of
from keyturn.gates.hooks.wiring import CLIENT_FILE, Scope, Wire
from keyturn.home import Home

SESSION_VARIABLE = "KEYTURN_SESSION"
"""In the agent's environment: the session that a nested `keyturn run` names as its parent."""

_SCOPES: tuple[Scope, ...] = ("managed", "user", "project")

SERVE_SECONDS = 180.0
"""How long an opencode server may take to listen."""

GONE_SECONDS = 2.0
"""How long a client that closed its output may take to end, for its exit code."""


class NotStarted(KeyturnError):
    """The server can't be reached, so no agent is started."""

    code = "run.unreachable"
    status = 503
    exit_code = ExitCode.RUN_UNREACHABLE
    not_done = "Nothing was started and nothing ran."
    next_step = "Start the server with `keyturn serve`, then run it again."


class NoProgram(KeyturnError):
    """The command can't be started."""

    code = "run.no_program"
    status = 400
    exit_code = ExitCode.RUN_USAGE
    not_done = "Nothing ran."
    next_step = "Check the command after `--`."


class Wanted(Struct, frozen=True):
    """The command line."""

    client: str
    prompt: str | None
    home: str | None
    socket: str | None
    as_json: bool
    command: tuple[str, ...]
    agent: str = ""
    exec_gate: bool = True
    confine: str = ""


class Summary(Struct):
    """What came of a run. `entries` is the session's closing count, None when the session could not be closed.

    `unfinished` allowed actions had not ended when the client did, and were ended with it.
    """

    session: str
    client: str
    mode: str
    exit_code: int = 0
    ended: str = ""
    entries: int | None = None
    allowed: int = 0
    refused: int = 0
    unasked: int = 0
    unfinished: int = 0
    said: str = ""


def running(wanted: Wanted) -> int:
    """Run it; the exit code. Raises `NotStarted`, `NoGate`, `SelfGranting`, `HooksMissing`, `NoProgram`."""
    known = launch.client_of(wanted.command) if wanted.client == "auto" and not wanted.agent else None
    name = wanted.client if wanted.client not in ("auto", "none") else known
    if name is None:
        from keyturn.cli.running_exec import running_exec

        if wanted.prompt is not None:
            raise launch.NoGate(
                f"{wanted.command[0]!r} is not an agent client that is known, so it can't be given an instruction."
            )
        return running_exec(wanted)
    if wanted.confine:
        raise launch.NoGate(
            f"{name} is wired by its own hooks, which could not ask from within an envelope.",
            next_step="Leave --confine out, or treat it like any other command with --client none.",
        )
    home = home_of(wanted.home)
    gates = Path(os.path.abspath(wanted.socket)) if wanted.socket else home.gate_socket  # noqa: PTH100
    with ExitStack() as stack:
        plan = _plan(name, wanted, home, gates, stack)
        launch.write(plan)
        summary = _gated(name, wanted, home, gates, plan) or asyncio.run(_Run(name, wanted, gates, plan).go())
    if wanted.as_json:
        click.echo(msgspec.json.encode(summary).decode())
    return summary.exit_code


def _gated(name: str, wanted: Wanted, home: Home, gates: Path, plan: launch.Launch) -> Any:
    """What came of it under the exec gate; None where that is not to be or can't be, which is said."""
    from keyturn.cli.running_exec import ClientRun, running_client, ungated

    if plan.mode == "driven":
        return None
    why = (
        ungated(name) if wanted.exec_gate else "It runs without the exec gate, so only its hooks ask Keyturn."
    )
    if why:
        click.echo(f"keyturn: {why}", err=True)
        return None
    wire = plan.wire or _installed_wire(name, home)
    hooks = Hooks.of(name, wire) if wire is not None else None
    environment = in_bash(changed_environment(os.environ, plan.environment))
    return running_client(wanted, home, gates, ClientRun(name, plan.mode, plan.argv, environment, hooks))


def in_bash(environment: dict[str, str]) -> dict[str, str]:
    """*environment* with bash as the shell: the exec gate knows how clients start commands in that one only."""
    shell, bash = environment.get("SHELL", ""), shutil.which("bash", path="/bin:/usr/bin")
    if bash is None or posixpath.basename(shell) in ("", "bash"):
        return environment
    click.echo(f"keyturn: the client's commands run in {bash}, not in {shell}.", err=True)
    return {**environment, "SHELL": bash}


def changed_environment(before: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """*before* with *changes*: None removes."""
    kept = {name: value for name, value in before.items() if name not in changes}
    return {**kept, **{name: value for name, value in changes.items() if value is not None}}


def _plan(name: str, wanted: Wanted, home: Home, gates: Path, stack: ExitStack) -> launch.Launch:
    installed = _installed_wire(name, home) is not None
    drives = wanted.prompt is not None and name in launch.PROTOCOLS
    if name in launch.ASKS_TWICE and installed:
        drives = False
    launch.check_options(name, wanted.command, driven=drives)
    if drives:
        return launch.driven(name, wanted.command, _free_port(), os.environ)
    argv = launch.prompted(name, wanted.command, wanted.prompt)
    if installed:
        return launch.Launch("installed", argv)
    folder = _folder(home, stack)
    wire = Wire(_interpreter(), _script(folder), str(gates))
    return msgspec.structs.replace(launch.hooked(name, argv, folder, wire, os.environ), wire=wire)


def _folder(home: Home, stack: ExitStack) -> str:
    """The run's own folder, inside Keyturn's home: an agent may write to temporary folders, but not there."""
    try:
        return stack.enter_context(tempfile.TemporaryDirectory(prefix="wiring-", dir=home.run))
    except OSError as error:
        raise launch.HooksMissing(
            f"A run's hooks have to lie in Keyturn's home, and {home.run} can't be written ({error.strerror}).",
            next_step="Run `keyturn hook install` for this client, or give the instruction with --prompt.",
        ) from error


def _installed_wire(name: str, home: Home) -> Wire | None:
    """What the client's installed hooks run, for this user, this folder or everybody, if they are as they were written."""
    place = install.Place(str(Path.home()), str(Path.cwd()), str(home.root))
    for scope in _SCOPES:
        try:
            found = install.status(name, scope, place)
            if found.installed and not found.changed and not found.left:
                return install.wire_of(name, scope, place)
        except KeyturnError:
            continue  # a home that is another account's: what it installed can't be told from here
    return None


def _interpreter() -> str:
    system = Path("/usr/bin/python3")
    return str(system) if system.exists() else sys.executable


def _script(folder: str) -> str:
    """The hook client's own copy for this run."""
    from keyturn.gates.hooks import client

    path = Path(folder) / CLIENT_FILE
    path.write_bytes(Path(client.__file__).read_bytes())
    path.chmod(0o500)
    return str(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Run:
    """One run, from the session's opening to its closing."""

    def __init__(self, name: str, wanted: Wanted, gates: Path, plan: launch.Launch) -> None:
        self._name = name
        self._wanted = wanted
        self._plan = plan
        self._connection = Connection(gates)
        parent = os.environ.get(SESSION_VARIABLE)
        protocol = launch.PROTOCOLS[name] if plan.mode == "driven" else plan.mode
        self._session = DrivenSession(
            RemoteService(self._connection),
            dialect_of(name),
            protocol=protocol,
            host=socket.gethostname(),
            cwd=str(Path.cwd()),
            home=os.path.realpath(Path.home()),
            parents=(parent,) if parent else (),
        )
        self._summary = Summary("", name, plan.mode)
        self._child: Child | None = None
        self._early: list[int] = []
        self._carried: dict[str, str] = {}

    async def go(self) -> Summary:
        """Run the client inside its session."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in FORWARDED:
            loop.add_signal_handler(number, self._signalled, number, task)
        try:
            await self._open()
            await (self._driven() if self._plan.mode == "driven" else self._as_child())
        except asyncio.CancelledError:
            self._summary.ended = "It was interrupted."
            self._summary.exit_code = 130
        finally:
            await self._close()
            for number in FORWARDED:
                loop.remove_signal_handler(number)
        return self._summary

    async def _open(self) -> None:
        try:
            view = await self._session.open(os.getpid())
        except Unreachable as error:
            raise NotStarted(error.happened) from error
        self._summary.session = view.id
        self._carried = carried(view.tag, view.trace, os.environ)
        if self._wanted.prompt is not None:
            await self._session.instruct(self._wanted.prompt)

    def _signalled(self, number: int, task: asyncio.Task[Any] | None) -> None:
        """Signals are a child's own business; a driven client is stopped by us, once."""
        if self._plan.mode != "driven":
            if self._child is not None:
                self._child.tell(number)
            else:
                self._early.append(number)
        elif number in ENDING and not self._early and task is not None:
            self._early.append(number)
            task.cancel()

    async def _close(self) -> None:
        why = self._summary.ended or f"The agent ended with exit code {self._summary.exit_code}."
        try:
            view = await self._session.close(why)
            self._summary.entries = view.entries if view else None
        except KeyturnError as error:
            self._note(f"The session could not be closed: {error.happened}")
        self._summary.unfinished = self._session.unfinished
        if self._summary.unfinished:
            self._note(
                f"{self._summary.unfinished} allowed had not ended when the client did: see the receipts."
            )
        await self._connection.close()

    # --- as a child with hooks --------------------------------------------------------------------

    async def _as_child(self) -> None:
        if self._plan.mode == "installed":
            self._note(f"{self._name}'s installed hooks ask Keyturn.")
        self._child = await self._start(terminal=True)
        for number in self._early:
            self._child.tell(number)
        try:
            self._summary.exit_code = await self._child.wait() or 0
        finally:
            await self._child.clean_up()

    # --- driven -------------------------------------------------------------------------------------

    async def _driven(self) -> None:
        child = await self._start(terminal=False)
        core = self._core()
        transport: Any = None
        try:
            transport = await self._transport(child)
            drive = Drive(core, transport, self._session, heard=self._heard, decided=self._decided)
            self._take(await drive.run(), await child.wait(GONE_SECONDS) if drive.gone else None)
        finally:
            if isinstance(transport, OpencodeTransport):
                transport.close()
            await child.clean_up()

    def _take(self, ended: Ended, code: int | None) -> None:
        self._summary.ended = ended.why
        if ended.ok:
            return
        self._summary.exit_code = code or ExitCode.RUN_INTERNAL
        error = DriverError(ended.why or "The client ended.")
        click.echo(f"keyturn: {error.happened} {error.not_done} [{error.code}]", err=True)

    def _core(self) -> Driver:
        cwd, prompt = os.path.realpath(Path.cwd()), self._wanted.prompt or ""
        if self._name == "codex":
            return CodexAppServer(cwd, prompt)
        if self._name == "opencode":
            return OpencodeServer(cwd, prompt)
        return Acp(self._name, cwd, prompt)

    async def _transport(self, child: Child) -> Any:
        if self._name != "opencode":
            stdin, stdout = child.pipes
            return StdioTransport(stdin, stdout)
        transport = OpencodeTransport(int(self._plan.argv[-1]), self._password, os.path.realpath(Path.cwd()))
        try:
            async with asyncio.timeout(SERVE_SECONDS):
                await child.said("listening on")
        except (TimeoutError, EOFError) as error:
            raise DriverError("opencode's server did not begin to listen.") from error
        await transport.connect()
        return transport

    async def _start(self, *, terminal: bool) -> Child:
        environment = changed_environment(
            {**self._carried, SESSION_VARIABLE: self._summary.session}, self._plan.environment
        )
        environment.pop("KEYTURN_TOKEN_FILE", None)  # a person's token is nothing for an agent
        if self._name == "opencode" and not terminal:
            self._password = secrets.token_urlsafe(24)
            environment["OPENCODE_SERVER_PASSWORD"] = self._password
        try:
            return await Child.start(self._plan.argv, environment, terminal=terminal)
        except OSError as error:
            raise NoProgram(f"{self._plan.argv[0]!r} can't be started: {error.strerror}.") from error

    # --- what is shown ------------------------------------------------------------------------------

    def _heard(self, said: Said) -> None:
        if said.thought:
            return
        self._summary.said += said.text
        if not self._wanted.as_json:
            click.echo(said.text, nl=self._name == "codex")

    def _decided(self, ask: Ask | Observed, verdict: Verdict) -> None:
        if isinstance(ask, Observed):
            self._summary.unasked += 1
        elif verdict.allow:
            self._summary.allowed += 1
        else:
            self._summary.refused += 1
        tool = ask.proposals[0].tool if ask.proposals else "call"
        self._note(f"{tool}: {'allowed' if verdict.allow else verdict.words}")

    def _note(self, words: str) -> None:
        if not self._wanted.as_json:
            click.echo(noted(words), err=True)
