"""Logs in which something is wrong for every control of every framework, one in which nothing is, and what real packs of them say.

What each log has wrong is known entry by entry, over *all* tests: so a control's row is found whole (recall) and has nothing else
(precision), or it is not. A pack is made for each framework of each log, with a checkpoint that somebody else kept; a log in which
something is wrong gets one more, which it does not continue.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import seeds_agents
import seeds_oversight
import world_a
import world_b
from packing_house import SIGNER, files_of
from packing_house import House as Packing
from world import DAY, SECOND, World, digest_of
from world_b import FIRST_DAY, LAST_DAY, SETTINGS, UNTIL, House

from keyturn.evidence import catalogue
from keyturn.evidence.controls import Control

SEEDED = (seeds_agents, seeds_oversight)
"""Modules that register seeds."""

UNKEPT = {
    "a_number_of_a_session_that_is_there_twice",
    "entries_that_are_missing",
    "whole_blocks_that_are_missing",
    "a_time_that_goes_back_beside_a_missing_entry",
}
"""Seeds that no store takes, or no pack is made of: they are seeded for the query alone (`test_evidence_queries_a`)."""

BESIDE = "log_intact"
"""The test that no pack can fail: of a log that is not intact there is none."""

KEPT = "kept_elsewhere"
"""The test of checkpoints, which counts exceptions and names no entries."""

Named = tuple[str, str, str]
"""Test, subject, words."""
Exceptions = Counter[Named]

_OWN = "controls/house.toml"
_LIMITS = "".join(f"{name} = {value}\n" for name, value in sorted(SETTINGS.items()))
_CONTROLS = f'id = "soc2"\n[settings]\n{_LIMITS}'.encode()
"""The house's own file of controls: the thresholds of `world_b`."""


class Settled(House):
    """A house whose policy has thresholds of its own for the tests."""

    def policy_fields(self, digest: str, **more: Any) -> dict[str, Any]:
        """With the file that says so."""
        fields = super().policy_fields(digest, **more)
        return fields | {"files": {**fields["files"], _OWN: digest_of(_CONTROLS.decode())}}


class Attended(Settled):
    """A house in which, as long as its heart beats, controls are tested, evidence is read, and its gate is probed."""

    due = 0

    def begin(self) -> None:
        """Somebody who audits is there, and people approved the agent."""
        super().begin()
        self.defined("claude-code")
        self.enrol("aud", roles=("auditor",), groups=(), approved_by="bea")
        self.people = ["aud"]

    def heartbeat(self, **more: Any) -> int:
        """Twice a day more than that."""
        beat = super().heartbeat(**more)
        if self.now >= self.due:
            self.due = self.now + DAY // 2
            self.tested()
            self.reads("aud")
            self.probed(self.gate)
        return beat


@dataclass(frozen=True)
class Log:
    """A log, the beginning of its period, and all that is wrong in it. *strays*: checkpoints handed in that it does not continue."""

    name: str
    world: World
    since: int
    wrong: Exceptions
    strays: int


@dataclass(frozen=True)
class Row:
    """What a pack says of a control: its verdict and why, whether tools are told that all of it passed, and its exceptions."""

    verdict: str
    why: str
    how: str
    also: str
    passed: bool
    tested_part_passed: bool
    found: Exceptions


@dataclass(frozen=True)
class Figures:
    """Of one row in one log: how many exceptions were seeded, found of those, and found without being any."""

    seeded: int = 0
    found: int = 0
    false: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.seeded + other.seeded, self.found + other.found, self.false + other.false)

    @property
    def exact(self) -> bool:
        """Precision and recall are 1."""
        return (self.found, self.false) == (self.seeded, 0)


def compared(wanted: Exceptions, found: Exceptions) -> Figures:
    """What is there of what should be."""
    return Figures(wanted.total(), (wanted & found).total(), (found - wanted).total())


# --- logs --------------------------------------------------------------------------------------------------------------


def logs() -> Iterator[Log]:
    """The one in which nothing is wrong, first."""
    yield clean()
    yield agents_and_oversight()
    yield approvals_runs_and_records()


def clean() -> Log:
    """A house in which every test has a population."""
    return _ended("clean", world_b.house(kind=Settled), 0)


def agents_and_oversight() -> Log:
    """The same, with every seed of `world_b`."""
    span = LAST_DAY - FIRST_DAY + 1
    chosen = [
        (world_b.LATE_DAY if name in world_b.LATE else FIRST_DAY + number % span, name)
        for number, name in enumerate(world_b.SEEDS)
    ]
    return _ended("agents", world_b.house(chosen, ("log", "rights", "tests:37"), kind=Settled), 1)


def _ended(name: str, house: House, strays: int) -> Log:
    """Its period ends with its last entry."""
    house.now = UNTIL - 1
    house.heartbeat(interval_s=DAY // SECOND)
    wrong = Counter((test, subject, words) for test, _, subject, words in house.expected)
    return Log(name, house, _begun(house), wrong, strays)


def _begun(house: House) -> int:
    """When the house was set up: its first administrator's deeds before that are nobody's to approve."""
    first = House()
    first.begin()
    assert [one.entry.type for one in first.made] == [one.entry.type for one in house.made[: first.index]]
    return first.now


def approvals_runs_and_records() -> Log:
    """A house of some days with every seed of `world_a`."""
    house, since = world_a.base(Attended())
    expected = [make(house) for name, make in world_a.SEEDS.items() if name not in UNKEPT]
    world_a.settle(house)
    tests = catalogue.load().tests
    listed = world_a.resolved(house, expected, tests)
    wrong = Counter((test, *each) for test, found in listed.items() for each in found)
    return Log("approvals", house, since, wrong, 1)


# --- packs -------------------------------------------------------------------------------------------------------------


def packed(log: Log, folder: Path) -> dict[tuple[str, str], Row]:
    """(framework, control) → what the framework's pack of the log says of it."""
    house = Packing(folder)
    try:
        house.world = log.world  # type: ignore[assignment]
        house.record(**{digest_of(_CONTROLS.decode()).removeprefix("sha256:"): _CONTROLS})
        heads = [("bank", house.store.head() or "")]
        heads += [(f"stray {n}", SIGNER.sign(7 + n, bytes([n + 1]) * 32)) for n in range(log.strays)]
        rows: dict[tuple[str, str], Row] = {}
        for framework in catalogue.load().frameworks:
            house.pack(f"{framework}.zip", framework=framework, since=log.since, heads=tuple(heads))
            files = files_of(folder / f"{framework}.zip")
            rows |= {(framework, name): row for name, row in _rows(files)}
    finally:
        house.close()
    return rows


def _rows(files: Mapping[str, bytes]) -> Iterator[tuple[str, Row]]:
    """Each control of a pack."""
    results = msgspec.json.decode(files["results.json"])
    told = {one["id"]: one for one in msgspec.json.decode(files["controls.json"])["controls"]}
    tools = [msgspec.json.decode(line)["customProperties"] for line in files["grc/vanta.jsonl"].splitlines()]
    passed = {one["control"]: one for one in tools}
    found = _exceptions(files, results["tests"])
    for one in results["controls"]:
        name = one["control"]
        listed = sum((found[test] for test in one["tests"]), Counter())
        yield (
            name,
            Row(
                one["verdict"],
                one["why"],
                told[name]["how"],
                told[name]["also"],
                passed[name]["passed"],
                passed[name]["tested_part_passed"],
                listed,
            ),
        )


def _exceptions(files: Mapping[str, bytes], tests: list[dict[str, Any]]) -> dict[str, Exceptions]:
    """Test → its exceptions in the register, which are as many as its result counts."""
    found: dict[str, Exceptions] = {one["test"]: Counter() for one in tests}
    for row in csv.DictReader(io.StringIO(files["exceptions.csv"].decode())):
        found[row["test"]][(row["test"], row["subject"], row["exception"])] += 1
    for one in tests:
        if one["test"] == KEPT:
            found[KEPT][stray()] += one["exceptions"]
        assert found[one["test"]].total() == one["exceptions"], one["test"]
    return found


def stray() -> Named:
    """A checkpoint that the log does not continue."""
    return (KEPT, "", "")


def wanted(log: Log, control: Control) -> Exceptions:
    """What a control has to find in a log."""
    found: Exceptions = Counter({one: n for one, n in log.wrong.items() if one[0] in control.tests})
    if KEPT in control.tests and log.strays:
        found[stray()] += log.strays
    return found


__all__ = [
    "BESIDE", "KEPT", "UNKEPT", "Attended", "Exceptions", "Figures", "Log", "Row", "Settled", "compared", "logs", "packed", "stray",
    "wanted",
]  # fmt: skip
