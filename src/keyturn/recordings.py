"""Recordings of sessions' terminals, read with suspicion and held against the ledger.

Rules kept here:

- A recording is found by its session's id alone, never through a link (O_NOFOLLOW); it is a plain file of this account with one name.
- What the ledger says about it (a digest, at the session's end) is the measure. A file that can't be held against it is said to be so.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Literal

from msgspec import Struct

PIECE = 2 * 1024 * 1024
"""Bytes of a recording given at once."""

_SESSION = re.compile(r"s_[0-9a-hjkmnp-tv-z]{26}")

State = Literal["none", "running", "same", "differs", "missing", "unsealed"]


class Check(Struct, frozen=True):
    """What a recording is worth, and that in words."""

    state: State
    words: str

    @property
    def replays(self) -> bool:
        """Whether there is something to look at."""
        return self.state in ("running", "same", "differs", "unsealed")

    @property
    def alarms(self) -> bool:
        """Whether somebody should look into it."""
        return self.state in ("differs", "missing")


_NONE = Check("none", "This session's terminal was not recorded.")
_RUNNING = Check(
    "running", "It is being recorded. When the session ends, the ledger gets the recording's digest."
)
_SAME = Check("same", "This is the recording that was written: the ledger has its digest.")
_DIFFERS = Check(
    "differs",
    "The recording was changed after the session ended: it is not the one whose digest the ledger has. Don't rely on it.",
)
_MISSING = Check(
    "missing",
    "The terminal was recorded, as the ledger says, but the file is not here or can't be read safely.",
)
_UNSEALED = Check(
    "unsealed", "The ledger has no digest of this recording, so nothing shows that it is as it was written."
)


def check_recording(folder: Path | None, session: str, digest: str, *, closed: bool) -> Check:
    """The recording of *session* in *folder* beside *digest* (`sha256:<hex>`, empty: the ledger has none). Reads the whole file."""
    found = _opened(folder, session)
    if found is None:
        return _MISSING if digest else _NONE
    with os.fdopen(found, "rb") as file:
        if not digest:
            return _UNSEALED if closed else _RUNNING
        try:
            same = hashlib.file_digest(file, "sha256").hexdigest() == digest.removeprefix("sha256:")
        except OSError:
            return _MISSING
    return _SAME if same else _DIFFERS


def read_recording(folder: Path | None, session: str, start: int, most: int = PIECE) -> bytes | None:
    """At most *most* bytes of the recording from *start*; None when there is none that may be read."""
    file = _opened(folder, session)
    if file is None:
        return None
    try:
        return os.pread(file, most, start)
    except OSError:
        return None
    finally:
        os.close(file)


def _opened(folder: Path | None, session: str) -> int | None:
    """A descriptor of it, or None."""
    if folder is None or not _SESSION.fullmatch(session):
        return None
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(f"{session}.cast", flags, dir_fd=root)
    except OSError:
        return None
    finally:
        os.close(root)
    about = os.fstat(file)
    if not stat.S_ISREG(about.st_mode) or about.st_uid != os.getuid() or about.st_nlink != 1:
        os.close(file)
        return None
    return file


def remove(folder: Path, session: str) -> bool:
    """Delete the recording of *session*; whether there was one. Raises `OSError`."""
    if not _SESSION.fullmatch(session):
        return False
    try:
        (folder / f"{session}.cast").unlink()
    except FileNotFoundError:
        return False
    return True
