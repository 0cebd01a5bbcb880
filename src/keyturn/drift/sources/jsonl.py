"""JSON lines of any program: which field is what is told with `--map FIELD=PATH`.

    --map time=ts --map principal=user.name --map statement=query --map tag=labels.tag --map language=@sql

A path is names with dots between them; `@word` is that word itself. `time` is a number (seconds, milliseconds or microseconds
since 1970) or an ISO 8601 text with a zone. `language` says how a statement is compared: `sql`, `command` (split as a POSIX shell does),
`script`, `http` (`METHOD URL`), or `none`. A tag, or a `traceparent`, is found inside the text of the field `tag`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from keyturn.drift import fingerprints, tags
from keyturn.drift.observed import MAX_STATEMENT, Observed
from keyturn.drift.sources.lines import NoTime, Sheet, moment, records
from keyturn.errors import Malformed

FIELDS = ("time", "principal", "statement", "operation", "object", "target", "tag", "rows", "language")
DEFAULTS = {name: name for name in FIELDS if name != "language"}


def _command(text: str) -> str:
    try:
        return fingerprints.command(shlex.split(text))
    except ValueError:
        return fingerprints.script(text)


def _http(text: str) -> str:
    method, _, url = text.partition(" ")
    return fingerprints.http(method, url) if url else ""


LANGUAGES: dict[str, Callable[[str], str]] = {
    "sql": fingerprints.sql,
    "command": _command,
    "script": fingerprints.script,
    "http": _http,
    "none": lambda text: "",
}


def mapping(given: Mapping[str, str]) -> dict[str, str]:
    """*given* over the defaults, in which each field has its own name. Raises `Malformed`."""
    for name in given:
        if name not in FIELDS:
            raise Malformed(f"--map knows {', '.join(FIELDS)}; {name!r} is none of them.")
    said = given.get("language", "@none")
    if said.startswith("@") and said[1:] not in LANGUAGES:
        raise Malformed(f"A language is one of {', '.join(LANGUAGES)}; {said[1:]!r} is not.")
    return {**DEFAULTS, "language": "@none", **given}


def read(stream: BinaryIO, sheet: Sheet, paths: Mapping[str, str]) -> Iterator[Observed]:
    """Every record that has a time."""
    for number, record in records(stream, sheet):
        said = {name: _at(record, path) for name, path in paths.items()}
        try:
            at = time_of(said["time"])
        except NoTime as error:
            sheet.wrong(number, str(error))
            continue
        statement = _text(said["statement"])
        compare = LANGUAGES.get(_text(said["language"]))
        if compare is None:
            sheet.wrong(number, f"its language is none of {', '.join(LANGUAGES)}")
            continue
        marked = _text(said["tag"])
        rows = said["rows"]
        yield Observed(
            time=at,
            principal=_text(said["principal"]),
            fingerprint=compare(statement),
            statement=statement[:MAX_STATEMENT],
            operation=_text(said["operation"]),
            object=_text(said["object"]),
            target=_text(said["target"]),
            tag=tags.found_in(marked) or tags.trace_in(marked),
            index=number,
            rows=rows if isinstance(rows, int) else -1,
        )


def time_of(value: Any) -> int:
    """Milliseconds since 1970. Raises `NoTime`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise NoTime("a record without a time")
    if isinstance(value, str):
        return moment(value)
    if not 0 < value < 1e17:
        raise NoTime(f"{value} is no time since 1970")
    return int(value * 1000 if value < 1e11 else value if value < 1e14 else value / 1000)


def _at(record: Any, path: str) -> Any:
    if path.startswith("@"):
        return path[1:]
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


__all__ = ["FIELDS", "LANGUAGES", "mapping", "read", "time_of"]
