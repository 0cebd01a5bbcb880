"""A gate's end of the socket and a driven session over it, with a real socket and a service that a test controls."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from drivers_playing import sent
from hooks_recording import Recording

from keyturn.actions import Agent, FileEdit, Gate, Shell, ToolCall
from keyturn.gates.connection import Connection, NotAnAnswer, RemoteService, ServerSaid, Unreachable
from keyturn.gates.drivers import Ask, Ended, Event, Finished, Observed, Said, Send, Verdict
from keyturn.gates.drivers.drive import Drive
from keyturn.gates.drivers.session import UNFINISHED, DrivenSession
from keyturn.gates.hooks.dialects import dialect_of
from keyturn.gates.hooks.model import HookAnswer, Proposal
from keyturn.gates.socket import serve_gates
from keyturn.service.errors import SessionClosed
from keyturn.service.model import RequestView

GATE = Gate("run:gemini@test")


async def no_hooks(*_: Any) -> HookAnswer:
    return HookAnswer(status=2)


@asynccontextmanager
async def served(path: Path, service: Any) -> AsyncIterator[asyncio.AbstractServer]:
    server = await serve_gates(str(path), service, no_hooks, lambda error: None)
    try:
        yield server
    finally:
        server.close()
        path.unlink(missing_ok=True)


@asynccontextmanager
async def answering(path: Path, reply: bytes) -> AsyncIterator[None]:
    """A server that answers everything with *reply* and hangs up."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(reply)
        writer.close()

    server = await asyncio.start_unix_server(say, str(path))
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def remote(path: Path, patience: float = 0.2) -> RemoteService:
    return RemoteService(Connection(path, patience=patience))


async def opened(service: RemoteService) -> Any:
    return await service.open_session(agent=Agent("gemini"), human=None, gate=GATE, cwd="/")


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(work(), 120))  # type: ignore[arg-type]


def test_nobody_to_ask_means_no(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(Unreachable):
            await opened(remote(tmp_path / "gate.sock"))

    run(work)


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    "reply",
    [
        b"", b"\0", framed(b""), framed(b"M"), framed(b"Mjunk"), framed(b"yes"), framed(b"H\0"), framed(b"M\x80"),
        struct.pack(">I", 2**31) + b"x", framed(b"E{}"), framed(b"Ejunk"), b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)  # fmt: skip
def test_junk_is_no_answer(reply: bytes, tmp_path: Path) -> None:
    async def work() -> None:
        async with answering(tmp_path / "gate.sock", reply):
            with pytest.raises((Unreachable, NotAnAnswer, ServerSaid)):
                await opened(remote(tmp_path / "gate.sock"))

    run(work)


def test_the_servers_refusal_keeps_its_code_and_words(tmp_path: Path) -> None:
    async def work() -> None:
        service = Recording()
        service.broken = SessionClosed("The session s_1 was closed.")
        async with served(tmp_path / "gate.sock", service):
            verdict = await driven(remote(tmp_path / "gate.sock")).verdict(ask())
        assert not verdict.allow
        assert "The session s_1 was closed." in verdict.words

    run(work)


class Patient(Recording):
    """Holds everything; the first wait is never answered, the next one is: as if the server had been replaced."""

    def __init__(self) -> None:
        super().__init__(lambda action: "hold")
        self.waited = asyncio.Event()
        self.waits = 0

    async def wait(self, request: str, timeout: float) -> RequestView:
        self.waits += 1
        self.waited.set()
        if self.waits == 1:
            await asyncio.Event().wait()
        return await super().wait(request, timeout)


def test_a_held_request_is_waited_for_over_a_new_server(tmp_path: Path) -> None:
    async def work() -> None:
        path, service = tmp_path / "gate.sock", Patient()
        service.ends = ("approved", "fine")
        session = driven(remote(path, patience=5))
        async with served(path, service):
            await session.open(None)
            asking = asyncio.create_task(session.verdict(ask()))
            await service.waited.wait()
            hang_up(session)
        assert not asking.done()
        async with served(path, service):
            assert (await asking).allow
        assert service.waits == 2
        assert len(service.actions) == 1, "asked about once; the approval is claimed"
        assert len(service.consumed) == 1

    run(work)


def hang_up(session: DrivenSession) -> None:
    """Cut the connection, as the end of a server's process does."""
    writer = session._service._connection._writer
    assert writer is not None
    writer.transport.abort()


def driven(service: RemoteService, cwd: str = "/srv") -> DrivenSession:
    return DrivenSession(
        service, dialect_of("gemini"), protocol="acp", host="test", cwd=cwd, home="/home/dana"
    )


def ask(*contents: Any, call: str = "c1") -> Ask:
    proposals = tuple(Proposal(content, "tool") for content in contents or (Shell("ls"),))
    return Ask(f"{call}:1", call, proposals, "/srv", "I reason.")


def over_a_socket(
    tmp_path: Path, service: Recording, work: Callable[[DrivenSession], Awaitable[None]]
) -> None:
    async def inner() -> None:
        async with served(tmp_path / "gate.sock", service):
            session = driven(remote(tmp_path / "gate.sock"), str(tmp_path))
            await session.open(None)
            await work(session)

    run(inner)


def test_what_is_asked_goes_with_its_attribution(tmp_path: Path) -> None:
    service = Recording()

    async def work(session: DrivenSession) -> None:
        await session.instruct("tidy up")
        assert (await session.verdict(ask())).allow

    over_a_socket(tmp_path, service, work)
    (action,) = service.actions
    who = action.attribution
    assert who.human is not None
    assert (who.human.person, who.human.how) == ("dana", "os-uid")
    assert who.instruction is not None
    assert who.reasoning is not None
    assert (who.instruction.text, who.reasoning.text) == ("tidy up", "I reason.")
    assert who.missing == ()
    assert (action.gate.name, action.gate.assurance) == ("run:gemini@test", "cooperative")
    assert service.arounds[0].workspace == str(tmp_path)
    assert service.arounds[0].protected, "what wires the gates is Keyturn's own"


def test_asking_twice_about_one_call_is_one_action_and_other_contents_are_another(tmp_path: Path) -> None:
    service = Recording()

    async def work(session: DrivenSession) -> None:
        tool = ToolCall("t", {"nested": {"a": [1]}}, "s")
        for _ in range(3):
            assert (await session.verdict(ask(tool))).allow
        assert (await session.verdict(ask(ToolCall("t", {"nested": {"a": [2]}}, "s")))).allow
        assert (await session.verdict(ask(tool, call="c2"))).allow

    over_a_socket(tmp_path, service, work)
    assert len(service.actions) == 3


def test_one_part_that_is_refused_refuses_all(tmp_path: Path) -> None:
    service = Recording(
        lambda action: (
            "refuse" if isinstance(action.content, FileEdit) and "secret" in action.content.path else "run"
        )
    )

    async def work(session: DrivenSession) -> None:
        both = ask(FileEdit("/srv/a", "delete"), FileEdit("/srv/secret", "delete"))
        verdict = await session.verdict(both)
        assert not verdict.allow
        assert (await session.verdict(ask(FileEdit("/srv/a", "delete"), FileEdit("/srv/b", "delete")))).allow

    over_a_socket(tmp_path, service, work)
    assert len(service.consumed) == 2, "only the two of the call that was allowed"


@pytest.mark.parametrize("state", ["denied", "expired", "withdrawn"])
def test_a_request_that_was_not_approved_is_a_no_in_words(state: Any, tmp_path: Path) -> None:
    service = Recording(lambda action: "hold")
    service.ends = (state, "because")

    async def work(session: DrivenSession) -> None:
        verdict = await session.verdict(ask())
        assert not verdict.allow
        assert "Nothing ran" in verdict.words

    over_a_socket(tmp_path, service, work)


def test_what_ran_unasked_is_recorded_as_advisory_and_nobody_is_waited_for(tmp_path: Path) -> None:
    service = Recording(lambda action: "hold")

    async def work(session: DrivenSession) -> None:
        seen = Observed("c1", (Proposal(Shell("ls"), "t"),), "/srv")
        assert not (await session.observe(seen)).allow

    over_a_socket(tmp_path, service, work)
    assert service.actions[0].gate.assurance == "advisory"


def test_a_receipt_pairs_with_what_was_allowed(tmp_path: Path) -> None:
    service = Recording()

    async def work(session: DrivenSession) -> None:
        await session.verdict(ask())
        await session.finished(Finished("c1", "done", 0, "out"))
        await session.finished(Finished("c1", "done", 0, "out"))
        await session.finished(Finished("c9", "done", 0, "out"))

    over_a_socket(tmp_path, service, work)
    (receipt,) = service.receipts
    assert (receipt.outcome, receipt.exit_code, receipt.output_bytes) == ("done", 0, 3)
    assert receipt.permit


def test_what_had_not_ended_when_the_run_was_over_is_a_receipt_that_says_so(tmp_path: Path) -> None:
    service = Recording()

    async def work(session: DrivenSession) -> None:
        await session.verdict(ask())
        await session.verdict(ask(call="c2"))
        await session.finished(Finished("c1", "done", 0, "out"))
        assert [receipt.outcome for receipt in service.receipts] == ["done"], "nothing is said before the end"
        await session.close("It ended.")
        assert session.unfinished == 1

    over_a_socket(tmp_path, service, work)
    assert [receipt.outcome for receipt in service.receipts] == ["done", "unknown"]
    last = service.receipts[-1]
    assert (last.exit_code, last.output, last.note) == (None, None, UNFINISHED)
    assert last.permit
    assert service.closed


def test_a_refused_action_is_no_unfinished_one(tmp_path: Path) -> None:
    service = Recording(lambda action: "refuse")

    async def work(session: DrivenSession) -> None:
        assert not (await session.verdict(ask())).allow
        await session.close("It ended.")
        assert session.unfinished == 0

    over_a_socket(tmp_path, service, work)
    assert service.receipts == []


# --- the loop -------------------------------------------------------------------------------------


class Script:
    """A transport that plays messages and keeps what was sent."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = messages
        self.sent: list[dict[str, Any]] = []
        self.answered = asyncio.Event()

    async def send(self, message: Send) -> None:
        self.sent.append(message.message)
        self.answered.set()

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        for message in self._messages:
            yield message
        await self.answered.wait()


class Core:
    """A core that says what its messages hold, and sends its verdicts."""

    def start(self) -> list[Event]:
        return []

    def receive(self, message: Any) -> list[Event]:
        if message.get("break"):
            raise ValueError("broken")
        return list(message["events"])

    def answer(self, key: str, verdict: Verdict) -> list[Event]:
        return [Send({"key": key, "allow": verdict.allow, "words": verdict.words})]

    def unclear(self) -> list[Event]:
        return []

    def interrupt(self) -> list[Event]:
        return [Send({"stop": True})]


def test_a_client_that_goes_away_is_a_failed_run(tmp_path: Path) -> None:
    heard: list[Said] = []

    async def work(session: DrivenSession) -> None:
        transport = Script({"events": [Said("hello"), ask()]})
        end = await Drive(Core(), transport, session, heard=heard.append).run()
        assert end == Ended(False, "The client went away.")
        assert transport.sent == [{"key": "c1:1", "allow": True, "words": ""}]

    over_a_socket(tmp_path, Recording(), work)
    assert heard == [Said("hello")]


def test_a_question_that_can_not_be_decided_is_answered_with_no(tmp_path: Path) -> None:
    async def work(session: DrivenSession) -> None:
        session.verdict = None  # type: ignore[assignment,method-assign]
        transport = Script({"events": [ask()]})
        await Drive(Core(), transport, session).run()
        assert transport.sent[0]["allow"] is False

    over_a_socket(tmp_path, Recording(), work)


def test_a_message_that_breaks_the_core_ends_the_run(tmp_path: Path) -> None:
    async def work(session: DrivenSession) -> None:
        transport = Script({"break": True}, {"events": [ask()]})
        end = await Drive(Core(), transport, session).run()
        assert not end.ok
        assert transport.sent == []

    over_a_socket(tmp_path, Recording(), work)


def test_acting_unasked_against_policy_stops_the_run_even_when_the_client_says_it_is_done(
    tmp_path: Path,
) -> None:
    async def work(session: DrivenSession) -> None:
        seen = Observed("c1", (Proposal(Shell("rm -rf ."), "t"),), "/srv")
        transport = Script({"events": [seen, Ended(True)]})
        end = await Drive(Core(), transport, session).run()
        assert not end.ok
        assert "without asking" in end.why
        assert {"stop": True} in transport.sent

    over_a_socket(tmp_path, Recording(lambda action: "refuse"), work)


def test_the_cores_first_message_is_sent() -> None:
    assert sent([Send({"a": 1}), Ended(True)]) == [{"a": 1}]
