"""The starter policy: its cases are green, every rule of it earns its place, and it can be wrong."""

from __future__ import annotations

import pytest

from keyturn.policy import STARTER, Policy, load, run_tests


@pytest.fixture(scope="module")
def starter() -> Policy:
    return load(STARTER)


def test_all_cases_are_right(starter):
    report = run_tests(starter)
    assert report.green, "\n".join(report.lines)
    assert report.total >= 100
    assert {result.case.expected for result in report.results} == {"run", "hold", "refuse"}


def test_every_rule_decides_at_least_one_case(starter):
    deciding = {hit.rule for result in run_tests(starter).results for hit in result.decision.rules}
    assert {rule.id for rule in starter.rules} - deciding <= {"privileges"}


@pytest.mark.parametrize("file", [name for name in load(STARTER).files if name.startswith("rules/")])
def test_without_one_of_its_files_the_cases_are_red(starter, file):
    """Negative control: the cases do depend on each file of rules."""
    cases = {name: _without_rule_names(data) for name, data in starter.files.items() if name != file}
    assert not run_tests(Policy.parse(cases)).green


def _without_rule_names(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"rule = "))


def test_what_it_holds_it_holds_without_the_rules_that_say_why(starter):
    """40-hold.cedar only says things better: taking it away lets nothing run."""
    files = {name: _without_rule_names(data) for name, data in starter.files.items() if name != "rules/40-hold.cedar"}
    failures = run_tests(Policy.parse(files)).failures
    assert [result.case.name for result in failures if result.decision.verdict == "run"] == []
