"""Configurations from the command line of a real server: seen, proposed, approved by somebody else, seen again, and what differs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_house import House, environment
from server_process import Process

from keyturn.cli.init import create
from keyturn.errors import ExitCode
from keyturn.home import Home


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="kt-") as folder:
        home = Home(Path(folder).resolve() / "home")
        create(home, "dana", "Dana", "enforce")
        server = Process(home, environ=environment())
        try:
            house = House(server.start())
            house.enrol("riley", "reviewers", "policy")
            yield house
        finally:
            server.stop()


def policy(folder: Path, *actions: str) -> str:
    body = {"deploy": {"Statement": {"Effect": "Allow", "Action": list(actions), "Resource": "*"}}}
    file = folder / f"{len(actions)}.json"
    file.write_text(json.dumps(body))
    return str(file)


def test_the_whole_way_from_the_command_line(house: House, tmp_path: Path) -> None:
    assert house.keyturn("configuration", "list").out == "No configuration was ever seen.\n"
    one, two, three = (policy(tmp_path, *("s3:get", "s3:put", "iam:passrole")[:count]) for count in (1, 2, 3))
    assert (
        "seen for the first time"
        in house.keyturn("configuration", "seen", "iam", one, "--target", "prod").out
    )
    asked = house.keyturn(
        "configuration", "propose", "iam", two, "--target", "prod", "--why", "uploads", "--json"
    ).json
    mine = house.keyturn("approve", asked["id"], "--reason", "mine", "--digest", house.digest(asked["id"]))
    assert mine.code != ExitCode.DONE
    assert (
        house.keyturn(
            "approve",
            asked["id"],
            "--reason",
            "as planned",
            "--digest",
            house.digest(asked["id"]),
            by="riley",
        ).code
        == ExitCode.DONE
    )
    proven = house.keyturn("configuration", "seen", "iam", two, "--target", "prod")
    assert proven.code == ExitCode.DONE
    assert f"PROVEN {asked['id']}" in proven.out
    assert "approved by riley" in proven.out
    drifted = house.keyturn("configuration", "seen", "iam", three, "--target", "prod")
    assert drifted.code == ExitCode.DRIFT
    assert "iam:passrole" in drifted.out
    difference = house.keyturn("configuration", "diff", "prod", "--json")
    assert (difference.code, difference.json["drifted"]) == (ExitCode.DRIFT, 1)
    assert "1 field differ" in house.keyturn("configuration", "list").out
    shown = house.keyturn("configuration", "show", "prod").out
    assert f"change {asked['id']}  used" in shown
    assert [one["kind"] for one in house.keyturn("findings", "--json").json] == ["configuration.unexplained"]


def test_what_is_wrong_is_said_and_nothing_is_recorded(house: House, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("{}")
    wrong = house.keyturn("configuration", "seen", "iam", str(file), "--target", "other")
    assert (wrong.code, "[configuration.malformed]" in wrong.err) == (ExitCode.USAGE, True)
    assert house.keyturn("configuration", "show", "other").code == ExitCode.USAGE
    late = house.keyturn(
        "configuration",
        "propose",
        "iam",
        policy(tmp_path, "s3:get"),
        "--target",
        "other",
        "--why",
        "x",
        "--until",
        "never",
    )
    assert (late.code, "is no time" in late.err) == (ExitCode.USAGE, True)
