"""A real server process, killed with SIGKILL while it tells somebody."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from channels_http import Service
from channels_world import ChannelsWorld

from keyturn.cli.ledger import reading
from keyturn.ledger import leaf

sys.path.insert(0, str(Path(__file__).parent.parent / "server"))
from server_process import GateClient, Process

SECRET = "whsec_" + base64.b64encode(b"a" * 32).decode()


def recorded(world: ChannelsWorld) -> Counter[str]:
    """How often the log says that a request's opening was told."""
    with reading(world.home) as store:
        entries = [leaf.read(stored) for stored in store.entries(0, None)]
    return Counter(e.fields["about"] for e in entries if e.type == "notice.sent")


@pytest.mark.parametrize("round_", range(3))
def test_a_server_that_is_killed_tells_again_only_what_the_log_does_not_have(
    world: ChannelsWorld, round_: int
) -> None:
    """Whatever the moment of the kill: each request is told, once as far as the log knows, and always under one id."""
    world.write("s", SECRET)

    async def main() -> None:
        async with Service().listening() as service:
            world.set(f'[[webhook]]\nname = "siem"\nurl = "{service.url}"\nsecret_files = ["s"]\n')
            process = Process(world.home)
            try:
                await asyncio.to_thread(process.start)
                gate = await asyncio.to_thread(GateClient, world.home)
                for number in range(4):
                    await asyncio.to_thread(gate.authorize, f"rm -r build{number}")
                await service.until(1 + round_)
                process.kill()
                before = recorded(world)
                seen = Counter(got.json["data"]["request"] for got in service.got)
                await asyncio.to_thread(process.start)
                again = await asyncio.to_thread(GateClient, world.home)
                await asyncio.to_thread(again.authorize, "rm -r last")
                async with asyncio.timeout(120):
                    while len({got.json["data"]["request"] for got in service.got}) < 5:
                        service.arrived.clear()
                        await service.arrived.wait()
            finally:
                await asyncio.to_thread(process.stop)
            told = Counter(got.json["data"]["request"] for got in service.got)
            for request in before:
                assert told[request] == seen[request], "what is recorded is not sent again"
            ids = {(got.json["data"]["request"], got.headers["webhook-id"]) for got in service.got}
            assert len(ids) == 5
            assert set(recorded(world).values()) == {1}
            assert json.dumps(SECRET) not in (world.home.root / "server.log").read_text()

    asyncio.run(main())
