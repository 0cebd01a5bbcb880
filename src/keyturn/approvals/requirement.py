"""Requirements: how many distinct people out of which groups, and in which order.

    requirement = layer *( [","] "then" layer )          layers one after the other
    layer       = stage *( "," stage )                   stages of a layer together, in any order
    stage       = number "of" group                      number 1–99, group as `identity.names` accepts

Rules kept here:

- What can't be read is refused with the place; there is no default that would lower a requirement silently.
- `merge` is never weaker than either side: whoever satisfies the merged requirement satisfies both.
- A person fills one place over all stages (NIST SP 800-53r5 AC-3(2), dual authorization: *two* individuals).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import reduce

from msgspec import Struct

from keyturn.approvals.errors import InvalidRequirement
from keyturn.identity.names import is_name

MAX_NEED = 99
MAX_STAGES = 64
MAX_TEXT = 5000
"""Characters of a requirement's text: as many stages with the longest group names fit."""

_TOKEN = re.compile(r"\s*(,|[^\s,]+)")
_NUMBER = re.compile(r"[1-9][0-9]?", re.ASCII)
_RESERVED = ("of", "then")


class Stage(Struct, frozen=True):
    """`need` distinct people out of `group`. Stages with the same `order` (from 0) run together."""

    need: int
    group: str
    order: int = 0

    def __str__(self) -> str:
        return f"{self.need} of {self.group}"


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
        return tuple(dict.fromkeys(stage.group for stage in self.stages))

    @property
    def people(self) -> int:
        """How many distinct people it takes."""
        return sum(stage.need for stage in self.stages)

    def __str__(self) -> str:
        return " then ".join(", ".join(map(str, layer)) for layer in self.layers)


def parse_requirement(text: str) -> Requirement:
    """`2 of dba, 1 of security` or `2 of dba then 1 of security` as a `Requirement`. Raises `InvalidRequirement`."""
    if len(text) > MAX_TEXT:
        raise InvalidRequirement(f"it is longer than {MAX_TEXT} characters", text, MAX_TEXT)
    words = [(found[1], found.start(1)) for found in _TOKEN.finditer(text)]
    stages: list[Stage] = []
    order = at = 0
    while True:
        if len(stages) == MAX_STAGES:
            raise InvalidRequirement(f"it has more than {MAX_STAGES} stages", text, words[at - 1][1])
        stages.append(_stage(text, words, at, order))
        at += 3
        if at == len(words):
            return Requirement(tuple(stages))
        word, place = words[at]
        if word == "," and at + 1 < len(words) and words[at + 1][0] == "then":
            at, order = at + 2, order + 1
        elif word == "then":
            at, order = at + 1, order + 1
        elif word == ",":
            at += 1
        else:
            raise InvalidRequirement(f"expected ',' or 'then', found {word[:40]!r}", text, place)


def merge(a: Requirement, b: Requirement) -> Requirement:
    """The least requirement of this form that is at least as strict as *a* and as *b*.

    Layer by layer the larger need of each group; a side with one layer only adds, to the first layer, the people
    that the other side does not ask for anywhere. Raises `InvalidRequirement` beyond `MAX_STAGES` or `MAX_NEED`.
    """
    ours, theirs = _needs(a), _needs(b)
    if len(ours) == 1 and len(theirs) > 1:
        ours, theirs = theirs, ours
    if len(theirs) == 1 and len(ours) > 1:
        total = sum(ours, Counter())
        return _from_needs([ours[0] + (theirs[0] - total), *ours[1:]])
    depth = max(len(ours), len(theirs))
    ours += [Counter()] * (depth - len(ours))
    theirs += [Counter()] * (depth - len(theirs))
    return _from_needs([mine | other for mine, other in zip(ours, theirs, strict=True)])


def strictest(requirements: Iterable[Requirement]) -> Requirement:
    """All of *requirements* merged; the result does not depend on their order. At least one is needed."""
    return reduce(merge, sorted(requirements, key=lambda r: (-len(r.layers), str(r))))


def one_more(requirement: Requirement) -> Requirement:
    """One more person in every stage.

    For requests whose initiator is unknown: at most one of the people who approve can be the one who asked,
    and without that one the original requirement is still satisfied by others (promise 6).
    """
    return Requirement(tuple(Stage(s.need + 1, s.group, s.order) for s in requirement.stages))


def _stage(text: str, words: list[tuple[str, int]], at: int, order: int) -> Stage:
    """The stage whose three words begin at *at*."""
    number, number_at = _word(text, words, at, "a number of people")
    if not _NUMBER.fullmatch(number):
        raise InvalidRequirement(
            f"expected a number from 1 to {MAX_NEED}, found {number[:40]!r}", text, number_at
        )
    of, of_at = _word(text, words, at + 1, "'of'")
    if of != "of":
        raise InvalidRequirement(f"expected 'of', found {of[:40]!r}", text, of_at)
    group, group_at = _word(text, words, at + 2, "a group")
    if group in _RESERVED or not is_name(group):
        raise InvalidRequirement(f"expected a group's name, found {group[:40]!r}", text, group_at)
    return Stage(int(number), group, order)


def _word(text: str, words: list[tuple[str, int]], at: int, expected: str) -> tuple[str, int]:
    if at >= len(words):
        raise InvalidRequirement(f"expected {expected}, found the end", text, len(text))
    return words[at]


def _needs(requirement: Requirement) -> list[Counter[str]]:
    """Per layer, how many people of each group."""
    layers = []
    for layer in requirement.layers:
        needs: Counter[str] = Counter()
        for stage in layer:
            needs[stage.group] += stage.need
        layers.append(needs)
    return layers


def _from_needs(layers: list[Counter[str]]) -> Requirement:
    return _bounded(
        Stage(need, group, order)
        for order, needs in enumerate(layers)
        for group, need in sorted(needs.items())
    )


def _bounded(stages: Iterable[Stage]) -> Requirement:
    """The requirement, unless it asks for more than its own text could say."""
    made = Requirement(tuple(stages))
    if len(made.stages) > MAX_STAGES or any(stage.need > MAX_NEED for stage in made.stages):
        why = f"together the rules ask for more than {MAX_STAGES} stages or {MAX_NEED} people of a group"
        raise InvalidRequirement(why, str(made), 0)
    return made
