"""CSV that no spreadsheet runs, and rows that call nothing passed which was not tested whole."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import NASTY, report

from keyturn.evidence import catalogue, grc

FRAMEWORKS = sorted(catalogue.load().frameworks)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_one_line_a_control_with_all_that_is_asked(name: str) -> None:
    shown, framework = report(name, 4)
    told = rows(grc.controls(shown, framework, "pack.zip"))
    assert [one["control"] for one in told] == [one.id for one in framework.controls]
    assert {one["verdict"] for one in told} <= {"pass", "fail", "not-tested", "no-population"}
    for one, result in zip(told, shown.controls, strict=True):
        assert one["verdict"] == result.result.verdict
        assert (one["to_add"] != "") == (one["how"] == "partial")
        assert one["from"] == "2026-09-21T14:13:20.000Z"
        assert (one["pack"], one["log"], one["size"]) == ("pack.zip", "keyturn.example/log", "90113")


def test_every_exception_has_a_line_with_its_controls_and_its_proof() -> None:
    told = rows(grc.exceptions(*report("soc2", {"no_self_approval": (12, 3, 0)}), (1001,)))
    assert [(one["test"], one["entry"], one["proof"]) for one in told] == [
        ("no_self_approval", "1000", ""),
        ("no_self_approval", "1001", "proofs/1001.tlog-proof"),
        ("no_self_approval", "1002", ""),
    ]
    assert told[0]["controls"] == "CC6.3"


def test_no_cell_of_what_the_log_says_is_a_formula() -> None:
    assert NASTY.startswith("=")  # negative control
    for data in (
        grc.exceptions(*report("soc2", 4, origin=NASTY)),
        grc.controls(*report("soc2", 4, origin=NASTY), "@pack"),
    ):
        for row in rows(data):
            for value in row.values():
                assert not value.lstrip().startswith(FORMULA[:4]), value
    assert rows(grc.controls(*report("soc2", 4), "@pack"))[0]["pack"] == "'@pack"


@given(st.text(max_size=20), st.sampled_from([*FORMULA, " =", "\u00a0+", "", "x"]))
def test_a_cell_is_read_back_as_it_was_or_behind_an_apostrophe(words: str, first: str) -> None:
    text = (first + words).replace("\x00", "")
    data = grc.controls(*report("owasp-agentic"), text)
    value = rows(data)[0]["pack"]
    assert value in (text, f"'{text}") or text == ""
    if text:
        assert not value.startswith(FORMULA)
        assert not value.lstrip().startswith(FORMULA)


@given(st.sampled_from(FRAMEWORKS), st.integers(1, 10_000))
def test_vanta_hears_passed_only_of_what_was_tested_whole(name: str, seed: int) -> None:
    shown, framework = report(name, seed)
    told: list[dict[str, Any]] = [json.loads(line) for line in grc.vanta(shown, framework).splitlines()]
    assert len({one["uniqueId"] for one in told}) == len(framework.controls)
    for one, control, result in zip(told, framework.controls, shown.controls, strict=True):
        said = one["customProperties"]
        assert said["passed"] == (result.result.verdict == "pass" and control.how == "automatic")
        assert said["tested_part_passed"] == (result.result.verdict == "pass")


def test_the_same_gives_the_same_bytes() -> None:
    for write in (grc.controls, grc.exceptions, grc.vanta):
        assert write(*report("soc2", 3)) == write(*report("soc2", 3))
