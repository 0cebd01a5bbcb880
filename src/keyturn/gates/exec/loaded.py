"""What the kernel has loaded into a process that stopped before its first instruction, compared with what was asked."""

from __future__ import annotations

import os

from keyturn.gates.exec import kernel
from keyturn.gates.exec.model import Exec, FileIdentity
from keyturn.gates.exec.tracee import MAGIC, Asked

_CONTENT = 65_536


def mismatch(asked: Asked) -> str:
    """Why what the kernel has loaded into the stopped process is not what was *asked*; empty if it is."""
    wanted = asked.exec
    try:
        status = os.stat(f"/proc/{wanted.tgid}/exe")
        words, variables = (_content(f"/proc/{wanted.tgid}/{name}") for name in ("cmdline", "environ"))
        changed = wanted.script is not None and _changed(wanted)
    except OSError as error:
        return f"what was loaded can't be looked at ({error.strerror})"
    if changed:
        return "its script was changed"
    if not _is(status, wanted.interpreter or wanted.file):
        return "another program was loaded"
    if words != asked.words:
        return "its words were changed"
    return "its variables were changed" if variables != asked.variables else ""


def _content(path: str) -> bytes:
    """All of a file in /proc; without a buffer, because every exec pays for it twice."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(fd, _CONTENT):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def _is(status: os.stat_result, file: FileIdentity) -> bool:
    now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return now == (file.device, file.inode, file.size, file.mtime_ns, file.ctime_ns)


def _changed(asked: Exec) -> bool:
    """Whether the script is no longer the file that was read."""
    script = asked.script
    assert script is not None
    root = os.open(f"/proc/{asked.tgid}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        fd = (
            os.open(script.path, os.O_PATH)
            if MAGIC.fullmatch(script.path)
            else kernel.open_in_root(root, script.path)
        )
    finally:
        os.close(root)
    try:
        return not _is(os.fstat(fd), script)
    finally:
        os.close(fd)


__all__ = ["mismatch"]
