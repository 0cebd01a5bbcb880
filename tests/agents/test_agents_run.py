"""`keyturn run` with the real clients: driven over ACP, the Codex app-server and the opencode server, and as a child."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agents_clients import RECIPES, modules
from agents_keyturn import KeyturnServer
from agents_other_clients import HELD, RUNS, WHY, RunAgent, prepared, proof, script, summary

from keyturn.cli.client import Unreachable
from processes import ended

pytestmark = pytest.mark.agents

DRIVEN = ("gemini", "copilot", "codex", "opencode")
WORDS = {"gemini": ("-m", "gemini-2.5-flash"), "copilot": ("--no-auto-update",)}
MakeRun = Callable[..., RunAgent]


CODEX_DAEMON = Path(tempfile.gettempdir()) / "codex-daemon-0"
"""Where Codex keeps a socket, named after the user it thinks it is: in a namespace of its own every user is 0."""


def _daemon_of_another() -> bool:
    return CODEX_DAEMON.exists() and CODEX_DAEMON.stat().st_uid != os.getuid()


@pytest.fixture
def running(tmp_path: Path, keyturn: KeyturnServer) -> MakeRun:
    """Makes a client that `keyturn run` starts, at the shared server or another one."""

    def make(name: str, server: KeyturnServer = keyturn) -> RunAgent:
        if not (modules() / ".bin" / RECIPES[name].program).exists():
            pytest.skip(f"{name} is not in {modules()}: `make agents` installs the clients.")
        if name == "codex" and _daemon_of_another():
            pytest.skip(
                f"{CODEX_DAEMON} is another user's, and Codex accepts only its own: remove that folder."
            )
        one = RunAgent(RECIPES[name], tmp_path)
        one.keyturn_home = str(server.home.root)
        one.words = WORDS.get(name, ())
        prepared(one)
        return one

    return make


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyturnServer]:
    """A server that a test may kill."""
    server = KeyturnServer(tmp_path_factory.mktemp("own") / "kt")
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("name", DRIVEN)
def test_an_allowed_action_runs_inside_a_session_with_its_attribution(
    name: str, keyturn: KeyturnServer, running: MakeRun
) -> None:
    start = keyturn.size
    one = running(name)
    run = one.start(script(RUNS))
    assert run.end() == 0, run.said
    assert proof(one) == "RAN\n", run.said
    (decided,) = keyturn.entries("action.decided", start)
    assert decided["verdict"] == "run"
    assert decided["action"]["content"]["script"] == "echo RAN > proof.txt"
    assert decided["gate"]["name"].startswith(f"run:{name}@")
    assert (decided["human"]["person"], decided["human"]["how"]) == ("dana", "os-uid")
    assert decided["instruction"]["text"] == "please create proof.txt"
    assert WHY in decided["reasoning"]["text"]
    assert decided["agent"]["name"] == name
    assert decided["agent"]["version"]
    assert decided["missing"] == []
    (receipt,) = keyturn.entries("action.receipt", start)
    assert (receipt["outcome"], receipt["ran"]) == ("done", decided["digest"])
    (opened,) = keyturn.entries("session.opened", start)
    (closed,) = keyturn.entries("session.closed", start)
    told = summary(run.said)
    assert opened["session"] == closed["session"] == decided["session"] == told["session"]
    assert (told["mode"], told["allowed"], told["refused"]) == ("driven", 1, 0)
    assert told["entries"], "the closing count is told"
    keyturn.verify()


@pytest.mark.parametrize("name", DRIVEN)
def test_a_denied_action_does_not_run_and_the_agent_hears_why(
    name: str, keyturn: KeyturnServer, running: MakeRun
) -> None:
    start = keyturn.size
    one = running(name)
    run = one.start(script(HELD))
    request = keyturn.waiting()
    assert proof(one) is None
    keyturn.deny(request, "not before the release")
    assert run.end() == 0, run.said
    assert proof(one) is None
    assert "not before the release" in run.heard, run.said
    assert keyturn.entries("permit.consumed", start) == []
    assert summary(run.said)["refused"] == 1


@pytest.mark.parametrize("name", ["gemini", "codex", "opencode"])
def test_a_held_action_outlives_a_killed_server_and_runs_once_it_is_approved(
    name: str, own: KeyturnServer, running: MakeRun
) -> None:
    one = running(name, own)
    run = one.start(script(HELD))
    request = own.waiting()
    process = own._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(Unreachable):
        own.of("erin").get("/v1/requests?only=waiting")
    own.home.server.unlink()
    own.start()
    again = own.waiting()
    assert again["id"] == request["id"]
    assert proof(one) is None
    own.approve(again)
    assert run.end() == 0, run.said
    assert proof(one) == "RAN\n", run.said
    assert len(own.entries("permit.consumed")) == 1
    own.verify()


@pytest.mark.parametrize("name", [*DRIVEN, "claude-code"])
def test_without_a_server_nothing_is_started(name: str, own: KeyturnServer, running: MakeRun) -> None:
    own.stop()
    one = running(name, own)
    run = one.start(script(RUNS))
    assert run.end() == 249, run.said
    assert "run.unreachable" in run.said
    assert run.requests == []
    assert proof(one) is None


@pytest.mark.parametrize("name", ["gemini", "codex"])
def test_a_server_that_never_comes_back_lets_nothing_run(
    name: str, own: KeyturnServer, running: MakeRun
) -> None:
    one = running(name, own)
    run = one.start(script(HELD))
    own.waiting()
    process = own._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.kill(_ours(run.process.pid), signal.SIGTERM)
    assert run.end() == 130, run.said
    assert "could not be closed" in run.said or summary(run.said)["entries"] is None
    assert proof(one) is None


@pytest.mark.parametrize("name", DRIVEN)
def test_an_edit_is_asked_about_with_its_bytes(name: str, keyturn: KeyturnServer, running: MakeRun) -> None:
    start = keyturn.size
    one = running(name)
    target = one.work / "proof.txt"
    run = one.start(script({"text": "I write it.", "calls": [one.recipe.write(str(target), "RAN\n")]}))
    assert run.end() == 0, run.said
    assert proof(one) == "RAN\n", run.said
    decided = keyturn.entries("action.decided", start)
    assert decided[0]["action"]["content"]["kind"] == "file"
    assert "+RAN" in decided[0]["action"]["content"]["diff"]
    assert decided[0]["gate"]["assurance"] == "cooperative"


@pytest.mark.parametrize("name", DRIVEN)
def test_an_allowed_command_that_takes_its_time_runs_once_and_to_its_end(
    name: str, keyturn: KeyturnServer, running: MakeRun
) -> None:
    """In Codex's own sandbox it could write nothing, and what takes longer than an instant is not begun again outside."""
    start = keyturn.size
    one = running(name)
    run = one.start(script({"shell": "echo BEGUN >> begun.txt; sleep 1; echo RAN > proof.txt"}))
    assert run.end() == 0, run.said
    assert proof(one) == "RAN\n", run.said
    assert (one.work / "begun.txt").read_text() == "BEGUN\n"
    assert [receipt["outcome"] for receipt in keyturn.entries("action.receipt", start)] == ["done"]
    assert summary(run.said)["unfinished"] == 0


def test_a_command_that_outlasts_the_first_wait_is_waited_for_without_a_question(
    keyturn: KeyturnServer, running: MakeRun
) -> None:
    start = keyturn.size
    one = running("codex")
    slow = {"cmd": "sleep 3; echo RAN > proof.txt", "yield_time_ms": 250}
    run = one.start(script({"calls": [{"tool": "exec_command", "arguments": slow}]}))
    assert run.end() == 0, run.said
    assert proof(one) == "RAN\n", run.said
    assert "Process running with session ID" in run.heard, "it did outlast the first wait"
    assert len(keyturn.entries("action.decided", start)) == 1
    (receipt,) = keyturn.entries("action.receipt", start)
    assert (receipt["outcome"], receipt["exit_code"]) == ("done", 0)
    told = summary(run.said)
    assert (told["allowed"], told["unasked"], told["unfinished"]) == (1, 0, 0)


def test_a_command_that_the_agent_does_not_wait_for_is_ended_with_it_and_its_receipt_says_so(
    keyturn: KeyturnServer, running: MakeRun
) -> None:
    start = keyturn.size
    one = running("codex")
    slow = {"cmd": "echo $$ > pid.txt; sleep 300; echo RAN > proof.txt", "yield_time_ms": 250}
    turns = script(
        {"calls": [{"tool": "exec_command", "arguments": slow}]}, RUNS | {"shell": "echo ON > on.txt"}
    )
    run = one.start({**turns, "waits": False})
    assert run.end() == 0, run.said
    assert (one.work / "on.txt").exists(), "the agent went on"
    assert proof(one) is None
    assert ended(int((one.work / "pid.txt").read_text()))
    receipts = keyturn.entries("action.receipt", start)
    assert [receipt["outcome"] for receipt in receipts] == ["done", "unknown"]
    assert "before the client said how it ended" in receipts[1]["note"]
    assert summary(run.said)["unfinished"] == 1
    keyturn.verify()


def test_codex_types_into_nothing(keyturn: KeyturnServer, running: MakeRun) -> None:
    """What it types into a terminal it does not ask about, so it is given none."""
    start = keyturn.size
    one = running("codex")
    run = one.start(script({"calls": [{"tool": "exec_command", "arguments": {"cmd": "cat", "tty": True}}]}))
    assert run.end() == 0, run.said
    assert "TTY execution is disabled" in run.heard
    assert keyturn.entries("action.decided", start) == []


@pytest.mark.parametrize("name", ["claude-code", "copilot", "opencode"])
def test_a_child_has_its_hooks_wired_for_the_run(name: str, keyturn: KeyturnServer, running: MakeRun) -> None:
    start = keyturn.size
    one = running(name)
    one.prompted = False
    run = one.start(script(RUNS, HELD))
    keyturn.deny(keyturn.waiting(), "not before the release")
    assert run.end() == 0, run.said
    assert proof(one) == "RAN\n", run.said
    assert "not before the release" in run.heard
    outer, inner = keyturn.entries("session.opened", start)
    assert outer["gate"]["name"].startswith(f"run:{name}@")
    assert inner["gate"]["name"].startswith(f"hooks:{name}@")
    decided = keyturn.entries("action.decided", start)
    assert {entry["gate"]["name"].split("@")[0] for entry in decided} == {f"hooks:{name}"}
    assert len(keyturn.entries("session.closed", start)) >= 1
    assert not list(one.home.rglob("keyturn.j*")), "nothing of the wiring stays"


def test_a_child_without_a_gate_is_not_started(keyturn: KeyturnServer, running: MakeRun) -> None:
    for name in ("codex", "gemini"):
        one = running(name)
        one.prompted = False
        run = one.start(script(RUNS))
        assert run.end() == 243, run.said
        assert "run.hooks_missing" in run.said
        assert run.requests == []


def test_an_interrupted_run_leaves_no_process_and_closes_its_session(
    keyturn: KeyturnServer, running: MakeRun
) -> None:
    start = keyturn.size
    one = running("codex")
    run = one.start(script(HELD))
    request = keyturn.waiting()
    group = _descendants(run.process.pid)
    os.kill(_ours(run.process.pid), signal.SIGTERM)
    assert run.end() == 130
    assert keyturn.entries("session.closed", start)
    over = [entry for entry in keyturn.entries("request.ended", start) if entry["request"] == request["id"]]
    assert over[0]["state"] == "withdrawn"
    assert proof(one) is None
    assert group
    assert all(ended(pid) for pid, _ in group)


def _ours(root: int) -> int:
    """The process of `keyturn run` below *root*, which may be the model server that only names it in its arguments."""
    return next(
        pid
        for pid, words in reversed(_descendants(root))
        if "-m keyturn run" in words and "model_server" not in words
    )


def _processes() -> dict[int, tuple[int, str]]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                words = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            if stat[0] != "Z":
                found[int(entry.name)] = (int(stat[1]), words)
    return found


def _descendants(root: int) -> list[tuple[int, str]]:
    processes = _processes()
    found, fresh = [], {root}
    while fresh:
        fresh = {pid for pid, (parent, _) in processes.items() if parent in fresh}
        found += [(pid, processes[pid][1]) for pid in sorted(fresh)]
    return found
