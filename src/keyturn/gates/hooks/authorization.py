"""One call's way from what the client proposes to the verdict it gets.

A call that does several things (a patch over files) runs only if each of them may run: first all are asked about,
then all that are held are waited for, and only when nothing is missing are the permits used.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from keyturn.actions import (
    Action,
    Agent,
    Attribution,
    Content,
    FileEdit,
    Gate,
    Shell,
    Text,
    action_digest,
)
from keyturn.errors import KeyturnError
from keyturn.gates.hooks import files, speech
from keyturn.gates.hooks.contents import Looked, looked_into
from keyturn.gates.hooks.dialects import DIALECTS, Dialect
from keyturn.gates.hooks.edits import filled
from keyturn.gates.hooks.model import HookEvent, HookVerdict, Proposal
from keyturn.gates.hooks.payload import HookMalformed
from keyturn.gates.hooks.places import Place
from keyturn.gates.hooks.runs import Allowed, Run
from keyturn.resources import Surroundings
from keyturn.service.interface import Service
from keyturn.service.model import Outcome, Receipt


class Denied(Exception):
    """The call must not run, with the words for the agent. Never leaves this room."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class Granted(Struct, frozen=True):
    """The verdict, and what was allowed (empty when it is a no)."""

    verdict: HookVerdict
    allowed: tuple[Allowed, ...] = ()


class Asking(Struct, frozen=True):
    """One hook call that asks: who asks, in which session, for what, and for how long it may wait (loop time)."""

    dialect: Dialect
    event: HookEvent
    run: Run
    session: str
    agent: Agent
    gate: Gate
    uid: int
    reasoning: Text | None
    until: float


class Authorization:
    """Asks the service for everything that one call would do."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def verdict(self, asking: Asking) -> Granted:
        """Whether the call may run. Raises `KeyturnError`; then nothing ran."""
        if not asking.event.proposals:
            return Granted(HookVerdict(False, speech.nothing_read(asking.event.event)))
        try:
            allowed = await self._allowed(asking)
        except Denied as denied:
            count = len(asking.event.proposals)
            words = denied.words if count == 1 else speech.partly(denied.words, count)
            return Granted(HookVerdict(False, words))
        return Granted(HookVerdict(True, canonical=_rewritten(asking, allowed)), allowed)

    async def _allowed(self, asking: Asking) -> tuple[Allowed, ...]:
        single = len(asking.event.proposals) == 1
        looked = await self._looked(asking)
        outcomes = [await self._service.authorize(one.action, one.around, consume=single) for one in looked]
        for outcome in outcomes:
            if outcome.verdict == "refuse":
                raise Denied(speech.refused(outcome.words))
        if any(outcome.verdict == "hold" for outcome in outcomes):
            for outcome in outcomes:
                if outcome.verdict == "hold":
                    await self._approved(asking, outcome)
            looked = await self._looked(asking)
            outcomes = [
                await self._again(asking, one.action, outcome, one.around, consume=single)
                for one, outcome in zip(looked, outcomes, strict=True)
            ]
        allowed = tuple(_allowed(one.action, o) for one, o in zip(looked, outcomes, strict=True))
        if not single:
            await self._use(asking, outcomes)
        return allowed

    async def _approved(self, asking: Asking, outcome: Outcome) -> None:
        """Wait for people. Raises `Denied` unless they approved."""
        if outcome.request is None:
            raise Denied(speech.refused(outcome.words))
        left = asking.until - asyncio.get_running_loop().time()
        if asking.event.moment == "configuration":
            left = 0.0
        view = await self._service.wait(outcome.request, max(0.0, left))
        if view.state == "waiting":
            raise Denied(speech.still_held(view))
        if view.state != "approved":
            raise Denied(speech.ended(view))

    async def _again(
        self, asking: Asking, action: Action, outcome: Outcome, around: Surroundings, *, consume: bool
    ) -> Outcome:
        """The permit for *action* as it is now: claimed if it was held, asked for again if it was not."""
        if outcome.verdict == "run" or outcome.request is None:
            again = await self._service.authorize(action, around, consume=consume)
            if again.verdict != "run":
                raise Denied(speech.refused(again.words))
            return again
        digest = action_digest(action, outcome.decision.policy)
        try:
            return await self._service.claim(outcome.request, digest, asking.gate.name, consume=consume)
        except KeyturnError as error:
            raise Denied(speech.changed_meanwhile(error)) from error

    async def _use(self, asking: Asking, outcomes: Sequence[Outcome]) -> None:
        """Consume the permits of all; when one can't be, those that were used are reported as not run."""
        used: list[Outcome] = []
        try:
            for outcome in outcomes:
                if outcome.permit is None:
                    raise Denied(speech.refused(outcome.words))
                await self._service.consume(outcome.permit.token, outcome.digest, asking.gate.name)
                used.append(outcome)
        except (KeyturnError, Denied):
            for outcome in used:
                permit = outcome.permit.id if outcome.permit else None
                await self._service.report(
                    Receipt(outcome.action, permit, "not-run", note="another part was not allowed")
                )
            raise

    async def _looked(self, asking: Asking) -> list[Looked]:
        """The actions as they are now, with the files that they would run digested into them."""
        found = []
        for action in await self._actions(asking):
            around = replace(asking.run.around, cwd=action.cwd)
            if isinstance(action.content, Shell):
                found.append(await asyncio.to_thread(looked_into, action, around, asking.uid))
            else:
                found.append(Looked(action, around))
        return found

    async def _actions(self, asking: Asking) -> list[Action]:
        event, run = asking.event, asking.run
        contents = await resolved(event.proposals, asking.uid)
        if "\0" in event.cwd:
            raise HookMalformed("The working directory has a NUL byte.")
        cwd = await asyncio.to_thread(os.path.realpath, event.cwd)
        who = Attribution(
            agent=asking.agent,
            human=run.human,
            instruction=run.instruction,
            reasoning=asking.reasoning,
            definition=run.definition,
            parents=_chain(run, asking.session, event),
        )
        return [
            Action(
                content=content,
                attribution=who,
                gate=asking.gate,
                session=asking.session,
                cwd=cwd,
                call=_part(event.call, number),
            )
            for number, content in enumerate(contents)
        ]


def _chain(run: Run, session: str, event: HookEvent) -> tuple[str, ...]:
    """Sessions and agents above the one that proposes, outermost first."""
    return (*run.parents, session, f"subagent:{event.subagent}") if event.subagent else run.parents


def _part(call: str | None, number: int) -> str | None:
    return f"{call}#{number}" if call and number else call


def _allowed(action: Action, outcome: Outcome) -> Allowed:
    if outcome.verdict != "run" or outcome.permit is None:
        raise Denied(speech.refused(outcome.words))
    policy = outcome.decision.policy
    return Allowed(outcome.action, outcome.permit.id, outcome.digest, policy, action, outcome.canonical)


def _rewritten(asking: Asking, allowed: tuple[Allowed, ...]) -> str | None:
    """The re-emitted script, where the client can be made to run it instead of the raw text (promise 2)."""
    if (
        not asking.dialect.can_rewrite
        or len(allowed) != 1
        or not isinstance(allowed[0].action.content, Shell)
    ):
        return None
    return allowed[0].canonical


def wiring(place: Place) -> tuple[str, ...]:
    """What wires the gates of every client at *place*: policy knows it as Keyturn's own."""
    roots = {True: place.home, False: place.workspace}
    paths = [path for name in DIALECTS for path in DIALECTS[name].wiring]
    found = {
        posixpath.join(roots[path.startswith("~/")], path.removeprefix("~/"))
        for path in paths
        if path.startswith("/") or roots[path.startswith("~/")]
    }
    # A person may keep settings elsewhere and link them here: the file that is really read counts as well.
    return tuple(sorted(found | {os.path.realpath(path) for path in found}))


async def resolved(proposals: tuple[Proposal, ...], uid: int) -> list[Content]:
    """The contents with symbolic links followed and files digested, as they are now."""
    if any(isinstance(proposal.content, FileEdit) for proposal in proposals):
        return await asyncio.to_thread(lambda: [_resolved(proposal, uid) for proposal in proposals])
    return [proposal.content for proposal in proposals]


_OWN_TO_A_PROCESS = ("/proc/self/", "/proc/thread-self/", "/dev/fd/", "/dev/std", "/dev/tty")


def _resolved(proposal: Proposal, uid: int) -> Content:
    content = proposal.content
    if not isinstance(content, FileEdit):
        return content
    # What the kernel makes up for one process would be the server's own here; as it stands, it is in no known zone.
    own = content.path.startswith(_OWN_TO_A_PROCESS)
    path = content.path if own else os.path.realpath(content.path)
    before = None if content.operation == "read" else files.content(path, uid)
    return filled(replace(content, path=path), proposal.edit, before)
