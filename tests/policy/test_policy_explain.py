"""An explanation names the rule, the bytes it matched, and what would have let the action run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from policy_building import FACTS, FETCH, LOOK, OWN, PUSH, facts, policy, reading, readings, rule_lists, step

from keyturn.actions import FileEdit, HttpRequest, Shell, ToolCall
from keyturn.policy import context, explain
from keyturn.policy.explain import _Judge

RULES = """
@id("tests") @because("the project's own tests")
permit(principal, action == Action::"shell", resource)
when { ["pytest", "make"].contains(context.program) && ["reads:workspace", "executes:code"].containsAll(context.effects) }
unless { context.labels.contains("secret") || context.options.contains("--pdb") };

@id("look") @because("looking")
permit(principal == Agent::"coder", action, resource)
when { context.program == "ls" && ["reads:workspace"].containsAll(context.effects) && !context.paths.contains("/x") };

@id("wait") @because("hold it") @hold
permit(principal, action, resource) when { context.subcommand == "slow" };
"""


def why(content, proposed, known=FACTS, rules=RULES):
    return explain(policy(rules), content, proposed, known)


def test_the_deciding_rule_is_shown_with_its_place_and_the_bytes_it_matched():
    script = "cd é && ls slow"
    start = script.encode().index(b"ls")
    one = replace(step("ls", "reads:workspace", subcommand="slow"), span=(start, len(script.encode())))
    told = why(Shell(script), reading(one))
    (rule,) = told.rules
    assert (rule.rule, rule.file, rule.line, rule.step) == ("wait", "rules/main.cedar", 12, 0)
    assert rule.matched == "ls slow"
    assert rule.text.startswith('@id("wait")')
    assert told.decision.verdict == "hold"


@pytest.mark.parametrize(
    ("one", "rule", "words"),
    [
        (
            step("pytest", "reads:workspace", "connects:network"),
            "tests",
            "effects also has 'connects:network'",
        ),
        (step("pytest", "reads:workspace:secret"), "tests", "labels has 'secret'"),
        (step("cargo", "executes:code"), "tests", "program is 'cargo', not 'pytest' or 'make'"),
        (step("ls", "reads:home"), "look", "effects also has 'reads:home', which it does not list"),
        (replace(step("make"), options=("--pdb",)), "tests", "options has '--pdb'"),
    ],
)
def test_the_nearest_rule_says_what_differs(one, rule, words):
    told = why(Shell("x"), reading(one))
    assert told.nearest is not None
    assert told.nearest.rule == rule
    assert words in told.nearest.words
    assert len(told.nearest.differences) == 1


def test_another_agent_is_told_that_the_rule_is_not_for_it():
    told = why(Shell("ls"), reading(LOOK), replace(FACTS, agent="other"))
    assert told.nearest is not None
    assert 'Agent::"coder"' in told.nearest.differences[0].condition


def test_a_rule_that_matches_but_is_overruled_says_by_what():
    told = why(Shell("ls slow"), reading(step("ls", "reads:workspace", subcommand="slow")))
    assert told.nearest is not None
    assert told.nearest.differences == ()
    assert "wait holds it" in told.nearest.words
    incomplete = why(Shell("ls"), reading(LOOK, complete=False))
    assert incomplete.nearest is not None
    assert "not understood completely" in incomplete.nearest.words


def test_what_runs_needs_no_nearest_rule():
    assert why(Shell("ls"), reading(LOOK)).nearest is None


@settings(deadline=None, max_examples=40)
@given(rule_lists(), readings(), facts)
def test_a_rule_matches_exactly_when_none_of_its_conditions_fails(rules, proposed, known):
    """Judged one by one, the conditions agree with Cedar's judgement of the rule as a whole."""
    tried = policy("\n".join(rules))
    for number, one in enumerate(proposed.steps):
        values = (
            context.facts_part(known)
            | {"whole": context.whole(proposed.steps)}
            | context.step_part("shell", one, proposed)
        )
        judge = _Judge(
            context.request("shell", values, known),
            context.entities(known.agent, known.client, known.definition_known),
            values,
        )
        matched = {rule.id for rule in tried.answers("shell", proposed, known)[number].matched}
        for rule in tried.rules:
            if rule.verdict != "run" or (not matched and rule.verdict == "run"):
                continue
            if tried.answers("shell", proposed, known)[number].verdict != "refuse":
                assert (rule.id in matched) == (not judge.failing(rule))


@settings(deadline=None, max_examples=40)
@given(rule_lists(), readings(), facts, st.sampled_from(("", "ls é", "\ud800")))
def test_explaining_never_fails(rules, proposed, known, script):
    told = explain(policy("\n".join(rules)), Shell(script), proposed, known)
    assert (told.nearest is None) or told.decision.would != "run"


def test_other_kinds_show_what_was_proposed():
    rules = '@id("f") @because("no") forbid(principal, action, resource);'
    for content, shown, kind in (
        (FileEdit("/w/a", "write"), "write /w/a", "file"),
        (ToolCall("create", {}, "github"), "github/create", "tool"),
        (HttpRequest("https://a.example/x", "POST"), "POST https://a.example/x", "http"),
    ):
        told = why(content, reading(FETCH, kind=kind), rules=rules)
        assert told.rules[0].matched == shown


def test_refused_and_held_steps_are_told_apart():
    told = explain(policy(), Shell("x"), reading(LOOK, PUSH, OWN), FACTS)
    assert told.decision.verdict == "refuse"
    assert told.nearest is not None
    assert told.nearest.step == 2
