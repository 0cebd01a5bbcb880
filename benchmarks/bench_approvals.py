"""How long people and agents wait for each other, with 1,000 requests pending, over real sockets and in a real Chromium.

- From hold to screen: a gate sends its proposal; the queue page of a reviewer has painted the new row.
- From decision to release: a reviewer's approval is sent; the waiting gate has the permit in hands.

Floors, in the same run: one empty round trip of that browser and a frame; one durable append.
"""

from __future__ import annotations

import os
import socket
import statistics
import struct
import threading
import time
from typing import Any

import msgspec
from playwright.sync_api import Page, sync_playwright

from benchmarks.bench_authorize import fdatasync
from benchmarks.bench_web import ARGUMENTS, ROUND_TRIP, UPDATES_SEEN, WHEN_PAINTED, Real, real_server, row
from benchmarks.browser import chromium
from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell
from keyturn.cli.client import Client
from keyturn.gates import protocol as wire
from keyturn.resources import Surroundings

PENDING = 1_000
TIMES = 60
GATE = Gate("bench@desk", "cooperative")
AROUND = Surroundings(cwd="/srv", workspace="/srv", home="/home/dana")
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(wire.Answer).decode


def run() -> list[dict[str, Any]]:
    """Both rows; without a Chromium only the second."""
    executable = chromium()
    with real_server() as real:
        real.do(later(real, PENDING))
        reviewer = Reviewer(real)
        rows = []
        if executable is not None:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
                try:
                    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
                    rows.append(to_screen(page, real, reviewer))
                finally:
                    browser.close()
        rows.append(to_release(real, reviewer))
    return rows


async def later(real: Real, count: int) -> None:
    """*count* requests with deadlines an hour after those of requests made now: new ones belong at the queue's top."""
    clock = real.service.core.clock
    real.service.core.clock = lambda: time.time() + 3600
    try:
        await real.hold(count)
    finally:
        real.service.core.clock = clock


def to_screen(page: Page, real: Real, reviewer: Reviewer) -> dict[str, Any]:
    """From the gate's proposal to the frame that shows its row."""
    page.goto(f"{real.server.url}/login?code={reviewer.code}")
    page.locator("#sign-in-go").click()
    page.wait_for_url(real.server.url + "/")
    page.wait_for_selector("#live[data-state=live]")
    page.evaluate(UPDATES_SEEN)
    gate = Asking(real)
    times = []
    for number in range(TIMES):
        began = time.time() * 1000
        request = gate.propose(f"rm -r screen-{number}")
        times.append(float(page.evaluate(WHEN_PAINTED, request)) - began)
    trips = [page.evaluate(ROUND_TRIP) for _ in range(TIMES)]
    what = f"hold to the reviewer's screen, {PENDING:,} pending: p95 of {TIMES}"
    return row(what, p95(times), "ms", statistics.median(trips), 250)


def to_release(real: Real, reviewer: Reviewer) -> dict[str, Any]:
    """From the reviewer's approval on its way to the permit in the gate's hands; the gate was waiting."""
    gate = Asking(real)
    times = [gate.released(f"rm -r release-{number}", reviewer) for number in range(TIMES)]
    floor = fdatasync(real.home.root) * 1e3
    return row(
        f"decision to the agent's release, {PENDING:,} pending: p95 of {TIMES}", p95(times), "ms", floor, 100
    )


def p95(times: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(times, n=20)[18]


class Reviewer:
    """Somebody who may decide, with a token of their own."""

    def __init__(self, real: Real) -> None:
        async def enrol() -> tuple[str, str]:
            token = await real.service.enrol(
                "riley", name="", groups=["reviewers"], roles=["member"], os_uids=[], by="dana"
            )
            return token, real.service.logins.link_code("riley")

        token, self.code = real.do(enrol())
        self._client = Client(real.home, token)

    def approve(self, request: str) -> float:
        """Look, then approve; gives when the approval was sent (`time.perf_counter`)."""
        view = self._client.get(f"/v1/requests/{request}")
        body = {"digest": view["digest"], "display": view["display"], "reason": "measured"}
        began = time.perf_counter()
        self._client.post(f"/v1/requests/{request}/approve", body)
        return began


class Asking:
    """A gate on the Unix socket, one message at a time."""

    def __init__(self, real: Real) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(real.home.gate_socket))
        opened = self.ask(wire.OpenSession(0, Agent("bench"), GATE, "/srv"))
        if opened.session is None:
            raise RuntimeError(f"no session: {opened}")
        self._session = opened.session.id

    def ask(self, message: wire.Ask) -> wire.Answer:
        """One message and its answer."""
        body = b"M" + _ENCODE(message)
        self._socket.sendall(struct.pack(">I", len(body)) + body)
        (size,) = struct.unpack(">I", self._exactly(4))
        answer = _DECODE(self._exactly(size)[1:])
        if answer.error is not None:
            raise RuntimeError(str(answer.error))
        return answer

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            if not part:
                raise RuntimeError("the server hung up")
            data += part
        return data

    def propose(self, command: str) -> str:
        """Propose *command*, which is held; the request's id."""
        self._outcome = self.ask(wire.Authorize(1, self._action(command), AROUND)).outcome
        if self._outcome is None or self._outcome.request is None:
            raise RuntimeError("the starter policy no longer holds `rm -r`")
        return self._outcome.request

    def released(self, command: str, reviewer: Reviewer) -> float:
        """Milliseconds from the approval to the permit."""
        request = self.propose(command)
        digest = self._outcome.digest if self._outcome else ""
        began: list[float] = []
        deciding = threading.Thread(target=lambda: began.append(reviewer.approve(request)))
        deciding.start()
        self.ask(wire.Wait(2, request, 60.0))
        outcome = self.ask(wire.Claim(3, request, digest, GATE.name, True)).outcome
        ended = time.perf_counter()
        deciding.join()
        if outcome is None or outcome.verdict != "run":
            raise RuntimeError(f"the approved request gave no permit: {outcome}")
        return (ended - began[0]) * 1e3

    def _action(self, command: str) -> Action:
        agent = Agent("bench")
        who = Attribution(agent, Human("dana", "os-uid", os.getuid()))
        return Action(Shell(command), who, GATE, self._session, cwd="/srv")
