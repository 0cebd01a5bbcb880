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
    assert {rule.id for rule in starter.rules} - deciding == set()


@pytest.mark.parametrize("name", [rule.id for rule in load(STARTER).rules if rule.verdict != "hold"])
def test_without_one_of_its_rules_the_cases_are_red(starter, name):
    """Negative control: some case depends on each rule that lets run or refuses."""
    rule = starter.rule(name)
    files = {path: _without_rule_names(data) for path, data in starter.files.items()}
    files[rule.file] = files[rule.file].replace(rule.chunk.text.encode(), b"")
    assert not run_tests(Policy.parse(files)).green


def _without_rule_names(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"rule = "))


def test_what_it_holds_it_holds_without_the_rules_that_say_why(starter):
    """40-hold.cedar only says things better: taking it away lets nothing run."""
    files = {
        name: _without_rule_names(data)
        for name, data in starter.files.items()
        if name != "rules/40-hold.cedar"
    }
    failures = run_tests(Policy.parse(files)).failures
    assert [result.case.name for result in failures if result.decision.verdict == "run"] == []
