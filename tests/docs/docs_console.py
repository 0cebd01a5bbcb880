"""Runs the console blocks of a page as a reader would, in one scratch HOME.

A fenced `console` block counts when a comment stands before it:

    <!-- tour -->                   run its commands one after another and compare what they print
    <!-- tour: terminal NAME -->    its one command runs in a terminal of its own; wait for the output that is shown
    <!-- tour: ends NAME -->        no command: what the terminal's command printed until it ended
    <!-- tour: until -->            its one command is run again until it prints what is shown
    <!-- tour: file ~/NAME -->      the block (in any language) is written to that file

Lines with `$ ` are commands (`> ` continues one), the others what they print: `…` stands for anything, a line of only `…` for
any lines. `r_…` and `sha256:…` are remembered from what was printed, so that a later command can name them.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

_BLOCK = re.compile(
    r"<!-- tour(?:: (?P<how>\w+)(?: (?P<name>[\w.~/-]+))?)? -->\n```\w+\n(?P<text>.*?)```", re.DOTALL
)
_REMEMBERED = {"r_…": r"r_[A-Za-z0-9_-]+", "sha256:…": r"sha256:[0-9a-f]+"}
_TOKEN = re.compile(r"r_…|sha256:…|…")
SECONDS = 120.0
"""How long one command may take, or be repeated, on a busy machine."""


@dataclass(frozen=True)
class Said:
    """One command and the lines it is shown to print."""

    command: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """One marked block. `how` is empty, `terminal`, `ends`, `until` or `file`; only then `text` matters."""

    how: str
    name: str
    said: tuple[Said, ...]
    text: str = ""


class Mismatch(AssertionError):
    """A command printed something else than the page shows."""


def blocks(page: str) -> list[Block]:
    """The marked blocks of a page's text, in order."""
    return [_block(found) for found in _BLOCK.finditer(page)]


def _block(found: re.Match[str]) -> Block:
    how, text = found["how"] or "", found["text"]
    return Block(how, found["name"] or "", () if how == "file" else tuple(_said(text)), text)


def _said(text: str) -> list[Said]:
    found: list[tuple[str, list[str]]] = []
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1] = (found[-1][0] + "\n" + line[2:], [])
        elif found:
            found[-1][1].append(line)
        else:
            found.append(("", [line]))
    return [Said(command, tuple(lines)) for command, lines in found]


def pattern(lines: tuple[str, ...]) -> re.Pattern[str]:
    """What printed text has to look like. The n-th remembered value is group n."""
    parts = []
    for line in lines:
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append(_line(line) + r"[ \t]*\n")
    return re.compile("".join(parts))


def _line(line: str) -> str:
    out, at = "", 0
    for token in _TOKEN.finditer(line):
        out += re.escape(line[at : token.start()])
        out += f"({_REMEMBERED[token[0]]})" if token[0] in _REMEMBERED else r"[^\n]*?"
        at = token.end()
    return out + re.escape(line[at:])


@dataclass
class Reader:
    """Somebody who works through a page in *home*."""

    home: Path
    environment: dict[str, str]
    remembered: dict[str, str] = field(default_factory=dict)
    terminals: dict[str, Terminal] = field(default_factory=dict)

    def work_through(self, page: str) -> int:
        """Run every marked block; gives how many commands were run. Raises `Mismatch`."""
        ran = 0
        for block in blocks(page):
            self._do(block)
            ran += sum(bool(one.command) for one in block.said)
        return ran

    def _do(self, block: Block) -> None:
        ways = {"terminal": self._open, "ends": self._ends, "until": self._until, "file": self._write}
        ways.get(block.how, self._run)(block)

    def _write(self, block: Block) -> None:
        place = self.output(f"realpath -m {block.name}").strip()
        Path(place).write_text(block.text, encoding="utf-8")

    def close(self) -> None:
        """End what still runs in terminals."""
        for terminal in self.terminals.values():
            terminal.end()

    def _run(self, block: Block) -> None:
        for one in block.said:
            self.compare(one, self.output(one.command))

    def _until(self, block: Block) -> None:
        (one,) = block.said
        limit = time.monotonic() + SECONDS
        while True:
            try:
                self.compare(one, self.output(one.command))
            except Mismatch:
                if time.monotonic() > limit:
                    raise
            else:
                return

    def _open(self, block: Block) -> None:
        (one,) = block.said
        terminal = Terminal(self._shell(one.command, leaves=False), self.environment)
        self.terminals[block.name] = terminal
        if one.lines:
            self.compare(one, terminal.until(pattern(one.lines)))

    def _ends(self, block: Block) -> None:
        (one,) = block.said
        self.compare(one, self.terminals[block.name].rest())

    def output(self, command: str) -> str:
        """What *command* prints on both streams, as one text."""
        done = subprocess.run(
            ["bash", "-c", self._shell(command)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        return done.stdout

    def _shell(self, command: str, *, leaves: bool = True) -> str:
        """*command* where the last one left off. Another terminal *leaves* nothing: its variables are its own."""
        for token, value in self.remembered.items():
            command = command.replace(token, value)
        here, state = self.home / ".tour-folder", self.home / ".tour-variables"
        before = (
            f'[ -e "{state}" ] && source "{state}"; cd "$(cat "{here}" 2>/dev/null || echo "{self.home}")"'
        )
        after = f'pwd > "{here}"; export -p > "{state}"' if leaves else ""
        return f"{before}\n{command}\n{after}"

    def compare(self, one: Said, printed: str) -> None:
        """Raise `Mismatch` unless *printed* is what is shown; remember what it named."""
        if printed and not printed.endswith("\n"):
            printed += "\n"
        match = pattern(one.lines).fullmatch(printed)
        if match is None:
            shown = "\n".join(one.lines)
            raise Mismatch(f"$ {one.command}\n--- the page shows\n{shown}\n--- it printed\n{printed}")
        tokens = [t[0] for line in one.lines for t in _TOKEN.finditer(line) if t[0] in _REMEMBERED]
        self.remembered.update(zip(tokens, match.groups(), strict=True))


class Terminal:
    """A command that goes on while others run."""

    def __init__(self, script: str, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "-c", script],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._printed: list[str] = []
        self._over = False
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._more:
                self._printed.append(line)
                self._more.notify_all()
        with self._more:
            self._over = True
            self._more.notify_all()

    def until(self, shown: re.Pattern[str]) -> str:
        """What it printed when that looked like *shown*, or all it printed when the time is over or it ended."""
        looks: Callable[[], str] = lambda: next(filter(shown.fullmatch, accumulate(self._printed)), "")  # noqa: E731
        with self._more:
            self._more.wait_for(lambda: looks() or self._over, timeout=SECONDS)
            return looks() or "".join(self._printed)

    def rest(self) -> str:
        """All it printed until it ended."""
        self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        return "".join(self._printed)

    def end(self) -> None:
        """Stop it and what it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, 15)
            self._process.wait(SECONDS)
