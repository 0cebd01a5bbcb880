"""The kill switch: after a stop nothing is allowed in that session, whoever asks and whatever was approved before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from service_world import GATE, World, decide, person, types

from keyturn.gates.connection import Connection
from keyturn.gates.exec.killswitch import stopped
from keyturn.gates.hooks.model import HookAnswer, HookCall
from keyturn.gates.socket import serve_gates
from keyturn.service.authorization import PermitOfStopped
from keyturn.service.errors import SessionClosed, SessionStopped, StopUnexplained, UnknownSession
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Peer

HELD = "rm -r build"


def test_after_a_stop_nothing_is_allowed_in_that_session_and_elsewhere_it_is(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session, other = await world.session(service, "c"), await world.session(service, "d")
        # Negative control: before the stop, the same asking is allowed.
        allowed = await service.authorize(world.action(session, "ls"), world.around)
        assert allowed.permit is not None
        approved = await service.authorize(world.action(session, HELD), world.around)
        waiting = await service.authorize(world.action(session, HELD + "2"), world.around)
        assert approved.request is not None
        assert waiting.request is not None
        await decide(service, approved.request, "riley")

        view = await service.stop_session(session, person(service, "riley"), " it runs wild ")
        assert (view.stopped_by, view.stopped_why, view.closed) == ("riley", "it runs wild", None)
        with pytest.raises(SessionStopped, match="riley stopped this session: it runs wild"):
            await service.authorize(world.action(session, "ls"), world.around)
        with pytest.raises(SessionStopped):
            await service.claim(approved.request, approved.digest, GATE.name)
        with pytest.raises(PermitOfStopped):
            await service.consume(allowed.permit.token, allowed.digest, GATE.name)
        assert (await service.request(waiting.request)).state == "withdrawn"
        assert (await service.authorize(world.action(other, "ls"), world.around)).verdict == "run"
        assert await world.session(service, "c") == session, (
            "the client finds its stopped session, not a new one"
        )

        recording = {"digest": "sha256:" + "0" * 64, "size": 10, "trouble": ""}
        closed = await service.close_session(session, "stopped", recording)
        assert (closed.recording, closed.stopped_by) == (recording["digest"], "riley")
        assert types(service).count("session.stopped") == 1
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_the_first_stop_stands_and_one_without_a_reason_stops_nothing(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service, "c")
        with pytest.raises(StopUnexplained):
            await service.stop_session(session, person(service, "riley"), "  ")
        assert (await service.authorize(world.action(session, "ls"), world.around)).verdict == "run"
        await service.stop_session(session, person(service, "riley"), "first")
        again = await service.stop_session(session, person(service, "dana"), "second")
        assert (again.stopped_by, again.stopped_why) == ("riley", "first")
        with pytest.raises(UnknownSession):
            await service.stop_session("s_none", person(service, "riley"), "why")
        await service.close_session(session)
        with pytest.raises(SessionClosed):
            await service.stop_session(session, person(service, "riley"), "late")

    world.play(story)


def test_a_gate_hears_of_the_stop_on_its_socket(world: World, tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        async def hook(call: HookCall, peer: Peer) -> HookAnswer:
            return HookAnswer(status=2)

        path = tmp_path / "gate.sock"
        server = await serve_gates(str(path), service, hook, lambda error: None)
        connection = Connection(path)
        session, other = await world.session(service, "c"), await world.session(service, "d")
        hears = asyncio.create_task(stopped(connection, session))
        deaf = asyncio.create_task(stopped(connection, other))
        assert (await service.stopped(session, 0)).stopped is None
        await service.stop_session(session, person(service, "riley"), "enough")
        assert await hears == "riley stopped this session: enough"
        assert not deaf.done()
        await service.close_session(other)
        assert await deaf == "This session was closed."
        await connection.close()
        server.close()

    world.play(story)
