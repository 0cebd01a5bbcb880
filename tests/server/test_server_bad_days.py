"""Bad days of a running server: a full disk, a damaged ledger, a restart while somebody waits. Nothing runs unrecorded."""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from server_process import GateClient, Process

from keyturn.cli.client import Client
from keyturn.cli.init import create
from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates import protocol as wire
from keyturn.home import Home


def keyturn(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line on *home*."""
    command = [sys.executable, "-m", "keyturn", *arguments, "--home", str(home.root)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_when_the_disk_is_full_nothing_runs_and_afterwards_everything_does(server: Process) -> None:
    """Promise 1. The disk is full for this process alone: a limit on the size of files it may write."""
    gate = GateClient(server.home)
    assert gate.authorize("ls").outcome is not None
    full, limit = (1, resource.RLIM_INFINITY), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, full)
    answer = gate.authorize("ls")
    assert answer.outcome is None
    assert answer.error is not None
    assert answer.error["code"] == "ledger.unwritable"
    assert "Nothing ran" in str(answer.error["not_done"])
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, limit)
    outcome = gate.authorize("ls").outcome
    assert outcome is not None
    assert outcome.permit is not None
    server.stop()
    assert keyturn(server.home, "ledger", "verify").returncode == ExitCode.DONE


def test_a_restart_while_somebody_waits_loses_neither_the_request_nor_the_answer(server: Process) -> None:
    dana = Client(server.home, (server.home.tokens / "dana").read_text().strip())
    riley = Client(server.home, dana.post("/v1/people", {"id": "riley", "groups": ["reviewers"]})["token"])
    gate = GateClient(server.home)
    held = gate.authorize("rm -r build").outcome
    assert held is not None
    assert held.request
    server.kill()
    server.start()
    gate = GateClient(server.home)
    answers: list[wire.Answer] = []
    waiting = threading.Thread(target=lambda: answers.append(gate.ask(wire.Wait(5, held.request or "", 60))))
    waiting.start()
    view = riley.get(f"/v1/requests/{held.request}")
    assert view["state"] == "waiting"
    riley.post(f"/v1/requests/{held.request}/approve", {"digest": view["digest"], "display": view["display"]})
    waiting.join(120)
    assert answers[0].request is not None
    assert answers[0].request.state == "approved"


def test_an_expired_request_is_ended_by_the_server_itself(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create(home, "dana", "Dana", "enforce", policy=_impatient(tmp_path))
    server = Process(home).start()
    try:
        gate = GateClient(home)
        held = gate.authorize("rm -r build").outcome
        assert held is not None
        answer = gate.ask(wire.Wait(5, held.request or "", 60))
        assert answer.request is not None
        assert answer.request.state == "expired"
    finally:
        server.stop()


def _impatient(folder: Path) -> dict[str, bytes]:
    from keyturn import policy

    files = policy.read_folder(policy.STARTER)
    files["rules/99-impatient.cedar"] = b"""
@id("impatient")
@hold
@within("10s")
@because("Builds are deleted by people.")
permit (principal, action == Action::"shell", resource) when { context.program == "rm" };
"""
    files["requirements.toml"] = b'[default]\napprove = "1 of reviewers"\nwithin = "10s"\n'
    return {path: data for path, data in files.items() if not path.startswith("tests/")}


def damage_entry(home: Home) -> None:
    """One byte of the last leaf."""
    with sqlite3.connect(home.ledger) as database:
        index, leaf = database.execute(
            f"SELECT {COLUMN}, leaf FROM entry ORDER BY {COLUMN} DESC LIMIT 1"
        ).fetchone()
        changed = leaf.replace(b'"type":"', b'"type":"x', 1)
        database.execute(f"UPDATE entry SET leaf = ? WHERE {COLUMN} = ?", (changed, index))


def damage_tile(home: Home) -> None:
    """One byte of the newest tile."""
    with sqlite3.connect(home.ledger) as database:
        rowid, data = database.execute(
            "SELECT rowid, hashes FROM tile WHERE level = 0 ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        database.execute(
            "UPDATE tile SET hashes = ? WHERE rowid = ?", (bytes([data[0] ^ 1]) + data[1:], rowid)
        )


COLUMN = "idx"


@pytest.mark.parametrize("damage", [damage_entry, damage_tile])
def test_a_damaged_ledger_is_not_written_to_and_verify_says_where(tmp_path: Path, damage: Any) -> None:
    home = Home(tmp_path / "home")
    create(home, "dana", "Dana", "enforce")
    assert keyturn(home, "ledger", "verify").returncode == ExitCode.DONE
    damage(home)
    verified = keyturn(home, "ledger", "verify", "--json")
    assert verified.returncode == ExitCode.DAMAGED
    assert json.loads(verified.stdout)["problems"]
    started = keyturn(home, "serve", "--port", "0")
    assert started.returncode == ExitCode.DAMAGED, started.stderr
    assert "Traceback" not in started.stderr


def test_half_a_home_is_not_left_when_init_fails(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    bad = {**_impatient(tmp_path), "rules/00-bad.cedar": b"permit (this is no policy"}
    with pytest.raises(KeyturnError):
        create(home, "dana", "Dana", "enforce", policy=bad)
    assert not home.exists
    create(home, "dana", "Dana", "enforce")


def test_without_a_home_every_command_says_so_without_a_traceback(tmp_path: Path) -> None:
    home = Home(tmp_path / "none")
    for arguments in (
        ["serve"],
        ["requests"],
        ["ledger", "verify"],
        ["ledger", "log"],
        ["doctor"],
        ["login"],
    ):
        ran = keyturn(home, *arguments)
        assert ran.returncode != 0, arguments
        assert "Traceback" not in ran.stderr + ran.stdout, arguments
