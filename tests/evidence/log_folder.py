"""An exported log made of a world's entries, in memory and quickly: what `ledger.export` writes of a store, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signed_world import ORIGIN, SignedWorld

from keyturn.ledger import leaf, tiles
from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.merkle import leaf_hash
from keyturn.ledger.tiles import WIDTH, Tree, tile_path

KEY = Ed25519PrivateKey.from_private_bytes(b"w" * 32)


def signer(origin: str = ORIGIN, key: Ed25519PrivateKey = KEY) -> Signer:
    """Who signs the world's checkpoints."""
    return Signer(origin, key)


def tree_of(leaves: Iterable[bytes]) -> Tree:
    """The tree over *leaves*."""
    return Tree().grow([leaf_hash(one) for one in leaves])[0]


def write_log(
    folder: Path,
    leaves: Sequence[bytes],
    disclosures: Sequence[bytes],
    blobs: dict[str, bytes] | None = None,
    by: Signer | None = None,
) -> None:
    """The folder of a log with these leaves, each with its line of disclosures."""
    by = by or signer()
    tree, grown = Tree().grow([leaf_hash(one) for one in leaves])
    files: dict[str, bytes] = {
        "checkpoint": by.sign(tree.size, tree.root).encode(),
        "log.vkey": f"{by.key}\n".encode(),
    }
    for (level, index), content in grown.items():
        files[tile_path(level, index, len(content) // 32)] = content
    for first in range(0, len(leaves), WIDTH):
        part, lines = leaves[first : first + WIDTH], disclosures[first : first + WIDTH]
        files[tile_path("entries", first // WIDTH, len(part))] = tiles.bundle(part)
        files[tile_path("disclosures", first // WIDTH, len(part))] = b"".join(line + b"\n" for line in lines)
    for digest, data in (blobs or {}).items():
        files["blobs/sha256/" + digest.removeprefix("sha256:")] = data
    for name, data in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


def write_world(folder: Path, world: SignedWorld, size: int | None = None) -> Path:
    """The world's log, or its first *size* entries."""
    made = world.made[:size]
    blobs = {digest: data for one in made for digest, data in one.blobs.items()}
    write_log(folder, [one.stored.leaf for one in made], [one.stored.disclosures for one in made], blobs)
    return folder


def small_world(actions: int = 40) -> SignedWorld:
    """More than one tile of entries: held, approved by click and by signature, run, with a blob, two sessions, everything closed."""
    world = SignedWorld()
    world.begin()
    for number in range(2):
        session = world.session(agent=f"agent-{number}")
        for turn in range(actions):
            if turn % 10 == 3:
                action, _ = world.approved(
                    session, "bea", "cyd", signed=turn % 20 == 3, approve="2 of reviewers"
                )
            else:
                action = world.ran(session)
            assert action.id
        world.add(
            "session.instructed", {"instruction": {"text": "Tidy up. " * 600, "source": "hook"}}, session
        )
        world.close(session)
        world.heartbeat()
    return world


__all__ = ["KEY", "leaf", "signer", "small_world", "tree_of", "write_log", "write_world"]
