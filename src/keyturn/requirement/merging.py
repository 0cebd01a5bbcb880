"""Several requirements as one that is at least as strict as each of them.

Rules kept here:

- Whoever satisfies the merged requirement satisfies every side of it: there is a way to give each place of a side to another
  place of the merged requirement, filled by somebody the side would take, in the side's order.
- Layer by layer (what stands between two `then`) the larger number for the same groups. A side of one layer only adds, to
  the first layer, the people that the other side does not ask for anywhere.
- A place that takes people out of several groups is left out again where a narrower place of the other side serves it: `1 of dba`
  and `1 of dba|security` are together `1 of dba`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import reduce

from keyturn.requirement.errors import TooManyPeople
from keyturn.requirement.matching import place
from keyturn.requirement.text import MAX_NEED, MAX_STAGES, Requirement, Stage

Places = Counter[str]
"""How many people out of which groups (`Stage.group`), in one layer."""


def merge(a: Requirement, b: Requirement) -> Requirement:
    """A requirement at least as strict as *a* and as *b*, and no stricter than the rules above make it.

    Raises `TooManyPeople` beyond `MAX_STAGES` or `MAX_NEED`.
    """
    ours, theirs = _layers(a), _layers(b)
    stronger = [one for one, other in ((ours, theirs), (theirs, ours)) if _implies(one, other)]
    if stronger:
        return min(map(_requirement, stronger), key=str)
    if len(ours) == 1 and len(theirs) > 1:
        ours, theirs = theirs, ours
    if len(theirs) == 1 and len(ours) > 1:
        return _requirement([ours[0] + _missing(ours, theirs[0]), *ours[1:]])
    depth = max(len(ours), len(theirs))
    ours += [Counter()] * (depth - len(ours))
    theirs += [Counter()] * (depth - len(theirs))
    return _requirement([_both(mine, other) for mine, other in zip(ours, theirs, strict=True)])


def strictest(requirements: Iterable[Requirement]) -> Requirement:
    """All of *requirements* merged; the result does not depend on their order. At least one is needed."""
    return reduce(merge, sorted(set(requirements), key=lambda r: (-len(r.layers), str(r))))


def one_more(requirement: Requirement) -> Requirement:
    """One more person in every stage.

    For requests whose initiator is unknown: at most one of the people who approve can be the one who asked,
    and without that one the original requirement is still satisfied by others (promise 6).
    """
    return Requirement(tuple(Stage(s.need + 1, s.group, s.order) for s in requirement.stages))


def serves(have: Places, want: Places) -> bool:
    """Whether people who fill the places *have* could fill all of *want* instead, one place each."""
    left, missing = have - want, want - have
    if not missing:
        return True
    stages = sorted(left)
    takes = [frozenset(stage.split("|")) for stage in stages]
    wishes = [
        [i for i, narrower in enumerate(takes) if narrower <= frozenset(group.split("|"))]
        for group, need in sorted(missing.items())
        for _ in range(need)
    ]
    if not all(wishes) or len(wishes) > left.total():
        return False
    return None not in place(wishes, [left[stage] for stage in stages])


def _implies(one: list[Places], other: list[Places]) -> bool:
    """Whether whoever satisfies *one* satisfies *other*, as far as comparing layers tells."""
    if len(other) == 1:
        return serves(sum(one, Counter()), other[0])
    return len(one) >= len(other) and all(map(serves, one, other))


def _both(mine: Places, other: Places) -> Places:
    """The least places that serve *mine* and *other*."""
    return _lowered(mine | other, lambda places: serves(places, mine) and serves(places, other))


def _missing(layers: list[Places], want: Places) -> Places:
    """What has to be added for *layers* to serve *want*, too."""
    total: Places = sum(layers, Counter())
    return _lowered(want, lambda added: serves(total + added, want))


def _lowered(places: Places, enough: Callable[[Places], bool]) -> Places:
    """*places* without those that can be left out, the ones that the most groups can fill first."""
    kept = Counter(places)
    for group in sorted(places, key=lambda group: (-group.count("|"), group)):
        while kept[group] and enough(kept - Counter({group: 1})):
            kept[group] -= 1
    return +kept


def _layers(requirement: Requirement) -> list[Places]:
    layers = []
    for layer in requirement.layers:
        places: Places = Counter()
        for stage in layer:
            places[stage.group] += stage.need
        layers.append(places)
    return layers


def _requirement(layers: list[Places]) -> Requirement:
    """The requirement, unless it asks for more than its own text could say."""
    stages = [
        Stage(need, group, order)
        for order, places in enumerate(layers)
        for group, need in sorted(places.items())
    ]
    if len(stages) > MAX_STAGES or any(stage.need > MAX_NEED for stage in stages):
        raise TooManyPeople(
            f"the rules together ask for more than {MAX_STAGES} stages or {MAX_NEED} people of a group",
            str(Requirement(tuple(stages))),
            0,
        )
    return Requirement(tuple(stages))
