"""Golden files: every rendered message as it was looked at. `python tests/channels/golden_files.py` writes them anew."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def compare(name: str, text: str) -> None:
    """Fail unless *text* is what was looked at."""
    file = FOLDER / name
    assert file.exists(), f"{file} is not there: run python {__file__}, look at it, and commit it"
    assert text == file.read_text(encoding="utf-8"), f"{file} says something else"


def write(name: str, text: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    from test_channels_rendering import RENDERED

    for name, text in RENDERED():
        write(name, text)
