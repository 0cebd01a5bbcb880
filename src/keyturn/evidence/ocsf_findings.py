"""What controls came to as OCSF 1.8 Compliance Findings (2003): one event a control. Pure.

Rules kept here:

- `compliance.status_id` is Pass (1) only for a control that is tested whole and passed. A tested part that passed is a Warning (2), which
  says what a person has to add; `fail` is Fail (3); `not-tested` is Unknown (0); `no-population` is Other (99).
- The same log, period and program give the same bytes: `finding_info.uid` is made from what it is about, times are the log's own.

Source: OCSF schema 1.8.0, class compliance_finding.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from keyturn import __version__, canonical
from keyturn.evidence.controls import Control, Framework
from keyturn.evidence.report.model import Frame, Report
from keyturn.evidence.testing import ControlResult, TestResult
from keyturn.evidence.verdicts import FAIL, NO_POPULATION, NOT_TESTED, PASS, Word

VERSION = "1.8.0"
CLASS = 2003

_STATUS: dict[Word, tuple[int, str]] = {
    PASS: (1, "Pass"),
    FAIL: (3, "Fail"),
    NOT_TESTED: (0, "Unknown"),
    NO_POPULATION: (99, "no-population"),
}
_PART = (2, "Warning")
_SEVERITY: dict[Word, tuple[int, str]] = {
    PASS: (1, "Informational"),
    FAIL: (4, "High"),
    NOT_TESTED: (2, "Low"),
    NO_POPULATION: (1, "Informational"),
}


def findings(report: Report, framework: Framework) -> bytes:
    """`ocsf/compliance-findings.jsonl`: one event a line, in the order of the framework."""
    return b"".join(canonical.dumps(one) + b"\n" for one in events(report, framework))


def events(report: Report, framework: Framework) -> Iterator[dict[str, Any]]:
    """One event for each control that has a result."""
    results = {one.result.control: one.result for one in report.controls}
    for control in framework.controls:
        if control.id in results:
            yield _event(report, framework, control, results[control.id])


def _event(report: Report, framework: Framework, control: Control, result: ControlResult) -> dict[str, Any]:
    frame = report.frame
    status, words = _status(control, result.verdict)
    severity, level = _SEVERITY[result.verdict]
    name = _name(frame, framework.id, control.id)
    tests = [report.tests[one].result for one in result.tests if one in report.tests]
    return {
        "class_uid": CLASS,
        "class_name": "Compliance Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": 1,
        "activity_name": "Create",
        "type_uid": CLASS * 100 + 1,
        "type_name": "Compliance Finding: Create",
        "severity_id": severity,
        "severity": level,
        "time": frame.head,
        "start_time": frame.since,
        "end_time": frame.until,
        "message": f"{framework.title} {control.id}: {_verdict(control, result.verdict)}",
        "count": 1,
        "metadata": {
            "version": VERSION,
            "product": {"name": "Keyturn", "vendor_name": "Keyturn", "version": __version__},
            "uid": name,
            "log_name": frame.origin,
            "logged_time": frame.head,
        },
        "finding_info": {
            "uid": name,
            "title": f"{control.id} {control.title}",
            "desc": control.gist,
            "created_time": frame.head,
            "analytic": {
                "uid": "keyturn-controls",
                "name": "Keyturn's tests of controls",
                "type_id": 1,
                "type": "Rule",
            },
            "data_sources": [f"{frame.origin}, {frame.size} entries, root {frame.root}"],
        },
        "compliance": {
            "control": control.id,
            "standards": [f"{framework.title} ({framework.edition})"],
            "requirements": [control.passes],
            "status_id": status,
            "status": words,
            "status_details": [*_details(control, result)],
            "checks": [_check(report, one) for one in tests],
        },
        "unmapped": {
            "framework": framework.id,
            "verdict": result.verdict,
            "how": control.how,
            "origin": frame.origin,
            "size": frame.size,
            "root": frame.root,
            "population": sum(one.population for one in tests),
            "exceptions": sum(one.exceptions for one in tests),
            "untested": sum(one.untested for one in tests),
        },
    }


def _status(control: Control, verdict: Word) -> tuple[int, str]:
    return _PART if verdict == PASS and control.how == "partial" else _STATUS[verdict]


def _verdict(control: Control, verdict: Word) -> str:
    return f"{verdict} (tested part)" if control.how == "partial" else verdict


def _details(control: Control, result: ControlResult) -> Iterator[str]:
    if result.why:
        yield result.why
    if control.how == "partial":
        yield f"A part of the control is tested; a person has to add: {control.also}"


def _check(report: Report, result: TestResult) -> dict[str, Any]:
    test = report.tests[result.test].test
    status, words = _STATUS[result.verdict]
    figures = (
        f"{result.exceptions} exceptions in a population of {result.population}, {result.untested} untested"
    )
    return {
        "uid": result.query or result.test,
        "name": result.test,
        "desc": f"{test.title}: {figures}.",
        "status_id": status,
        "status": words,
    }


def _name(frame: Frame, *parts: str) -> str:
    told = [frame.origin, frame.size, frame.root, frame.since, frame.until, frame.disclosure, *parts]
    return sha256(canonical.dumps(told)).hexdigest()


__all__ = ["CLASS", "VERSION", "events", "findings"]
