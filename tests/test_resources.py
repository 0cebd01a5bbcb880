"""Zones and labels: nothing gets out of its zone by spelling, and a label on a folder holds for all in it."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keyturn.resources import (
    ZONES,
    Label,
    Surroundings,
    absolute,
    host_labels,
    host_zone,
    inside,
    path_labels,
    zone,
)

AROUND = Surroundings(
    cwd="/home/ana/code/src",
    workspace="/home/ana/code",
    home="/home/ana",
    protected=("/home/ana/.keyturn", "/home/ana/code/.claude/settings.json"),
    labels=(
        Label("secret", paths=("~/.ssh", ".env", "*.pem", "config/secrets"), hosts=()),
        Label(
            "production",
            paths=("/srv/prod/**/*.sql", "/srv/live/*"),
            hosts=("*.prod.example.com", "10.0.0.*"),
        ),
    ),
)


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/home/ana/code", "workspace"),
        ("/home/ana/code/src/a.py", "workspace"),
        ("/home/ana/codeshop/a", "home"),
        ("/home/ana/code/.claude/settings.json", "keyturn"),
        ("/home/ana/.keyturn/log.db", "keyturn"),
        ("/home/ana/.bashrc", "home"),
        ("/home/ben/x", "outside"),
        ("/tmp/x", "temporary"),
        ("/tmpx", "outside"),
        ("/etc/passwd", "system"),
        ("/var/tmp/x", "temporary"),
        ("/var/lib/x", "system"),
        ("/dev/null", "device"),
        ("/dev/fd/3", "device"),
        ("/dev/sda", "system"),
        ("/", "system"),
        ("/data", "outside"),
    ],
)
def test_where_a_path_lies(path: str, expected: str) -> None:
    assert zone(path, AROUND) == expected
    assert expected in ZONES


@pytest.mark.parametrize(
    "path, expected",
    [
        ("../../../../etc/passwd", "system"),
        ("../../.ssh/id_ed25519", "home"),
        ("/home/ana/code/../../ben/x", "outside"),
        ("/home/ana/code/./../.keyturn/log.db", "keyturn"),
        ("//etc//passwd", "system"),
        ("/dev/fd/../sda", "system"),
        ("/dev/null/../sda", "system"),
        ("a/../../b", "workspace"),
        ("/../../home/ana/code/x", "workspace"),
    ],
)
def test_dots_do_not_lead_out_of_a_zone_unseen(path: str, expected: str) -> None:
    assert zone(absolute(path, AROUND), AROUND) == expected
    if path.startswith("/"):
        assert zone(path, AROUND) == expected  # also when the caller forgot to normalise


components = st.lists(st.sampled_from(["..", ".", "", "a", "work", ".keyturn"]), max_size=8)


@given(components)
@example(["..", ".keyturn"])
def test_the_spelling_of_a_path_does_not_change_its_zone(parts: list[str]) -> None:
    written = "/home/ana/code/" + "/".join(parts)
    assert zone(written, AROUND) == zone(posixpath.normpath(written), AROUND)
    assert path_labels(written, AROUND) == path_labels(posixpath.normpath(written), AROUND)


def test_a_check_that_only_compares_beginnings_would_be_fooled() -> None:
    """Negative control of the two tests above."""
    assert inside("/home/ana/code/../.keyturn/log.db", "/home/ana/code")


@pytest.mark.parametrize("workspace", ["/", "//", "/x/.."])
def test_an_agent_started_at_the_root_does_not_own_the_machine(workspace: str) -> None:
    around = Surroundings(workspace=workspace, home="/root")
    assert zone("/etc/passwd", around) == "system"
    assert zone("/data", around) == "outside"


def test_without_workspace_or_home_nothing_lies_in_them() -> None:
    assert zone("/home/ana/x", Surroundings()) == "outside"
    assert absolute("~/x", Surroundings(cwd="/w")) == "/w/~/x"
    assert absolute("~", AROUND) == "/home/ana"


@pytest.mark.parametrize(
    "path, expected",
    [
        ("/home/ana/.ssh", ("secret",)),
        ("/home/ana/.ssh/keys/id", ("secret",)),
        ("/home/ben/.ssh/id", ()),
        ("/home/ana/code/.env", ("secret",)),
        ("/home/ana/code/prod.env", ()),
        ("/srv/x.pem", ("secret",)),
        ("/srv/config/secrets/a", ("secret",)),
        ("/srv/myconfig/secrets/a", ()),
        ("/srv/prod/a.sql", ("production",)),
        ("/srv/prod/a/b/c.sql", ("production",)),
        ("/srv/prod/a.sqlx", ()),
        ("/srv/live/x/y", ("production",)),
        ("/srv/live", ()),
        ("/srv/prod/key.pem/../a.sql", ("production",)),
        ("/srv/prod/db.pem/x.sql", ("production", "secret")),
    ],
)
def test_labels_of_paths(path: str, expected: tuple[str, ...]) -> None:
    assert path_labels(path, AROUND) == expected


def test_while_the_home_is_unknown_its_patterns_hold_in_any_folder() -> None:
    around = Surroundings(labels=(Label("secret", paths=("~/.ssh",)),))
    assert path_labels("/home/zoe/.ssh/id", around) == ("secret",)
    assert path_labels("/home/zoe/ssh", around) == ()


def test_a_long_path_and_a_greedy_pattern_cost_linear_time() -> None:
    """Counted in comparisons, not seconds: each name is looked at a bounded number of times for each `**`."""
    around = Surroundings(labels=(Label("x", paths=("/**/a/**/a/**/a/**/b",)),))
    assert path_labels("/a" * 20_000, around) == ()


@pytest.mark.parametrize(
    "host, expected",
    [
        ("localhost", "loopback"),
        ("LOCALHOST.", "loopback"),
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("127.1", "loopback"),
        ("2130706433", "loopback"),
        ("0x7f.0.0.1", "loopback"),
        ("0177.0.0.1", "loopback"),
        ("0.0.0.0", "loopback"),
        ("0", "loopback"),
        ("[::1]", "loopback"),
        ("::", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("127.0.0.1.evil.example", "network"),
        ("127.evil.example", "network"),
        ("localhost.evil.example", "network"),
        ("10.0.0.1", "network"),
        ("128.0.0.1", "network"),
        ("256.0.0.1", "network"),
        ("example.org", "network"),
        ("[::2]", "network"),
        ("", "network"),
    ],
)
def test_only_this_machine_is_loopback_however_it_is_spelled(host: str, expected: str) -> None:
    assert host_zone(host) == expected


@pytest.mark.parametrize(
    "host, expected",
    [
        ("db.prod.example.com", ("production",)),
        ("DB.Prod.Example.com.", ("production",)),
        ("prod.example.com", ()),
        ("db.prod.example.com.evil.example", ()),
        ("10.0.0.7", ("production",)),
        ("167772167", ("production",)),
        ("10.0.1.7", ()),
    ],
)
def test_labels_of_hosts(host: str, expected: tuple[str, ...]) -> None:
    assert host_labels(host, AROUND) == expected


@given(st.text(max_size=40))
def test_any_text_has_a_zone(text: str) -> None:
    assert zone(absolute(text, AROUND), AROUND) in ZONES
    assert host_zone(text) in ("loopback", "network")
    path_labels(text, AROUND)
    host_labels(text, AROUND)
