"""The ledger's commands on a live home, a stopped one, a damaged one, and on PostgreSQL."""

from __future__ import annotations

import json
import shutil
import sqlite3
from base64 import b64decode
from pathlib import Path

import pytest
from cli_house import House, Said, environment, keyturn
from server_process import GateClient, Process

from keyturn.cli.init import create
from keyturn.errors import ExitCode
from keyturn.home import Home
from keyturn.ledger import proof
from keyturn.ledger.verify import verify


def worked(home: Home) -> None:
    """A server runs, an agent does two things, the server stops."""
    server = Process(home, environ=environment()).start()
    try:
        gate = GateClient(home)
        gate.authorize("ls")
        gate.authorize("rm -r build")
        gate.close()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A stopped home with some entries. Tests that change something take a copy."""
    home = Home(tmp_path_factory.mktemp("l") / "home")
    create(home, "dana", "", "enforce")
    worked(home)
    return home


@pytest.fixture
def home(original: Home, folder: Path) -> Home:
    """A copy of its own."""
    shutil.copytree(original.root, folder / "home")
    return Home(folder / "home")


def on(home: Home, *arguments: object) -> Said:
    return keyturn("ledger", *arguments, "--home", home.root)


def test_log_shows_the_newest_entries_oldest_first(original: Home) -> None:
    lines = [json.loads(line) for line in on(original, "log", "-n", "1000", "--json").out.splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert set(lines[0]) == {"index", "time", "type", "session", "n", "fields"}
    newest = [json.loads(line) for line in on(original, "log", "-n", "2", "--json").out.splitlines()]
    assert newest == lines[-2:]
    shown = on(original, "log").out.splitlines()
    assert len(shown) == min(20, len(lines))
    session = next(line["session"] for line in lines if line["session"])
    of_session = [
        json.loads(line) for line in on(original, "log", "--session", session, "--json").out.splitlines()
    ]
    assert of_session == [line for line in lines if line["session"] == session]
    opened = on(original, "log", "--type", "session.opened", "--json").out.splitlines()
    assert [json.loads(line) for line in opened] == [
        line for line in lines if line["type"] == "session.opened"
    ]
    none = on(original, "log", "--session", "s_none")
    assert (none.code, none.out, none.err) == (ExitCode.DONE, "", "No entry is like that.\n")


def test_verify_says_whose_key_it_was(original: Home, folder: Path) -> None:
    said = on(original, "verify")
    assert said.code == ExitCode.DONE
    assert "1 session. Root " in said.out
    assert said.out.endswith(", this home's key.\n")
    exported = folder / "log"
    assert on(original, "export", exported).code == ExitCode.DONE
    key = (exported / "log.vkey").read_text().strip()
    assert (
        "the key that lies in the folder: compare it with one you trust"
        in keyturn("ledger", "verify", exported).out
    )
    assert ", the key you gave.\n" in keyturn("ledger", "verify", exported, "--key", key).out
    assert "Tree and signature only" in keyturn("ledger", "verify", exported, "--leaves-only").out
    other = f"other.example+{key.split('+', 1)[1]}"
    assert keyturn("ledger", "verify", exported, "--key", other).code in (ExitCode.DAMAGED, ExitCode.USAGE)


def test_what_is_no_exported_log_is_not_called_damaged(folder: Path) -> None:
    for arguments in (("/nonexistent",), (__file__,), (folder, "--key", "nonsense")):
        said = keyturn("ledger", "verify", *arguments)
        assert said.code == ExitCode.USAGE
        assert "Nothing was verified." in said.err


def test_each_kind_of_damage_ends_with_7_and_names_its_place(home: Home) -> None:
    with sqlite3.connect(home.ledger) as database:
        database.execute(
            "UPDATE entry SET disclosures = CAST(replace(disclosures, 'W', 'X') AS BLOB) WHERE idx = 3"
        )
    said = on(home, "verify")
    assert said.code == ExitCode.DAMAGED
    assert "DAMAGED  entry 3: " in said.out
    assert "Keep this copy as it is" in said.err
    verdict = on(home, "verify", "--json")
    assert (verdict.code, verdict.json["intact"], verdict.json["problems"][0]["index"]) == (
        ExitCode.DAMAGED,
        False,
        3,
    )


def test_an_entry_that_can_t_be_read_hides_no_other(home: Home) -> None:
    whole = on(home, "log", "-n", "1000").out.splitlines()
    with sqlite3.connect(home.ledger) as database:
        database.execute("UPDATE entry SET disclosures = CAST('not json' AS BLOB) WHERE idx = 3")
    said = on(home, "log", "-n", "1000")
    assert said.code == ExitCode.DAMAGED
    lines = said.out.splitlines()
    assert lines[3].startswith("      3  UNREADABLE: ")
    assert lines[:3] + lines[4:] == whole[:3] + whole[4:]
    told = [json.loads(line) for line in on(home, "log", "-n", "1000", "--json").out.splitlines()]
    assert (told[3]["index"], "error" in told[3], "error" in told[4]) == (3, True, False)


def test_a_proof_proves(original: Home, folder: Path) -> None:
    said = on(original, "prove", "3", "--json").json
    text = on(original, "prove", "3").out
    assert said["proof"] == text
    assert proof.parse(text).index == 3
    written = on(original, "prove", "3", "--out", folder / "proof")
    assert (written.out, (folder / "proof").read_text()) == (f"Wrote {folder / 'proof'}.\n", text)


def test_a_cose_receipt_is_believed_by_another_library_under_the_log_s_key(
    original: Home, folder: Path
) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
    from scitt_cose import verify_receipt

    said = on(original, "prove", "3", "--cose", "--json").json
    written = on(original, "prove", "3", "--cose", "--out", folder / "3.cose")
    assert written.out == f"Wrote {folder / '3.cose'}.\n"
    receipt = (folder / "3.cose").read_bytes()
    assert b64decode(said["receipt"]) == receipt
    public = load_pem_private_key(original.log_key.read_bytes(), None).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for leaf, holds in ((said["leaf"], True), (said["leaf"] + " ", False)):
        result = verify_receipt(receipt, leaf_entry_hex=leaf.encode().hex(), log_public_key_pem=pem)
        assert result.ok is holds
    unnamed = on(original, "prove", "3", "--cose")
    assert (unnamed.code, unnamed.out) == (ExitCode.USAGE, "")
    assert "--out" in unnamed.err


def test_a_proof_of_nothing_and_one_that_can_t_be_written_are_told_apart(
    original: Home, folder: Path
) -> None:
    missing = on(original, "prove", "9999", "--json")
    assert (missing.code, missing.error["code"]) == (ExitCode.USAGE, "not_found")
    assert "counted from 0" in missing.error["next"]
    for place in (folder / "none" / "proof", folder):
        said = on(original, "prove", "0", "--out", place)
        assert said.code in (ExitCode.INTERNAL, ExitCode.USAGE)
        assert "Traceback" not in said.err
        assert said.out == ""


def test_an_export_is_whole_verifies_and_is_never_mixed_with_something_else(
    original: Home, folder: Path
) -> None:
    done = on(original, "export", folder / "log", "--json").json
    verdict = verify(folder / "log", done["vkey"])
    assert (verdict.intact, verdict.size) == (True, done["size"])
    again = on(original, "export", folder / "log", "--json")
    assert (again.code, again.error["code"]) == (ExitCode.USAGE, "ledger.export_refused")
    assert on(original, "export", "/proc/none/log").code == ExitCode.USAGE


def test_projections_that_were_altered_are_found_and_made_again(home: Home) -> None:
    assert on(home, "rebuild", "--check").code == ExitCode.DONE
    with sqlite3.connect(home.ledger) as database:
        table = next(
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
            if "row" in name or "proj" in name
        )
        database.execute(f"DELETE FROM {table} WHERE kind = 'person'")
    checked = on(home, "rebuild", "--check")
    assert checked.code == ExitCode.DAMAGED
    assert "DIFFERS  person dana" in checked.out
    assert on(home, "verify").code == ExitCode.DONE, "the log itself is whole"
    rebuilt = on(home, "rebuild", "--json")
    assert (rebuilt.code, rebuilt.json["differing"]) == (ExitCode.DONE, 1)
    assert "identical to what is stored" in on(home, "rebuild", "--check").out


def test_beside_a_running_server_all_but_replacing_works(house: House, folder: Path) -> None:
    request = house.ask()
    assert request in house.keyturn("ledger", "log", "-n", "5").out
    for arguments in (("verify",), ("prove", "0"), ("export", folder / "log"), ("rebuild", "--check")):
        assert house.keyturn("ledger", *arguments).code == ExitCode.DONE
    said = house.keyturn("ledger", "rebuild", "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "store.in_use")
    assert str(house.server.pid) in said.error["happened"]


def test_a_read_only_home_can_be_read(home: Home) -> None:
    for path in (home.root, *home.root.glob("ledger*")):
        path.chmod(0o500 if path.is_dir() else 0o400)
    try:
        assert on(home, "verify").code == ExitCode.DONE
        assert on(home, "log").code == ExitCode.DONE
    finally:
        home.root.chmod(0o700)


@pytest.fixture
def on_postgres(postgres_url: str, folder: Path) -> tuple[Home, str]:
    """A home whose ledger lies in PostgreSQL."""
    root = folder / "home"
    assert (
        keyturn("init", "--home", root, "--person", "dana", env={"KEYTURN_STORE": postgres_url}).code
        == ExitCode.DONE
    )
    (root / "keyturn.toml").write_text(f"store = {json.dumps(postgres_url)}\n")
    worked(Home(root))
    return Home(root), postgres_url


@pytest.mark.postgres
def test_everything_works_on_postgresql(on_postgres: tuple[Home, str], folder: Path) -> None:
    home, _ = on_postgres
    assert not home.ledger.exists()
    lines = [json.loads(line) for line in on(home, "log", "-n", "100", "--json").out.splitlines()]
    assert [line["type"] for line in lines[:3]] == ["log.opened", "person.enrolled", "policy.published"]
    assert on(home, "verify").code == ExitCode.DONE
    assert proof.parse(on(home, "prove", "2").out).index == 2
    assert on(home, "export", folder / "log").code == ExitCode.DONE
    assert verify(folder / "log").size == len(lines)
    assert on(home, "rebuild").code == ExitCode.DONE
    assert on(home, "rebuild", "--check").code == ExitCode.DONE
    found = keyturn("doctor", "--home", home.root, "--json").json
    assert [one for one in found if one["state"] == "bad"] == []


@pytest.mark.postgres
def test_a_second_home_is_not_made_over_a_ledger_that_is_there(
    on_postgres: tuple[Home, str], folder: Path
) -> None:
    _, url = on_postgres
    said = keyturn("init", "--home", folder / "second", "--json", env={"KEYTURN_STORE": url})
    assert said.code != ExitCode.DONE
    assert said.error["code"] == "ledger.wrong_key"
    assert not (folder / "second").exists()
