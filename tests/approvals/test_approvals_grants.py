"""Grants, pure: no use after the end, nothing wider than anybody said, and separation of duties each time (promise 6)."""

from __future__ import annotations

from typing import Any

import pytest
from approvals_histories import IDS, may_count, rosters, satisfied
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from keyturn.approvals import grants
from keyturn.approvals.errors import GrantTooLong, InvalidGrant
from keyturn.approvals.grants import ONCE, Grant, Use, Wish, narrowest, parse_wish, refusal
from keyturn.approvals.request import open_request
from keyturn.identity import Person, Roster
from keyturn.requirement import parse_requirement

ROSTER = Roster(
    {
        "ana": Person("ana", groups=("dba",)),
        "ben": Person("ben", groups=("dba",)),
        "dan": Person("dan", groups=("dba",)),
        "dan2": Person("dan2", groups=("dba",), accounts=("idp|dan",)),
    }
)
BOUND: dict[str, Any] = {
    "digest": "sha256:a", "policy": "sha256:p", "agent": "claude", "gate": "hooks@here", "session": "s_1", "initiator": "dan",
    "initiator_uid": 1000, "owner": "olga", "asks": "sha256:o",
}  # fmt: skip
OPEN = Grant(id="g_1", **BOUND, requires="2 of dba", approvers=("ana", "ben"), opened_ms=1_000, ends_ms=2_000)
USE = Use(**BOUND)

wishes = st.just(ONCE) | st.builds(
    Wish, st.integers(grants.MIN_SECONDS, grants.MAX_SECONDS), st.booleans(), st.integers(0, grants.MAX_USES)
)


def test_what_was_granted_is_covered_until_the_instant_it_ends() -> None:
    assert refusal(OPEN, USE, ROSTER, 1_999) == ""
    assert refusal(OPEN, USE, ROSTER, 2_000) == "its time is over"
    assert refusal(replace(OPEN, revoked=True), USE, ROSTER, 1_500) == "it was revoked"
    limited = replace(OPEN, uses=2, used=1)
    assert refusal(limited, USE, ROSTER, 1_500) == ""
    assert refusal(replace(limited, used=2), USE, ROSTER, 1_500) == "it was used as often as it may be"


@pytest.mark.parametrize("part", sorted(BOUND))
def test_any_other_part_is_not_covered(part: str) -> None:
    assert refusal(OPEN, USE, ROSTER, 1_500) == "", "negative control"
    other = replace(USE, **{part: 4242 if part == "initiator_uid" else "other"})
    assert refusal(OPEN, other, ROSTER, 1_500) != ""


def test_a_grant_for_any_session_holds_in_any_and_never_for_nobody_known() -> None:
    anywhere = replace(OPEN, session="")
    assert refusal(anywhere, replace(USE, session="s_2"), ROSTER, 1_500) == ""
    nobody = replace(anywhere, initiator=None, initiator_uid=None, requires="2 of dba")
    assert (
        refusal(nobody, replace(USE, initiator=None, initiator_uid=None), ROSTER, 1_500)
        == "nobody knows who asks"
    )


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("ana", {"removed": True}),
        ("ana", {"groups": ("web",)}),
        ("dan", {"accounts": ("idp|x",)}),  # together with ana's account below: one human
    ],
)
def test_who_may_no_longer_approve_takes_the_grant_along(key: str, change: dict[str, Any]) -> None:
    people = {**ROSTER.people, key: Person(**{**asdict(ROSTER.people[key]), **change})}
    if key == "dan":
        assert refusal(OPEN, USE, Roster(people), 1_500) == "", "negative control"
        people["ana"] = replace(people["ana"], accounts=("idp|x",))
    assert refusal(OPEN, USE, Roster(people), 1_500).startswith("fewer of those")


@given(st.lists(wishes, max_size=4))
def test_the_narrowest_is_within_what_each_of_them_said(said: list[Wish]) -> None:
    meant = narrowest(said)
    assert narrowest(reversed(said)) == meant
    assert narrowest([*said, *said]) == meant
    if not said or any(wish.once for wish in said):
        assert meant == ONCE
        return
    for wish in said:
        assert meant.seconds <= wish.seconds
        assert meant.session or not wish.session
        assert not wish.uses or 0 < meant.uses <= wish.uses
    assert meant.seconds in {wish.seconds for wish in said}


@given(wishes)
def test_a_wish_has_one_text(wish: Wish) -> None:
    assert parse_wish(str(wish)) == wish


@pytest.mark.parametrize(
    "text",
    [
        "0s",
        "59s",
        "86401s",
        "60",
        "60s  session",
        "60s 0 uses",
        "60s 1001 uses",
        "060s",
        "60s uses",
        "for ever",
        "٦٠s",
        "60s session ",
    ],
)
def test_what_is_not_exactly_a_wish_is_refused(text: str) -> None:
    with pytest.raises(InvalidGrant):
        parse_wish(text)


@given(wishes, st.integers(0, grants.MAX_SECONDS))
def test_policy_s_limit_is_never_passed(wish: Wish, most: int) -> None:
    try:
        grants.check_wish(wish, most)
    except GrantTooLong:
        assert wish.seconds > most
    else:
        assert wish.seconds <= most


def test_what_is_critical_is_granted_once_only() -> None:
    assert grants.limit(3_600, "high") == 3_600
    assert grants.limit(3_600, "critical") == 0
    assert grants.limit(10**9, "low") == grants.MAX_SECONDS


@st.composite
def uses(draw: st.DrawFn) -> tuple[Grant, Use, Roster, int]:
    """A grant, something asked for, a roster and a moment; each part mostly right."""
    change = {
        name: draw(st.sampled_from([value] * 30 + ["other" if name != "initiator_uid" else 7]))
        for name, value in BOUND.items()
    }
    someone = st.none() | st.sampled_from(IDS)
    initiator, uid = draw(someone), draw(st.none() | st.sampled_from([1000, 1001]))
    owner = draw(someone)
    same = {"initiator": initiator, "initiator_uid": uid, "owner": owner}
    grant = Grant(
        **{**BOUND, **same, "session": draw(st.sampled_from(["s_1", ""]))},
        id="g_1",
        requires=draw(
            st.sampled_from(["1 of dba", "2 of dba", "1 of dba then 1 of security", "1 of dba, 1 of web"])
        ),
        approvers=tuple(draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=4))),
        opened_ms=1_000,
        ends_ms=2_000,
        uses=draw(st.integers(0, 3)),
        used=draw(st.integers(0, 3)),
        revoked=draw(st.integers(0, 9)) == 0,
    )
    use = Use(**{**change, **{k: v for k, v in same.items() if change[k] == BOUND[k]}})
    return grant, use, draw(rosters()), draw(st.integers(990, 2_010))


@given(uses())
def test_a_slow_judge_agrees_with_every_use_that_is_covered(case: tuple[Grant, Use, Roster, int]) -> None:
    grant, use, roster, now = case
    why = refusal(grant, use, roster, now)
    event(why or "covered")
    if why:
        return
    assert now < grant.ends_ms
    assert not grant.revoked
    assert not grant.uses or grant.used < grant.uses
    assert (use.digest, use.gate, use.agent, use.policy) == (
        grant.digest,
        grant.gate,
        grant.agent,
        grant.policy,
    )
    assert grant.session in ("", use.session)
    state = open_request(
        id="g_1", digest="", display="", requirement=parse_requirement(grant.requires), opened_ms=0, expires_ms=1,
        initiator=use.initiator, initiator_uid=use.initiator_uid, owner=use.owner,
    )  # fmt: skip
    state = replace(state, requirement=parse_requirement(grant.requires))  # the text has the one more already
    counting = [key for key in grant.approvers if may_count(key, state, roster)]
    assert satisfied(counting, state, roster), "fewer distinct eligible people than required"
