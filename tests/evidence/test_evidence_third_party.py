"""Other people's verifiers accept an exported log, and refuse what was done to it as far as they can see it.

A part of the mutants; `make test-third-party` has all of them before everybody and prints who refuses what.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_evidence_verify_pack import small_pack
from third_parties import (
    PARTIES,
    PROGRAMS,
    Kept,
    Missing,
    Running,
    go_program,
    node_program,
    sigstore_modules,
)
from third_party_matrix import NOTHING, House, altered, classed, run, started

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))

from docs_console import Reader

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/how-to/verify-with-third-party-tools.md"
STEP = 13
"""Every so many mutants. A prime, so that it is not always the same kind."""

pytestmark = pytest.mark.third_party


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A log of 333 entries, and what an auditor keeps of it."""
    return House(tmp_path_factory.mktemp("house"))


@pytest.fixture(params=PARTIES, ids=lambda party: party.name)
def running(request: pytest.FixtureRequest, house: House) -> Iterator[Running]:
    """Each verifier that is installed; the others are skipped in words."""
    with started(house.kept, house.base, [request.param]) as (processes, missing):
        if missing:
            pytest.skip(missing[0])
        yield processes[0]


@pytest.mark.slow
def test_each_refuses_what_it_can_see_and_believes_a_log_that_nothing_was_done_to(
    house: House, running: Running
) -> None:
    table = run(house, [running], STEP, own=False)
    assert not table.wrong
    assert sum(cell["refused"] for cell in table.seen.values()) >= 5


def test_what_one_believes_that_sees_nothing_is_found_out(house: House, running: Running) -> None:
    """The negative control of the table: a verifier that believes everything is told of."""
    running.ask(house.log)
    said = running.answer()
    assert said["intact"], said
    table = run(house, [Believer(running)], 97, own=False)  # type: ignore[list-item]
    assert table.wrong


class Believer:
    """Answers for every folder what is true of the first."""

    def __init__(self, running: Running) -> None:
        self.party = replace(running.party, lenient=False)
        running.ask(running._kept.head.parent.parent / "log")
        self.said = running.answer()

    def ask(self, folder: Path, kept: Kept | None = None) -> None:
        """Ask nobody."""

    def answer(self) -> dict[str, object]:
        """What it said then."""
        return self.said


def test_a_rollback_is_seen_by_who_kept_something_and_not_by_who_has_only_a_signature(house: House) -> None:
    sees = {
        party.name: party.sees(frozenset({"checkpoint", "entries", "tiles"}), "rollback") for party in PARTIES
    }
    assert sees == {"Go sumdb": True, "@sigstore/verify": True, "scitt-cose": True, "openssl": False}


def test_what_was_altered_is_told_by_the_files_themselves(house: House, tmp_path: Path) -> None:
    copy = shutil.copytree(house.log, tmp_path / "copy")
    NOTHING.mutate(copy)
    assert altered(house.original, copy) == frozenset()
    (copy / "tile/0/000").write_bytes(b"")
    (copy / "log.vkey").unlink()
    (copy / "log.vkey").symlink_to(house.log / "log.vkey")
    assert altered(house.original, copy) == {"tiles", "log.vkey"}
    assert classed(NOTHING, house.original) == "nothing"


@pytest.mark.slow
def test_the_log_in_an_evidence_pack_is_believed_too(tmp_path: Path) -> None:
    """With the proofs of exceptions that lie in the pack."""
    with zipfile.ZipFile(io.BytesIO(small_pack(tmp_path))) as pack:
        pack.extractall(tmp_path / "pack")
    log, proofs = tmp_path / "pack/log", sorted((tmp_path / "pack/proofs").iterdir())
    assert proofs
    key = (log / "log.vkey").read_text().strip()
    kept = Kept(key, log / "checkpoint", tuple(proofs), ())
    wanted = [party for party in PARTIES if party.name != "scitt-cose"]
    with started(kept, tmp_path, wanted) as (processes, _):
        if not processes:
            pytest.skip("none of Go, @sigstore/verify and OpenSSL is installed")
        for one in processes:
            one.ask(log)
            assert one.answer()["intact"], one.party.name
        damaged = log / "tile/entries/000"
        damaged.write_bytes(damaged.read_bytes()[:-1])
        (log / "checkpoint").write_text((log / "checkpoint").read_text().replace("\n", "\n1", 1))
        for one in processes:
            one.ask(log)
            assert not one.answer()["intact"], one.party.name


# --- the page for auditors ---------------------------------------------------------------------------------------------


@pytest.fixture
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody at a terminal with these programs."""
    home = tmp_path_factory.mktemp("kt")
    environment = {
        "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8", "NO_COLOR": "1", "KEYTURN_PORT": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    someone = Reader(home, environment)
    yield someone
    someone.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "language", "program"),
    [
        ("go", "go", "check_log.go"),
        ("node", "js", "check_proof.cjs"),
        ("scitt", "python", "check_receipt.py"),
    ],
)
def test_an_auditor_can_copy_each_program_from_the_page_and_run_it(
    kind: str, language: str, program: str, reader: Reader, tmp_path: Path
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = (PROGRAMS / program).read_text(encoding="utf-8").replace("\t", "    ")
    assert f"-->\n```{language}\n{shown}```\n" in text
    try:
        needs(kind, reader, tmp_path)
    except Missing as error:
        pytest.skip(str(error))
    export, _, _ = text.partition("\n## The signature")
    marked = "".join(part for part in text.split("\n## ") if f"<!-- {kind}" in part)
    ran = reader.work_through(export)
    ran += reader.work_through(marked.replace(f"<!-- {kind}", "<!-- tour"))
    assert ran >= 9


def needs(kind: str, reader: Reader, tmp_path: Path) -> None:
    """See that the programs are there. Raises `Missing`."""
    if kind == "go":
        go_program(tmp_path)
    elif kind == "node":
        reader.environment["NODE_PATH"] = str(sigstore_modules())
        reader.environment["PATH"] = f"{node_program().parent}:{reader.environment['PATH']}"
    else:
        pytest.importorskip("scitt_cose", reason="PyPI's scitt-cose is not installed")


def test_the_openssl_commands_are_the_page_s(house: House) -> None:
    program = (PROGRAMS / "check_signature.sh").read_text()
    page = PAGE.read_text()
    for words in (
        "sed -n '1,/^$/p'",
        "cut -d' ' -f3 | base64 -d",
        "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey",
    ):
        assert words in program
        assert words in page


# --- set-up --------------------------------------------------------------------------------------------------------------


def test_who_lacks_the_programs_is_told_which_and_nothing_fails(house: House, tmp_path: Path) -> None:
    """As an ordinary user on a machine that has none of them."""
    bare = tmp_path / "bin"
    bare.mkdir()
    probe = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]\n"
        "from pathlib import Path\n"
        "import third_parties\n"
        "third_parties.GOCODE = Path('/nowhere')\n"
        "for ask in (lambda: third_parties.go_program(Path('.')), third_parties.sigstore_modules, third_parties.openssl_program):\n"
        "    try: ask()\n"
        "    except third_parties.Missing as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, str(Path(__file__).parent), str(ROOT / "src")],
        env={"PATH": str(bare), "KEYTURN_TEST_THIRD_PARTY": str(tmp_path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [
        any(word in line for line in said) for word in ("golang-go", "@sigstore/verify", "OpenSSL 3")
    ] == [True] * 3
