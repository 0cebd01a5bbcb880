"""A making that was killed leaves nothing behind for good, and nobody loses what they are working in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from keyturn.evidence.workplace import workplace

_WORKS = """
import sys
from pathlib import Path
from keyturn.evidence.workplace import workplace
work, held = workplace(Path(sys.argv[1]))
(work / "half").write_text("x")
print(work, flush=True)
sys.stdin.read()
"""


def working(target: Path) -> tuple[subprocess.Popen[str], Path]:
    """Another process that makes *target*, and where."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKS, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_making_left_goes_with_the_next(tmp_path: Path) -> None:
    target = tmp_path / "pack.zip"
    (tmp_path / ".other.zip.abc").mkdir()
    (tmp_path / ".pack.zip.link").symlink_to(tmp_path / ".other.zip.abc")
    process, left = working(target)
    other, used = working(target)
    try:
        process.kill()
        process.wait()
        assert left.is_dir()
        work, held = workplace(target)
        try:
            assert not left.exists()
            assert used.joinpath("half").is_file()  # the negative control: somebody works there
            assert work.is_dir()
            assert (tmp_path / ".other.zip.abc").is_dir()
            assert (tmp_path / ".pack.zip.link").is_symlink()
        finally:
            os.close(held)
    finally:
        for one in (process, other):
            one.kill()
            one.communicate()
