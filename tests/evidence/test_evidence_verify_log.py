"""`verify.py` over an exported log: what is true is verified, and every mutant is refused."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from log_folder import KEY, signer, small_world, write_world
from mutants import Mutant, mutants

from keyturn.evidence import verifier
from keyturn.evidence.program import checks
from keyturn.ledger import tiles


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported log of 333 entries."""
    return write_world(tmp_path_factory.mktemp("log") / "log", small_world())


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """verify.py."""
    place = tmp_path_factory.mktemp("program") / verifier.NAME
    place.write_bytes(verifier.text())
    return place


def verdict(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and verdict, within this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = checks.program([str(folder), "--json", *more])
    return code, json.loads(out.getvalue()) if out.getvalue() else {"said": err.getvalue()}


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program, as an auditor runs it: alone, without anything that is installed."""
    command = [sys.executable, "-I", "-S", str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def refused(mutant: Mutant, log: Path, folder: Path, kept: Path) -> str:
    """Empty if the mutant is refused, or what went wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(log, folder)
    mutant.mutate(folder)
    more = ["--head", str(kept)] if "head" in mutant.needs else []
    more += ["--key", str(signer().key)] if "key" in mutant.needs else []
    code, said = verdict(folder, *more)
    if code not in (2, 7) or said.get("verified"):
        return f"{mutant.cls} · {mutant.name}: exit {code}"
    return ""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process is enough for a small log."""
    monkeypatch.setattr(checks, "_alone", lambda: True)


def test_a_log_is_verified(log: Path, program: Path) -> None:
    done = run(program, str(log), "--key", str(signer().key), "--head", str(log / "checkpoint"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LOG        intact" in done.stdout
    assert "APPROVALS  each is valid" in done.stdout
    assert "12 approvals signed" in done.stdout
    assert "the key that you gave" in done.stdout
    assert "a beginning of this log, 333 entries" in done.stdout


def test_whose_key_it_is_and_that_nothing_was_kept_elsewhere_is_said(log: Path, program: Path) -> None:
    done = run(program, str(log))
    assert done.returncode == 0
    assert "proves nothing about whose it is" in done.stdout
    assert "no checkpoint kept elsewhere was handed in" in done.stdout


def test_every_mutant_is_refused(log: Path, tmp_path: Path, alone: None) -> None:
    kept = shutil.copy(log / "checkpoint", tmp_path / "kept")
    every = list(mutants(log))
    assert len(every) >= 500
    chosen = every[::7]
    wrong = [words for one in chosen if (words := refused(one, log, tmp_path / "copy", Path(kept)))]
    assert not wrong


@pytest.mark.parametrize("number", range(0, 900, 180))
def test_mutants_are_refused_by_the_program_itself(
    log: Path, program: Path, tmp_path: Path, number: int
) -> None:
    mutant = [one for one in mutants(log) if not one.needs][number % 300]
    shutil.copytree(log, tmp_path / "copy")
    mutant.mutate(tmp_path / "copy")
    done = run(program, str(tmp_path / "copy"))
    assert done.returncode in (2, 7), mutant.name
    assert "NOT VERIFIED." in done.stdout or "Nothing was verified" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_copy_that_nothing_was_done_to_is_not_refused(log: Path, tmp_path: Path, alone: None) -> None:
    """The negative control of the matrix."""
    nothing = Mutant("nothing", "none", lambda folder: None, frozenset({"head", "key"}))
    assert refused(nothing, log, tmp_path / "copy", log / "checkpoint") == "none · nothing: exit 0"


def test_what_only_a_kept_checkpoint_shows_is_not_seen_without_one(
    log: Path, tmp_path: Path, alone: None
) -> None:
    """So that nobody believes that verifying a pack alone shows that it is the whole log."""
    shutil.copytree(log, tmp_path / "copy")
    next(one for one in mutants(log) if one.cls == "rollback").mutate(tmp_path / "copy")
    assert verdict(tmp_path / "copy")[0] == 0
    code, said = verdict(tmp_path / "copy", "--head", str(log / "checkpoint"))
    assert code == 7
    assert "rolled back" in said["heads"][0]["why"]


def test_a_withheld_field_is_no_damage_and_is_counted(log: Path, tmp_path: Path, alone: None) -> None:
    shutil.copytree(log, tmp_path / "copy")
    place = tmp_path / "copy/tile/disclosures/000"
    lines = place.read_bytes().splitlines()
    leaves = tiles.unbundle((log / "tile/entries/000").read_bytes())
    used = next(at for at, leaf in enumerate(leaves) if b'"type":"permit.consumed"' in leaf)
    place.write_bytes(b"".join((b"[]" if at == used else line) + b"\n" for at, line in enumerate(lines)))
    code, said = verdict(tmp_path / "copy")
    assert code == 0
    assert said["log"]["withheld"] == len(json.loads(lines[used]))


def test_it_is_one_text_and_of_the_standard_library_alone() -> None:
    text = verifier.text().decode()
    assert verifier.text() is verifier.text()
    assert "keyturn.evidence" not in "".join(
        line for line in text.splitlines() if "import " in line and not line.startswith("#")
    )
    compile(text, "verify.py", "exec")


def test_an_older_python_is_told_so_and_verifies_nothing(program: Path) -> None:
    text = program.read_text("utf-8")
    older = "import sys; sys.version_info = (3, 8); sys.argv = ['verify.py', '.']; exec(compile(%r, 'verify.py', 'exec'))"
    code = older % text[: text.index("# ====")]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "verify.py needs Python 3.9 or newer.\n")


def test_what_is_not_of_the_standard_library_is_not_put_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the composition."""
    from keyturn.evidence.program import sheets

    place = tmp_path / "sheets.py"
    place.write_text("import msgspec\n" + Path(sheets.__file__).read_text())
    monkeypatch.setattr(sheets, "__file__", str(place))
    with pytest.raises(ValueError, match="not of the standard library"):
        verifier.text.__wrapped__()


def test_no_other_key_than_the_worlds_signs_it() -> None:
    assert KEY.public_key() == signer()._private.public_key()
