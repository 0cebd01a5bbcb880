"""What holding rules ask of people: requirement text, deadlines, and how several requirements become one.

Requirement text is `N of GROUP`, joined by `,` (together, in any order) or `then` (after what stands before it):
`2 of dba, 1 of security then 1 of owners`. It is the grammar of `approvals.requirement`, checked here when a policy
is loaded, so that a rule can't ask for what nobody can read later.

Merging (several rules may hold one action) never asks less than any one of the requirements, because a person
fills one place only and every place of each requirement is still there, in its order:

- layer by layer (what stands between two `then`), the larger number for each group;
- a requirement of one layer only adds, to the first layer, the people not asked for anywhere else;
- the shortest deadline, the strongest assurance, and a reason if any rule wants one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from keyturn.identity.names import is_name
from keyturn.policy.decision import Obligations

MAX_PEOPLE = 99
MAX_STAGES = 16
MIN_WITHIN, MAX_WITHIN = 10, 30 * 86_400
"""Seconds: ten seconds to thirty days."""

ASSURANCES = ("click", "signed")
"""How an approver shows that it is them, weakest first."""

Layers = tuple[dict[str, int], ...]
"""In order; each maps group → how many distinct people."""

_STAGE = re.compile(r"([1-9][0-9]?)\s+of\s+(\S+)", re.ASCII)
_JOIN = re.compile(r"\s*,\s*then\s+|\s+then\s+|\s*,\s*", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class TooManyPeople(ValueError):
    """The merged requirement is larger than a request can hold."""


def layers(text: str) -> Layers:
    """Requirement *text* in layers. Raises `ValueError` with words for the author."""
    found: list[dict[str, int]] = [{}]
    at = 0
    text = text.strip()
    for joint in [*_JOIN.finditer(text), None]:
        _add_stage(found[-1], text[at : joint.start() if joint else len(text)])
        if joint:
            at = joint.end()
            if "then" in joint.group():
                found.append({})
    if sum(map(len, found)) > MAX_STAGES:
        raise ValueError(f"a requirement has at most {MAX_STAGES} stages")
    return tuple(found)


def text_of(needs: Layers) -> str:
    """The requirement text of *needs*; `layers(text_of(n)) == n`."""
    return " then ".join(", ".join(f"{need} of {group}" for group, need in layer.items()) for layer in needs)


def seconds(text: str) -> int:
    """`90s`, `15m`, `2h`, `1d` as seconds. Raises `ValueError` with words for the author."""
    match = re.fullmatch(r"([0-9]{1,7})([smhd])", text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not a time such as 90s, 15m, 2h or 1d')
    value = int(match[1]) * _UNITS[match[2]]
    if not MIN_WITHIN <= value <= MAX_WITHIN:
        raise ValueError("a deadline is between 10s and 30d")
    return value


def merge(asked: Sequence[Obligations]) -> Obligations:
    """One obligation that satisfies every one of *asked* (at least one). Raises `TooManyPeople`."""
    return Obligations(
        approve=merge_requirements(one.approve for one in asked),
        within=min(one.within for one in asked),
        reason_required=any(one.reason_required for one in asked),
        assurance=max((one.assurance for one in asked), key=_strength),
    )


def merge_requirements(texts: Iterable[str]) -> str:
    """Requirement texts merged as the module says. The order of the texts does not matter. Raises `TooManyPeople`."""
    needs = sorted(map(layers, set(texts)), key=lambda n: (-len(n), text_of(n)))
    if len(needs) == 1:
        return text_of(needs[0])
    long = [n for n in needs if len(n) > 1]
    short = [n[0] for n in needs if len(n) == 1]
    depth = max([len(n) for n in long], default=1)
    merged: list[dict[str, int]] = [{} for _ in range(depth)]
    for one in long:
        for layer, wanted in zip(merged, one, strict=False):
            _raise_to(layer, wanted)
    elsewhere = {
        group: sum(layer.get(group, 0) for layer in merged[1:]) for layer in merged[1:] for group in layer
    }
    for wanted in short:
        _raise_to(merged[0], {group: need - elsewhere.get(group, 0) for group, need in wanted.items()})
    if sum(map(len, merged)) > MAX_STAGES:
        raise TooManyPeople(f"the rules together ask for more than {MAX_STAGES} stages")
    return text_of(tuple(dict(sorted(layer.items())) for layer in merged))


def _raise_to(layer: dict[str, int], wanted: dict[str, int]) -> None:
    for group, need in wanted.items():
        if need > layer.get(group, 0):
            layer[group] = need


def _add_stage(layer: dict[str, int], text: str) -> None:
    match = _STAGE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not `N of GROUP`, as in "2 of dba then 1 of security"')
    need, group = int(match[1]), match[2]
    if group in ("of", "then") or not is_name(group):
        raise ValueError(f"\"{group}\" can't be a group's name")
    if group in layer:
        raise ValueError(f"{group} is named twice in one step")
    layer[group] = need


def _strength(assurance: str) -> int:
    return ASSURANCES.index(assurance) if assurance in ASSURANCES else len(ASSURANCES)
