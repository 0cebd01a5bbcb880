"""What limits and orders cost an action, and that it is the same after ten thousand counted actions and after a hundred thousand.

The counters' part of a decision is measured without the disk; floor: the same action under a policy without drift.toml. Durable writes are
`bench-authorize`'s. The growth is measured on real rows, folded from that many entries' counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import to_builtins

from keyturn import readers
from keyturn.actions import Shell
from keyturn.drift import counting
from keyturn.drift.counting import Counts
from keyturn.drift.orders import Signs, Trail, breaks, marks
from keyturn.ledger.entries import Entry, Put
from keyturn.policy import STARTER, Facts, Policy
from keyturn.resources import Surroundings
from keyturn.service import limit_rows

AROUND = Surroundings(cwd="/w", workspace="/w", home="/home/u")
WHO = {"agent": "coder", "person": "dana", "session": "s", "gate": "g"}
SIZES = (10_000, 100_000)
START = 1_700_000_000_000
ORDER = """
[order.ticket]
before = "tool:desk/ticket"
after = "on:database"
"""


def run() -> list[dict[str, Any]]:
    """All rows."""
    files = {
        "policy.toml": b'name = "b"\nmode = "enforce"\n',
        "rules/a.cedar": b'@id("a") @because("b")\npermit(principal, action, resource);',
    }
    bare = Policy.parse(files)
    shipped = (STARTER / "drift.toml").read_bytes()
    limited = Policy.parse({**files, "drift.toml": shipped + ORDER.encode()})
    query = readers.read(Shell("psql -h db1 -d orders -c 'select 1'"), AROUND)
    plain = readers.read(Shell("ls -la src"), AROUND)
    floor = timed(lambda: bare.decide("shell", plain, Facts()))
    found = [
        row(
            "an action that nothing counts: limits and orders",
            timed(lambda: looked(limited, plain, {}, START)),
            floor,
            10,
        ),
    ]
    grown = {size: filled(limited, query, size) for size in SIZES}
    costs = {}
    for size, (rows, now) in grown.items():
        costs[size] = timed(partial(looked, limited, query, rows, now))
        found.append(row(f"a counted query after {size:,}: facts", costs[size], floor, 250))
        folded = timed(partial(folding, limited, query, rows, now))
        found.append(row(f"a counted query after {size:,}: its rows folded", folded, floor, 250))
    ratio = costs[SIZES[1]] / costs[SIZES[0]]
    found.append(
        {
            "name": "facts after ten times as many, against before",
            "value": ratio,
            "unit": "×",
            "floor": 1.0,
            "budget": 1.3,
            "within": ratio <= 1.3,
        }
    )
    return found


def row(name: str, seconds: float, floor: float, budget: float) -> dict[str, Any]:
    """One line, in microseconds."""
    value = seconds * 1e6
    return {
        "name": name,
        "value": value,
        "unit": "µs",
        "floor": floor * 1e6,
        "budget": budget,
        "within": value <= budget,
    }


def timed(one: Callable[[], Any], rounds: int = 400, repeats: int = 7) -> float:
    """Seconds of one call: the best of some medians, so that other work on the machine counts little."""
    medians = []
    for _ in range(repeats):
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            one()
            times.append(time.perf_counter() - began)
        medians.append(statistics.median(times))
    return min(medians)


def looked(policy: Policy, reading: Any, rows: dict[str, Any], now: int) -> Any:
    """The facts `over` and `broken`, as they are gathered."""
    limits = policy.drift.limits
    counts = counting.counts_of(limits, "shell", reading, "local", WHO, now)
    over = counting.over(limits, counts, rows.get, WHO, now) if counts.counts else ()
    broken = [
        order.name
        for order in policy.drift.orders.values()
        if breaks(order, Trail(b=1), marks(order, "shell", reading, "local"), Signs(), now)
    ]
    return over, broken


def entry_of(counts: Counts, index: int, now: int) -> Entry:
    """An `action.decided` that counts."""
    fields = {"verdict": "run", "limits": {"counts": [to_builtins(one) for one in counts.counts]}}
    return Entry(index, now, "action.decided", b"", (), fields, "s", 1)


class Rows:
    """Rows in a dictionary."""

    def __init__(self, known: dict[str, Any]) -> None:
        self.known = known

    def row(self, kind: str, key: str) -> dict[str, Any] | None:
        """The row."""
        return self.known.get(key)


def folding(policy: Policy, reading: Any, rows: dict[str, Any], now: int) -> list[Put]:
    """What one more adds."""
    counts = counting.counts_of(policy.drift.limits, "shell", reading, "local", WHO, now)
    return list(limit_rows.decided(entry_of(counts, 1, now), Rows(rows)))


def filled(policy: Policy, reading: Any, size: int) -> tuple[dict[str, Any], int]:
    """Counters after *size* queries, one every two seconds, and the time of the last."""
    rows: dict[str, Any] = {}
    counts = counting.counts_of(policy.drift.limits, "shell", reading, "local", WHO, START)
    now = START
    for number in range(size):
        now = START + number * 2_000
        for put in limit_rows.decided(entry_of(counts, number, now), Rows(rows)):
            rows[put.key] = put.body
    return rows, now
