"""`keyturn doctor` and `keyturn conditions` say what of a policy nobody could meet."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_world import World

from keyturn.channels.web.conditions import health_lines
from keyturn.identity import OnCall, Person, Roster
from keyturn.policy import STARTER, Policy, read_folder
from keyturn.service.conditions import oncall
from keyturn.service.conditions.health import unmet
from keyturn.service.conditions.overview import overview
from keyturn.service.keyturn import Keyturn

NOW = 1_795_000_000_000
TWO = Roster({name: Person(name, groups=("reviewers",)) for name in ("riley", "sam")})


def found(requirements: str, roster: Roster = TWO, credentials: tuple[str, ...] | None = ()) -> list[str]:
    files = {**read_folder(STARTER), "requirements.toml": requirements.encode()}
    return [f"{one.state}: {one.what}" for one in unmet(Policy.parse(files), roster, credentials, NOW)]


def test_a_policy_that_can_be_met_has_nothing_said_of_it() -> None:
    assert found("[default]\napprove = '2 of reviewers'\n") == []


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        ("[default]\napprove='1 of dba'\n", "bad: 1 of dba is asked for by the default"),
        (
            "[tier.critical]\napprove='3 of reviewers'\n",
            "warn: 3 of reviewers are asked for by [tier.critical], but 2 are in it",
        ),
        (
            "[default]\nescalate='10m to managers'\n",
            "warn: The default escalates to managers, where nobody is",
        ),
        (
            "[freeze.x]\nfrom=2026-01-01T00:00:00Z\nuntil=2027-01-01T00:00:00Z\ndecision='hold'\napprove='1 of release'\n",
            "bad: 1 of release is asked for by [freeze.x]",
        ),
        (
            "[window.a]\nfrom='09:00'\nto='10:00'\n[window.b]\nfrom='10:00'\nto='11:00'\n[default]\nwindow='a, b'\n",
            "bad: The windows a, b, which the default needs, are never open at once",
        ),
        ("[tier.high]\nticket='required'\n", "names no source of tickets: nothing of it can be approved"),
        (
            "[tickets]\nsource='jira'\nurl='https://jira.example.com'\nwindow='ignored'\ncredential='jira'\n",
            "bad: Policy names the credential jira, but sources.toml has no section [jira]",
        ),
    ],
)
def test_what_nobody_can_meet_is_said(requirements: str, words: str) -> None:
    assert any(words in one for one in found(requirements)), found(requirements)


def test_people_are_counted_not_records() -> None:
    twice = Roster({name: Person(name, groups=("reviewers",), os_uids=(7,)) for name in ("riley", "sam")})
    assert any("2 of reviewers" in one for one in found("[default]\napprove='2 of reviewers'\n", twice))


def test_a_group_that_a_schedule_fills_with_nobody_is_said() -> None:
    text = "[default]\napprove='1 of primary'\n[oncall.primary]\nsource='file'\npath='oncall.toml'\n"
    nobody = Roster(TWO.people, (), (OnCall("primary", (), NOW + 1),))
    assert any("Nobody is on call" in one for one in found(text, nobody))
    somebody = Roster(TWO.people, (), (OnCall("primary", ("sam",), NOW + 1),))
    assert not any("primary" in one for one in found(text, somebody))
    over = Roster(TWO.people, (), (OnCall("primary", ("sam",), NOW),))
    assert any("Nobody is on call" in one for one in found(text, over))


def test_the_overview_names_sources_that_fail(tmp_path: Path) -> None:
    text = "[oncall.primary]\nsource='file'\npath='oncall.toml'\n[window.all]\nfrom='00:00'\nto='24:00'\n"
    world = World(tmp_path, policy={**read_folder(STARTER), "requirements.toml": text.encode()})

    async def story(service: Keyturn) -> None:
        await oncall.refresh(service.core)
        seen = overview(service.core)
        assert [(one.name, one.open) for one in seen.windows] == [("all", True)]
        assert [one.group for one in seen.oncall] == ["primary"]
        assert any("The schedule of primary gives no answer" in one.what for one in seen.unmet)
        shown = {(line.name, line.state) for line in health_lines(seen)}
        assert {("Window all", "ok"), ("On call primary", "warning"), ("Conditions", "bad")} <= shown

    world.play(story)
