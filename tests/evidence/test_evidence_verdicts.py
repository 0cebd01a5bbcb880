"""A verdict is never a pass by default, and an exception is one whatever stands beside it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.evidence.verdicts import WORDS, Word, of_control, of_test, together

COUNTS = st.integers(0, 1_000_000)
WORD = st.sampled_from(WORDS)
NAMES = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)
BETTER = {"fail": 0, "not-tested": 1, "no-population": 2, "pass": 3}


@given(COUNTS, COUNTS, COUNTS)
def test_a_test_passes_only_when_all_of_somebody_was_looked_at(
    population: int, exceptions: int, untested: int
) -> None:
    exceptions = min(exceptions, population)
    word, why = of_test(population, exceptions, untested)
    assert (word == "pass") == (population > 0 and exceptions == 0 and untested == 0)
    assert (word == "fail") == (exceptions > 0)
    assert bool(why) == (word != "pass")


@given(COUNTS, COUNTS, COUNTS)
def test_what_could_not_be_run_is_never_anything_else(
    population: int, exceptions: int, untested: int
) -> None:
    exceptions = min(exceptions, population)
    assert of_test(population, exceptions, untested, "the query is malformed") == (
        "not-tested",
        "the query is malformed",
    )


@pytest.mark.parametrize("figures", [(1, 2, 0), (-1, 0, 0), (1, -1, 0), (1, 0, -1)])
def test_figures_that_no_test_gives_are_refused(figures: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError):
        of_test(*figures)


@given(st.dictionaries(st.sampled_from("abcdef"), WORD), NAMES, NAMES)
def test_a_control_passes_only_with_every_test_it_needs(
    verdicts: dict[str, Word], tests: list[str], optional: list[str]
) -> None:
    word, why = of_control(verdicts, tests, optional)
    all_of_them = {*tests, *optional}
    found = {verdicts.get(one, "not-tested") for one in all_of_them}
    needed = {verdicts.get(one, "not-tested") for one in set(tests) - set(optional)}
    assert (word == "pass") == (needed <= {"pass"} and found <= {"pass", "no-population"} and "pass" in found)
    assert (word == "fail") == ("fail" in found)
    assert bool(why) == (word != "pass")


@given(st.dictionaries(st.sampled_from("abcdef"), WORD), NAMES, NAMES, st.sampled_from("abcdef"), WORD)
def test_a_test_that_does_worse_never_makes_a_control_better(
    verdicts: dict[str, Word], tests: list[str], optional: list[str], one: str, other: Word
) -> None:
    before = verdicts.get(one, "not-tested")
    if (
        before == "no-population" or other == "no-population"
    ):  # neither better nor worse than a pass: it depends on the control
        return
    now, _ = of_control({**verdicts, one: other}, tests, optional)
    was, _ = of_control(verdicts, tests, optional)
    if BETTER[other] <= BETTER[before]:
        assert BETTER[now] <= BETTER[was]


def test_a_control_without_tests_is_not_tested() -> None:
    assert of_control({"a": "pass"}, ()) == ("not-tested", "No test belongs to this control.")


@pytest.mark.parametrize(
    ("optional", "word"), [((), "no-population"), (("a",), "no-population"), (("b",), "pass"), (("a", "b"), "pass")]
)  # fmt: skip
def test_an_empty_part_is_told_unless_the_control_can_do_without(
    optional: tuple[str, ...], word: Word
) -> None:
    verdicts: dict[str, Word] = {"a": "pass", "b": "no-population"}
    assert of_control(verdicts, ("a", "b"), optional)[0] == word


@given(st.lists(WORD))
def test_nothing_together_is_no_pass(words: list[Word]) -> None:
    word = together(words)
    assert (word == "pass") == ("pass" in words and "fail" not in words and "not-tested" not in words)
    assert ("fail" in words) == (word == "fail")
