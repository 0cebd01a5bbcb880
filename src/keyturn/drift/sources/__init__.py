"""Readers of targets' own logs. Each is a generator over a binary stream, with a `Sheet` that says what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from keyturn.drift.observed import Observed
from keyturn.drift.sources import auditd, cloudtrail, github, jsonl, kubernetes, pgaudit
from keyturn.drift.sources.lines import Sheet, unpacked
from keyturn.errors import Malformed

Reader = Callable[[BinaryIO, Sheet], Iterator[Observed]]

SOURCES: dict[str, Reader] = {
    "pgaudit": pgaudit.read,
    "auditd": auditd.read,
    "cloudtrail": cloudtrail.read,
    "kubernetes": kubernetes.read,
    "github": github.read,
}
"""What needs no telling which field is what."""

NAMES = (*SOURCES, "jsonl")


def read(
    source: str, stream: BinaryIO, sheet: Sheet, paths: Mapping[str, str] | None = None
) -> Iterator[Observed]:
    """Every event that the *source*'s log *stream* tells of; *paths* is for `jsonl`. Raises `Malformed` for a source that is not known."""
    if paths and source != "jsonl":
        raise Malformed("--map is for jsonl: the other sources say themselves which field is what.")
    if source == "jsonl":
        return jsonl.read(unpacked(stream), sheet, jsonl.mapping(paths or {}))
    if source not in SOURCES:
        raise Malformed(f"There is no source {source!r}, only {', '.join(NAMES)}.")
    return SOURCES[source](unpacked(stream), sheet)


__all__ = ["NAMES", "SOURCES", "Sheet", "read"]
