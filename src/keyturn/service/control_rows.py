"""The rows of `control.tested` and `gate.heartbeat`: what controls came to last, their days, and when somebody was there to look.

Row kinds: `control-run` (key `latest`), `control-test` (key: the test), `control-ran` and `presence` (key: the day's beginning; `at` the
same): signs of life as `evidence.history.Sign`, those without a gap between them put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from keyturn.evidence.history import DAY_MS, Sign, joined
from keyturn.ledger.entries import Entry, Put, Rows

DAYS = 800
"""Days of a test that its row keeps: two years of audit, and some."""
CHANGES = 200
"""Changes of a test's verdict that its row keeps."""
FIGURES_AT_ONCE = 30
"""Tests whose figures stand in one field: it has to stay below `MAX_FIELD_BYTES`, or no row could be made of it."""
DAYS_AT_ONCE = 70
"""Days of one test in one field, for the same reason."""


def tested(entry: Entry, rows: Rows) -> Iterable[Put]:
    """The rows that a run of the tests changes."""
    f = entry.fields
    every = f.get("every", 0)
    run = {
        "id": f["id"], "entry": entry.index, "time": entry.time, "since": f["since"], "until": f["until"], "size": f["size"],
        "root": f.get("root", ""), "why": f.get("why", ""), "every": every, "by": f.get("by", ""), "results": f.get("results", []),
        "changed": f.get("changed", []), "problems": f.get("problems", []), "tests": [one[0] for one in parts(f, "figures")],
    }  # fmt: skip
    yield Put("control-run", "latest", run, run["why"], entry.time)
    yield _sign("control-ran", entry.time, Sign(entry.time, entry.time, max(1, every) * 1000), entry, rows)
    days: dict[str, list[list[int]]] = {}
    for test, found in parts(f, "days"):
        days.setdefault(test, []).extend(found)
    for test, verdict, population, exceptions, untested in parts(f, "figures"):
        old = rows.row("control-test", test) or {"verdict": "", "changes": [], "days": []}
        changes = old["changes"]
        if verdict != old["verdict"]:
            changes = [*changes, [entry.time, entry.index, verdict]][-CHANGES:]
        body = {
            "test": test, "verdict": verdict, "population": population, "exceptions": exceptions, "untested": untested,
            "entry": entry.index, "time": entry.time, "changes": changes, "days": _days(old["days"], days.get(test, [])),
        }  # fmt: skip
        yield Put("control-test", test, body, verdict, entry.time)


def beaten(entry: Entry, rows: Rows) -> Iterable[Put]:
    """The row that a heartbeat changes."""
    f = entry.fields
    first = min(f["since"], entry.time)
    yield _sign("presence", entry.time, Sign(first, entry.time, f["interval_s"] * 1000), entry, rows)


def parts(fields: Mapping[str, Any], name: str) -> Iterable[list[Any]]:
    """What is spread over the fields `NAME_0`, `NAME_1`…, in order."""
    number = 0
    while (found := fields.get(f"{name}_{number}")) is not None:
        yield from found
        number += 1


def spread(name: str, items: list[Any], most: int) -> dict[str, list[Any]]:
    """*items* over the fields `NAME_0`, `NAME_1`…, *most* in each."""
    return {f"{name}_{at // most}": items[at : at + most] for at in range(0, len(items), most)}


def signs(row: Mapping[str, Any] | None) -> tuple[Sign, ...]:
    """The signs in such a row."""
    return msgspec.convert(row["signs"], tuple[Sign, ...]) if row else ()


def _sign(kind: str, time: int, sign: Sign, entry: Entry, rows: Rows) -> Put:
    day = time - time % DAY_MS
    key = f"{day:015d}"
    known = joined(signs(rows.row(kind, key)), sign)
    return Put(
        kind, key, {"day": day, "signs": msgspec.to_builtins(list(known)), "entry": entry.index}, "", day
    )


def _days(old: list[list[int]], new: list[list[int]]) -> list[list[int]]:
    known = {one[0]: one for one in (*old, *new)}
    return [known[day] for day in sorted(known)][-DAYS:]


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "control.tested": tested,
    "gate.heartbeat": beaten,
}
