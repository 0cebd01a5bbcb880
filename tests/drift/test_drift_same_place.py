"""Who asked and who approved from one place: graded evidence, told once, and never a no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.datastructures import Headers
from msgspec.structs import replace
from service_world import HELD, World, decide, person

from keyturn.channels.peers import origin_of
from keyturn.drift.same_place import DAYS_MS, KINDS, MOST, Party, drifts, seen, shared
from keyturn.service import calling, people
from keyturn.service.calling import NOWHERE, Origin
from keyturn.service.detectors import FOLLOWERS
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.same_places import SamePlaces

NOW = 10 * DAYS_MS
wheres = st.dictionaries(st.sampled_from(KINDS), st.sampled_from(["a", "b", "c"]), max_size=3)
walks = st.lists(st.tuples(wheres, st.integers(NOW - 2 * DAYS_MS, NOW)), max_size=12)


def walked(steps: list[tuple[dict[str, str], int]]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for where, time in sorted(steps, key=lambda one: one[1]):
        found = seen(found, where, time)
    return found


@given(walks, walks)
def test_the_strongest_shared_place_of_thirty_days_is_told_whoever_is_asked_first(
    one: list[tuple[dict[str, str], int]], other: list[tuple[dict[str, str], int]]
) -> None:
    mine, theirs = walked(one), walked(other)
    assert shared(mine, theirs, NOW) == shared(theirs, mine, NOW)
    fresh = [
        {(kind, where[kind]) for where, time in steps for kind in where if time > NOW - DAYS_MS}
        for steps in (one, other)
    ]
    common = {kind for kind, _ in fresh[0] & fresh[1]}
    assert shared(mine, theirs, NOW) == next((kind for kind in KINDS if kind in common), None)


@given(st.lists(st.text(min_size=1, max_size=4), max_size=40))
def test_places_are_bounded_and_the_newest_stay(names: list[str]) -> None:
    found: dict[str, dict[str, int]] = {}
    for time, name in enumerate(names):
        found = seen(found, {"device": name}, time)
    kept = found.get("device", {})
    assert len(kept) <= MOST
    assert all(name in kept for name in names[-1:])


def test_a_finding_says_how_strong_it_is_and_the_same_person_is_none() -> None:
    def party(who: str, **where: str) -> Party:
        return Party(who, "asked for", seen({}, where, NOW), 3, NOW)

    riley = Party("riley", "approved", seen({}, {"device": "d", "address": "x"}, NOW), 7, NOW)
    (strong,) = drifts(riley, [party("dana", device="d", address="x")], "r_1")
    assert (strong.severity, strong.subject["evidence"]) == ("high", "strong")
    assert strong.entries == (3, 7)
    (weak,) = drifts(riley, [party("dana", device="e", address="x")], "r_1")
    assert (weak.severity, weak.subject["evidence"], weak.key) == (
        "low",
        "weak",
        ("dana", "riley", "address"),
    )
    assert drifts(riley, [party("dana", device="e", address="y"), party("riley", device="d")], "r_1") == []


def at(client: Any, pid: int = 0, proxies: tuple[str, ...] = (), **headers: str) -> Origin:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"client": client, "headers": given}
    return origin_of(scope, Headers.from_scope(scope), pid, proxies)  # type: ignore[arg-type]


def test_where_a_call_comes_from_is_the_kernel_s_word_or_a_known_proxy_s() -> None:
    import os

    assert at(("unix:1000", 7)) == Origin("", "uid 1000")
    assert at(("127.0.0.1", 5), os.getpid()) == Origin("", f"uid {os.getuid()}")
    assert at(("127.0.0.1", 5)) == NOWHERE
    assert at(("192.0.2.7", 5)) == Origin("", "", "192.0.2.7")
    relayed = {"x_forwarded_for": "203.0.113.9, 198.51.100.4"}
    assert at(("127.0.0.1", 5), os.getpid(), **relayed) == Origin("", "", "198.51.100.4", True)
    assert at(("10.0.0.1", 5), proxies=("10.0.0.1",), **relayed) == Origin("", "", "198.51.100.4", True)
    assert at(("10.0.0.1", 5), proxies=("10.0.0.1",)) == NOWHERE
    # Anybody may send the header: from elsewhere it is not taken.
    assert at(("192.0.2.7", 5), **relayed) == Origin("", "", "192.0.2.7")
    assert at(("192.0.2.7", 5), host="keyturn.test:8443", cookie="keyturn_8443_device=abc").device == "abc"
    assert at(None) == NOWHERE


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


async def approved(home: World, service: Keyturn, who: str, where: Origin, script: str) -> None:
    session = await home.session(service)
    held = await service.authorize(home.action(session, script), home.around)
    assert held.request is not None
    calling.answering(where)
    view = await decide(service, held.request, who, reason="It may go.")
    calling.answering(NOWHERE)
    assert view.state == "approved"  # whatever is found: it blocks nothing


def told(service: Keyturn) -> list[tuple[str, ...]]:
    rows = service.core.ledger.rows("finding", newest_first=False)
    return [
        (*row["subject"]["people"], row["subject"]["evidence"])
        for row in rows
        if row["kind"] == "sod.same_place"
    ]


def test_the_server_runs_it() -> None:
    assert SamePlaces in FOLLOWERS


def test_an_approval_from_where_its_asker_sits_is_found_and_one_from_elsewhere_is_not(home: World) -> None:
    async def story(service: Keyturn) -> None:
        following = Following(service.core, (SamePlaces,))
        calling.answering(Origin("browser-1", "", "192.0.2.7"))
        await service.logins.redeem(
            service.logins.link_code("dana")
        )  # dana signs in, for whom the agent acts
        calling.answering(NOWHERE)
        await approved(home, service, "riley", Origin("browser-2", "", "192.0.2.8"), HELD)
        await following.catch_up()
        assert told(service) == []  # negative control
        await approved(home, service, "riley", Origin("browser-3", "", "192.0.2.7"), "rm -r other")
        await following.catch_up()
        assert told(service) == [("dana", "riley", "weak")]
        await approved(home, service, "sam", Origin("browser-1", "", "192.0.2.9"), "rm -r dist")
        await following.catch_up()
        assert told(service)[1:] == [("dana", "sam", "strong")]
        await approved(home, service, "sam", Origin("browser-1", "", "192.0.2.9"), "rm -r out")
        await following.catch_up()
        assert len(told(service)) == 2  # once, while it is open
        for entry in service.core.ledger.entries():
            assert "browser-1" not in str(entry.fields)
            assert "192.0.2.7" not in str(entry.fields)
        assert service.core.ledger.rebuild(check=True).identical

    home.play(story)


def test_the_account_under_which_the_agent_runs_is_fair_evidence(home: World) -> None:
    import os

    async def story(service: Keyturn) -> None:
        following = Following(service.core, (SamePlaces,))
        await approved(home, service, "riley", Origin("", f"uid {os.getuid()}"), "rm -r dist")
        await following.catch_up()
        assert told(service) == []  # nobody said which account is riley's: they may all share one
        await people.change(service.core, "riley", {"os_uids": [os.getuid() + 1]}, by="dana")
        await approved(home, service, "riley", Origin("", f"uid {os.getuid() + 1}"), HELD)
        await following.catch_up()
        assert told(service) == []
        await approved(home, service, "riley", Origin("", f"uid {os.getuid()}"), "rm -r other")
        await following.catch_up()
        assert told(service) == [("dana", "riley", "fair")]

    home.play(story)


def test_two_who_approve_one_request_from_one_browser_are_found(home: World) -> None:
    async def story(service: Keyturn) -> None:
        following = Following(service.core, (SamePlaces,))
        session = await home.session(service, known=False)  # nobody knows who asked: two have to approve
        action = home.action(session, HELD)
        nobody = replace(action, attribution=replace(action.attribution, human=None))
        held = await service.authorize(nobody, home.around)
        assert held.request is not None
        for who in ("riley", "sam"):
            calling.answering(Origin("browser-1"))
            await decide(service, held.request, who, reason="It may go.")
        calling.answering(NOWHERE)
        await following.catch_up()
        assert told(service) == [("riley", "sam", "strong")]
        assert person(service, "sam") is not None

    home.play(story)
