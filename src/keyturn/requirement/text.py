"""Requirements: how many distinct people out of which groups, and in which order.

    requirement = layer *( [","] "then" layer )          layers one after the other
    layer       = stage *( "," stage )                   all of its stages, together, in any order
    stage       = number "of" group *( "|" group )       number 1–99 people, each out of any one of the groups

Rules kept here:

- What can't be read is refused with the place; there is no default that would lower a requirement silently.
- The same groups twice in one layer are refused: `1 of a, 2 of a` says 3 to one reader and 2 to another.
- A person fills one place over all stages (NIST SP 800-53r5 AC-3(2), dual authorization: *two* individuals).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from keyturn.identity.names import is_name
from keyturn.requirement.errors import InvalidRequirement

MAX_NEED = 99
MAX_STAGES = 16
MAX_GROUPS = 8
"""Groups of one stage."""
MAX_TEXT = 10_000
"""Characters of a requirement's text: as many stages with as many of the longest group names fit."""

_TOKEN = re.compile(r"\s*([,|]|[^\s,|]+)")
_NUMBER = re.compile(r"[1-9][0-9]?", re.ASCII)
_RESERVED = ("of", "then")


class Stage(Struct, frozen=True):
    """`need` distinct people out of `group`: one name, or several joined by `|` (sorted), any of which will do.

    Stages with the same `order` (from 0) run together.
    """

    need: int
    group: str
    order: int = 0

    def __str__(self) -> str:
        return f"{self.need} of {self.group}"

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, a member of any of which can fill a place."""
        return tuple(self.group.split("|"))

    @property
    def title(self) -> str:
        """`dba or security`: the groups as people read them."""
        return " or ".join(self.groups)


class Requirement(Struct, frozen=True):
    """All stages, by ascending `order`, which has no gaps."""

    stages: tuple[Stage, ...]

    @property
    def layers(self) -> tuple[tuple[Stage, ...], ...]:
        """Stages that run together, layer after layer."""
        orders = sorted({stage.order for stage in self.stages})
        return tuple(tuple(s for s in self.stages if s.order == order) for order in orders)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of all groups asked, in order, without repetition."""
        return tuple(dict.fromkeys(group for stage in self.stages for group in stage.groups))

    @property
    def people(self) -> int:
        """How many distinct people it takes."""
        return sum(stage.need for stage in self.stages)

    def __str__(self) -> str:
        return " then ".join(", ".join(map(str, layer)) for layer in self.layers)


def any_of(groups: Iterable[str]) -> str:
    """The `group` of a stage that takes people out of any of *groups*."""
    return "|".join(sorted(set(groups)))


def parse_requirement(text: str) -> Requirement:
    """`2 of dba, 1 of security` or `2 of dba then 1 of security|leads` as a `Requirement`. Raises `InvalidRequirement`."""
    if len(text) > MAX_TEXT:
        raise InvalidRequirement(f"it is longer than {MAX_TEXT} characters", text, MAX_TEXT)
    return _Reader(text).requirement()


class _Reader:
    """The words of one text, read from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = [(found[1], found.start(1)) for found in _TOKEN.finditer(text)]
        self.at = 0

    def requirement(self) -> Requirement:
        stages: list[Stage] = []
        order = 0
        while True:
            place = self._place()
            stage = self._stage(order)
            if len(stages) == MAX_STAGES:
                raise InvalidRequirement(f"it has more than {MAX_STAGES} stages", self.text, place)
            if any(stage.group == other.group and order == other.order for other in stages):
                raise InvalidRequirement(f"{stage.group} is named twice in one step", self.text, place)
            stages.append(stage)
            if self.at == len(self.words):
                return Requirement(tuple(stages))
            order += self._joint()

    def _joint(self) -> int:
        """What stands between two stages; 1 when a new layer begins."""
        word, place = self.words[self.at]
        following = self.words[self.at + 1][0] if self.at + 1 < len(self.words) else ""
        if word == "," and following == "then":
            self.at += 2
            return 1
        if word not in (",", "then"):
            raise InvalidRequirement(f"expected ',' or 'then', found {word[:40]!r}", self.text, place)
        self.at += 1
        return int(word == "then")

    def _stage(self, order: int) -> Stage:
        number, place = self._word("a number of people")
        if not _NUMBER.fullmatch(number):
            raise InvalidRequirement(
                f"expected a number from 1 to {MAX_NEED}, found {number[:40]!r}", self.text, place
            )
        of, place = self._word("'of'")
        if of != "of":
            raise InvalidRequirement(f"expected 'of', found {of[:40]!r}", self.text, place)
        groups = [self._group(())]
        while self.at < len(self.words) and self.words[self.at][0] == "|":
            self.at += 1
            groups.append(self._group(groups))
        return Stage(int(number), any_of(groups), order)

    def _group(self, others: Iterable[str]) -> str:
        group, place = self._word("a group")
        if group in _RESERVED or not is_name(group):
            raise InvalidRequirement(f"expected a group's name, found {group[:40]!r}", self.text, place)
        if group in (known := tuple(others)):
            raise InvalidRequirement(f"{group} is named twice in one stage", self.text, place)
        if len(known) == MAX_GROUPS:
            raise InvalidRequirement(f"a stage names more than {MAX_GROUPS} groups", self.text, place)
        return group

    def _place(self) -> int:
        return self.words[self.at][1] if self.at < len(self.words) else len(self.text)

    def _word(self, expected: str) -> tuple[str, int]:
        if self.at >= len(self.words):
            raise InvalidRequirement(f"expected {expected}, found the end", self.text, len(self.text))
        self.at += 1
        return self.words[self.at - 1]
