"""Reading catalogues (`catalogue` says how they look): strict, and every mistake is told with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Any

from keyturn.evidence.controls import BASELINES, Control, Framework
from keyturn.policy.folder import Table
from keyturn.policy.problems import Problem, nearest

MAX_CONTROLS = 1000
LONGEST = 600
"""Characters of one text."""

_FRAMEWORK = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)
_CONTROL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .()/_-]{0,59}", re.ASCII)
_HEADING = re.compile(r"^[ \t]*\[\[[ \t]*control[ \t]*\]\]", re.MULTILINE)
_KEYS = ("id", "title", "gist", "passes", "tests", "optional", "how", "also", "applies", "baselines")


class Reader:
    """Frameworks, read one file after the other.

    *frameworks* are there already. *known* are the tests and *settings* the thresholds that there are; None for what comes with
    Keyturn, where that is not looked at. `unknown` collects the places where a control names a test that there is none of.
    """

    def __init__(
        self,
        frameworks: Mapping[str, Framework],
        known: Collection[str] | None = None,
        settings: Collection[str] | None = None,
    ) -> None:
        self.frameworks = dict(frameworks)
        self.settings: dict[str, float] = {}
        self.unknown: list[Problem] = []
        self._known = known
        self._thresholds = settings or ()
        self._count = 0

    def read(self, path: str, data: bytes) -> list[Problem]:
        """Add what one file says; gives what is wrong with it."""
        table = Table(path, data)
        if table.problems:
            return table.problems
        table.known_keys(table.body, ("id", "title", "edition", "settings", "control"))
        headings = [one.start() for one in _HEADING.finditer(table.source.text)]
        head = _Part(table, (0, headings[0] if headings else len(table.source.text)), table.body)
        name = table.body.get("id")
        if not isinstance(name, str) or not _FRAMEWORK.fullmatch(name):
            head.wrong(
                "id",
                "a catalogue has the id of a framework: lowercase letters, digits and `-`",
                'id = "soc2"',
            )
            return table.problems
        framework = self.frameworks.get(name)
        if framework is None:
            title, edition = head.text("title", required=True), head.text("edition", required=True)
            framework = Framework(name, title, edition, ())
        else:
            for key in {"title", "edition"} & set(table.body):
                head.wrong(
                    key, f"the framework {name} is there already, with its {key}; this file adds to it"
                )
        self._read_settings(table)
        controls = self._controls(table, framework)
        self.frameworks[name] = Framework(
            name, framework.title, framework.edition, (*framework.controls, *controls)
        )
        return table.problems

    def _read_settings(self, table: Table) -> None:
        given = table.body.get("settings", {})
        if not isinstance(given, dict):
            table.wrong("settings", "[settings] is a table")
            return
        for key, value in given.items():
            if key not in self._thresholds:
                hint = nearest(key, self._thresholds) or "known: " + ", ".join(sorted(self._thresholds))
                table.wrong(key, f"no test takes a setting {key}", hint, after="[settings]")
            elif type(value) not in (int, float) or not math.isfinite(value) or value < 0:
                table.wrong(key, f"{key} is a number, and not negative", after="[settings]")
            elif key in self.settings:
                table.wrong(key, f"{key} is set in another file already", after="[settings]")
            else:
                self.settings[key] = float(value)

    def _controls(self, table: Table, framework: Framework) -> list[Control]:
        listed = table.body.get("control", [])
        if not isinstance(listed, list):
            table.wrong("control", "controls are written [[control]]")
            return []
        if not listed and "settings" not in table.body:
            table.wrong("id", "this catalogue has no controls", "[[control]]")
        self._count += len(listed)
        if self._count > MAX_CONTROLS:
            table.problems.append(
                Problem(table.source.file, 0, 0, f"there are more than {MAX_CONTROLS:,} controls")
            )
            return []
        source = "" if self._known is None else table.source.file
        taken = {one.id: one.source for one in framework.controls}
        found = []
        for place, body in zip(_places(table, len(listed)), listed, strict=True):
            row = _Row(table, place, body)
            control = row.control(framework.id, source, taken)
            if control is not None:
                found.append(control)
                taken[control.id] = source
                self.unknown += row.unknown(control, self._known)
        return found


def _places(table: Table, count: int) -> list[tuple[int, int]]:
    """From where to where in the text each `[[control]]` goes; the whole of it where they are written otherwise."""
    text = table.source.text
    found = [one.start() for one in _HEADING.finditer(text)]
    return list(pairwise((*found, len(text)))) if len(found) == count else [(0, len(text))] * count


class _Part:
    """A table of the file, from where to where in the text it goes: there its mistakes are placed."""

    def __init__(self, table: Table, place: tuple[int, int], body: Any) -> None:
        self.table = table
        self.start, self.end = place
        self.body: dict[str, Any] = body if isinstance(body, dict) else {}

    def wrong(self, word: str, message: str, suggestion: str = "") -> None:
        """Note a problem at *word*."""
        self.table.problems.append(self.problem(word, message, suggestion))

    def problem(self, word: str, message: str, suggestion: str = "") -> Problem:
        """A problem at *word*, or where the part begins when the word does not stand in it."""
        source = self.table.source
        found = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])").search(source.text, self.start, self.end)
        start, end = found.span() if found else (self.start, self.start + 1)
        return source.problem(start, end, message, suggestion)

    def text(self, key: str, *, required: bool = False) -> str:
        """A text of one line."""
        value = self.body.get(key, "")
        if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
            self.wrong(key, f"{key} is a text of one line, at most {LONGEST} characters")
            return ""
        if required and not value.strip():
            self.wrong(key, f"{key} is missing", f'{key} = "…"')
        return value.strip()

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names, each once."""
        value = self.body.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            self.wrong(key, f"{key} is a list of texts")
            return ()
        for one in dict.fromkeys(value):
            if value.count(one) > 1:
                self.wrong(one, f"{one[:80]} stands twice in {key}")
        return tuple(dict.fromkeys(value))


class _Row(_Part):
    """One `[[control]]`."""

    def control(self, framework: str, source: str, taken: Mapping[str, str]) -> Control | None:
        """The control; None when it has no id that could be its own."""
        for key in self.body:
            if key not in _KEYS:
                self.wrong(
                    key, f"a control has no {key[:80]}", nearest(key, _KEYS) or "known: " + ", ".join(_KEYS)
                )
        name = self.body.get("id")
        if not isinstance(name, str) or not _CONTROL.fullmatch(name):
            self.wrong("id", "a control has an id: letters, digits, blanks and . ( ) / _ -", 'id = "CC6.1"')
            return None
        if name in taken:
            self.wrong(
                name,
                f"there is a control {name} already, {_where(taken[name])}",
                "controls are added, not replaced",
            )
            return None
        tests, optional = self.names("tests"), self.names("optional")
        self._check_tests(name, tests, optional)
        also = self.text("also")
        return Control(
            framework=framework,
            id=name,
            title=self.text("title", required=True),
            gist=self.text("gist", required=True),
            passes=self.text("passes", required=True),
            tests=tests,
            how="partial" if self._partial(also) else "automatic",
            optional=optional,
            also=also,
            applies=self.text("applies"),
            baselines=self._baselines(),
            source=source,
        )

    def unknown(self, control: Control, known: Collection[str] | None) -> list[Problem]:
        """Where the control names a test that there is none of."""
        missing = [] if known is None else [one for one in control.tests if one not in known]
        return [
            self.problem(one, f"there is no test {one[:80]!r}", nearest(one, known or ())) for one in missing
        ]

    def _check_tests(self, name: str, tests: tuple[str, ...], optional: tuple[str, ...]) -> None:
        if not tests:
            self.wrong("tests", f"{name} has no tests: it would never be tested")
        for one in optional:
            if one not in tests:
                self.wrong("optional", f"{one[:80]} is not among the tests of {name}", nearest(one, tests))
        if tests and set(tests) <= set(optional):
            self.wrong(
                "optional",
                f"one test of {name} must find something to test: where there is nothing, nothing passes",
            )

    def _partial(self, also: str) -> bool:
        how = self.body.get("how")
        if how not in ("automatic", "partial"):
            self.wrong("how", 'how is "automatic" or "partial"', nearest(str(how), ("automatic", "partial")))
        elif how == "partial" and not also:
            self.wrong("how", "a partial control says what a person has to add", 'also = "…"')
        elif how == "automatic" and also:
            self.wrong("also", "a control to which something has to be added is partial", 'how = "partial"')
        return how == "partial"

    def _baselines(self) -> tuple[str, ...]:
        found = self.names("baselines")
        for one in found:
            if one not in BASELINES:
                self.wrong(one, f"baselines are {', '.join(BASELINES)}", nearest(one, BASELINES))
        return found


def _where(source: str) -> str:
    return f"in {source}" if source else "among those that come with Keyturn"


__all__ = ["LONGEST", "MAX_CONTROLS", "Reader"]
