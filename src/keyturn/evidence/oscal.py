"""What controls came to as OSCAL 1.2.1: assessment results, and the component definition they are about. Pure.

Rules kept here:

- Only `pass` is satisfied. `fail`, `not-tested` and `no-population` are not satisfied, each with its reason in words.
- A finding is about the objective that was tested, which stands beside it in our own words (`local-definitions`), not about the control as
  its framework has it: what a person has to add to a partial control is said there, and is nothing that a test could satisfy.
- The same log, period and program give the same bytes: names are UUIDs of version 5 over what they name, times are the log's own.
- OSCAL has no place for figures and proofs: they are properties in our own namespace, and evidence refers into the pack.

Source: NIST OSCAL 1.2.1, assessment-results and component-definition models.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from keyturn import __version__, canonical
from keyturn.evidence.controls import VERIFIED, Control, Framework
from keyturn.evidence.report.model import Frame, Report, Tested
from keyturn.evidence.testing import ControlResult, Exceptional
from keyturn.evidence.verdicts import FAIL, PASS

VERSION = "1.2.1"
NAMESPACE = "https://keyturn.dev/ns/oscal"
NAMED = 100
"""How many exceptions of a test are named one by one; `exceptions.csv` has all."""

NIST_CATALOG = (
    "https://raw.githubusercontent.com/usnistgov/oscal-content/main/nist.gov/SP800-53/rev5/json/"
    "NIST_SP-800-53_rev5_catalog.json"
)
_NIST = re.compile(r"([A-Z]{2})-(\d+)(?:\((\d+)\))?")
_OURS = uuid5(NAMESPACE_URL, NAMESPACE)


def assessment_results(report: Report, framework: Framework, proofs: Collection[int] = ()) -> bytes:
    """`oscal/assessment-results.json`. *proofs*: the entries whose proofs lie in the pack."""
    return canonical.dumps({"assessment-results": _Results(report, framework, frozenset(proofs)).document()})


def component_definition(frame: Frame, framework: Framework) -> bytes:
    """`oscal/component-definition.json`: which controls of the framework Keyturn takes part in, and with which tests."""
    about = _name(frame, framework.id, "framework")
    requirements = [
        {
            "uuid": _name(frame, framework.id, "requirement", control.id),
            "control-id": token,
            "description": _text(control.passes),
            "props": _props(
                ("control", control.id),
                ("how", control.how),
                *(("test", name) for name in control.tests),
            ),
            **_remarks(_added(control)),
        }
        for control, token in _tokens(framework)
    ]
    component = {
        **_keyturn(frame),
        "control-implementations": [
            {
                "uuid": _name(frame, framework.id, "implementation"),
                "source": f"#{about}",
                "description": f"What Keyturn's log shows of {framework.title}, for what agents do through it.",
                "implemented-requirements": requirements,
            }
        ],
    }
    document = {
        "uuid": _name(frame, framework.id, "component-definition"),
        "metadata": _metadata(frame, f"Keyturn and {framework.title}"),
        "components": [component],
        "back-matter": {"resources": [_framework(about, framework)]},
    }
    return canonical.dumps({"component-definition": document})


class _Results:
    """The assessment results of one framework."""

    def __init__(self, report: Report, framework: Framework, proofs: frozenset[int]) -> None:
        self.report, self.frame, self.framework, self.proofs = report, report.frame, framework, proofs
        self.results = {one.result.control: one.result for one in report.controls}
        self.controls = [
            (control, token) for control, token in _tokens(framework) if control.id in self.results
        ]

    def name(self, *parts: str) -> str:
        """The UUID of a part of this document."""
        frame = self.frame
        return _name(frame, self.framework.id, str(frame.since), str(frame.until), frame.disclosure, *parts)

    def document(self) -> dict[str, Any]:
        """All of it."""
        plan, about = self.name("plan"), _name(self.frame, self.framework.id, "framework")
        return {
            "uuid": self.name("assessment-results"),
            "metadata": _metadata(self.frame, f"{self.framework.title}: what controls came to"),
            "import-ap": {"href": f"#{plan}"},
            "local-definitions": {"objectives-and-methods": [self.objective(*one) for one in self.controls]},
            "results": [self.result()],
            "back-matter": {
                "resources": [
                    {
                        "uuid": plan,
                        "title": "Controls and tests",
                        "description": "What was asked, and which tests were run over the whole population.",
                        "rlinks": [{"href": "../controls.json", "media-type": "application/json"}],
                    },
                    _framework(about, self.framework),
                ]
            },
        }

    def objective(self, control: Control, token: str) -> dict[str, Any]:
        """What of a control is tested, in our own words."""
        part = {"id": _objective(token), "name": "assessment-objective", "prose": _text(control.passes)}
        return {
            "control-id": token,
            "description": _text(control.gist),
            "parts": [part],
            **_remarks(_added(control)),
        }

    def result(self) -> dict[str, Any]:
        """The one set of results: the period."""
        tests = [one for name, one in sorted(self.report.tests.items())]
        failed = [one for one in tests if one.result.verdict == FAIL]
        found = {
            "uuid": self.name("result"),
            "title": f"{self.framework.title}, {_day(self.frame.since)} to {_day(self.frame.until)}",
            "description": "Every test was run over the whole population of the period; nothing was sampled.",
            "start": _time(self.frame.since),
            "end": _time(self.frame.until),
            "props": _props(
                ("origin", self.frame.origin),
                ("size", str(self.frame.size)),
                ("root", self.frame.root),
                ("disclosure", self.frame.disclosure),
                ("pack", self.frame.pack),
                ("recorded", "yes" if self.frame.recorded else "no"),
            ),
            "local-definitions": {"assessment-assets": self.assets()},
            "reviewed-controls": {
                "control-selections": [
                    {"include-controls": [{"control-id": token} for _, token in self.controls]}
                ]
            },
            "observations": [self.observation(one) for one in tests],
            "findings": [self.finding(*one) for one in self.controls],
        }
        if failed:
            found["risks"] = [self.risk(one) for one in failed]
        return {key: value for key, value in found.items() if value != []}

    def assets(self) -> dict[str, Any]:
        """What did the looking: Keyturn itself, and the program that does it again."""
        component = _keyturn(self.frame) | {"status": {"state": "operational"}}
        platform = {
            "uuid": self.name("platform"),
            "title": "verify.py",
            "uses-components": [{"component-uuid": component["uuid"]}],
            "remarks": "Anybody can run every test again over the same population: python3 -I -S verify.py PACK.zip",
        }
        return {"components": [component], "assessment-platforms": [platform]}

    def observation(self, tested: Tested) -> dict[str, Any]:
        """What one test came to."""
        test, result = tested.test, tested.result
        settings = ((f"setting.{name}", f"{value:g}") for name, value in sorted(result.settings.items()))
        return {
            "uuid": self.name("observation", test.id),
            "title": _line(test.title),
            "description": _text(f"Population: {test.population}. Exception: {test.exception}."),
            "props": _props(
                ("test", test.id),
                ("query", result.query),
                ("population", str(result.population)),
                ("exceptions", str(result.exceptions)),
                ("untested", str(result.untested)),
                ("verdict", result.verdict),
                *settings,
            ),
            "methods": ["TEST"],
            "types": ["control-objective"],
            "origins": [{"actors": [{"type": "tool", "actor-uuid": _keyturn(self.frame)["uuid"]}]}],
            "relevant-evidence": [*self.evidence(tested)],
            "collected": _time(self.frame.head),
            **_remarks(f"{result.why} {_changed(tested)}"),
        }

    def evidence(self, tested: Tested) -> Iterator[dict[str, Any]]:
        """Where the pack shows it."""
        result = tested.result
        yield {"href": "../results.json", "description": "The figures, day by day."}
        if result.test in VERIFIED:
            yield {"href": "../log/checkpoint", "description": "The log's signed head."}
        else:
            yield {
                "href": f"../queries/{result.test}.sql",
                "description": "The test: one query over the tables of the pack.",
            }
        if result.exceptions:
            yield {"href": "../exceptions.csv", "description": "Every exception."}
        for one in result.listed[:NAMED]:
            yield self.exception(one)

    def exception(self, one: Exceptional) -> dict[str, Any]:
        """One exception, and the proof that its entry is in the log."""
        told = {
            "description": _text(f"{one.subject}: {one.exception}"),
            "props": _props(("entry", str(one.entry)), ("time", _time(one.ts_ms))),
        }
        proof = {"href": f"../proofs/{one.entry}.tlog-proof"} if one.entry in self.proofs else {}
        return {**proof, **told}

    def finding(self, control: Control, token: str) -> dict[str, Any]:
        """What a control came to."""
        result = self.results[control.id]
        tests = [name for name in result.tests if name in self.report.tests]
        failed = [name for name in tests if self.report.tests[name].result.verdict == FAIL]
        found = {
            "uuid": self.name("finding", control.id),
            "title": _line(f"{control.id} {control.title}"),
            "description": _text(control.passes if result.verdict == PASS else result.why),
            "props": _props(("control", control.id), ("verdict", result.verdict), ("how", control.how)),
            "target": {
                "type": "objective-id",
                "target-id": _objective(token),
                "status": _status(result),
                "implementation-status": {
                    "state": "implemented" if control.how == "automatic" else "partial"
                },
            },
            "related-observations": [{"observation-uuid": self.name("observation", name)} for name in tests],
            "related-risks": [{"risk-uuid": self.name("risk", name)} for name in failed],
            **_remarks(_added(control)),
        }
        return {key: value for key, value in found.items() if value != []}

    def risk(self, tested: Tested) -> dict[str, Any]:
        """What a test that failed leaves open."""
        test, result = tested.test, tested.result
        return {
            "uuid": self.name("risk", test.id),
            "title": _line(f"Exceptions: {test.title}"),
            "description": _text(result.why),
            "statement": _text(test.exception),
            "status": "open",
            "related-observations": [{"observation-uuid": self.name("observation", test.id)}],
        }


def _changed(tested: Tested) -> str:
    """Which thresholds the house set otherwise: whoever reads the result sees that without looking for it."""
    given = tested.result.settings
    other = [one for one in tested.test.settings if given.get(one.name, one.default) != one.default]
    told = ", ".join(f"{one.name} is {given[one.name]:g}, by default {one.default:g}" for one in other)
    return f"Thresholds of this house: {told}." if told else ""


def _status(result: ControlResult) -> dict[str, Any]:
    if result.verdict == PASS:
        return {"state": "satisfied", "reason": "pass"}
    reason = "fail" if result.verdict == FAIL else "other"
    return {"state": "not-satisfied", "reason": reason, **_remarks(f"{result.verdict}: {result.why}")}


def _tokens(framework: Framework) -> list[tuple[Control, str]]:
    """Each control with an id that OSCAL takes: NIST's own for its catalogue, else ours with other characters replaced, told apart."""
    found: list[tuple[Control, str]] = []
    taken: set[str] = set()
    for control in framework.controls:
        token = _token(control.id)
        if token in taken:
            token = f"{token}-{sha256(control.id.encode()).hexdigest()[:8]}"
        taken.add(token)
        found.append((control, token))
    return found


def _token(name: str) -> str:
    nist = _NIST.fullmatch(name)
    if nist:
        family, number, enhancement = nist.groups()
        return f"{family.lower()}-{number}" + (f".{enhancement}" if enhancement else "")
    made = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-")
    return made if made[:1].isalpha() else f"_{made}"


def _objective(token: str) -> str:
    return f"{token}_obj.keyturn"


def _name(frame: Frame, *parts: str) -> str:
    """A UUID over what it names."""
    inner: UUID = uuid5(_OURS, canonical.dumps([__version__, frame.origin, frame.size, frame.root]).decode())
    return str(uuid5(inner, canonical.dumps(list(parts)).decode()))


def _keyturn(frame: Frame) -> dict[str, Any]:
    return {
        "uuid": _name(frame, "component"),
        "type": "software",
        "title": "Keyturn",
        "description": "Stands between AI agents and everything they act on: decides, asks people, records.",
        "props": [{"name": "version", "value": __version__}, *_props(("origin", frame.origin))],
    }


def _metadata(frame: Frame, title: str) -> dict[str, Any]:
    return {
        "title": _line(title),
        "last-modified": _time(frame.head),
        "version": str(frame.size),
        "oscal-version": VERSION,
    }


def _framework(name: str, framework: Framework) -> dict[str, Any]:
    about = {"uuid": name, "title": _line(framework.title), "description": _text(framework.edition)}
    if framework.id != "nist-800-53":
        return {**about, "citation": {"text": _text(f"{framework.title}: {framework.edition}")}}
    return {**about, "rlinks": [{"href": NIST_CATALOG, "media-type": "application/oscal.catalog+json"}]}


def _added(control: Control) -> str:
    return (
        f"Of this control a part is tested. A person has to add: {control.also}"
        if control.how == "partial"
        else ""
    )


def _remarks(words: str) -> dict[str, str]:
    return {"remarks": _text(words)} if words.strip() else {}


def _props(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"name": name, "ns": NAMESPACE, "value": shown} for name, value in pairs if (shown := _line(value))
    ]


def _line(text: str) -> str:
    """One line without blanks at its ends, and nothing that can't be shown: as OSCAL's strings are."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _text(text: str) -> str:
    return _line(text) or "-"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _day(ms: int) -> str:
    return _time(ms)[:10]


__all__ = ["NAMED", "NAMESPACE", "VERSION", "assessment_results", "component_definition"]
