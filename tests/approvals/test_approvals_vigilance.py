"""The approve-everything pattern, dwell time and drills, from decisions alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.approvals.vigilance import MANY, Decided, vigilance

HASTY = Decided("approve", "low", dwell_ms=900, looked_ms=1_000)
SLOW = Decided("approve", "high", dwell_ms=20_000, looked_ms=60_000)
DENIED = Decided("deny", "low", dwell_ms=900, looked_ms=1_000)


def test_approving_everything_in_a_second_is_a_pattern() -> None:
    found = vigilance("riley", [HASTY] * MANY)
    assert found.everything
    assert "approved" in found.words[0]


def test_fewer_slower_or_choosier_is_none() -> None:
    assert not vigilance("riley", [HASTY] * (MANY - 1)).everything
    assert not vigilance("riley", [SLOW] * MANY).everything
    assert not vigilance("riley", [HASTY] * (MANY - 1) + [DENIED]).everything
    assert not vigilance("riley", [Decided("approve")] * MANY).everything  # nobody knows how long they looked


def test_a_page_that_says_it_was_looked_at_for_long_changes_nothing() -> None:
    boasting = Decided("approve", "low", dwell_ms=600_000, looked_ms=1_000)
    assert vigilance("riley", [boasting] * MANY).everything


def test_drills_are_no_decisions_and_give_the_catch_rate() -> None:
    drills = [Decided("deny", drill=True)] * 3 + [Decided("approve", drill=False)]
    found = vigilance("riley", [*[HASTY] * 10, *drills])
    assert (found.decisions, found.approved, found.drills, found.caught) == (10, 10, 4, 3)
    assert "1 of 4 drills" in found.words[0]


decisions = st.builds(
    Decided,
    choice=st.sampled_from(("approve", "deny")),
    tier=st.sampled_from(("", "low", "high")),
    dwell_ms=st.none() | st.integers(0, 10_000),
    looked_ms=st.none() | st.integers(0, 10_000),
    drill=st.none() | st.booleans(),
)


@given(st.lists(decisions, max_size=120), st.randoms(use_true_random=False))
def test_the_order_does_not_matter_and_counts_add_up(made: list[Decided], rng: object) -> None:
    found = vigilance("riley", made)
    assert found.decisions + found.drills == len(made)
    assert 0 <= found.approved <= found.decisions
    assert 0 <= found.caught <= found.drills
    rng.shuffle(made)  # type: ignore[attr-defined]
    assert vigilance("riley", made) == found
