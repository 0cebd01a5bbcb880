"""C2SP tlog-tiles: the specification's own examples, growing in any steps, and cut-off bundles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.ledger import merkle, tiles
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.merkle import leaf_hash
from keyturn.ledger.tiles import Tree, load_tree, subtrees, tile_path


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 1234067, 256, "tile/0/x001/x234/067"),
        (0, 273, 112, "tile/0/273.p/112"),
        (1, 0, 256, "tile/1/000"),
        (63, 999, 255, "tile/63/999.p/255"),
        (2, 1000, 1, "tile/2/x001/000.p/1"),
        ("entries", 1, 256, "tile/entries/001"),
        ("entries", 1234067, 3, "tile/entries/x001/x234/067.p/3"),
    ],
)
def test_paths_are_the_specification_s(level: int, index: int, width: int, path: str) -> None:
    assert tile_path(level, index, width) == path  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_there_is_no_path_outside_of_the_specification(level: int, index: int, width: int) -> None:
    with pytest.raises(ValueError, match="no tile"):
        tile_path(level, index, width)


def test_a_tree_of_70000_has_the_specification_s_tiles() -> None:
    by_level: dict[int, list[int]] = {}
    for level, _, width in tiles.tiles_of(70_000):
        by_level.setdefault(level, []).append(width)
    assert by_level == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}
    assert list(tiles.tiles_of(256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(tiles.tiles_of(0)) == []


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=6))
def test_growing_in_any_steps_gives_the_same_tree_and_tiles(steps: list[int]) -> None:
    hashes = [leaf_hash(b"%d" % i) for i in range(sum(steps))]
    tree, kept = Tree(), {}
    for step in steps:
        tree, changed = tree.grow(hashes[tree.size : tree.size + step])
        kept.update(changed)
    once, at_once = Tree().grow(hashes)
    assert tree == once
    assert kept == at_once
    assert {(level, index): width * 32 for level, index, width in tiles.tiles_of(tree.size)} == {
        place: len(content) for place, content in kept.items()
    }
    assert tree.root == merkle.root_of(hashes)
    assert load_tree(tree.size, lambda level, index: kept.get((level, index))) == tree


def test_growing_past_a_level_gives_proofs_from_tiles() -> None:
    hashes = [leaf_hash(b"%d" % i) for i in range(66_000)]
    tree, kept = Tree().grow(hashes[:65_535])
    for hash_ in hashes[65_535:65_540]:
        tree, changed = tree.grow([hash_])
        kept.update(changed)
    tree, changed = tree.grow(hashes[65_540:])
    kept.update(changed)
    assert tree.root == merkle.root_of(hashes)
    subtree = subtrees(66_000, lambda level, index: kept.get((level, index)))
    for index in (0, 255, 256, 65_535, 65_536, 65_999):
        path = merkle.inclusion_path(index, 66_000, subtree)
        assert merkle.includes(hashes[index], index, 66_000, path, tree.root)
    for old in (1, 255, 256, 257, 65_535, 65_536, 65_999):
        proof = merkle.consistency_proof(old, 66_000, subtree)
        assert merkle.extends(old, merkle.root_of(hashes[:old]), 66_000, tree.root, proof)


def test_a_missing_or_short_tile_is_named_and_not_papered_over() -> None:
    _, kept = Tree().grow([leaf_hash(b"%d" % i) for i in range(300)])
    assert load_tree(300, lambda level, index: kept.get((level, index))).size == 300
    with pytest.raises(LedgerDamaged, match="tile/0/001 is missing"):
        load_tree(300, lambda level, index: None if (level, index) == (0, 1) else kept[level, index])
    with pytest.raises(LedgerDamaged, match="tile/0/001 has 1376 bytes"):
        load_tree(300, lambda level, index: kept[level, index][:1376])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_round_trip(leaves: list[bytes]) -> None:
    assert tiles.unbundle(tiles.bundle(leaves)) == leaves


def test_a_bundle_holds_the_largest_entry() -> None:
    assert tiles.unbundle(tiles.bundle([b"x" * 65_535, b""])) == [b"x" * 65_535, b""]


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_a_cut_off_bundle_is_damage(cut: int) -> None:
    with pytest.raises(LedgerDamaged, match="cut off"):
        tiles.unbundle(tiles.bundle([b"abc", b"defg"])[:-cut])
