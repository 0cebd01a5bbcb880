"""A gate that keeps answers in mind knows of a change before its author hears that it is made: also of the smallest lag there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from service_world import ALLOWED, HELD, World, decide, person

from keyturn.gates.exec.standing import Standing, StandingLine
from keyturn.gates.hooks.model import HookAnswer, HookCall
from keyturn.gates.socket import serve_gates
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Peer

Change = Callable[[World, Keyturn, str], Awaitable[object]]


async def publish(world: World, service: Keyturn, session: str) -> None:
    active = service.core.policy
    files = {**active.files, "README.md": active.digest.encode()}
    view = await service.propose_policy(files, person(service, "dana"), "")
    await decide(service, view.id, "riley")


async def stop(world: World, service: Keyturn, session: str) -> None:
    await service.stop_session(session, person(service, "riley"), "enough")


async def close(world: World, service: Keyturn, session: str) -> None:
    await service.close_session(session)


async def instruct(world: World, service: Keyturn, session: str) -> None:
    instruction = world.action(session, ALLOWED).attribution.instruction
    assert instruction is not None
    await service.instruct(session, instruction)


async def enrol(world: World, service: Keyturn, session: str) -> None:
    await service.enrol("new", name="", groups=[], roles=["member"], os_uids=[], by="dana")


CHANGES: dict[str, Change] = {
    "a policy is published": publish,
    "the session is stopped": stop,
    "the session is closed": close,
    "the session is instructed": instruct,
    "somebody is enrolled": enrol,
}


async def propose(world: World, service: Keyturn, session: str) -> None:
    await service.propose_policy(
        {**service.core.policy.files, "README.md": b"?"}, person(service, "dana"), ""
    )


async def other_session(world: World, service: Keyturn, session: str) -> None:
    other = await world.session(service)
    await service.close_session(other)


async def ask(world: World, service: Keyturn, session: str) -> None:
    await service.authorize(world.action(session, ALLOWED), world.around, consume=True)
    held = await service.authorize(world.action(session, HELD), world.around)
    assert held.request is not None
    await decide(service, held.request, "riley", "deny", reason="no")


OTHERS: dict[str, Change] = {
    "a policy is only proposed": propose,
    "another session ends": other_session,
    "something else is asked for and decided": ask,
}


async def _no_hook(call: HookCall, peer: Peer) -> HookAnswer:
    raise AssertionError("no hook was called")


def noticed(world: World, change: Change, *, told: bool = True) -> bool:
    """Whether a line that stood is known not to stand any more at the moment in which *change* is confirmed."""

    async def story(service: Keyturn) -> bool:
        if not told:
            service.core.ledger.tell_first(lambda entries: None)
            service.core.watches.everybody = lambda: None  # type: ignore[method-assign]
        session = await world.session(service)
        path = world.home.root / "gates"
        server = await serve_gates(str(path), service, _no_hook, lambda error: None)
        line = StandingLine(path)
        try:
            first = await asyncio.to_thread(line.standing, session, str(world.work))
            assert first == Standing(service.core.policy.digest, 1)
            assert line.quiet()
            await change(world, service, session)
            seen = not line.quiet()  # nothing is awaited in between: this is what its author could do next
            again = await asyncio.to_thread(line.standing, session, str(world.work))
            assert again is None or again.number == (2 if seen else 1)
            return seen
        finally:
            line.close()
            server.close()

    return world.play(story)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_confirmed_is_known_to_every_gate_already(change: str, tmp_path: Path) -> None:
    assert noticed(World(tmp_path), CHANGES[change])


@pytest.mark.parametrize("change", CHANGES)
def test_without_being_told_first_a_gate_would_not_know(change: str, tmp_path: Path) -> None:
    """Negative control."""
    assert not noticed(World(tmp_path), CHANGES[change], told=False)


@pytest.mark.parametrize("change", OTHERS)
def test_what_changes_no_answer_is_not_told(change: str, tmp_path: Path) -> None:
    """Else nothing would ever be remembered while anybody works."""
    assert not noticed(World(tmp_path), OTHERS[change])
