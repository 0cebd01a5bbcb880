"""The small files of a pack, as bytes: what they are is in docs/reference/evidence-pack.md. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from msgspec import to_builtins

from keyturn import canonical
from keyturn.evidence.controls import Framework
from keyturn.evidence.program import sheets
from keyturn.evidence.program.rows import TABLES
from keyturn.evidence.report.model import Frame
from keyturn.evidence.testing import ControlResult, Test, TestResult
from keyturn.ledger.checkpoint import Signer

NOTE = "keyturn.dev/evidence-pack/v1"
MOST_PROOFS = 10_000
"""Entries of exceptions whose proofs lie in the pack."""

README = """Evidence of {framework_title}, {since} to {until} (UTC).
Log:    {origin}, {size} entries, root {root}
Key:    {vkey}
{unsigned}
Take the key from somebody you trust, not from this file: whoever made it could have made another key.

Check all of it, with nothing but Python 3.9 or later (better with a verify.py that you got from elsewhere):
  unzip -p PACK.zip verify.py > verify.py
  python3 -I -S verify.py PACK.zip --key "{vkey}"

It derives the tables from the log again, performs every test again over the whole population, and compares.
It exits with 0 when everything in the pack follows from the log, with 7 when something does not. A control that failed is a result.

  report.html, report.pdf     for reading: one page a control
  LIMITS.md                   what this does not prove
  results.json, controls.json what each test and control came to, and what they ask for
  exceptions.csv, proofs/     every exception, and that its entry is in the log{proofs}
  tables/, queries/           the whole population, and the tests: by hand, with DuckDB, after unzipping:
                              duckdb -c ".read tables/load.sql" -c ".read queries/two_people.sql"
  log/                        the log itself (C2SP tlog-tiles): unzipped, other people's tools verify it
  oscal/, ocsf/, grc/         the same for other tools
"""
UNSIGNED = """
Nobody signed this pack's list of files: it was made from an exported log, by somebody who does not hold the log's key.
"""


def readme(frame: Frame, signed: bool, since: str, until: str, unproven: int) -> bytes:
    """`README.txt`. *unproven*: how many entries of exceptions have no proof in the pack."""
    more = (
        f",\n                              for the first {MOST_PROOFS:,} of these entries; {unproven:,} more have none here"
        if unproven
        else ""
    )
    text = README.format(
        framework_title=frame.framework_title, since=since, until=until, origin=frame.origin, size=frame.size, root=frame.root,
        vkey=frame.vkey, unsigned="" if signed else UNSIGNED, proofs=more,
    )  # fmt: skip
    return text.encode()


def controls(framework: Framework, tests: Iterable[Test]) -> bytes:
    """`controls.json`."""
    about = (
        "id",
        "title",
        "gist",
        "passes",
        "tests",
        "optional",
        "how",
        "also",
        "applies",
        "baselines",
        "source",
    )
    return canonical.dumps(
        {
            "framework": {"id": framework.id, "title": framework.title, "edition": framework.edition},
            "controls": [
                {name: to_builtins(getattr(one, name)) for name in about} for one in framework.controls
            ],
            "tests": [
                {
                    "id": one.id,
                    "title": one.title,
                    "population": one.population,
                    "exception": one.exception,
                    "rests_on": list(one.rests_on),
                    "settings": to_builtins(one.settings),
                    "digest": one.digest,
                }
                for one in tests
            ],
        }
    )


def results(
    frame: Frame, program: str, tests: Iterable[TestResult], controls: Iterable[ControlResult]
) -> bytes:
    """`results.json`."""
    told = ("test", "query", "settings", "population", "exceptions", "untested", "verdict", "why", "days")
    return canonical.dumps(
        {
            "id": frame.pack if frame.recorded else "",
            "framework": frame.framework,
            "since": frame.since,
            "until": frame.until,
            "origin": frame.origin,
            "size": frame.size,
            "root": frame.root,
            "disclosure": frame.disclosure,
            "for": frame.auditor,
            "program": program,
            "tests": [{name: to_builtins(getattr(one, name)) for name in told} for one in tests],
            "controls": [to_builtins(one) for one in controls],
        }
    )


def proof_name(entry: int) -> str:
    """Where the proof of an entry lies."""
    return f"proofs/{entry}.tlog-proof"


def proven(tests: Iterable[TestResult]) -> tuple[list[int], int]:
    """The entries of exceptions whose proofs are in the pack, and how many have none."""
    found = sorted({one.entry for test in tests for one in test.listed})
    return found[:MOST_PROOFS], max(0, len(found) - MOST_PROOFS)


def exceptions(tests: Iterable[TestResult], proofs: Sequence[int]) -> bytes:
    """`exceptions.csv`."""
    there = frozenset(proofs)
    rows = (
        (
            test.test,
            one.entry,
            one.ts_ms,
            one.subject,
            one.exception,
            proof_name(one.entry) if one.entry in there else "",
        )
        for test in tests
        for one in test.listed
    )
    text: str = sheets.register(rows)
    return text.encode()


def period(frame: Frame) -> bytes:
    """`tables/period.csv`."""
    return _sheet(sheets.PERIOD, [(frame.since, frame.until, frame.size)])


def settings(values: Mapping[str, float]) -> bytes:
    """`tables/setting.csv`."""
    return _sheet(sheets.SETTING, sorted(values.items()))


def _sheet(columns: Sequence[tuple[str, str, str]], rows: Iterable[Sequence[Any]]) -> bytes:
    text: str = sheets.head(columns) + sheets.lines(rows)
    return text.encode()


def load_sql() -> bytes:
    """`tables/load.sql`: every table read into DuckDB with the types that it has here, from the folder that the pack was unzipped to."""
    named = {**TABLES, "period": sheets.PERIOD, "setting": sheets.SETTING}
    parts = ["-- Run in the folder that the pack was unzipped to: duckdb -c '.read tables/load.sql'\n"]
    for table, columns in sorted(named.items()):
        types = ", ".join(f"'{name}': '{_DUCK[kind]}'" for name, kind, _ in columns)
        parts.append(
            f"CREATE TABLE \"{table}\" AS SELECT * FROM read_csv('tables/{table}.csv', header = true, auto_detect = false, delim = ',',\n"
            f"  quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, parallel = false, max_line_size = 16777216,\n"
            f"  columns = {{{types}}});\n"
        )
    return "".join(parts).encode()


_DUCK = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR"}


def manifest(files: Mapping[str, tuple[str, int]]) -> bytes:
    """`manifest.json` of *files*: name → (SHA-256 in hexadecimal, size)."""
    listed = {name: {"sha256": digest, "size": size} for name, (digest, size) in files.items()}
    return canonical.dumps({"v": 1, "files": listed})


def note(frame: Frame, manifest: bytes, signer: Signer) -> bytes:
    """`manifest.note`."""
    text = f"{NOTE}\n{frame.origin}\n{frame.size}\n{sha256(manifest).hexdigest()}\n"
    return signer.signed(text).encode()


__all__ = [
    "MOST_PROOFS", "controls", "exceptions", "load_sql", "manifest", "note", "period", "proof_name", "proven", "readme", "results",
    "settings",
]  # fmt: skip
