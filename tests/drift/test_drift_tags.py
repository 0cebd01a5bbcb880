"""Tags: only the server makes them, for one action and one target, and they fit where they have to go."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift import tags
from keyturn.drift.tags import TAG, Tags, carried, found_in, trace_in

IDS = st.builds(
    lambda kind, rest: f"{kind}_{rest}",
    st.sampled_from("as"),
    st.text("0123456789abcdefghjkmnpqrstvwxyz", min_size=26, max_size=26),
)
TARGETS = st.text(min_size=1, max_size=200)
OURS = Tags(b"a home's key")
ACTION = "a_01m8k4vvdd23z7gqn7b5d2q3rs"
SESSION = "s_01m8k4vvdd23z7gqn7b5d2q3rs"


@given(IDS, TARGETS)
def test_a_tag_is_what_it_was_made_for_and_fits_everywhere(id: str, target: str) -> None:
    made = OURS.tag(id, target)
    found = OURS.checked(made, target)
    assert found is not None
    assert found.id == id
    assert (
        len(made.encode()) <= 50
    )  # an AWS SDK's application id; PostgreSQL has 63, a role session's name 64
    assert re.fullmatch(r"[a-z0-9_.]+", made)


@given(TARGETS, TARGETS)
def test_an_actions_tag_is_for_one_target_and_a_sessions_for_any(one: str, other: str) -> None:
    assert (OURS.checked(OURS.tag(ACTION, one), other) is None) == (one != other)
    assert OURS.checked(OURS.tag(SESSION, one), other) is not None


@given(IDS, TARGETS, st.binary(min_size=1, max_size=40))
def test_another_home_makes_other_tags(id: str, target: str, secret: bytes) -> None:
    theirs = Tags(secret)
    same = secret == b"a home's key"
    assert (OURS.checked(theirs.tag(id, target), target) is not None) == same


@given(st.data())
def test_a_tag_with_one_character_changed_is_none(data: st.DataObject) -> None:
    made = OURS.tag(ACTION, "db")
    place = data.draw(st.integers(0, len(made) - 1))
    other = data.draw(st.sampled_from([c for c in tags.ALPHABET if c != made[place]]))
    assert OURS.checked(made[:place] + other + made[place + 1 :], "db") is None
    assert OURS.checked(made, "db") is not None  # the control


@given(st.text(max_size=300))
def test_whatever_stands_in_a_log_is_no_failure(text: str) -> None:
    assert OURS.checked(text, "db") is None
    found = found_in(text, "", text)
    assert found == "" or found in text
    trace_in(text)


def test_a_tag_is_found_in_what_stands_around_it_and_so_is_what_pretends_to_be_one() -> None:
    made = OURS.tag(ACTION, "db")
    assert found_in("aws-cli/2.1 Python/3.11", f"aws-cli/2.1 app/{made} md/x") == made
    assert found_in(f"2026-11-29 [7] agent@shop {made} ") == made
    assert found_in("kt1.a_made.up") == "kt1.a_made.up"
    assert found_in("kt10.x", "skt1") == ""


def test_what_a_session_starts_carries_its_tag_and_keeps_its_own_trace() -> None:
    tag, trace = OURS.tag(SESSION), OURS.trace(SESSION)
    given = carried(tag, trace, {"PATH": "/bin", "PGAPPNAME": "mine"})
    assert {given[name] for name in tags.VARIABLES} == {tag}
    assert TAG.fullmatch(tag)
    assert trace_in(given["TRACEPARENT"]) == trace
    own = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    assert carried(tag, trace, {"TRACEPARENT": own})["TRACEPARENT"] == own
    assert carried("", "", {"PGAPPNAME": "mine"}) == {"PGAPPNAME": "mine"}
