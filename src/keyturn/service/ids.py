"""Identifiers: a prefix that says what it names, then 26 characters that sort by time (as ULID does)."""

from __future__ import annotations

import os
from collections.abc import Callable

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

NewId = Callable[[str, int], str]


def new_id(prefix: str, now_ms: int) -> str:
    """`<prefix>_<10 characters of time><16 of randomness>`; 80 random bits, so nobody guesses the next one."""
    number = (now_ms << 80) | int.from_bytes(os.urandom(10), "big")
    return prefix + "_" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
