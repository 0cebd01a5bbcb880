"""`kill -9` of the server under load (promises 1 and 5): what was acknowledged is there; a permit is used at most once."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from pathlib import Path

from server_process import GateClient, Process

from keyturn.cli.init import create
from keyturn.errors import KeyturnError
from keyturn.gates import protocol as wire
from keyturn.home import Home
from keyturn.ledger import leaf, verify
from keyturn.store import open_store

KILLS = int(os.environ.get("KEYTURN_KILLS", "6"))
CLIENTS = 8


class Load(threading.Thread):
    """A gate that asks and uses permits until the server is gone. `acted` are acknowledged action ids."""

    def __init__(self, home: Home, enough: threading.Semaphore) -> None:
        super().__init__(daemon=True)
        self.home, self.enough = home, enough
        self.acted: list[str] = []
        self.used: list[str] = []
        self.unsure: list[tuple[str, str]] = []

    def run(self) -> None:
        """Ask, use, remember; every acknowledged answer counts towards the moment of the kill."""
        try:
            gate = GateClient(self.home)
            while True:
                outcome = gate.authorize("ls -la").outcome
                assert outcome is not None
                assert outcome.permit is not None
                self.acted.append(outcome.action)
                self.enough.release()
                token = outcome.permit.token
                self.unsure.append((token, outcome.digest))
                answer = gate.ask(wire.Consume(2, token, outcome.digest, gate.gate.name))
                assert answer.action == outcome.action
                self.used.append(outcome.permit.id)
                self.unsure.pop()
        except (OSError, EOFError):
            return


def test_a_killed_server_loses_nothing_it_acknowledged_and_uses_no_permit_twice(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    create(home, "dana", "Dana", "enforce")
    chance = random.Random(7)
    acted: list[str] = []
    used: list[str] = []
    again: list[tuple[str, str]] = []
    for _ in range(KILLS):
        process = Process(home).start()
        retry(home, again)
        enough = threading.Semaphore(0)
        load = [Load(home, enough) for _ in range(CLIENTS)]
        for client in load:
            client.start()
        for _ in range(chance.randrange(1, 200)):
            enough.acquire()
        process.kill()
        for client in load:
            client.join()
            acted += client.acted
            used += client.used
            again += client.unsure
    check(home, acted, used)


def retry(home: Home, unsure: list[tuple[str, str]]) -> None:
    """Try every permit again whose use was not acknowledged, twice: at most one of all tries may open."""
    if not unsure:
        return
    gate = GateClient(home)
    for token, digest in unsure:
        for _ in range(2):
            gate.ask(wire.Consume(3, token, digest, gate.gate.name))
    gate.close()
    unsure.clear()


def check(home: Home, acted: list[str], used: list[str]) -> None:
    """Every acknowledgement is in the log, once; and the log verifies."""
    store = open_store(str(home.ledger), writer=False)
    try:
        verdict = verify.verify(store)
        assert verdict.intact, verdict.problems
        actions: set[str] = set()
        permits: Counter[str] = Counter()
        for entry in store.entries():
            fields = leaf.read(entry).fields
            if entry.type == "action.decided":
                actions.add(fields["id"])
            if entry.type == "permit.consumed":
                permits[fields["permit"]] += 1
    finally:
        store.close()
    assert len(acted) == len(set(acted))
    assert set(acted) <= actions
    assert set(used) <= set(permits)
    assert max(permits.values()) == 1


def test_the_check_itself_finds_a_lost_entry(tmp_path: Path) -> None:
    """Negative control: an acknowledgement that the log does not hold is noticed."""
    home = Home(tmp_path / "home")
    create(home, "dana", "Dana", "enforce")
    process = Process(home).start()
    gate = GateClient(home)
    outcome = gate.authorize("ls").outcome
    assert outcome is not None
    assert outcome.permit is not None
    gate.ask(wire.Consume(2, outcome.permit.token, outcome.digest, gate.gate.name))
    process.stop()
    check(home, [outcome.action], [outcome.permit.id])
    for acted, used in (([outcome.action, "a_lost"], []), ([], ["p_lost"])):
        try:
            check(home, acted, used)
        except AssertionError:
            continue
        raise KeyturnError("the check did not notice a lost entry")
