"""The two processes of `verify.py`: one that waits for the other is told, also when nothing comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from keyturn.evidence.program import checks
from keyturn.evidence.program.archive import Unreadable


@pytest.mark.parametrize("forks", [True, False])
def test_who_waits_is_told_that_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: bool
) -> None:
    monkeypatch.setattr(checks, "_alone", lambda: not forks)
    ready = checks._Ready()
    assert checks._both(str(tmp_path), ready.say, ready.wait) == (None, True)
    ready.end()


@pytest.mark.parametrize("forks", [True, False])
def test_who_waits_for_what_never_comes_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forks: bool
) -> None:
    monkeypatch.setattr(checks, "_alone", lambda: not forks)
    ready = checks._Ready()
    assert checks._both(str(tmp_path), ready.close, ready.wait) == (None, False)
    ready.end()


def test_what_went_wrong_before_it_was_there_is_raised_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    ready = checks._Ready()

    def fails() -> None:
        try:
            raise Unreadable("no room")
        finally:
            ready.close()

    with pytest.raises(Unreadable, match="no room"):
        checks._both(str(tmp_path), fails, ready.wait)
    ready.end()
