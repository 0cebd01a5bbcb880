"""The terminal of a supervised run: the tree gets one of its own, the user's shows it, and a recording hears along."""

from __future__ import annotations

import os
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from keyturn.gates.exec.recording import Recorder, Recording
from keyturn.gates.exec.terminal import Terminal, open_pty, size_of


def on_a_terminal() -> bool:
    """Whether somebody sits at our standard input and output."""
    return os.isatty(0) and os.isatty(1)


class Screen:
    """Between our terminal and the tree's; decisions are markers in the recording at *path*."""

    def __init__(self, path: Path, command: str) -> None:
        size = size_of(0)
        self._master, self.slave = open_pty(size)
        self._recorder = Recorder(path, size, started=time.time(), command=command)
        self._terminal = Terminal(self._master, source=0, sink=1, tap=self._recorder)
        self._thread = threading.Thread(target=self._terminal.pump, name="terminal", daemon=True)

    def begin(self) -> None:
        """The tree has started and holds its side of the terminal."""
        os.close(self.slave)
        self._thread.start()

    def told(self, words: str, show: Callable[[str], None]) -> None:
        """Show *words* between the tree's output, and mark the place. A raw terminal wants the return, too."""
        self._recorder.marker(words)
        show(f"\r{words}\r")

    def resized(self) -> None:
        """Our terminal has another size."""
        columns, rows = size_of(0)
        with suppress(OSError, termios.error):
            termios.tcsetwinsize(self._master, (rows, columns))
        self._recorder.resize((columns, rows))

    def end(self, code: int) -> Recording:
        """The tree has ended with *code*: show what is left, give our terminal back, end the recording."""
        self._terminal.stop()
        if self._thread.ident is not None:
            self._thread.join()
        else:
            os.close(self.slave)
        self._terminal.close()
        os.close(self._master)
        return self._recorder.close(code)
