"""Packs that a real server builds: of a log in PostgreSQL as of one in a file, and what is left of one when the server is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from server_process import GateClient, Process
from test_server_api import Api

from appearing import Appearing
from keyturn.cli.init import create
from keyturn.evidence import verifier
from keyturn.home import Home
from keyturn.service.pack_building import ENDED
from processes import ended

FRAMEWORK = "soc2"


def begun(folder: Path, store: str = "") -> Process:
    """A running server of a fresh home, whose log lies in *store*, or in the home."""
    folder.mkdir(exist_ok=True)
    home = Home(folder / "home")
    if store:
        home.root.mkdir()
        (home.root / "keyturn.toml").write_text(f"store = {json.dumps(store)}\n")
    create(home, "dana", "Dana", "enforce")
    return Process(home).start()


def dana(server: Process) -> Api:
    return Api(server, (server.home.tokens / "dana").read_text().strip())


def lived(server: Process) -> None:
    """Something ran, something was held and denied, somebody was enrolled."""
    gate = GateClient(server.home)
    for command in ("ls -la", "git status", "rm -r build"):
        outcome = gate.authorize(command).outcome
        assert outcome is not None
    assert outcome.request
    gate.close()
    made = dana(server).call("POST", "/v1/people", {"id": "riley", "groups": ["reviewers", "policy"]})[1]
    riley = Api(server, made["token"])
    view = riley.call("GET", f"/v1/requests/{outcome.request}")[1]
    body = {"digest": view["digest"], "display": view["display"], "reason": "Not today."}
    status, said = riley.call("POST", f"/v1/requests/{outcome.request}/deny", body)
    assert status < 300, said


def fetched(server: Process, out: Path) -> None:
    """A pack, asked for from another machine: the server builds it."""
    told = {"KEYTURN_URL": server.url, "KEYTURN_TOKEN_FILE": str(server.home.tokens / "dana")}
    run = [sys.executable, "-m", "keyturn", "evidence", "pack", "--framework", FRAMEWORK, "--from", "1d"]
    done = subprocess.run(
        [*run, "-o", str(out)], env=os.environ | told, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def verified(pack: Path, key: str) -> tuple[int, dict[str, str]]:
    """Exit code of `verify.py` as an auditor runs it, and its verdict of each control test."""
    program = pack.with_suffix(".py")
    program.write_bytes(verifier.text())
    run = [sys.executable, "-I", "-S", str(program), str(pack), "--key", key, "--json"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    controls = json.loads(done.stdout).get("controls") or {"controls": []}
    return done.returncode, {one["control"]: one["verdict"] for one in controls["controls"]}


def vkey_of(pack: Path) -> str:
    with zipfile.ZipFile(pack) as read:
        return read.read("log/log.vkey").decode().strip()


@pytest.mark.postgres
def test_a_server_whose_log_is_in_postgresql_builds_a_pack_with_the_verdicts_of_one_in_a_file(
    tmp_path: Path, postgres_url: str
) -> None:
    found = {}
    for name, store in (("file", ""), ("database", postgres_url)):
        server = begun(tmp_path / name, store)
        try:
            assert server.home.ledger.exists() is not bool(store)
            lived(server)
            pack = tmp_path / f"{name}.zip"
            fetched(server, pack)
        finally:
            server.stop()
        code, found[name] = verified(pack, vkey_of(pack))
        assert code == 0
        assert postgres_url.encode() not in pack.read_bytes()
    assert found["database"] == found["file"]
    assert len(set(found["file"].values())) > 1
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    assert verified(pack, vkey_of(tmp_path / "file.zip"))[0] == 7, "negative control: one bit"


def asked(server: Process) -> str:
    """Ask for a pack and have it built; its id."""
    wish = {"framework": FRAMEWORK, "since": 1, "build": True}
    status, said = dana(server).call("POST", "/v1/evidence/packs", wish)
    assert status == 201, said
    return str(said["pack"]["id"])


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def builder_of(server: Process) -> int:
    """The process that builds a pack."""
    (found,) = [
        one for one in children(server.pid) if b"--again" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
    return found


def state(server: Process, pack: str) -> dict[str, Any]:
    found: dict[str, Any] = dana(server).call("GET", f"/v1/evidence/packs/{pack}")[1]["file"]
    return found


def test_a_server_killed_while_it_builds_a_pack_says_so_offers_nothing_and_builds_it_anew(
    tmp_path: Path,
) -> None:
    server = begun(tmp_path)
    packs = server.home.packs
    packs.mkdir(parents=True)
    seen = Appearing(packs)
    try:
        lived(server)
        first = asked(server)
        half = seen.wait(f".{first}.zip.*")
        second = asked(server)  # waits for its turn
        builder = builder_of(server)
        os.kill(builder, signal.SIGSTOP)  # so that it is in the middle, whatever the machine does
        assert half.is_dir()
        assert not (packs / f"{first}.zip").exists()
        server.kill()
        os.kill(builder, signal.SIGCONT)
        assert ended(builder), "it ends with the server"
        assert not list(packs.glob("*.zip"))
        assert list(packs.glob(".*")), "negative control: something was left"

        server.start()
        assert list(packs.iterdir()) == []
        for pack in (first, second):
            assert state(server, pack) == {"stage": "failed", "bytes": 0, "why": ENDED}
            assert dana(server).call("GET", f"/v1/evidence/packs/{pack}/file")[0] == 409
        assert dana(server).call("POST", f"/v1/evidence/packs/{first}/build")[0] == 202
        made = seen.wait(f"{first}.zip")
        while state(server, first)["stage"] != "ready":  # the builder is ending
            assert state(server, first)["stage"] in ("building", "ready")
    finally:
        server.stop()
        seen.close()
    assert list(packs.iterdir()) == [made]
    code, verdicts = verified(made, vkey_of(made))
    assert code == 0
    assert verdicts
    assert not list(tmp_path.rglob(f".{first}*"))


def test_a_server_that_is_stopped_while_it_builds_leaves_no_process_and_says_so(tmp_path: Path) -> None:
    server = begun(tmp_path)
    packs = server.home.packs
    packs.mkdir(parents=True)
    seen = Appearing(packs)
    try:
        pack = asked(server)
        seen.wait(f".{pack}.zip.*")
        builder = builder_of(server)
        assert server.stop() == 0
        assert ended(builder)
        assert not [one for one in packs.iterdir() if one.is_dir() or one.suffix == ".zip"]
        server.start()
        assert state(server, pack)["why"] == ENDED
        assert list(packs.iterdir()) == []
    finally:
        server.stop()
        seen.close()
