"""Between the user's terminal and the tree's: bytes go through unchanged, and a copy to the recording.

Rules kept here:

- The user's terminal is raw while the tree runs, and always gets its own settings back, whatever happens.
- Its size is the tree's size, from the start and with every SIGWINCH.
- Input that the tree's terminal doesn't echo (tcgetattr ECHO off: passwords, editors, shells that edit lines) is hidden in the recording.
- It works without a terminal, too: input may be a pipe or absent; its end becomes the tree terminal's end-of-file character.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import termios
import threading
import tty
from collections.abc import Iterator
from types import FrameType
from typing import Protocol

CHUNK = 65_536
DEFAULT_SIZE = (80, 24)


class Tap(Protocol):
    """What hears along; `Recorder` is one."""

    def output(self, data: bytes) -> None:
        """The tree wrote."""

    def input(self, data: bytes, *, hidden: bool = False) -> None:
        """Somebody typed."""

    def resize(self, size: tuple[int, int]) -> None:
        """Another size."""


def size_of(fd: int) -> tuple[int, int]:
    """Columns and rows of the terminal at *fd*, `DEFAULT_SIZE` if it is none or doesn't know."""
    try:
        found = termios.tcgetwinsize(fd)
    except (OSError, termios.error):
        return DEFAULT_SIZE
    return (found[1], found[0]) if found[0] and found[1] else DEFAULT_SIZE


def open_pty(size: tuple[int, int]) -> tuple[int, int]:
    """A new pty of *size*: master and slave, neither inherited."""
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (size[1], size[0]))
    return master, slave


def echoes(master: int) -> bool:
    """Whether what is typed there is shown. Unknown counts as no: then it stays hidden."""
    try:
        return bool(termios.tcgetattr(master)[3] & termios.ECHO)
    except (OSError, termios.error):
        return False


class Terminal:
    """Pumps between *source* / *sink* (the user's, descriptors; *source* None: nobody types) and the pty *master*."""

    def __init__(self, master: int, *, source: int | None, sink: int, tap: Tap | None = None) -> None:
        self._master = master
        self._source = source
        self._sink = sink
        self._tap = tap
        self._in_line = False
        self._wake_read, self._wake_write = os.pipe()
        for fd in (self._wake_read, self._wake_write):
            os.set_blocking(fd, False)

    def pump(self) -> None:
        """Until the tree's side is closed, or `stop` was called. Restores the user's terminal on every way out."""
        with self._raw(), self._resizing(), selectors.DefaultSelector() as ready:
            ready.register(self._master, selectors.EVENT_READ)
            ready.register(self._wake_read, selectors.EVENT_READ)
            if self._source is not None:
                self._listen(ready, self._source)
            while True:
                events = {key.fd for key, _ in ready.select()}
                if self._master in events and not self._from_tree():
                    return
                if self._wake_read in events and self._woken():
                    self._drain(ready)
                    return
                if self._source is not None and self._source in events and not self._from_user(self._source):
                    ready.unregister(self._source)

    def stop(self) -> None:
        """From any thread or handler: pump what is there already, then return."""
        self._wake(b"s")

    def close(self) -> None:
        """Give up the inner descriptors (not those that were given)."""
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _listen(self, ready: selectors.BaseSelector, source: int) -> None:
        try:
            ready.register(source, selectors.EVENT_READ)
        except PermissionError:  # epoll refuses plain files; such input is taken whole
            while self._from_user(source):
                pass

    def _from_tree(self) -> bool:
        try:
            data = os.read(self._master, CHUNK)
        except OSError as error:
            if error.errno == errno.EIO:  # Linux: the last slave descriptor was closed
                return False
            raise
        if not data:
            return False
        if self._tap is not None:
            self._tap.output(data)
        _write_all(self._sink, data)
        return True

    def _from_user(self, source: int) -> bool:
        try:
            data = os.read(source, CHUNK)
        except OSError:
            data = b""
        if not data:
            # After half a line the first VEOF only hands that half over; the second one is the end (termios(3), canonical mode).
            _write_all(self._master, _end_of_file(self._master) * (2 if self._in_line else 1))
            return False
        self._in_line = not data.endswith((b"\r", b"\n"))
        if self._tap is not None:
            self._tap.input(data, hidden=not echoes(self._master))
        _write_all(self._master, data)
        return True

    def _drain(self, ready: selectors.BaseSelector) -> None:
        while any(key.fd == self._master for key, _ in ready.select(0)):
            if not self._from_tree():
                return

    def _woken(self) -> bool:
        words = os.read(self._wake_read, 4096)
        if b"w" in words:
            self._take_size()
        return b"s" in words

    def _wake(self, word: bytes) -> None:
        with contextlib.suppress(OSError):  # full: it is awake already; closed: nobody pumps
            os.write(self._wake_write, word)

    def _take_size(self) -> None:
        if self._source is None or not os.isatty(self._source):
            return
        columns, rows = size_of(self._source)
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetwinsize(self._master, (rows, columns))  # the kernel tells the tree (SIGWINCH)
        if self._tap is not None:
            self._tap.resize((columns, rows))

    @contextlib.contextmanager
    def _raw(self) -> Iterator[None]:
        if self._source is None or not os.isatty(self._source):
            yield
            return
        before = termios.tcgetattr(self._source)
        try:
            tty.setraw(self._source)
            yield
        finally:
            with contextlib.suppress(OSError, termios.error):  # the terminal may be gone (hang-up)
                termios.tcsetattr(self._source, termios.TCSANOW, before)

    @contextlib.contextmanager
    def _resizing(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
            yield
            return

        def changed(number: int, frame: FrameType | None) -> None:
            self._wake(b"w")

        before = signal.signal(signal.SIGWINCH, changed)
        try:
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)


def _end_of_file(master: int) -> bytes:
    """What the tree's terminal takes for the end of input (VEOF, termios(3)); nothing when it reads raw."""
    try:
        settings = termios.tcgetattr(master)
    except (OSError, termios.error):
        return b""
    return bytes(settings[6][termios.VEOF]) if settings[3] & termios.ICANON else b""


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EPIPE):
                raise
            return  # the other side went away; the tree's end is what ends the pump
