"""COSE receipts: one CBOR message that proves offline that an entry is in a log, for the tools of SCITT. Pure.

Rules kept here:

- RFC 9942: a COSE_Sign1 whose payload, the root, is left out; the protected header names the tree (395: RFC9162_SHA256), the
  unprotected one carries the inclusion proof (396), an encoded array of tree size, leaf index and path.
- RFC 9943 §6: who issued it (the log's origin) and what about (the entry) are claims in the protected header, as is the key's id.
- RFC 8949 §4.2.1: the encoding is the deterministic one; the same entry under the same checkpoint has the same receipt.
- Nothing is signed but a root that the log's own key had signed in a checkpoint, and that the entry leads to.

A receipt can't be taken for a checkpoint nor the other way round: what is signed here begins with a byte that no text begins with.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn.errors import NotFound
from keyturn.ledger import checkpoint, merkle, note
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.tiles import TileReader, subtrees

ALGORITHM, TREE, PROOFS, KEY_ID, CLAIMS = 1, 395, 396, 4, 15
"""Labels of headers: RFC 9052 §3.1, RFC 9942 §4, RFC 9597."""
EDDSA = -8
RFC9162_SHA256 = 1
INCLUSION = -1
ISSUER, SUBJECT = 1, 2
SIGN1 = 18
"""The tag of a COSE_Sign1 (RFC 9052 §2)."""

Item = int | bytes | str | None | list["Item"] | dict[int, "Item"]
"""What this encoder can encode."""


def receipt(index: int, head: str, read: TileReader, origin: str, key: Ed25519PrivateKey) -> bytes:
    """The COSE receipt of entry *index* under the checkpoint note *head* of the log *origin*, whose key is *key*.

    Raises `NotFound` outside of the tree, `NoteInvalid` when *key* did not sign *head*, `LedgerDamaged` when the tiles don't lead
    from the entry to its root.
    """
    known = note.verifier_key(origin, key)
    stated = checkpoint.open_checkpoint(head, known)
    if not 0 <= index < stated.size:
        raise NotFound(f"The ledger has no entry {index}; it has {stated.size} entries.")
    subtree = subtrees(stated.size, read)
    path = merkle.inclusion_path(index, stated.size, subtree)
    if not merkle.includes(subtree(0, index), index, stated.size, path, stated.root):
        raise LedgerDamaged(
            f"The tiles do not lead from entry {index} to the checkpoint's root.",
        )
    protected = encode(
        {
            ALGORITHM: EDDSA,
            KEY_ID: known.key_id,
            CLAIMS: {ISSUER: origin, SUBJECT: f"entry {index}"},
            TREE: RFC9162_SHA256,
        }
    )
    proof = encode([stated.size, index, list(path)])
    signature = key.sign(encode(["Signature1", protected, b"", stated.root]))
    message = encode([protected, {PROOFS: {INCLUSION: [proof]}}, None, signature])
    return _head(6, SIGN1) + message


def encode(item: Item) -> bytes:
    """*item* as CBOR in its deterministic encoding (RFC 8949 §4.2.1)."""
    match item:
        case None:
            return b"\xf6"
        case int():
            return _head(0, item) if item >= 0 else _head(1, -1 - item)
        case bytes():
            return _head(2, len(item)) + item
        case str():
            text = item.encode()
            return _head(3, len(text)) + text
        case list():
            return _head(4, len(item)) + b"".join(encode(one) for one in item)
        case dict():
            pairs = sorted((encode(label), encode(value)) for label, value in item.items())
            return _head(5, len(pairs)) + b"".join(label + value for label, value in pairs)


def _head(major: int, argument: int) -> bytes:
    """A data item's first bytes: its major type and the shortest form of *argument*, below 2**64."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for more, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * width:
            return bytes([major << 5 | more]) + argument.to_bytes(width, "big")
    raise OverflowError(f"{argument} does not fit into 64 bits")
