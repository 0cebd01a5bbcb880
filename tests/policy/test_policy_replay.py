"""What another version would have decided over the recorded past."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from policy_building import BASE, FACTS, FETCH, LOOK, OWN, PUSH, facts, policy, reading, readings

from keyturn.policy import diff

CASES = [("shell", reading(one), FACTS) for one in (LOOK, PUSH, OWN, FETCH)]


def test_changed_verdicts_are_listed_with_their_direction():
    looser = BASE.replace('@hold @approve("1 of security") @reason("required")\n', "")
    found = list(diff(policy(BASE), policy(looser), CASES))
    assert [
        (change.index, change.before.verdict, change.after.verdict, change.looser) for change in found
    ] == [
        (1, "hold", "hold", False),  # fewer people
        (3, "hold", "run", True),
    ]
    back = list(diff(policy(looser), policy(BASE), CASES))
    assert [(change.index, change.looser) for change in back] == [(1, False), (3, False)]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.just("shell"), readings(), facts), max_size=6))
def test_a_policy_differs_from_itself_nowhere(cases):
    assert list(diff(policy(), policy(), cases)) == []
