"""kill -9 at any moment loses no acknowledged entry. KEYTURN_KILLS sets how many times (20 unless told)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_home import ORIGIN, Home, fold

from keyturn.ledger import Ledger
from keyturn.ledger.verify import verify
from keyturn.store import StoreInUse, open_store

KILLS = int(os.environ.get("KEYTURN_KILLS", "20"))

CHILD = """
import asyncio, os, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_home import ORIGIN, draft, fold
from keyturn.ledger import Ledger
from keyturn.ledger.entries import Draft
from keyturn.store import open_store

store, life = open_store(sys.argv[1]), sys.argv[2]
ledger = Ledger.open(store, Ed25519PrivateKey.from_private_bytes(b"k" * 32), ORIGIN, fold)

async def client(number):
    i = 0
    while True:
        once = f"once:{life}:{number}:{i}"
        entries = await ledger.append(
            [draft(i, f"c{number}", life=life), Draft("permit.consumed", {"big": "x" * 5000 if i % 7 == 0 else i}, f"c{number}", once)]
        )
        # one write to a pipe of less than 4 KiB: it arrives whole or not at all
        os.write(1, b"".join(b"%d %s\\n" % (e.index, e.leaf.hex()[:64].encode()) for e in entries))
        i += 1

async def main():
    await asyncio.gather(*(client(number) for number in range(8)))

asyncio.run(main())
"""


def live_and_die(path: Path, life: int, seconds: float) -> list[tuple[int, str]]:
    """Run the child until it has acknowledged something and some time more, kill it, give what it acknowledged."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(life)],
        stdout=subprocess.PIPE,
        bufsize=0,
        env=environment,
    )
    assert child.stdout is not None
    first = child.stdout.readline()
    assert first, "the child must acknowledge something before it dies"
    reader = subprocess.Popen(["cat"], stdin=child.stdout, stdout=subprocess.PIPE)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    child.wait()
    rest, _ = reader.communicate()
    child.stdout.close()
    lines = (first + rest).decode().splitlines()
    return [(int(index), start) for index, start in (line.split(" ") for line in lines)]


@pytest.mark.slow
@pytest.mark.timeout(60 + 15 * KILLS)
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    chance = random.Random(11)
    acknowledged: dict[int, str] = {}
    for life in range(KILLS):
        for index, start in live_and_die(path, life, chance.random() * 0.3):
            assert index not in acknowledged, "an index was given twice"
            acknowledged[index] = start
    key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    ledger = Ledger.open(open_store(path), key, ORIGIN, fold)
    try:
        verdict = verify(ledger._store, ledger.vkey)
        assert verdict.intact, verdict.problems
        present = {entry.index: entry.leaf.hex()[:64] for entry in ledger.entries()}
        assert sorted(present) == list(range(ledger.size))
        assert {index: present.get(index) for index in acknowledged} == acknowledged
        assert len(acknowledged) >= 2 * KILLS
        assert ledger.size % 2 == 0, "two drafts of one plan are recorded together or not at all"
        assert ledger.rebuild(check=True).identical
    finally:
        ledger.close()


def test_a_home_whose_server_was_killed_opens_at_once_and_one_whose_server_lives_does_not(home: Home) -> None:
    home.open().close()
    script = "import sys, time; from keyturn.store import open_store; s = open_store(sys.argv[1]); print('up', flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", script, str(home.path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"up\n"
    with pytest.raises(StoreInUse, match=f"process {child.pid}") as refused:
        open_store(home.path)
    assert refused.value.details["pid"] == child.pid
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert home.open().size == 0
