"""COSE receipts: another library reads them, they are the same every time, and nothing is signed that the log had not signed."""

from __future__ import annotations

import base64

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from scitt_cose import verify_receipt

from keyturn.errors import NotFound
from keyturn.ledger import cose
from keyturn.ledger.checkpoint import Signer
from keyturn.ledger.errors import LedgerDamaged, NoteInvalid
from keyturn.ledger.merkle import leaf_hash
from keyturn.ledger.tiles import TileReader, Tree

ORIGIN = "keyturn.test/cose"
KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def log_of(size: int) -> tuple[list[bytes], str, TileReader]:
    """Leaves, checkpoint and tiles."""
    leaves = [b"entry %d" % at for at in range(size)]
    tree, tiles = Tree().grow([leaf_hash(leaf) for leaf in leaves])
    return (
        leaves,
        Signer(ORIGIN, KEY).sign(tree.size, tree.root),
        lambda level, index: tiles.get((level, index)),
    )


items = st.recursive(
    st.none() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=30) | st.dictionaries(st.integers(-70_000, 70_000), inner, max_size=30)
    ),
    max_leaves=20,
)


@given(items)
def test_another_library_reads_what_is_encoded_and_encodes_it_alike(item: cose.Item) -> None:
    made = cose.encode(item)
    assert cbor2.loads(made) == cbor2.loads(cbor2.dumps(item))
    if not has_dict(item):  # where it sorts by length first (RFC 7049), we sort by bytes (RFC 8949)
        assert made == cbor2.dumps(item)


def has_dict(item: object) -> bool:
    return isinstance(item, dict) or (isinstance(item, list) and any(map(has_dict, item)))


@given(st.dictionaries(st.integers(-70_000, 70_000), st.none(), min_size=2, max_size=9))
def test_members_are_sorted_by_their_bytes_whatever_order_they_came_in(members: dict[int, None]) -> None:
    made = cose.encode(dict(members))
    assert made == cose.encode(dict(reversed(members.items())))
    labels = [cose.encode(label) for label in cbor2.loads(made)]
    assert labels == sorted(labels)


def test_what_takes_more_than_64_bits_is_not_encoded() -> None:
    for number in (2**64, -(2**64) - 1):
        with pytest.raises(OverflowError):
            cose.encode(number)


@pytest.mark.parametrize(
    ("size", "index"),
    [(1, 0), (2, 1), (7, 3), (256, 255), (257, 256), (600, 0), (600, 511), (70_000, 66_000)],
)
def test_another_library_believes_it_for_this_entry_and_for_no_other(size: int, index: int) -> None:
    leaves, head, read = log_of(size)
    receipt = cose.receipt(index, head, read, ORIGIN, KEY)
    assert receipt == cose.receipt(index, head, read, ORIGIN, KEY)
    result = verify_receipt(receipt, leaf_entry_hex=leaves[index].hex(), log_public_key_pem=PEM)
    assert result.ok, result.errors
    assert (result.tree_size, result.leaf_index) == (size, index)
    assert (result.issuer, result.subject) == (ORIGIN, f"entry {index}")
    assert base64.b64encode(bytes.fromhex(result.root)).decode() == head.split("\n")[2]
    for other in (leaves[index - 1] if size > 1 else b"", leaves[index] + b" "):
        assert not verify_receipt(receipt, leaf_entry_hex=other.hex(), log_public_key_pem=PEM).ok


def test_what_it_holds_is_in_the_form_of_rfc_9942() -> None:
    _, head, read = log_of(5)
    message = cbor2.loads(cose.receipt(2, head, read, ORIGIN, KEY))
    protected, unprotected, payload, signature = message.value
    assert (message.tag, payload, len(signature)) == (18, None, 64)
    key_id = Signer(ORIGIN, KEY).key.key_id
    assert cbor2.loads(protected) == {1: -8, 4: key_id, 15: {1: ORIGIN, 2: "entry 2"}, 395: 1}
    size, index, path = cbor2.loads(unprotected[396][-1][0])
    assert (size, index, [len(one) for one in path]) == (5, 2, [32, 32, 32])


def test_nothing_is_signed_that_the_log_had_not_signed() -> None:
    _, head, read = log_of(300)
    other = Ed25519PrivateKey.from_private_bytes(b"d" * 32)
    with pytest.raises(NoteInvalid):
        cose.receipt(3, head, read, ORIGIN, other)
    with pytest.raises(NoteInvalid):
        cose.receipt(3, head, read, "keyturn.test/another", KEY)
    with pytest.raises(NotFound):
        cose.receipt(300, head, read, ORIGIN, KEY)
    with pytest.raises(NotFound):
        cose.receipt(-1, head, read, ORIGIN, KEY)


def test_a_tile_that_was_altered_gives_no_receipt() -> None:
    _, head, read = log_of(300)

    def altered(level: int, index: int) -> bytes | None:
        data = read(level, index)
        return data[:64] + bytes(32) + data[96:] if data and (level, index) == (0, 0) else data

    assert cose.receipt(2, head, read, ORIGIN, KEY)  # negative control
    for index in (2, 3):
        with pytest.raises(LedgerDamaged):
            cose.receipt(index, head, altered, ORIGIN, KEY)


def test_a_missing_tile_gives_no_receipt() -> None:
    _, head, _ = log_of(300)
    with pytest.raises(LedgerDamaged):
        cose.receipt(2, head, lambda level, index: None, ORIGIN, KEY)
