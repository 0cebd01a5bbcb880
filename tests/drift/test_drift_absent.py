"""People on leave, and names that several people use: what happens in their name is a finding, and nothing is refused by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_world import HELD, World, decide

from keyturn.drift.attribution import absence
from keyturn.errors import Malformed
from keyturn.identity import Person
from keyturn.service import people, roster_changes
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.noticing import Noticing

DAY = 86_400_000


@given(st.integers(0, 10**13), st.integers(0, 10**13), st.booleans())
def test_a_leave_ends_by_itself_and_a_shared_name_never_does(now: int, until: int, shared: bool) -> None:
    found = Person("riley", away_until=until, shared=shared).absent(now)
    assert found == ("shared" if shared else "away" if now < until else "")


def test_the_end_of_a_leave_is_said_in_words() -> None:
    assert absence("away", 1_798_070_400_000) == "is on leave until 2026-12-24 00:00 UTC"
    assert "several people" in absence("shared", 0)


@pytest.fixture
def home(tmp_path: Path) -> World:
    return World(tmp_path)


async def say(service: Keyturn, who: str, **changes: Any) -> None:
    """The administrator dana, or riley made one, says it."""
    by = service.core.roster.people["dana" if who != "dana" else "ada"]
    made = await roster_changes.change(service.core, who, changes, by=by)
    assert made.request is None  # it gives nobody power


async def asked(home: World, service: Keyturn, script: str, who: str) -> None:
    session = await home.session(service)
    held = await service.authorize(home.action(session, script), home.around)
    assert held.request is not None
    view = await decide(service, held.request, who, reason="It may go.")
    assert view.state == "approved"  # it blocks nothing


async def found(service: Keyturn, following: Following) -> list[tuple[str, str]]:
    await following.catch_up()
    rows = service.core.ledger.rows("finding", newest_first=False)
    kinds = ("sod.absent", "attribution.nobody")
    return [(row["kind"], row["subject"]["person"]) for row in rows if row["kind"] in kinds]


def test_an_approval_on_leave_is_found_and_one_before_or_after_it_is_not(home: World) -> None:
    async def story(service: Keyturn) -> None:
        following = Following(service.core, (Noticing,))
        await asked(home, service, HELD, "riley")
        assert await found(service, following) == []  # negative control
        until = service.core.now() + 14 * DAY
        await say(service, "riley", away_until=until)
        await asked(home, service, "rm -r dist", "riley")
        assert await found(service, following) == [("sod.absent", "riley")]
        await asked(home, service, "rm -r out", "sam")
        assert len(await found(service, following)) == 1
        await say(service, "riley", away_until=0)
        await asked(home, service, "rm -r other", "riley")
        assert len(await found(service, following)) == 1
        shown = people.public(service.core.ledger.row("person", "riley") or {})
        assert (shown["away_until"], shown["shared"]) == (0, False)
        assert service.core.ledger.rebuild(check=True).identical

    home.play(story)


def test_a_name_that_several_people_use_approves_nothing_unseen(home: World) -> None:
    async def story(service: Keyturn) -> None:
        following = Following(service.core, (Noticing,))
        await say(service, "sam", shared=True)
        await asked(home, service, HELD, "sam")
        assert await found(service, following) == [("sod.absent", "sam")]
        await say(service, "sam", shared=False)
        await asked(home, service, "rm -r dist", "riley")
        assert len(await found(service, following)) == 1

    home.play(story)


def test_an_agent_that_acts_for_somebody_on_leave_is_found(home: World) -> None:
    async def story(service: Keyturn) -> None:
        await people.enrol(
            service.core, "ada", name="", groups=[], roles=["admin", "member"], os_uids=[], by="dana"
        )
        following = Following(service.core, (Noticing,))
        session = await home.session(service)
        await service.authorize(home.action(session, "ls"), home.around)
        assert await found(service, following) == []
        await say(service, "dana", away_until=service.core.now() + DAY)
        await service.authorize(home.action(session, "ls -l"), home.around)
        assert await found(service, following) == [("attribution.nobody", "dana")]
        with pytest.raises(Malformed):
            await say(service, "dana", away_until=10**15)

    home.play(story)
