"""What every source is read with: bounded lines, JSON records, and a count of what could not be read.

Rules kept here:

- A source is read once, from front to back, in memory that does not grow with it; gzip is recognised by its first bytes.
- A line that can't be read is counted, its reason kept for the first few, and the rest is read. Nothing raises.
- Lines, documents and the whole are bounded: what is beyond is said in `Sheet.stopped`, never dropped in silence.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, BinaryIO, cast

import msgspec

MAX_LINE = 1_048_576
"""Bytes of one line."""

MAX_DOCUMENT = 67_108_864
"""Bytes of a file that is one JSON document (CloudTrail's are a few MiB)."""

MAX_BYTES = 4_294_967_296
"""Bytes of a source, unpacked: a gzip file may claim to be anything."""

KEPT = 5
"""Reasons that are kept."""


class Sheet:
    """What was read of a source, and what was not."""

    def __init__(self) -> None:
        self.lines = 0
        self.broken = 0
        self.other = 0
        self.reasons: list[str] = []
        self.stopped = ""

    def wrong(self, line: int, why: str) -> None:
        """The line can't be read."""
        self.broken += 1
        if len(self.reasons) < KEPT:
            self.reasons.append(f"line {line}: {why}")

    def skipped(self) -> None:
        """The line is well, and about nothing that is looked for."""
        self.other += 1


def unpacked(stream: BinaryIO) -> BinaryIO:
    """*stream*, or what gzip packed in it. The stream can be read once."""
    buffered = (
        stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", stream))
    )
    return (
        cast("BinaryIO", gzip.GzipFile(fileobj=buffered)) if buffered.peek(2)[:2] == b"\x1f\x8b" else buffered
    )


def lines(stream: BinaryIO, sheet: Sheet) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line without its end). A line that is too long is counted as broken and skipped."""
    read, skipping = 0, False
    while True:
        try:
            line = stream.readline(MAX_LINE + 1)
        except (OSError, EOFError, zlib.error) as error:
            sheet.stopped = f"The source can't be read on behind line {sheet.lines} ({error})."
            return
        if not line:
            return
        read += len(line)
        if read > MAX_BYTES:
            sheet.stopped = (
                f"The source has more than {MAX_BYTES:,} bytes; it was read up to line {sheet.lines}."
            )
            return
        ended = line.endswith(b"\n")
        if not skipping:
            sheet.lines += 1
        if not ended and len(line) > MAX_LINE:
            if not skipping:
                sheet.wrong(sheet.lines, f"it is longer than {MAX_LINE:,} bytes")
            skipping = True
            continue
        if skipping:
            skipping = False
            continue
        yield sheet.lines, line.rstrip(b"\r\n")


def records(stream: BinaryIO, sheet: Sheet, *containers: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(number, record) of JSON lines, of one JSON document, or of documents that hold records under one of *containers*."""
    decode = msgspec.json.Decoder().decode
    first: bytes | None = None
    number = 0
    for line_number, line in lines(stream, sheet):
        if not line.strip():
            continue
        try:
            found = decode(line)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            if first is None and line.lstrip()[:1] in (b"{", b"["):
                yield from _document(line, stream, sheet, containers)
                return
            sheet.wrong(line_number, f"it is not JSON ({error})")
            continue
        first = line
        for record in _held(found, containers):
            number += 1
            if isinstance(record, dict):
                yield number, record
            else:
                sheet.wrong(line_number, "it is no JSON object")


def _document(
    start: bytes, stream: BinaryIO, sheet: Sheet, containers: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        rest = stream.read(MAX_DOCUMENT + 1)
    except (OSError, EOFError, zlib.error) as error:
        sheet.stopped = f"The document can't be read to its end ({error})."
        return
    if len(rest) > MAX_DOCUMENT:
        sheet.stopped = (
            f"The document has more than {MAX_DOCUMENT:,} bytes; none of it was read: give it as JSON lines."
        )
        return
    try:
        found = msgspec.json.decode(start + b"\n" + rest)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        sheet.wrong(1, f"it is neither JSON lines nor one JSON document ({error})")
        return
    for number, record in enumerate(_held(found, containers), 1):
        if isinstance(record, dict):
            yield number, record
        else:
            sheet.wrong(number, "it is no JSON object")


def _held(found: Any, containers: tuple[str, ...]) -> list[Any]:
    if isinstance(found, list):
        return found
    if isinstance(found, dict):
        for name in containers:
            if isinstance(found.get(name), list):
                return cast("list[Any]", found[name])
    return [found]


def text_at(record: Any, *path: str) -> str:
    """The text at *path*; empty where there is none, or something else."""
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record if isinstance(record, str) else ""


class NoTime(ValueError):
    """A time that can't be told."""


def moment(text: str) -> int:
    """An ISO 8601 date and time, with `Z`, `UTC`, `GMT` or an offset, as milliseconds since 1970. Raises `NoTime`."""
    text = text.strip()
    stamp, clock = text[:10], text[11:]
    if text[10:11] not in ("T", " "):
        raise NoTime(f"{text[:40]!r} is no date and time")
    clock, _, zone = clock.partition(" ")
    cut = max(clock.find("+"), clock.find("-"))
    if clock.endswith("Z"):
        clock, zone = clock[:-1], "Z"
    elif cut > 0:
        clock, zone = clock[:cut], clock[cut:]
    try:
        whole, _, part = clock.partition(".")
        at = datetime.fromisoformat(f"{stamp}T{whole}").replace(tzinfo=_zone(zone))
        fraction = int((part + "000")[:3]) if part.isdigit() or not part else -1
    except (ValueError, OverflowError) as error:
        raise NoTime(f"{text[:40]!r} is no date and time") from error
    if fraction < 0:
        raise NoTime(f"{text[:40]!r} is no date and time")
    return int(at.timestamp()) * 1000 + fraction


def _zone(name: str) -> timezone:
    if name in ("Z", "UTC", "GMT"):
        return UTC
    digits = name[1:].replace(":", "")
    if name[:1] in ("+", "-") and digits.isdigit() and len(digits) in (2, 4):
        ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
        return timezone(-ahead if name[0] == "-" else ahead)
    raise NoTime(
        f"the time zone {name[:20]!r} is no offset: have the log written in UTC"
        if name
        else "a time without a zone"
    )


def utf8(line: bytes) -> str:
    """*line* as text: what is no UTF-8 becomes replacement characters."""
    return line.decode("utf-8", "replace")


__all__ = ["MAX_LINE", "NoTime", "Sheet", "lines", "moment", "records", "text_at", "unpacked", "utf8"]
