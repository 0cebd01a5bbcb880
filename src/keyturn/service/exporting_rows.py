"""How `evidence.exported` changes what is known of packs. Row kind: `evidence-pack`, by id."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from keyturn.ledger.entries import Entry, Put, Rows


def _exported(entry: Entry, rows: Rows) -> Iterable[Put]:
    body = {**entry.fields, "entry": entry.index, "time": entry.time}
    yield Put("evidence-pack", entry.fields["id"], body, entry.fields["framework"], entry.time)


HANDLERS: dict[str, Callable[[Entry, Rows], Iterable[Put]]] = {"evidence.exported": _exported}

__all__ = ["HANDLERS"]
