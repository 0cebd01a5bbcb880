"""The server: opens a home, puts the rooms together, listens. A composition root; no rule lives here."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from keyturn import __version__, metrics
from keyturn.app import make_app
from keyturn.channels.building import Channels, build
from keyturn.channels.commenting import Commenter
from keyturn.channels.notices.desk import ChatDesk
from keyturn.channels.notices.outbox import Outbox
from keyturn.channels.peers import PeerProtocol
from keyturn.channels.sinks import Sinks
from keyturn.channels.sinks import build as build_sinks
from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.hooks.desk import DeskSettings, HookDesk
from keyturn.gates.remote import Lines, context, serve_remote_gates
from keyturn.gates.socket import serve_gates
from keyturn.home import Home
from keyturn.ledger import Lagged, Ledger
from keyturn.ledger.entries import Entry
from keyturn.service import allowing, drills, erasing, genesis, logging_redaction, requests, second_look
from keyturn.service.attestation import read_roots
from keyturn.service.authority import Authority
from keyturn.service.conditions import oncall
from keyturn.service.conditions.sources import Sources
from keyturn.service.core import Core, NoPolicy
from keyturn.service.detectors import FOLLOWERS
from keyturn.service.following import Following
from keyturn.service.heartbeats import Heartbeats
from keyturn.service.keyturn import Keyturn
from keyturn.service.machine_settings import address_of
from keyturn.service.pack_building import PackBuilder
from keyturn.service.projections import fold
from keyturn.service.settings import Settings, load, store_url
from keyturn.service.testing_controls import TestingControls
from keyturn.service.workloads import Workloads
from keyturn.store import open_store

log = logging.getLogger("keyturn")

DECAY_SECONDS = 6 * 3600.0
"""Between looks for rules that nobody uses."""
LONGEST_NAP = 60.0
"""Seconds after which deadlines are looked at in any case: a clock that was set is noticed."""


CONCERN_LINES = frozenset(
    (
        "credential.rotated", "credential.revoked", "gate.enrolled", "gate.removed", "person.changed", "person.removed",
    )
)  # fmt: skip
"""Entries after which a credential may stand no more."""


class InUse(KeyturnError):
    """The address or the home is taken by another server."""

    code = "server.in_use"
    status = 503
    exit_code = ExitCode.USAGE
    not_done = "The server did not start."
    next_step = "Stop the other server (`keyturn doctor` names it), or set another `port`."


def open_service(home: Home, settings: Settings) -> Keyturn:
    """The use cases over *home*'s ledger, as its one writer. Raises `HomeMissing`, `StoreInUse`, `LedgerDamaged`…"""
    if not home.exists:
        raise genesis.HomeMissing(f"{home.root} is not a Keyturn home.")
    redaction_key = genesis.redaction_key(home)
    store = open_store(store_url(home, settings))
    try:
        origin = (home.keys / "origin").read_text(encoding="utf-8").strip()
        ledger = Ledger.open(store, genesis.read_key(home.log_key), origin, fold)
    except BaseException:
        store.close()
        raise
    core = Core(
        ledger,
        genesis.read_key(home.permit_key),
        settings,
        protected=tuple({str(home.root), str(home.root.resolve())}),
    )
    core.redact_with(redaction_key)
    core.observe = metrics.observe
    core.recordings = home.recordings
    core.attestation_roots = read_roots(home.attestation)
    core.sources = Sources(home.root)
    return Keyturn(core)


class Server:
    """One running server. `url` is known once it listens."""

    def __init__(self, home: Home, settings: Settings | None = None) -> None:
        self.home = home
        self.settings = settings or load(home.root)
        self.url = ""
        self.following: Following | None = None
        self.sinks: Sinks | None = None

    def run(self, ready: Callable[[str], None] = lambda url: None) -> None:
        """Serve until SIGINT or SIGTERM. *ready* is called with the page's address once everything listens."""
        try:
            import uvloop

            runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        except ImportError:  # uvloop has no build for this platform; asyncio's own loop does the same, slower
            runner = asyncio.Runner()
        with runner:
            runner.run(self._main(ready))

    async def _main(self, ready: Callable[[str], None]) -> None:
        async with self.running():
            _calm_collector()
            ready(self.url)
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop.set)
            await stop.wait()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Keyturn]:
        """Everything opened and listening for as long as the context lasts."""
        genesis.make_folders(self.home)
        looking = second_look.looks(self.home.root, self.settings.redaction)
        service = open_service(self.home, self.settings)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(service.core.ledger.close)
            stack.enter_context(logging_redaction.redacted(service.core.redaction))
            desk = HookDesk(service, _desk_settings(service.core))
            gates = await self._listen_gates(service, desk)
            stack.callback(gates.close)
            channels = self._channels()
            chats = ChatDesk(service.core, service, self._link)
            await self._listen_http(service, stack, channels, chats)
            lines = await self._listen_remote(service, stack)
            service.packs = PackBuilder(self.home)
            stack.push_async_callback(service.packs.close)
            self.following = Following(service.core, FOLLOWERS)
            evidence = self.settings.evidence
            heartbeats = Heartbeats(service.core, evidence.heartbeat)
            service.testing = TestingControls(
                service.core, self.home.root, evidence, failed=metrics.run_failed
            )
            outbox = Outbox(service.core, channels.made, self._link)
            self.sinks = build_sinks(
                self.home.root,
                self.settings.sink,
                service.core.ledger,
                service.core.full,
                functools.partial(_began, service.core),
            )
            for channel in channels.made:
                await channel.listen(chats)
            for work in (
                _pump(service, lines.look, heartbeats),
                heartbeats.run(),
                service.testing.run(),
                _workloads(service).keep(),
                _expire(service),
                _drills(service),
                _decay(service),
                *([second_look.run(service.core, looking)] if looking else []),
                *([Commenter(service.core, self.settings.comment).run()] if self.settings.comment else []),
                oncall.watch(service.core),
                outbox.run(),
                self.sinks.run(),
                self.following.run(),
                erasing.run(service.core),
                desk.keep_listing(),
            ):
                stack.push_async_callback(_cancelled, asyncio.create_task(work))
            self._announce()
            stack.callback(self._forget)
            yield service

    async def _listen_gates(self, service: Keyturn, desk: HookDesk) -> asyncio.AbstractServer:
        path = self.home.gate_socket
        _clear_socket(path)
        with _private_files():
            return await serve_gates(str(path), service, desk.handle, _log_failure, desk.starts)

    async def _listen_remote(self, service: Keyturn, stack: contextlib.AsyncExitStack) -> Lines:
        """The TLS listener for gates on other machines, where there is to be one."""
        lines, gates = Lines(), self.settings.gates
        service.workloads = Workloads(self.settings.spiffe, self.home.root)
        ca = (self.home.ca_key, self.home.ca_certificate, service.core.origin)
        service.authority = functools.cache(lambda: Authority(*ca))
        where = address_of(gates.listen)
        if where is None:
            return lines
        certificate, key = self.home.gates_certificate, None
        if gates.certificate:
            certificate, key = self.home.root / gates.certificate, str(self.home.root / gates.key)
        else:
            certificate.unlink(missing_ok=True)
            genesis.write_private(
                certificate, service.authority().for_server(gates.names, service.core.now())
            )
        try:
            tls = context(str(certificate), key, service.authority().pem)
            server = await serve_remote_gates(*where, tls, service, lines, _log_failure)
        except OSError as error:
            raise InUse(
                f"Gates can't be listened to at {gates.listen}: {error.strerror or error}."
            ) from error
        stack.callback(server.close)
        return lines

    async def _listen_http(
        self, service: Keyturn, stack: contextlib.AsyncExitStack, channels: Channels, chats: ChatDesk
    ) -> None:
        app = make_app(service, self.settings, channels, chats, lambda: self.sinks)
        tcp = _tcp(self.settings)
        service.core.port = tcp.getsockname()[1]
        self.url = f"http://{_shown_host(self.settings.listen)}:{service.core.port}"
        _clear_socket(self.home.api_socket)
        with _private_files():
            unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            unix.bind(str(self.home.api_socket))
        server = _Http(
            uvicorn.Config(
                app,
                http=PeerProtocol,
                proxy_headers=False,  # who is connected is the kernel's word; a header is anybody's
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=1,
                lifespan="off",
                h11_max_incomplete_event_size=65_536,
            )
        )
        task = asyncio.create_task(server.serve(sockets=[tcp, unix]))
        while not server.started:
            if task.done():
                raise InUse("The page could not be served.") from task.exception()
            await asyncio.sleep(0.01)  # uvicorn has no event for having started
        stack.push_async_callback(server.stop, task)

    def _channels(self) -> Channels:
        channels = build(self.home.root, self.settings)
        for one in channels.unusable:
            log.warning("the channel %s can't be used: %s", one.name, one.why)
        return channels

    def _link(self, request: str) -> str:
        room = "findings" if request.startswith("f_") else "requests"
        return f"{(self.settings.public_url or self.url).rstrip('/')}/{room}/{request}"

    def _announce(self) -> None:
        about = {"pid": os.getpid(), "url": self.url, "version": __version__}
        self.home.server.write_bytes(msgspec.json.encode(about))

    def _forget(self) -> None:
        for path in (self.home.server, self.home.gate_socket, self.home.api_socket):
            path.unlink(missing_ok=True)


class _Http(uvicorn.Server):
    """uvicorn without its signal handlers: ending is the whole server's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield

    async def stop(self, task: asyncio.Task[None]) -> None:
        self.should_exit = True
        self.force_exit = False
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _calm_collector() -> None:
    """Collect cycles seldom: hundreds of thousands of remembered rows have none, and walking them all stops every gate.

    Measured: p99 of 64 clients 65 ms with Python's own thresholds, 30 ms with these.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _desk_settings(core: Core) -> DeskSettings:
    def person_of_uid(uid: int) -> str | None:
        person = core.roster.by_os_uid(uid)
        return person.id if person else None

    def parents_of_pids(pids: tuple[int, ...]) -> tuple[str, ...]:
        running = {row.get("pid"): row["id"] for row in core.ledger.rows("session", state="open")}
        return tuple(running[pid] for pid in pids[1:] if pid in running)

    def list_every() -> float:
        try:
            rules = core.policy.drift.definitions
        except NoPolicy:
            return 0.0
        return float(rules.list_tools_every) if rules.list_tools else 0.0

    return DeskSettings(socket.gethostname(), person_of_uid, parents_of_pids, list_every=list_every)


def _workloads(service: Keyturn) -> Workloads:
    if service.workloads is None:
        raise InUse("The server was not opened as a whole.")
    return service.workloads


async def _pump(
    service: Keyturn, look: Callable[[], None] = lambda: None, heartbeats: Heartbeats | None = None
) -> None:
    """Wake whoever waits for what the ledger just recorded; *look* at lines when it concerns credentials."""
    core = service.core
    told = [one.landed for one in (heartbeats, service.testing) if one is not None]
    while True:
        try:
            async with core.ledger.subscribe() as entries:
                async for entry in entries:
                    _landed(core, entry)
                    for tell in told:
                        tell(entry)
                    if entry.type in CONCERN_LINES:
                        look()
            return
        except Lagged:  # too much landed at once: let everybody look for themselves, then go on
            core.people_changed()
            requests.wake_all(core)
            look()
            if service.testing is not None:
                service.testing.changed()


def _landed(core: Core, entry: Entry) -> None:
    metrics.landed(entry)
    if entry.type.startswith(("person.", "oncall.")):
        core.people_changed()
    if entry.type == "policy.published":
        core.schedules.set()
        core.deadlines.set()
    requests.woken(core, entry)
    if entry.type == "request.opened":
        core.deadlines.set()


def _began(core: Core, action: str) -> int | None:
    """When *action* was decided."""
    row = core.ledger.row("action", action)
    entry = core.ledger.entry(int(row["entry"])) if row else None
    return entry.time if entry else None


async def _drills(service: Keyturn) -> None:
    """Open drills as often as policy says, and tell of those that ended without a decision."""
    core = service.core
    with contextlib.suppress(KeyturnError):
        await drills.settle_all(core)
    while True:
        try:
            async with core.ledger.subscribe(types=drills.LANDED) as entries:
                async for entry in entries:
                    try:
                        await drills.landed(core, entry)
                    except KeyturnError as error:  # nothing to copy yet, a full disk: no reason to end this
                        log.info("no drill: %s", error)
            return
        except Lagged:
            await drills.settle_all(core)


async def _decay(service: Keyturn) -> None:
    """Have rules that nobody uses reviewed, without anybody having to think of it."""
    while True:
        try:
            await allowing.decay(service.core)
        except KeyturnError as error:
            log.warning("unused rules could not be looked for: %s", error)
        await asyncio.sleep(DECAY_SECONDS)


async def _expire(service: Keyturn) -> None:
    """End requests when their time is up. Reads the deadlines from the projection, so a restart loses none."""
    core = service.core
    while True:
        core.deadlines.clear()
        deadline = None
        try:
            deadline = await service.expire()
        except KeyturnError as error:  # a full disk must not end the one who ends requests
            log.warning("requests could not be ended: %s", error)
        left = (deadline - core.now()) / 1000 if deadline is not None else LONGEST_NAP
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(left, 0.05), LONGEST_NAP)):
                await core.deadlines.wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _log_failure(error: BaseException) -> None:
    log.error("a gate's call failed", exc_info=error)


def _tcp(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.listen else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.listen, settings.port))
    except OSError as error:
        sock.close()
        raise InUse(f"{settings.listen}:{settings.port} can't be listened on: {error.strerror}.") from error
    return sock


def _shown_host(listen: str) -> str:
    return f"[{listen}]" if ":" in listen else listen


def _clear_socket(path: Path) -> None:
    """Remove what a killed server left. The ledger's lock is already ours, so no live server listens there."""
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _private_files() -> Any:
    old = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(old)
