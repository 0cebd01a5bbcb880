"""Promises 2 and 3: what is not understood does not run, and the strictest rule wins."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from policy_building import (
    BASE,
    FACTS,
    FETCH,
    LOOK,
    OWN,
    PUSH,
    STRANGE,
    facts,
    policy,
    reading,
    readings,
    rule,
    rule_lists,
    step,
)

from keyturn.actions import Reading
from keyturn.policy import Facts
from keyturn.policy.context import facts_part, step_part, whole

STRICTNESS = {"run": 0, "hold": 1, "refuse": 2}
EVERYTHING = '@id("all") @because("anything goes") permit(principal, action, resource);'


@pytest.mark.parametrize(
    ("steps", "verdict", "rules"),
    [
        ((LOOK,), "run", {"look"}),
        ((PUSH,), "hold", {"push", "network"}),
        ((STRANGE,), "hold", set()),
        ((OWN,), "refuse", {"own-files"}),
        ((LOOK, PUSH), "hold", {"push", "network"}),
        ((LOOK, STRANGE), "hold", set()),
        ((PUSH, OWN, LOOK), "refuse", {"own-files"}),
        ((), "hold", set()),
    ],
)
def test_the_strictest_answer_over_all_steps_is_the_action_s(steps, verdict, rules):
    decision = policy().decide("shell", reading(*steps), FACTS)
    assert decision.verdict == decision.would == verdict
    assert {hit.rule for hit in decision.rules} == rules
    assert decision.reasons


@settings(deadline=None, max_examples=60)
@given(rule_lists(), readings(), facts)
def test_nothing_incomplete_and_nothing_empty_ever_runs(rules, proposed, known):
    decision = policy("\n".join([EVERYTHING, *rules])).decide("shell", proposed, known)
    understood = proposed.complete and all(one.complete for one in proposed.steps) and proposed.steps
    if not understood:
        assert decision.verdict != "run"
        assert decision.reasons
    elif not any("forbid" in text or "@hold" in text for text in rules):
        assert decision.verdict == "run"  # negative control: the same policy does let things run


def test_the_reason_for_an_incomplete_action_names_the_bytes():
    decision = policy(EVERYTHING).decide("shell", reading(LOOK, complete=False), FACTS)
    assert decision.verdict == "hold"
    assert not decision.complete
    assert any("3–9" in reason and "a word nobody knows" in reason for reason in decision.reasons)


@settings(deadline=None, max_examples=40)
@given(rule_lists(), readings(), facts, st.randoms(use_true_random=False))
def test_the_order_of_rules_and_files_never_matters(rules, proposed, known, random):
    shuffled = list(rules)
    random.shuffle(shuffled)
    one = policy("\n".join(rules)).decide("shell", proposed, known)
    half = len(shuffled) // 2
    files = {"rules__0.cedar": "\n".join(shuffled[half:]).encode()}
    two = policy("\n".join(shuffled[:half]), **files).decide("shell", proposed, known)
    assert (one.verdict, one.obligations) == (two.verdict, two.obligations)
    assert {hit.rule for hit in one.rules} == {hit.rule for hit in two.rules}


@settings(deadline=None, max_examples=40)
@given(rule_lists(), readings(), facts, st.data())
def test_adding_a_forbid_or_a_hold_never_loosens(rules, proposed, known, data):
    added = data.draw(rule(99, ("refuse", "hold")))
    before = policy("\n".join(rules)).decide("shell", proposed, known)
    after = policy("\n".join([*rules, added])).decide("shell", proposed, known)
    silent = not before.rules  # a new hold may take the place of the default hold, never of a run
    assert STRICTNESS[after.verdict] >= STRICTNESS[before.verdict] or silent


@settings(deadline=None, max_examples=40)
@given(rule_lists(), readings(), facts)
def test_the_decision_is_what_the_matching_rules_say(rules, proposed, known):
    """Differential: every rule on its own, against the engine's answer over all of them."""
    decided = policy("\n".join(rules)).decide("shell", proposed, known)
    worst = "run" if proposed.steps and proposed.complete else "hold"
    for number, one in enumerate(proposed.steps):
        worst = max(worst, _alone(rules, proposed, number, known), key=STRICTNESS.__getitem__)
        if not one.complete:
            worst = max(worst, "hold", key=STRICTNESS.__getitem__)
    assert decided.verdict == worst


def _alone(rules, proposed, number, known):
    import cedarpy
    import msgspec

    values = (
        facts_part(known)
        | {"whole": whole(proposed.steps)}
        | step_part("shell", proposed.steps[number], proposed)
    )
    asked = {
        "principal": {"type": "Agent", "id": known.agent},
        "action": 'Action::"shell"',
        "resource": {"type": "Target", "id": known.target},
        "context": msgspec.json.encode(values).decode(),
    }
    verdicts = []
    for text in rules:
        matches = cedarpy.is_authorized(asked, text.replace("forbid(", "permit("), "[]").allowed
        if matches:
            verdicts.append("refuse" if "forbid(" in text else "hold" if "@hold" in text else "run")
    return max(verdicts, key=STRICTNESS.__getitem__, default="hold")


def test_observe_mode_lets_holds_run_and_says_what_would_have_been():
    watching = policy(mode="observe")
    held = watching.decide("shell", reading(PUSH), FACTS)
    assert (held.verdict, held.would, held.mode) == ("run", "hold", "observe")
    assert held.reasons[0].startswith("Observe mode")
    assert {hit.rule for hit in held.rules} == {"push", "network"}
    refused = watching.decide("shell", reading(OWN, PUSH), FACTS)
    assert (refused.verdict, refused.would) == ("refuse", "refuse")


@settings(deadline=None, max_examples=40)
@given(readings(), facts)
def test_observe_mode_never_changes_what_enforce_mode_would_have_said(proposed, known):
    observed = policy(mode="observe").decide("shell", proposed, known)
    enforced = policy().decide("shell", proposed, known)
    assert observed.would == enforced.verdict == enforced.would
    assert observed.verdict == ("refuse" if enforced.verdict == "refuse" else "run")


OVERFLOWS = """
@id("counts") @because("it counts")
forbid(principal, action, resource) when { context.whole.steps + 9223372036854775807 > 0 };
"""


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_a_rule_that_fails_to_evaluate_holds_in_every_mode(mode):
    """Cedar skips a rule that errors: a forbid that overflows would forbid nothing."""
    failing = policy(EVERYTHING + OVERFLOWS, mode=mode)
    decision = failing.decide("shell", reading(LOOK), FACTS)
    assert decision.verdict == "hold"
    assert any("overflow" in reason for reason in decision.reasons)
    assert policy(EVERYTHING).decide("shell", reading(LOOK), FACTS).verdict == "run"  # negative control


def test_text_that_is_no_unicode_holds():
    odd = replace(LOOK, argv=("ls", "\ud800"))
    assert policy(EVERYTHING).decide("shell", reading(odd), FACTS).verdict == "hold"
    assert policy(EVERYTHING).decide("shell", reading(LOOK), Facts(agent="\ud800")).verdict == "hold"


def test_an_unknown_kind_and_far_too_many_steps_hold():
    assert policy(EVERYTHING).decide("sql", reading(LOOK, kind="sql"), FACTS).verdict == "hold"
    many = reading(*[LOOK] * 2001)
    assert policy(EVERYTHING).decide("shell", many, FACTS).verdict == "hold"
    assert (
        policy(EVERYTHING).decide("shell", reading(*[LOOK] * 50), FACTS).verdict == "run"
    )  # negative control


def test_a_rule_about_another_kind_does_not_match():
    only_files = '@id("f") @because("files") permit(principal, action == Action::"file", resource);'
    assert policy(only_files).decide("shell", reading(LOOK), FACTS).verdict == "hold"
    assert (
        policy(only_files)
        .decide("file", reading(step("read", "reads:workspace"), kind="file"), FACTS)
        .verdict
        == "run"
    )


def test_rules_can_speak_of_people_agents_and_targets():
    rules = """
    @id("a") @because("known agents of people")
    permit(principal == Agent::"coder", action, resource == Target::"local")
    when { principal.client == "claude-code" && context.human_known && !context.missing.contains("human")
           && context.assurance == "cooperative" && principal.definition_known == false };
    """
    tried = policy(rules)
    assert tried.decide("shell", reading(LOOK), FACTS).verdict == "run"
    for other in (
        replace(FACTS, agent="other"),
        replace(FACTS, client="codex"),
        replace(FACTS, human=None),
        replace(FACTS, target="production"),
        replace(FACTS, assurance="advisory"),
        replace(FACTS, definition_known=True),
    ):
        assert tried.decide("shell", reading(LOOK), other).verdict == "hold"


def test_rules_can_speak_of_the_whole_action():
    rules = (
        EVERYTHING
        + """
    @id("outward") @because("a secret and a connection")
    forbid(principal, action, resource)
    when { context.whole.labelled.contains("reads:secret") && context.whole.effects.contains("connects:network") };
    """
    )
    secret = step("cat", "reads:home:secret")
    assert policy(rules).decide("shell", reading(secret, FETCH), FACTS).verdict == "refuse"
    assert policy(rules).decide("shell", reading(secret, LOOK), FACTS).verdict == "run"


def test_every_holding_rule_s_demands_are_merged():
    decision = policy().decide("shell", reading(PUSH), FACTS)
    assert decision.obligations.approve == "2 of dba then 1 of security"
    assert decision.obligations.within == 900
    assert decision.obligations.reason_required


def test_a_step_no_rule_speaks_of_asks_for_the_default_as_well():
    asked = policy(requirements_toml=b'[default]\napprove = "1 of leads"\nwithin = "5m"\n')
    decision = asked.decide("shell", reading(PUSH, STRANGE), FACTS)
    assert decision.obligations.approve == "2 of dba, 1 of leads then 1 of security"
    assert decision.obligations.within == 300


def test_more_people_than_a_request_can_hold_is_refused():
    rules = "\n".join(
        f'@id("h{n}") @because("hold {n}") @hold @approve("1 of g{n}a, 1 of g{n}b")'
        " permit(principal, action, resource);"
        for n in range(9)
    )
    assert policy(rules).decide("shell", reading(LOOK), FACTS).verdict == "refuse"
    few = "\n".join(rules.splitlines()[:8])
    assert policy(few).decide("shell", reading(LOOK), FACTS).verdict == "hold"  # negative control


def test_the_base_policy_is_read_as_written():
    tried = policy(BASE)
    assert [(rule.id, rule.verdict, rule.line) for rule in tried.rules] == [
        ("look", "run", 3),
        ("push", "hold", 7),
        ("network", "hold", 11),
        ("own-files", "refuse", 15),
    ]
    assert isinstance(tried.decide("shell", Reading("shell", True), FACTS).policy, str)
