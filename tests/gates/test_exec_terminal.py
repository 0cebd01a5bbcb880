"""The pump between two terminals, with real ptys: unchanged bytes, hidden passwords, sizes, and a terminal that gets itself back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.gates.exec.recording import Recorder
from keyturn.gates.exec.terminal import DEFAULT_SIZE, Terminal, open_pty, size_of

READER = "import getpass,sys; print('name?', flush=True); n=input(); p=getpass.getpass('secret? '); print('done', n, len(p))"


class Tap:
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.out = b""
        self.typed: list[tuple[bytes, bool]] = []
        self.sizes: list[tuple[int, int]] = []

    def output(self, data: bytes) -> None:
        self.out += data

    def input(self, data: bytes, *, hidden: bool = False) -> None:
        self.typed.append((data, hidden))

    def resize(self, size: tuple[int, int]) -> None:
        self.sizes.append(size)


def start(slave: int, *argv: str) -> subprocess.Popen[bytes]:
    """*argv* in its own session with *slave* as its controlling terminal."""
    child = subprocess.Popen(["setsid", "-c", *argv], stdin=slave, stdout=slave, stderr=slave, close_fds=True)
    os.close(slave)
    return child


def until(fd: int, words: bytes) -> bytes:
    seen = b""
    while words not in seen:
        data = os.read(fd, 4096)
        if not data:
            break
        seen += data
    return seen


@contextlib.contextmanager
def users_terminal() -> Iterator[tuple[int, int]]:
    """Another pty that plays the user's terminal: (its keyboard and screen, what the program sees)."""
    keyboard, seat = os.openpty()
    try:
        yield keyboard, seat
    finally:
        os.close(keyboard)
        os.close(seat)


@pytest.fixture
def pumping() -> Iterator[list[threading.Thread]]:
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()


def test_a_password_passes_but_is_hidden_from_the_tap(pumping: list[threading.Thread]) -> None:
    tap = Tap()
    with users_terminal() as (keyboard, seat):
        before = termios.tcgetattr(seat)
        master, slave = open_pty((90, 30))
        child = start(slave, sys.executable, "-c", READER)
        terminal = Terminal(master, source=seat, sink=seat, tap=tap)
        thread = threading.Thread(target=terminal.pump)
        pumping.append(thread)
        thread.start()
        until(keyboard, b"name?\r\n")
        os.write(keyboard, b"bob\r")
        until(keyboard, b"secret? ")
        os.write(keyboard, b"hunter2\r")
        until(keyboard, b"done bob 7")
        assert child.wait() == 0
        thread.join(120)
        assert termios.tcgetattr(seat) == before
        os.close(master)
        terminal.close()
    assert (b"bob\r", False) in tap.typed
    assert (b"hunter2\r", True) in tap.typed
    assert b"done bob 7" in tap.out
    assert b"hunter2" not in tap.out


def test_input_may_be_a_pipe_whose_end_is_the_end_of_the_trees_input(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"one\ntwo\nhalf")
    os.close(write)
    master, slave = open_pty(DEFAULT_SIZE)
    child = start(slave, "sh", "-c", "cat; echo over")
    out = tmp_path / "out"
    with out.open("wb") as sink:
        terminal = Terminal(master, source=read, sink=sink.fileno())
        terminal.pump()
    assert child.wait() == 0
    assert out.read_bytes().endswith(b"over\r\n")
    assert out.read_bytes().count(b"two") == 2
    os.close(master)
    os.close(read)
    terminal.close()


def test_nobody_needs_to_type_and_a_megabyte_arrives_whole(tmp_path: Path) -> None:
    master, slave = open_pty(DEFAULT_SIZE)
    child = start(slave, "sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 7")
    cast = Recorder(tmp_path / "x.cast", DEFAULT_SIZE, started=0)
    with (tmp_path / "out").open("wb") as sink:
        terminal = Terminal(master, source=None, sink=sink.fileno(), tap=cast)
        terminal.pump()
    assert child.wait() == 7
    assert (tmp_path / "out").stat().st_size == 1_000_000
    os.close(master)
    terminal.close()


def test_the_size_follows_the_users_terminal() -> None:
    """In a process of its own, where the signal's handler may be set."""
    program = (
        "import os,sys\n"
        "from keyturn.gates.exec.terminal import *\n"
        "import subprocess\n"
        "m,s=open_pty(size_of(0))\n"
        "c=subprocess.Popen(['setsid','-c',sys.executable,'-c','''import signal,os,sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})  # it may come before the wait begins\n"
        "print('first', *os.get_terminal_size(), flush=True)\n"
        "signal.sigwait({signal.SIGWINCH})\n"
        "print('then', *os.get_terminal_size(), flush=True)'''],stdin=s,stdout=s,stderr=s)\n"
        "os.close(s)\n"
        "t=Terminal(m,source=0,sink=1); t.pump(); sys.exit(c.wait())\n"
    )
    with users_terminal() as (keyboard, seat):
        termios.tcsetwinsize(seat, (40, 100))
        assert size_of(seat) == (100, 40)
        child = subprocess.Popen(
            ["setsid", "-c", sys.executable, "-c", program], stdin=seat, stdout=seat, stderr=subprocess.STDOUT
        )
        assert b"first 100 40" in until(keyboard, b"first 100 40")
        termios.tcsetwinsize(seat, (50, 120))  # the kernel sends SIGWINCH to the terminal's foreground group
        assert b"then 120 50" in until(keyboard, b"then 120 50")
        assert child.wait() == 0


def test_stop_ends_the_pump_while_something_still_holds_the_terminal(pumping: list[threading.Thread]) -> None:
    master, slave = open_pty(DEFAULT_SIZE)
    read, write = os.pipe()
    terminal = Terminal(master, source=None, sink=write)
    thread = threading.Thread(target=terminal.pump)
    pumping.append(thread)
    thread.start()
    os.write(slave, b"hello\n")
    assert until(read, b"\r\n") == b"hello\r\n"
    terminal.stop()
    thread.join(120)
    assert not thread.is_alive()
    for fd in (slave, master, read, write):
        os.close(fd)
    terminal.close()


def test_the_users_terminal_is_restored_when_the_pump_fails() -> None:
    with users_terminal() as (_keyboard, seat):
        before = termios.tcgetattr(seat)
        master, slave = open_pty(DEFAULT_SIZE)
        terminal = Terminal(master, source=seat, sink=seat)
        os.close(slave)
        os.close(master)
        with pytest.raises(OSError):
            terminal.pump()
        assert termios.tcgetattr(seat) == before
        terminal.close()


def test_no_terminal_has_the_default_size() -> None:
    read, write = os.pipe()
    assert size_of(read) == DEFAULT_SIZE
    os.close(read)
    os.close(write)
    assert signal.getsignal(signal.SIGWINCH) in (signal.SIG_DFL, None)
