"""Written policy and rules: a clause that nothing enforces is found, and a rule can't leave its clause behind unseen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift.clauses import covered, unenforced
from keyturn.drift.practice import practice
from keyturn.policy import Policy, PolicyInvalid, run_tests
from keyturn.policy.clauses import Clause
from keyturn.policy.folder import STARTER, read_folder

FILES = {
    "policy.toml": b'name = "small"\nmode = "enforce"\n',
    "requirements.toml": b"[freeze.holidays]\nfrom = 2026-12-23T18:00:00Z\nuntil = 2027-01-02T06:00:00Z\n",
    "drift.toml": b'[limit.queries]\ncounts = "reads"\nwindow = "1h"\nmost = 10\n'
    b'[order.ticket]\nbefore = "tool:jira/create"\nafter = "deletes"\n',
    "rules/a.cedar": b"""
@id("deleting") @because("a test") @hold
permit(principal, action, resource) when { context.verbs.contains("deletes") };
@id("look") @because("a test")
permit(principal, action, resource) when { context.program == "ls" };
@id("wipe") @because("a test")
forbid(principal, action, resource) when { context.sweeping.contains("deletes") };
""",
    "tests/a.toml": b'[[must_run]]\nname = "looks"\ncommand = "ls"\n',
}
RULES = Policy.parse(FILES).rules


def parsed(text: str) -> Policy:
    return Policy.parse({**FILES, "clauses.toml": text.encode()})


def clause(*by: str) -> str:
    names = ", ".join(f'"{name}"' for name in by)
    return f'[clause.one]\ntext = "Nothing is deleted unseen."\nsource = "4.2"\nby = [{names}]\n'


def problems(text: str) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        parsed(text)
    return str(caught.value)


def found(policy: Policy) -> list[str]:
    tried = {hit.rule for one in run_tests(policy).results for hit in one.decision.rules}
    result = practice("p", policy.rules, {}, 30, active_days=1, clauses=policy.clauses, tried=tried)
    return [one.key[0] for one in result.found if one.kind == "clause.unenforced"]


@pytest.mark.parametrize(
    "name", ["deleting", "wipe", "limit:queries", "order:ticket", "freeze:holidays", "definitions"]
)
def test_a_rule_or_a_part_that_makes_stricter_enforces_a_clause(name: str) -> None:
    assert found(parsed(clause(name))) == []


@pytest.mark.parametrize("by", [(), ("look",)])
def test_a_clause_without_any_or_with_rules_that_let_run_only_is_a_finding(by: tuple[str, ...]) -> None:
    policy = parsed(clause(*by))
    assert found(policy) == ["one"]
    (one,) = unenforced(policy.clauses, covered(policy.clauses, policy.rules, ()))
    assert "“Nothing is deleted unseen.”" in one.words
    assert "(4.2)" in one.words


def test_without_the_file_nothing_is_found_and_that_is_said() -> None:
    policy = Policy.parse(FILES)
    assert found(policy) == []
    assert covered((), policy.rules, None).lines == (
        "The policy has no clauses.toml: nobody can say which sentence of the written policy a rule is for.",
    )


def test_shares_are_told_as_of_code() -> None:
    policy = parsed(clause("deleting") + '[clause.two]\ntext = "Nothing is exported."\n')
    tried = {hit.rule for one in run_tests(policy).results for hit in one.decision.rules}
    both = covered(policy.clauses, policy.rules, tried)
    assert (both.unenforced, both.unclaused, both.untried) == (("two",), ("wipe",), ("deleting", "wipe"))
    assert both.lines == (
        "1 of 2 clauses of the written policy are enforced (50%).",
        "1 of 2 rules that hold or refuse belong to a clause (50%).",
        "1 of 3 rules decide one of the policy's own cases (33%).",
    )


def test_a_name_that_nothing_has_is_a_mistake_with_its_place_so_a_rule_cannot_go_unseen() -> None:
    assert "clauses.toml:4" in problems(clause("deletion"))
    assert "deleting" in problems(clause("deleting-x"))  # what may be meant
    for gone in ("limit:none", "order:none", "retention:none", "freeze:none", "attribution"):
        assert f"nothing in this policy is called {gone}" in problems(clause(gone))


@pytest.mark.parametrize(
    "text",
    ["[clause.one]\nby = []\n", '[clause.one]\ntext = "a"\nrules = []\n', "clause = 3\n", "[claus.one]\n",
     '[clause.One]\ntext = "a"\n', f'[clause.one]\ntext = "{"a" * 2001}"\n', '[clause.one]\ntext = "a"\nby = "look"\n'],
)  # fmt: skip
def test_what_is_not_a_clause_is_refused(text: str) -> None:
    assert "clauses.toml" in problems(text)


@given(
    st.lists(
        st.lists(st.sampled_from(["deleting", "look", "wipe", "limit:queries"]), unique=True), max_size=6
    ),
    st.sets(st.sampled_from(["deleting", "look", "wipe"])),
)
def test_each_clause_is_enforced_or_found_and_one_more_enforcer_finds_no_more(
    named: list[list[str]], tried: set[str]
) -> None:
    clauses = [Clause(f"c{number}", "text", "", tuple(by)) for number, by in enumerate(named)]
    both = covered(clauses, RULES, tried)
    assert len(unenforced(clauses, both)) == len(both.unenforced) <= both.clauses == len(clauses)
    assert set(both.untried or ()) == {rule.id for rule in RULES} - tried
    more = [Clause(one.name, one.text, "", (*one.by, "wipe")) for one in clauses]
    assert covered(more, RULES, tried).unenforced == ()


def test_the_starter_policy_says_how_much_of_it_its_cases_try() -> None:
    policy = Policy.parse(read_folder(STARTER))
    tried = {hit.rule for one in run_tests(policy).results for hit in one.decision.rules}
    both = covered(policy.clauses, policy.rules, tried)
    assert both.untried == ()
