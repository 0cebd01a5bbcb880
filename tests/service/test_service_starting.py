"""What a hook allowed begins once, in its own run, unchanged and soon; everything else is asked for again."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from service_world import GATE, World, decide, types

from keyturn.actions import Action, Agent, Gate, Human
from keyturn.gates.hooks.runs import Allowed
from keyturn.gates.hooks.starts import Asked, Starts
from keyturn.service.keyturn import Keyturn
from keyturn.service.starting import START_SECONDS, NotStartable

EXEC = Gate("run:claude-code@here", "cooperative", "hooked+seccomp")


class Run:
    """A run: the gate's session around the client, the hooks' session below it, and what waits for its start."""

    def __init__(self, world: World, service: Keyturn) -> None:
        self.world, self.service, self.starts = world, service, Starts(service)

    async def open(self, name: str = "c") -> Run:
        self.outer = await self._session(EXEC, "", ())
        self.inner = await self._session(GATE, name, (self.outer,))
        return self

    async def _session(self, gate: Gate, name: str, parents: tuple[str, ...]) -> str:
        view = await self.service.open_session(
            agent=Agent("claude-code", "claude-code"),
            human=Human("dana", "os-uid", os.getuid()),
            gate=gate,
            cwd=str(self.world.work),
            client_session=name,
            parents=parents,
        )
        return view.id

    async def allow(self, script: str, *, consume: bool = True) -> str:
        action = self.world.action(self.inner, script)
        outcome = await self.service.authorize(action, self.world.around, consume=consume)
        assert outcome.verdict == "run"
        allowed = Allowed(
            outcome.action, None, outcome.digest, outcome.decision.policy, action, outcome.canonical
        )
        self.starts.allowed((self.outer,), self.inner, self.world.around.workspace, (allowed,))
        return outcome.action

    def asked(self, script: str, **other: Any) -> Asked:
        given = {"dialect": "bash", "cwd": str(self.world.work), "executes": {}} | other
        session = given.pop("session", self.outer)
        return Asked(session, EXEC.name, script, **given)

    async def begun(self, script: str, **other: Any) -> str | None:
        begun = await self.starts.begun(self.asked(script, **other), "dana")
        return begun.action if begun else None


def test_what_was_allowed_begins_once_however_often_it_is_asked(world: World) -> None:
    async def story(service: Keyturn) -> None:
        run = await Run(world, service).open()
        action = await run.allow("ls")
        found = await asyncio.gather(*(run.begun("ls") for _ in range(5)))
        assert sorted(found, key=str) == sorted([action, None, None, None, None], key=str)
        assert types(service).count("action.started") == 1
        with pytest.raises(NotStartable, match="begun already"):
            await service.begin(action, run.outer, EXEC.name, "dana")
        again = await run.allow("ls")
        assert await run.begun("ls") == again, "the negative control: a new decision begins"
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


@pytest.mark.parametrize(
    "other",
    [
        {"dialect": "posix"},
        {"cwd": "/"},
        {"executes": {"/bin/x": "sha256:1"}},
        {"session": "s_other"},
        {"script": "ls "},
        {"script": "ls;rm x"},
    ],
)
def test_what_differs_in_anything_is_not_what_was_allowed(other: dict[str, Any], world: World) -> None:
    async def story(service: Keyturn) -> None:
        run = await Run(world, service).open()
        action = await run.allow("ls")
        assert await run.begun(**({"script": "ls"} | other)) is None
        assert "action.started" not in types(service)
        assert await run.begun("ls") == action, "the negative control"

    world.play(story)


def test_another_runs_action_does_not_begin_here(world: World) -> None:
    async def story(service: Keyturn) -> None:
        run, other = await Run(world, service).open("c"), await Run(world, service).open("d")
        action = await run.allow("ls")
        for session in (other.outer, other.inner, run.inner):
            with pytest.raises(Exception, match=r"another run|another gate"):
                await service.begin(action, session, EXEC.name, "dana")
        with pytest.raises(Exception, match="another gate's or another person's"):
            await service.begin(action, run.outer, EXEC.name, "riley")
        assert (await service.begin(action, run.outer, EXEC.name, "dana")).action == action

    world.play(story)


def test_what_was_not_used_or_is_old_or_is_of_an_ended_run_does_not_begin(world: World) -> None:
    async def story(service: Keyturn) -> None:
        run = await Run(world, service).open()
        unused = await run.allow("ls", consume=False)
        with pytest.raises(NotStartable, match="not allowed, or not yet"):
            await service.begin(unused, run.outer, EXEC.name, "dana")
        assert await run.begun("ls") is None
        old = await run.allow("pwd")
        now = service.core.now
        service.core.now = lambda: now() + START_SECONDS * 1000  # type: ignore[method-assign]
        with pytest.raises(NotStartable, match="too long ago"):
            await service.begin(old, run.outer, EXEC.name, "dana")
        service.core.now = now  # type: ignore[method-assign]
        ended = await run.allow("date")
        await service.close_session(run.inner)
        assert await run.begun("date") is None
        with pytest.raises(Exception, match="closed"):
            await service.begin(ended, run.outer, EXEC.name, "dana")
        assert "action.started" not in types(service)

    world.play(story)


def test_a_policy_that_decides_no_longer_lets_nothing_begin(world: World) -> None:
    async def story(service: Keyturn) -> None:
        run = await Run(world, service).open()
        await run.allow("ls")
        service.core.workspaces.fresh = 0
        rules = world.work / ".keyturn" / "rules"
        rules.mkdir(parents=True)
        when = 'when { context.program == "ls" };'
        (rules / "no.cedar").write_text(
            f'@id("no-ls") forbid(principal, action == Action::"shell", resource) {when}'
        )
        assert await run.begun("ls") is None
        (rules / "no.cedar").unlink()
        rules.rmdir()
        rules.parent.rmdir()
        action = await run.allow("ls")
        assert await run.begun("ls") == action, "the negative control"

    world.play(story)


def test_what_began_is_what_its_programs_are_part_of_and_before_it_is_not(world: World) -> None:
    async def story(service: Keyturn) -> None:
        run = await Run(world, service).open()
        code = world.action(run.inner, "python3 -c 'print(1)'")
        held = await service.authorize(code, world.around)
        assert held.request is not None
        await decide(service, held.request, "riley")
        await service.claim(held.request, held.digest, GATE.name, consume=True)
        inside = world.action(run.outer, "rm -r build", gate=EXEC)
        inside_other = world.action(run.inner, "rm -r build")

        async def verdict(action: Action, within: str | None) -> str:
            return (await service.authorize(action, world.around, within=within)).verdict

        assert await verdict(inside, None) == "hold", "the negative control: by itself"
        assert await verdict(inside, held.action) == "hold", "it has not begun here"
        await service.begin(held.action, run.outer, EXEC.name, "dana")
        assert await verdict(inside_other, None) == "hold"
        assert await verdict(inside, held.action) == "run"

    world.play(story)
