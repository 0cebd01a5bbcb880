"""Merged requirements never ask less than any one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.policy.decision import Obligations
from keyturn.policy.obligations import (
    TooManyPeople,
    merge,
    merge_requirements,
    requirement_text,
    seconds,
)
from keyturn.requirement import parse_requirement, strictest

GROUPS = ("dba", "security", "leads")
layer = st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 3), min_size=1, max_size=3)
requirement = st.lists(layer, min_size=1, max_size=3).map(
    lambda layers: " then ".join(
        ", ".join(f"{need} of {group}" for group, need in one.items()) for one in layers
    )
)


@given(st.lists(requirement, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_requirements_does_not_matter(texts, random):
    shuffled = list(texts)
    random.shuffle(shuffled)
    assert merge_requirements(shuffled) == merge_requirements(texts)
    assert parse_requirement(merge_requirements(texts)) == strictest(map(parse_requirement, texts))


@given(requirement)
def test_a_requirement_s_text_is_kept_and_merging_it_with_itself_changes_nothing(text):
    assert requirement_text(text) == text
    assert merge_requirements([text, text]) == text


@pytest.mark.parametrize(
    ("texts", "merged"),
    [
        (["1 of dba", "2 of dba"], "2 of dba"),
        (["1 of dba", "1 of security"], "1 of dba, 1 of security"),
        (["2 of dba, then 1 of security", "1 of security"], "2 of dba then 1 of security"),
        (["2 of dba then 1 of security", "2 of security"], "2 of dba, 1 of security then 1 of security"),
        (["1 of a then 1 of b", "1 of b then 1 of a"], "1 of a, 1 of b then 1 of a, 1 of b"),
    ],
)
def test_examples(texts, merged):
    assert merge_requirements(texts) == merged


def test_a_merge_beyond_what_a_request_holds_is_said():
    with pytest.raises(TooManyPeople):
        merge_requirements([f"1 of g{n}" for n in range(17)])


def test_times_reasons_and_assurance_take_the_strictest():
    merged = merge(
        [Obligations("1 of a", 900, False, "signed"), Obligations("1 of a", 1800, True, "click")],
    )
    assert merged == Obligations("1 of a", 900, True, "signed")


@pytest.mark.parametrize(
    "text",
    ["", "dba", "0 of dba", "100 of dba", "1 of Dba", "1 of dba and 1 of x", "1 of dba,", "then 1 of x",
     "1 of dba then", "1 of a, 2 of a", "1 of then", "١ of dba", "1 of dba;1 of x", "1 of " + "x" * 64, "1 of admins"],
)  # fmt: skip
def test_what_is_no_requirement_is_refused(text):
    with pytest.raises(ValueError):
        requirement_text(text)


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400)])
def test_times(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "1w", "9s", "31d", "1.5h", "٣m"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        seconds(text)
