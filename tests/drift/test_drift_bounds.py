"""Bounds hold as often as they say, and a plug-in estimate would not (negative control)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift.stream import betting_upper, clopper_pearson_upper, once_only


def test_clopper_pearson_of_nothing_seen_is_the_rule_of_three() -> None:
    assert clopper_pearson_upper(0, 400) == pytest.approx(1 - 0.05 ** (1 / 400))
    assert clopper_pearson_upper(400, 400) == 1.0
    assert clopper_pearson_upper(0, 0) == 1.0


@pytest.mark.parametrize(("hits", "trials", "bound"), [(3, 50, 0.1478), (10, 100, 0.1637), (1, 10, 0.3942)])
def test_clopper_pearson_is_the_beta_quantile(hits: int, trials: int, bound: float) -> None:
    assert clopper_pearson_upper(hits, trials) == pytest.approx(bound, abs=5e-4)


@given(st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=1, max_size=60))
def test_a_bound_lies_over_the_mean_and_is_no_nonsense(values: list[float]) -> None:
    mean = sum(values) / len(values)
    assert mean <= betting_upper(values) <= 1.0
    assert betting_upper(values, 0.01) >= betting_upper(values, 0.05)
    assert betting_upper(values) == betting_upper(values[::-1])


def test_no_sample_bounds_nothing() -> None:
    assert betting_upper([]) == 1.0


def test_bounds_fail_in_at_most_five_of_a_hundred_baselines_and_means_in_half() -> None:
    draw = random.Random(7)
    failed = plugged_in = 0
    for _ in range(200):
        # Mostly nothing, sometimes a burst: the shape of sensitive shares.
        values = [draw.choice((0.1, 0.2, 0.3)) if draw.random() < 0.1 else 0.0 for _ in range(200)]
        failed += betting_upper(values) < 0.02
        plugged_in += sum(values) / len(values) < 0.02
    assert failed <= 10
    assert plugged_in > 60


def test_sessions_with_something_of_their_own_are_counted() -> None:
    assert once_only([{"a"}, {"a", "b"}, {"a", "c", "d"}, {"a"}]) == (2, 4)
    assert once_only([]) == (0, 0)
