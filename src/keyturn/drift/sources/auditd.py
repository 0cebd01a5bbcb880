"""The Linux audit log (auditd's own file): programs that were started, out of SYSCALL, EXECVE and PROCTITLE records.

Records of one event share `audit(SECONDS.MILLIS:SERIAL)` and may lie between those of others; an event is complete at its EOE or
PROCTITLE record, or when `OPEN` others are open. A word is quoted, or hexadecimal where it holds a space, a quote or a byte that
is not printable; a long one comes in pieces (`a1[0]`, `a1[1]`). Sources: auditd(8); audit-userspace, README-field-dictionary;
Linux kernel/auditsc.c (audit_log_execve_info), kernel/audit.c (audit_log_untrustedstring).

`principal` is the audit user id (`auid`), which stays through sudo and su; `object` the kernel's session (`ses`).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import BinaryIO

from keyturn.drift import fingerprints, tags
from keyturn.drift.observed import MAX_STATEMENT, Observed
from keyturn.drift.sources.lines import Sheet, lines, utf8

OPEN = 256
"""Events whose records are still awaited."""
MAX_WORDS = 4_096
UNSET = ("4294967295", "-1", "unset")

_HEAD = re.compile(
    r"type=(?P<type>[A-Z_0-9]+) msg=audit\((?P<seconds>\d{1,12})\.(?P<millis>\d{3}):(?P<serial>\d{1,20})\): ?"
)
_FIELD = re.compile(r'([a-z0-9_\[\]]+)=("[^"]*"|[^ ]*)', re.IGNORECASE)
_WORD = re.compile(r"a(\d{1,6})(?:\[(\d{1,6})\])?$")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+$")


class _Event:
    """The records of one event, as far as they came."""

    def __init__(self, line: int, time: int) -> None:
        self.line = line
        self.time = time
        self.call: dict[str, str] = {}
        self.words: dict[int, dict[int, str]] = {}
        self.count = 0
        self.title = ""
        self.started = False


def read(stream: BinaryIO, sheet: Sheet) -> Iterator[Observed]:
    """Every program that was started successfully."""
    waiting: OrderedDict[tuple[str, str], _Event] = OrderedDict()
    for number, raw in lines(stream, sheet):
        if not raw.strip():
            continue
        line = utf8(raw)
        match = _HEAD.search(line)
        if match is None:
            sheet.wrong(number, "no audit record (the raw log is read, not what `ausearch -i` prints)")
            continue
        key = (line[: match.start()], f"{match['seconds']}.{match['millis']}:{match['serial']}")
        event = waiting.get(key)
        if event is None:
            event = waiting[key] = _Event(number, int(match["seconds"]) * 1000 + int(match["millis"]))
        kind = match["type"]
        _taken(event, kind, line[match.end() :])
        if kind in ("EOE", "PROCTITLE"):
            del waiting[key]
            yield from _told(event, sheet)
        elif len(waiting) > OPEN:
            yield from _told(waiting.popitem(last=False)[1], sheet)
    for event in waiting.values():
        yield from _told(event, sheet)


def _taken(event: _Event, kind: str, body: str) -> None:
    if kind not in ("SYSCALL", "EXECVE", "PROCTITLE"):
        return
    fields = _FIELD.findall(body.partition("\x1d")[0])  # behind it an enriched log repeats ids as names
    if kind == "SYSCALL":
        event.call = dict(fields)
        return
    if kind == "PROCTITLE":
        event.title = value(dict(fields).get("proctitle", ""))
        return
    event.started = True
    for name, text in fields:
        if name == "argc" and text.isdigit():
            event.count = max(event.count, min(int(text), MAX_WORDS))
            continue
        match = _WORD.match(name)
        if match is not None and int(match[1]) < MAX_WORDS:
            event.words.setdefault(int(match[1]), {})[int(match[2] or 0)] = text


def _told(event: _Event, sheet: Sheet) -> Iterator[Observed]:
    call = event.call
    if not event.started or call.get("success", "yes") != "yes":
        sheet.skipped()
        return
    if not call:
        sheet.wrong(event.line, "an EXECVE record without its SYSCALL: who started it is not known")
        return
    argv = _argv(event)
    if argv is None:
        sheet.wrong(event.line, "words of the EXECVE record are missing")
        return
    auid = call.get("auid", "")
    yield Observed(
        time=event.time,
        principal="unset" if auid in UNSET else auid,
        fingerprint=fingerprints.command(argv),
        statement=" ".join(argv)[:MAX_STATEMENT],
        operation="execve",
        object=f"ses={call.get('ses', '')}",
        tag=tags.found_in(*argv),
        index=event.line,
    )


def _argv(event: _Event) -> list[str] | None:
    if not event.words or sorted(event.words) != list(range(max(event.count, len(event.words)))):
        return None
    argv = []
    for number in range(len(event.words)):
        pieces = event.words[number]
        if sorted(pieces) != list(range(len(pieces))):
            return None
        argv.append("".join(value(pieces[piece]) for piece in range(len(pieces))))
    return argv


def value(text: str) -> str:
    """A field's value: quoted as it is, else hexadecimal where it can be, with NUL bytes as spaces."""
    if text.startswith('"'):
        return text[1:-1] if text.endswith('"') and len(text) > 1 else text[1:]
    if text == "(null)":
        return ""
    if _HEX.match(text):
        return bytes.fromhex(text).replace(b"\0", b" ").decode("utf-8", "replace")
    return text


__all__ = ["read", "value"]
