"""Tests of controls: one SQL file each, run over the whole population. What a test is, and what it came to.

A file (`queries/NAME.sql`) gives one row for each member of its population, with the columns `entry, ts_ms, subject, exception`
(exception '' for one that is as it should be). Its first line is a comment with its title; the comments after it say what the population
is, what an exception is, which tables it rests on, and which thresholds it takes:

    -- No approval is given by whom the action is for
    -- population: approvals given in the period
    -- exception: the approver initiated the action
    -- rests on: action request approval
    -- settings: review_h=24 (hours until somebody else has to have looked)

The text's digest goes with every result, so that anybody can run the very same text again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import ClassVar

from msgspec import Struct

from keyturn.evidence.errors import TestMalformed
from keyturn.evidence.verdicts import Word

LISTED = 100
"""How many exceptions a recorded result names; a pack names all."""

SIZE = 100_000
"""Characters of a test's file at most."""

_SAYS = re.compile(r"^--\s*(population|exception|rests on|settings):\s*(.*)$")
_SETTING = re.compile(r"([a-z][a-z0-9_]*)=(-?[0-9]+(?:\.[0-9]+)?)\s*\(([^()]*)\)")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Setting(Struct, frozen=True):
    """A threshold that a test takes."""

    name: str
    default: float
    meaning: str


class Test(Struct, frozen=True):
    """One test. `digest` is the SHA-256 of its text; `rests_on` names the tables it reads."""

    __test__: ClassVar[bool] = False

    id: str
    title: str
    text: str
    digest: str
    population: str
    exception: str
    rests_on: tuple[str, ...]
    settings: tuple[Setting, ...] = ()

    def values(self, given: Mapping[str, float] = {}) -> dict[str, float]:
        """The thresholds it runs with: those *given*, else its own."""
        return {one.name: float(given.get(one.name, one.default)) for one in self.settings}


class Period(Struct, frozen=True):
    """Which time is tested: [since, until) in milliseconds since 1970, over the first `size` entries of the log."""

    since: int
    until: int
    size: int


class Exceptional(Struct, frozen=True, array_like=True):
    """One exception: the entry that proves it, when, about what, and what is wrong."""

    entry: int
    ts_ms: int
    subject: str
    exception: str


class Day(Struct, frozen=True, array_like=True):
    """A day (UTC) of a test: its beginning in milliseconds, members, exceptions, and members that could not be tested."""

    day: int
    population: int
    exceptions: int
    untested: int = 0


class TestResult(Struct, frozen=True):
    """What a test came to. `query` is the digest of its text, `root` the log's root at `size`; `listed` are the first exceptions."""

    __test__: ClassVar[bool] = False

    test: str
    query: str
    settings: dict[str, float]
    since: int
    until: int
    size: int
    root: str
    population: int
    exceptions: int
    untested: int
    listed: tuple[Exceptional, ...]
    days: tuple[Day, ...]
    verdict: Word
    why: str = ""


class ControlResult(Struct, frozen=True):
    """What a control came to, out of the results of its tests (by their ids)."""

    framework: str
    control: str
    verdict: Word
    why: str
    tests: tuple[str, ...]


def read_test(name: str, text: str) -> Test:
    """The test in a file called `NAME.sql`. Raises `TestMalformed`."""
    where = f"{name[:80]}.sql"
    if not _NAME.fullmatch(name):
        raise TestMalformed(f"{where}: a test's name is lower-case letters, digits and underscores.")
    if len(text) > SIZE:
        raise TestMalformed(f"{where} has more than {SIZE:,} characters.")
    lines = text.splitlines()
    said = _comments(lines)
    title = lines[0].removeprefix("--").strip() if lines and lines[0].startswith("--") else ""
    if not title or _SAYS.match(lines[0]):
        raise TestMalformed(f"{where}, line 1: the first line is a comment with the test's title.")
    for part in ("population", "exception", "rests on"):
        if not said.get(part):
            raise TestMalformed(f"{where} has no comment `-- {part}: …`.")
    settings = _settings(where, said.get("settings", ""))
    rests_on = tuple(dict.fromkeys(said["rests on"].replace(",", " ").split()))
    digest = f"sha256:{sha256(text.encode()).hexdigest()}"
    return Test(name, title, text, digest, said["population"], said["exception"], rests_on, settings)


def _comments(lines: list[str]) -> dict[str, str]:
    """What the comments before the statement say; a comment that says nothing new goes on with the one before."""
    said: dict[str, str] = {}
    part = ""
    for line in lines[1:]:
        if not line.startswith("--"):
            break
        found = _SAYS.match(line)
        if found:
            part = found[1]
            said[part] = f"{said[part]}; {found[2].strip()}" if part in said else found[2].strip()
        elif part:
            said[part] = f"{said[part]} {line.removeprefix('--').strip()}".strip()
    return said


def _settings(where: str, text: str) -> tuple[Setting, ...]:
    rest = _SETTING.sub("", text).replace(";", " ").replace(",", " ").strip()
    if rest and text.lower() not in ("none", "-"):
        raise TestMalformed(f"{where}: settings are written `name=default (meaning)`; {rest[:60]!r} is not.")
    found = tuple(
        Setting(name, float(value), meaning.strip()) for name, value, meaning in _SETTING.findall(text)
    )
    if len({one.name for one in found}) != len(found):
        raise TestMalformed(f"{where} names a setting twice.")
    return found


@cache
def _shipped() -> dict[str, Test]:
    folder = resources.files("keyturn.evidence").joinpath("queries")
    if not folder.is_dir():
        return {}
    files = sorted((one for one in folder.iterdir() if one.name.endswith(".sql")), key=lambda one: one.name)
    return {
        name: read_test(name, one.read_text("utf-8"))
        for one in files
        if (name := one.name.removesuffix(".sql"))
    }


def load_tests(own: Mapping[str, str] = {}) -> dict[str, Test]:
    """Every test by its id: those that come with Keyturn, and a house's *own* (name → text). Raises `TestMalformed`."""
    found = dict(_shipped())
    for name, text in sorted(own.items()):
        if name in found:
            raise TestMalformed(f"{name}.sql: Keyturn has a test of that name; give this one another.")
        found[name] = read_test(name, text)
    return found


__all__ = [
    "LISTED", "ControlResult", "Day", "Exceptional", "Period", "Setting", "Test", "TestResult", "load_tests", "read_test",
]  # fmt: skip
