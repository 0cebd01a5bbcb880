"""What is asked for when a pack is."""

from __future__ import annotations

from msgspec import Struct

from keyturn.evidence.withholding import Disclosure


class Order(Struct, frozen=True):
    """What is asked for. Times in milliseconds since 1970, `until` not included; `size`: how many entries of the log.

    `pack` is the id of the `evidence.exported` entry that is the last of these; empty where none was recorded. `heads` are checkpoint
    notes that somebody else kept: (by whom, note).
    """

    framework: str
    since: int
    until: int
    size: int
    disclosure: Disclosure
    pack: str = ""
    by: str = ""
    auditor: str = ""
    heads: tuple[tuple[str, str], ...] = ()


__all__ = ["Order"]
