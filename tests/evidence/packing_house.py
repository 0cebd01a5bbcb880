"""A house whose log is in a real store, and packs of it."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signed_world import SignedWorld
from world import DAY, START

from keyturn.evidence.pack import Order, Packed, build
from keyturn.ledger import checkpoint
from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.merkle import leaf_hash
from keyturn.ledger.storage import Batch
from keyturn.ledger.tiles import Tree
from keyturn.store import open_store

SIGNER = Signer("keyturn.local/world", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
STRANGER = Signer("keyturn.local/world", Ed25519PrivateKey.from_private_bytes(b"x" * 32))
UNTIL = START + 30 * DAY


class House:
    """A world, and the store that it is recorded in: a file in *folder*, or what is at *url*."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self.folder = folder
        self.path = folder / "ledger.db"
        self.url: str | Path = url or self.path
        self.world = SignedWorld()
        self.store = open_store(self.url)
        self.tree = Tree()

    @property
    def opener(self) -> Any:
        return partial(open_store, self.url, writer=False)

    def record(self, **blobs: bytes) -> int:
        """Write what the world did since the last time; how many entries there are."""
        stored = [made.stored for made in self.world.made[self.tree.size :]]
        named = {
            digest: data for made in self.world.made[self.tree.size :] for digest, data in made.blobs.items()
        }
        named |= {f"sha256:{digest}": data for digest, data in blobs.items()}
        self.tree, tiles = self.tree.grow([leaf_hash(one.leaf) for one in stored])
        note = SIGNER.sign(self.tree.size, self.tree.root)
        self.store.write(Batch(stored, tiles, note, named))
        return self.tree.size

    def order(self, **given: Any) -> Order:
        until = self.world.made[-1].stored.time + 1 if self.world.made else UNTIL
        asked: dict[str, Any] = {"framework": "soc2", "since": START, "until": until, "disclosure": "digests"}
        asked["size"] = self.tree.size
        return Order(**{**asked, **given})

    def pack(self, name: str = "pack.zip", **given: Any) -> Packed:
        """A pack of everything that is recorded."""
        how = {key: given.pop(key) for key in ("processes", "signer", "opener", "key") if key in given}
        opener, key = how.pop("opener", self.opener), how.pop("key", SIGNER.key)
        return build(opener, key, self.folder / name, self.order(**given), **{"signer": SIGNER, **how})

    def size(self) -> int:
        return checkpoint.read_unverified(self.store.head() or "").size

    def close(self) -> None:
        self.store.close()


def lived_in(folder: Path, sessions: int = 4, url: str = "") -> House:
    """A house in which a few agents worked for a while, and one approval was its initiator's own."""
    house = House(folder, url)
    world = house.world
    world.begin()
    for number in range(sessions):
        session = world.session(agent=f"agent-{number % 3}")
        for _ in range(5):
            world.ran(session)
        world.approved(session, "cyd", signed=True)
        world.approved(session, "dee", "eve", approve="2 of reviewers")
        world.close(session)
        world.heartbeat()
        world.wait(hours=1)
    session = world.session()
    world.approved(session, "mia")
    world.close(session)
    house.record()
    return house


def files_of(path: Path) -> dict[str, bytes]:
    """Every file of a pack."""
    with zipfile.ZipFile(path) as read:
        return {name: read.read(name) for name in read.namelist()}


def results_of(path: Path) -> dict[str, Any]:
    """`results.json` of a pack."""
    found: dict[str, Any] = msgspec.json.decode(files_of(path)["results.json"])
    return found


def verdicts_of(path: Path) -> dict[str, str]:
    """Test → verdict."""
    return {one["test"]: one["verdict"] for one in results_of(path)["tests"]}
