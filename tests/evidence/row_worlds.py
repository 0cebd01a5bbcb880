"""Worlds in which one test's exceptions are seeded, each packed as it is for an auditor: what every row of every catalogue is held to.

Two houses, because what one needs for its population is an exception in the other: `world_a` has the tests of approvals, runs and records,
`world_b` the others. A pack is of all tests at once, by a framework of the house's own that has a control for each; what a row of a
shipped framework comes to is worked out from its results by the function that packs use.
"""

from __future__ import annotations

import csv
import hashlib
import io
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest.mock import patch

import msgspec
import seeds_agents
import seeds_oversight
import world_a
import world_b
from packing_house import SIGNER, House, files_of
from world import START, World

from keyturn.evidence import catalogue, pack_contents
from keyturn.evidence.controls import VERIFIED, Control
from keyturn.evidence.report.pdf import NoPrinter
from keyturn.evidence.testing import load_tests
from keyturn.evidence.verdicts import Word, of_control

SEEDED = (seeds_agents, seeds_oversight)
"""Modules that register seeds of the second house."""
FIRST, SECOND = "first", "second"
HOLES = {
    "entries_that_are_missing",
    "whole_blocks_that_are_missing",
    "a_time_that_goes_back_beside_a_missing_entry",
    "a_number_of_a_session_that_is_there_twice",
}
"""Seeds that no store takes, or of which no pack is made: a missing entry is an error of the log itself."""
ABSENT = {
    "reviews_regular": ("log", "rights"),
    "access_reviewed": ("rights",),
    "tests_regular": ("tests:37",),
}
"""Exceptions that are something not done: which, for the second house."""
EVERY = "every"
Figures = dict[str, Counter[tuple[str, str]]]
"""Test → its exceptions: (subject, words)."""


def family(test: str) -> str:
    """In which house a test has its seeds."""
    return FIRST if test in world_a.TESTS or test in VERIFIED else SECOND


def own_framework() -> bytes:
    """A framework with a control for each test, and the thresholds of the second house."""
    parts = [f'id = "{EVERY}"\ntitle = "Every test"\nedition = "one"\n']
    parts.append("[settings]\n" + "".join(f"{name} = {value}\n" for name, value in world_b.SETTINGS.items()))
    for name in sorted({*load_tests(), *VERIFIED}):
        parts.append(
            f'[[control]]\nid = "{name}"\ntitle = "{name}"\ngist = "As it says."\npasses = "No exception."\n'
            f'tests = ["{name}"]\nhow = "automatic"\n'
        )
    return "\n".join(parts).encode()


@cache
def _attributed() -> dict[str, set[str]]:
    """Seed of the second house → the tests that it wants exceptions of."""
    found: dict[str, set[str]] = {name: set() for name in world_b.SEEDS}

    def watched(name: str) -> world_b.Seed:
        def seed(house: world_b.House) -> Iterator[float]:
            part = world_b.SEEDS[name](house)
            while True:
                before = len(house.expected)
                pause = next(part, None)
                found[name] |= {one[0] for one in house.expected[before:]}
                if pause is None:
                    return
                yield pause

        return seed

    days = [(_day(number, name), name) for number, name in enumerate(world_b.SEEDS)]
    world_b.house(days, seeds={name: watched(name) for name in world_b.SEEDS})
    return found


@cache
def _wanted_by() -> dict[str, set[str]]:
    """Seed of the first house that a store can hold → the tests that it wants exceptions of."""
    return {
        name: set() if name in HOLES else set(make(world_a.base()[0])) for name, make in world_a.SEEDS.items()
    }


def _day(number: int, name: str) -> int:
    span = world_b.LAST_DAY - world_b.FIRST_DAY + 1
    return world_b.LATE_DAY if name in world_b.LATE else world_b.FIRST_DAY + number % span


def _first(test: str) -> tuple[World, int, Figures]:
    world, since = world_a.base()
    expected = []
    for name, make in world_a.SEEDS.items():
        if test in _wanted_by()[name]:
            expected.append(make(world))
    world_a.settle(world)
    world.heartbeat(interval_s=3600)
    wanted = {name: Counter(listed) for name, listed in world_a.resolved(world, expected).items()}
    return world, since, wanted


def _second(test: str) -> tuple[World, int, Figures]:
    chosen = [
        (_day(number, name), name) for number, name in enumerate(world_b.SEEDS) if test in _attributed()[name]
    ]
    house = world_b.house(chosen, ABSENT.get(test, ()))
    house.now = world_b.UNTIL - 1
    house.heartbeat()
    wanted: Figures = {name: Counter() for name in load_tests() if family(name) == SECOND}
    for name, _, subject, words in house.expected:
        wanted[name][subject, words] += 1
    return house, START, wanted


class Outcome:
    """What the pack of one world came to, and what was *wanted*: of the tests of its house, each exception."""

    def __init__(self, files: dict[str, bytes], wanted: Figures) -> None:
        told = msgspec.json.decode(files["results.json"])
        self.words: dict[str, Word] = {one["test"]: one["verdict"] for one in told["tests"]}
        self.population: dict[str, int] = {one["test"]: one["population"] for one in told["tests"]}
        self.counted: dict[str, int] = {one["test"]: one["exceptions"] for one in told["tests"]}
        self.wanted = wanted
        self._register: Figures = {}
        for row in csv.DictReader(io.StringIO(files["exceptions.csv"].decode())):
            self._register.setdefault(row["test"], Counter())[row["subject"], row["exception"]] += 1

    def found(self, test: str) -> Counter[tuple[str, str]]:
        """The exceptions in the pack's register."""
        return self._register.get(test, Counter())


def _no_printer(page: str) -> bytes:
    """Nothing is printed here, as where the printer is not installed: it takes twenty times what all else does, and is tested elsewhere."""
    raise NoPrinter("not here")


@cache
def packed(house: str, test: str = "") -> Outcome:
    """The pack of *house* with everything seeded that *test* has to find; without it, with nothing seeded."""
    text = own_framework()
    digest = hashlib.sha256(text).hexdigest()
    with patch.object(World, "files", {f"{catalogue.FOLDER}{EVERY}.toml": f"sha256:{digest}"}):
        world, since, wanted = _first(test) if house == FIRST else _second(test)
    with tempfile.TemporaryDirectory() as folder:
        made = House(Path(folder))
        made.world = world  # type: ignore[assignment]
        try:
            size = made.record(**{digest: text})
            strange = SIGNER.sign(size, hashlib.sha256(b"another log").digest())
            head = strange if test == "kept_elsewhere" else made.store.head() or ""
            until = world.made[-1].stored.time + 1
            with patch.object(pack_contents, "pdf", _no_printer):
                made.pack(framework=EVERY, since=since, until=until, heads=(("witness", head),))
        finally:
            made.close()
        return Outcome(files_of(Path(folder, "pack.zip")), wanted)


def pack_of_seed(make: world_a.Seed) -> None:
    """A pack of the first house with one seed, whatever is wrong with its log. Raises what packing raises."""
    world, since = world_a.base()
    make(world)
    world_a.settle(world)
    with tempfile.TemporaryDirectory() as folder:
        made = House(Path(folder))
        made.world = world  # type: ignore[assignment]
        try:
            made.record()
            made.pack(since=since, until=world.made[-1].stored.time + 1)
        finally:
            made.close()


def judged(control: Control, words: dict[str, Word]) -> tuple[Word, str]:
    """What a row comes to in a pack in which its tests came to *words*."""
    return of_control(words, control.tests, control.optional)


def clean_words() -> dict[str, Word]:
    """What each test comes to in its own house when nothing is wrong."""
    return {name: packed(family(name)).words[name] for name in (*load_tests(), *VERIFIED)}


__all__ = ["FIRST", "HOLES", "SECOND", "Outcome", "clean_words", "family", "judged", "pack_of_seed", "packed"]
