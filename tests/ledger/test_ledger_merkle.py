"""RFC 6962 trees: known roots, every small proof, random large ones, and that false proofs fail."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.ledger import merkle
from keyturn.ledger.merkle import consistency_proof, extends, includes, inclusion_path, leaf_hash, node_hash

LEAVES = [
    bytes.fromhex(h)
    for h in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The test vectors of Certificate Transparency's reference implementation."""

SMALL = 70
HASHES = [leaf_hash(b"%d" % i) for i in range(SMALL)]


def tree_hash(hashes: list[bytes]) -> bytes:
    """MTH as RFC 6962 §2.1 writes it: the oracle."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return node_hash(tree_hash(hashes[:k]), tree_hash(hashes[k:]))


def subtree_of(hashes: list[bytes]) -> merkle.Subtree:
    return lambda height, index: tree_hash(hashes[index << height : (index + 1) << height])


def test_known_roots() -> None:
    hashes = [leaf_hash(leaf) for leaf in LEAVES]
    assert [merkle.root_of(hashes[: n + 1]).hex() for n in range(8)] == ROOTS
    assert merkle.root_of([]) == merkle.EMPTY_ROOT == sha256(b"").digest()


def test_every_small_inclusion_proof_proves_its_leaf_and_no_other() -> None:
    for size in range(1, SMALL + 1):
        root, subtree = tree_hash(HASHES[:size]), subtree_of(HASHES[:size])
        assert merkle.root_of(HASHES[:size]) == root
        for index in range(size):
            path = inclusion_path(index, size, subtree)
            assert includes(HASHES[index], index, size, path, root)
            assert not includes(leaf_hash(b"other"), index, size, path, root)
            assert not includes(HASHES[index], index, size, [*path, root], root)
            if path:
                assert not includes(HASHES[index], index, size, path[:-1], root)
                assert not includes(HASHES[index], (index + 1) % size, size, path, root)


def test_every_small_consistency_proof_proves_its_prefix_and_no_other() -> None:
    roots = [tree_hash(HASHES[:n]) for n in range(SMALL + 1)]
    for new in range(SMALL + 1):
        subtree = subtree_of(HASHES[:new])
        for old in range(new + 1):
            proof = consistency_proof(old, new, subtree)
            assert extends(old, roots[old], new, roots[new], proof), (old, new)
            assert not extends(old, roots[old], new, roots[new], [*proof, roots[new]])
            if 0 < old < new:
                assert not extends(old, roots[old - 1], new, roots[new], proof)
                assert not extends(old, roots[old], new, roots[new - 1], proof)
                assert not extends(old, roots[old], new, roots[new], proof[:-1])


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_changed_proof_proves_nothing(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, SMALL))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(index, size, subtree_of(HASHES[:size]))
    root = tree_hash(HASHES[:size])
    at = data.draw(st.integers(0, len(path) - 1))
    bit = data.draw(st.integers(0, 255))
    path[at] = bytes(b ^ (1 << bit % 8 if i == bit // 8 else 0) for i, b in enumerate(path[at]))
    assert not includes(HASHES[index], index, size, path, root)


def test_random_large_proofs() -> None:
    count = 5000
    hashes = [leaf_hash(b"%d" % i) for i in range(count)]
    rows = [hashes]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)])

    def subtree(height: int, index: int) -> bytes:
        return rows[height][index]

    chance = random.Random(7)
    for _ in range(60):
        new = chance.randint(1, count)
        old, index = chance.randint(1, new), chance.randrange(new)
        root = merkle.root_of(hashes[:new])
        assert includes(hashes[index], index, new, inclusion_path(index, new, subtree), root)
        assert extends(old, merkle.root_of(hashes[:old]), new, root, consistency_proof(old, new, subtree))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_there_is_no_proof_of_a_leaf_outside_of_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_path(index, size, subtree_of(HASHES))
    assert not includes(HASHES[0], index, size, [], HASHES[0])


def test_there_is_no_earlier_tree_that_is_larger() -> None:
    with pytest.raises(ValueError, match="no earlier tree"):
        consistency_proof(4, 3, subtree_of(HASHES))
    assert not extends(4, HASHES[0], 3, HASHES[0], [])
