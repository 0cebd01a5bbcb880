"""`keyturn run` itself, with programs that stand where a client would: exit codes, refusals, processes left behind."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from keyturn.cli.run import run as run_command
from processes import ended


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a running server."""
    root = tmp_path_factory.mktemp("run") / "kt"
    with serving(root):
        yield root


@contextmanager
def serving(root: Path) -> Iterator[None]:
    environment = {**os.environ, "KEYTURN_HOME": str(root)}
    keyturn = [sys.executable, "-m", "keyturn"]
    subprocess.run([*keyturn, "init", "--person", "dana"], env=environment, check=True, capture_output=True)
    server = subprocess.Popen(
        [*keyturn, "serve", "--port", "0", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert server.stdout is not None
    assert json.loads(server.stdout.readline())["gate_socket"]
    try:
        yield
    finally:
        server.terminate()
        server.wait(120)


def client(folder: Path, name: str, body: str) -> str:
    """A program called *name* that does *body*."""
    path = folder / name
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def ran(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KEYTURN_HOME": str(home), "HOME": str(home.parent)}
    command = [sys.executable, "-m", "keyturn", "run", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("code", [0, 7, 255])
def test_the_childs_exit_code_is_passed_on(code: int, home: Path, tmp_path: Path) -> None:
    done = ran(home, "--json", "--", client(tmp_path, "claude", f"exit {code}\n"))
    assert done.returncode == code, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["client"], told["mode"], told["exit_code"]) == ("claude-code", "hooked", code)
    assert told["entries"] >= 1


def test_a_child_that_is_killed_is_told_as_a_shell_tells_it(home: Path, tmp_path: Path) -> None:
    assert ran(home, "--", client(tmp_path, "claude", "kill -9 $$\n")).returncode == 137


def test_the_wiring_is_there_while_the_child_runs_and_gone_afterwards(home: Path, tmp_path: Path) -> None:
    # With builtins only: policy refuses the agent's own programs to read what lies in Keyturn's home.
    read = 'while IFS= read -r line; do printf "%s\\n" "$line"; done < "$2" > seen.json'
    body = f'test "$1" = --settings && {read} && echo "$2" > where && echo "$KEYTURN_SESSION" > session\n'
    environment_free = client(tmp_path, "claude", f"cd {tmp_path}\n{body}")
    assert ran(home, "--", environment_free).returncode == 0
    assert "PreToolUse" in json.loads((tmp_path / "seen.json").read_text())["hooks"]
    where = Path((tmp_path / "where").read_text().strip())
    assert where.is_relative_to(home), "an agent may write to temporary folders, but not into Keyturn's home"
    assert not where.exists()
    assert (tmp_path / "session").read_text().startswith("s_")


def test_what_is_left_of_the_childs_group_is_ended(home: Path, tmp_path: Path) -> None:
    done = ran(home, "--", client(tmp_path, "claude", f"sleep 300 & echo $! > {tmp_path}/pid\n"))
    assert done.returncode == 0
    assert ended(int((tmp_path / "pid").read_text()))


def test_signals_reach_the_child(home: Path, tmp_path: Path) -> None:
    body = f"trap 'echo told > {tmp_path}/told; exit 5' TERM\necho up > {tmp_path}/up\nwhile :; do sleep 0.05; done\n"
    words = [sys.executable, "-m", "keyturn", "run", "--", client(tmp_path, "claude", body)]
    environment = {**os.environ, "KEYTURN_HOME": str(home), "HOME": str(home.parent)}
    process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (tmp_path / "up").exists():
        assert process.poll() is None
        os.sched_yield()
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 5
    assert (tmp_path / "told").exists()


def test_a_command_that_is_no_client_takes_no_instruction(home: Path, tmp_path: Path) -> None:
    program = client(tmp_path, "something", f"touch {tmp_path}/ran\n")
    done = ran(home, "--prompt", "do it", "--", program)
    assert done.returncode == 243
    assert "run.no_gate" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_an_option_that_grants_is_not_started(home: Path, tmp_path: Path) -> None:
    program = client(tmp_path, "claude", f"touch {tmp_path}/ran\n")
    done = ran(home, "--", program, "--dangerously-skip-permissions")
    assert done.returncode == 241
    assert not (tmp_path / "ran").exists()


def test_without_a_server_nothing_is_started(tmp_path: Path) -> None:
    nobody = tmp_path / "kt"
    (nobody / "run").mkdir(parents=True)
    program = client(tmp_path, "claude", f"touch {tmp_path}/ran\n")
    done = ran(nobody, "--", program)
    assert done.returncode == 249
    assert "run.unreachable" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_not_there_is_said(home: Path, tmp_path: Path) -> None:
    done = ran(home, "--client", "codex", "--prompt", "x", "--", str(tmp_path / "nothing"))
    assert done.returncode == 241
    assert "run.no_program" in done.stderr


@pytest.mark.parametrize("body", ["exit 0\n", "exit 3\n", "echo junk; cat >/dev/null\n"])
def test_a_client_that_does_not_speak_its_protocol_is_a_failed_run(
    body: str, home: Path, tmp_path: Path
) -> None:
    if "cat" in body:
        body = "echo junk; echo '[]'; read line; exit 0\n"
    done = ran(home, "--prompt", "x", "--", client(tmp_path, "codex", body))
    assert done.returncode == (3 if "3" in body else 240), done.stderr
    assert "run.client_failed" in done.stderr


def test_without_a_command_usage_is_told() -> None:
    assert CliRunner().invoke(run_command, []).exit_code == 2
