"""Characters that people can't see or that programs read differently: text with them is not understood."""

from __future__ import annotations

import unicodedata

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Me"})
_BLANK_GLYPHS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def odd_character(character: str) -> str | None:
    """What is wrong with one character, or None for one that people can see."""
    if " " <= character <= "~":
        return None
    if character == "\r":
        return "A carriage return can hide text and is read differently by different programs"
    code = ord(character)
    selector = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    if unicodedata.category(character) in _INVISIBLE or character in _BLANK_GLYPHS or selector:
        return (
            f"U+{code:04X} ({unicodedata.name(character, 'unnamed').lower()}) can't be seen and is not read"
        )
    return None


def odd_text(text: str) -> str | None:
    """The first problem of any character of *text*, or None."""
    if text.isascii() and text.isprintable():
        return None
    return next((problem for character in text if (problem := odd_character(character))), None)
