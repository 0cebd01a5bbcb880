"""Reconciliation on a real PostgreSQL with pgaudit: what each way of joining finds, and what it costs.

3,000 statements through a gate whose clock is 120 ms ahead, 64 past it with the same account, half of them byte for byte the same
as allowed ones. Who did what is known, so each join's misses and false accusations can be counted. *Exists* joins are here to be
compared with; Keyturn has none.
"""

from __future__ import annotations

import asyncio
import bisect
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keyturn.drift import sources
from keyturn.drift.matching import Frame, compare
from keyturn.drift.observed import Observed
from keyturn.drift.pairing import paired, skew
from keyturn.service.recollection import Recollection
from keyturn.service.tagging import tags_of

ROOT = Path(__file__).parent.parent
STATEMENTS, BYPASSES, PARTS = 3_000, 64, 16
BUDGET_MS = 1.0
"""Milliseconds of reading and joining for each line of the log, on one core."""


def run() -> list[dict[str, Any]]:
    """The table of joins, and the cost of the real one."""
    sys.path[:0] = [str(ROOT / "tests" / "drift"), str(ROOT / "tests" / "service")]
    from drift_postgres import MISSING, audited, installed

    if installed() is None:
        return [{"name": "reconciliation", "skipped": MISSING, "within": True}]
    with audited() as server, tempfile.TemporaryDirectory(prefix="keyturn-bench-reconcile-") as folder:
        return asyncio.run(_measured(server, Path(folder)))


async def _measured(server: Any, folder: Path) -> list[dict[str, Any]]:
    import random

    from drift_gateway import TARGET, Skewed, past_the_gate, statement, through_the_gate

    world, dice = Skewed(folder), random.Random(11)
    server.csv.write_bytes(b"")
    servers: set[int] = set()
    said = [statement(dice) for _ in range(STATEMENTS)]
    async with world.opened() as service:
        began = time.perf_counter()
        for part in range(PARTS):
            own = said[part * STATEMENTS // PARTS : (part + 1) * STATEMENTS // PARTS]
            await through_the_gate(world, service, server.url(), own, tagged=True, width=10, told=False)
            copies = dice.sample(own, BYPASSES // PARTS // 2)
            others = [f"delete from orders where id = {dice.randrange(900, 999)}" for _ in copies]
            servers.add(await asyncio.to_thread(past_the_gate, server.url(), [*copies, *others]))
        rate = STATEMENTS / (time.perf_counter() - began)
        while server.csv.read_bytes().count(b"AUDIT: ") < STATEMENTS + BYPASSES:
            await asyncio.sleep(0.05)
        core = service.core
        started = time.process_time()
        with server.csv.open("rb") as log:
            events = list(sources.read("pgaudit", log, sources.Sheet()))
        named = {found.id for one in events if (found := tags_of(core).checked(one.tag, TARGET))}
        memory = Recollection(core, tags_of(core))
        first, last = min(one.time for one in events), max(one.time for one in events)
        memory.read(first, last + 1, named)
        frame = Frame(TARGET, first, last + 1, ("agent_rw",))
        outcome = compare(events, list(memory.actions.values()), memory.spans, tags_of(core), frame)
        cost = (time.process_time() - started) * 1000 / len(events)
    # Column 4 of csvlog is the server's process: the benchmark alone knows which of them served what went past the gate.
    lines = server.csv.read_text().splitlines()
    past = {
        number
        for number, line in enumerate(lines, 1)
        if "AUDIT: " in line and int(line.split(",")[3]) in servers
    }
    assert len(past) == BYPASSES
    actions = list(memory.actions.values())
    times: dict[str, list[int]] = defaultdict(list)
    for one in actions:
        for text in one.statements:
            times[text].append(one.time)
    rows = [
        _row(
            "by tag: bypasses found of 64",
            sum(one.event.index in past for one in outcome.bypasses),
            BYPASSES,
            least=True,
        ),
        _row("by tag: false accusations", sum(one.event.index not in past for one in outcome.bypasses), 0),
    ]
    for reach in (50, 200, 2_000):
        left = _exists(events, times, reach)
        rows += _told(f"exists, same form, ±{reach} ms", left, past)
    for shift, name in (
        (0, "one to one, ±200 ms"),
        (_skew(events, times), "one to one, skew taken out, ±100 ms"),
    ):
        left = _one_to_one(events, times, shift, 100 if shift else 200)
        rows += _told(name, left, past)
    bare = [Observed(e.time, e.principal, e.fingerprint, e.statement, index=e.index) for e in events]
    untagged = compare(
        bare, actions, {}, tags_of(core), Frame(TARGET, first, last + 1, ("agent_rw",), "none")
    )
    rows += [
        _row("without tags, as Keyturn counts: surplus executions", untagged.surpluses, BYPASSES, exact=True),
        _row("statements through the gate, each second", rate, None, unit="1/s"),
        _row("read and joined, for each line", cost, BUDGET_MS, unit="ms"),
    ]
    return rows


def _exists(events: Sequence[Observed], times: dict[str, list[int]], reach: int) -> set[int]:
    left = set()
    for one in events:
        mine = sorted(times.get(one.fingerprint, ()))
        place = bisect.bisect_left(mine, one.time - reach)
        if place == len(mine) or mine[place] > one.time + reach:
            left.add(one.index)
    return left


def _one_to_one(events: Sequence[Observed], times: dict[str, list[int]], shift: int, reach: int) -> set[int]:
    forms: dict[str, list[Observed]] = defaultdict(list)
    for one in sorted(events, key=lambda one: one.time):
        forms[one.fingerprint].append(one)
    left = set()
    for form, mine in forms.items():
        taken = {n for n, _ in paired([one.time - shift for one in mine], sorted(times.get(form, ())), reach)}
        left |= {one.index for n, one in enumerate(mine) if n not in taken}
    return left


def _skew(events: Sequence[Observed], times: dict[str, list[int]]) -> int:
    forms: dict[str, list[int]] = defaultdict(list)
    for one in events:
        forms[one.fingerprint].append(one.time)
    found = skew(
        {form: sorted(mine) for form, mine in forms.items()},
        {form: sorted(mine) for form, mine in times.items()},
    )
    return found or 0


def _told(name: str, left: set[int], past: set[int]) -> list[dict[str, Any]]:
    return [
        _row(f"{name}: bypasses found of 64", len(left & past), None),
        _row(f"{name}: false accusations", len(left - past), None),
    ]


def _row(
    name: str, value: float, budget: float | None, *, unit: str = "", least: bool = False, exact: bool = False
) -> dict[str, Any]:
    within = budget is None or (value >= budget if least else value == budget if exact else value <= budget)
    return {"name": name, "value": value, "unit": unit, "floor": None, "budget": budget, "within": within}
