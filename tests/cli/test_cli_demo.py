"""The demonstration shows what it says, touches nothing of the user's, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_house import Said, in_process_of_its_own, keyturn, process

from keyturn.errors import ExitCode
from keyturn.ledger.verify import verify

SECONDS_TO_HOLD = 120
"""An action is held within this of the server being up: seconds on a quiet machine, but other tests run here, too."""


def left_behind(folder: Path) -> list[str]:
    """What of a demonstration in *folder* is still there: files, and processes that name it."""
    found = [str(path) for path in folder.iterdir()]
    for process_folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (process_folder / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in command and int(process_folder.name) != os.getpid():
            found.append(command)
    return found


def test_unattended_it_plays_both_people_and_catches_the_tampering(folder: Path) -> None:
    scratch = folder / "tmp"
    scratch.mkdir()
    hostile = {
        "TMPDIR": str(scratch), "KEYTURN_STORE": "postgresql://127.0.0.1:1/x", "KEYTURN_HOME": "/nonexistent",
        "KEYTURN_URL": "https://example.org", "KEYTURN_PERSON": "nobody", "GIT_DIR": "/nonexistent",
    }  # fmt: skip
    said = in_process_of_its_own("demo", "--unattended", "--json", "--export", folder / "log", env=hostile)
    assert said.code == ExitCode.DONE, said
    played = said.json
    assert {k: played[k] for k in ("story", "ran", "held", "stopped", "caught")} == {
        "story": "tidy", "ran": 6, "held": 3, "stopped": 3, "caught": True
    }  # fmt: skip
    assert left_behind(scratch) == []
    for words in (
        "approve: Build output", "deny: Publishing waits", "refused by policy", "‹U+202E›",
        f"DAMAGED  entry {played['tampered']}",
    ):  # fmt: skip
        assert words in said.err
    assert "Traceback" not in said.err
    verdict = verify(folder / "log")
    assert (verdict.intact, verdict.entries) == (True, played["entries"])
    assert keyturn("ledger", "verify", folder / "log").code == ExitCode.DONE


def test_it_works_without_git_and_where_the_temporary_folder_s_path_is_long(folder: Path) -> None:
    programs = folder / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "ls", "cat", "rm", "env"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    long = folder / ("t" * 90)
    long.mkdir()
    said = in_process_of_its_own(
        "demo", "--unattended", "--json", env={"PATH": str(programs), "TMPDIR": str(long)}
    )
    assert said.code == ExitCode.DONE, said
    assert said.json["caught"] is True
    assert left_behind(long) == []


def test_where_it_can_t_export_nothing_begins(folder: Path) -> None:
    (folder / "log").mkdir()
    (folder / "log" / "mine").touch()
    said = keyturn("demo", "--unattended", "--json", "--export", folder / "log")
    assert (said.code, said.error["code"]) == (ExitCode.USAGE, "ledger.export_refused")
    assert "agent" not in said.all


class Attended:
    """A demonstration that waits for Riley, and the terminal beside it."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder = folder
        self.told: list[str] = []
        self._process = process("demo", env={"TMPDIR": str(folder)}, stderr=subprocess.STDOUT, **options)

    @property
    def pid(self) -> int:
        return self._process.pid

    def until(self, words: str) -> re.Match[str]:
        """The first line that looks like *words*."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.told.append(line)
            found = re.search(words, line)
            if found:
                return found
        raise AssertionError("".join(self.told))

    def riley(self, *arguments: str) -> Said:
        """A command as the instructions say."""
        exported = re.search(r"KEYTURN_HOME=(\S+) KEYTURN_PERSON=riley", "".join(self.told))
        assert exported
        return keyturn(*arguments, env={"KEYTURN_HOME": exported[1], "KEYTURN_PERSON": "riley"})

    def end(self) -> int:
        assert self._process.stdout is not None
        self.told += list(self._process.stdout)
        return self._process.wait(120)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.communicate(timeout=120)


@pytest.fixture
def attended(folder: Path) -> Iterator[Attended]:
    played = Attended(folder)
    try:
        yield played
    finally:
        played.stop()


def test_attended_it_says_what_to_do_waits_and_takes_the_decision(attended: Attended) -> None:
    attended.until(r"http://127\.0\.0\.1:\d+/login\?code=ktl_")
    first = attended.until(r"keyturn approve (r_\w+)")[1]
    view = attended.riley("show", first, "--json").json
    assert view["content"]["script"] == "rm -r build"
    opened, served = (
        view["opened"],
        json.loads(attended.riley("ledger", "log", "--json").out.splitlines()[0])["time"],
    )
    assert opened - served < SECONDS_TO_HOLD * 1000
    assert first in attended.riley("requests").out
    assert attended.riley("approve", first, "--digest", view["digest"]).code == ExitCode.DONE
    for reason in ("not now", "it hides something"):
        request = attended.until(r"keyturn approve (r_\w+)")[1]
        assert attended.riley("deny", request, "--reason", reason).code == ExitCode.DONE
        attended.until(f"denied by riley: {reason}")
    assert attended.end() == ExitCode.DONE
    assert "DAMAGED" in "".join(attended.told)
    assert left_behind(attended.folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_however_it_is_ended_nothing_is_left(attended: Attended, number: signal.Signals) -> None:
    attended.until(r"keyturn approve (r_\w+)")
    assert left_behind(attended.folder) != []
    os.kill(attended.pid, number)
    assert attended.end() == 130
    assert left_behind(attended.folder) == []
    assert "Traceback" not in "".join(attended.told)
    assert "Stopped." in attended.told[-1]


def test_a_terminal_that_is_closed_ends_it(folder: Path) -> None:
    """As closing a window does: the terminal goes away, and everything in its session is told."""
    master, slave = os.openpty()
    played = process(
        "demo", env={"TMPDIR": str(folder)}, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while b"keyturn approve r_" not in shown:
        shown += os.read(master, 65536)
    os.close(master)
    played.wait(120)
    assert left_behind(folder) == []
