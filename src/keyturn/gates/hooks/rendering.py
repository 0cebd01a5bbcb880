"""What several clients understand alike: exit status 2 with words on standard error means no. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from keyturn.gates.hooks.model import HookAnswer

MAX_SPOKEN = 4_000
"""Longest words for an agent, in characters."""

NOTICE_FAILED = 1
"""Exit status for an event that stops nothing: every client shows it as a warning and goes on."""


def spoken(words: str) -> str:
    """*words* fit for a terminal and a model: never empty, bounded, no control characters but newlines."""
    clean = "".join(letter for letter in words if letter == "\n" or letter.isprintable()).strip()
    return (clean or "keyturn: refused. Nothing ran.")[:MAX_SPOKEN]


def denial(words: str) -> HookAnswer:
    """Exit status 2 and words: the one refusal that can't be lost by being cut short."""
    return HookAnswer(stderr=(spoken(words) + "\n").encode(), status=2)


def warning(words: str) -> HookAnswer:
    """Words at an event that stops nothing."""
    return HookAnswer(stderr=(spoken(words) + "\n").encode(), status=NOTICE_FAILED) if words else HookAnswer()


def answer_json(value: dict[str, Any]) -> HookAnswer:
    """One JSON object on standard output and exit status 0."""
    return HookAnswer(stdout=msgspec.json.encode(value) + b"\n")
