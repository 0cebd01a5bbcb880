"""A gate of its own for a list of commands: it proposes them as a plan, and runs them in order once people approved.

Rules kept here:

- Nothing runs before its own answer: the plan's approval starts no command, each is asked for again with what its files hold then.
- Anything but a *run* ends it, and so does a command that fails, a revoked plan, and a stopped session: what runs then is killed.
- Each command is a new shell without start-up files, functions or input; what an earlier one set is not there any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell
from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.connection import RemoteService
from keyturn.gates.hooks.authorization import wiring
from keyturn.gates.hooks.contents import looked_into
from keyturn.gates.hooks.places import Place, workspace
from keyturn.resources import Surroundings
from keyturn.service.model import Outcome, PlanAnswer, Proposed, Receipt, SessionView

FOR_EVER = 7 * 24 * 3600.0
"""Seconds to wait for people. The request's own deadline comes long before."""
SHELL = ("/bin/bash", "--noprofile", "--norc", "-c")


class PlanNotRun(KeyturnError):
    """A list of commands was refused, denied, or ended before its last command."""

    code = "plan.not_run"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "The rest of the list did not run."
    next_step = "Do not run it in another way; tell the person you work for."


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a plan's file: a command line for bash."""

    run: str


class PlanFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A plan's file: `steps`, `why` in the agent's words, and how many `seconds` it lasts once it is approved."""

    steps: tuple[Command, ...]
    why: str = ""
    seconds: int = 3600


class Ended(Struct, frozen=True):
    """How a list ended: the exit code of each command that ran, in order."""

    session: str
    request: str | None
    exit_codes: tuple[int, ...]
    steps: int

    @property
    def failed(self) -> int:
        """The exit code of the command that failed, 0 when none did."""
        return self.exit_codes[-1] if self.exit_codes else 0


class PlanRun:
    """One list in folder *cwd*. *output*: the descriptor that the commands write to; *tell* is given words for people."""

    def __init__(
        self,
        service: RemoteService,
        *,
        host: str,
        cwd: str,
        home: str,
        parents: tuple[str, ...],
        output: int | None,
        tell: Callable[[str], None],
    ) -> None:
        self._service = service
        self._gate = Gate(f"plan@{host}", "cooperative")
        self._agent = Agent("plan", "keyturn")
        self._cwd = os.path.realpath(cwd)
        self._parents = parents
        self._output = output
        self._tell = tell
        place = Place(home, workspace(cwd, home))
        self._around = Surroundings(
            cwd=self._cwd, workspace=place.workspace, home=home, protected=wiring(place), fresh=True
        )

    async def go(self, file: PlanFile) -> Ended:
        """Propose, wait, run. Raises `PlanNotRun`, `Unreachable`, and what the server refuses with."""
        session = await self._service.open_session(
            agent=self._agent,
            human=None,
            gate=self._gate,
            cwd=self._cwd,
            parents=self._parents,
            pid=os.getpid(),
        )
        try:
            steps = [await self._looked(session, one.run) for one in file.steps]
            answer = await self._service.propose_plan(steps, file.why, file.seconds)
            await self._approved(answer)
            codes: list[int] = []
            for number, command in enumerate(file.steps, 1):
                codes.append(await self._step(session, number, command.run))
                if codes[-1] != 0:
                    self._tell(f"Step {number} ended with {codes[-1]}; the rest was not run.")
                    break
            return Ended(session.id, answer.request, tuple(codes), len(file.steps))
        finally:
            with contextlib.suppress(KeyturnError):
                await asyncio.shield(self._service.close_session(session.id, "The plan's run ended."))

    async def _looked(self, session: SessionView, script: str) -> Proposed:
        human = Human(session.human, "os-uid", os.getuid()) if session.human else None
        who = Attribution(self._agent, human, parents=self._parents)
        action = Action(Shell(script), who, self._gate, session.id, cwd=self._cwd)
        looked = await asyncio.to_thread(looked_into, action, self._around, os.getuid())
        return Proposed(looked.action, looked.around)

    async def _approved(self, answer: PlanAnswer) -> None:
        self._tell(answer.words)
        if answer.verdict == "refuse":
            raise PlanNotRun(answer.words)
        if answer.request is None:
            return
        view = await self._service.wait(answer.request, FOR_EVER)
        if view.state != "approved":
            raise PlanNotRun(f"The plan was not approved: {view.state}. {view.ended_why}".strip())

    async def _step(self, session: SessionView, number: int, script: str) -> int:
        looked = await self._looked(session, script)
        outcome = await self._service.authorize(looked.action, looked.around, consume=True)
        self._tell(f"Step {number}: {outcome.words}")
        if outcome.verdict != "run":
            raise PlanNotRun(f"Step {number}: {outcome.words}")
        code = await self._run(session, outcome, outcome.canonical or script)
        permit = outcome.permit.id if outcome.permit else None
        done = "done" if code == 0 else "failed"
        receipt = Receipt(outcome.action, permit, done, outcome.digest, exit_code=code)  # type: ignore[arg-type]
        await self._service.report(receipt)
        return code

    async def _run(self, session: SessionView, outcome: Outcome, script: str) -> int:
        child = await asyncio.create_subprocess_exec(
            *SHELL,
            script,
            cwd=self._cwd,
            env=_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._output,
            process_group=0,
        )
        watching = [asyncio.create_task(one) for one in (self._revoked(session), self._stopped(session))]
        waiting: asyncio.Task[int] = asyncio.create_task(child.wait())
        try:
            await asyncio.wait([waiting, *watching], return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            words = next(task.result() for task in watching if task.done())
            raise PlanNotRun(f"{words} What ran was killed.")
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await asyncio.shield(waiting)
            permit = outcome.permit.id if outcome.permit else None
            with contextlib.suppress(KeyturnError):
                code, ran = child.returncode, outcome.digest
                receipt = Receipt(outcome.action, permit, "failed", ran, exit_code=code, note="killed")
                await self._service.report(receipt)
            raise
        finally:
            for task in watching:
                task.cancel()

    async def _revoked(self, session: SessionView) -> str:
        while not (found := await self._service.revoked(session.id, 0)):
            pass
        return found[-1].words

    async def _stopped(self, session: SessionView) -> str:
        while not (view := await self._service.stopped(session.id, FOR_EVER)).stopped:
            if view.closed:
                return "The session was closed."
        return f"{view.stopped_by} stopped the session: {view.stopped_why}"


def _environment() -> dict[str, str]:
    """This process's variables without those by which a shell runs something else than its text."""
    own: Any = os.environ
    return {
        name: value
        for name, value in own.items()
        if name not in ("BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS") and not name.startswith("BASH_FUNC_")
    }
