"""Programs by their manual pages (`models.toml`): what must be understood, and which effects must never be missing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace
from readers_cases import AROUND

from keyturn.actions import Reading, Shell
from keyturn.readers import read_afresh

_MODELS = tomllib.loads((Path(__file__).parent / "models.toml").read_text("utf-8"))


def _rows(kind: str) -> list[str | list[str]]:
    return [row for model in _MODELS.values() for row in model.get(kind, [])]


def _read(command: str) -> Reading:
    return read_afresh(Shell(command), replace(AROUND, fresh=True))


def _shown(command: str) -> set[str]:
    return {f"{effect.key} {effect.what}" for effect in _read(command).effects}


@pytest.mark.parametrize("command", _rows("read"))
def test_is_understood(command: str) -> None:
    reading = _read(command)
    assert reading.complete, reading.unread


@pytest.mark.parametrize(("command", "effect", "control"), _rows("shows"))
def test_shows_what_it_does(command: str, effect: str, control: str) -> None:
    """Negative control: a command without the dangerous part doesn't have the effect, so the row can fail."""
    assert effect in _shown(command)
    assert effect not in _shown(control)


@pytest.mark.parametrize("command", _rows("refused"))
def test_stays_unread(command: str) -> None:
    reading = _read(command)
    assert not reading.complete
    assert any(effect.verb == "executes" for effect in reading.effects)
