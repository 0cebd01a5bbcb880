"""What the demonstration needs and leaves nothing of: a scratch folder, a project in it, processes that end with it.

Rules kept here:

- Nothing of the user's installation is touched: no setting, token, home or git configuration of theirs is used.
- However it ends (done, Ctrl-C, closed terminal, SIGTERM), every process ends first, then the folder goes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any

from keyturn.cli.client import MAX_SOCKET_PATH
from keyturn.errors import ExitCode, KeyturnError

KEEP = "KEYTURN_DEMO_KEEP"
_LEFT_ALONE = frozenset((KEEP, "KEYTURN_DEBUG"))

SOCKET_ROOM = MAX_SOCKET_PATH - len("/home/run/gate.sock")
"""Bytes that a scratch folder's path may have, so that a server in it can listen."""

END_SECONDS = 20
"""How long a process may take to end when it is told to."""

Child = subprocess.Popen[str]


class DemoFailed(KeyturnError):
    """The demonstration did not go as it should."""

    code = "demo.failed"
    exit_code = ExitCode.INTERNAL
    not_done = "Nothing outside its scratch folder was touched."
    next_step = (
        f"Run it again with {KEEP}=1, which keeps the scratch folder with the server's log, and report that."
    )


def environment() -> dict[str, str]:
    """This process's environment without what would make a part of the demonstration use the user's own things."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _LEFT_ALONE or not name.startswith(("KEYTURN_", "GIT_", "CLAUDE_"))
    }
    return {**kept, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0"}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder of its own, and an environment without the user's settings. Interrupts inside end it in order.

    With KEYTURN_DEMO_KEEP in the environment the folder stays.
    """
    keep = bool(os.environ.get(KEEP))
    before, clean = dict(os.environ), environment()
    os.environ.clear()
    os.environ.update(clean)
    with _interrupts():
        folder = _folder()
        try:
            yield folder
        finally:
            with _uninterrupted():
                os.environ.clear()
                os.environ.update(before)
                if not keep:
                    _remove(folder)


def _remove(folder: Path) -> None:
    """The folder goes, also while something that just ended still has a last file to write."""
    until = time.monotonic() + END_SECONDS
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            time.sleep(0.05)


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="keyturn-demo-"))
    if len(os.fsencode(folder)) <= SOCKET_ROOM:
        return folder.resolve()
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="keyturn-demo-", dir="/tmp")).resolve()


@contextlib.contextmanager
def _interrupts() -> Iterator[None]:
    """A closed terminal and a termination end the demonstration as Ctrl-C does: through every `finally`."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling(interrupt, signal.SIGTERM, signal.SIGHUP):
        yield


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C must not leave half of it behind."""
    with _handling(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        yield


@contextlib.contextmanager
def _handling(handler: Any, *signals: signal.Signals) -> Iterator[None]:
    try:
        before = {number: signal.signal(number, handler) for number in signals}
    except ValueError:  # not in the main thread: whoever runs it there handles its own signals
        before = {}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def child(command: Sequence[str], *, cwd: Path, stderr: IO[bytes] | None = None) -> Iterator[Child]:
    """A process with everything it starts, ended when the context ends. Its output is text, line by line.

    It has a session of its own, so that Ctrl-C in the terminal reaches it through us, in order.
    """
    process: Child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=cwd, start_new_session=True
    )
    try:
        yield process
    finally:
        with _uninterrupted():
            _end(process)


def _end(process: Child) -> None:
    """The leader is asked, and waited for; what it left behind in its session is not asked."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
            break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()


def make_project(folder: Path) -> Path:
    """A small project with a typo, old build output and, if git works here, a remote that is a folder beside it."""
    work = folder / "project"
    (work / "build").mkdir(parents=True)
    (work / "README.md").write_text("# Orders\n\nHow teh order service works.\n", encoding="utf-8")
    (work / "build" / "old.o").write_bytes(b"\0" * 64)
    author = ("-c", "user.name=Dana", "-c", "user.email=dana@example.test")
    commands = (
        ("init", "-q", "--bare", str(folder / "remote.git")),
        ("init", "-q"),
        ("add", "README.md"),
        (*author, "commit", "-q", "-m", "First"),
        ("remote", "add", "origin", str(folder / "remote.git")),
    )
    for arguments in commands:
        # Without git the agent's git commands fail by themselves; what they are decided on is the same.
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(["git", *arguments], check=True, capture_output=True, cwd=work, env=environment())
    return work
