"""What a control is, and a framework, and a catalogue of them; and the two tests that are no queries. Pure data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from keyturn.evidence.errors import ControlUnknown, FrameworkUnknown
from keyturn.evidence.testing import Test
from keyturn.policy.problems import nearest

How = Literal["automatic", "partial"]
BASELINES = ("low", "moderate", "high")


class Verified(Struct, frozen=True):
    """A test that is no query: verifying the log itself answers it."""

    id: str
    title: str
    population: str
    exception: str


VERIFIED: Mapping[str, Verified] = {
    one.id: one
    for one in (
        Verified(
            "log_intact",
            "The log is what its signed head says",
            "bundles of entries up to the head",
            "a bundle whose entries don't lead to the head",
        ),
        Verified(
            "kept_elsewhere",
            "A head that somebody else kept agrees with the log",
            "heads that somebody else kept and handed in",
            "a head that the log does not continue",
        ),
    )
}
"""Tests by id that verification answers."""


class Control(Struct, frozen=True):
    """One control. All of `tests` have to pass; those of them in `optional` may have no population.

    `passes` is the condition in words. `also` is what a person has to add where the tests show a part only. `source` is the file of a
    house's own, '' for one that comes with Keyturn.
    """

    framework: str
    id: str
    title: str
    gist: str
    passes: str
    tests: tuple[str, ...]
    how: How
    optional: tuple[str, ...] = ()
    also: str = ""
    applies: str = ""
    baselines: tuple[str, ...] = ()
    source: str = ""


class Framework(Struct, frozen=True):
    """A framework and its controls, in the order of its own numbering."""

    id: str
    title: str
    edition: str
    controls: tuple[Control, ...]


class Catalogue(Struct, frozen=True):
    """All frameworks by id, all tests by id, and the thresholds that a house set."""

    frameworks: Mapping[str, Framework]
    tests: Mapping[str, Test]
    settings: Mapping[str, float] = {}

    def framework(self, name: str) -> Framework:
        """The framework with that id. Raises `FrameworkUnknown`."""
        found = self.frameworks.get(name)
        if found is None:
            hint = nearest(name, self.frameworks) or f"There are {', '.join(sorted(self.frameworks))}."
            raise FrameworkUnknown(f"There is no framework {name[:80]!r}. {hint[:1].upper()}{hint[1:]}")
        return found

    def control(self, framework: str, name: str) -> Control:
        """The control with that id. Raises `FrameworkUnknown`, `ControlUnknown`."""
        among = self.framework(framework).controls
        found = next((one for one in among if one.id == name), None)
        if found is None:
            hint = nearest(name, [one.id for one in among])
            words = f" {hint[:1].upper()}{hint[1:]}" if hint else ""
            raise ControlUnknown(f"{framework} has no control {name[:80]!r}.{words}")
        return found

    def controls(self) -> Iterator[Control]:
        """Every control of every framework."""
        for one in self.frameworks.values():
            yield from one.controls

    def using(self, test: str) -> tuple[Control, ...]:
        """The controls that a test is for."""
        return tuple(one for one in self.controls() if test in one.tests)


__all__ = ["BASELINES", "VERIFIED", "Catalogue", "Control", "Framework", "How", "Verified"]
