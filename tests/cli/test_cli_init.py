"""A home is whole or it isn't there; its secrets are its owner's alone; observing records what it would have held."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cli_house import environment, furnished, keyturn
from server_process import GateClient

from keyturn.errors import ExitCode
from keyturn.home import Home


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")} if root.exists() else set()


def test_init_makes_a_home_that_verifies_and_is_its_owner_s_alone(folder: Path) -> None:
    root = folder / "deep" / "home"
    old = os.umask(0)
    try:
        said = keyturn("init", "--home", root, "--person", "dana", "--json")
    finally:
        os.umask(old)
    home = Home(root)
    assert said.json == {
        "home": str(root),
        "person": "dana",
        "token_file": str(home.tokens / "dana"),
        "mode": "enforce",
    }
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    for path in (home.log_key, home.permit_key, home.keys / "origin", home.tokens / "dana"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for path in (home.keys, home.tokens, home.run, home.installed):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert keyturn("ledger", "verify", "--home", root).code == ExitCode.DONE
    assert (home.tokens / "dana").read_text() not in said.all


def test_what_was_open_to_others_is_closed(folder: Path) -> None:
    root = folder / "home"
    root.mkdir()
    root.chmod(0o755)
    (root / "keyturn.toml").write_text("port = 0\n")
    assert keyturn("init", "--home", root).code == ExitCode.DONE
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert (root / "keyturn.toml").read_text() == "port = 0\n"


def test_a_second_init_changes_nothing(folder: Path) -> None:
    root = folder / "home"
    keyturn("init", "--home", root)
    before = {name: (root / name).read_bytes() for name in everything(root) if (root / name).is_file()}
    said = keyturn("init", "--home", root, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "home.exists")
    assert {name: (root / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(
    ("options", "env", "code"),
    [
        (("--person", "Not A Name"), {}, "name.invalid"),
        ((), {"KEYTURN_STORE": "postgresql://127.0.0.1:1/none"}, "store.unreadable"),
        ((), {"KEYTURN_STORE": "ftp://x"}, "store.unreadable"),
        ((), {"KEYTURN_PORT": "many"}, "settings.invalid"),
    ],
)
def test_a_failed_init_leaves_no_half_home(
    folder: Path, there: bool, options: tuple[str, ...], env: dict[str, str], code: str
) -> None:
    root = folder / "home"
    if there:
        root.mkdir()
        (root / "mine.txt").write_text("keep")
    before = everything(root)
    said = keyturn("init", "--home", root, "--json", *options, env=env)
    assert said.error["code"] == code
    assert everything(root) == before
    assert root.exists() is there
    assert keyturn("init", "--home", root).code == ExitCode.DONE, "it can't be tried again"


@pytest.mark.parametrize("size", [1, 300, 5000, 30_000])
def test_a_disk_that_is_full_midway_leaves_no_half_home(folder: Path, size: int) -> None:
    """The disk is full for this process alone: a limit on the size of files it may write."""
    root = folder / "home"

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    ran = subprocess.run(
        [sys.executable, "-B", "-m", "keyturn", "init", "--home", str(root)],
        env=environment(), capture_output=True, text=True, check=False, preexec_fn=full,
    )  # fmt: skip
    assert ran.returncode == ExitCode.INTERNAL, ran
    assert "Traceback" not in ran.stderr
    assert "Nothing" in ran.stderr
    assert not root.exists()
    assert keyturn("init", "--home", root).code == ExitCode.DONE


@pytest.mark.parametrize("name", ["policy/rules/mine.cedar", "keys/id_ed25519", "tokens/x", "ledger.db"])
def test_files_of_others_are_never_taken_for_a_home_s(folder: Path, name: str) -> None:
    root = folder / "project"
    file = root / name
    file.parent.mkdir(parents=True)
    file.write_text("precious")
    for options in ((), ("--person", "Bad Name")):
        said = keyturn("init", "--home", root, "--json", *options)
        assert said.code == ExitCode.USAGE
        assert said.error["code"] in ("home.folder_taken", "name.invalid")
        assert file.read_text() == "precious"
        assert everything(root) == {name, *map(str, Path(name).parents)} - {"."}


@pytest.mark.parametrize("root", ["/proc/home", "/dev/null/home"])
def test_where_nothing_can_be_written_it_says_so(root: str) -> None:
    said = keyturn("init", "--home", root, "--json")
    assert (said.code, said.error["code"]) == (ExitCode.INTERNAL, "home.unwritable")


def test_an_account_without_a_name_is_the_owner(folder: Path) -> None:
    code = (
        "import getpass\n"
        "def nobody(): raise KeyError('uid not found')\n"
        "getpass.getuser = nobody\n"
        f"from keyturn.cli import main\nmain(['init', '--home', '{folder}/home', '--json'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert '"person":"owner"' in ran.stdout


def test_observing_runs_what_it_would_hold_records_it_and_still_refuses(folder: Path) -> None:
    with furnished(folder, mode="observe") as house:
        gate = GateClient(house.home)
        held = gate.authorize("git push origin main").outcome
        run = gate.authorize("ls").outcome
        refused = gate.authorize(f"cat {house.home.log_key}").outcome
        gate.close()
        assert held is not None
        assert run is not None
        assert refused is not None
        assert (held.verdict, held.decision.would, held.request) == ("run", "hold", None)
        assert held.permit is not None
        assert (run.verdict, run.decision.would) == ("run", "run")
        assert (refused.verdict, refused.permit) == ("refuse", None)
        lines = house.keyturn("ledger", "log", "--type", "action.decided", "--json").out.splitlines()
        assert ['"would":"hold"' in line for line in lines] == [True, False, False]
        assert house.keyturn("requests", "--all", "--json").json == []
        looked = house.keyturn("doctor")
        assert "observes: what would be held runs" in looked.out
