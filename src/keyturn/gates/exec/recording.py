"""A session's terminal, written down as it happens: asciicast v3 (docs.asciinema.org/manual/asciicast/v3), redacted.

Rules kept here:

- One JSON value a line: a header, then events `[seconds since the event before, code, data]` with codes `o` output, `i` input,
  `m` marker, `r` resize, `x` exit status. Bytes become text by an incremental UTF-8 decoder, so a character cut in two is whole.
- Secrets are masked before a byte is written (see `redaction`). Input that the terminal doesn't echo is one fixed mask a line.
- The file belongs to its owner alone (0600), is new (never another's, never behind a link), and holds whole lines only.
- Recording never stops the run: when it can't go on (disk full, too large), it stops with words in `trouble`, once.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.exec.redaction import HIDDEN, Redactor, masked

MOST_BYTES = 512 * 1024 * 1024
"""Where a recording stops, with words: nobody replays more, and a loop that prints must not fill the disk."""

_SESSION = re.compile(r"s_[0-9a-hjkmnp-tv-z]{26}")


class NotASession(KeyturnError):
    """A name that is no session's id, so there is no recording under it."""

    code = "recording.not_a_session"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was opened."
    next_step = "`keyturn session list` shows the ids."


class Recording(Struct, frozen=True):
    """A finished recording: digest (`sha256:<hex>`) and size of the file. `trouble`: why it stopped early, or empty."""

    path: str
    digest: str
    size: int
    trouble: str = ""


def recording_path(root: Path, session: str) -> Path:
    """Where a home at *root* keeps the recording of *session*. Raises `NotASession`."""
    if not _SESSION.fullmatch(session):
        raise NotASession("That is no session's id.")
    return root / "recordings" / f"{session}.cast"


class Recorder:
    """Writes one recording. Its methods may be called from any thread, and raise nothing.

    *size* is (columns, rows), *started* seconds since 1970, *clock* seconds that only go forward.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        *,
        started: float,
        command: str = "",
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_BYTES,
    ) -> None:
        self.path = path
        self.trouble = ""
        self._clock = clock
        self._most = most
        self._last = clock()
        self._size = 0
        self._digest = hashlib.sha256()
        self._lock = threading.Lock()
        self._decoders = {code: codecs.getincrementaldecoder("utf-8")("replace") for code in "oi"}
        self._redactors = {code: Redactor() for code in "oi"}
        self._masking = False
        self._fd = -1
        self._done: Recording | None = None
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(path, flags, 0o600)
        except OSError as error:
            self._stop(f"This session is not recorded: {path} can't be made ({error.strerror}).")
        header: dict[str, object] = {
            "version": 3,
            "term": {"cols": size[0], "rows": size[1]},
            "timestamp": int(started),
        }
        if command:
            header["command"] = masked(command)
        self._write(header)

    def output(self, data: bytes) -> None:
        """The tree wrote *data* to the terminal."""
        with self._lock:
            self._masking = False
            self._text("o", data)

    def input(self, data: bytes, *, hidden: bool = False) -> None:
        """Somebody typed *data*; *hidden* when the terminal doesn't echo."""
        with self._lock:
            if not hidden:
                self._text("i", data)
                return
            if not self._masking:
                self._event("i", HIDDEN)
            self._masking = not data.endswith((b"\r", b"\n"))

    def marker(self, label: str) -> None:
        """A place to jump to: a decision."""
        with self._lock:
            self._event("m", masked(label))

    def resize(self, size: tuple[int, int]) -> None:
        """The terminal has now *size* (columns, rows)."""
        with self._lock:
            self._event("r", f"{size[0]}x{size[1]}")

    def close(self, code: int) -> Recording:
        """The tree ended with *code*. Closing twice gives the first answer."""
        with self._lock:
            if self._done is None:
                for stream in "oi":
                    self._text(stream, b"", final=True)
                self._event("x", str(code))
                self._shut()
                self._done = Recording(
                    str(self.path), f"sha256:{self._digest.hexdigest()}", self._size, self.trouble
                )
            return self._done

    def _text(self, code: str, data: bytes, *, final: bool = False) -> None:
        text = self._redactors[code].feed(self._decoders[code].decode(data, final))
        if final:
            text += self._redactors[code].flush()
        if text:
            self._event(code, text)

    def _event(self, code: str, data: str) -> None:
        now = self._clock()
        passed, self._last = max(0.0, now - self._last), now
        self._write([round(passed, 6), code, data])

    def _write(self, value: object) -> None:
        if self._fd < 0:
            return
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
        if self._size + len(line) > self._most:
            self._stop(f"The recording stopped at {self._size:,} bytes: it was getting too large.")
            return
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            self._whole_lines()
            self._stop(f"The recording stopped: it can't be written ({error.strerror}). The run goes on.")
            return
        self._size += len(line)
        self._digest.update(line)

    def _whole_lines(self) -> None:
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self.trouble = "Its last line may be cut."

    def _stop(self, words: str) -> None:
        self.trouble = f"{words} {self.trouble}".strip()
        self._shut()

    def _shut(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.close(fd)
            except OSError as error:  # NFS reports a full disk here
                self.trouble = self.trouble or f"The recording may be cut: {error.strerror}."
