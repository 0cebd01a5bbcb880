"""A house whose own controls can't be read has those that come with Keyturn, and its own are never a pass."""

from __future__ import annotations

from typing import Any

import msgspec

from keyturn.evidence import catalogue
from keyturn.service.house_controls import House, house

GOOD = b"""-- Nobody is alone
-- population: people enrolled in the period
-- exception: there was nobody else to approve it
-- rests on: person
SELECT entry, ts_ms, person AS subject, '' AS exception FROM person, period
WHERE ts_ms >= since_ms AND ts_ms < until_ms ORDER BY entry, subject, exception
"""


def of(files: dict[str, bytes], *, apart: bool = False) -> House:
    """The controls of a policy with these files."""

    named = {path: f"sha256:{path}" for path in files}
    blobs = {f"sha256:{path}": data for path, data in files.items()}
    blobs["sha256:list"] = msgspec.json.encode(named)
    rows: dict[tuple[str, str], dict[str, Any]] = {
        ("policy-active", "active"): {"digest": "p"},
        ("policy", "p"): {"files": {"blob": "sha256:list", "size": 9} if apart else named},
    }
    return house(lambda kind, key: rows.get((kind, key)), blobs.get)


def test_a_house_without_a_policy_or_controls_has_those_that_come_with_keyturn() -> None:
    shipped = catalogue.load()
    assert house(lambda kind, key: None, lambda digest: None).catalogue == shipped
    assert of({"rules/base.cedar": b"permit(principal, action, resource);"}).catalogue == shipped


def test_its_own_tests_are_found_however_many_files_the_policy_has() -> None:
    for apart in (False, True):
        found = of({"controls/queries/ours.sql": GOOD}, apart=apart)
        assert "ours" in found.catalogue.tests
        assert not found.problems


def test_what_can_t_be_read_is_said_and_none_of_it_counts() -> None:
    broken = {
        "controls/queries/ours.sql": GOOD,
        "controls/queries/theirs.sql": b"-- A title\nDELETE FROM person\n",
        "controls/house.toml": b'id = "soc2"\n[[control]]\nid = "X1"\nnonsense = 3\n',
    }
    found = of(broken)
    assert found.catalogue == catalogue.load()
    assert len(found.problems) == 1
    assert set(found.unusable) == {"ours", "theirs"}
    assert all("can't be read" in why for why in found.unusable.values())


def test_a_test_of_its_own_whose_file_was_lost_is_no_error() -> None:
    rows: dict[tuple[str, str], dict[str, Any]] = {
        ("policy-active", "active"): {"digest": "p"},
        ("policy", "p"): {"files": {"controls/queries/ours.sql": "sha256:gone"}},
    }
    found = house(lambda kind, key: rows.get((kind, key)), lambda digest: None)
    assert "ours" not in found.catalogue.tests
