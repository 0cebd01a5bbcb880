"""`verify.py` over a pack: one altered byte is found, and results that do not follow from the log are, whoever signed them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pack_mutants import PackMutant, bytes_altered, every, lies, read_pack, shapes_altered, signed_again
from packing_house import lived_in
from test_evidence_verify_log import run, verdict

from keyturn.evidence import pack_contents, verifier
from keyturn.evidence.program import checks


def small_pack(folder: Path) -> bytes:
    """A pack of some 330 entries, with a few exceptions. Its PDF is a word: what is in that is the report's affair."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_contents, "pdf", lambda page: b"%PDF")
        house = lived_in(folder, sessions=7)
        made = Path(house.pack().path).read_bytes()
        house.close()
    return made


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The pack that is verified, and that is bent."""
    return small_pack(tmp_path_factory.mktemp("house"))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process is enough for a small pack."""
    monkeypatch.setattr(checks, "_alone", lambda: True)


def said_of(data: bytes, folder: Path) -> tuple[int, dict[str, object]]:
    """Exit code and verdict of these bytes."""
    place = folder / "mutant.zip"
    place.write_bytes(data)
    return verdict(place)


def worked() -> float:
    """Processor seconds of this process and of those that it waited for."""
    return sum(os.times()[:4])


def refused(mutant: PackMutant, pack: bytes, folder: Path) -> str:
    """Empty if it is refused within ten seconds of work, or what went wrong."""
    began = worked()
    code, said = said_of(mutant.mutate(pack), folder)
    late = worked() - began > 10
    wrong = code not in (2, 7) or said.get("verified") or late
    return f"{mutant.cls} · {mutant.name}: exit {code}{', late' if late else ''}" if wrong else ""


def test_a_pack_is_verified_and_each_verdict_has_its_own_words(pack: bytes, tmp_path: Path) -> None:
    (tmp_path / "pack.zip").write_bytes(pack)
    (tmp_path / "verify.py").write_bytes(read_pack(pack)["verify.py"])
    done = run(tmp_path / "verify.py", str(tmp_path / "pack.zip"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PACK       intact; its list of files is signed by the log's key" in done.stdout
    assert "LOG        intact" in done.stdout
    assert "APPROVALS  each is valid" in done.stdout
    assert "  FAIL           no_self_approval: 1 of " in done.stdout
    assert "  not tested     kept_elsewhere" in done.stdout
    assert "  no population  " in done.stdout
    assert "VERIFIED. What failed above is a result, not a damage." in done.stdout


def test_every_altered_byte_is_found(pack: bytes, tmp_path: Path, alone: None) -> None:
    chosen = [*bytes_altered(pack)][::9]
    assert not [words for one in chosen if (words := refused(one, pack, tmp_path))]


def test_every_other_shape_is_refused(pack: bytes, tmp_path: Path, alone: None) -> None:
    chosen = [*shapes_altered(pack)][::3]
    assert not [words for one in chosen if (words := refused(one, pack, tmp_path))]


def test_results_that_do_not_follow_from_the_log_are_refused_though_the_logs_key_signed_them(
    pack: bytes, tmp_path: Path, alone: None
) -> None:
    chosen = [*lies(pack)][::17]
    assert not [words for one in chosen if (words := refused(one, pack, tmp_path))]


def test_there_are_more_than_five_hundred_of_them(pack: bytes) -> None:
    assert sum(1 for _ in every(pack)) > 1000


def test_a_pack_that_is_put_together_again_and_signed_is_verified(
    pack: bytes, tmp_path: Path, alone: None
) -> None:
    """The negative control of the lies: what they do beside the lie is not what is refused."""
    assert said_of(signed_again(read_pack(pack)), tmp_path)[0] == 0


def test_a_pack_that_nobody_signed_is_verified_only_if_that_is_expected(
    pack: bytes, tmp_path: Path, alone: None
) -> None:
    files = read_pack(pack)
    del files["manifest.note"]
    from pack_mutants import packed

    place = tmp_path / "pack.zip"
    place.write_bytes(packed(files))
    code, said = verdict(place)
    assert (code, said["verified"], said["pack"]["signed"]) == (2, False, False)
    assert verdict(place, "--unsigned")[0] == 0


def test_a_test_with_another_text_is_told_though_all_else_fits(pack: bytes, tmp_path: Path) -> None:
    """What can't be refused, because a house may have its own tests, is said."""
    files = read_pack(pack)
    text = files["queries/agents_owned.sql"]
    edited = text.replace(b"\n", b"\n-- population: and nothing else\n", 1)
    for name in ("results.json", "controls.json"):
        files[name] = files[name].replace(_digest(text), _digest(edited))
    files["queries/agents_owned.sql"] = edited
    (tmp_path / "pack.zip").write_bytes(signed_again(files))
    (tmp_path / "verify.py").write_bytes(verifier.text())
    done = run(tmp_path / "verify.py", str(tmp_path / "pack.zip"))
    assert done.returncode == 0, done.stdout
    own = [line for line in done.stdout.splitlines() if "not the one that came with this program" in line]
    assert [line.split()[1].rstrip(":") for line in own] == ["agents_owned"]


def test_a_control_that_is_left_out_is_told(pack: bytes, tmp_path: Path) -> None:
    files = read_pack(pack)
    said, plan = json.loads(files["results.json"]), json.loads(files["controls.json"])
    failed = next(at for at, one in enumerate(said["controls"]) if one["verdict"] == "fail")
    gone = said["controls"].pop(failed)["control"]
    del plan["controls"][failed]
    files["results.json"], files["controls.json"] = (
        json.dumps(one, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        for one in (said, plan)
    )
    (tmp_path / "pack.zip").write_bytes(signed_again(files))
    (tmp_path / "verify.py").write_bytes(verifier.text())
    done = run(tmp_path / "verify.py", str(tmp_path / "pack.zip"))
    assert f"LEFT OUT       soc2 {gone} is in this program's catalogue" in done.stdout


# --- an operator who signs whatever helps -----------------------------------------------------------------------------


def bent(pack: bytes, edit: Callable[[dict[str, Any], dict[str, Any], dict[str, bytes]], None]) -> bytes:
    """The pack with results, plan of controls and files edited, signed again by the log's key."""
    files = read_pack(pack)
    said, plan = json.loads(files["results.json"]), json.loads(files["controls.json"])
    edit(said, plan, files)
    for name, value in (("results.json", said), ("controls.json", plan)):
        files[name] = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return signed_again(files)


def wrong(pack: bytes, folder: Path, *more: str) -> tuple[int, str]:
    """Exit code, and what does not follow."""
    (folder / "bent.zip").write_bytes(pack)
    code, said = verdict(folder / "bent.zip", *more)
    return code, " | ".join(" ".join(one) for one in said["controls"]["problems"])


def test_a_threshold_that_is_left_out_is_refused(pack: bytes, tmp_path: Path, alone: None) -> None:
    """Without its threshold a comparison in a query says neither yes nor no, and finds nothing."""

    def edit(said: dict[str, Any], plan: dict[str, Any], files: dict[str, bytes]) -> None:
        name = next(iter(next(one for one in said["tests"] if one["settings"])["settings"]))
        for one in said["tests"]:
            one["settings"].pop(name, None)
        rows = files["tables/setting.csv"].splitlines(keepends=True)
        files["tables/setting.csv"] = b"".join(row for row in rows if f'"{name}"'.encode() not in row)

    assert wrong(bent(pack, lambda *_: None), tmp_path) == (0, "")
    code, words = wrong(bent(pack, edit), tmp_path)
    assert code == 7
    assert "It ran with other thresholds than its text names." in words


def test_a_control_that_failed_is_not_made_one_that_was_not_tested(
    pack: bytes, tmp_path: Path, alone: None
) -> None:
    def edit(said: dict[str, Any], plan: dict[str, Any], files: dict[str, bytes]) -> None:
        failed = next(one for one in said["controls"] if one["verdict"] == "fail")
        failed.update(verdict="not-tested", why="No time.")

    code, words = wrong(bent(pack, edit), tmp_path)
    assert code == 7
    assert "The pack says 'not-tested' of it; from its tests follows fail." in words


def test_a_period_that_ends_after_the_log_does_is_refused(pack: bytes, tmp_path: Path, alone: None) -> None:
    def edit(said: dict[str, Any], plan: dict[str, Any], files: dict[str, bytes]) -> None:
        later = said["until"] + 90 * 86_400_000
        files["tables/period.csv"] = files["tables/period.csv"].replace(b"%d" % said["until"], b"%d" % later)
        said["until"] = later

    code, words = wrong(bent(pack, edit), tmp_path)
    assert code == 7
    assert "Its period ends after the log does." in words


def test_checkpoints_that_only_the_operator_handed_in_prove_nothing_to_who_verifies(tmp_path: Path) -> None:
    house = lived_in(tmp_path)
    head = house.store.head() or ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pack_contents, "pdf", lambda page: b"%PDF")
        made = house.pack(heads=(("bank", head),))
    house.close()
    (tmp_path / "kept").write_text(head)
    for more, expected in (((), "not-tested"), (("--head", str(tmp_path / "kept")), "pass")):
        code, said = verdict(Path(made.path), *more)
        assert code == 0
        found = {one["test"]: one["verdict"] for one in said["controls"]["tests"]}
        assert found["kept_elsewhere"] == expected
        resting = [one for one in said["controls"]["controls"] if "kept_elsewhere" in one["why"]]
        assert all(one["verdict"] in ("not-tested", "fail") for one in resting)


def test_what_was_not_made_again_and_another_program_in_the_pack_are_told(
    pack: bytes, tmp_path: Path
) -> None:
    (tmp_path / "verify.py").write_bytes(verifier.text())
    lying = bent(pack, lambda said, plan, files: files.update({"verify.py": b"print('VERIFIED.')\n"}))
    for data, told in ((pack, False), (lying, True)):
        (tmp_path / "pack.zip").write_bytes(data)
        said = run(tmp_path / "verify.py", str(tmp_path / "pack.zip")).stdout
        assert ("the verify.py in the pack is another one than this: do not run that" in said) is told
        assert "report.html, report.pdf, oscal/, ocsf/ and grc/ were NOT made again" in said
        assert "is that the period you asked for?" in said
        assert "the making of this pack is NOT RECORDED in the log" in said


def _digest(text: bytes) -> bytes:
    from hashlib import sha256

    return sha256(text).hexdigest().encode()


def test_without_sqlite_no_control_passes(pack: bytes, tmp_path: Path) -> None:
    (tmp_path / "pack.zip").write_bytes(pack)
    (tmp_path / "verify.py").write_bytes(verifier.text())
    without = (
        "import sys; sys.modules['sqlite3'] = None; sys.argv = sys.argv[1:]; "
        "exec(compile(open(sys.argv[0]).read(), 'verify.py', 'exec'))"
    )
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        without,
        str(tmp_path / "verify.py"),
        str(tmp_path / "pack.zip"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "LOG        intact" in done.stdout
    assert "APPROVALS  each is valid" in done.stdout
    assert "CONTROLS   not performed: This Python has no sqlite3" in done.stdout
    assert "pass " not in done.stdout


@pytest.mark.parametrize(
    "what",
    ["a text file", "nothing", "no such file", "a folder without a log", "two paths", "an unknown option"],
)
def test_what_is_no_pack_is_said_to_be_none(what: str, tmp_path: Path) -> None:
    program = tmp_path / "verify.py"
    program.write_bytes(verifier.text())
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    arguments = {
        "a text file": ["text"], "nothing": ["empty"], "no such file": ["gone"], "a folder without a log": ["folder"],
        "two paths": ["text", "empty"], "an unknown option": ["text", "--quickly"],
    }[what]  # fmt: skip
    done = run(program, *(one if one.startswith("-") else str(tmp_path / one) for one in arguments))
    assert done.returncode in (2, 7)
    assert "Traceback" not in done.stderr
    assert "VERIFIED." not in done.stdout.replace("NOT VERIFIED.", "")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def one_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_alone", lambda: True)
        yield


@pytest.mark.usefixtures("one_process")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.binary(max_size=9), st.integers(0, 9)), min_size=1, max_size=4
    )
)
def test_no_bytes_bring_it_down(edits: list[tuple[float, bytes, int]], pack: bytes, place: Path) -> None:
    """Pieces written over, put in or taken out, anywhere: an answer in words, and never that it is verified."""
    data = pack
    for where, piece, gone in edits:
        at = int(where * len(data))
        data = data[:at] + piece + data[at + gone :]
    began = worked()
    code, said = said_of(data, place)
    assert worked() - began < 10
    if data != pack:
        assert code in (2, 7)
        assert not said.get("verified")


@pytest.mark.usefixtures("one_process")
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["results.json", "controls.json"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "tests",
                        "controls",
                        "test",
                        "control",
                        "since",
                        "until",
                        "size",
                        "settings",
                        "days",
                        "framework",
                        "id",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=20,
    ),
)
def test_no_json_brings_it_down(name: str, value: object, pack: bytes, place: Path) -> None:
    """JSON of any shape in the place of the results, signed by the log's key: an answer in words."""
    files = {**read_pack(pack), name: json.dumps(value, ensure_ascii=True).encode()}
    began = worked()
    code, said = said_of(signed_again(files), place)
    assert worked() - began < 10
    assert code == 7
    assert not said.get("verified")


def test_a_pack_is_read_with_the_sqlite_that_this_python_has() -> None:
    assert sqlite3.sqlite_version_info >= (3, 31)
