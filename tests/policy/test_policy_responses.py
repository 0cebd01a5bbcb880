"""`[response.NAME]` and `[lag]` of drift.toml: mistakes have their place, and a response never loosens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.policy.decision import Decision, Obligations
from keyturn.policy.drift import read_drift
from keyturn.policy.drift.responses import InForce, respond
from keyturn.requirement.assurance import strength

ORDER = ("run", "hold", "refuse")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[response.a]\nseverity = 'high'\n", "[response.a] has a do"),
        ("[response.a]\ndo = 'stop'\n", "says to which findings it answers"),
        ("[response.a]\ndo = 'stp'\nseverity = 'high'\n", 'did you mean "stop"?'),
        ("[response.a]\ndo = 'stop'\nseverity = 'hgih'\n", "severity is one of"),
        ("[response.a]\ndo = 'stop'\nseverity = 'high'\nof = 'everybody'\n", "of is one of"),
        ("[response.a]\ndo = 'step-up'\nseverity = 'high'\napprove = 'anyone'\n", "is not `N of GROUP`"),
        ("[response.a]\ndo = 'step-up'\nseverity = 'high'\nfor = 'ever'\n", "is not a time"),
        ("[response.A]\ndo = 'step-up'\nseverity = 'high'\n", "the name of a response"),
        ("[response.a]\ndo = 'step-up'\nkind = ['x']\nseverity = 'high'\n", 'did you mean "kinds"?'),
        ("[lag]\nunsen = '4h'\n", 'did you mean "unseen"?'),
    ],
)
def test_a_mistake_is_an_error_with_its_place(text: str, words: str) -> None:
    found = [problem.render() for problem in read_drift(text.encode())[1]]
    assert any(words in one for one in found), found


def test_what_it_says_is_read() -> None:
    text = b"[response.a]\nkinds = ['x.y']\nseverity = 'high'\ndo = 'suspend'\napprove = '2 of dba'\nfor = '8h'\n[lag]\nunseen = '4h'\n"
    rules, wrong = read_drift(text)
    assert wrong == []
    one = rules.responses["a"]
    assert (one.do, one.approve, one.seconds, rules.lag.unseen) == ("suspend", "2 of dba", 28_800, 14_400)
    assert one.answers("x.y", "critical")
    assert not one.answers("x.y", "medium")
    assert not one.answers("x.z", "critical")


RESPONSES = st.builds(
    InForce,
    st.just("rs_1"),
    st.just("a"),
    st.sampled_from(("step-up", "suspend", "stop")),
    st.just("f_1"),
    st.just("x.y"),
    st.sampled_from(("", "1 of dba", "3 of security")),
    st.just(7),
)
OBLIGATIONS = st.builds(
    Obligations,
    st.sampled_from(("1 of reviewers", "2 of dba then 1 of security")),
    st.integers(60, 3600),
    st.booleans(),
    st.sampled_from(("click", "signed")),
    st.booleans(),
)
DECISIONS = st.builds(
    lambda verdict, mode, asked: Decision(
        "run" if verdict == "hold" and mode == "observe" else verdict,
        "sha256:0",
        mode,
        verdict,
        obligations=asked if verdict == "hold" else Obligations(),
    ),
    st.sampled_from(ORDER),
    st.sampled_from(("observe", "enforce")),
    OBLIGATIONS,
)


@given(DECISIONS, st.lists(RESPONSES, max_size=4), OBLIGATIONS)
def test_a_response_never_loosens(decision: Decision, on: list[InForce], default: Obligations) -> None:
    after = respond(decision, on, default)
    assert ORDER.index(after.verdict) >= ORDER.index(decision.verdict)
    assert ORDER.index(after.would) >= ORDER.index(decision.would)
    if not on:
        assert after == decision
        return
    assert after.would != "run"
    if decision.mode == "enforce":
        assert after.verdict != "run"
    if decision.would == "hold" == after.would:
        was, now = decision.obligations, after.obligations
        assert now.within <= was.within
        assert now.reason_required >= was.reason_required
        assert strength(now.assurance) >= strength(was.assurance)
        assert now.ticket_required >= was.ticket_required
        assert now.grant <= was.grant
