"""What controls came to, for the tools that audits are managed with: CSV that a spreadsheet opens safely, and JSON lines for Vanta. Pure.

Rules kept here:

- No cell is a formula: one that begins with `=`, `+`, `-`, `@`, a tab or the end of a line gets an apostrophe before it, as does one
  behind blanks that a program would leave out. Source: OWASP, CSV Injection.
- RFC 4180, with `\\r\\n` after each line: what spreadsheets and importers expect. Every text is in quotes.
- A tested part that passed is told apart from a control that did: `verdict` beside `how` and `to_add`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from keyturn import canonical
from keyturn.evidence.controls import Control, Framework
from keyturn.evidence.report.model import Report
from keyturn.evidence.testing import ControlResult, TestResult
from keyturn.evidence.verdicts import PASS

CONTROLS = (
    "framework", "control", "title", "verdict", "how", "to_add", "why", "population", "exceptions", "untested", "from", "to", "tests",
    "pack", "log", "size", "root",
)  # fmt: skip
EXCEPTIONS = ("framework", "controls", "test", "entry", "time", "subject", "exception", "proof")

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def controls(report: Report, framework: Framework, pack: str = "") -> bytes:
    """`grc/controls.csv`: one line a control. *pack* is the name of the pack's file."""
    return _csv(CONTROLS, ([row[name] for name in CONTROLS] for row in _rows(report, framework, pack)))


def exceptions(report: Report, framework: Framework, proofs: Collection[int] = ()) -> bytes:
    """`grc/exceptions.csv`: one line an exception, with the controls that it is one for."""
    there = frozenset(proofs)
    return _csv(
        EXCEPTIONS,
        (
            (
                framework.id,
                " ".join(control.id for control in framework.controls if name in control.tests),
                name,
                one.entry,
                _time(one.ts_ms),
                one.subject,
                one.exception,
                f"proofs/{one.entry}.tlog-proof" if one.entry in there else "",
            )
            for name, tested in sorted(report.tests.items())
            for one in tested.result.listed
        ),
    )


def vanta(report: Report, framework: Framework, pack: str = "") -> bytes:
    """`grc/vanta.jsonl`: custom resources of a private integration, one a line; a custom test asks for `passed`.

    `passed` is true only for a control that was tested whole: a part of one is `tested_part_passed`.
    """
    return b"".join(canonical.dumps(_resource(row)) + b"\n" for row in _rows(report, framework, pack))


def _resource(row: dict[str, Any]) -> dict[str, Any]:
    passed = row["verdict"] == PASS
    return {
        "displayName": f"{row['framework']} {row['control']} {row['title']}",
        "uniqueId": f"{row['log']}/{row['framework']}/{row['control']}",
        "externalUrl": f"https://{quote(row['log'], safe='/:.')}",
        "customProperties": {
            **row,
            "passed": passed and row["how"] == "automatic",
            "tested_part_passed": passed,
        },
    }


def _rows(report: Report, framework: Framework, pack: str) -> Iterator[dict[str, Any]]:
    frame = report.frame
    results = {one.result.control: one.result for one in report.controls}
    for control in framework.controls:
        if control.id in results:
            yield {
                **_row(control, results[control.id], _tests(report, results[control.id])),
                "framework": framework.id,
                "from": _time(frame.since),
                "to": _time(frame.until),
                "pack": pack or frame.pack,
                "log": frame.origin,
                "size": frame.size,
                "root": frame.root,
            }


def _row(control: Control, result: ControlResult, tests: Sequence[TestResult]) -> dict[str, Any]:
    return {
        "control": control.id,
        "title": control.title,
        "verdict": result.verdict,
        "how": control.how,
        "to_add": control.also,
        "why": result.why,
        "population": sum(one.population for one in tests),
        "exceptions": sum(one.exceptions for one in tests),
        "untested": sum(one.untested for one in tests),
        "tests": " ".join(f"{one.test}={one.verdict}" for one in tests),
    }


def _tests(report: Report, result: ControlResult) -> list[TestResult]:
    return [report.tests[name].result for name in result.tests if name in report.tests]


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    lines = [",".join(head), *(",".join(map(_cell, row)) for row in rows)]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if text.startswith(_FORMULA) or text.lstrip().startswith(_FORMULA):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"'


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


__all__ = ["CONTROLS", "EXCEPTIONS", "controls", "exceptions", "vanta"]
