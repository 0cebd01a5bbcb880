"""`keyturn run -- CMD` for any command, with a real server: what starts, what waits, what doesn't start."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.cli.init import create
from keyturn.gates.exec.confinement import missing
from keyturn.gates.exec.kernel import support
from keyturn.home import Home
from keyturn.policy.folder import STARTER, read_folder

KEYTURN = [sys.executable, "-m", "keyturn"]


class House:
    """A home with a running server, a colleague who may approve, and a workspace."""

    def __init__(self, root: Path, policy: dict[str, bytes] | None = None) -> None:
        self.home = root / "kt"
        self.work = root / "work"
        self.work.mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")},
            "KEYTURN_HOME": str(self.home),
            "PATH": "/usr/bin:/bin",
        }
        if policy is None:
            self.keyturn("init", "--person", "dana")
        else:
            create(Home(self.home), "dana", "Dana", "enforce", policy=policy)
        self.serve()
        made = json.loads(self.keyturn("person", "add", "erin", "--group", "reviewers", "--json"))
        self.token = root / "erin.token"
        self.token.write_text(made["token"])
        self.token.chmod(0o600)

    def serve(self) -> None:
        self.server = subprocess.Popen(
            [*KEYTURN, "serve", "--port", "0", "--json"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.server.stdout is not None
        assert json.loads(self.server.stdout.readline())["gate_socket"]

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait(120)

    def keyturn(self, *words: str, **variables: str) -> str:
        environment = {**self.environment, **variables}
        done = subprocess.run(
            [*KEYTURN, *words], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def decide(self, verb: str, request: str, reason: str = "looked at it") -> None:
        erin = {"KEYTURN_TOKEN_FILE": str(self.token)}
        shown = json.loads(self.keyturn("show", request, "--json", **erin))
        looked = ("--digest", shown["digest"]) if verb == "approve" else ()
        self.keyturn(verb, request, *looked, "--reason", reason, **erin)

    def start(self, *words: str) -> Running:
        return Running(self, words)

    def ran(self, *words: str) -> Done:
        return self.start(*words).end()


class Done:
    """How a run ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.err = code, err
        lines = out.splitlines()
        self.told = json.loads(lines[-1]) if lines and lines[-1].startswith('{"session"') else {}
        self.out = "\n".join(lines[:-1] if self.told else lines)


class Running:
    """A run under way."""

    def __init__(self, house: House, words: tuple[str, ...]) -> None:
        self.process = subprocess.Popen(
            [*KEYTURN, "run", "--json", *words],
            env=house.environment,
            cwd=house.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.err = ""

    def held(self) -> str:
        """The id of the request that the run says it waits for."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.err += line
            if "waiting for" in line and "(request " in line:
                return line.rpartition("(request ")[2].split(")")[0]
        raise AssertionError(f"nothing was held: {self.err}")

    def end(self) -> Done:
        out, err = self.process.communicate(timeout=120)
        return Done(self.process.returncode, out, self.err + err)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("exec"))
    try:
        yield house
    finally:
        house.stop()


@pytest.mark.parametrize("code", [0, 7])
def test_a_command_that_policy_lets_run_runs_and_its_code_is_passed_on(code: int, house: House) -> None:
    done = house.ran("--", "bash", "-c", f"ls /usr >/dev/null; exit {code}")
    assert done.code == code, done.err
    assert done.told["allowed"] == 1
    assert done.told["entries"] >= 4, "opened, decided, consumed, receipt, closed"


def test_what_is_held_waits_and_runs_once_it_is_approved(house: House) -> None:
    (house.work / "gone").mkdir()
    run = house.start("--", "rm", "-r", "gone")
    request = run.held()
    assert (house.work / "gone").exists(), "nothing ran while it waited"
    assert run.process.poll() is None
    house.decide("approve", request)
    done = run.end()
    assert done.code == 0, done.err
    assert done.told["approved"] == 1
    assert not (house.work / "gone").exists()


def test_what_is_denied_does_not_run_and_the_reason_is_told(house: House) -> None:
    (house.work / "kept").mkdir()
    run = house.start("--", "rm", "-r", "kept")
    house.decide("deny", run.held(), "we still need it")
    done = run.end()
    assert done.code == 244, done.err
    assert "we still need it" in done.err
    assert (house.work / "kept").exists()


def test_what_policy_refuses_is_refused_in_words(house: House) -> None:
    done = house.ran("--", "bash", "-c", "rm -rf /usr")
    assert done.code == 243, done.err
    assert "top folder" in done.err
    assert Path("/usr").exists()


def test_what_an_agent_starts_is_asked_for_though_the_agent_is_not(house: House) -> None:
    (house.work / "agent").write_text("#!/bin/sh\nls -d . && rm -r precious\n")
    (house.work / "agent").chmod(0o755)
    (house.work / "precious").mkdir(exist_ok=True)
    run = house.start("--agent", "tester", "--", "./agent")
    request = run.held()
    house.decide("deny", request)
    done = run.end()
    assert done.code != 0
    assert done.out == "."
    assert (house.work / "precious").exists()
    assert done.told["refused"] == 1


def test_without_a_server_nothing_is_started(house: House, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    command = ["touch", str(marker)]
    assert house.ran("--", *command).code == 0
    assert marker.exists(), "the negative control: with a server it runs"
    marker.unlink()
    nobody = {**house.environment, "KEYTURN_HOME": str(tmp_path / "none")}
    (tmp_path / "none" / "run").mkdir(parents=True)
    done = subprocess.run(
        [*KEYTURN, "run", "--", *command], env=nobody, capture_output=True, text=True, check=False
    )
    assert done.returncode == 249
    assert "run.unreachable" in done.stderr
    assert not marker.exists()


def test_an_interrupt_ends_what_waits(house: House) -> None:
    (house.work / "still").mkdir(exist_ok=True)
    run = house.start("--", "rm", "-r", "still")
    request = run.held()
    run.process.send_signal(signal.SIGINT)
    done = run.end()
    assert done.code == 130, done.err
    assert (house.work / "still").exists()
    assert json.loads(house.keyturn("show", request, "--json"))["state"] == "withdrawn"


def test_a_program_that_is_not_there_is_said(house: House) -> None:
    done = house.ran("--", "no-such-program-anywhere")
    assert done.code == 241
    assert "run.no_program" in done.err


def test_what_policy_would_hold_runs_as_part_of_code_that_was_allowed(house: House) -> None:
    """The negative control: by itself it is held. What leaves the tree is held there, too."""
    folder = house.work / "wide"
    folder.mkdir()
    (folder / "build").mkdir()
    (folder / "clean.sh").write_text('#!/bin/sh\nX=$(cat wide/more)\nrm -r wide/build\nsh -c "$X"\n')
    (folder / "more").write_text("su -c 'echo hi'")
    (folder / "clean.sh").chmod(0o755)
    alone = house.start("--agent", "tester", "--", "sh", "-c", "rm -r wide/build")
    house.decide("deny", alone.held())
    alone.end()
    assert (folder / "build").exists()
    run = house.start("--", "wide/clean.sh")
    house.decide("approve", run.held())
    leaving = run.held()
    assert not (folder / "build").exists(), "part of the approved script"
    assert "su -c" in house.keyturn("show", leaving)
    house.decide("deny", leaving)
    assert run.end().told["refused"] == 1


def test_a_remembered_yes_is_for_the_same_question_only(house: House) -> None:
    loop = "import subprocess\nfor _ in range(3): subprocess.run(['ls', '-d', 'DIR'])\n"
    (house.work / "again.py").write_text(loop.replace("DIR", "/usr"))
    done = house.ran("--agent", "tester", "--", "python3", "again.py")
    assert (done.told["allowed"], done.told["remembered"]) == (1, 2), done.err
    varied = "import subprocess\nfor d in '/usr', '/bin', '/etc': subprocess.run(['ls', '-d', d])\n"
    (house.work / "varied.py").write_text(varied)
    done = house.ran("--agent", "tester", "--", "python3", "varied.py")
    assert (done.told["allowed"], done.told["remembered"]) == (3, 0), done.err


def test_a_question_that_no_file_has_a_say_in_is_remembered_as_well(house: House) -> None:
    (house.work / "often.py").write_text("import subprocess\nfor _ in range(4): subprocess.run(['true'])\n")
    done = house.ran("--agent", "tester", "--", "python3", "often.py")
    assert (done.told["allowed"], done.told["remembered"]) == (1, 3), done.err


def test_what_a_remembered_question_would_run_is_looked_into_each_time(house: House) -> None:
    """A shortcut that forgot the script's text would count it as remembered once more."""
    code = (
        "import pathlib, subprocess\n"
        "text = pathlib.Path('inner.sh')\n"
        "go = lambda: subprocess.run(['sh', 'inner.sh'])\n"
        "text.write_text('ls -d /usr\\n'); go(); go(); go()\n"
        "text.write_text('ls -d /etc\\n'); go()\n"
    )
    (house.work / "changes.py").write_text(code)
    done = house.ran("--agent", "tester", "--", "python3", "changes.py")
    assert done.out.split() == ["/usr", "/usr", "/usr", "/etc"], done.err
    assert (done.told["allowed"], done.told["remembered"]) == (2, 2), done.err


def test_a_tighter_policy_ends_what_is_remembered(house: House) -> None:
    """The workspace's own rules tighten; a *no* comes as soon as the server reads them, though *yes* was remembered."""
    (house.work / "tighten.py").write_text(
        "import pathlib, subprocess\n"
        "ls = lambda: subprocess.run(['ls', '-d', '/usr'])\n"
        "ls(), ls()\n"
        "rules = pathlib.Path('.keyturn/rules')\n"
        "rules.mkdir(parents=True)\n"
        "when = 'when { context.program == \"ls\" };'\n"
        'rule = \'@id("no-ls") forbid(principal, action == Action::"shell", resource) \' + when\n'
        "(rules / 'no-ls.cedar').write_text(rule)\n"
        "try:\n"
        "    while True: ls()\n"
        "except PermissionError: print('stopped')\n"
    )
    try:
        done = house.ran("--agent", "tester", "--", "python3", "tighten.py")
    finally:
        shutil.rmtree(house.work / ".keyturn", ignore_errors=True)
    assert done.out.endswith("stopped"), done.err
    assert done.told["remembered"] >= 1, "the negative control: it was remembered before"
    assert done.told["refused"] == 1


def test_a_stopped_session_ends_the_tree(house: House) -> None:
    (house.work / "up").unlink(missing_ok=True)
    (house.work / "busy.sh").write_text('#!/bin/sh\necho "$KEYTURN_SESSION" > up\nwhile :; do :; done\n')
    (house.work / "busy.sh").chmod(0o755)
    run = house.start("--agent", "tester", "--", "./busy.sh")
    while not (house.work / "up").exists() or not (house.work / "up").read_text().strip():
        assert run.process.poll() is None
        os.sched_yield()
    session = (house.work / "up").read_text().strip()
    house.keyturn("session", "stop", session, "--reason", "enough")
    done = run.end()
    assert done.code == 137, done.err
    assert "stopped this session: enough" in done.err


needs_envelope = pytest.mark.skipif(
    bool(missing(support())), reason=f"no envelope on this kernel: {missing(support())}"
)


def recorded_gate(house: House, session: str) -> str:
    """What the session's gate says that it is, in the ledger."""
    entries = [
        json.loads(line) for line in house.keyturn("ledger", "log", "--json", "-n", "1000").splitlines()
    ]
    return json.dumps([entry for entry in entries if "gate.started" in json.dumps(entry)][-1])


@needs_envelope
def test_a_confined_run_is_kept_in_and_says_by_what(house: House) -> None:
    (house.work / ".env").write_text("TOKEN=planted-secret\n")
    beside = house.work.parent / "beside"
    beside.mkdir(exist_ok=True)
    script = f"""#!/bin/sh
while read -r line; do echo "$line"; done < .env
echo in > inside
echo out > {beside}/out
echo "${{KEYTURN_HOME-none}}"
exit 5
"""
    (house.work / "try.sh").write_text(script)
    (house.work / "try.sh").chmod(0o755)
    free = house.ran("--agent", "tester", "--", "./try.sh")
    assert free.out.splitlines() == ["TOKEN=planted-secret", str(house.home)], "the control"
    (beside / "out").unlink()
    assert free.told["envelope"] is None
    confined = house.start("--agent", "tester", "--confine", "workspace", "--", "./try.sh").end()
    assert confined.code == 5, confined.err
    assert confined.out.splitlines() == ["none"], "no secret, and no variable that nobody named"
    assert (house.work / "inside").read_text() == "in\n"
    assert not (beside / "out").exists()
    assert confined.told["mode"] == "supervised"
    assert confined.told["envelope"]["profile"] == "workspace"
    assert {"mounts", "network", "calls"} <= set(confined.told["envelope"]["walls"])
    assert confined.told["envelope"]["masked"] >= 1
    assert "confined by workspace:" in confined.err
    assert not [path for path in (".vscode", ".claude", ".github") if (house.work / path).exists()], "cleared"
    assert "workspace(" in recorded_gate(house, confined.told["session"])


@needs_envelope
def test_a_read_only_run_changes_nothing(house: House) -> None:
    done = house.ran("--confine", "read-only", "--", "bash", "-c", "ls -d . && touch made")
    assert done.code != 0
    assert not (house.work / "made").exists()
    assert house.ran("--", "bash", "-c", "ls -d . && touch made").code == 0, "the control"


def test_a_profile_that_is_not_there_is_said_and_nothing_runs(house: House) -> None:
    done = house.ran("--confine", "no-such", "--", "touch", "made-anyway")
    assert done.code == 243, done.err
    assert "run.no_envelope" in done.err
    assert "read-only, workspace" in done.err
    assert not (house.work / "made-anyway").exists()


@needs_envelope
def test_a_home_is_no_workspace_to_be_confined_to(house: House) -> None:
    process = subprocess.run(
        [*KEYTURN, "run", "--confine", "workspace", "--", "true"],
        env={**house.environment, "HOME": str(house.work)},
        cwd=house.work,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 243, process.stderr
    assert "is no workspace" in process.stderr


@needs_envelope
def test_a_script_that_only_the_tree_sees_is_asked_for_as_the_tree_sees_it(house: House) -> None:
    """Its own /tmp is not ours: a harmless script there of the same name must not be what is looked at."""
    name = f"keyturn-{os.getpid()}.sh"
    outside = Path("/tmp") / name
    outside.write_text("ls -d /usr\n")
    (house.work / "keep").mkdir(exist_ok=True)
    (house.work / "two.py").write_text(
        f"import subprocess\nopen('/tmp/{name}', 'w').write('rm -r keep\\n')\nsubprocess.run(['sh', '/tmp/{name}'])\n"
    )
    try:
        run = house.start("--agent", "tester", "--confine", "workspace", "--", "python3", "two.py")
        request = run.held()
        log = house.keyturn("ledger", "log", "--json", "-n", "1000").splitlines()
        asked = "".join(entry for entry in log if name in entry or request in entry)
        inside, seen = (hashlib.sha256(text).hexdigest() for text in (b"rm -r keep\n", b"ls -d /usr\n"))
        assert inside in asked
        assert seen not in asked
        house.decide("deny", request)
        run.end()
    finally:
        outside.unlink()
    assert (house.work / "keep").exists()


@needs_envelope
def test_a_policy_may_confine_every_command(tmp_path: Path) -> None:
    files = {**read_folder(STARTER), "envelope.toml": b'default = "read-only"\n'}
    house = House(Path(os.path.realpath(tmp_path)), files)
    try:
        command = ["bash", "-c", "ls -d . && touch made"]
        assert house.ran("--", *command).told["envelope"]["profile"] == "read-only"
        assert not (house.work / "made").exists()
        other = house.ran("--confine", "workspace", "--", *command)
        assert other.code == 0, other.err
        assert (house.work / "made").exists(), "the control: where the profile gives it"
    finally:
        house.stop()


def test_in_a_terminal_the_run_is_recorded_with_its_decisions(house: House) -> None:
    (house.work / "shown").mkdir(exist_ok=True)
    master, slave = os.openpty()
    process = subprocess.Popen(
        [*KEYTURN, "run", "--", "rm", "-r", "shown"],
        env=house.environment,
        cwd=house.work,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    shown = b""
    while b"(request r_" not in shown or not shown.rpartition(b"(request ")[2].count(b")"):
        shown += os.read(master, 65_536)
    request = shown.rpartition(b"(request ")[2].split(b")")[0].decode()
    house.decide("approve", request)
    try:
        while piece := os.read(master, 65_536):
            shown += piece
    except OSError:  # EIO: the last one that had the other side has ended
        pass
    assert process.wait(120) == 0, shown
    recordings = [path.read_text() for path in (house.home / "recordings").glob("*.cast")]
    lines = [json.loads(line) for line in "".join(recordings).splitlines()]
    assert lines[0]["version"] == 3
    marks = [line[2] for line in lines[1:] if line[1] == "m"]
    assert [mark.split(":")[1].strip() for mark in marks] == ["held", "approved"]
    assert lines[-1][1:] == ["x", "0"]
    assert not (house.work / "shown").exists()
    file = next((house.home / "recordings").glob("*.cast"))
    digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert json.loads(house.keyturn("session", "show", file.stem, "--json"))["recording"] == digest
    assert "the ledger has its digest" in house.keyturn("session", "show", file.stem)  # the negative control
    file.write_bytes(file.read_bytes().replace(b"approved", b"expired!"))
    changed = subprocess.run(
        [*KEYTURN, "session", "show", file.stem],
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert changed.returncode == 7, changed.stderr
    assert "was changed after the session ended" in changed.stdout
