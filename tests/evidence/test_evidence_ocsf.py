"""Compliance Findings that the schema takes, and that call nothing passed which was not tested whole."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import report

from keyturn.evidence import catalogue, ocsf_findings
from ocsf_validation import problems

FRAMEWORKS = sorted(catalogue.load().frameworks)


def events(name: str, figures: Any = 0, **changes: object) -> list[dict[str, Any]]:
    data = ocsf_findings.findings(*report(name, figures, **changes))
    return [json.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_schema_takes_every_finding(name: str) -> None:
    told = events(name, 5)
    assert len(told) == len(catalogue.load().framework(name).controls)
    assert [problems(one) for one in told] == [[]] * len(told)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda one: one.pop("compliance"), "'compliance' is a required property"),
        (lambda one: one.pop("time"), "'time' is a required property"),
        (lambda one: one["finding_info"].pop("uid"), "'uid' is a required property"),
        (lambda one: one["metadata"].pop("product"), "'product' is a required property"),
        (lambda one: one.update(surprise=1), "surprise"),
        (lambda one: one.update(severity_id=77), "77 is not one of"),
        (lambda one: one.update(severity="Bad"), "'Bad' beside severity_id"),
        (lambda one: one["compliance"].update(status="Passed"), "'Passed' beside status_id"),
        (lambda one: one.update(type_uid=200302), "class_uid * 100"),
        (lambda one: one.update(time="now"), "is not of type 'integer'"),
        (lambda one: one.update(class_uid=7), "there is no class"),
        (lambda one: one.update(ai_model={"name": "x", "ai_provider": "y"}), "ai_model"),
        (lambda one: one["metadata"].update(version="1.0.0"), "it is not 1.8.0"),
    ],
)
def test_the_schema_refuses_what_is_wrong(spoil: Any, words: str) -> None:
    """The negative control of the test above."""
    one = events("soc2", {"no_secrets": (3, 1, 0)})[0]
    assert problems(one) == []
    spoil(one)
    assert any(words in problem for problem in problems(one)), problems(one)


@given(st.sampled_from(FRAMEWORKS), st.integers(1, 10_000))
def test_only_a_control_that_is_tested_whole_and_passed_is_a_pass(name: str, seed: int) -> None:
    shown, framework = report(name, seed)
    how = {one.id: one.how for one in framework.controls}
    verdicts = {one.result.control: one.result.verdict for one in shown.controls}
    for one in events(name, seed):
        control, status = one["compliance"]["control"], one["compliance"]["status_id"]
        assert (status == 1) == (verdicts[control] == "pass" and how[control] == "automatic")
        assert (status == 3) == (verdicts[control] == "fail")
        assert (status == 2) == (verdicts[control] == "pass" and how[control] == "partial")


def test_each_test_of_a_control_is_a_check_with_its_figures() -> None:
    one = next(
        one
        for one in events("soc2", {"no_self_approval": (12, 3, 0)})
        if one["compliance"]["control"] == "CC6.3"
    )
    (check,) = [check for check in one["compliance"]["checks"] if check["name"] == "no_self_approval"]
    assert check["status"] == "Fail"
    assert "3 exceptions in a population of 12" in check["desc"]
    assert check["uid"].startswith("sha256:")


def test_the_same_gives_the_same_bytes_and_another_log_other_names() -> None:
    first = events("soc2", 3)
    assert first == events("soc2", 3)
    others = events("soc2", 3, size=90_114)
    assert {one["metadata"]["uid"] for one in first}.isdisjoint(one["metadata"]["uid"] for one in others)
