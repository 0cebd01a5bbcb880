"""What the story plays on: a real server in this process, a gate's real connection to it, people, and a clock that can be moved.

Nothing of it is a double: what agents ask goes over the gates' socket, people decide through the use cases of the page, and what is found
is found by the followers that every server has.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.actions import Action, Agent, Attribution, Content, Gate, Human, Shell, Text
from keyturn.demo.people import Tell
from keyturn.demo.scratch import DemoFailed
from keyturn.drift.definition import Definition
from keyturn.gates.connection import RemoteService
from keyturn.identity import Person
from keyturn.resources import Surroundings
from keyturn.server import Server
from keyturn.service import findings
from keyturn.service.findings import FindingView
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Choice, Outcome, Receipt, RequestView

GATE = Gate("demo:drift", "cooperative", "1")


@dataclass
class Stage:
    """Everything a chapter uses. `known` are findings that were told already."""

    server: Server
    service: Keyturn
    gate: RemoteService
    work: Path
    tell: Tell
    known: set[str] = field(default_factory=set)
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def session(self, agent: str, *, described: Definition | None = None, instruction: str = "") -> Run:
        """An agent begins to work for Dana."""
        about = Agent(agent, "claude-code", "2.1")
        opened = await self.gate.open_session(
            agent=about,
            human=None,
            gate=GATE,
            cwd=str(self.work),
            client_session=f"demo-{next(self.numbers)}",
            described=described,
        )
        if instruction:
            await self.gate.instruct(opened.id, Text(instruction, "demo"))
        return Run(self, about, opened.id, described.digest if described else None)

    def person(self, name: str) -> Person:
        """Somebody on the roster."""
        found = self.service.core.roster.get(name)
        if found is None:
            raise DemoFailed(f"{name} is not on the roster.")
        return found

    async def decide(self, request: str, who: str, reason: str, choice: Choice = "approve") -> RequestView:
        """*who* decides on what is shown."""
        person = self.person(who)
        view = await self.service.request(request, person)
        return await self.service.decide(
            request,
            person,
            choice,
            reason=reason,
            digest=view.digest,
            display=view.display,
            channel="demo",
        )

    def later(self, hours: float) -> None:
        """The story's clock goes on."""
        before: Callable[[], float] = self.service.core.clock
        self.service.core.clock = lambda: before() + hours * 3600

    async def looked(self) -> None:
        """Until every follower has read every entry, and has looked at the clock."""
        following = self.server.following
        if following is None:
            raise DemoFailed("The server has no followers.")
        await following.settled()
        await following.tick(self.service.core.now())
        await following.settled()

    async def found(self, *kinds: str) -> list[FindingView]:
        """New findings of *kinds*, oldest first. Raises `DemoFailed` when one of the kinds was not found."""
        await self.looked()
        new = [
            one
            for one in reversed(findings.views(self.service.core, 500))
            if one.id not in self.known and one.kind in kinds
        ]
        self.known |= {one.id for one in new}
        missing = set(kinds) - {one.kind for one in new}
        if missing:
            everything = sorted({one.kind for one in findings.views(self.service.core, 500)})
            raise DemoFailed(
                f"Expected {', '.join(sorted(missing))}; there is {', '.join(everything) or 'nothing'}."
            )
        return new


@dataclass(frozen=True)
class Run:
    """One session of an agent."""

    stage: Stage
    agent: Agent
    session: str
    definition: str | None = None

    async def ask(self, content: Content | str, reasoning: str = "It is the next step.") -> Outcome:
        """Propose an action; what may run is taken as done."""
        me = Human("dana", "os-uid", os.getuid())
        action = Action(
            Shell(content) if isinstance(content, str) else content,
            Attribution(self.agent, me, None, Text(reasoning, "demo"), self.definition),
            GATE,
            self.session,
            cwd=str(self.stage.work),
        )
        work = str(self.stage.work)
        around = Surroundings(cwd=work, workspace=work, home=str(self.stage.work.parent))
        outcome = await self.stage.gate.authorize(action, around, consume=True)
        if outcome.verdict == "run" and outcome.permit:
            done = Receipt(outcome.action, outcome.permit.id, "done", outcome.digest, exit_code=0)
            await self.stage.gate.report(done)
        return outcome

    async def approved(self, content: Content | str, by: str, reason: str) -> Outcome:
        """Propose it, let *by* approve it where it is held, and take it as done."""
        outcome = await self.ask(content)
        if outcome.verdict != "hold" or outcome.request is None:
            return outcome
        await self.stage.decide(outcome.request, by, reason)
        claimed = await self.stage.gate.claim(outcome.request, outcome.digest, GATE.name, consume=True)
        if claimed.permit:
            done = Receipt(claimed.action, claimed.permit.id, "done", claimed.digest, exit_code=0)
            await self.stage.gate.report(done)
        return claimed

    async def closed(self) -> None:
        """The agent ends."""
        await self.stage.gate.close_session(self.session, "It has nothing left to do.")


def shown(found: Sequence[FindingView]) -> list[str]:
    """Findings as the story tells them."""
    lines = []
    for one in found:
        lines.append(f"      ! {one.kind}: {one.words}")
        if one.observed and one.expected:
            lines.append(f"        observed {one.observed}; expected {one.expected}")
        grade = one.explanation.grade
        change = (
            f" by {one.explanation.actor}'s change {one.explanation.change}" if one.explanation.change else ""
        )
        lines.append(f"        explained: {grade}{change}. {one.explanation.searched}".rstrip())
    return lines
