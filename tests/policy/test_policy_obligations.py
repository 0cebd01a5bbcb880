"""Merged requirements never ask less than any one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.policy.decision import Obligations
from keyturn.policy.obligations import TooManyPeople, layers, merge, merge_requirements, seconds, text_of

GROUPS = ("dba", "security", "leads")
layer = st.dictionaries(st.sampled_from(GROUPS), st.integers(1, 3), min_size=1, max_size=3)
requirement = st.lists(layer, min_size=1, max_size=3).map(lambda found: text_of(tuple(found)))


def satisfied(text: str, people: list[str]) -> bool:
    """Whether *people* (each one's group, in the order they approve, each filling one place) satisfy *text*."""
    waiting = list(people)
    for needs in layers(text):
        open_needs = dict(needs)
        while any(open_needs.values()):
            if not waiting:
                return False
            who = waiting.pop(0)
            if open_needs.get(who):
                open_needs[who] -= 1
    return True


def least(text: str) -> list[str]:
    """The people who just satisfy *text*, in order."""
    return [group for needs in layers(text) for group, need in sorted(needs.items()) for _ in range(need)]


@given(st.lists(requirement, min_size=1, max_size=4))
def test_whoever_satisfies_the_merged_requirement_satisfies_each(texts):
    merged = merge_requirements(texts)
    assert satisfied(merged, least(merged))
    for text in texts:
        assert satisfied(text, least(merged)), (text, merged)


def test_the_check_above_can_fail():
    assert not satisfied("2 of dba", least("1 of dba"))
    assert not satisfied("1 of dba then 1 of leads", ["leads", "dba"])


@given(st.lists(requirement, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_requirements_does_not_matter(texts, random):
    shuffled = list(texts)
    random.shuffle(shuffled)
    if len(set(texts)) > 1:
        assert merge_requirements(shuffled) == merge_requirements(texts)


@given(requirement)
def test_text_and_layers_are_inverse_and_merging_with_itself_changes_nothing(text):
    assert text_of(layers(text)) == text
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
     "1 of dba then", "1 of a, 2 of a", "1 of then", "١ of dba", "1 of dba;1 of x", "1 of " + "x" * 64],
)  # fmt: skip
def test_what_is_no_requirement_is_refused(text):
    with pytest.raises(ValueError):
        layers(text)


@given(requirement)
def test_approvals_reads_every_requirement_that_policy_accepts(text):
    parse = pytest.importorskip("keyturn.approvals.requirement").parse_requirement
    found = tuple({stage.group: stage.need for stage in one} for one in parse(text).layers)
    assert found == layers(text)


@pytest.mark.parametrize(("text", "value"), [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86_400)])
def test_times(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "1w", "9s", "31d", "1.5h", "٣m"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        seconds(text)
