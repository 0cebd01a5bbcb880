"""What approving takes by tier, whoever asks and through whatever channel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.approvals.errors import ReasonMissing
from keyturn.approvals.gesture import Gesture, NotTogether, NotTyped, kept, refusal, same_name

TARGET = "db.prod.example"
gestures = st.builds(
    Gesture,
    typed=st.sampled_from(("", TARGET, "db.prod.exampl", TARGET.upper())),
    batch=st.sampled_from(("", "b_1")),
    dwell_ms=st.none() | st.integers(-5, 10**12),
    opened=st.lists(st.text(max_size=60), max_size=30).map(tuple),
)
tiers = st.sampled_from((None, "low", "medium", "high", "critical", "apocalyptic"))


def test_low_and_medium_take_one_key_and_may_be_taken_together() -> None:
    for tier in ("low", "medium"):
        assert refusal(tier, TARGET, "", Gesture(), "click") is None
        assert refusal(tier, TARGET, "", Gesture(batch="b_1"), "click") is None


@pytest.mark.parametrize("tier", ["high", "critical", "apocalyptic", None])
def test_nothing_more_is_ever_part_of_a_batch(tier: str | None) -> None:
    made = Gesture(batch="b_1", typed=TARGET)
    assert isinstance(refusal(tier, TARGET, "because", made, "signed"), NotTogether)


def test_high_takes_a_reason() -> None:
    assert isinstance(refusal("high", TARGET, " \t", Gesture(), "signed"), ReasonMissing)
    assert refusal("high", TARGET, "the release", Gesture(), "click") is None


def test_critical_takes_the_name_typed_or_a_signature_over_what_was_shown() -> None:
    assert isinstance(refusal("critical", TARGET, "why", Gesture(), "click"), NotTyped)
    assert isinstance(refusal("critical", TARGET, "why", Gesture(), "idp"), NotTyped)
    assert isinstance(refusal("critical", TARGET, "why", Gesture(typed="db.prod"), "click"), NotTyped)
    assert refusal("critical", TARGET, "why", Gesture(typed=f" {TARGET}\n"), "click") is None
    assert refusal("critical", TARGET, "why", Gesture(), "signed") is None
    assert isinstance(refusal("critical", TARGET, "", Gesture(typed=TARGET), "signed"), ReasonMissing)


def test_nothing_to_type_is_never_typed() -> None:
    assert not same_name("", "")
    assert isinstance(refusal("critical", "", "why", Gesture(), "click"), NotTyped)


def test_letters_that_only_look_alike_are_others() -> None:
    assert not same_name("db.pr\u043ed.example", TARGET)
    assert not same_name("db.prod\u200b.example", TARGET)


@given(tiers, st.sampled_from(("", "why")), gestures, st.sampled_from(("click", "idp", "signed", "?")))
def test_an_unknown_tier_is_never_easier_than_critical(
    tier: str | None, reason: str, gesture: Gesture, assurance: str
) -> None:
    if refusal("apocalyptic", TARGET, reason, gesture, assurance) is None:
        assert refusal("critical", TARGET, reason, gesture, assurance) is None


@given(tiers, gestures, gestures)
def test_how_long_somebody_looked_decides_nothing(tier: str | None, a: Gesture, b: Gesture) -> None:
    from msgspec.structs import replace

    same = replace(b, typed=a.typed, batch=a.batch)
    one, other = (refusal(tier, TARGET, "why", each, "click") for each in (a, same))
    assert type(one) is type(other)


@given(gestures)
def test_what_is_kept_of_it_is_bounded(gesture: Gesture) -> None:
    found = kept(gesture)
    assert 0 <= found.get("dwell_ms", 0) <= 7 * 24 * 3600 * 1000  # type: ignore[operator]
    assert len(found.get("opened", ())) <= 20  # type: ignore[arg-type]
