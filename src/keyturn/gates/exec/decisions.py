"""May this program start? The one place where scopes, what is remembered, the server and people meet.

Rules kept here:

- A program that the scope of its process predicts starts: it was decided on with the command that named it.
- Everything else is asked for. No server, no answer, a fault of our own: no, in words (promise 10).
- Held means that the process waits, for as long as the request does; nobody's patience ends before.
- After people approved, the files are looked at again: other bytes are not what was approved (promise 4).
- What a grant covers is asked for each time, and ended when that is revoked (`revoking`).
- A *run* that policy gave by itself is remembered for exactly the same question (program, words, variables, folder,
  digests, links, scope) and is used only while nothing changed that could change the answer (`remembered`).
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from keyturn import readers
from keyturn.actions import Action, Attribution, Gate, Shell, action_digest
from keyturn.errors import KeyturnError
from keyturn.gates.connection import RemoteService, Unreachable
from keyturn.gates.exec import scope as scopes
from keyturn.gates.exec import tracee
from keyturn.gates.exec.model import Allow, Deny, Exec, Verdict
from keyturn.gates.exec.processes import Processes
from keyturn.gates.exec.proposals import proposal, spoken, started
from keyturn.gates.exec.remembered import Line, Memory, Yes
from keyturn.gates.exec.reports import Reports
from keyturn.gates.exec.revoking import Revoking
from keyturn.gates.exec.waiting import ended
from keyturn.gates.exec.wired import Wired
from keyturn.gates.hooks import speech
from keyturn.gates.hooks.contents import Looked, looked_into, looks_nowhere
from keyturn.resources import Surroundings
from keyturn.service.model import Outcome, RequestView

WAIT_SECONDS = 7 * 24 * 3600.0
"""Longest wait for people. A request's own deadline comes long before."""

DENIED = 4096
"""How many refusals are kept; more than that and all are forgotten."""


class Setting(Struct, frozen=True):
    """What is the same for every program of one tree. `baseline` is the environment that the tree is started with."""

    session: str
    gate: Gate
    attribution: Attribution
    around: Surroundings
    baseline: dict[str, str]
    uid: int
    agent: bool = False
    """The first program is an agent that a person starts: it is not asked for, and everything that it starts is."""
    wired: Wired | None = None
    """The agent is a known client whose hooks ask Keyturn, too: what they allowed is not asked for again."""
    confined: bool = False
    """The tree has a view of its own."""


class Counts(Struct):
    """How many programs started, and why, or didn't."""

    predicted: int = 0
    remembered: int = 0
    allowed: int = 0
    approved: int = 0
    refused: int = 0
    own: int = 0
    begun: int = 0


class Ended(Struct, frozen=True):
    """Why the first program of the tree didn't start."""

    words: str
    state: str


class Decisions:
    """Decides for one process tree. `decide` is called from the supervisor's thread, the rest happens on *loop*."""

    def __init__(
        self,
        service: RemoteService,
        line: Line,
        loop: asyncio.AbstractEventLoop,
        setting: Setting,
        tell: Callable[[str], None],
    ) -> None:
        self._service = service
        self._loop = loop
        self._setting = setting
        self._tell = tell
        self._processes = Processes()
        self._memory = Memory(line, setting.session, setting.around.workspace)
        self._asking: set[asyncio.Task[None]] = set()
        self._reports = Reports(service, loop)
        self.revoking = Revoking(service, loop, setting.session, tell)
        self._denied: dict[int, tuple[bytes, str]] = {}
        self._first: int | None = None
        self._first_script = ""
        self.counts = Counts()
        self.first: Outcome | None = None
        self.not_started: Ended | None = None

    # --- in the supervisor's thread -------------------------------------------------------------------

    def decide(self, seen: Exec, answer: Callable[[Verdict], None]) -> Verdict | None:
        """A verdict at once, or None: then *answer* is called with it later."""
        try:
            verdict = self._at_once(seen)
            if verdict is None:
                # Before it is asked: an answer under way while something changes must not be kept as one from afterwards.
                number = self._memory.number()
                self._loop.call_soon_threadsafe(self._begin, seen, answer, number)
            return verdict
        except KeyturnError as error:
            return _deny(speech.failed(error))
        except Exception:
            return _deny(speech.broken())

    def _at_once(self, seen: Exec) -> Verdict | None:
        denied = self._denied.get(seen.tgid)
        if denied is not None and denied[0] == _same(seen):
            return Deny(denied[1])
        first = self._first is None
        if first:
            self._first = seen.tgid
        above = self._processes.scope_of(seen)
        if first and self._setting.agent:
            self._first_script = seen.script.path if seen.script else ""
            self._agent_starts(seen)
            return Allow()
        wired = self._setting.wired
        if self._agents_own_interpreter(seen) if wired is None else wired.interpreter(seen):
            return Allow()
        if wired is not None and wired.owns(seen, self._processes.commanded):
            self.counts.own += 1
            return Allow()
        asked_before = self._memory.of_question(seen, above) if wired is None else None
        if asked_before is not None:
            return self._again(seen, asked_before)
        if above is not None and above.predicts(started(seen) if wired is None else wired.started(seen)):
            self.counts.predicted += 1
            return Allow()
        if wired is not None and wired.command(seen, self._processes.commanded) is not None:
            return None  # whether its hook allowed it is asked first, whatever is remembered
        return self._from_memory(seen, above)

    def _agent_starts(self, seen: Exec) -> None:
        if self._setting.wired is not None:
            self._setting.wired.first(seen)
        else:
            self._processes.open(seen, scopes.Scope(environment=_environment(seen)))

    def _agents_own_interpreter(self, seen: Exec) -> bool:
        """Whether `env`, from an agent's first line, goes on to the interpreter of the very script that was started."""
        script = self._first_script
        return (
            self._setting.agent
            and bool(script)
            and seen.tgid == self._first
            and scopes.system_name(seen.path) is not None
            and script in seen.argv[1:2]
        )

    def _from_memory(self, seen: Exec, above: scopes.Scope | None) -> Verdict | None:
        if not self._memory:
            return None
        action = self._proposal(seen)
        around = replace(self._setting.around, cwd=action.cwd)
        if readers.known(action.content, around) is None:
            return None
        looked = self._looked(action, seen)
        known = self._memory.of(looked, above)
        if known is None:
            return None
        if self._setting.wired is None and looks_nowhere(action, around):
            self._memory.keep_question(seen, above, known)
        return self._again(seen, known)

    def _again(self, seen: Exec, known: Yes) -> Verdict:
        self._processes.open(seen, known.scope)
        self.counts.remembered += 1
        return Allow()

    def killed(self, seen: Exec, why: str) -> None:
        """*seen* was allowed, but what was about to run was something else (*why*), and so it was killed."""
        self._loop.call_soon_threadsafe(self._not_run, seen, why)

    # --- on the loop ----------------------------------------------------------------------------------

    def _begin(self, seen: Exec, answer: Callable[[Verdict], None], number: int) -> None:
        task = self._loop.create_task(self._answered(seen, answer, number))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _answered(self, seen: Exec, answer: Callable[[Verdict], None], number: int) -> None:
        verdict: Verdict
        state = "failed"
        try:
            verdict, state = await self._asked(seen, number), "allowed"
        except _No as no:
            verdict, state = _deny(no.words), no.state
        except Unreachable as error:
            verdict, state = _deny(speech.failed(error)), "unreachable"
        except KeyturnError as error:
            verdict = _deny(speech.failed(error))
        except asyncio.CancelledError:
            answer(_deny("the run is ending. Nothing ran."))
            raise
        except Exception:
            verdict = _deny(speech.broken())
        if isinstance(verdict, Deny):
            self.counts.refused += 1
            if len(self._denied) >= DENIED:
                self._denied.clear()
            # Who looks along PATH by itself tries the same file under its next name: that is one question.
            self._denied[seen.tgid] = (_same(seen), verdict.words)
            if seen.tgid == self._first and self.first is None:
                self.not_started = Ended(verdict.words, state)
        answer(verdict)

    async def _allowed_by_hook(self, seen: Exec, wired: Wired) -> bool:
        """Whether *seen* is a command that the client's hook allowed and that was not started yet; then it is begun."""
        command = wired.command(seen, self._processes.commanded)
        if command is None:
            return False
        for script in (command.script, *command.others):
            if await self._begun(seen, wired, script, command.dialect):
                return True
        return False

    async def _begun(self, seen: Exec, wired: Wired, script: str, dialect: Literal["bash", "posix"]) -> bool:
        """Whether *seen* starts *script*, which the client's hook allowed; then it is begun."""
        setting = self._setting
        action = Action(
            content=Shell(script, dialect),
            attribution=setting.attribution,
            gate=setting.gate,
            session=setting.session,
            cwd=seen.cwd,
        )
        around = replace(setting.around, cwd=seen.cwd, fresh=wired.client.fresh_shell)
        looked = await asyncio.to_thread(looked_into, action, around, setting.uid)
        executes = looked.action.executes
        begun = await self._service.begin(
            setting.session, setting.gate.name, script, dialect, seen.cwd, executes
        )
        if begun is None:
            return False
        self._processes.open(
            seen, scopes.opened(begun.action, begun.reading, seen.cwd, executes, seen.environment)
        )
        self._reports.begun(begun.action)
        self.revoking.began(seen.tgid, begun.grant)
        self.counts.begun += 1
        return True

    async def _asked(self, seen: Exec, number: int) -> Verdict:
        if self._setting.wired is not None and await self._allowed_by_hook(seen, self._setting.wired):
            return Allow()
        action = self._proposal(seen)
        above = self._processes.scope_of(seen)
        looked = await asyncio.to_thread(self._looked, action, seen)
        reading = readers.read(looked.action.content, looked.around)
        # Also what `sh -c` and its like would start: it must not be predicted by a scope that nobody decided on.
        leaving = scopes.leaves(seen.path, os.path.realpath(seen.path), *(s.program for s in reading.steps))
        within = above.within if above is not None and above.within and not leaving else None
        outcome = await self._service.authorize(looked.action, looked.around, consume=True, within=within)
        if outcome.verdict == "refuse":
            raise _No(speech.refused(outcome.words), "refused")
        held = outcome.verdict == "hold"
        if held:
            outcome, looked = await self._approved(seen, action, outcome)
        if outcome.permit is None or outcome.digest != action_digest(looked.action, outcome.decision.policy):
            raise _No("the permit is not for what would run. Nothing ran.", "failed")
        reading = readers.read(
            looked.action.content, looked.around
        )  # again: files may have changed while it waited
        executes = looked.action.executes
        new = scopes.opened(
            outcome.action, reading, seen.cwd, executes, seen.environment, None if leaving else above
        )
        self._processes.open(seen, new)
        self.revoking.began(seen.tgid, outcome.grant)
        if held or outcome.request is not None or outcome.grant is not None:
            # People approved it: just now, while nobody could wait, or for a time.
            self.counts.approved += 1
        else:
            self.counts.allowed += 1
            if not outcome.counted:
                self._memory.keep(looked, above, Yes(outcome.decision.policy, number, new))
        if seen.tgid == self._first and self.first is None:
            self.first = outcome
        else:
            self._reports.started(seen.tgid, outcome)
        return Allow()

    async def _approved(self, seen: Exec, action: Action, outcome: Outcome) -> tuple[Outcome, Looked]:
        """The permit that people gave, and the action as it is now. Raises `_No`."""
        if outcome.request is None:
            raise _No(speech.refused(outcome.words), "refused")
        needs = outcome.decision.obligations.approve
        self._tell(f"held: {spoken(seen)[:200]}: waiting for {needs} (request {outcome.request}).")
        if self._setting.wired is not None and self._setting.wired.starts(seen, self._processes.commanded):
            # The client's thread stands still until its start is answered (vfork(2)): it can't wait for people.
            raise _No(speech.held_meanwhile(needs, outcome.request), "waiting")
        view = await self._waited(seen.tgid, outcome.request)
        if view.state != "approved":
            raise _No(_why(view), view.state)
        looked = await asyncio.to_thread(self._looked, action, seen)
        digest = action_digest(looked.action, outcome.decision.policy)
        try:
            claimed = await self._service.claim(
                outcome.request, digest, self._setting.gate.name, consume=True
            )
        except Unreachable:
            raise
        except KeyturnError as error:
            raise _No(speech.changed_meanwhile(error), "refused") from error
        self._tell(f"approved: {spoken(seen)[:200]} (request {outcome.request}).")
        return claimed, looked

    async def _waited(self, process: int, request: str) -> RequestView:
        view = await ended(self._service, request, process, WAIT_SECONDS)
        if view is None:
            raise _No("the process that waited has ended. Nothing ran.", "withdrawn")
        return view

    async def finished(self, code: int | None) -> None:
        """End what still asks, and report what started. Never raises."""
        await self.revoking.close()
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        if self.first is not None:
            await self._reports.ended(self.first, code)
        await self._reports.settle()

    def _not_run(self, seen: Exec, why: str) -> None:
        self._tell(f"killed before it began: {spoken(seen)[:200]}: {why}.")
        self._reports.not_run(seen.tgid, why)

    # --- what both use ----------------------------------------------------------------------------------

    def _proposal(self, seen: Exec) -> Action:
        s = self._setting
        return proposal(
            seen, s.baseline if s.wired is None else s.wired.baseline(seen), s.attribution, s.gate, s.session
        )

    def _looked(self, action: Action, seen: Exec) -> Looked:
        """*action* with the files that it would run, and links, as they are now; what the kernel runs is there already."""
        around = replace(self._setting.around, cwd=action.cwd)
        # A confined tree sees other files than we do under the same names, in its own folder for temporary ones for example.
        opened = functools.partial(tracee.opened_in, seen.tgid) if self._setting.confined else None
        looked = looked_into(action, around, self._setting.uid, opened)
        return replace(
            looked, action=replace(looked.action, executes={**looked.action.executes, **action.executes})
        )


class _No(Exception):
    """The program must not start, with the words for who started it. Never leaves this module."""

    def __init__(self, words: str, state: str) -> None:
        super().__init__(words)
        self.words = words
        self.state = state


def _deny(words: str) -> Deny:
    """A no with *words*, which whoever shows them says to be Keyturn's."""
    return Deny(words.removeprefix("keyturn: "))


def _same(seen: Exec) -> bytes:
    """The same start, whatever folder of PATH it was found in."""
    file = seen.file
    return msgspec.msgpack.encode(
        (file.device, file.inode, file.sha256, seen.argv, seen.cwd, sorted(seen.environment.items()))
    )


def _why(view: RequestView) -> str:
    return speech.still_held(view) if view.state == "waiting" else speech.ended(view)


def _environment(seen: Exec) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(scopes.behaviour(seen.environment).items()))


__all__ = ["Counts", "Decisions", "Ended", "Setting"]
