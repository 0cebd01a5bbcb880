"""What is kept of a target's events: each once, nothing that anybody wrote, and every one counted where there are too many."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift import seen
from keyturn.drift.expected import Expected, Span
from keyturn.drift.fingerprints import sql
from keyturn.drift.matching import Frame, Outcome, compare
from keyturn.drift.observed import Observed
from keyturn.drift.tags import Tags

TAGS = Tags(b"key")
START = 1_795_946_400_000
SESSION = "s_" + "0" * 26
LOOK = sql("select 1 from t")


def id_of(number: int) -> str:
    return f"a_{number:026d}"


def compared(events: list[tuple[str, str]], actions: int, tagging: Any = "auto") -> Outcome:
    """*events* are (tag, account), a second apart, of the statement that each of *actions* says."""
    observed = [
        Observed(START + n * 1000, who, LOOK, "select 1", tag=tag, index=n + 1)
        for n, (tag, who) in enumerate(events)
    ]
    known = [
        Expected(id_of(n), SESSION, START + n * 1000, "db", (LOOK,), allowed=True) for n in range(actions)
    ]
    frame = Frame("db", START - 1, START + 10**9, tagging=tagging)
    return compare(observed, known, {SESSION: Span(SESSION, START)}, TAGS, frame)


def given_back(outcome: Outcome, most: int = seen.MOST) -> list[seen.Seen]:
    """As it comes back from JSON."""
    return list(
        seen.given_back(json.loads(json.dumps(seen.kept(outcome, {SESSION: "claude-code"}, most=most))))
    )


def test_each_event_says_which_action_stands_behind_it() -> None:
    found = given_back(
        compared(
            [(TAGS.tag(id_of(0), "db"), "agent"), (TAGS.tag(SESSION), "agent"), ("", "agent"), ("", "other")],
            2,
        )
    )
    assert [(one.how, one.action, one.agent) for one in found if one.how in ("tagged", "in_session")] == [
        ("tagged", id_of(0), "claude-code"),
        ("in_session", id_of(1), "claude-code"),
    ]
    bypasses = [one for one in found if one.how == "untagged"]
    assert [(one.line, one.credential, one.action, one.session) for one in bypasses] == [
        ("3", "agent", "", "")
    ]
    assert "other" not in {one.credential for one in found}  # accounts of nobody's agent are not kept


def test_what_somebody_wrote_into_a_tag_is_not_kept() -> None:
    outcome = compared([("kt1.my-own-words.x", "agent"), (TAGS.tag(id_of(0), "db"), "agent")], 1)
    assert outcome.bypasses[0].event.tag == "kt1.my-own-words.x"  # the control: the event has it
    assert "my-own-words" not in json.dumps(seen.kept(outcome, {}))
    assert "select" not in json.dumps(seen.kept(outcome, {}))


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "kt1.a_b.c", TAGS.tag(SESSION), TAGS.tag(id_of(0), "db")]), st.sampled_from("ab")),
        max_size=12,
    ),
    st.integers(0, 8),
    st.sampled_from(["auto", "required", "none"]),
    st.integers(0, 6),
)  # fmt: skip
def test_however_few_are_kept_every_event_counts(
    events: list[tuple[str, str]], actions: int, tagging: str, most: int
) -> None:
    outcome = compared(events, actions, tagging)
    found = given_back(outcome, most)
    assert sum(one.count for one in found) == outcome.events
    accounted = ("tagged", "in_session", "matched", seen.COUNTED)
    assert sum(one.count for one in found if one.how in accounted) == outcome.accounted
    counts = Counter({one.how: 0 for one in found})
    for one in found:
        counts[one.how] += one.count
    assert counts["surplus"] == outcome.surpluses
    assert counts["within"] == outcome.within
    assert counts["untagged"] + counts["unknown_tag"] == len(outcome.bypasses)
