"""Script text -> the parser's typed tree, by the `shfmt` program (mvdan/sh), run with nothing but its input.

Answers within `PARSE_SECONDS` of the parser's own time and `MAX_TREE_BYTES`, or not at all.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from keyturn.readers.shell.spare import SPARES
from keyturn.readers.shell.syntax import NotUnderstood

PARSE_SECONDS = 0.9
"""Processor time. A script that takes longer to parse is an attack on the parser; usual scripts take 2 ms."""

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
        command = (program, "--to-json", _DIALECTS[dialect])
        out, err, status = SPARES.run(command, raw, PARSE_SECONDS, MAX_TREE_BYTES)
    except TimeoutError as error:
        raise NotUnderstood(TRANSIENT[1], whole) from error
    except OSError as error:
        raise NotUnderstood(f"{TRANSIENT[0]} ({error.strerror})", whole) from error
    if status != 0:
        raise NotUnderstood(f"Not valid shell: {_message(err)}", whole)
    try:
        tree = msgspec.json.decode(out)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotUnderstood("The script is nested too deeply to be read", whole) from error
    if not isinstance(tree, dict):
        raise NotUnderstood("The shell parser gave no tree", whole)
    return tree


def _message(err: bytes) -> str:
    """The parser's first line of complaint without its file name, at most 120 characters."""
    line = err.decode("utf-8", "replace").strip().split("\n")[0]
    return line.removeprefix("<standard input>:")[:120] or "it was rejected"
