"""What auditors look at is recorded before they see it, once an hour and thing; nobody else's looks are."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_world import World

from keyturn.ledger.errors import LedgerUnwritable
from keyturn.service.keyturn import Keyturn
from keyturn.service.viewing import HOUR_MS, LONGEST, thing


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/controls", ("controls", "")),
        ("/controls/soc2/CC8.1", ("control", "soc2/CC8.1")),
        ("/v1/controls/soc2", ("control", "soc2")),
        ("/ledger/17", ("entry", "17")),
        ("/ledger/17/proof", ("proof", "17")),
        ("/v1/ledger/entries/17", ("entry", "17")),
        ("/v1/ledger/entries/17/proof", ("proof", "17")),
        ("/", ("queue", "")),
        ("/fragments/rows", ("queue", "")),
        ("/v1/limits", ("limits", "")),
        ("/v1/a-route-of-next-year/7", ("a-route-of-next-year", "7")),
        ("/you", None),
        ("/v1/me", None),
        ("/about", None),
        ("/assets/page.css", None),
        ("/v1/openapi.json", None),
    ],
)
def test_a_path_shows_one_thing(path: str, found: tuple[str, str] | None) -> None:
    assert thing(path) == found


@given(st.text(max_size=400))
def test_any_path_is_named_within_bounds(path: str) -> None:
    found = thing(path)
    if found is not None:
        assert all(len(part) <= LONGEST for part in found)


def looks(world: World, *, role: str = "auditor") -> list[dict[str, object]]:
    """What is recorded of a person of that *role* who looks at two things, one of them often, over two hours."""

    async def story(service: Keyturn) -> list[dict[str, object]]:
        core = service.core
        await service.enrol("quinn", name="", groups=[], roles=[role], os_uids=[], by="dana")
        quinn = core.roster.get("quinn")
        assert quinn is not None
        start = core.now()
        at = [start]
        core.clock = lambda: at[0] / 1000
        for minutes, path in (
            (0, "/ledger/3"),
            (1, "/ledger/3"),
            (2, "/controls"),
            (3, "/ledger/3"),
            (61, "/ledger/3"),
        ):
            at[0] = start + minutes * 60_000
            await service.viewing.viewed(quinn, path)
        return [dict(one.fields) for one in core.ledger.entries() if one.type == "evidence.viewed"]

    return world.play(story)


@pytest.fixture
def here(tmp_path: Path) -> World:
    return World(tmp_path)


def test_once_an_hour_and_thing_with_how_often_meanwhile(here: World) -> None:
    found = looks(here)
    assert [(one["by"], one["what"], one["of"], one["times"]) for one in found] == [
        ("quinn", "entry", "3", 1),
        ("quinn", "controls", "", 1),
        ("quinn", "entry", "3", 3),
    ]
    assert int(str(found[2]["to"])) - int(str(found[2]["from"])) == 61 * 60_000 >= HOUR_MS


def test_nobody_else_is_watched_reading(here: World) -> None:
    assert looks(here, role="author") == []


def test_where_it_can_not_be_recorded_nothing_is_shown(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(service: Keyturn) -> None:
        await service.enrol("quinn", name="", groups=[], roles=["auditor"], os_uids=[], by="dana")
        quinn = service.core.roster.get("quinn")
        assert quinn is not None

        async def full(*_: object) -> None:
            raise LedgerUnwritable("The disk is full.")

        monkeypatch.setattr(service.core.ledger, "append", full)
        for _ in range(2):  # a failed look is not remembered as a recorded one
            with pytest.raises(LedgerUnwritable):
                await service.viewing.viewed(quinn, "/controls")

    here.play(story)
