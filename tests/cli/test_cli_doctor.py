"""`keyturn doctor` finds each broken thing, with and without a server, and one does not hide another."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_house import House, environment, keyturn
from server_process import GateClient

from keyturn.cli import examination
from keyturn.cli.init import create
from keyturn.errors import ExitCode
from keyturn.home import Home


@pytest.fixture
def home(folder: Path) -> Home:
    made = Home(folder / "home")
    create(made, "dana", "", "enforce")
    return made


def findings(home: Home, env: dict[str, str] | None = None) -> dict[str, list[str]]:
    """State → what was found, with how to mend it."""
    given = {"HOME": str(home.root.parent), **(env or {})}
    said = keyturn("doctor", "--home", home.root, "--json", env=given)
    found: dict[str, list[str]] = {"ok": [], "warn": [], "bad": []}
    for one in said.json:
        found[one["state"]].append(f"{one['what']} → {one['mend']}")
        assert one["mend"] or one["state"] == "ok", "a finding without a way to mend it"
    assert said.code == (ExitCode.INTERNAL if found["bad"] else ExitCode.DONE)
    assert said.err == ""
    return found


def test_a_fresh_home_without_a_server_has_nothing_bad(home: Home) -> None:
    found = findings(home)
    assert found["bad"] == []
    assert any("No server runs" in one for one in found["warn"])
    assert any("Fewer than two people" in one for one in found["warn"])
    assert any("The ledger verifies: 3 entries." in one for one in found["ok"])
    assert any("The shell parser works." in one for one in found["ok"])


def test_a_running_house_is_well(house: House) -> None:
    found = findings(house.home, house.environment("riley"))
    assert found["bad"] == []
    assert any(f"process {house.server.pid}, page at {house.server.url}" in one for one in found["ok"])
    assert any("You are riley." in one for one in found["ok"])
    assert not any("Fewer than two people" in one for one in found["warn"])


def _damage(home: Home) -> None:
    with sqlite3.connect(home.ledger) as database:
        database.execute(
            "UPDATE entry SET disclosures = CAST(replace(disclosures, 'W', 'X') AS BLOB) WHERE idx = 1"
        )


BROKEN: dict[str, tuple[Callable[[Home], object], str]] = {
    "a key that others can read": (lambda h: h.log_key.chmod(0o644), "keys/log.key"),
    "a token that others can read": (lambda h: (h.tokens / "dana").chmod(0o640), "tokens/dana"),
    "a home that others can enter": (lambda h: h.root.chmod(0o755), "chmod -R go="),
    "a lost permit key": (lambda h: h.permit_key.unlink(), "permit.key is missing"),
    "a lost origin": (lambda h: (h.keys / "origin").unlink(), "origin is missing"),
    "a key that is none": (lambda h: h.log_key.write_text("nonsense"), "can't be read as a key"),
    "another home's key": (lambda h: _other_key(h), "ledger is damaged"),
    "settings that can't be read": (lambda h: h.settings.write_text("port ="), "keyturn.toml"),
    "a setting that is none": (lambda h: h.settings.write_text("prot = 1"), "Did you mean `port`?"),
    "a damaged ledger": (_damage, "The ledger is damaged"),
    "a ledger that is no database": (lambda h: h.ledger.write_bytes(b"x" * 5000), "The ledger can't be verified"),
    "no ledger": (lambda h: [p.unlink() for p in h.root.glob("ledger.db*")], "The ledger can't be verified"),
    "a store that is not there": (
        lambda h: h.settings.write_text('store = "postgresql://127.0.0.1:1/x"'),
        "PostgreSQL can't be reached",
    ),
    "a policy with a mistake": (
        lambda h: (h.policy / "rules" / "mine.cedar").write_text("permit(principal"),
        "is not valid; the version in force has not changed",
    ),
    "a control that names no test": (
        lambda h: write(h.policy / "controls" / "mine.toml", 'id = "soc2"\n[[control]]\nid = "X"\ntests = ["x"]\n'),
        "there is no test 'x'",
    ),
    "a policy whose cases are wrong": (
        lambda h: (h.policy / "tests" / "mine.toml").write_text('[[must_refuse]]\ncommand = "ls"\n'),
        "cases are wrong",
    ),
}  # fmt: skip


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def _other_key(home: Home) -> None:
    other = Home(home.root.parent / "other")
    create(other, "dana", "", "enforce")
    home.log_key.write_bytes(other.log_key.read_bytes())


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_thing_is_found(home: Home, name: str) -> None:
    breaking, words = BROKEN[name]
    assert not any(words in one for one in findings(home)["bad"])
    breaking(home)
    found = findings(home)
    assert any(words in one for one in found["bad"]), found
    if "settings" not in name and "setting" not in name:
        assert any("The shell parser works." in one for one in found["ok"]), "one finding hid the others"


def test_in_words_it_ends_with_a_count(home: Home) -> None:
    home.log_key.chmod(0o644)
    said = keyturn("doctor", "--home", home.root)
    assert said.code == ExitCode.INTERNAL
    assert said.out.count("\nbad ") + said.out.startswith("bad ") == 1
    assert "      → chmod -R go= " in said.out
    assert said.err.startswith("1 thing bad, ")


def test_several_tokens_in_one_home_are_named(home: Home) -> None:
    (home.tokens / "riley").touch(mode=0o600)
    assert any(
        "Tokens of several people lie in this home (dana, riley)" in one for one in findings(home)["warn"]
    )


def test_a_token_file_that_others_can_read_is_bad(home: Home, folder: Path) -> None:
    file = folder / "token"
    file.write_text("x")
    file.chmod(0o644)
    assert any(
        f"Others than the owner can read {file}" in one
        for one in findings(home, {"KEYTURN_TOKEN_FILE": str(file)})["bad"]
    )


def test_a_policy_that_was_edited_and_not_published_is_named(home: Home) -> None:
    rules = home.policy / "rules" / "20-read.cedar"
    rules.write_text(rules.read_text() + "\n// a comment\n")
    assert any("not the version in force" in one for one in findings(home)["warn"])


def test_a_misspelt_variable_is_named(home: Home) -> None:
    assert any("Did you mean KEYTURN_PORT?" in one for one in findings(home, {"KEYTURN_PROT": "1"})["warn"])


def test_a_server_that_was_killed_is_told_from_one_that_never_ran(own_house: House) -> None:
    own_house.server.kill()
    found = findings(own_house.home)
    assert any(f"process {own_house.server.pid}) ended without saying so" in one for one in found["warn"])


def test_a_port_that_is_taken_is_found(house: House, home: Home) -> None:
    port = house.server.url.rpartition(":")[2]
    assert any(
        f":{port} can't be listened on" in one for one in findings(home, {"KEYTURN_PORT": port})["bad"]
    )


def test_a_server_with_a_full_disk_is_bad(own_house: House) -> None:
    gate = GateClient(own_house.home)
    infinite = resource.RLIM_INFINITY
    resource.prlimit(own_house.server.pid, resource.RLIMIT_FSIZE, (1, infinite))
    try:
        gate.authorize("ls")
        found = findings(own_house.home)
        ready = any("The server answers: ok" in one for one in found["ok"])
        assert ready or any("can't record" in one for one in found["bad"])
    finally:
        resource.prlimit(own_house.server.pid, resource.RLIMIT_FSIZE, (infinite, infinite))
        gate.close()


def test_a_disk_that_is_nearly_full_is_bad(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any("MiB are free" in one for one in findings(home)["bad"])
    monkeypatch.setattr(examination, "MIN_FREE_BYTES", 2**80)
    assert any("MiB are free" in one for one in findings(home)["bad"])


def test_a_path_too_long_for_a_socket_is_found(home: Home) -> None:
    long = Home(home.root.rename(home.root.with_name("h" * 100)))
    assert any("a socket's path has at most 107" in one for one in findings(long)["bad"])
    said = keyturn("serve", "--home", long.root, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "home.path_too_long")
    assert (
        keyturn("init", "--home", long.root.with_name("i" * 100), "--json").error["code"]
        == "home.path_too_long"
    )


def test_a_missing_shell_parser_is_found(home: Home, folder: Path) -> None:
    """A Python that has no shfmt beside it, and none on PATH."""
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    env = {**environment(PATH="/nonexistent"), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run(
        [str(python), "-m", "keyturn", "doctor", "--home", str(home.root)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == ExitCode.INTERNAL, ran
    assert "The shell parser does not work, so every command is held" in ran.stdout
    assert "The ledger verifies" in ran.stdout


def test_wired_hooks_that_were_changed_are_found(home: Home, folder: Path) -> None:
    env = {"HOME": str(folder), "KEYTURN_HOME": str(home.root)}
    assert any("No client is wired" in one for one in findings(home)["warn"])
    assert keyturn("hook", "install", "claude-code", "--yes", env=env).code == ExitCode.DONE
    assert any("claude-code (user): wired" in one for one in findings(home)["ok"])
    settings = folder / ".claude" / "settings.json"
    settings.write_text(settings.read_text().replace("PreToolUse", "PostToolUse2"))
    assert any("claude-code (user): changed since it was wired" in one for one in findings(home)["bad"])


def test_no_home_is_said_first(folder: Path) -> None:
    for made in (False, True):
        if made:
            (folder / "none").mkdir()
        said = keyturn("doctor", "--home", folder / "none", "--json")
        assert said.code == ExitCode.INTERNAL
        (one,) = said.json
        assert "keyturn init" in one["mend"]


# --- control tests ------------------------------------------------------------------------------------------------


def _tested(home: Home, *problems: str) -> None:
    """A run of the control tests is recorded."""
    from keyturn.ledger.entries import Draft
    from keyturn.server import open_service
    from keyturn.service.settings import load

    service = open_service(home, load(home.root))
    try:
        fields = {
            "id": "t_1", "since": 0, "until": 1, "size": 3, "root": "", "why": "schedule", "results": [], "changed": [],
            "every": 3600, "by": "", "problems": list(problems),
        }  # fmt: skip
        service.core.ledger.append_sync([Draft("control.tested", fields)])
    finally:
        service.core.ledger.close()


@pytest.mark.parametrize("ran", [False, True])
def test_control_tests_that_are_overdue_are_said_with_what_to_do(
    home: Home, monkeypatch: pytest.MonkeyPatch, ran: bool
) -> None:
    if ran:
        _tested(home)
    assert [one.state for one in examination._controls(home)] == (
        ["ok"] if ran else []
    )  # the negative control
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 5 * 3600)
    (late,) = examination._controls(home)
    assert late.state == "warn"
    assert ("were last tested 5 hours ago" if ran else "were never tested in 5 hours") in late.what
    assert "should be every 60 minutes" in late.what
    assert "keyturn evidence test" in late.mend


def test_problems_of_the_last_run_and_tests_that_are_switched_off_are_said(home: Home) -> None:
    _tested(home, "Tables at hand were not what the log gives, and were made again: person.")
    home.settings.write_text("[evidence]\nevery = 0\n")
    said = "\n".join(findings(home)["warn"])
    assert "Tables at hand were not what the log gives" in said
    assert "`[evidence] every` is 0" in said


@pytest.mark.parametrize(
    ("trouble", "mend"),
    [
        ("The tests failed: exit code -9.", "for want of memory"),
        ("The tests took longer than 10 seconds and were ended.", "Raise `limit`"),
        ("The tests failed: The disk is full.", "keyturn evidence test"),
    ],
)
def test_a_run_that_was_killed_hung_or_failed_has_something_to_do(trouble: str, mend: str) -> None:
    assert mend in examination._mend(trouble)


def test_a_run_that_a_server_could_not_finish_is_said(house: House) -> None:
    env = house.environment("dana")
    assert not any("came to nothing" in one for one in findings(house.home, env)["warn"])
    if house.home.evidence.exists():
        house.home.evidence.rename(house.home.evidence.with_name("aside"))
    house.home.evidence.write_text("in the way")  # the run has nowhere to keep its tables
    assert house.keyturn("evidence", "test", "--record").code != ExitCode.DONE
    assert any("came to nothing" in one for one in findings(house.home, env)["warn"])
