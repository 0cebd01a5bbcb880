"""The detectors: what is promised of false alarms, that drift is found, and that a state is a value."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn import canonical
from keyturn.drift.stream import (
    Bigram,
    BoundedMeanESR,
    ConformalSR,
    DailyTotals,
    Novelty,
    Observed,
    Portfolio,
    Reference,
    Surprisal,
    average_run_length,
    coin,
    day_class,
    onset,
)
from keyturn.drift.stream.conformal import daily_factors, factors


def portfolio() -> Portfolio:
    return Portfolio(
        BoundedMeanESR(0.05), BoundedMeanESR(0.1), ConformalSR(Reference.of(range(100))), Novelty(0.02)
    )


seen = st.builds(
    Observed,
    share=st.integers(0, 10).map(lambda n: n / 10),
    score=st.integers(-50, 150),
    novel=st.booleans(),
    toss=st.text(max_size=3).map(coin),
)


@given(st.lists(seen, max_size=30), st.integers(0, 30))
def test_a_state_that_went_through_json_goes_on_as_if_it_had_not(sessions: list[Observed], cut: int) -> None:
    straight = broken = portfolio()
    for number, one in enumerate(sessions):
        straight, broken = straight.observe(one), broken.observe(one)
        if number == cut:
            stored = canonical.dumps(msgspec.to_builtins(broken))
            broken = msgspec.json.decode(stored, type=Portfolio)
    assert msgspec.to_builtins(straight) == msgspec.to_builtins(broken)


@given(st.floats(0.0, 1.0), st.floats(0.001, 0.99))
def test_no_bet_on_a_mean_goes_broke_and_each_is_fair_at_the_bound(value: float, bound: float) -> None:
    detector = BoundedMeanESR(bound)
    assert all(e > 0 for e in detector.factors(value))
    expected = [
        bound * a + (1 - bound) * b for a, b in zip(detector.factors(1), detector.factors(0), strict=True)
    ]
    assert expected == pytest.approx([1.0] * len(expected))
    novel = Novelty(bound)
    fair = [
        bound * a + (1 - bound) * b for a, b in zip(novel.factors(True), novel.factors(False), strict=True)
    ]
    assert fair == pytest.approx([1.0] * len(fair))


@pytest.mark.parametrize("bets", [factors, daily_factors])
def test_bets_on_p_values_are_fair(bets: Callable[[float], tuple[float, ...]]) -> None:
    steps = 4_000
    sums = [0.0] * len(bets(0.5))
    for step in range(steps):
        u = (step + 0.5) / steps  # p = u⁸, so that the pole at zero is none
        for place, won in enumerate(bets(u**8)):
            sums[place] += won * 8 * u**7 / steps
    assert sums == pytest.approx([1.0] * len(sums), abs=1e-5)


def test_p_values_of_exchangeable_scores_are_uniform_also_with_many_equal_ones() -> None:
    draw = random.Random(3)
    reference, ps = Reference.of(draw.randrange(4) for _ in range(50)), []
    for number in range(2_000):
        score = draw.randrange(4)
        ps.append(reference.p_value(score, coin(f"s{number}")))
        reference = reference.added(score)
    for level in (0.05, 0.25, 0.5, 0.9):
        assert sum(p <= level for p in ps) / len(ps) == pytest.approx(level, abs=0.03)


@given(st.lists(st.integers(-20, 20), max_size=40), st.integers(-20, 20))
def test_a_reference_is_its_scores(scores: list[int], score: int) -> None:
    grown = Reference()
    for one in scores:
        grown = grown.added(one)
    assert grown == Reference.of(scores)
    larger, equal = sum(s > score for s in scores), scores.count(score)
    assert grown.p_value(score, 0.5) == pytest.approx((larger + 0.5 * (equal + 1)) / (len(scores) + 1))


def test_the_coin_is_everybodys() -> None:
    assert coin("s_1#0") == coin("s_1#0") != coin("s_1#1")
    assert 0 < coin("") < 1


def run_length(bound: float, truth: float, threshold: float, draw: random.Random) -> int:
    detector = BoundedMeanESR(bound)
    for number in range(1, 20_000):
        detector = detector.observe(1.0 if draw.random() < truth else 0.0)
        if detector.evidence >= threshold:
            return number
    return 20_000


def test_alarms_without_drift_are_as_rare_as_promised_and_with_it_they_come() -> None:
    draw = random.Random(11)
    quiet = [run_length(0.1, 0.1, 100, draw) for _ in range(60)]
    drifted = [run_length(0.1, 0.3, 100, draw) for _ in range(60)]
    assert sum(quiet) / len(quiet) >= 100
    assert sum(drifted) / len(drifted) < 40
    # Negative control: taken under a bound below the truth, the promise breaks.
    broken = [run_length(0.05, 0.1, 100, draw) for _ in range(60)]
    assert sum(broken) / len(broken) < 100


@pytest.mark.parametrize(
    ("drift", "cause"),
    [
        (Observed(0.3, 50, False, 0.5), "sensitive"),
        (Observed(0.0, 200, False, 0.5), "order"),
        (Observed(0.0, 50, True, 0.5), "novel"),
    ],
)
def test_the_largest_component_names_the_cause(drift: Observed, cause: str) -> None:
    state = portfolio()
    for _ in range(40):
        state = state.observe(drift)
    assert state.evidence > 1_000
    assert state.cause == cause
    again = state.restarted()
    assert again.evidence == 0
    assert again.order.reference == state.order.reference


def test_states_stay_numbers_that_json_keeps() -> None:
    state = portfolio()
    for _ in range(400):
        state = state.observe(Observed(1.0, 10_000, True, 0.5))
    canonical.dumps(msgspec.to_builtins(state))


def test_a_step_is_dated_and_the_interval_holds_it() -> None:
    draw = random.Random(5)
    detector = BoundedMeanESR(0.1)
    rows = [detector.factors(1.0 if draw.random() < (0.05 if n < 120 else 0.5) else 0.0) for n in range(160)]
    found = onset(rows)
    assert found.earliest <= 120 <= found.latest
    assert found.latest - found.earliest < 20
    assert found.earliest <= found.likeliest <= found.latest
    assert onset(rows[:1]).likeliest == 0


def test_shuffled_order_surprises_and_the_same_order_does_not() -> None:
    draw = random.Random(2)
    sessions = [list("abcdefgh") for _ in range(60)]
    ready = Surprisal(Bigram.of(sessions))
    ordinary = ready.score(list("abcdefgh"))
    shuffled = list("abcdefgh")
    draw.shuffle(shuffled)
    assert ready.score(shuffled) > ordinary + 10
    assert ready.score([]) == 0
    assert ("a", "z") in ready.strangest(["a", "z", "b"])


def test_growth_of_daily_totals_is_found_and_weekends_are_none() -> None:
    draw = random.Random(1)
    days = {name: [] for name in ("workday", "saturday", "sunday")}
    for day in range(28):
        days[day_class(day)].append(
            draw.randrange(90, 110) if day_class(day) == "workday" else draw.randrange(5, 15)
        )
    quiet = grown = DailyTotals.of(days)
    for day in range(28, 28 + 40):
        usual = draw.randrange(90, 110) if day_class(day) == "workday" else draw.randrange(5, 15)
        quiet = quiet.observe(day_class(day), usual, coin(str(day)))
        grown = grown.observe(day_class(day), usual * 2, coin(str(day)))
    assert quiet.evidence < 1_000 < grown.evidence
    assert day_class(2) == "saturday"  # 1970-01-03


def test_the_rate_of_false_alarms_is_a_number_of_days() -> None:
    # 40 agents with 77 sessions a day each, and one false alarm of the fleet in a month.
    assert average_run_length(40, 77, 30) == 40 * 3 * 77 * 30
