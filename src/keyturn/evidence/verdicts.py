"""What a test, and a control, came to. Pure.

Rules kept here:

- Nothing passes by default: an empty population is `no-population`, and what could not be looked at is `not-tested`.
- An exception is an exception, whatever else could not be looked at: `fail` goes before everything.
- A control is only as good as its tests: any that failed fails it, any that was not tested leaves it not tested. A test that this
  control can do without (`optional`) may be empty beside others that pass; any other empty one leaves the control without a population.

Source: AICPA AT-C 205.A42 (a deviation is one, however many items were tested); NIST SP 800-53A r5 §3.3 (satisfied, other than satisfied).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

Word = Literal["pass", "fail", "not-tested", "no-population"]
"""The four words of a verdict."""

PASS: Word = "pass"  # noqa: S105 — a verdict
FAIL: Word = "fail"
NOT_TESTED: Word = "not-tested"
NO_POPULATION: Word = "no-population"
WORDS: tuple[Word, ...] = (PASS, FAIL, NOT_TESTED, NO_POPULATION)


def of_test(population: int, exceptions: int, untested: int, why: str = "") -> tuple[Word, str]:
    """A test's verdict, and why where it isn't `pass`.

    *untested* counts members that could not be looked at because a field is withheld or erased. *why* says why the test could not be
    run at all: then the figures mean nothing.
    """
    if min(population, exceptions, untested) < 0 or exceptions > population:
        raise ValueError(f"{exceptions} of {population}, {untested} untested: no figures of a test")
    if why:
        return NOT_TESTED, why
    if exceptions:
        return FAIL, f"{exceptions:,} of {population:,} are exceptions."
    if untested:
        return NOT_TESTED, f"{untested:,} could not be tested: fields are withheld or erased."
    if not population:
        return NO_POPULATION, "Nothing of that kind happened in the period."
    return PASS, ""


def of_control(
    verdicts: Mapping[str, Word], tests: Collection[str], optional: Collection[str] = ()
) -> tuple[Word, str]:
    """A control's verdict out of those of its *tests* (*optional* among them or beside them), and why where it isn't `pass`."""
    wanted = tuple(dict.fromkeys((*tests, *optional)))
    found = {test: verdicts.get(test, NOT_TESTED) for test in wanted}
    if not found:
        return NOT_TESTED, "No test belongs to this control."
    if failed := _named(found, FAIL):
        return FAIL, f"Failed: {failed}."
    if untested := _named(found, NOT_TESTED):
        return NOT_TESTED, f"Not tested: {untested}."
    empty = [test for test in wanted if found[test] == NO_POPULATION and test not in optional]
    if all(word == NO_POPULATION for word in found.values()):
        return NO_POPULATION, "Nothing that it is about happened in the period."
    if empty:
        return NO_POPULATION, f"Nothing happened in the period that these are about: {', '.join(empty)}."
    return PASS, ""


def together(words: Iterable[Word]) -> Word:
    """One word for several that stand side by side: the worst of them, and never a `pass` out of nothing."""
    found = set(words)
    return next((word for word in (FAIL, NOT_TESTED, PASS) if word in found), NO_POPULATION)


def _named(found: Mapping[str, Word], word: Word) -> str:
    return ", ".join(test for test, one in found.items() if one == word)


__all__ = [
    "FAIL",
    "NOT_TESTED",
    "NO_POPULATION",
    "PASS",
    "WORDS",
    "Word",
    "of_control",
    "of_test",
    "together",
]
