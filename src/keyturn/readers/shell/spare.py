"""Parser processes that are started one ahead, so that a command doesn't wait for a program to start.

A spare process has started and waits for its input; it is used once. While it parses, the next one starts. If the
spare is gone (killed, or lost in a fork), a new process is started instead: speed is all that a spare gives.
"""

from __future__ import annotations

import atexit
import os
import selectors
import subprocess
import threading
import time

Child = subprocess.Popen[bytes]

BUSY = 5.0
"""Seconds that a process gets on a machine that is too busy to give it its own time sooner."""

LOOK = 0.01
"""Seconds between two looks at what a process has used."""


def _start(command: tuple[str, ...]) -> Child:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={},
        cwd="/",
        bufsize=0,
    )


class _Patience:
    """How long to wait for process *pid*: until it used *seconds* itself; what others use meanwhile is not its fault."""

    def __init__(self, pid: int, seconds: float) -> None:
        self._clock = ~pid << 3 | 2  # CPUCLOCK_SCHED of a process, as clock_getcpuclockid(3) puts it together
        self._seconds = seconds
        self._looks = time.monotonic() + seconds
        self._ends = time.monotonic() + max(seconds, BUSY)

    def left(self) -> float:
        """Seconds until it is to be asked again; 0 when it is over."""
        now = time.monotonic()
        if now >= self._looks:
            missing = self._seconds - self._used()
            self._looks = min(now + max(missing, LOOK), self._ends) if missing > 0 else now
        return max(0.0, self._looks - now)

    def _used(self) -> float:
        try:
            return time.clock_gettime(self._clock)
        except OSError:  # it has ended, or this system tells no other process's time
            return self._seconds


class Spares:
    """At most one waiting process for each command. Thread-safe."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, ...], Child] = {}
        self._lock = threading.Lock()

    def run(
        self, command: tuple[str, ...], raw: bytes, seconds: float, most: int
    ) -> tuple[bytes, bytes, int]:
        """Output, errors and status of *command* fed with *raw* (at most 64 KiB, what a pipe takes at once; pipe(7)).

        Raises `TimeoutError` after *seconds* of its own processor time, after `BUSY` seconds of anybody's or beyond *most*
        bytes of output, and `OSError` if it can't start.
        """
        child = self._fed(command, raw)
        try:
            self._prepare(command)
            out, err = _collect(child, _Patience(child.pid, seconds), most)
        except BaseException:
            child.kill()
            raise
        finally:
            _close(child)
        return out, err, child.returncode

    def _fed(self, command: tuple[str, ...], raw: bytes) -> Child:
        with self._lock:
            spare = self._waiting.pop(command, None)
        if spare is not None:
            try:
                return _feed(spare, raw)
            except OSError:
                spare.kill()
                _close(spare)
        return _feed(_start(command), raw)

    def _prepare(self, command: tuple[str, ...]) -> None:
        """Start the next spare, unless somebody did."""
        with self._lock:
            if command not in self._waiting:
                self._waiting[command] = _start(command)

    def forget(self) -> None:
        """After a fork: the processes belong to the parent."""
        self._waiting = {}
        self._lock = threading.Lock()

    def end(self) -> None:
        """End all that wait."""
        with self._lock:
            waiting, self._waiting = list(self._waiting.values()), {}
        for child in waiting:
            child.kill()
            _close(child)


def _feed(child: Child, raw: bytes) -> Child:
    assert child.stdin is not None
    if child.poll() is not None:
        raise BrokenPipeError
    child.stdin.write(raw)
    child.stdin.close()
    return child


def _close(child: Child) -> None:
    """Close our ends and wait for the process, which has ended or was killed."""
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                continue
    child.wait()


def _collect(child: Child, patience: _Patience, most: int) -> tuple[bytes, bytes]:
    assert child.stdout is not None
    assert child.stderr is not None
    gathered: dict[int, list[bytes]] = {child.stdout.fileno(): [], child.stderr.fileno(): []}
    size = 0
    with selectors.DefaultSelector() as waiting:
        for fd in gathered:
            waiting.register(fd, selectors.EVENT_READ)
        while waiting.get_map():
            left = patience.left()
            if left == 0:
                raise TimeoutError
            ready = waiting.select(left)
            for key, _ in ready:
                chunk = os.read(key.fd, 262_144)
                if not chunk:
                    waiting.unregister(key.fd)
                size += len(chunk)
                if size > most:
                    raise TimeoutError
                gathered[key.fd].append(chunk)
    out, err = (b"".join(chunks) for chunks in gathered.values())
    return out, err


SPARES = Spares()
atexit.register(SPARES.end)
os.register_at_fork(after_in_child=SPARES.forget)
