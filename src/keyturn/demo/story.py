"""One story: a home, a server, an agent at work, people who decide, a ledger that is tampered with and says so."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from msgspec import Struct
from msgspec.structs import replace

from keyturn.channels.web import reveal  # noqa: F401 — now, so that showing an odd line later does not lag behind
from keyturn.cli.client import Client
from keyturn.cli.init import create
from keyturn.cli.terminal import visible
from keyturn.demo import agent
from keyturn.demo.drift.told import Told
from keyturn.demo.people import Doorbell, Reviewer, Tell
from keyturn.demo.scratch import KEEP, DemoFailed, child, make_project, scratch
from keyturn.errors import ExitCode
from keyturn.gates.hooks import client as hook_client
from keyturn.home import Home
from keyturn.ledger.export import ExportRefused

STORIES = {
    "tidy": "A coding agent tidies a project: some of it runs, some of it waits, some of it never will.",
    "drift": "A day of agents whose practice leaves policy in ten ways: each is found, and linked to its change or to none.",
}

EXPECTED = {"ran": 6, "held": 3, "stopped": 3}
"""What comes of the story when the scripted reviewer decides."""

TAMPER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
find = "SELECT idx, type, disclosures FROM entry WHERE length(disclosures) > 40 "
row = db.execute(find + "ORDER BY type = 'approval.given' DESC, idx LIMIT 1").fetchone()
index, kind, text = row[0], row[1], bytes(row[2])
at = len(text) // 2
changed = text[:at] + (b"A" if text[at:at + 1] != b"A" else b"B") + text[at + 1:]
db.execute("UPDATE entry SET disclosures = ? WHERE idx = ?", (changed, index))
db.commit()
print(index, kind)
"""
"""Another program, as anybody with the file could write it: it knows SQLite and nothing of Keyturn."""


class Played(Struct, frozen=True):
    """What came of a story. `entries` is the log's size before the tampering; `tampered` the entry that was altered."""

    story: str
    ran: int
    held: int
    stopped: int
    entries: int
    tampered: int
    caught: bool
    export: str | None = None
    found: tuple[Told, ...] = ()


def play(tell: Tell, *, story: str, unattended: bool, export: Path | None) -> Played:
    """Play the story. Raises `DemoFailed`, and whatever the exporting or a full disk raises."""
    target = None if export is None else _free(export)
    kept = None
    try:
        with scratch() as folder:
            kept = folder if os.environ.get(KEEP) else None
            return _play(folder, tell, story, unattended, target)
    finally:
        if kept is not None:
            with contextlib.suppress(OSError):
                tell(f"Kept {kept}; its home is {kept / 'home'}.")


def _free(export: Path) -> Path:
    """Where to export, known to be free before anything begins. Raises `ExportRefused`."""
    target = export.absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ExportRefused(f"{export} exists already.")
    return target


def _play(folder: Path, tell: Tell, story: str, unattended: bool, export: Path | None) -> Played:
    if story == "drift":
        return _play_drift(folder, tell, unattended, export)
    home, work = Home(folder / "home"), make_project(folder)
    create(home, "dana", "Dana, the developer", "enforce")
    with serving(home) as url:
        riley = enrol_riley(home)
        introduce(tell, home, url, riley, unattended)
        counts = watch(home, work, tell, riley, unattended)
    if unattended and counts != EXPECTED:
        raise DemoFailed(f"It should have come to {EXPECTED}, but came to {counts}.")
    return _afterwards(
        home,
        tell,
        export,
        Played(story, counts["ran"], counts["held"], counts["stopped"], entries=0, tampered=0, caught=False),
    )


def _play_drift(folder: Path, tell: Tell, unattended: bool, export: Path | None) -> Played:
    from keyturn.demo import drift

    home = Home(folder / "home")
    found = drift.play(folder, home, tell, unattended=unattended)
    played = Played("drift", ran=0, held=0, stopped=0, entries=0, tampered=0, caught=False, found=found)
    return _afterwards(home, tell, export, played)


def _afterwards(home: Home, tell: Tell, export: Path | None, played: Played) -> Played:
    """The log verifies, is exported, is tampered with, and says so."""
    tell("")
    entries = verify(home, tell, expect=ExitCode.DONE)
    if export is not None:
        run_keyturn(home, "ledger", "export", str(export), expect=ExitCode.DONE)
        run_keyturn(home, "ledger", "verify", str(export), expect=ExitCode.DONE)
        tell(f"Exported the log to {export}; the copy verifies.")
    tampered = tamper(home, tell)
    verify(home, tell, expect=ExitCode.DAMAGED)
    tell("")
    tell(
        "That is the demonstration. Your own: `keyturn init`, `keyturn serve`, `keyturn hook install claude-code`."
    )
    return replace(
        played, entries=entries, tampered=tampered, caught=True, export=str(export) if export else None
    )


# --- the server and its people ------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(home: Home) -> Iterator[str]:
    """A server of its own process on a free port; gives the page's address."""
    command = [sys.executable, "-m", "keyturn", "serve", "--home", str(home.root), "--port", "0", "--json"]
    with (home.root / "server.log").open("wb") as log, child(command, cwd=home.root, stderr=log) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        try:
            url = str(json.loads(line)["url"])
        except (ValueError, KeyError, TypeError) as error:
            said = (home.root / "server.log").read_text(encoding="utf-8", errors="replace").strip()
            raise DemoFailed(f"The server did not start: {said[-500:]}") from error
        yield url


def enrol_riley(home: Home) -> Client:
    """The second person, enrolled by the first; their token lies in the scratch home, where the reader needs it."""
    dana = Client(home, (home.tokens / "dana").read_text(encoding="utf-8").strip())
    body = {"id": "riley", "name": "Riley, who reviews", "groups": ["reviewers", "policy"]}
    token = dana.post("/v1/people", body)["token"]
    file = home.tokens / "riley"
    file.touch(mode=0o600)
    file.write_text(token, encoding="utf-8")
    return Client(home, token)


def introduce(tell: Tell, home: Home, url: str, riley: Client, unattended: bool) -> None:
    """Say who is who and where to look."""
    tell("Dana's agent works on a scratch project. Riley reviews. Nothing leaves this machine.")
    if unattended:
        tell("")
        return
    tell(
        "You are Riley. Open this page (the link works once, for five minutes; `keyturn login` makes another):"
    )
    tell(f"  {url}/login?code={riley.post('/v1/login')['code']}")
    tell("or decide in another terminal, after:")
    tell(f"  export {_path()}KEYTURN_HOME={shlex.quote(str(home.root))} KEYTURN_PERSON=riley")
    tell("and then: keyturn requests · keyturn show ID · keyturn approve ID · keyturn deny ID --reason 'why'")
    tell("Ctrl-C ends everything and leaves nothing behind.")
    tell("")


def _path() -> str:
    """What makes `keyturn` known in a terminal where it isn't, as after `make demo`."""
    own = Path(sys.executable).parent
    known = shutil.which("keyturn")
    if (known and Path(known).parent == own) or not (own / "keyturn").exists():
        return ""
    return f'PATH={shlex.quote(str(own))}:"$PATH" '


# --- the agent ----------------------------------------------------------------------------------------------------


def watch(home: Home, work: Path, tell: Tell, riley: Client, unattended: bool) -> dict[str, int]:
    """Let the agent work and tell what it does."""
    lock = threading.Lock()

    def tell_whole(words: str) -> None:
        with lock:  # two tell at once: the agent's side and the reviewer's
            tell(words)

    hook = [
        sys.executable,
        "-I",
        "-S",
        str(hook_client.__file__),
        "claude-code",
        "{event}",
        str(home.gate_socket),
    ]
    command = [sys.executable, str(agent.__file__), str(work), json.dumps(hook), str(home.root)]
    people = (Reviewer if unattended else Doorbell)(riley, tell_whole)
    counts = {"ran": 0, "stopped": 0}
    # The agent stands in the project, as a client does: a gate takes that for its workspace.
    with child(command, cwd=work) as process:
        people.start()
        try:
            assert process.stdout is not None
            _tell_lines(process.stdout, tell_whole, counts, work)
            status = process.wait()
        finally:
            people.end()
    if status != 0 or not counts["ran"] or not counts["stopped"]:
        raise DemoFailed(f"The agent ended with {status} after {counts}.")
    return {**counts, "held": people.held}


def _tell_lines(lines: IO[str], tell: Tell, counts: dict[str, int], work: Path) -> None:
    marks = {
        "asked": "dana  »",
        "wants": "agent ?",
        "ran": "      ✓",
        "stopped": "      ✗",
        "finished": "agent »",
    }
    for line in lines:
        said = json.loads(line)
        if said["agent"] in counts:
            counts[said["agent"]] += 1
        words = said["words"].removeprefix("keyturn: ").replace(f"{work.parent}/", "…/")
        tell(f"{marks[said['agent']]} {visible(words)}")


# --- afterwards ---------------------------------------------------------------------------------------------------


def verify(home: Home, tell: Tell, *, expect: int) -> int:
    """`keyturn ledger verify`, as anybody would run it; how many entries it read."""
    tell("$ keyturn ledger verify")
    tell(run_keyturn(home, "ledger", "verify", expect=expect).strip())
    return int(json.loads(run_keyturn(home, "ledger", "verify", "--json", expect=expect))["entries"])


def tamper(home: Home, tell: Tell) -> int:
    """Alter one recorded entry, an approval if there is one, with another program; the entry's index."""
    command = [sys.executable, "-c", TAMPER, str(home.ledger)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise DemoFailed(f"The ledger could not be altered: {ran.stderr[-300:]}")
    index, kind = ran.stdout.split()
    tell("")
    tell(f"Now somebody alters entry {index} ({kind}) in the database, behind Keyturn's back: one byte.")
    return int(index)


def run_keyturn(home: Home, *arguments: str, expect: int) -> str:
    """Run the command line on *home*; gives what it printed. Raises `DemoFailed` for another exit code."""
    command = [sys.executable, "-m", "keyturn", *arguments, "--home", str(home.root)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != expect:
        words = (
            f"`keyturn {' '.join(arguments)}` ended with {ran.returncode}, not {expect}: {ran.stderr[-400:]}"
        )
        raise DemoFailed(words)
    return ran.stdout if "--json" in arguments else ran.stdout + ran.stderr
