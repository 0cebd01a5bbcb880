"""The policy room reads requirements for itself, since neither room may import the other. Both must read the same."""

from __future__ import annotations

import pytest
from approvals_histories import GROUPS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyturn.approvals import parse_requirement, strictest
from keyturn.approvals.errors import InvalidRequirement
from keyturn.policy import obligations

joints = st.sampled_from([", ", ",", " then ", ", then ", " , ", "  then\t", ",then "])
noise = st.sampled_from(
    [
        "1 of dba",
        "2 of security",
        "99 of a.b-c_d",
        "0 of a",
        "1 of then",
        "1 of of",
        "01 of a",
        "1 off a",
        "",
        "x",
    ]
)
noisy = st.lists(noise | joints, max_size=7).map("".join)


@settings(max_examples=500)
@given(noisy | st.text(alphabet="12 of,then dba\t\n\u00a0", max_size=24))
@example("1 of a,then 1 of b")
@example("\u00a01 of a")
@example("1 of a then\n1 of b")
def test_what_policy_accepts_a_request_can_read_and_reads_alike(text: str) -> None:
    """Else a rule could be published whose holds nobody could ever open."""
    try:
        by_policy = obligations.layers(text)
    except ValueError:
        return
    here = parse_requirement(text)
    assert [{s.group: s.need for s in layer} for layer in here.layers] == list(by_policy)


def test_the_comparison_is_not_empty() -> None:
    """Negative control: among the texts above there are those that both accept, and those that both refuse."""
    assert obligations.layers("2 of dba , then 1 of security")
    with pytest.raises(ValueError):
        obligations.layers("1 off a")
    with pytest.raises(InvalidRequirement):
        parse_requirement("1 off a")


stages = st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 3), min_size=1)
texts = st.lists(stages, min_size=1, max_size=3).map(lambda layers: obligations.text_of(tuple(layers)))


@settings(max_examples=300)
@given(st.lists(texts, min_size=1, max_size=4))
def test_both_rooms_merge_to_the_same_people(many: list[str]) -> None:
    merged = parse_requirement(obligations.merge_requirements(many))
    expected = strictest(map(parse_requirement, many))
    assert [sorted(map(str, layer)) for layer in merged.layers] == [
        sorted(map(str, layer)) for layer in expected.layers
    ]
