"""Evidence packs from the command line: recorded first, built beside the server or by it, the same bytes again, checked alone."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_house import House, Said, in_process_of_its_own, keyturn

from keyturn.cli.client import Client
from keyturn.errors import ExitCode, KeyturnError
from keyturn.evidence import pack_contents
from keyturn.evidence.report.pdf import NoPrinter

SOURCES = Path(pack_contents.__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def unprinted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A PDF takes seconds: here nobody has installed what prints it, neither in this process nor in those that are started."""
    folder = tmp_path_factory.mktemp("unprinted")
    (folder / "weasyprint.py").write_text("raise ImportError('not installed')\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(SOURCES)]))
        patch.setattr(pack_contents, "pdf", _nothing)
        yield


def _nothing(page: bytes) -> bytes:
    raise NoPrinter("Nobody installed it.")


def today(house: House) -> str:
    """A time before everything that is recorded."""
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86_400))


def packed(house: House, out: Path, *more: object, by: str = "dana") -> Said:
    asked = ("--framework", "soc2", "--from", today(house), "-o", out, "--json")
    return house.keyturn("evidence", "pack", *asked, *more, by=by)


def entries(house: House, kind: str) -> list[dict[str, Any]]:
    said = keyturn("ledger", "log", "-n", "1000", "--type", kind, "--json", "--home", house.home.root)
    return [json.loads(line) for line in said.out.splitlines()]


def token_of(house: House, name: str) -> str:
    return (house.home.tokens / name if name == "dana" else house.tokens / name).read_text().strip()


def auditor(house: House, name: str) -> None:
    """Somebody who only reads is enrolled."""
    dana = (house.home.tokens / "dana").read_text().strip()
    token = Client(house.home, dana).post("/v1/people", {"id": name, "roles": ["auditor"]})["token"]
    (house.tokens / name).touch(mode=0o600)
    (house.tokens / name).write_text(token + "\n")


def test_a_pack_is_recorded_before_it_is_built_and_shows_its_own_making(
    own_house: House, folder: Path
) -> None:
    own_house.keyturn("approve", own_house.ask(), "--yes", "--reason", "fine", by="riley")
    done = packed(own_house, folder / "p.zip", "--for", "Ernst Example")
    assert done.code == 0, done.all
    (entry,) = entries(own_house, "evidence.exported")
    said = done.json
    assert (said["pack"], said["size"]) == (entry["fields"]["id"], entry["index"] + 1)
    assert {entry["fields"][name] for name in ("by", "for", "disclosure")} == {
        "dana",
        "Ernst Example",
        "digests",
    }
    with zipfile.ZipFile(folder / "p.zip") as read:
        results = json.loads(read.read("results.json"))
        assert entry["fields"]["id"] in read.read("tables/exported.csv").decode()
        blind = read.read("tables/blind.csv").decode().splitlines()[1:]
        assert not blind, "what auditors are not shown by rule leaves nothing untested"
        assert {"oscal/assessment-results.json", "ocsf/compliance-findings.jsonl", "grc/controls.csv"} <= set(
            read.namelist()
        )
    assert results["for"] == "Ernst Example"
    listed = own_house.keyturn("evidence", "packs", "--json").json
    assert [one["pack"]["id"] for one in listed] == [said["pack"]]
    assert "Ernst Example" in own_house.keyturn("evidence", "packs").out

    checked = keyturn("evidence", "verify", folder / "p.zip")
    assert checked.code == 0, checked.all
    assert "VERIFIED" in checked.out
    failed = any(one["verdict"] == "fail" for one in results["controls"])
    assert failed
    assert keyturn("evidence", "verify", folder / "p.zip", "--strict").code == ExitCode.DRIFT

    own_house.ask()  # the log goes on
    again = own_house.keyturn(
        "evidence", "pack", "--again", said["pack"], "-o", folder / "again.zip", "--json"
    )
    assert again.code == 0, again.all
    assert (folder / "again.zip").read_bytes() == (folder / "p.zip").read_bytes()
    assert len(entries(own_house, "evidence.exported")) == 1

    data = bytearray((folder / "p.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "p.zip").write_bytes(data)
    damaged = keyturn("evidence", "verify", folder / "p.zip", "--json")
    assert damaged.code == ExitCode.DAMAGED
    assert not damaged.json["verified"]


def test_what_can_not_be_packed_is_not_recorded_either(house: House, folder: Path) -> None:
    before = len(entries(house, "evidence.exported"))
    out = ("-o", folder / "p.zip", "--json")
    for arguments, code in (
        (("--framework", "soc3", "--from", "2026-01-01"), "evidence.unknown_framework"),
        (("--framework", "soc2", "--from", "2026-02-01", "--to", "2026-01-01"), "evidence.period"),
        (("--framework", "soc2", "--from", "2026-01-01", "--to", "2126-01-01"), "evidence.period"),
        (("--framework", "soc2", "--from", "2026-01-01", "--head", folder / "none"), "evidence.no_head"),
        (
            ("--framework", "soc2", "--from", "2026-01-01", "--for", "them", "--disclose", "content"),
            "evidence.not_disclosed",
        ),
        (("--again", "e_none"), "evidence.unknown_pack"),
    ):
        said = house.keyturn("evidence", "pack", *arguments, *out)
        assert said.error["code"] == code, said.all
        assert said.code == (ExitCode.REFUSED if code == "evidence.not_disclosed" else ExitCode.USAGE)
    assert packed(house, folder / "p.zip", by="riley").error["code"] == "auth.forbidden"
    for wrong in (
        ("--framework", "soc2"),
        ("--again", "e_1", "--for", "x"),
        ("--framework", "soc2", "--from", "1d", "--key", "k"),
    ):
        assert house.keyturn("evidence", "pack", *wrong).code == ExitCode.USAGE
    assert len(entries(house, "evidence.exported")) == before
    assert list(folder.iterdir()) == []


def test_an_auditor_gets_what_policy_shows_auditors_and_asks_through_the_api(
    own_house: House, folder: Path
) -> None:
    auditor(own_house, "ada")
    assert (
        packed(own_house, folder / "p.zip", "--disclose", "content", by="ada").error["code"]
        == "evidence.not_disclosed"
    )
    assert packed(own_house, folder / "p.zip", by="ada").code == 0
    (entry,) = entries(own_house, "evidence.exported")
    assert (entry["fields"]["by"], entry["fields"]["disclosure"]) == ("ada", "digests")
    whole = packed(own_house, folder / "c.zip", "--disclose", "content")  # an administrator's own
    assert whole.code == 0
    file = f"/v1/evidence/packs/{whole.json['pack']}/file"
    for name, code in (("ada", "auth.not_disclosed"), ("dana", "evidence.not_built")):
        with pytest.raises(KeyturnError) as refused:
            Client(own_house.home, token_of(own_house, name)).text(file)
        assert refused.value.code == code


def test_a_server_elsewhere_builds_it_and_the_bytes_are_those_of_its_own_disk(
    own_house: House, folder: Path
) -> None:
    auditor(own_house, "ada")
    own_house.ask()
    elsewhere = {
        **own_house.environment("ada"),
        "KEYTURN_URL": own_house.server.url,
        "KEYTURN_HOME": str(folder / "nothing"),
    }
    arguments = (
        "evidence",
        "pack",
        "--framework",
        "iso27001",
        "--from",
        today(own_house),
        "-o",
        folder / "far.zip",
        "--json",
    )
    done = keyturn(*arguments, env=elsewhere)
    assert done.code == 0, done.all
    assert (folder / "far.zip").stat().st_mode & 0o777 == 0o600
    identity = done.json["pack"]
    here = own_house.home.packs / f"{identity}.zip"
    assert here.read_bytes() == (folder / "far.zip").read_bytes()
    assert here.stat().st_mode & 0o777 == 0o600
    near = in_process_of_its_own(
        "evidence", "pack", "--again", identity, "-o", folder / "near.zip", "--home", own_house.home.root
    )
    assert near.code == 0, near.all
    assert (folder / "near.zip").read_bytes() == here.read_bytes()
    assert keyturn(*arguments, env=elsewhere).error["code"] == "cli.not_writable"
    nemo = Client(own_house.home, (own_house.tokens / "nemo").read_text().strip())
    with pytest.raises(Exception, match="none of"):
        nemo.text(f"/v1/evidence/packs/{identity}/file")


def test_an_exported_log_is_packed_without_a_server_and_says_that_nothing_was_recorded(
    house: House, folder: Path
) -> None:
    before = len(entries(house, "evidence.exported"))
    assert keyturn("ledger", "export", folder / "log", "--home", house.home.root).code == 0
    asked = ("--framework", "soc2", "--from", today(house), "--log", folder / "log", "-o", folder / "p.zip")
    done = keyturn("evidence", "pack", *asked, "--head", folder / "log" / "checkpoint")
    assert done.code == 0, done.all
    assert "nothing was recorded" in done.out
    assert (
        keyturn("evidence", "verify", folder / "p.zip").code == ExitCode.USAGE
    )  # nothing is verified by default
    checked = keyturn("evidence", "verify", folder / "p.zip", "--unsigned", "--json")
    assert checked.code == 0, checked.all
    assert checked.json["pack"]["signed"] is False
    with zipfile.ZipFile(folder / "p.zip") as read:
        assert b"Nobody signed" in read.read("README.txt")
        assert b"its making is not in the log" in read.read("LIMITS.md")
    assert len(entries(house, "evidence.exported")) == before
    lost = keyturn("evidence", "pack", *asked[:-2], "-o", folder / "q.zip", "--key", "nonsense", "--json")
    assert lost.error["code"] == "ledger.not_given"
    next((folder / "log/tile/entries").rglob("*.p/*")).write_bytes(b"x")
    cut = keyturn("evidence", "pack", *asked[:-2], "-o", folder / "q.zip", "--json")
    assert (cut.error["code"], cut.code) == ("evidence.log_damaged", ExitCode.DAMAGED)
    assert not (folder / "q.zip").exists()
