"""Whatever an outside source answers: words, or a value that was understood. Never another exception, never a yes by accident."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from keyturn.policy.requirements import oncall, tickets
from keyturn.policy.requirements.answers import Unreadable
from keyturn.policy.requirements.oncall import Schedule, duty_of
from keyturn.policy.requirements.tickets import Tickets, ticket_of

NOW = 1_795_000_000_000
RULES = (
    Tickets("file", "changes.toml"),
    Tickets("file", "changes.json"),
    Tickets("jira", "https://jira.example.com", from_field="begin", until_field="end"),
    Tickets("github", "https://api.github.com", repository="acme/changes"),
)
SCHEDULES = (Schedule("primary", "http", "https://x.example"), Schedule("primary", "file", "oncall.toml"))

WORDS = st.sampled_from(
    (
        "id", "key", "number", "fields", "status", "name", "labels", "state", "from", "until", "ticket", "shift", "people",
        "valid_until", "begin", "end", "body", "targets", "CHG-1", "approved", "open", "local", "riley", "",
        "2026-11-18T00:00:00Z", "2026-11-18T23:59:59+01:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00",
        "Window: 2026-11-18T00:00Z / 2026-11-19T00:00Z",
    )
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)
ANSWERS = st.binary(max_size=200) | VALUES.map(
    lambda value: json.dumps(value).encode("utf-8", "surrogatepass")
)


@given(ANSWERS, st.sampled_from(RULES))
def test_an_answer_about_a_ticket_is_understood_or_refused_in_words(answer: bytes, rule: Tickets) -> None:
    reference = "#1" if rule.source == "github" else "CHG-1"
    try:
        ticket = ticket_of(rule, reference, answer, rule.where)
    except Unreadable:
        return
    if ticket is None:
        return
    words = tickets.refusal(rule, ticket, now=NOW, target="local", labels=())
    if not words:  # a yes: everything that a yes needs is there
        assert ticket.reference == reference
        assert ticket.begins is not None
        assert ticket.ends is not None
        assert ticket.begins <= NOW < ticket.ends
        assert "local" in ticket.covers
        assert "approved" in {state.casefold() for state in ticket.states}


@given(ANSWERS, st.sampled_from(SCHEDULES))
def test_an_answer_about_a_schedule_is_understood_or_refused_in_words(answer: bytes, rule: Schedule) -> None:
    try:
        duty = duty_of(rule, answer, NOW)
    except Unreadable:
        return
    assert NOW < duty.until <= NOW + rule.trust * 1000
    assert len(duty.people) <= oncall.MAX_PEOPLE
    assert list(duty.people) == sorted(set(duty.people))


@given(st.text(max_size=80), st.sampled_from(RULES))
def test_a_reference_stays_at_its_place(reference: str, rule: Tickets) -> None:
    try:
        place = rule.request_of(reference)
    except ValueError:
        return
    assert place.startswith(rule.where)
    path = place.removeprefix(rule.where)
    assert ".." not in path.split("/")
    if rule.source == "jira":
        assert path.startswith("/rest/api/2/issue/")
        assert path.count("/") == 5
        assert path.count("?") == 1
    if rule.source == "github":
        assert path.startswith("/repos/acme/changes/issues/")
        assert path.rpartition("/")[2].isdigit()
