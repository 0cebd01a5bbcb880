"""What a script may look like before any parser sees it.

Parsers disagree about control characters, carriage returns and escaped line ends, and people can't see format
characters; so a script that has them is not read at all (promise 2). The limits bound the time every later
step may take.
"""

from __future__ import annotations

import re

from keyturn.actions import Unread
from keyturn.readers.odd import odd_character

MAX_SCRIPT_BYTES = 16_384
"""Longest script that is read. More is a program, not a command: put it in a file and run that."""

MAX_BRANCHING = 400
"""Most brackets, operators and compound keywords in one script; bounds the size of the parser's tree."""

MAX_NESTING = 40
"""Deepest nesting of commands and substitutions that is understood."""

_ODD = re.compile(r"[^\t\n\x20-\x7e]")
_BRANCHING = re.compile(r"[({`|&]|\[\[|\b(?:if|while|until|for|case|elif|time|select)\b")


def screen(script: str) -> Unread | None:
    """Why *script* is not read at all, or None if a parser may see it."""
    if len(script) > MAX_SCRIPT_BYTES or (size := _size(script)) > MAX_SCRIPT_BYTES:
        return Unread(0, len(script), f"The script is longer than {MAX_SCRIPT_BYTES:,} bytes")
    for match in _ODD.finditer(script):
        problem = odd_character(match.group())
        if problem:
            start = len(script[: match.start()].encode("utf-8", "surrogatepass"))
            end = start + len(match.group().encode("utf-8", "surrogatepass"))
            return Unread(start, end, problem)
    if sum(1 for _ in _BRANCHING.finditer(script)) > MAX_BRANCHING:
        return Unread(0, size, f"The script has more than {MAX_BRANCHING} brackets, operators and keywords")
    return _line_ends(script, size)


def _size(script: str) -> int:
    return len(script.encode("utf-8", "surrogatepass"))


def _line_ends(script: str, size: int) -> Unread | None:
    r"""An escaped line end is only read after a blank, and never near comments, here-documents or `$`.

    Parsers and bash join lines at different moments there: `#\<newline>rm x`, `$\<newline>(rm x)`.
    """
    if "\\\n" not in script:
        return None
    if "#" in script or "<<" in script:
        return Unread(
            0, size, "An escaped line end beside a comment or here-document is read differently by shells"
        )
    if re.search(r"[^ \t]\\\n", script) or script.startswith("\\\n"):
        at = script.index("\\\n")
        start = _size(script[:at])
        return Unread(start, start + 2, "An escaped line end that joins two halves of a word")
    return None
