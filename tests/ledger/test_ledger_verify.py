"""Every kind of tampering with a store or an export is found and named; an untouched log is not accused."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_home import ORIGIN, Home, draft, grow

from keyturn.canonical import digest_bytes
from keyturn.ledger import leaf, tiles
from keyturn.ledger.entries import Draft
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.export import ExportRefused, export
from keyturn.ledger.verify import Verdict, verify
from keyturn.store import open_store

SIZE = 600


def write_log(home: Home) -> str:
    """A log of SIZE entries over three tiles and two levels; gives its vkey."""
    ledger = home.open()
    data = b"content of a blob"
    ledger.append_sync(
        [Draft("log.opened", {"origin": ORIGIN, "log_key": home.key.public_key().public_bytes_raw().hex()})]
    )
    grow(ledger, SIZE - 4, per_commit=97)
    ledger.append_sync([draft(0, big="x" * 9000)])
    ledger.append_sync([Draft("probe.result", {}, blobs={digest_bytes(data): data})])
    ledger.append_sync([Draft("session.closed", {"why": "done"}, "s0")])
    vkey = ledger.vkey
    ledger.close()
    return vkey


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("written")
    home = Home(folder)
    vkey = write_log(home)
    store = open_store(home.path, writer=False)
    export(store, folder / "export", vkey)
    store.close()
    return folder, vkey


def verify_store(path: Path, vkey: str | None, *, leaves_only: bool = False) -> Verdict:
    store = open_store(path, writer=False)
    try:
        return verify(store, vkey, leaves_only=leaves_only)
    finally:
        store.close()


def tampered(written: tuple[Path, str], tmp_path: Path, *statements: str) -> Verdict:
    shutil.copy(written[0] / "ledger.db", tmp_path)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0
    connection.close()
    return verify_store(tmp_path / "ledger.db", written[1])


def named(verdict: Verdict) -> list[tuple[str, str]]:
    assert not verdict.intact
    assert verdict.damaged >= len(verdict.problems) > 0
    return [(problem.code, problem.where) for problem in verdict.problems]


@pytest.mark.parametrize("leaves_only", [False, True])
def test_an_untouched_log_is_intact(written: tuple[Path, str], leaves_only: bool) -> None:
    folder, vkey = written
    for verdict in (
        verify_store(folder / "ledger.db", vkey, leaves_only=leaves_only),
        verify(folder / "export", vkey, leaves_only=leaves_only),
    ):
        assert verdict.problems == ()
        assert verdict.intact
        assert (verdict.entries, verdict.size, verdict.sessions) == (SIZE, SIZE, 3)
        assert verdict.withheld == 0
        assert verdict.blobs == (0 if leaves_only else 2)
        assert verdict.key_from == "given"


def test_without_a_key_the_log_s_own_is_used_and_the_verdict_says_so(written: tuple[Path, str]) -> None:
    folder, vkey = written
    for verdict in (verify(folder / "export"), verify_store(folder / "ledger.db", None)):
        assert verdict.intact
        assert (verdict.key, verdict.key_from) == (vkey, "log")


def test_a_log_signed_by_another_key_is_not_intact(written: tuple[Path, str], tmp_path: Path) -> None:
    other = Home(tmp_path)
    ledger = other.open()
    vkey = ledger.vkey
    other.close()
    assert named(verify(written[0] / "export", vkey)) == [("checkpoint.signature", "checkpoint")]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "update entry set leaf = cast(replace(cast(leaf as text), 'probe.result', 'login.closed') as blob) where idx = 41",
            ("entry.hash", "entry 41"),
        ),
        ("update entry set leaf = zeroblob(200) where idx = 300", ("entry.hash", "entry 300")),
        ("delete from entry where idx = 300", ("entry.missing", "entry 300")),
        ("delete from entry where idx between 200 and 555", ("entry.missing", "entry 200")),
        ("delete from entry where idx = 599", ("entry.missing", "entry 599")),
        ("delete from entry where idx = 0", ("entry.missing", "entry 0")),
        ("delete from entry", ("entry.missing", "entry 0")),
        (
            "insert into entry select 600, time, type, null, null, null, leaf, disclosures from entry where idx = 5",
            ("stray", "entry 600"),
        ),
        (
            "insert into entry select -1, time, type, null, null, null, leaf, disclosures from entry where idx = 5",
            ("stray", "entry -1"),
        ),
        (
            "update entry set disclosures = (select disclosures from entry where idx = 8) where idx = 7",
            ("disclosure.uncommitted", "entry 7"),
        ),
        (
            "update entry set disclosures = cast(replace(cast(disclosures as text), 'Wy', 'Wx') as blob) where idx = 7",
            ("disclosure.uncommitted", "entry 7"),
        ),
        (
            "update entry set disclosures = cast('nonsense' as blob) where idx = 7",
            ("disclosure.malformed", "entry 7"),
        ),
        (
            "update entry set disclosures = cast('[\"é\"]' as blob) where idx = 7",
            ("disclosure.malformed", "entry 7"),
        ),
        ("update entry set type = 'permit.consumed' where idx = 7", ("entry.beside", "entry 7")),
        ("update entry set session = 'other' where idx = 7", ("entry.beside", "entry 7")),
        ("update entry set time = time + 1 where idx = 7", ("entry.beside", "entry 7")),
        (
            "update tile set hashes = zeroblob(8192) where level = 0 and idx = 1",
            ("tile.hashes", "tile/0/001"),
        ),
        ("update tile set hashes = zeroblob(64) where level = 1", ("tile.hashes", "tile/1/000.p/2")),
        (
            "update tile set hashes = substr(hashes, 1, 100) where level = 0 and idx = 1",
            ("tile.size", "tile/0/001"),
        ),
        ("delete from tile where level = 0 and idx = 2", ("tile.missing", "tile/0/002.p/88")),
        ("delete from tile where level = 1", ("tile.missing", "tile/1/000.p/2")),
        ("update checkpoint set note = replace(note, '600', '599')", ("checkpoint.signature", "checkpoint")),
        ("update checkpoint set note = 'nonsense'", ("checkpoint.malformed", "checkpoint")),
        ("delete from checkpoint", ("checkpoint.missing", "checkpoint")),
        ("update blob set data = cast('other' as blob)", ("blob.digest", "blob ")),
    ],
)
def test_tampering_with_the_store_is_named(
    written: tuple[Path, str], tmp_path: Path, statement: str, expected: tuple[str, str]
) -> None:
    places = named(tampered(written, tmp_path, statement))
    assert any(code == expected[0] and where.startswith(expected[1]) for code, where in places), places


def test_what_was_expected_and_found_is_told(written: tuple[Path, str], tmp_path: Path) -> None:
    verdict = tampered(
        written,
        tmp_path,
        "update entry set leaf = cast(replace(leaf, 'probe', 'probf') as blob) where idx = 41",
    )
    problem = next(problem for problem in verdict.problems if problem.code == "entry.hash")
    assert problem.index == 41
    assert problem.expected != problem.found
    assert problem.expected is not None
    assert len(problem.expected) == 64


def test_reordered_entries_are_named(written: tuple[Path, str], tmp_path: Path) -> None:
    verdict = tampered(
        written,
        tmp_path,
        "update entry set session = null, n = null where idx in (41, 42)",
        "update entry set idx = -5 where idx = 41",
        "update entry set idx = 41 where idx = 42",
        "update entry set idx = 42 where idx = -5",
    )
    places = named(verdict)
    assert ("entry.hash", "entry 41") in places
    assert ("entry.index", "entry 41") in places


def test_an_entry_rewritten_with_its_tile_is_caught_by_the_signed_root(
    written: tuple[Path, str], tmp_path: Path
) -> None:
    shutil.copy(written[0] / "ledger.db", tmp_path)
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        forged = leaf.make(Draft("probe.result", {"i": "forged"}, "s1"), 41, 1_763_671_234_000, 14).stored
        connection.execute(
            "update entry set leaf = ?, disclosures = ? where idx = 41", (forged.leaf, forged.disclosures)
        )
        hashes = [
            leaf.sha256(b"\0" + row[0]).digest()
            for row in connection.execute("select leaf from entry order by idx")
        ]
        for (level, index), content in tiles.Tree().grow(hashes)[1].items():
            connection.execute(
                "update tile set hashes = ? where level = ? and idx = ?", (content, level, index)
            )
    connection.close()
    assert named(verify_store(tmp_path / "ledger.db", written[1])) == [("checkpoint.root", "checkpoint")]


def test_missing_disclosures_are_withheld_and_no_damage(written: tuple[Path, str], tmp_path: Path) -> None:
    verdict = tampered(
        written, tmp_path, "update entry set disclosures = cast('[]' as blob) where idx in (5, 6)"
    )
    assert verdict.intact
    assert verdict.withheld == 6


def test_a_missing_blob_is_erased_and_no_damage(written: tuple[Path, str], tmp_path: Path) -> None:
    assert tampered(written, tmp_path, "delete from blob").intact


def test_a_log_of_a_newer_version_is_told_apart_from_damage(
    written: tuple[Path, str], tmp_path: Path
) -> None:
    verdict = tampered(
        written,
        tmp_path,
        "update entry set leaf = cast(replace(leaf, '\"v\":1', '\"v\":2') as blob) where idx = 41",
    )
    assert ("ledger.unknown_version", "entry 41") in named(verdict)


def resigned(home: Home, change: Callable[[list[leaf.Made]], None]) -> Verdict:
    """What a dishonest operator with the key makes: a log whose tree is right but whose content breaks the rules."""
    made = [leaf.make(draft(i, "s"), i, 1000 + i, i + 1) for i in range(4)]
    made.append(leaf.make(Draft("session.closed", {"count": 5}, "s"), 4, 1010, 5))
    change(made)
    ledger = home.open()
    signer, store = ledger._signer, ledger._store
    from keyturn.ledger.merkle import leaf_hash
    from keyturn.ledger.storage import Batch, StoredEntry

    tree, changed = tiles.Tree().grow([leaf_hash(one.stored.leaf) for one in made])
    stored = [
        StoredEntry(
            i,
            one.stored.time,
            one.stored.type,
            one.stored.leaf,
            one.stored.disclosures,
            one.stored.session,
            one.stored.n,
        )
        for i, one in enumerate(made)
    ]
    store.write(Batch(stored, changed, signer.sign(tree.size, tree.root)))
    return verify(store, ledger.vkey)


def replace(index: int, made: leaf.Made) -> Callable[[list[leaf.Made]], None]:
    def change(log: list[leaf.Made]) -> None:
        log[index] = made

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (replace(2, leaf.make(draft(2, "s"), 7, 1002, 3)), ("entry.index", "entry 2")),
        (replace(2, leaf.make(draft(2, "s"), 2, 999, 3)), ("entry.time", "entry 2")),
        (replace(2, leaf.make(draft(2, "s"), 2, 1002, 9)), ("session.number", "entry 2")),
        (replace(2, leaf.make(draft(2, "t"), 2, 1002, 2)), ("session.number", "entry 2")),
        (
            replace(4, leaf.make(Draft("session.closed", {"count": 4}, "s"), 4, 1010, 5)),
            ("session.count", "entry 4"),
        ),
    ],
)
def test_a_rightly_signed_log_that_breaks_the_entries_rules_is_named(
    home: Home, change: Callable[[list[leaf.Made]], None], expected: tuple[str, str]
) -> None:
    assert expected in named(resigned(home, change))


def test_a_rightly_signed_log_that_keeps_the_rules_is_intact(home: Home) -> None:
    assert resigned(home, lambda made: None).intact


# Exports


def test_an_export_has_the_same_bytes_every_time(written: tuple[Path, str], tmp_path: Path) -> None:
    store = open_store(written[0] / "ledger.db", writer=False)
    done = export(store, tmp_path / "again", written[1])
    store.close()
    first = {
        p.relative_to(written[0] / "export"): p.read_bytes()
        for p in (written[0] / "export").rglob("*")
        if p.is_file()
    }
    again = {
        p.relative_to(tmp_path / "again"): p.read_bytes()
        for p in (tmp_path / "again").rglob("*")
        if p.is_file()
    }
    assert first == again
    assert done.files == len(again)
    assert [p.name for p in tmp_path.iterdir()] == ["again"]


def test_an_export_has_the_specified_files(written: tuple[Path, str]) -> None:
    base = written[0] / "export"
    names = {str(p.relative_to(base)) for p in base.rglob("*") if p.is_file()}
    tiles_ = {
        f"tile/{kind}/{n}" for kind in ("0", "entries", "disclosures") for n in ("000", "001", "002.p/88")
    }
    blobs = {name for name in names if name.startswith("blobs/sha256/")}
    assert names - blobs == tiles_ | {"tile/1/000.p/2", "checkpoint", "log.vkey", "README.txt"}
    assert len(blobs) == 2
    bundle = tiles.unbundle((base / "tile/entries/001").read_bytes())
    assert len(bundle) == 256
    assert leaf.read_strictly(bundle[0]).index == 256


def test_an_export_does_not_overwrite(written: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    (tmp_path / "file").write_text("mine")
    store = open_store(written[0] / "ledger.db", writer=False)
    for place in (tmp_path / "there", tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ExportRefused):
            export(store, place, written[1])
    store.close()
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "file", "there"]


def test_an_export_of_a_log_with_a_hole_is_refused_and_leaves_nothing(
    written: tuple[Path, str], tmp_path: Path
) -> None:
    shutil.copy(written[0] / "ledger.db", tmp_path)
    for statement, words in (
        ("delete from entry where idx = 300", "Entry 300"),
        ("delete from tile where level = 1", "tile/1/000"),
    ):
        with sqlite3.connect(tmp_path / "ledger.db") as connection:
            connection.execute(statement)
        connection.close()
        store = open_store(tmp_path / "ledger.db", writer=False)
        with pytest.raises(LedgerDamaged, match=words):
            export(store, tmp_path / "out", written[1])
        store.close()
    assert [p for p in tmp_path.iterdir() if "out" in p.name] == []


def test_flipping_any_byte_of_an_export_is_found(written: tuple[Path, str], tmp_path: Path) -> None:
    base = tmp_path / "export"
    shutil.copytree(written[0] / "export", base)
    files = sorted(p for p in base.rglob("*") if p.is_file() and p.name not in ("README.txt", "log.vkey"))
    chance = random.Random(3)
    for path in [path for path in files for _ in range(4)]:
        data = path.read_bytes()
        at = chance.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :])
        verdict = verify(base, written[1])
        assert not verdict.intact, f"{path} at {at}"
        path.write_bytes(data)
    assert verify(base, written[1]).intact


def test_a_removed_or_added_file_is_named(written: tuple[Path, str], tmp_path: Path) -> None:
    base = tmp_path / "export"
    shutil.copytree(written[0] / "export", base)
    removable = ["tile/entries/001", "tile/entries/002.p/88", "tile/0/001", "tile/1/000.p/2"]
    for name in removable:
        data = (base / name).read_bytes()
        (base / name).unlink()
        assert name in {where for _, where in named(verify(base, written[1]))}
        (base / name).write_bytes(data)
    for name in (
        "tile/0/009",
        "tile/0/000.p/9",
        "tile/2/000.p/1",
        "tile/entries/007",
        "tile/entries/x000/001",
        "tile/other/000",
        "tile/0/junk",
    ):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(b"x" * 32)
        where = [where for code, where in named(verify(base, written[1])) if code == "stray"]
        assert len(where) == 1
        assert name.startswith(where[0])
        (base / name).unlink()
        if name.startswith(("tile/2", "tile/other")):
            shutil.rmtree(base / "tile" / name.split("/")[1])
    (base / "tile/disclosures/001").unlink()
    verdict = verify(base, written[1])
    assert verdict.intact
    assert verdict.withheld == 768


def test_an_export_without_checkpoint_or_key_is_not_intact(written: tuple[Path, str], tmp_path: Path) -> None:
    base = tmp_path / "export"
    shutil.copytree(written[0] / "export", base)
    (base / "checkpoint").unlink()
    assert named(verify(base, written[1])) == [("checkpoint.missing", "checkpoint")]
    shutil.copy(written[0] / "export" / "checkpoint", base)
    (base / "log.vkey").unlink()
    (base / "tile/disclosures/000").unlink()
    assert named(verify(base)) == [("checkpoint.key", "checkpoint")]
    assert verify(base, written[1]).intact
    with pytest.raises(LedgerDamaged, match="not a folder"):
        verify(tmp_path / "nothing")


def test_a_checkpoint_that_claims_a_huge_log_does_not_keep_the_verifier_busy(
    written: tuple[Path, str], tmp_path: Path
) -> None:
    base = tmp_path / "export"
    shutil.copytree(written[0] / "export", base)
    text = (base / "checkpoint").read_text()
    (base / "checkpoint").write_text(text.replace("\n600\n", "\n999999999999999999\n"))
    assert not verify(base, written[1]).intact


def test_verifying_beside_a_live_writer_accuses_nobody(home: Home) -> None:
    ledger = home.open()
    grow(ledger, 300, per_commit=100)
    store = open_store(home.path, writer=False)

    def keep_writing(done: int, size: int) -> None:
        ledger.append_sync([draft(done, "live")])

    for _ in range(5):
        verdict = verify(store, ledger.vkey, progress=keep_writing)
        assert verdict.intact, verdict.problems
    store.close()
    assert ledger.size > 300


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on PATH")
def test_the_readme_s_commands_verify_the_checkpoint_with_openssl_alone(
    written: tuple[Path, str], tmp_path: Path
) -> None:
    base = tmp_path / "export"
    shutil.copytree(written[0] / "export", base)
    commands = (
        (base / "README.txt")
        .read_text()
        .partition("with OpenSSL 3")[2]
        .partition("\n")[2]
        .partition("\n\n")[0]
    )
    for change, output in (("", "Successfully"), ("1s/ledger/lodger/", "Failure")):
        subprocess.run(["sed", "-i", change, "checkpoint"], cwd=base, check=True)
        ran = subprocess.run(["sh", "-c", commands], cwd=base, capture_output=True, text=True)
        assert output in ran.stdout + ran.stderr
