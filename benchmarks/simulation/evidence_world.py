"""A house's log of any size, for measuring evidence: real leaves, tree and checkpoint, written into a real store in batches.

What it looks like: sessions of 40 actions, each decided, its permit used, its receipt given; every tenth is held, approved by one or
two people, one in twenty of those with signatures; a heartbeat every five minutes, findings that people judge, a policy version a
week. Of every thousand held actions one is approved by its initiator, so that there is something to find.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.merkle import leaf_hash
from keyturn.ledger.storage import Batch
from keyturn.ledger.tiles import Tree
from keyturn.store import open_store

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "evidence"))
if TYPE_CHECKING:
    from tests.evidence.signed_world import SignedWorld
else:
    from signed_world import SignedWorld

ORIGIN = "keyturn.local/world"
KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)
SIGNER = Signer(ORIGIN, KEY)
START = 1_767_225_600_000
"""2026-01-01."""
QUARTER = 90 * 86_400_000
BATCH = 8_192
A_SESSION = 40
EVERY = 300_000
PEOPLE = ("bea", "cyd", "dee", "eve")
SCRIPTS = (
    "ls -la", "git status --short", "git diff --stat HEAD~1", "sed -n 1,80p src/app.py", "grep -rn 'TODO' src", "pytest -q tests/unit",
    "cat package.json", "make build", "npm run lint -- --fix", "kubectl get pods -n staging", "psql -c 'select count(*) from orders'",
)  # fmt: skip


def write(path: Path, actions: int, seed: int = 7) -> int:
    """A log of *actions* actions over a quarter, in a new store at *path*; how many entries it has."""
    house = _House(path, seed)
    try:
        return house.live(actions)
    finally:
        house.store.close()


class _House:
    def __init__(self, path: Path, seed: int) -> None:
        self.store = open_store(path)
        self.world = SignedWorld(START)
        self.dice = random.Random(seed)
        self.tree = Tree()
        self.beaten = START
        self.held = 0

    def live(self, actions: int) -> int:
        self.world.begin()
        pace = QUARTER / max(1, -(-actions // A_SESSION))
        for number in range(-(-actions // A_SESSION)):
            began = START + int(number * pace)
            self.beat(began)
            self.world.now = max(self.world.now, began)
            self._session(number, min(A_SESSION, actions - number * A_SESSION))
            if len(self.world.made) >= BATCH:
                self._flush()
        self.beat(START + QUARTER)
        self._flush()
        return self.tree.size

    def beat(self, until: int) -> None:
        """Heartbeats that are due, each at its time or as soon as the entry before it is recorded."""
        while self.beaten + EVERY <= until:
            self.beaten += EVERY
            self.world.now = max(self.world.now, self.beaten)
            self.world.heartbeat()

    def _session(self, number: int, actions: int) -> None:
        world, dice = self.world, self.dice
        agent = f"agent-{number % 23}"
        person = ("mia", "noa")[number % 2]
        session = world.session(agent=agent, person=person)
        for _ in range(actions):
            if dice.random() < 0.1:
                self._held(session, agent, person)
            else:
                self.beat(world.now)
                world.ran(session, agent=agent, person=person, **self._what(dice.choice(SCRIPTS)))
        world.close(session)
        if number % 25 == 0:
            found = world.finding("practice.volume", "low", about={"agent": agent})
            world.add("finding.viewed", {"finding": found, "by": "dee", "ran": 3})
            world.add(
                "finding.closed",
                {
                    "finding": found,
                    "by": "dee",
                    "outcome": "false-alarm",
                    "reason": "A release.",
                    "change": "",
                },
            )
        if number % 1000 == 999:
            world.publish(str(number))

    def _held(self, session: str, agent: str, person: str) -> None:
        self.held += 1
        approvers = self.dice.sample(PEOPLE, 1 if self.held % 3 else 2)
        if self.held % 1000 == 0:
            approvers = [person]
        need = f"{len(approvers)} of reviewers"
        signed = self.held % 20 == 0 and person not in approvers
        self.world.approved(session, *approvers, agent=agent, person=person, approve=need, signed=signed)

    def _what(self, script: str) -> dict[str, Any]:
        """What makes the action as large as real ones are: its reading, and what it was told."""
        words = f"Reads 3 paths in the workspace: {script}."
        where = "/home/mia/projects/storefront/services/checkout"
        effects = [
            {"verb": "reads", "what": f"{where}/{part}", "labels": [], "zone": "workspace"}
            for part in ("src", "tests", "package.json")
        ]
        step = {
            "argv": script.split(), "code": [], "complete": True, "effects": effects, "options": ["-l", "--all"],
            "program": script.split()[0], "span": [0, len(script)], "subcommand": "",
        }  # fmt: skip
        reading = {
            "kind": "shell",
            "complete": True,
            "canonical": script,
            "sentence": words,
            "steps": [step],
            "unread": [],
        }
        told = {
            "source": "hook:UserPromptSubmit",
            "text": "Find out why the checkout's totals are off by a cent, and fix it. " * 3,
        }
        return {"script": script, "reading": reading, "sentence": words, "instruction": told}

    def _flush(self) -> None:
        stored = [made.stored for made in self.world.made]
        self.world.made.clear()
        self.tree, tiles = self.tree.grow([leaf_hash(one.leaf) for one in stored])
        self.store.write(Batch(stored, tiles, SIGNER.sign(self.tree.size, self.tree.root)))


if __name__ == "__main__":
    print(write(Path(sys.argv[1]), int(sys.argv[2])))
