"""A real home, a real ledger, real policy: what the tests of promises play with. No part is a double."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from keyturn.actions import Action, Agent, Attribution, Content, Gate, Human, Shell, Text
from keyturn.cli.init import create
from keyturn.home import Home
from keyturn.resources import Surroundings
from keyturn.server import _pump, open_service
from keyturn.service.keyturn import Keyturn
from keyturn.service.settings import Settings

T = TypeVar("T")
GATE = Gate("hooks:test@here", "cooperative")


class World:
    """A home in *folder*; `now` moves only when the test moves it."""

    def __init__(self, folder: Path, *, policy: dict[str, bytes] | None = None, store: str = "") -> None:
        self.home = Home(folder / "home")
        self.work = folder / "work"
        self.work.mkdir(exist_ok=True)
        self.settings = Settings(store=store)
        if store:
            self.home.root.mkdir(parents=True)
            self.home.settings.write_text(f'store = "{store}"\n')
        create(self.home, "dana", "Dana", "enforce", policy=policy)
        self.tokens: dict[str, str] = {}

    def play(self, story: Callable[[Keyturn], Awaitable[T]]) -> T:
        """Open the service, run *story*, close it."""

        async def main() -> T:
            async with self.opened() as service:
                return await story(service)

        return asyncio.run(main())

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Keyturn]:
        """The service with its waiters awake, and the reviewers `riley` and `sam` enrolled."""
        service = open_service(self.home, self.settings)
        pump = asyncio.create_task(_pump(service))
        try:
            for person in ("riley", "sam"):
                if service.core.roster.get(person) is None:
                    self.tokens[person] = await service.enrol(
                        person,
                        name="",
                        groups=["reviewers", "policy"],
                        roles=["member"],
                        os_uids=[],
                        by="dana",
                    )
            yield service
        finally:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
            service.core.ledger.close()

    async def session(self, service: Keyturn, client_session: str = "", *, known: bool = True) -> str:
        """A session of Dana's agent, or of nobody known."""
        opened = await service.open_session(
            agent=Agent("claude-code", "claude-code", "2.1"),
            human=Human("dana", "os-uid", os.getuid()) if known else None,
            gate=GATE,
            cwd=str(self.work),
            client_session=client_session,
        )
        return opened.id

    def action(self, session: str, content: Content | str, **changes: Any) -> Action:
        """An action of Dana's agent in the work folder."""
        who = Attribution(
            Agent("claude-code", "claude-code", "2.1"),
            Human("dana", "os-uid", os.getuid()),
            Text("tidy up", "hook:UserPromptSubmit"),
            Text("because", "transcript"),
            "sha256:" + "0" * 64,
        )
        given: dict[str, Any] = {"attribution": who, "gate": GATE, "session": session, "cwd": str(self.work)}
        return Action(Shell(content) if isinstance(content, str) else content, **{**given, **changes})

    @property
    def around(self) -> Surroundings:
        """Where the agent works."""
        return Surroundings(cwd=str(self.work), workspace=str(self.work), home=str(self.work.parent))


HELD = "rm -r build"
ALLOWED = "ls -la"


def person(service: Keyturn, name: str) -> Any:
    """Somebody on the roster."""
    found = service.core.roster.get(name)
    assert found is not None
    return found


async def decide(service: Keyturn, request: str, who: str, choice: str = "approve", **changes: Any) -> Any:
    """*who* decides on what is shown."""
    view = await service.request(request, person(service, who))
    given = {"reason": "", "digest": view.digest, "display": view.display, "channel": "test", **changes}
    return await service.decide(request, person(service, who), choice, **given)


def types(service: Keyturn) -> list[str]:
    """Types of all entries."""
    return [entry.type for entry in service.core.ledger.entries()]
