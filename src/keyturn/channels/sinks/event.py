"""An entry as sinks send it: what is disclosed of it, and what proves where it stands. Frozen data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from keyturn.errors import KeyturnError
from keyturn.evidence.withholding import shown
from keyturn.ledger.entries import Entry
from keyturn.ledger.merkle import leaf_hash


class Event(Struct, frozen=True):
    """`time` is milliseconds since 1970. `leaf` is the RFC 6962 hash of the entry, in hexadecimal: with `origin` and `index` a row in
    any other system can be proven (`keyturn ledger prove INDEX`). `withheld` counts fields that are not in `fields`."""

    origin: str
    index: int
    time: int
    type: str
    session: str
    n: int | None
    leaf: str
    fields: Mapping[str, Any]
    withheld: int

    @property
    def id(self) -> str:
        """The same for every delivery of the same entry, so that a receiver can drop what it has."""
        return f"{self.origin}:{self.index}"


def event_of(entry: Entry, origin: str, full: Callable[[Any], Any], *, content: bool) -> Event:
    """*entry* as it goes out; without *content* what actions are made of, and what agents were told, stays in.

    *full* gives a value that is kept beside the entry; one that was erased stays a reference.
    """
    told = entry.fields if content else shown(entry.type, entry.fields)
    fields = {name: _opened(value, full) for name, value in told.items()}
    if not content and isinstance(fields.get("reading"), dict):
        fields["reading"] = _effects(fields["reading"])
    return Event(
        origin, entry.index, entry.time, entry.type, entry.session or "", entry.n,
        leaf_hash(entry.leaf).hex(), fields, len(entry.fields) - len(fields),
    )  # fmt: skip


def _effects(reading: Mapping[str, Any]) -> dict[str, Any]:
    """A reading without the words of the command: programs, and effects with what they are on."""
    steps = [
        {name: step[name] for name in ("program", "subcommand", "complete", "effects") if name in step}
        for step in reading.get("steps", ())
        if isinstance(step, Mapping)
    ]
    return {name: reading[name] for name in ("kind", "complete", "sentence") if name in reading} | {
        "steps": steps
    }


def _opened(value: Any, full: Callable[[Any], Any]) -> Any:
    try:
        return full(value)
    except KeyturnError:
        return value
