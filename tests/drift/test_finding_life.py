"""The pure rules of a finding's life, against random histories."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift.finding_life import (
    MOST_ACCEPTED_MS,
    MOST_REASON,
    OUTCOMES,
    Involved,
    Life,
    LifeRefused,
    Move,
    NoChangeExplains,
    OwnFinding,
    UntilWrong,
    first_state,
    lapsed,
    step,
)
from keyturn.identity import Person, Roster

NOW = 1_000_000
PEOPLE = {
    "ana": Person("ana", os_uids=(1000,)),
    "ana2": Person("ana2", accounts=("idp|ana",)),
    "ana3": Person("ana3", accounts=("idp|ana",), os_uids=(1000,), removed=True),
    "ben": Person("ben"),
}
ROSTER = Roster(PEOPLE)
VERBS = st.sampled_from(("acknowledge", "explain", "accept", "close", "reopen"))
MOVES = st.builds(
    Move,
    VERBS,
    st.sampled_from(sorted(PEOPLE)),
    st.sampled_from(("", "  ", "because", "x" * (MOST_REASON + 1))),
    st.sampled_from((None, NOW - 1, NOW, NOW + 5, NOW + MOST_ACCEPTED_MS, NOW + MOST_ACCEPTED_MS + 1)),
    st.sampled_from(("", "r_1")),
    st.sampled_from(OUTCOMES),
)
PARTS = st.sampled_from((Involved(), Involved(("ana",)), Involved(("ana2",)), Involved((), (1000,))))
RESTS = ("explained", "accepted", "closed")


@given(st.lists(MOVES, max_size=8), PARTS, st.sampled_from(("NONE", "CANDIDATE", "PROVEN", "VERSION-BOUND")))
def test_nobody_with_a_part_in_it_lets_it_rest(moves: list[Move], part: Involved, grade: str) -> None:
    life = Life(first_state(grade))  # type: ignore[arg-type]
    for move in moves:
        after = step(life, move, part, ROSTER, NOW)
        if isinstance(after, LifeRefused):
            continue
        if after.state in RESTS and after.state != life.state:
            mine = move.by != "ben" and part != Involved()
            assert not mine, "all records of ana are one human"
            assert 0 < len(move.reason.strip()) <= MOST_REASON
        if after.state == "accepted":
            assert after.until is not None
            assert NOW < after.until <= NOW + MOST_ACCEPTED_MS
        else:
            assert after.until is None
        assert life.state != "closed", "what is closed stays closed"
        life = after


def test_somebody_else_may() -> None:
    """The negative control: the same move by another human is taken."""
    wish = Move("close", "ben", "fixed it")
    assert step(Life(), wish, Involved(("ana",)), ROSTER, NOW) == Life("closed")
    assert isinstance(
        step(Life(), Move("close", "ana2", "x"), Involved((), (1000,)), ROSTER, NOW), OwnFinding
    )


def test_closing_as_explained_names_a_change() -> None:
    wish = Move("close", "ben", "it was the release", outcome="explained")
    assert isinstance(step(Life(), wish, Involved(), ROSTER, NOW), NoChangeExplains)
    assert step(Life("explained", change="r_1"), wish, Involved(), ROSTER, NOW) == Life("closed", None, "r_1")


def test_an_acceptance_has_an_end_and_lapses_at_it() -> None:
    assert isinstance(step(Life(), Move("accept", "ben", "x"), Involved(), ROSTER, NOW), UntilWrong)
    accepted = step(Life(), Move("accept", "ben", "x", NOW + 10), Involved(), ROSTER, NOW)
    assert isinstance(accepted, Life)
    assert (lapsed(accepted, NOW + 9), lapsed(accepted, NOW + 10)) == (False, True)
