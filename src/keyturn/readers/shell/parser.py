"""Script text -> the parser's typed tree, by the `shfmt` program (mvdan/sh), run with nothing but its input.

Answers within `PARSE_SECONDS` and `MAX_TREE_BYTES`, or not at all.
"""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from keyturn.readers.shell.syntax import NotUnderstood

PARSE_SECONDS = 0.9
"""A script that takes longer to parse is an attack on the parser; usual scripts take 2 ms."""

MAX_TREE_BYTES = 16_777_216
"""Most bytes of tree that are taken from the parser."""

TRANSIENT = ("The shell parser could not be started", "The script takes too long to parse")
"""Beginnings of reasons that may be gone a moment later: such a reading is not kept."""

_DIALECTS = {"bash": "-ln=bash", "posix": "-ln=posix"}


@lru_cache(maxsize=1)
def parser_path() -> str | None:
    """Where the `shfmt` program is: beside this Python (as its wheel installs it), else on PATH, else None."""
    beside = Path(sys.executable).parent / "shfmt"
    if os.access(beside, os.X_OK):
        return str(beside)
    return shutil.which("shfmt")


def parse(script: str, dialect: str = "bash") -> dict[str, Any]:
    """The tree of *script*. Raises `NotUnderstood` for anything that the parser does not accept or can't do."""
    raw = script.encode()
    whole = (0, len(raw))
    program = parser_path()
    if program is None:
        raise NotUnderstood("The shell parser (shfmt) is not installed, so no command can be read", whole)
    try:
        out, err, status = _run([program, "--to-json", _DIALECTS[dialect]], raw)
    except OSError as error:
        raise NotUnderstood(f"{TRANSIENT[0]} ({error.strerror})", whole) from error
    except TimeoutError as error:
        raise NotUnderstood(TRANSIENT[1], whole) from error
    if status != 0:
        raise NotUnderstood(f"Not valid shell: {_message(err)}", whole)
    try:
        tree = msgspec.json.decode(out)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotUnderstood("The script is nested too deeply to be read", whole) from error
    if not isinstance(tree, dict):
        raise NotUnderstood("The shell parser gave no tree", whole)
    return tree


def _run(command: list[str], raw: bytes) -> tuple[bytes, bytes, int]:
    """Standard output and error (bounded) and exit status of *command* fed with *raw*."""
    ends = time.monotonic() + PARSE_SECONDS
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, cwd="/"
    ) as child:
        assert child.stdin is not None
        try:
            # A pipe takes 64 KiB at once (pipe(7)), more than MAX_SCRIPT_BYTES, so this never blocks.
            child.stdin.write(raw)
            child.stdin.close()
            out, err = _collect(child, ends)
        except BaseException:
            child.kill()
            raise
    return out, err, child.returncode


def _collect(child: subprocess.Popen[bytes], ends: float) -> tuple[bytes, bytes]:
    assert child.stdout is not None
    assert child.stderr is not None
    gathered: dict[int, list[bytes]] = {child.stdout.fileno(): [], child.stderr.fileno(): []}
    size = 0
    with selectors.DefaultSelector() as waiting:
        for fd in gathered:
            waiting.register(fd, selectors.EVENT_READ)
        while waiting.get_map():
            left = ends - time.monotonic()
            ready = waiting.select(left) if left > 0 else []
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                chunk = os.read(key.fd, 262_144)
                if not chunk:
                    waiting.unregister(key.fd)
                size += len(chunk)
                if size > MAX_TREE_BYTES:
                    raise TimeoutError
                gathered[key.fd].append(chunk)
    out, err = (b"".join(chunks) for chunks in gathered.values())
    return out, err


def _message(err: bytes) -> str:
    """The parser's first line of complaint without its file name, at most 120 characters."""
    line = err.decode("utf-8", "replace").strip().split("\n")[0]
    return line.removeprefix("<standard input>:")[:120] or "it was rejected"
