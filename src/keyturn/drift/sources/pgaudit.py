"""PostgreSQL with pgaudit: the server log in its three formats (stderr, csvlog, jsonlog), told apart by the first line.

The audit line is CSV: type, statement id, sub-statement id, class, command, object type, object, statement, parameters, and with
`pgaudit.log_rows` the rows. One statement may give several lines (one for each relation, one for each statement inside a
function): the first stands for it, the others are counted as its parts. Sources: pgaudit 1.7 README "Format"; PostgreSQL 15
§20.8.1 (continuation lines of stderr begin with a tab), §20.8.4 (columns of csvlog), §20.8.5 (keys of jsonlog).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from keyturn.drift import fingerprints, tags
from keyturn.drift.observed import MAX_STATEMENT, Observed
from keyturn.drift.sources.lines import MAX_LINE, NoTime, Sheet, lines, moment, text_at, utf8

MARK = "AUDIT: "
SESSIONS = 10_000
"""Sessions of the target whose last statement is remembered."""

_CSV = re.compile(r'(?:"((?:[^"]|"")*)"|([^,]*))(,|$)', re.DOTALL)
_STDERR = re.compile(r"^(?P<prefix>.*?)(?:LOG|INFO|NOTICE|WARNING|DEBUG\d?):  " + MARK, re.DOTALL)
_STAMP = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:[A-Z]{1,5}|[+-]\d\d(?::?\d\d)?)|\b\d{10}\.\d{3}\b"
)
_WHO = re.compile(r"(?P<user>[^\s@\[\]=,]+)@(?P<database>[^\s@\[\],]+)")
_PROCESS = re.compile(r"\[(\d+)\]")


class _Line(msgspec.Struct, frozen=True):
    """What the log says around an audit message."""

    time: str
    user: str
    database: str
    session: str
    application: str
    message: str


def read(stream: BinaryIO, sheet: Sheet) -> Iterator[Observed]:
    """Every audited statement of *stream*."""
    last: OrderedDict[str, str] = OrderedDict()
    for number, line in _logged(stream, sheet):
        fields = csv_fields(line.message)
        if len(fields) < 9:
            sheet.wrong(number, "an audit line without its nine fields")
            continue
        try:
            at = moment(line.time) if " " in line.time else int(float(line.time) * 1000)
        except (NoTime, ValueError) as error:
            sheet.wrong(number, str(error))
            continue
        session, statement_id = line.session, fields[1]
        if last.get(session) == statement_id:
            sheet.skipped()
            continue
        last[session] = statement_id
        last.move_to_end(session)
        if len(last) > SESSIONS:
            last.popitem(last=False)
        yield Observed(
            time=at,
            principal=line.user,
            fingerprint=fingerprints.sql(fields[7]),
            statement=fields[7][:MAX_STATEMENT],
            operation=f"{fields[3]} {fields[4]}".strip(),
            object=fields[6],
            target=line.database,
            tag=tags.found_in(line.application),
            index=number,
            rows=int(fields[9]) if len(fields) > 9 and fields[9].isdigit() else -1,
        )


def _logged(stream: BinaryIO, sheet: Sheet) -> Iterator[tuple[int, _Line]]:
    """The audit messages, whatever the format; other messages are counted as such."""
    source = lines(stream, sheet)
    first = next(((number, line) for number, line in source if line.strip()), None)
    if first is None:
        return
    start = first[1].lstrip()
    if start.startswith(b"{"):
        yield from _json(first, source, sheet)
    elif _is_csv(utf8(first[1])):
        yield from _csv(first, source, sheet)
    else:
        yield from _stderr(first, source, sheet)


def _is_csv(line: str) -> bool:
    fields = csv_fields(line)
    return len(fields) >= 12 and _STAMP.fullmatch(fields[0]) is not None


def _json(
    first: tuple[int, bytes], source: Iterator[tuple[int, bytes]], sheet: Sheet
) -> Iterator[tuple[int, _Line]]:
    for number, line in _and(first, source):
        try:
            found = msgspec.json.decode(line)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            sheet.wrong(number, f"it is not JSON ({error})")
            continue
        message = text_at(found, "message")
        if not message.startswith(MARK):
            sheet.skipped()
            continue
        session = text_at(found, "session_id") or str(found.get("pid", ""))
        who = (text_at(found, "user"), text_at(found, "dbname"), session, text_at(found, "application_name"))
        yield number, _Line(text_at(found, "timestamp"), *who, message[len(MARK) :])


def _csv(
    first: tuple[int, bytes], source: Iterator[tuple[int, bytes]], sheet: Sheet
) -> Iterator[tuple[int, _Line]]:
    held, began = "", 0
    for number, line in _and(first, source):
        held, began = (f"{held}\n{utf8(line)}", began) if held else (utf8(line), number)
        if len(held) > MAX_LINE:
            sheet.wrong(began, f"a record longer than {MAX_LINE:,} characters, or a quote that never ends")
            held = ""
            continue
        if held.count('"') % 2:
            continue  # a field with a line break in it
        fields, held = csv_fields(held), ""
        if len(fields) < 23:
            sheet.wrong(began, "it has fewer than the 23 columns of csvlog")
            continue
        if not fields[13].startswith(MARK):
            sheet.skipped()
            continue
        yield began, _Line(fields[0], fields[1], fields[2], fields[5], fields[22], fields[13][len(MARK) :])
    if held:
        sheet.wrong(began, "the source ends inside a record")


def _stderr(
    first: tuple[int, bytes], source: Iterator[tuple[int, bytes]], sheet: Sheet
) -> Iterator[tuple[int, _Line]]:
    held: list[str] = []
    began = 0

    def ended() -> Iterator[tuple[int, _Line]]:
        text = "\n".join(held)
        match = _STDERR.match(text)
        if match is None:
            sheet.skipped()
            return
        prefix = match["prefix"]
        stamp, who, process = _STAMP.search(prefix), _WHO.search(prefix), _PROCESS.search(prefix)
        if stamp is None:
            sheet.wrong(began, "log_line_prefix gives no time (%m) in a form that is known")
            return
        user, database = (who["user"], who["database"]) if who else ("", "")
        session = process[1] if process else prefix.replace(stamp.group(), "")
        yield began, _Line(stamp.group(), user, database, session, prefix, text[match.end() :])

    for number, raw in _and(first, source):
        line = utf8(raw)
        if line.startswith("\t") and held:
            if sum(map(len, held)) < MAX_LINE:
                held.append(line[1:])
            continue
        if held:
            yield from ended()
        held, began = [line], number
    if held:
        yield from ended()


def _and(first: tuple[int, bytes], rest: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from rest


def csv_fields(record: str) -> list[str]:
    """The fields of one CSV record (RFC 4180), in linear time; text behind a closing quote ends the record."""
    fields: list[str] = []
    place = 0
    while True:
        match = _CSV.match(record, place)
        if match is None:
            return fields
        fields.append(match[1].replace('""', '"') if match[1] is not None else match[2])
        if not match[3]:
            return fields
        place = match.end()


__all__ = ["csv_fields", "read"]
