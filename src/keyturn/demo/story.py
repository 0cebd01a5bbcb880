"""One story: a home, a server, an agent at work, people who decide, a ledger that is tampered with and says so."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from keyturn.cli.client import Client
from keyturn.cli.init import create
from keyturn.demo import agent
from keyturn.demo.people import Reviewer
from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.hooks import client as hook_client
from keyturn.home import Home

Tell = Callable[[str], None]

STORIES = {
    "tidy": "A coding agent tidies a project: some of it runs, some of it waits, some of it never will."
}

TAMPER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
row = db.execute("SELECT idx, disclosures FROM entry WHERE type = 'approval.given' ORDER BY idx LIMIT 1").fetchone()
index, text = row[0], bytes(row[1]) if not isinstance(row[1], str) else row[1].encode()
at = len(text) // 2
changed = text[:at] + (b"A" if text[at:at + 1] != b"A" else b"B") + text[at + 1:]
db.execute("UPDATE entry SET disclosures = ? WHERE idx = ?", (changed if not isinstance(row[1], str) else changed.decode(), index))
db.commit()
print(index)
"""


class DemoFailed(KeyturnError):
    """The demonstration did not go as it should."""

    code = "demo.failed"
    exit_code = ExitCode.INTERNAL
    not_done = "Nothing outside its scratch folder was touched."
    next_step = "Run `keyturn doctor`; with KEYTURN_DEMO_KEEP=1 the scratch folder is kept."


def play(tell: Tell, *, unattended: bool, export: Path | None) -> dict[str, object]:
    """Play the story; gives what happened. Raises `DemoFailed`."""
    scratch = Path(tempfile.mkdtemp(prefix="keyturn-demo-"))
    try:
        return _play(scratch, tell, unattended, export)
    finally:
        if os.environ.get("KEYTURN_DEMO_KEEP"):
            tell(f"Kept {scratch}.")
        else:
            shutil.rmtree(scratch, ignore_errors=True)


def _play(scratch: Path, tell: Tell, unattended: bool, export: Path | None) -> dict[str, object]:
    home, work = Home(scratch / "home"), make_project(scratch)
    create(home, "dana", "Dana, the developer", "enforce")
    with serving(home) as url:
        dana = Client(home, (home.tokens / "dana").read_text().strip())
        made = dana.post(
            "/v1/people", {"id": "riley", "name": "Riley, who reviews", "groups": ["reviewers", "policy"]}
        )
        riley = Client(home, made["token"])
        (home.tokens / "riley").write_text(made["token"], encoding="utf-8")
        (home.tokens / "riley").chmod(0o600)
        introduce(tell, home, url, riley, unattended)
        counts = watch(home, work, tell, riley, unattended)
    verify(home, tell, expect=ExitCode.DONE)
    if export is not None:
        run_keyturn(home, "ledger", "export", str(export), expect=ExitCode.DONE)
        tell(f"Exported the log to {export}.")
    tamper(home, tell)
    verify(home, tell, expect=ExitCode.DAMAGED)
    tell(
        "That is the demonstration. Your own: `keyturn init`, `keyturn serve`, `keyturn hook install claude-code`."
    )
    return counts


def make_project(scratch: Path) -> Path:
    """A small project with a typo, old build output, and a remote that is a folder beside it."""
    work = scratch / "project"
    (work / "build").mkdir(parents=True)
    (work / "README.md").write_text("# Orders\n\nHow teh order service works.\n", encoding="utf-8")
    (work / "build" / "old.o").write_bytes(b"\0" * 64)
    if shutil.which("git"):
        quiet = {"check": True, "capture_output": True, "cwd": work}
        subprocess.run(
            ["git", "init", "-q", "--bare", str(scratch / "remote.git")], check=True, capture_output=True
        )
        for command in (
            ["git", "init", "-q"],
            ["git", "add", "README.md"],
            [
                "git",
                "-c",
                "user.name=Dana",
                "-c",
                "user.email=dana@example.test",
                "commit",
                "-q",
                "-m",
                "First",
            ],
            ["git", "remote", "add", "origin", str(scratch / "remote.git")],
        ):
            subprocess.run(command, **quiet)  # type: ignore[call-overload]
    return work


@contextlib.contextmanager
def serving(home: Home) -> Iterator[str]:
    """A server of its own process on a free port; gives the page's address."""
    log = (home.root / "server.log").open("wb")
    server = subprocess.Popen(
        [sys.executable, "-m", "keyturn", "serve", "--home", str(home.root), "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=log,
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        if not line:
            said = (home.root / "server.log").read_text(encoding="utf-8", errors="replace")
            raise DemoFailed(f"The server did not start: {said[-500:]}")
        yield json.loads(line)["url"]
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def introduce(tell: Tell, home: Home, url: str, riley: Client, unattended: bool) -> None:
    """Say who is who and where to look."""
    tell("Dana's agent works on a scratch project. Riley reviews. Nothing leaves this machine.")
    if unattended:
        return
    code = riley.post("/v1/login")["code"]
    tell("You are Riley. Open this page (the link works once):")
    tell(f"  {url}/login?code={code}")
    tell("or decide in another terminal:")
    tell(f"  export KEYTURN_HOME={home.root} KEYTURN_PERSON=riley")
    tell("  keyturn requests;  keyturn show ID;  keyturn approve ID;  keyturn deny ID --reason 'why'")


def watch(home: Home, work: Path, tell: Tell, riley: Client, unattended: bool) -> dict[str, object]:
    """Let the agent work and tell what it does."""
    hook = [
        sys.executable,
        "-I",
        "-S",
        str(hook_client.__file__),
        "claude-code",
        "{event}",
        str(home.gate_socket),
    ]
    reviewer = Reviewer(riley, tell) if unattended else None
    if reviewer is not None:
        reviewer.start()
    process = subprocess.Popen(
        [sys.executable, str(agent.__file__), str(work), json.dumps(hook), str(home.root)],
        cwd=work,  # as a client would be started: there is its workspace
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull},
    )
    counts = {"ran": 0, "stopped": 0}
    try:
        assert process.stdout is not None
        _tell_lines(process.stdout, tell, counts, unattended)
    finally:
        process.terminate() if process.poll() is None else None
        process.wait(20)
        if reviewer is not None:
            reviewer.end()
    if process.returncode != 0 or not counts["ran"] or not counts["stopped"]:
        raise DemoFailed(f"The agent ended with {process.returncode} after {counts}.")
    return dict(counts)


def _tell_lines(lines: IO[str], tell: Tell, counts: dict[str, int], unattended: bool) -> None:
    marks = {"asked": "»", "wants": "?", "ran": "  ✓", "stopped": "  ✗", "finished": "»"}
    for line in lines:
        said = json.loads(line)
        if said["agent"] in counts:
            counts[said["agent"]] += 1
        words = (
            said["words"].encode("unicode_escape").decode()
            if not said["words"].isprintable()
            else said["words"]
        )
        tell(f"agent {marks[said['agent']]} {words}")


def verify(home: Home, tell: Tell, *, expect: int) -> None:
    """`keyturn ledger verify`, as anybody would run it."""
    tell("$ keyturn ledger verify")
    tell(run_keyturn(home, "ledger", "verify", expect=expect).strip())


def tamper(home: Home, tell: Tell) -> None:
    """Alter one recorded approval with another program, as somebody with the file could."""
    ran = subprocess.run(
        [sys.executable, "-c", TAMPER, str(home.ledger)], capture_output=True, text=True, check=False
    )
    if ran.returncode != 0:
        raise DemoFailed(f"The ledger could not be altered: {ran.stderr[-300:]}")
    tell(
        f"Now somebody alters entry {ran.stdout.strip()} in the database, behind Keyturn's back: one byte of an approval."
    )


def run_keyturn(home: Home, *arguments: str, expect: int) -> str:
    """Run the command line on *home*; gives what it printed. Raises `DemoFailed` for another exit code."""
    ran = subprocess.run(
        [sys.executable, "-m", "keyturn", *arguments, "--home", str(home.root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != expect:
        raise DemoFailed(
            f"`keyturn {' '.join(arguments)}` ended with {ran.returncode}, not {expect}: {ran.stderr[-400:]}"
        )
    return ran.stdout + ran.stderr
