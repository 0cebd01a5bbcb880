"""Random requirements, and people who arrive to satisfy them."""

from __future__ import annotations

from hypothesis import strategies as st

from keyturn.requirement import Requirement, Stage, any_of, place

GROUPS = ("dba", "security", "web")


@st.composite
def requirements(draw: st.DrawFn, max_need: int = 2, max_stages: int = 3) -> Requirement:
    """Requirements of a few stages, together or in order, some out of any of several groups."""
    stages: list[Stage] = []
    order = 0
    for number in range(draw(st.integers(1, max_stages))):
        order += 1 if number and draw(st.booleans()) else 0
        group = any_of(draw(st.sets(st.sampled_from(GROUPS), min_size=1, max_size=3)))
        if not any(s.group == group and s.order == order for s in stages):
            stages.append(Stage(draw(st.integers(1, max_need)), group, order))
    orders = {was: now for now, was in enumerate(sorted({s.order for s in stages}))}
    return Requirement(tuple(Stage(s.need, s.group, orders[s.order]) for s in stages))


arrivals = st.lists(
    st.sets(st.sampled_from(GROUPS), min_size=1).map(lambda groups: tuple(sorted(groups))), max_size=14
)
"""The groups of each person, in the order in which they come."""


def met(requirement: Requirement, people: list[tuple[str, ...]]) -> bool:
    """Whether *people*, arriving in this order, meet it: layer after layer, each once."""
    at = 0
    for layer in requirement.layers:
        needs = [stage.need for stage in layer]
        here: list[set[int]] = []
        while sum(x is not None for x in place(here, needs)) < sum(needs):
            if at == len(people):
                return False
            here.append({i for i, stage in enumerate(layer) if {*stage.groups} & {*people[at]}})
            at += 1
    return True
