"""The client's process: its own process group, signals passed on, nothing of it left behind.

On a terminal the group is put in the foreground, as a shell does, so that an interactive client keeps its keyboard.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
END_SECONDS = 3.0
"""How long a group may take to end after SIGTERM, before SIGKILL."""
LINE_LIMIT = 1024 * 1024


class Child:
    """One started client. Make it with `start`."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int | None) -> None:
        self._process = process
        self._terminal = terminal
        self._draining: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, argv: Sequence[str], environment: Mapping[str, str], *, terminal: bool) -> Child:
        """Start *argv* in a process group of its own. With *terminal* it has our standard streams, else pipes.

        Raises `OSError` when there is no such program.
        """
        piped = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(environment),
            stdin=None if terminal else piped,
            stdout=None if terminal else piped,
            process_group=0,
            limit=LINE_LIMIT,
        )
        foreground = _terminal() if terminal else None
        if foreground is not None:
            _to_foreground(foreground, process.pid)
            with suppress(
                ProcessLookupError
            ):  # it may have stopped on reading before it was in the foreground
                os.killpg(process.pid, signal.SIGCONT)
        return cls(process, foreground)

    @property
    def returncode(self) -> int | None:
        """The exit code as a shell tells it (128 + signal), None while it runs."""
        code = self._process.returncode
        return code if code is None or code >= 0 else 128 - code

    @property
    def pipes(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        """Its standard input and output."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    async def said(self, words: str) -> None:
        """Wait until a line of its output has *words*; then its output is read and dropped. Raises `EOFError`."""
        _, stdout = self.pipes
        while line := await stdout.readline():
            if words.encode() in line:
                self._draining = asyncio.create_task(_drain(stdout))
                return
        raise EOFError("The client ended before it listened.")

    async def wait(self, seconds: float | None = None) -> int | None:
        """Its exit code, or None when it still runs after *seconds*."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        return self.returncode

    async def clean_up(self) -> None:
        """End what is left of the group, and take the terminal back."""
        self.tell(signal.SIGTERM)
        until = asyncio.get_running_loop().time() + END_SECONDS
        while _alive(self._process.pid) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.02)
        self.tell(signal.SIGKILL)
        if self._draining is not None:
            self._draining.cancel()
        with suppress(TimeoutError, ValueError):
            # What escaped the group may hold the pipes open: that is not waited for.
            await asyncio.wait_for(self._process.communicate(), END_SECONDS)
        if self._terminal is not None:
            _to_foreground(self._terminal, os.getpgrp())

    def tell(self, number: int) -> None:
        """Pass signal *number* on to the whole group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _terminal() -> int | None:
    """Our controlling terminal's descriptor, if we are in its foreground."""
    descriptor = sys.stdin.fileno() if sys.stdin is not None and not sys.stdin.closed else -1
    try:
        return descriptor if os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except OSError:
        return None


def _to_foreground(terminal: int, group: int) -> None:
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        with suppress(OSError):
            os.tcsetpgrp(terminal, group)
    finally:
        signal.signal(signal.SIGTTOU, before)


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass
