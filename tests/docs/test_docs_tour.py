"""The commands that README and tutorial show are run against a real server, and print what is shown."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from docs_console import Mismatch, Reader, Said, blocks, pattern

ROOT = Path(__file__).parents[2]
FEWEST = {
    "README.md": 15,
    "docs/tutorial/first-held-action.md": 20,
    "docs/how-to/write-a-gate.md": 12,
    "docs/how-to/verify-with-third-party-tools.md": 9,
}
"""Commands that at least have to be run: a tour that lost its marks would pass by running nothing."""


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Somebody with an empty home. Its path is short: a Unix socket's has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="kt-") as folder:
        someone = _reader(Path(folder))
        try:
            yield someone
        finally:
            someone.close()


def _reader(home: Path) -> Reader:
    scripts = str(Path(sys.executable).parent)
    environment = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "KEYTURN_PORT": "0",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }
    return Reader(home, environment)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(FEWEST))
def test_what_a_page_shows_is_what_happens(page: str, reader: Reader) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    honest, _, tampering = text.partition("<!-- the record is whole until here -->")
    ran = reader.work_through(honest)
    every_recorded_field_is_documented(reader)
    ran += reader.work_through(tampering)
    assert ran >= FEWEST[page]


def _numbered(name: str) -> str:
    """`days_7` is documented as `days_N`."""
    return re.sub(r"_[0-9]+$", "_N", name)


def every_recorded_field_is_documented(reader: Reader) -> None:
    """The entries that the tour left have no field that docs/reference/entries.md doesn't name."""
    page = (ROOT / "docs/reference/entries.md").read_text(encoding="utf-8")
    sections = {
        m[1]: m[2] for m in re.finditer(r"^### (\S+)\n(.*?)(?=^### |\Z)", page, re.DOTALL | re.MULTILINE)
    }
    recorded = [json.loads(line) for line in reader.output("keyturn ledger log -n 10000 --json").splitlines()]
    assert len({entry["type"] for entry in recorded}) >= 3
    unknown = {
        f"{entry['type']}: {name}"
        for entry in recorded
        for name in entry["fields"]
        if f"`{_numbered(name)}`" not in sections[entry["type"]]
    }
    assert unknown == set()


def test_a_page_that_shows_something_else_is_caught(reader: Reader) -> None:
    wrong = "<!-- tour -->\n```console\n$ echo one\ntwo\n```\n"
    with pytest.raises(Mismatch):
        reader.work_through(wrong)


def test_a_line_that_the_page_does_not_show_is_caught(reader: Reader) -> None:
    with pytest.raises(Mismatch):
        reader.work_through("<!-- tour -->\n```console\n$ printf 'one\\ntwo\\n'\none\n```\n")


def test_an_unmarked_block_is_not_run(reader: Reader) -> None:
    assert reader.work_through("```console\n$ false\n```\n") == 0


def test_ids_are_remembered_and_the_folder_is_kept(reader: Reader) -> None:
    page = (
        "<!-- tour -->\n```console\n$ mkdir -p a && cd a\n$ echo r_abc waits\nr_… waits\n"
        '$ export X=1\n$ echo r_… $X $(basename "$PWD")\nr_abc 1 a\n```\n'
    )
    assert reader.work_through(page) == 4


def test_a_terminal_of_its_own(reader: Reader) -> None:
    page = (
        "<!-- tour: terminal one -->\n```console\n$ echo up; while [ ! -e ~/go ]; do :; done; echo gone\nup\n```\n"
        "<!-- tour -->\n```console\n$ touch ~/go\n```\n"
        "<!-- tour: ends one -->\n```console\nup\ngone\n```\n"
    )
    assert reader.work_through(page) == 2


def test_blocks_are_read_as_they_stand() -> None:
    (block,) = blocks("<!-- tour: until -->\n```console\n$ a \\\n> b\nshown\n```")
    assert block.how == "until"
    assert block.said == (Said("a \\\nb", ("shown",)),)
    assert pattern(("a …", "…", "z")).fullmatch("a b\nc\nd\nz\n")


@pytest.mark.parametrize("page", sorted(FEWEST))
def test_shown_commands_are_valid_shell(page: str) -> None:
    for block in blocks((ROOT / page).read_text(encoding="utf-8")):
        for one in block.said:
            subprocess.run(["bash", "-n", "-c", one.command], check=True)
