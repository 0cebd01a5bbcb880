"""A world, recorded in a real ledger on disk: for tests of what reads a store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from world import World

from keyturn.ledger import Ledger
from keyturn.ledger.entries import Draft, Entry, Put, Rows
from keyturn.ledger.storage import Store
from keyturn.store import open_store

ORIGIN = "keyturn.local/world"


def _nothing(entry: Entry, rows: Rows) -> Iterable[Put]:
    return ()


class Recorded:
    """A ledger into which what *world* did is written, and read beside its writer."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.path = folder / "ledger.db"
        self.time = 0
        self.written = 0
        self.key = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
        self.ledger = Ledger.open(
            open_store(self.path), self.key, ORIGIN, _nothing, lambda: (self.time + 0.5) / 1000
        )
        self.vkey = self.ledger.vkey
        self.catch_up()

    def catch_up(self) -> None:
        """Write what the world did since."""
        for header, fields in self.world.entries()[self.written :]:
            self.time = header.time
            self.ledger.append_sync([Draft(header.type, fields, session=header.session)])
            self.written += 1

    def store(self) -> Store:
        """The store, opened for reading."""
        return open_store(self.path, writer=False)

    def close(self) -> None:
        """End the writer."""
        self.ledger.close()
