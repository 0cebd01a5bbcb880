"""`kill -9` while a request waits: the server that follows reminds, escalates and ends it, each once, and on its own."""

from __future__ import annotations

from pathlib import Path

from server_process import GateClient, Process

from keyturn.cli.init import create
from keyturn.gates import protocol as wire
from keyturn.home import Home
from keyturn.ledger import leaf
from keyturn.policy import STARTER, read_folder
from keyturn.store import open_store

ASKS = b"[default]\nwithin = '45s'\nremind = '10s'\nescalate = '10s to managers'\n"
"""Escalated as soon as policy allows; a server that starts slowly is still there before the reminder and the end."""


def test_a_killed_server_is_followed_by_one_that_goes_on(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create(home, "dana", "Dana", "enforce", policy={**read_folder(STARTER), "requirements.toml": ASKS})
    process = Process(home).start()
    gate = GateClient(home)
    held = gate.authorize("rm -r build").outcome
    assert held is not None
    assert held.request is not None
    process.kill()
    gate.close()
    process = Process(home).start()
    try:
        again = GateClient(home)
        state = ""
        while state in ("", "waiting"):
            answer = again.ask(wire.Wait(3, held.request, 25.0))
            assert answer.request is not None, answer
            state = answer.request.state
        assert state == "expired", "time never approves"
    finally:
        process.stop()
    store = open_store(str(home.ledger))
    try:
        types = [leaf.read(stored).type for stored in store.entries(0, None)]
    finally:
        store.close()
    found = [name for name in types if name in ("request.reminded", "request.escalated", "request.ended")]
    assert sorted(found) == ["request.ended", "request.escalated", "request.reminded"]
    assert found[-1] == "request.ended"
