"""Proofs: proven only what holds, a counterexample that the engine confirms, and a refusal for what can't be said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.actions import Effect, Reading, Step
from keyturn.policy import Policy, context
from keyturn.policy.decision import Facts
from keyturn.policy.proving import NotExpressible, PropertyMalformed, prove

z3 = pytest.importorskip("z3", reason="z3-solver (the extra keyturn[proofs]) is not installed")

from keyturn.policy.proving.encode import Encoder, labels_in  # noqa: E402
from keyturn.policy.proving.world import OTHER, World  # noqa: E402

SETTINGS = b'name = "small"\nmode = "enforce"\n'


def policy(*rules: str) -> Policy:
    return Policy.parse({"policy.toml": SETTINGS, "rules/a.cedar": "\n".join(rules).encode()})


def rule(name: str, when: str, *, effect: str = "permit", notes: str = "", kind: str = "shell") -> str:
    head = f'@id("{name}")\n@because("a test")\n{notes}'
    return f'{head}{effect}(principal, action == Action::"{kind}", resource) when {{ {when} }};'


GIT = rule(
    "git", 'context.program == "git" && ["reads:workspace", "writes:workspace"].containsAll(context.effects)'
)
NO_PRODUCTION = rule("no-production", 'context.labelled.contains("writes:production")', effect="forbid")
ANY_WRITE = rule("any-write", 'context.effects.contains("writes:workspace")')


def test_what_holds_is_proven_and_what_does_not_is_shown() -> None:
    safe, loose = policy(GIT, NO_PRODUCTION, ANY_WRITE), policy(GIT, ANY_WRITE)
    text = 'never run when labels has "production" and verbs has "writes" and not (labelled has "reads:production")'
    assert prove(safe, 'never run when labelled has "writes:production"').proven
    found = prove(loose, text)
    assert not found.proven
    assert found.counterexample is not None
    assert found.counterexample.decision.would == "run"
    assert "production" in {
        label for effect in found.counterexample.reading.effects for label in effect.labels
    }


def test_what_is_not_understood_never_runs() -> None:
    assert prove(policy(rule("all", "true")), "never run when not context.complete").proven
    assert not prove(policy(rule("all", "true")), "never run when context.complete").proven


def test_nobody_is_asked_too_few_people() -> None:
    two = rule("two", 'context.verbs.contains("deletes")', notes='@hold\n@approve("2 of reviewers")\n')
    two = two.replace('action == Action::"shell"', "action")
    text = 'every hold asks at least 2 people when verbs has "deletes" and context.complete'
    assert prove(policy(two), text).proven
    found = prove(policy(two.replace("2 of", "1 of")), text)
    assert found.counterexample is not None
    assert found.counterexample.decision.obligations.approve == "1 of reviewers"


def test_an_exception_takes_its_hold_away_only_until_it_ends() -> None:
    hold = rule("deleting", 'context.verbs.contains("deletes")', notes="@hold\n")
    lift = rule("build", 'context.program == "rm"', notes='@lifts("deleting")\n@until("2030-01-01")\n')
    found = prove(policy(hold, lift), 'never run when verbs has "deletes"')
    assert found.counterexample is not None
    assert found.counterexample.reading.steps[0].program == "rm"
    assert found.counterexample.at < 1_893_542_400_000
    assert prove(policy(hold, lift), 'never run when verbs has "deletes" and context.program == "dd"').proven


def test_rules_are_compared_with_rules() -> None:
    narrow = rule("narrow", 'context.program == "git" && context.words like "git status*"')
    wide = rule("wide", '["git", "ls"].contains(context.program)')
    both = policy(narrow, wide)
    assert prove(both, "rule narrow implies rule wide").proven
    assert not prove(both, "rule wide implies rule narrow").proven
    shadow = rule("shadow", 'context.program == "git"', effect="forbid")
    assert prove(policy(narrow, shadow), "rule narrow is shadowed").proven
    assert not prove(policy(narrow, shadow), "rule shadow is shadowed").proven


def test_a_version_that_lets_more_run_is_found() -> None:
    old, new = policy(GIT), policy(GIT, rule("ls", 'context.program == "ls"'))
    assert prove(old, "no new run since x", new).proven
    found = prove(new, "no new run since x", old)
    assert found.counterexample is not None
    assert found.counterexample.before is not None
    assert (found.counterexample.decision.would, found.counterexample.before.would) == ("run", "hold")


def test_a_combination_with_another_step_is_looked_at() -> None:
    no_leak = rule(
        "no-leak", 'context.whole.effects.contains("reads:home") && context.whole.effects.contains("connects:network")', effect="forbid"
    )  # fmt: skip
    all_ = rule("all", "true")
    assert prove(policy(all_, no_leak), f"never run when {LEAK}").proven
    assert not prove(policy(all_), f"never run when {LEAK}").proven


LEAK = 'context.whole.effects.contains("reads:home") && context.whole.effects.contains("connects:network")'


def test_a_path_that_only_a_list_names_is_not_taken_for_any_other() -> None:
    only = rule("only", '["/etc/passwd"].containsAll(context.paths) && context.sweeping.isEmpty()')
    assert prove(policy(only), 'never run when paths has "/etc/shadow"').proven
    found = prove(policy(only), 'never run when paths has "/etc/passwd"')
    assert found.counterexample is not None
    found = prove(policy(only), "never run when !context.paths.isEmpty()")
    assert found.counterexample is not None, "a step with that very path runs"


def test_what_has_no_exact_form_is_refused_by_name() -> None:
    odd = policy(rule("odd", "context.options.contains(context.program)"))
    with pytest.raises(NotExpressible, match="The rule odd"):
        prove(odd, "never run")
    with pytest.raises(NotExpressible, match="ASCII"):
        prove(policy(rule("all", 'context.words like "ü*"')), "never run")
    for wrong in (
        "sometimes run",
        "never run when context.nothing",
        "rule a implies rule b",
        "never run when",
    ):
        with pytest.raises(PropertyMalformed):
            prove(policy(GIT), wrong)


# --- the solver's rules and Cedar's say the same --------------------------------------------------------------------

TEXTS = ("git", "ls", "rm", "-r", "status", "/etc/passwd", "main")
VERBS, ZONES, LABELS = (
    ("reads", "writes", "connects"),
    ("workspace", "home", "network"),
    ("secret", "production"),
)
ATOMS = st.one_of(
    st.sampled_from(TEXTS).map(lambda t: f'context.program == "{t}"'),
    st.sampled_from(TEXTS).map(lambda t: f'context.argv.contains("{t}")'),
    st.sampled_from(("git*", "*-r*", "* main", "rm -r*s")).map(lambda t: f'context.words like "{t}"'),
    st.tuples(st.sampled_from(VERBS), st.sampled_from(ZONES)).map(lambda p: f'context.effects.contains("{p[0]}:{p[1]}")'),
    st.tuples(st.sampled_from(VERBS), st.sampled_from(LABELS)).map(lambda p: f'context.labelled.contains("{p[0]}:{p[1]}")'),
    st.lists(st.sampled_from(VERBS), min_size=1, unique=True).map(lambda v: f"{list(v)}.containsAll(context.verbs)".replace("'", '"')),
    st.lists(st.sampled_from(ZONES), min_size=1, unique=True).map(lambda v: f"context.zones.containsAny({list(v)})".replace("'", '"')),
    st.sampled_from(LABELS).map(lambda t: f'context.labels.contains("{t}")'),
    st.sampled_from(("context.labels.isEmpty()", "context.options.isEmpty()", "context.complete", "context.human_known")),
    st.sampled_from(('context.paths.contains("/etc/passwd")', '["/etc/passwd"].containsAll(context.paths)')),
    st.sampled_from(('context.sweeping.contains("writes")', 'context.hosts.contains("a.example")', "context.whole.steps < 2")),
    st.sampled_from(('context.groups.contains("dba")', 'principal.name == "bot"', 'resource == Target::"db"')),
)  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]} && {p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} || {p[1]})"),
        inner.map(lambda c: f"!({c})"),
        st.tuples(inner, inner, inner).map(lambda p: f"(if {p[0]} then {p[1]} else {p[2]})"),
    ),
    max_leaves=5,
)
EFFECTS = st.builds(
    Effect,
    verb=st.sampled_from(VERBS),
    what=st.sampled_from(("/etc/passwd", "/project/x", "/usr", "x", "a.example")),
    zone=st.sampled_from(ZONES),
    labels=st.lists(st.sampled_from((*LABELS, "unnamed")), unique=True, max_size=2).map(
        lambda v: tuple(sorted(v))
    ),
)
STEPS = st.builds(
    Step,
    program=st.sampled_from((*TEXTS, "other")),
    argv=st.lists(st.sampled_from((*TEXTS, "more")), max_size=3).map(tuple),
    options=st.lists(st.sampled_from(("-r", "--force")), max_size=2).map(tuple),
    effects=st.lists(EFFECTS, max_size=3).map(tuple),
    complete=st.booleans(),
)
FACTS = st.builds(
    Facts,
    agent=st.sampled_from(("bot", "other")),
    human=st.sampled_from((None, "ada")),
    human_groups=st.sampled_from(((), ("dba",), ("dba", "ops"))),
    target=st.sampled_from(("db", "local")),
)


def pinned(world: World, step: Step, reading: Reading, facts: Facts) -> list[Any]:
    """The world is this very step."""
    part = context.step_part("shell", step, reading) | context.facts_part(facts)
    whole = context.whole(reading.steps)
    pins = [
        world.text[name] == part[name]
        for name in ("program", "subcommand", "words", "human", "target", "assurance", "definition")
    ]
    pins += [world.text["agent"] == facts.agent, world.text["client"] == facts.client]
    pins += [
        world.complete == part["complete"],
        world.human_known == part["human_known"],
        world.steps == whole["steps"],
        world.at == 0,
    ]
    for doing, known in ((world.step, part), (world.whole, whole)):
        pins += [made == (f"{verb}:{zone}" in known["effects"]) for (verb, zone), made in doing.pair.items()]
        for (verb, label), made in doing.mark.items():
            own = {one.partition(":")[2] for one in known["labelled"] if one.startswith(f"{verb}:")}
            pins.append(made == (bool(own - set(doing.labels)) if label == OTHER else label in own))
    named = {
        **{name: world.sets[name] for name in ("argv", "options", "groups")},
        "paths": world.paths,
        "hosts": world.hosts,
    }
    named["sweeping"] = world.sweeping
    for name, found in named.items():
        pins.append(
            found.has(OTHER) == bool(set(part[name]) - found.members.keys()) if name != "sweeping" else True
        )
        pins += [made == (text in part[name]) for text, made in list(found.members.items()) if text != OTHER]
    return pins


@settings(max_examples=25)
@given(CONDITIONS, st.lists(STEPS, min_size=1, max_size=2), FACTS)
def test_the_formula_of_a_rule_says_of_every_step_what_cedar_says(
    condition: str, steps: list[Step], facts: Facts
) -> None:
    small = policy(rule("one", condition))
    reading = Reading("shell", all(step.complete for step in steps), tuple(steps))
    world = World(z3, "shell", labels_in(list(small.rules), list(LABELS)))
    formula = Encoder(world).rule(small.rules[0])
    laws = world.laws() + (world.alone() if len(steps) == 1 else [])
    laws = world.laws() + (world.alone() if len(steps) == 1 else [])  # the first time named everything
    solver = z3.Solver()
    solver.add(*laws, *pinned(world, steps[0], reading, facts))
    assert solver.check() == z3.sat, "the laws exclude a step that there is"
    solver.add(formula)
    matched = bool(small.answers("shell", reading, facts)[0].matched)
    assert (solver.check() == z3.sat) == matched
