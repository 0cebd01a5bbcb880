"""The Merkle tree of RFC 6962 (and RFC 9162) over SHA-256. Pure.

Rules kept here:

- RFC 6962 §2.1: a leaf's hash is SHA-256(0x00 ‖ leaf), a node's SHA-256(0x01 ‖ left ‖ right); the empty tree's is SHA-256("").
- RFC 6962 §2.1.1: inclusion ("audit") paths, leaf side first.
- RFC 6962 §2.1.2: consistency proofs.
- RFC 9162 §2.1.3.2 and §2.1.4.2: how they are verified. Everything a proof claims is recomputed; nothing is taken from it.

A *subtree* is named by (height, index): the perfect tree over leaves [index·2^height, (index+1)·2^height).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""(height, index) → the hash of that perfect subtree."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one leaf."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def root_of_frontier(frontier: Sequence[bytes]) -> bytes:
    """The root of a tree whose maximal perfect subtrees, left to right, have the hashes *frontier*."""
    if not frontier:
        return EMPTY_ROOT
    root = frontier[-1]
    for left in reversed(frontier[:-1]):
        root = node_hash(left, root)
    return root


def root_of(hashes: Iterable[bytes]) -> bytes:
    """The root over leaf hashes, from first to last."""
    frontier: list[bytes] = []
    for size, hash_ in enumerate(hashes, 1):
        node, rest = hash_, size
        while not rest & 1:
            node = node_hash(frontier.pop(), node)
            rest >>= 1
        frontier.append(node)
    return root_of_frontier(frontier)


def frontier_places(size: int) -> list[tuple[int, int]]:
    """(height, index) of the maximal perfect subtrees of a tree of *size* leaves, left to right."""
    places, start = [], 0
    for height in range(size.bit_length() - 1, -1, -1):
        if size >> height & 1:
            places.append((height, start >> height))
            start += 1 << height
    return places


def range_root(start: int, end: int, subtree: Subtree) -> bytes:
    """MTH(D[start:end]) of RFC 6962 §2.1 for the ranges that occur in proofs (*start* a multiple of the split)."""
    count = end - start
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return subtree(height, start >> height)
    split = _split(count)
    return node_hash(range_root(start, start + split, subtree), range_root(start + split, end, subtree))


def inclusion_path(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """PATH(index, D[size]), the leaf's sibling first. Needs 0 ≤ index < size."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_root(middle, end, subtree))
            end = middle
        else:
            path.append(range_root(start, middle, subtree))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """PROOF(old, D[new]). Needs 0 ≤ old ≤ new; empty when old is 0 or equals new."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} has no earlier tree of {old}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(range_root(middle, end, subtree))
            end = middle
        else:
            proof.append(range_root(start, middle, subtree))
            start, whole = middle, False
    if not whole:
        proof.append(range_root(start, end, subtree))
    return proof[::-1]


def includes(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether *path* proves that leaf hash *leaf* is number *index* of the tree (*size*, *root*). RFC 9162 §2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0 or len(sibling) != HASH_BYTES:
            return False
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and node == root


def extends(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether *proof* shows that tree (*new*, *new_root*) begins with tree (*old*, *old_root*). RFC 9162 §2.1.4.2."""
    if not 0 <= old <= new or any(len(hash_) != HASH_BYTES for hash_ in proof):
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    rest = list(proof)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    if not rest:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at >>= 1
        last >>= 1
    first = second = rest[0]
    for hash_ in rest[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node_hash(hash_, first), node_hash(hash_, second)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            second = node_hash(second, hash_)
        at >>= 1
        last >>= 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """The largest power of two below *count* (RFC 6962 §2.1's k)."""
    return 1 << (count - 1).bit_length() - 1
