"""How sightings and approved changes of configurations become rows (promise 7). Pure, like the rest of `projections`.

Row kinds: `configuration`, one a target: what was seen last, and which approved changes there are of it; `configuration-seen`, one a
sighting; `configuration-change`, by its request: the approved content and what of it was used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from keyturn.ledger.entries import Entry, Put, Rows

Body = dict[str, Any]
MOST_CHANGES = 400
"""Approved changes of a target that are searched: the newest ones."""


def seen(entry: Entry, rows: Rows) -> Iterable[Put]:
    """What a target is now; fields of approved changes that this was count as used."""
    f = entry.fields
    known = rows.row("configuration", f["target"]) or {"changes": [], "sightings": 0, "first": entry.time}
    body = {
        **known,
        "target": f["target"],
        "source": f["source"],
        "digest": f["digest"],
        "state": f["state"],
        "good": f["good"],
        "time": f["at"],
        "entry": entry.index,
        "objects": f["objects"],
        "sightings": known["sightings"] + 1,
        "drifted": f["drifted"],
    }
    yield Put("configuration", f["target"], body, "drifted" if f["drifted"] else "", entry.time)
    sighting = {**f, "time": f["at"], "entry": entry.index}
    yield Put("configuration-seen", f["id"], sighting, f["target"], entry.time)
    for change, which in f["used"].items():
        row = rows.row("configuration-change", change)
        if row is not None:
            yield _change(
                {**row, "used": _counted(row["used"], which), "seen": [*row["seen"], entry.index][-20:]}
            )


def approved(entry: Entry, rows: Rows) -> Iterable[Put]:
    """A change that people approved."""
    f = entry.fields
    yield _change({**f, "used": {}, "seen": [], "time": entry.time, "entry": entry.index})
    known = rows.row("configuration", f["target"]) or {
        "target": f["target"], "source": f["source"], "digest": "", "state": "", "good": "", "time": 0, "entry": 0, "objects": 0,
        "sightings": 0, "drifted": 0, "first": 0, "changes": [],
    }  # fmt: skip
    body = {**known, "changes": [*known["changes"], f["request"]][-MOST_CHANGES:]}
    yield Put("configuration", f["target"], body, "drifted" if body["drifted"] else "", body["time"])


def bitmap(numbers: Iterable[int]) -> str:
    """Which fields of a change, by their place in its patch, as the hexadecimal digits of a number."""
    return f"{sum(1 << number for number in set(numbers)):x}"


def _counted(used: dict[str, int], which: str) -> dict[str, int]:
    """How often each field was used, with those that *which* (a `bitmap`) names counted once more."""
    bits, counts, number = int(which, 16), dict(used), 0
    while bits:
        if bits & 1:
            counts[str(number)] = counts.get(str(number), 0) + 1
        bits >>= 1
        number += 1
    return counts


def _change(body: Body) -> Put:
    return Put("configuration-change", body["request"], body, body["target"], body["time"])


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {
    "configuration.seen": seen,
    "configuration.approved": approved,
}
