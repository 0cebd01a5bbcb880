"""Remembered and sliced decisions are exactly those evaluated afresh over all rules."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from policy_building import FACTS, LOOK, PUSH, facts, policy, reading, readings, rule_lists

from keyturn.actions import Effect
from keyturn.policy import memory
from keyturn.policy.memory import Memory
from keyturn.policy.slices import Slice


@settings(deadline=None, max_examples=25)
@given(rule_lists(), st.lists(st.tuples(readings(), facts), min_size=2, max_size=8))
def test_a_remembered_decision_is_the_one_evaluated_afresh(rules, asked):
    tried = policy("\n".join(rules))
    for proposed, known in [*asked, *asked]:
        for kind in ("shell", "file", "http"):
            assert tried.decide(kind, proposed, known) == tried.decide_afresh(kind, proposed, known)


def test_everything_that_evaluation_sees_is_in_the_key():
    """Change each part by itself: a memory that ignores one would answer for the other."""
    tried = policy(
        """
        @id("a") @because("b")
        permit(principal == Agent::"coder", action == Action::"shell", resource == Target::"local")
        when { context.program == "ls" && context.words == "ls" && context.subcommand == "" && context.options.isEmpty()
          && context.effects == ["reads:workspace"] && context.paths == ["/workspace/file0"] && context.labels.isEmpty()
          && context.human == "dana" && context.groups.isEmpty() && context.missing.isEmpty()
          && context.assurance == "cooperative" && principal.client == "claude-code" && !principal.definition_known };
        """
    )
    assert tried.decide("shell", reading(LOOK), FACTS).verdict == "run"
    effect = LOOK.effects[0]
    others = [
        replace(LOOK, program="cat"),
        replace(LOOK, argv=("ls", "-l")),
        replace(LOOK, subcommand="x"),
        replace(LOOK, options=("-l",)),
        replace(LOOK, complete=False),
        replace(LOOK, effects=()),
        replace(LOOK, effects=(replace(effect, what="/etc/x"),)),
        replace(LOOK, effects=(replace(effect, zone="home"),)),
        replace(LOOK, effects=(replace(effect, verb="writes"),)),
        replace(LOOK, effects=(replace(effect, labels=("secret",)),)),
    ]
    for other in others:
        assert tried.decide("shell", reading(other), FACTS).verdict == "hold", other
    for changed in (
        {"agent": "x"}, {"client": "x"}, {"human": None}, {"human_groups": ("g",)}, {"missing": ("human",)},
        {"assurance": "advisory"}, {"target": "x"}, {"definition_known": True},
    ):  # fmt: skip
        assert tried.decide("shell", reading(LOOK), replace(FACTS, **changed)).verdict == "hold", changed
    assert tried.decide("shell", reading(LOOK, complete=False), FACTS).verdict == "hold"
    assert tried.decide("file", reading(LOOK), FACTS).verdict == "hold"
    assert tried.decide("shell", reading(LOOK), FACTS).verdict == "run"


def test_where_a_step_stands_is_in_the_decision():
    tried = policy()
    one = tried.decide("shell", reading(replace(LOOK, span=(0, 2))), FACTS)
    two = tried.decide("shell", reading(replace(LOOK, span=(5, 7))), FACTS)
    assert (one.rules[0].matched, two.rules[0].matched) == ((0, 2), (5, 7))


def test_the_memory_stays_bounded(monkeypatch):
    monkeypatch.setattr(memory, "SIZE", 10)
    kept = Memory()
    decision = policy().decide("shell", reading(LOOK), FACTS)
    for number in range(100):
        kept.put(("shell", True, (replace(LOOK, argv=(str(number),)),), (), FACTS), decision)
    assert len(kept._kept) <= 20
    assert kept.get(("shell", True, (replace(LOOK, argv=("99",)),), (), FACTS)) is decision
    kept.put(("shell", True, (replace(LOOK, argv=("x" * 20_000,)),), (), FACTS), decision)
    assert kept.get(("shell", True, (replace(LOOK, argv=("x" * 20_000,)),), (), FACTS)) is None


def test_effects_in_lists_that_can_t_be_hashed_are_decided_all_the_same():
    odd = replace(LOOK, effects=(Effect("reads", "/x", "workspace", ["secret"]),))  # type: ignore[arg-type]
    assert policy().decide("shell", reading(odd), FACTS).verdict == "run"


@settings(deadline=None, max_examples=30)
@given(rule_lists(), readings(), facts)
def test_leaving_out_rules_of_other_programs_changes_nothing(rules, proposed, known):
    tried = policy("\n".join(rules))
    everything = Slice([rule for rule in tried.rules if "shell" in rule.kinds])
    sliced = tried.decide_afresh("shell", proposed, known)
    tried._slices.of = lambda kind, program: everything  # type: ignore[method-assign]
    assert tried.decide_afresh("shell", proposed, known) == sliced


def test_rules_of_other_programs_are_left_out():
    rules = "\n".join(
        f'@id("p{n}") @because("one program") permit(principal, action, resource) when {{ context.program == "p{n}" }};'
        for n in range(300)
    )
    tried = policy(rules)
    assert [rule.id for rule in tried._slices.of("shell", "p7").rules] == ["p7"]
    assert tried._slices.of("shell", "x").rules == ()
    assert tried._slices.of("shell", "x") is tried._slices.of("file", "y")
    assert len(tried.rules) == 300


def test_pushing_and_looking_are_remembered_apart():
    tried = policy()
    assert [tried.decide("shell", reading(s), FACTS).verdict for s in (LOOK, PUSH, LOOK, PUSH)] == [
        "run", "hold", "run", "hold",
    ]  # fmt: skip
