"""A real home, ledger and policy with the real outbox; only the services outside are local stand-ins."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from service_world import World, decide

from keyturn.channels.building import build
from keyturn.channels.notices.outbox import Outbox
from keyturn.channels.notices.pace import Pace
from keyturn.ledger.entries import Draft, Entry
from keyturn.server import Server
from keyturn.service.keyturn import Keyturn
from keyturn.service.settings import load

QUICK = Pace(first=0.005, longest=0.05, believed=0.2, send=60.0, tries=4)
LINK = "https://keyturn.example/requests/"

__all__ = ["LINK", "QUICK", "ChannelsWorld", "Pace", "Running", "decide"]


class Running:
    """A service whose outbox runs."""

    def __init__(self, world: ChannelsWorld, service: Keyturn, outbox: Any) -> None:
        self.world = world
        self.service = service
        self.outbox = outbox
        self.url = ""
        self._session = ""

    async def ask(self, script: str = "rm -r build", **changes: Any) -> str:
        """The request that an agent's command opens."""
        if not self._session:
            self._session = await self.world.session(self.service)
        action = self.world.action(self._session, script, **changes)
        outcome = await self.service.authorize(action, self.world.around)
        assert outcome.request is not None, outcome
        return outcome.request

    def entries(self, kind: str) -> list[Entry]:
        """What was recorded of one type."""
        return [entry for entry in self.service.core.ledger.entries() if entry.type == kind]

    async def until(self, found: Callable[[], Any]) -> Any:
        """What *found* gives once it is something; looked at after each entry that lands."""
        async with asyncio.timeout(120), self.service.core.ledger.subscribe() as entries:
            while not (value := found()):
                await anext(entries)
            return value

    async def recorded(self, kind: str, count: int = 1) -> list[Entry]:
        """The entries of that type once there are *count*."""
        return await self.until(lambda: (e := self.entries(kind)) and len(e) >= count and e)


class ChannelsWorld(World):
    """A home whose settings name channels."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pace = QUICK

    def write(self, name: str, text: str) -> str:
        """A private file in the home; its name."""
        path = self.home.root / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return name

    def set(self, text: str) -> None:
        """The home's settings."""
        self.home.settings.write_text(text)
        self.settings = load(self.home.root, {})

    async def account(self, service: Keyturn, person: str, *accounts: str) -> None:
        """Accounts of a person, as the roster has them once linking was approved."""
        await service.core.ledger.append(
            [Draft("person.changed", {"id": person, "accounts": list(accounts)})]
        )
        service.core.people_changed()

    @contextlib.asynccontextmanager
    async def telling(self, channels: Sequence[Any] | None = None) -> AsyncIterator[Running]:
        """The service, with the outbox over the channels of the settings."""
        async with self.opened() as service:
            built = build(self.home.root, self.settings)
            assert not built.unusable, built.unusable
            outbox = Outbox(
                service.core, built.made if channels is None else channels, lambda r: LINK + r, self.pace
            )
            task = asyncio.create_task(outbox.run())
            try:
                yield Running(self, service, outbox)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Running]:
        """The whole server, listening, with everybody enrolled."""
        server = Server(self.home, self.settings)
        async with server.running() as service:
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
            running = Running(self, service, None)
            running.url = server.url
            yield running

    def tell(self, story: Callable[[Running], Any], channels: Sequence[Any] | None = None) -> Any:
        """Play *story* with the outbox running."""

        async def main() -> Any:
            async with self.telling(channels) as running:
                return await story(running)

        return asyncio.run(main())
