"""Proof texts for showing: C2SP tlog-proof and tlog-checkpoint, split into their parts.

Nothing is verified here: the page's script does that in the reader's browser, and `keyturn ledger prove` offline.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from msgspec import Struct


class Checkpoint(Struct, frozen=True):
    """A signed tree head: the log's name, its size, the root (hexadecimal), who signed."""

    origin: str
    size: int
    root: str
    signers: tuple[str, ...]
    note: str


class Proof(Struct, frozen=True):
    """The path from an entry to a root, hexadecimal, leaf's sibling first, and the checkpoint with that root."""

    path: tuple[str, ...]
    checkpoint: Checkpoint | None
    text: str


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 6962 §2.1: SHA-256 over a zero byte and the leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def parse_checkpoint(note: str) -> Checkpoint | None:
    """None when it is not a checkpoint."""
    lines = note.split("\n")
    if len(lines) < 4 or not lines[1].isdecimal():
        return None
    signers = tuple(line[2:].partition(" ")[0] for line in lines if line.startswith("— "))
    return Checkpoint(lines[0], int(lines[1]), _hexadecimal(lines[2]), signers, note)


def parse_proof(text: str) -> Proof:
    """What can be shown of a proof; an odd line is shown as it is."""
    head, _, note = text.partition("\n\n")
    path = [line for line in head.split("\n")[1:] if line and not line.startswith(("index ", "extra "))]
    return Proof(tuple(_hexadecimal(line) for line in path), parse_checkpoint(note), text)


def _hexadecimal(given: str) -> str:
    try:
        return base64.b64decode(given, validate=True).hex()
    except (binascii.Error, ValueError):
        return given
