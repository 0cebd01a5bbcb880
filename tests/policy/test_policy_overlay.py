"""A workspace's own rules, which an agent can write, only tighten (promise 3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_building import FACTS, LOOK, PUSH, STRANGE, facts, policy, reading, readings, rule, rule_lists

from keyturn.policy import PolicyInvalid, tighten
from keyturn.policy.obligations import merge_requirements
from keyturn.requirement import parse_requirement

FILE = ".keyturn/rules/ours.cedar"
STRICTNESS = {"run": 0, "hold": 1, "refuse": 2}


def overlay(text: str) -> dict[str, bytes]:
    return {FILE: text.encode()}


@settings(deadline=None, max_examples=60)
@given(rule_lists(), st.lists(rule(50, ("refuse", "hold")), min_size=1, max_size=1), readings(), facts)
def test_a_workspace_never_loosens(rules, added, proposed, known):
    base = policy("\n".join(rules))
    before = base.decide("shell", proposed, known)
    after = tighten(base, overlay("\n".join(added))).decide("shell", proposed, known)
    assert STRICTNESS[after.verdict] >= STRICTNESS[before.verdict]
    if before.verdict == after.verdict == "hold":
        both = merge_requirements([before.obligations.approve, after.obligations.approve])
        assert _sorted(both) == _sorted(after.obligations.approve)
        assert after.obligations.within <= before.obligations.within


def _sorted(text: str) -> list[list[str]]:
    return [sorted(map(str, layer)) for layer in parse_requirement(text).layers]


def test_a_workspace_can_t_take_the_place_of_the_default_requirement():
    """Without its care for silence, `1 of friends` would replace `2 of security`."""
    base = policy(requirements_toml=b'[default]\napprove = "2 of security"\nwithin = "5m"\n')
    text = '@id("mine") @because("ours") @hold @approve("1 of friends") @within("1h") permit(principal, action, resource);'
    decision = tighten(base, overlay(text)).decide("shell", reading(STRANGE), FACTS)
    assert decision.obligations.approve == "1 of friends, 2 of security"
    assert decision.obligations.within == 300
    own = policy(text, requirements_toml=b'[default]\napprove = "2 of security"\n')
    assert (
        own.decide("shell", reading(STRANGE), FACTS).obligations.approve == "1 of friends"
    )  # negative control


def test_a_workspace_can_hold_and_refuse_what_ran():
    base = policy()
    held = tighten(base, overlay('@id("h") @because("wait") @hold permit(principal, action, resource);'))
    refused = tighten(base, overlay('@id("f") @because("no") forbid(principal, action, resource);'))
    assert base.decide("shell", reading(LOOK), FACTS).verdict == "run"
    assert held.decide("shell", reading(LOOK), FACTS).verdict == "hold"
    assert refused.decide("shell", reading(LOOK), FACTS).verdict == "refuse"
    assert len({base.digest, held.digest, refused.digest}) == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (overlay('@id("r") @because("all") permit(principal, action, resource);'), "only tighten"),
        (overlay('@id("look") @because("same id") forbid(principal, action, resource);'), "used already"),
        (
            overlay('@id("r") @because("x") forbid(principal, action, resource) when { context.x };'),
            "no attribute",
        ),
        ({"rules/main.cedar": b""}, "lie in .keyturn/rules"),
        ({".keyturn/policy.toml": b'mode = "observe"'}, "lie in .keyturn/rules"),
        ({f".keyturn/rules/{n}.cedar": b"" for n in range(21)}, "at most 20 files"),
        ({FILE: b" " * 3_000_000}, "larger than"),
    ],
)
def test_what_would_loosen_or_can_t_be_read_is_an_error(files, message):
    with pytest.raises(PolicyInvalid) as caught:
        tighten(policy(), files)
    assert any(message in problem.message for problem in caught.value.problems)


def test_no_files_leave_the_policy_as_it_is():
    base = policy()
    assert tighten(base, {}) is base
    assert base.decide("shell", reading(PUSH), FACTS).verdict == "hold"
