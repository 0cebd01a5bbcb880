"""Identifiers: a prefix that says what it names, then 26 characters that sort by time (as ULID does)."""

from __future__ import annotations

from collections.abc import Callable

from keyturn.randomness import fresh

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_SHIFTS = range(120, -1, -10)

NewId = Callable[[str, int], str]


def new_id(prefix: str, now_ms: int) -> str:
    """`<prefix>_<10 characters of time><16 of randomness>`; 80 random bits, so nobody guesses the next one."""
    number = (now_ms << 80) | int.from_bytes(fresh(10), "big")
    return prefix + "_" + "".join([_PAIRS[(number >> shift) & 1023] for shift in _SHIFTS])
