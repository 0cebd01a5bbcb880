"""The zip files that packs are: one form, which other people's programs read."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.evidence import archive_writing
from keyturn.evidence.archive_writing import Archive, Records, Stored

PART = r"[a-z0-9_-][a-z0-9._-]{0,8}"
NAMES = st.lists(st.from_regex(f"{PART}(/{PART}){{0,2}}", fullmatch=True), max_size=12, unique=True)


def made(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    archive = Archive(out)
    for name in files:
        archive.add(name, files[name])
    assert archive.finish() == len(out.getvalue())
    return out.getvalue()


@given(NAMES, st.binary(max_size=300))
def test_python_reads_back_every_file_and_finds_nothing_else(names: list[str], data: bytes) -> None:
    files = {name: data[at:] for at, name in enumerate(names)}
    with zipfile.ZipFile(io.BytesIO(made(files))) as read:
        assert read.namelist() == sorted(files)
        assert read.testzip() is None
        assert {name: read.read(name) for name in files} == files


def test_unzip_tests_it_without_a_word(tmp_path: Path) -> None:
    pack = tmp_path / "p.zip"
    pack.write_bytes(made({"b/c.txt": b"hello\n", "a.txt": b"", "log/tile/0/000.p/7": b"x" * 224}))
    done = subprocess.run(["unzip", "-tq", pack], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_more_than_65535_files_take_the_zip64_end() -> None:
    files = {f"blobs/{number:05d}": b"%d" % number for number in range(65_536)}
    data = made(files)
    assert b"PK\x06\x06" in data[-200:]
    with zipfile.ZipFile(io.BytesIO(data)) as read:
        assert len(read.namelist()) == 65_536
        assert read.read("blobs/65535") == b"65535"
    assert b"PK\x06\x06" not in made({"a": b"x"})  # negative control


def test_contents_beyond_four_gib_are_found(tmp_path: Path) -> None:
    path = tmp_path / "large.zip"
    with path.open("wb") as out:
        archive = Archive(out)
        for number in range(5):
            archive.room([Stored(f"a/{number}", 0, 1023 << 20, 0)])
        archive.add("last", b"here")
        archive.finish()
    with zipfile.ZipFile(path) as read:
        assert read.getinfo("last").header_offset > 1 << 32
        assert read.read("last") == b"here"


@pytest.mark.parametrize(
    "name", ["", "/a", "a//b", "../a", "a/../b", "a/.b", "ä", "a b", "a\\b", "C:/a", "a/", "x" * 201, "a\n"]
)
def test_a_name_that_would_lead_somewhere_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Archive(io.BytesIO()).add(name, b"")


def test_names_differ_by_more_than_case() -> None:
    archive = Archive(io.BytesIO())
    archive.add("README.txt", b"")
    for name in ("README.txt", "Readme.txt"):
        with pytest.raises(ValueError, match="there already"):
            archive.add(name, b"")


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="2 GiB"):
        Archive(io.BytesIO()).room([Stored("a", 0, archive_writing.LARGEST + 1, 0)])


def test_records_are_put_where_there_is_room_for_them_and_nowhere_else(tmp_path: Path) -> None:
    path, plain = tmp_path / "pack", io.BytesIO()
    records = Records()
    files = [records.add("a", b"1"), records.add("b", b"22")]
    with path.open("xb") as out:
        archive = Archive(out)
        archive.add("first", b"0")
        offset = archive.room(files)
        archive.add("last", b"333")
        records.place(str(path), offset)
        archive.finish()
    same = Archive(plain)
    for name, data in (("first", b"0"), ("a", b"1"), ("b", b"22"), ("last", b"333")):
        same.add(name, data)
    same.finish()
    assert path.read_bytes() == plain.getvalue()
    with pytest.raises(ValueError, match="does not follow"):
        Archive(io.BytesIO()).room(reversed(files))
    with pytest.raises(ValueError, match="not the 3 bytes"):
        archive_writing.place(str(path), 0, "a", (b"1", b"2"), 3, 0)
