"""A terminal of its own in tmux: keys in, the screen out."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

TMUX = shutil.which("tmux")


class Pane:
    """One program on a screen of *size* (columns, lines)."""

    def __init__(
        self, folder: Path, command: list[str], env: Mapping[str, str], size: tuple[int, int]
    ) -> None:
        self._socket = str(folder / "tmux")
        told = " ".join(f"{key}={shlex.quote(value)}" for key, value in env.items())
        ended = folder / "code"
        script = f"env -i {told} {shlex.join(command)}; echo $? > {shlex.quote(str(ended))}; sleep 600"
        self._ended = ended
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), script)

    def type(self, *keys: str) -> None:
        """Press keys, by tmux's names (`Enter`, `Escape`, `a`)."""
        self._tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        """Type *text* as it is."""
        self._tmux("send-keys", "-l", text)

    @property
    def screen(self) -> str:
        """What is to be seen."""
        return self._tmux("capture-pane", "-p")

    def until(self, *words: str, seconds: float = 120) -> str:
        """The screen once all *words* are on it. (tmux tells nobody when a screen changes, so it is looked at again and again.)"""
        end = time.monotonic() + seconds
        while not all(word in (seen := self.screen) for word in words):
            assert time.monotonic() < end, f"{words} never came; the screen:\n{seen}"
            time.sleep(0.05)
        return seen

    def code(self, seconds: float = 120) -> int:
        """The program's exit code, once it has ended."""
        end = time.monotonic() + seconds
        while not (self._ended.exists() and self._ended.read_text().strip()):
            assert time.monotonic() < end, f"it never ended; the screen:\n{self.screen}"
            time.sleep(0.05)
        return int(self._ended.read_text())

    def close(self) -> None:
        """End tmux and all in it."""
        self._tmux("kill-server")

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [TMUX or "tmux", "-S", self._socket, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout


@contextlib.contextmanager
def pane(
    folder: Path, *arguments: str, env: Mapping[str, str], size: tuple[int, int] = (120, 40)
) -> Iterator[Pane]:
    """`keyturn` with *arguments* on a screen."""
    told = {
        **env,
        "TERM": "xterm-256color",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    opened = Pane(folder, [sys.executable, "-m", "keyturn", *arguments], told, size)
    try:
        yield opened
    finally:
        opened.close()
