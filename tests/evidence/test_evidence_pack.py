"""Packs: all of the log, what follows from it, the same bytes every time; and nothing at all where something is wrong."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packing_house import SIGNER, STRANGER, House, files_of, lived_in, results_of, verdicts_of
from trestle.oscal.assessment_results import AssessmentResults
from trestle.oscal.component import ComponentDefinition
from world import DAY, START

import ocsf_validation
from keyturn.evidence import pack_contents
from keyturn.evidence.errors import FrameworkUnknown, PeriodInvalid
from keyturn.evidence.log_reading import Folder
from keyturn.evidence.pack_errors import (
    HeadForeign,
    LogDamaged,
    NoData,
    PackDiskFull,
    PackRefused,
)
from keyturn.ledger import note, proof
from keyturn.ledger.export import export
from keyturn.ledger.merkle import leaf_hash
from keyturn.ledger.tiles import unbundle


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = lived_in(tmp_path_factory.mktemp("house"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def files(house: House) -> dict[str, bytes]:
    house.pack()
    return files_of(house.folder / "pack.zip")


@pytest.fixture(scope="module", autouse=True)
def unprinted() -> Iterator[None]:
    """A PDF takes seconds, and is tested where reports are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_contents, "pdf", _nothing)
        yield


def _nothing(page: bytes) -> bytes:
    return b"%PDF"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[House]:
    """A house of one's own, to damage."""
    made = lived_in(tmp_path, sessions=1)
    yield made
    made.close()


def _builder(house: House, out: Path, order: str) -> list[str]:
    """A command that builds in a process of its own, and says how that went; one more argument is a limit on the size of files."""
    program = Path(__file__).with_name("packing_program.py")
    return [sys.executable, str(program), str(house.path), str(out), order]


# --- what is in it


def test_every_leaf_of_the_log_is_in_it_whatever_is_withheld(house: House, files: dict[str, bytes]) -> None:
    names = sorted(name for name in files if name.startswith("log/tile/entries/"))
    leaves = [leaf for name in names for leaf in unbundle(files[name])]
    assert leaves == [made.stored.leaf for made in house.world.made]


def test_what_agents_were_told_and_ran_is_withheld_and_the_rest_is_disclosed(
    house: House, files: dict[str, bytes], tmp_path: Path
) -> None:
    from base64 import urlsafe_b64decode

    def texts(found: dict[str, bytes]) -> bytes:
        lines = b"".join(data for name, data in found.items() if name.startswith("log/tile/disclosures/"))
        return b"\n".join(
            urlsafe_b64decode(one + b"==")
            for one in lines.replace(b"[", b"")
            .replace(b"]", b"")
            .replace(b'"', b"")
            .replace(b",", b"\n")
            .split()
        )

    house.pack("content.zip", disclosure="content")
    whole = texts(files_of(house.folder / "content.zip"))
    assert all(text in whole for text in (b"Tidy up.", b'"script"'))  # negative control
    told = texts(files)
    assert not any(text in told for text in (b"Tidy up.", b'"script"'))
    assert all(text in told for text in (b'"verdict"', b'"reading"'))
    assert told.count(b'"action","a_') == whole.count(b'"action","a_')  # ids by which entries are joined


def test_the_manifest_lists_every_file_with_its_digest_and_the_logs_key_signed_it(
    files: dict[str, bytes],
) -> None:
    listed = msgspec.json.decode(files["manifest.json"])["files"]
    assert set(listed) == set(files) - {"manifest.json", "manifest.note"}
    assert all(
        listed[name] == {"sha256": sha256(files[name]).hexdigest(), "size": len(files[name])}
        for name in listed
    )
    signed = note.verify(files["manifest.note"], [SIGNER.key])
    assert signed.text.splitlines()[-1] == sha256(files["manifest.json"]).hexdigest()


def test_an_exception_is_in_the_register_and_its_entry_is_proven(
    house: House, files: dict[str, bytes]
) -> None:
    rows = [
        row
        for row in csv.DictReader(io.StringIO(files["exceptions.csv"].decode()))
        if row["test"] == "no_self_approval"
    ]
    assert [("mia" in row["exception"], row["proof"]) for row in rows] == [
        (True, f"proofs/{rows[0]['entry']}.tlog-proof")
    ]
    leaf = house.world.made[int(rows[0]["entry"])].stored.leaf
    index, head = proof.verify(files[rows[0]["proof"]].decode(), leaf, SIGNER.key)
    assert (index, head.size) == (int(rows[0]["entry"]), len(house.world.made))


def test_what_other_tools_get_is_valid_and_refers_to_what_is_in_the_pack(files: dict[str, bytes]) -> None:
    results = json.loads(files["oscal/assessment-results.json"])
    AssessmentResults.model_validate(results["assessment-results"])
    hrefs = set(re.findall(rb'"href":"\.\./([^"]*)"', files["oscal/assessment-results.json"]))
    assert any(one.startswith(b"proofs/") for one in hrefs)
    assert {one.decode() for one in hrefs} <= set(files)
    ComponentDefinition.model_validate(
        json.loads(files["oscal/component-definition.json"])["component-definition"]
    )
    events = [json.loads(line) for line in files["ocsf/compliance-findings.jsonl"].splitlines()]
    assert [ocsf_validation.problems(one) for one in events] == [[]] * len(events)
    told = {one["control"]: one["verdict"] for one in json.loads(files["results.json"])["controls"]}
    rows = csv.DictReader(io.StringIO(files["grc/controls.csv"].decode(), newline=""))
    assert {one["control"]: one["verdict"] for one in rows} == told
    assert {one["compliance"]["control"]: one["unmapped"]["verdict"] for one in events} == told
    register = list(csv.DictReader(io.StringIO(files["exceptions.csv"].decode())))
    assert len(register) == files["grc/exceptions.csv"].count(b"\r\n") - 1 > 0


def test_controls_follow_from_their_tests_and_nothing_passes_that_found_nothing(
    house: House, files: dict[str, bytes]
) -> None:
    results = msgspec.json.decode(files["results.json"])
    verdicts = {one["test"]: one["verdict"] for one in results["tests"]}
    assert verdicts["no_self_approval"] == "fail"
    assert verdicts["kept_elsewhere"] == "not-tested"
    assert all(
        one["verdict"] == "no-population"
        for one in results["tests"]
        if not one["population"] and not one["why"].startswith("Nobody")
    )
    for one in results["controls"]:
        if one["verdict"] == "pass":
            assert "fail" not in {verdicts[test] for test in one["tests"]}


def test_a_checkpoint_that_somebody_kept_is_looked_at(own: House) -> None:
    earlier = own.store.head() or ""
    own.world.ran(own.world.session())
    own.record()
    own.pack(heads=(("bank", earlier),))
    assert verdicts_of(own.folder / "pack.zip")["kept_elsewhere"] == "pass"
    other = SIGNER.sign(3, b"\1" * 32)
    own.pack("other.zip", heads=(("bank", earlier), ("auditor", other)))
    assert verdicts_of(own.folder / "other.zip")["kept_elsewhere"] == "fail"
    with pytest.raises(HeadForeign):
        own.pack("foreign.zip", heads=(("bank", STRANGER.sign(3, b"\1" * 32)),))


# --- verify.py


def verified(path: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What the pack's own program says of it."""
    program = path.with_suffix(".py")
    program.write_bytes(files_of(path)["verify.py"])
    command = [sys.executable, "-I", "-S", str(program), str(path), "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, msgspec.json.decode(done.stdout)


@pytest.mark.parametrize("disclosure", ["digests", "content"])
def test_the_program_in_it_derives_all_of_it_again_from_the_log(own: House, disclosure: str) -> None:
    own.pack(disclosure=disclosure, heads=(("bank", own.store.head() or ""),))
    kept = own.folder / "kept"
    kept.write_text(own.store.head() or "")
    code, said = verified(own.folder / "pack.zip", "--key", str(SIGNER.key), "--head", str(kept))
    assert (said["pack"]["problems"], said["log"]["problems"]) == ([], [])
    assert said["controls"]["problems"] == []
    assert said["pack"]["signed"] is True
    mine = {one["control"]: one["verdict"] for one in results_of(own.folder / "pack.zip")["controls"]}
    assert {one["control"]: one["verdict"] for one in said["controls"]["controls"]} == mine
    assert code == 0, said["approvals"]


# --- the same bytes


def test_the_same_log_gives_the_same_bytes_elsewhere_with_another_umask_time_zone_and_hash_seed(
    house: House, files: dict[str, bytes], tmp_path: Path
) -> None:
    order = msgspec.json.encode(house.order()).decode()
    made = []
    for name, zone, seed, mask in (("one", "UTC", "1", 0o77), ("two", "Asia/Kathmandu", "4242", 0o2)):
        where = tmp_path / name
        where.mkdir()
        environment = {"TZ": zone, "PYTHONHASHSEED": seed, "LC_ALL": "C"}
        done = subprocess.run(
            _builder(house, where / "p.zip", order),
            env=environment,
            cwd=where,
            check=False,
            umask=mask,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "built", done.stderr
        made.append((where / "p.zip").read_bytes())
        assert (where / "p.zip").stat().st_mode & 0o777 == 0o600
    assert made[0] == made[1] == (house.folder / "pack.zip").read_bytes()


def test_two_processes_give_the_bytes_of_one(own: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from keyturn.evidence import pack
    from keyturn.evidence.report.pdf import pdf

    monkeypatch.setattr(pack_contents, "pdf", pdf)  # the other processes print, too
    session = own.world.session()
    for _ in range(2000):
        own.world.ran(session)
    own.record()
    monkeypatch.setattr(pack, "FEW", 1)
    own.pack("one.zip", processes=1)
    own.pack("two.zip", processes=2)
    monkeypatch.setattr(pack, "STRETCH", 3)
    own.pack("three.zip", processes=3)
    names = ("one.zip", "two.zip", "three.zip")
    one, *others = (files_of(own.folder / name) for name in names)
    for other in others:
        assert [name for name in one if one[name] != other.get(name)] == []
    digests = {sha256((own.folder / name).read_bytes()).hexdigest() for name in names}
    assert len(digests) == 1


def test_what_is_recorded_meanwhile_is_not_in_it_and_changes_no_byte(own: House) -> None:
    order = own.order()
    own.pack("before.zip")
    own.world.ran(own.world.session())
    own.record()
    own.pack("after.zip", size=order.size, until=order.until)
    assert (own.folder / "before.zip").read_bytes() == (own.folder / "after.zip").read_bytes()


def test_an_exported_log_gives_the_same_tables_and_nobody_signs_that_list(own: House) -> None:
    export(own.store, own.folder / "exported", SIGNER.key)
    size = own.tree.size
    own.pack("signed.zip")
    own.pack("unsigned.zip", opener=lambda: Folder(own.folder / "exported", size), signer=None)
    signed, unsigned = files_of(own.folder / "signed.zip"), files_of(own.folder / "unsigned.zip")
    assert set(signed) - set(unsigned) == {"manifest.note"}
    differing = {name for name in unsigned if signed[name] != unsigned[name]}
    assert differing == {"README.txt", "manifest.json"}
    assert b"Nobody signed" in unsigned["README.txt"]


# --- nothing where something is wrong


def left(house: House) -> list[str]:
    """Files in the house's folder that are no store."""
    return sorted(path.name for path in house.folder.iterdir() if not path.name.startswith("ledger."))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"since": START + 5, "until": START + 5}, PeriodInvalid),
        ({"since": START + 5, "until": START}, PeriodInvalid),
        ({"since": -1}, PeriodInvalid),
        ({"until": START + 900 * DAY}, PeriodInvalid),
        ({"since": START - 9 * DAY, "until": START - DAY}, NoData),
        ({"framework": "soc3"}, FrameworkUnknown),
        ({"size": 10**6}, LogDamaged),
        ({"size": 0}, LogDamaged),
        ({"key": STRANGER.key}, LogDamaged),
    ],
)
def test_what_can_not_be_answered_is_refused_and_leaves_nothing_behind(
    own: House, given: dict[str, Any], error: type
) -> None:
    with pytest.raises(error) as raised:
        own.pack(**given)
    assert raised.value.code.startswith("evidence.")
    assert left(own) == []


def _tampered(house: House, statement: str, *values: Any) -> None:
    import sqlite3

    house.store.close()
    with sqlite3.connect(house.path) as connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "update entry set leaf = cast(replace(leaf, 'approval.given', 'request.ended') as blob) where type = 'approval.given'",
        "update entry set disclosures = (select disclosures from entry where idx = 50) where idx = 40",
        "update entry set disclosures = cast('[\"e30\"]' as blob) where idx = 40",
        "update entry set disclosures = cast('garbage' as blob) where idx = 40",
        "delete from entry where idx = 40",
        "delete from entry where idx = (select max(idx) from entry)",
        "update entry set leaf = cast('x' as blob) where idx = 40",
        """update entry set leaf = cast(replace(leaf, '"v":1', '"v":2') as blob) where idx = 40""",
        "update entry set (leaf, disclosures) = (select leaf, disclosures from entry where idx = 41) where idx = 40",
        "update checkpoint set note = replace(note, 'world', 'worle')",
    ],
)
def test_a_log_that_is_not_what_its_checkpoint_says_gives_no_pack(own: House, statement: str) -> None:
    own.pack("sound.zip")  # negative control
    (own.folder / "sound.zip").unlink()
    _tampered(own, statement)
    with pytest.raises(LogDamaged) as raised:
        own.pack()
    assert raised.value.exit_code == 7
    assert left(own) == []


def test_a_beginning_that_was_rewritten_is_not_signed_anew(own: House) -> None:
    """Entries and their own tile are altered together, those above are not: the part before the newest entries must not be signed."""
    size = own.tree.size
    until = own.order().until
    session = own.world.session()
    for _ in range(300):
        own.world.ran(session)
    own.record()
    own.pack("sound.zip", size=size, until=until)  # negative control
    (own.folder / "sound.zip").unlink()
    made = next(one for one in own.world.made if one.stored.type == "approval.given")
    forged = made.stored.leaf.replace(b'"approval.given"', b'"request.opened"')
    at = made.stored.index * 32
    tile = bytearray(own.store.tile(0, 0) or b"")
    tile[at : at + 32] = leaf_hash(forged)
    _tampered(own, "update entry set leaf = ? where idx = ?", forged, made.stored.index)
    _tampered(own, "update tile set hashes = ? where level = 0 and idx = 0", bytes(tile))
    with pytest.raises(LogDamaged):
        own.pack(size=size, until=until)
    assert left(own) == []


def test_a_file_that_is_there_is_never_replaced(own: House) -> None:
    (own.folder / "pack.zip").write_text("mine")
    with pytest.raises(PackRefused):
        own.pack()
    (own.folder / "link.zip").symlink_to(own.folder / "nowhere")
    with pytest.raises(PackRefused):
        own.pack("link.zip")
    assert (own.folder / "pack.zip").read_text() == "mine"
    with pytest.raises(PackRefused):
        own.pack("no/such/folder.zip")


def test_of_two_packs_for_one_name_one_appears_and_the_other_says_so(
    own: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    from keyturn.evidence import pack

    real = pack._appear

    def late(made: Path, target: Path) -> None:
        if not target.exists():
            monkeypatch.setattr(pack, "_appear", real)
            own.pack()
        real(made, target)

    monkeypatch.setattr(pack, "_appear", late)
    with pytest.raises(PackRefused):
        own.pack()
    assert left(own) == ["pack.zip"]


def test_a_full_disk_leaves_nothing_behind(own: House) -> None:
    """A limit on the size of files stands for a full disk: the same error of the same calls."""
    order = msgspec.json.encode(own.order()).decode()

    def said(limit: int) -> str:
        command = [*_builder(own, own.folder / "pack.zip", order), str(limit)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    for limit in (5_000, 60_000, 400_000):
        assert said(limit) == PackDiskFull.code
        assert left(own) == []
    assert said(2**40) == "built"  # negative control


def test_a_disk_that_is_full_when_a_reader_puts_its_part_into_the_pack_leaves_nothing_behind(
    own: House,
) -> None:
    session = own.world.session()
    for _ in range(600):
        own.world.ran(session)
    own.record()
    order = msgspec.json.encode(own.order()).decode()

    def said(limit: int) -> tuple[str, str]:
        command = [*_builder(own, own.folder / "pack.zip", order), str(limit), "2"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip(), done.stderr

    code, happened = said(100_000)
    assert code == PackDiskFull.code, happened
    assert left(own) == []
    assert said(2**40)[0] == "built"  # negative control


def test_a_field_of_a_pack_may_be_erased_and_then_it_is_in_none(own: House) -> None:
    from keyturn.ledger import erasing

    index = next(made.stored.index for made in own.world.made if made.stored.type == "approval.given")
    own.pack("before.zip")
    done = erasing.edits(own.store, {index: frozenset({"reason"})}, own.tree.size)
    own.store.erase(done.entries, sorted(done.blobs))
    own.pack("after.zip")
    before, after = files_of(own.folder / "before.zip"), files_of(own.folder / "after.zip")
    differing = {name for name in after if before[name] != after[name]}
    assert {name for name in differing if name.startswith("log/")} == {
        name for name in after if name.startswith("log/tile/disclosures/000")
    }
    assert b"~reason" not in b"".join(after.values())


def test_a_period_can_begin_before_the_log_and_days_without_anything_are_no_pass(own: House) -> None:
    own.pack(since=START - 30 * DAY)
    found = results_of(own.folder / "pack.zip")
    assert found["since"] == START - 30 * DAY
    assert time.gmtime(found["until"] / 1000).tm_year >= 2026
