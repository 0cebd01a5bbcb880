"""A known client under the exec gate: what its hook allowed starts once, what it lists is its own, the rest is asked for.

The client here is a program that starts things just as Claude Code does (`exec_client.py`); the real ones are in
`tests/agents/test_agents_exec_gate.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_exec_run import KEYTURN, Done, House

from keyturn.cli.client import Client
from keyturn.cli.running import in_bash
from keyturn.errors import KeyturnError
from keyturn.gates.exec.clients import git
from keyturn.home import Home

HELD = "rm -r precious; echo RAN >> proof.txt"


class ClientHouse(House):
    """A house in which a client called `claude` lies beside the workspace, with a home of its own."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.client = root / "bin" / "claude"
        self.client.parent.mkdir()
        source = (Path(__file__).parent / "exec_client.py").read_text()
        self.client.write_text("#!/usr/bin/python3\n" + source)
        self.client.chmod(0o755)
        person, temporary = root / "person", root / "tmp"
        person.mkdir()
        temporary.mkdir()
        self.plans = 0
        self.environment |= {"HOME": str(person), "TMPDIR": str(temporary), "SHELL": "/bin/bash"}

    @property
    def proof(self) -> str:
        path = self.work / "proof.txt"
        return path.read_text() if path.exists() else ""

    def prepare(self) -> None:
        (self.work / "proof.txt").unlink(missing_ok=True)
        (self.work / "precious").mkdir(exist_ok=True)

    def begin(
        self, *plan: tuple[str, ...], options: tuple[str, ...] = (), approve: tuple[str, ...] = ()
    ) -> Playing:
        self.prepare()
        self.plans += 1
        path = self.work.parent / f"plan-{self.plans}"
        path.write_text("".join(json.dumps(step) + "\n" for step in plan))
        return Playing(self, [*options, "--", str(self.client), str(path)], approve)

    def play(
        self, *plan: tuple[str, ...], options: tuple[str, ...] = (), approve: tuple[str, ...] = ()
    ) -> Done:
        """Play *plan* to its end; what is held is approved at the gates in *approve* (`hooks`, `run`), elsewhere denied."""
        return self.begin(*plan, options=options, approve=approve).end()

    @property
    def erin(self) -> Client:
        """The server as the colleague who may approve sees it."""
        return Client(Home(self.home), self.token.read_text().strip())


class Playing:
    """A run of which each held request is decided as it comes: approved at the gates in *approve*, elsewhere denied."""

    def __init__(self, house: ClientHouse, words: list[str], approve: tuple[str, ...]) -> None:
        self.house = house
        self.approve = approve
        self.held: list[tuple[str, str]] = []
        self.process = subprocess.Popen(
            [*KEYTURN, "run", "--json", *words],
            env=house.environment,
            cwd=house.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, touch: Path | None = None) -> Done:
        """Decide until the run has ended; *touch* is made once something was decided."""
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.2)
                break
            for waiting in self.house.erin.get("/v1/requests?only=waiting"):
                self._decide(waiting)
                if touch is not None:
                    touch.touch()
        out, err = self.process.communicate(timeout=120)
        return Done(self.process.returncode, out, err)

    def _decide(self, waiting: dict[str, Any]) -> None:
        gate = waiting["gate"].split(":")[0]
        self.held.append((gate, waiting["text"]))
        body = {name: waiting[name] for name in ("digest", "display")} | {"reason": "so", "channel": "cli"}
        choice = "approve" if gate in self.approve else "deny"
        with contextlib.suppress(KeyturnError):  # whoever waited may have gone meanwhile
            self.house.erin.post(f"/v1/requests/{waiting['id']}/{choice}", body)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClientHouse]:
    house = ClientHouse(tmp_path_factory.mktemp("client"))
    try:
        yield house
    finally:
        house.stop()


SNAPSHOT = ("snapshot", "1-a")


def test_what_the_hook_allowed_starts_without_a_second_question(house: ClientHouse) -> None:
    done = house.play(SNAPSHOT, ("ask", "ls -d . >> proof.txt"), ("run", "ls -d . >> proof.txt"))
    assert done.code == 0, done.err
    assert house.proof == ".\n", done.err
    told = done.told
    assert (told["client"], told["mode"], told["begun"], told["allowed"]) == ("claude-code", "hooked", 1, 0)
    assert told["refused"] == 0
    assert told["own"] >= 2, "the hook's process and the shell that writes the snapshot"
    assert told["predicted"] == 1, "ls"


def test_a_start_that_no_hook_was_asked_about_is_asked_for_and_without_the_gate_it_is_not(
    house: ClientHouse,
) -> None:
    """A client that is deaf to its hook's no, or was never asked: with `--no-exec-gate`, the negative control, it runs."""
    for plan in (
        (SNAPSHOT, ("deaf", HELD), ("run", HELD)),
        (SNAPSHOT, ("run", HELD)),
        (("start", "rm", "-r", "precious"),),
    ):
        done = house.play(*plan)
        assert (house.work / "precious").exists(), done.out
        assert house.proof == ""
        assert done.told["begun"] == 0
        assert done.told["refused"] == 1, done.err
        done = house.play(*plan, options=("--no-exec-gate",))
        assert not (house.work / "precious").exists(), done.err
        assert "without the exec gate" in done.err


def test_what_people_allowed_starts_once(house: ClientHouse) -> None:
    asked, run = ("ask", HELD), ("run", HELD)
    once = house.begin(SNAPSHOT, asked, run, approve=("hooks",))
    done = once.end()
    assert (house.proof, done.told["begun"], done.told["refused"]) == ("RAN\n", 1, 0), done.err
    again = house.begin(SNAPSHOT, asked, run, run, approve=("hooks",))
    done = again.end()
    assert (house.proof, done.told["begun"], done.told["refused"]) == ("RAN\n", 1, 1), done.err
    assert "held: bash -c 'source" in done.err, "it is asked for as it stands"


def test_another_run_does_not_get_what_this_one_was_allowed(house: ClientHouse) -> None:
    done = house.play(SNAPSHOT, ("ask", HELD), approve=("hooks",))
    assert done.told["begun"] == 0
    done = house.play(SNAPSHOT, ("run", HELD))
    assert (house.proof, done.told["begun"], done.told["refused"]) == ("", 0, 1), done.err


RAN = "echo RAN >> proof.txt"


@pytest.mark.parametrize(
    "text", ["WRAPPED; rm -r precious", "rm -r precious; WRAPPED", "WRAPPED\nrm -r precious"]
)
def test_a_wrapping_with_more_in_it_is_not_unwrapped(text: str, house: ClientHouse) -> None:
    done = house.play(SNAPSHOT, ("ask", RAN), ("text", text))
    assert (house.proof, done.told["begun"], done.told["refused"]) == ("", 0, 1), done.err
    assert (house.work / "precious").exists()
    done = house.play(SNAPSHOT, ("ask", RAN), ("text", "WRAPPED"))
    assert (house.proof, done.told["begun"], done.told["refused"]) == ("RAN\n", 1, 0), "the negative control"


def test_a_snapshot_that_the_client_did_not_write_or_that_was_changed_is_not_read_in(
    house: ClientHouse,
) -> None:
    touch = f"touch {house.work}/touched\n"
    asked, run = ("ask", RAN), ("run", RAN)
    planted = (("append", "2-b", touch), asked, ("run", RAN, "2-b"))
    changed = (SNAPSHOT, asked, run, ("append", "1-a", touch), asked, run)
    done = house.play(*planted)
    assert (house.proof, done.told["begun"]) == ("", 0), done.err
    done = house.play(*changed)
    assert (house.proof, done.told["begun"]) == ("RAN\n", 1), done.err
    assert not (house.work / "touched").exists()
    for plan in (planted, changed):  # the negative control
        house.play(*plan, options=("--no-exec-gate",))
        assert (house.work / "touched").exists()
        (house.work / "touched").unlink()
        for left in (Path(house.environment["HOME"]) / ".claude" / "shell-snapshots").iterdir():
            left.unlink()


@pytest.mark.parametrize(
    ("name", "value", "begun"),
    [
        ("BASH_ENV", "evil.sh", 0),
        ("LD_PRELOAD", "/tmp/none.so", 0),
        ("GIT_PAGER", "sh -c evil", 0),
        ("GIT_PAGER", "cat", 1),
    ],
)
def test_a_variable_that_changes_what_runs_is_not_what_the_hook_allowed(
    name: str, value: str, begun: int, house: ClientHouse
) -> None:
    (house.work / "evil.sh").write_text("echo EVIL >> proof.txt\n")
    done = house.play(SNAPSHOT, ("ask", RAN), ("set", name, value), ("run", RAN))
    assert (done.told["begun"], house.proof) == (begun, "RAN\n" * begun), done.err


def test_what_an_allowed_script_starts_is_authorized_too(house: ClientHouse) -> None:
    """Held things are part of the script that people allowed; what leaves the tree is held, what policy refuses is refused."""
    script = house.work / "build.sh"
    script.write_text(
        '#!/bin/sh\nX=$(cat one)\nY=$(cat two)\nrm -r precious\nsh -c "$X"\nsh -c "$Y"\necho RAN >> proof.txt\n'
    )
    script.chmod(0o755)
    (house.work / "one").write_text("su -c 'echo LEFT >> proof.txt'")
    (house.work / "two").write_text(f"cat {house.home}/settings.toml >> proof.txt")
    plan = (SNAPSHOT, ("ask", "./build.sh"), ("run", "./build.sh"))
    playing = house.begin(*plan, approve=("hooks",))
    done = playing.end()
    assert [gate for gate, _ in playing.held] == ["hooks", "run"]
    assert "su -c" in playing.held[1][1]
    assert not (house.work / "precious").exists(), "part of the script"
    assert house.proof == "RAN\n"
    assert (done.told["begun"], done.told["refused"]) == (1, 2), done.err
    open_house = house.begin(*plan, options=("--no-exec-gate",), approve=("hooks",))
    open_house.end()
    assert [gate for gate, _ in open_house.held] == ["hooks"], "the negative control: nobody else is asked"


def test_a_file_that_changed_after_the_hook_is_not_what_was_allowed(house: ClientHouse) -> None:
    script = house.work / "job.sh"
    script.write_text("#!/bin/sh\necho RAN >> proof.txt\n")
    script.chmod(0o755)
    playing = house.begin(
        SNAPSHOT, ("ask", "./job.sh"), ("write", "job.sh", "#!/bin/sh\necho OTHER >> proof.txt\n"), ("run", "./job.sh"),
        approve=("hooks",),
    )  # fmt: skip
    done = playing.end()
    assert (done.told["begun"], house.proof) == (0, ""), done.err
    assert "held: bash -c 'source" in done.err, "as it stands"


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ("rev-parse --show-toplevel", True),
        ("-c core.fsmonitor=false status --porcelain", True),
        ("-C /elsewhere log --oneline -n 5", True),
        ("--git-dir /x cat-file --batch", True),
        ("config --get user.name", True),
        ("config user.name", True),
        ("config user.name eve", False),
        ("config --get --unset user.name", False),
        ("log --output=x", False),
        ("diff --outp=x", False),
        ("log -o x", False),
        ("branch -D main", False),
        ("branch --show-current", True),
        ("worktree list --porcelain -z", True),
        ("worktree list --expire now", False),
        ("worktree prune", False),
        ("symbolic-ref HEAD refs/heads/x", False),
        ("-c core.fsmonitor=evil status", False),
        ("-c alias.x=!evil x", False),
        ("--exec-path=/evil status", False),
        ("commit -m x", False),
        ("", False),
    ],
)
def test_a_question_to_git_is_told_from_an_act(words: str, asks: bool) -> None:
    found = git.parted(words.split())
    assert (found is not None and git.question(found[1])) is asks


@pytest.mark.parametrize(
    ("words", "own"),
    [
        (("git", "remote", "get-url", "origin"), True),
        (("git", "-c", "core.hooksPath=/dev/null", "remote"), True),
        (("git", "-c", "core.pager=sh", "remote"), False),
        (("git", "remote", "add", "origin", "x"), False),
        (("bash", "-c", "env"), True),
        (("bash", "-c", "env; rm -r precious"), False),
        (("/usr/bin/env", "git", "remote"), False),
    ],
)
def test_what_is_the_clients_own_is_listed_word_for_word(
    words: tuple[str, ...], own: bool, house: ClientHouse
) -> None:
    done = house.play(("start", *words))
    expected = 2 if words[-1] == "env" else 1
    assert done.told["own"] == (expected if own else 0), done.err


def test_a_command_is_not_the_client(house: ClientHouse) -> None:
    """What is the client's own is so for the client only: below a command it is asked for like anything else."""
    wants = "sh -c 'git -c core.hooksPath=/dev/null remote'"
    done = house.play(SNAPSHOT, ("ask", wants), ("run", wants), approve=("hooks",))
    assert done.told["begun"] == 1, done.err
    own = house.play(SNAPSHOT, ("ask", RAN), ("run", RAN)).told["own"]
    assert done.told["own"] == own, "the hook, the snapshot, and nothing of what ran below the command"


def test_what_a_command_left_behind_is_not_the_client_that_adopts_it(house: ClientHouse) -> None:
    """A process that was forked off a command, never executed anything, and is now a child of the client's."""
    waits = 'while read -r a b c p d < /proc/$BASHPID/stat && [ "$p" != "$CLIENT_PID" ]; do :; done'
    script = f"( ( {waits}; exec git -c core.hooksPath=/dev/null remote ) & )"
    done = house.play(
        SNAPSHOT, ("adopt",), ("ask", script), ("run", script), ("wait",), approve=("hooks", "run")
    )
    assert done.told["begun"] == 1, done.err
    own = house.play(SNAPSHOT, ("ask", RAN), ("run", RAN)).told["own"]
    assert done.told["own"] == own, "what the client asks git itself is its own (above); this is not"


def test_in_a_terminal_a_client_keeps_it_and_the_run_is_recorded(house: ClientHouse) -> None:
    house.prepare()
    plan = house.work.parent / "plan-terminal"
    steps = [["tty"], list(SNAPSHOT), ["ask", RAN], ["run", RAN], ["tty"]]
    plan.write_text("".join(json.dumps(step) + "\n" for step in steps))
    master, slave = os.openpty()
    process = subprocess.Popen(
        [*KEYTURN, "run", "--", str(house.client), str(plan)],
        env=house.environment,
        cwd=house.work,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the last one that had the other side has ended
        while piece := os.read(master, 65_536):
            shown += piece
    os.close(master)
    assert process.wait(120) == 0, shown
    assert shown.count(b"in front of its terminal") == 2, (
        "it may read what is typed, before and after a command"
    )
    assert house.proof == "RAN\n", shown
    (recording,) = (house.home / "recordings").glob("*.cast")
    told = json.loads(house.keyturn("session", "show", recording.stem, "--json"))
    assert told["gate"].startswith("run:claude-code@")
    assert told["recording"].startswith("sha256:")


def test_the_client_is_given_the_shell_in_which_its_commands_are_known() -> None:
    assert in_bash({"SHELL": "/usr/bin/zsh", "A": "b"})["SHELL"].endswith("/bash")
    assert in_bash({"SHELL": "/usr/local/bin/bash"}) == {"SHELL": "/usr/local/bin/bash"}
    assert in_bash({}) == {}


def test_the_client_does_not_stand_still_while_people_decide_and_may_ask_again(house: ClientHouse) -> None:
    """A held start of the client's own is refused for now; the same one, once approved, runs, and only once."""
    removes = ("start", "rm", "-r", "precious")
    waiting = house.begin(removes, ("until", "approved"), removes, removes, approve=("run",))
    done = waiting.end(touch=house.work / "approved")
    assert done.out.splitlines() == ["not started", "ended 0", "not started"], done.err
    assert waiting.held[0][0] == "run"
    assert (done.told["approved"], done.told["refused"]) == (1, 2), (
        "the third is a new question, and nobody approved that"
    )
    assert not (house.work / "precious").exists()
