"""The short form of `make fuzz-shell`: coverage-guided inputs, none of which may break a reading's promises."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name("readers_fuzz.py")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no build for this machine"
)


def _fuzzed(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The harness in a process of its own, which it ends itself; coverage of the outer run stays out of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(
        [sys.executable, str(HARNESS), "240", "--corpus", str(folder / "scripts"), *words],
        env=kept, capture_output=True, text=True, errors="replace", check=False, timeout=300,
    )  # fmt: skip


def test_no_input_that_coverage_leads_to_breaks_a_promise(tmp_path: Path) -> None:
    done = _fuzzed(tmp_path, "--runs", "1200")
    assert done.returncode == 0, done.stderr[-2_000:]
    assert "Done" in done.stderr


def test_the_harness_can_fail(tmp_path: Path) -> None:
    """Negative control: a planted fault is found, told, and kept as a file."""
    done = _fuzzed(tmp_path, "--control", "$((")
    assert done.returncode == 77
    assert "planted" in done.stdout + done.stderr
    assert list(tmp_path.glob("scripts-crash-*"))
