"""Raw content -> Reading. Pure: no network, no file of the user's is opened, the same input gives the same reading.

`read(content, around)` is the one entry point. It never raises for content that it does not understand: it answers
with `complete=False` and says which bytes and why (promise 2).
"""

from __future__ import annotations

from msgspec.structs import replace

from keyturn import canonical
from keyturn.actions import Content, FileEdit, HttpRequest, Reading, Shell, ToolCall, Unread, content_kind
from keyturn.readers.cache import ReadingCache
from keyturn.readers.files import read_file
from keyturn.readers.http import read_http
from keyturn.readers.shell import read_shell
from keyturn.readers.tools import read_tool
from keyturn.resources import Surroundings

READER_FAILED = "The reader failed"
"""Beginning of the reason when a reader has a fault of its own: that, too, is `complete=False`."""


def read_afresh(content: Content, around: Surroundings) -> Reading:
    """What *content* would do in *around*, worked out now. Fails closed: a fault of a reader's own is not raised."""
    try:
        return _read(content, around)
    except Exception as fault:
        why = f"{READER_FAILED} ({type(fault).__name__})"
        unread = (Unread(0, 0, why),)
        return Reading(content_kind(content), False, (), unread, f"Not understood: {why}.")


def _read(content: Content, around: Surroundings) -> Reading:
    if isinstance(content, Shell):
        return read_shell(content, around)
    if isinstance(content, FileEdit):
        return read_file(content, around)
    if isinstance(content, ToolCall):
        return read_tool(content)
    assert isinstance(content, HttpRequest)
    return read_http(content, around)


_SEEN = ReadingCache(read_afresh)


def read(content: Content, around: Surroundings) -> Reading:
    """What *content* would do in *around*; text seen before is answered from memory."""
    return _SEEN.read(content, around)


def known(content: Content, around: Surroundings) -> Reading | None:
    """What `read` would answer, if it was asked before; None when it would have to be worked out."""
    return _SEEN.known(content, around)


def code_files(reading: Reading) -> tuple[str, ...]:
    """Absolute paths of the files that would be run: a gate looks into them and gives them as `Surroundings.contents`."""
    return tuple(dict.fromkeys(path for step in reading.steps for path in step.code))


def vouched(around: Surroundings, executes: dict[str, str]) -> Surroundings:
    """*around* without contents that *executes*, and so the action's digest, doesn't cover (promise 4)."""
    for file in around.contents or ():
        told = "" if file.text is None else canonical.digest_bytes(file.text.encode("utf-8", "surrogatepass"))
        if executes.get(file.path, "") != file.digest or told not in ("", file.digest):
            return replace(around, contents=None)
    return around


__all__ = [
    "READER_FAILED",
    "ReadingCache",
    "code_files",
    "known",
    "read",
    "read_afresh",
    "read_file",
    "read_http",
    "read_shell",
    "read_tool",
    "vouched",
]
