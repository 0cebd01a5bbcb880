"""The tree of a pack: its roots and paths are those that follow from its tiles one node after the other."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from keyturn.evidence.pack_tree import PackTree
from keyturn.ledger import merkle
from keyturn.ledger.tiles import WIDTH, root_of_hashes, subtrees

LARGEST = 70_000
"""Leaves of which there are two levels of full tiles."""
HASHES = b"".join(sha256(b"%d" % number).digest() for number in range(LARGEST))
ROOTS = [
    root_of_hashes(HASHES[at : at + WIDTH * 32]) for at in range(0, LARGEST // WIDTH * WIDTH * 32, WIDTH * 32)
]


def tree_of(size: int) -> PackTree:
    tree = PackTree()
    for number in range(-(-size // WIDTH)):
        hashes = HASHES[number * WIDTH * 32 : min(size, (number + 1) * WIDTH) * 32]
        tree.add(hashes, ROOTS[number] if len(hashes) == WIDTH * 32 else b"")
    tree.finish(size)
    return tree


@given(
    st.one_of(
        st.integers(1, 1500), st.integers(1, LARGEST), st.sampled_from((256, 257, 512, 65_536, 65_537))
    ),
    st.data(),
)
def test_paths_and_roots_are_those_that_follow_from_the_tiles(size: int, data: st.DataObject) -> None:
    tree = tree_of(size)
    subtree = subtrees(size, tree.tile)
    for index in sorted(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=8))):
        assert tree.path(index) == tuple(merkle.inclusion_path(index, size, subtree))
    earlier = data.draw(st.integers(1, size))
    assert tree.root_at(earlier) == merkle.range_root(0, earlier, subtree)
    assert tree.root_at(size) == tree.root
