"""Where a pack is made: a hidden folder beside the file that it becomes, locked for as long as somebody works in it.

Who is killed can't tidy up. The next one that makes the same file does: a folder whose lock nobody holds any more is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path


def workplace(target: Path) -> tuple[Path, int]:
    """A new folder for making *target*, and the descriptor that holds its lock until it is closed. Raises `OSError`."""
    turn = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)  # so that no folder is seen before it is locked
        _tidy(target)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        held = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX)
        return work, held
    finally:
        os.close(turn)


def _tidy(target: Path) -> None:
    """Remove the folders that were left when a making of *target* was killed."""
    for left in target.parent.iterdir():
        if not left.name.startswith(f".{target.name}.") or left.is_symlink() or not left.is_dir():
            continue
        try:
            lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        else:
            shutil.rmtree(left, ignore_errors=True)
        finally:
            os.close(lock)


__all__ = ["workplace"]
