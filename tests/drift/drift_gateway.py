"""A gate in front of a PostgreSQL, as somebody would write it: it asks for each statement, tags it, runs it, and reports.

`SKEW` is how far its clock (and so the ledger's) is ahead of the database's.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from service_world import World

from keyturn.actions import Action, ToolCall
from keyturn.canonical import digest_bytes
from keyturn.service import reconciling
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Receipt
from keyturn.service.reconciling import Asked, ReconciliationView
from keyturn.service.tagging import tag

TARGET = "db-shop"
SKEW = 0.120
RULES = b"""
@id("database") @because("the gate tags what it runs, and its log is compared")
permit(principal, action == Action::"tool", resource)
when { context.server == "postgres" };
"""
DRIFT = b"""
[coverage.shop]
source = "pgaudit"
target = "db-shop"
principals = ["agent_rw"]
"""
POLICY = {
    "policy.toml": b'name = "tried"\nmode = "enforce"\n',
    "rules/main.cedar": RULES,
    "drift.toml": DRIFT,
}

LOOKS = (
    "select id, total from orders where id = {n}",
    "select count(*) from orders where total > {n}",
    "select customer from orders where id in ({n}, {m})",
    "update orders set total = {n} where id = {m}",
    "select o.id from orders o where o.customer = 'customer {n}' order by o.total",
)


def statement(dice: random.Random) -> str:
    """One of the statements that the gate's agents say."""
    return dice.choice(LOOKS).format(n=dice.randrange(1, 500), m=dice.randrange(1, 500))


class Skewed(World):
    """A home whose clock is `SKEW` seconds ahead."""

    def __init__(self, folder: Path, policy: dict[str, bytes] = POLICY) -> None:
        super().__init__(folder, policy=policy)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Keyturn]:
        """The service, and the ledger that stamps its entries, by that clock."""
        async with super().opened() as service:
            service.core.clock = service.core.ledger._writer._clock = lambda: time.time() + SKEW
            yield service


async def through_the_gate(
    world: World,
    service: Keyturn,
    url: str,
    statements: list[str],
    *,
    tagged: bool,
    width: int = 20,
    told: bool = True,
) -> list[str]:
    """Ask for, run and (when *told*) report each of *statements*, *width* at a time; the actions' ids."""
    import psycopg

    session = await world.session(service)
    done: list[str] = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for start in range(0, len(statements), width):
            part = statements[start : start + width]
            asked = [_asked(world, session, text) for text in part]
            outcomes = await asyncio.gather(
                *(service.authorize(one, world.around, consume=True) for one in asked)
            )
            async with connection.pipeline():
                for outcome, text in zip(outcomes, part, strict=True):
                    assert outcome.verdict == "run", outcome.words
                    name = tag(service.core, outcome.action, TARGET) if tagged else "gate"
                    await connection.execute(f"set application_name = '{name}'")
                    await connection.execute(text.encode(), prepare=False)
            done += [outcome.action for outcome in outcomes]
            if not told:
                continue
            receipts = [Receipt(outcome.action, None, "done") for outcome in outcomes]
            await asyncio.gather(*(service.report(receipt) for receipt in receipts))
    return done


def _asked(world: World, session: str, text: str) -> Action:
    content = ToolCall("query", {"sql": text}, "postgres")
    return world.action(session, content, target=TARGET)


def past_the_gate(url: str, statements: list[str], name: str = "") -> int:
    """The same credential, without asking; the server's process that served it, by which a test knows the lines."""
    import psycopg

    with psycopg.connect(url, autocommit=True, application_name=name) as connection:
        for text in statements:
            connection.execute(text.encode(), prepare=False)
        return connection.info.backend_pid


async def compared(service: Keyturn, log: Path, **changes: Any) -> ReconciliationView:
    """The target's log beside the ledger, as an administrator has it compared."""
    asked = Asked("pgaudit", TARGET, **changes)
    data = log.read_bytes()
    admin = service.core.roster.people["dana"]
    return await reconciling.reconcile(
        service.core, admin, asked, io.BytesIO(data), digest_bytes(data), len(data)
    )
