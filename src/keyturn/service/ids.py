"""Identifiers: a prefix that says what it names, then 26 characters that sort by time (as ULID does)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from keyturn.randomness import fresh

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_CHARACTERS, _RANDOM_CHARACTERS = 10, 16
_LETTERS = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))
"""A letter for each byte: eight bytes for every letter, so none comes oftener than another."""

NewId = Callable[[str, int], str]


def new_id(prefix: str, now_ms: int) -> str:
    """`<prefix>_<10 characters of time><16 of randomness>`; 80 random bits, so nobody guesses the next one."""
    return f"{prefix}_{_time(now_ms)}{fresh(_RANDOM_CHARACTERS).translate(_LETTERS).decode()}"


@lru_cache(maxsize=64)
def _time(now_ms: int) -> str:
    return "".join([_ALPHABET[now_ms >> shift & 31] for shift in range((_TIME_CHARACTERS - 1) * 5, -1, -5)])


def made(identifier: str) -> int | None:
    """When an identifier was made (milliseconds since 1970); None for what is none."""
    text = identifier.rpartition("_")[2]
    if len(text) != 26 or any(letter not in _ALPHABET for letter in text):
        return None
    number = 0
    for letter in text:
        number = number * 32 + _ALPHABET.index(letter)
    return number >> 80
