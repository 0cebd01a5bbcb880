"""Folders of retention rules: what is too old is found, what is gone is recorded, and what can't be seen says nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_world import World, person

from keyturn.drift.folders import Look, Lying, drift, late, lies_in, missing
from keyturn.policy.drift import read_drift
from keyturn.policy.drift.retention import Retention
from keyturn.policy.folder import STARTER, read_folder
from keyturn.service import artefacts, legal_holds
from keyturn.service.artefacts import Retaining
from keyturn.service.folder_scans import FolderScans, looked
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn

HOUR = 3_600_000
RULE = Retention("customer-data", ("customer",), 24 * 3600, because="the privacy notice")
names = st.sampled_from(["/c/a", "/c/b/x", "/c", "/cc/a", "/d/a"])
files = st.lists(st.builds(Lying, st.integers(0, 100 * HOUR), names), max_size=8).map(tuple)


@given(files, st.integers(1, 100), st.integers(0, 200 * HOUR), st.sets(names))
def test_late_is_exactly_what_is_old_and_has_no_clock(
    lying: tuple[Lying, ...], hours: int, now: int, known: set[str]
) -> None:
    found = late(Look("/c", lying, True), hours * 3600, now, known)
    assert list(found) == sorted(found)
    for one in lying:
        assert (one in found) == (now - one.changed >= hours * HOUR and one.path not in known)


@given(files, st.sets(names), st.booleans())
def test_gone_is_only_what_belongs_there_and_was_looked_for(
    lying: tuple[Lying, ...], kept: set[str], whole: bool
) -> None:
    gone = missing(Look("/c", lying, whole), kept)
    assert whole or gone == ()
    for path in kept:
        there = path in {one.path for one in lying}
        assert (path in gone) == (whole and path.startswith("/c/") and not there)
    assert not lies_in("/c", "/cc/a")


def test_a_folder_is_one_finding_with_its_oldest_file() -> None:
    old = tuple(Lying(n * HOUR, f"/c/{n}") for n in range(7))
    told = drift(RULE, Look("/c", (*old, Lying(99 * HOUR, "/c/new")), True), old, 100 * HOUR)
    assert told.key == ("customer-data", "/c")
    assert told.words == "7 files in /c should have been deleted by now: 0, 1, 2, 3, 4 and 2 more."
    assert told.observed == "7 of 8 files are older; the oldest was changed 100 hours ago"
    assert told.expected.endswith("the privacy notice")
    assert told.since is not None
    assert (told.since.earliest, told.since.latest) == (24 * HOUR, 30 * HOUR)


@pytest.mark.parametrize(
    "line",
    ['folders = ["cache"]', 'folders = ["/"]', 'folders = ["/a/../b"]', 'scan = "1s"', 'scan = "often"'],
)
def test_a_mistake_is_told(line: str) -> None:
    head = '[retention.r]\nlabels = ["customer"]\nkeep = "24h"\n'
    assert len(read_drift(f"{head}{line}\n".encode())[1]) == 1
    rules, problems = read_drift(f'{head}folders = ["/srv/cache/"]\nscan = "never"\n'.encode())
    assert problems == []
    assert (rules.retention["r"].folders, rules.retention["r"].scan) == (("/srv/cache",), 0)


def test_links_are_not_followed_and_what_is_not_there_is_not_whole(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "far").write_text("x")
    (inside / "near").write_text("x")
    (inside / "link").symlink_to(outside)
    look = looked(str(inside))
    assert look.whole
    assert {Path(one.path).name for one in look.files} <= {"near", "link"}
    assert not looked(str(tmp_path / "nowhere")).whole


class House:
    def __init__(self, tmp_path: Path) -> None:
        self.cache = tmp_path / "home-cache"
        self.cache.mkdir()
        starter = read_folder(STARTER)
        kept = {name: data for name, data in starter.items() if not name.startswith(("rules/", "tests/"))}
        kept["resources.toml"] += b'\n[[label]]\nname = "customer"\npaths = ["customers.csv"]\n'
        rule = f'[retention.customer-data]\nlabels = ["customer"]\nkeep = "24h"\nfolders = ["{self.cache}"]\n'
        run = b'@id("all") @because("a test") permit(principal, action, resource);\n'
        self.world = World(tmp_path, policy={**kept, "drift.toml": rule.encode(), "rules/all.cedar": run})

    def put(self, name: str, hours: float, service: Keyturn) -> None:
        path = self.cache / name
        path.write_text("x")
        changed = service.core.now() / 1000 - hours * 3600
        os.utime(path, (changed, changed))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def found(service: Keyturn) -> list[str]:
    rows = service.core.ledger.rows("finding", newest_first=False)
    return [row["observed"] for row in rows if row["kind"] == "retention.found"]


def test_old_files_in_a_cache_are_found_at_the_next_look_and_young_ones_are_not(house: House) -> None:
    async def story(service: Keyturn) -> None:
        following = Following(service.core, (FolderScans,))
        house.put("young", 10, service)
        now = service.core.now()
        await following.tick(now)
        assert found(service) == []  # negative control
        house.put("old", 25, service)
        await following.tick(now + HOUR // 2)
        assert found(service) == []  # it is not time to look
        await following.tick(now + HOUR // 2 + HOUR)
        assert found(service) == ["1 of 2 files are older; the oldest was changed 26 hours ago"]
        await following.tick(now + 3 * HOUR)
        assert len(found(service)) == 1  # while it is open
        assert following.failed == 0

    house.world.play(story)


def test_under_a_legal_hold_nothing_is_found(house: House) -> None:
    async def story(service: Keyturn) -> None:
        following = Following(service.core, (FolderScans,))
        house.put("old", 48, service)
        await legal_holds.place(service.core, "label", "customer", "case 7", person(service, "dana"))
        await following.tick(service.core.now())
        assert found(service) == []

    house.world.play(story)


def test_an_artefact_that_is_not_there_any_more_is_gone_and_one_that_is_has_its_own_clock(
    house: House,
) -> None:
    async def story(service: Keyturn) -> None:
        session = await house.world.session(service)
        for name in ("stays", "goes"):
            action = house.world.action(session, f"cat customers.csv > {house.cache}/{name}")
            await service.authorize(action, house.world.around, consume=True)
            house.put(name, 48, service)
        following = Following(service.core, (Retaining, FolderScans))
        await following.catch_up()
        (house.cache / "goes").unlink()
        now = service.core.now()
        await following.tick(now)
        assert [one.state for one in artefacts.views(service.core, ("kept",))] == [
            "kept"
        ] * 2  # it may be under way
        await following.tick(now + HOUR + 1)
        assert found(service) == []
        states = {
            Path(one.path).name: (one.state, one.ended)
            for one in artefacts.views(service.core, ("kept", "gone"))
        }
        assert states == {"stays": ("kept", ""), "goes": ("gone", "scan")}
        # A folder that is away says nothing.
        house.cache.rename(house.cache.parent / "away")
        following = Following(service.core, (FolderScans,))
        await following.tick(now + 2 * HOUR)
        assert [one.state for one in artefacts.views(service.core, ("kept",))] == ["kept"]

    house.world.play(story)
