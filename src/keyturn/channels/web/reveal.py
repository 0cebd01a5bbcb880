"""Make the invisible visible: what a reviewer reads must be what is there.

A character is shown as itself only if it has a shape of its own: everything else (control, format, bidirectional,
zero-width, tag, unusual space, filler, private, unassigned, surrogate characters, stacked combining marks) is shown as a
token such as ‹U+202E›. Sources: Unicode 15 general categories; UTS #39 (mixed scripts); Boucher and Anderson,
"Trojan Source" (2021). Pure functions; every one runs in linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from markupsafe import Markup, escape
from msgspec import Struct

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Me", "Zl", "Zp", "Zs"})
_DRAWN_EMPTY = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters, marks and symbols by category that draw nothing: joiners, Hangul fillers, the empty Braille cell."""
MAX_MARKS = 2
"""Combining marks on one letter that are shown; real writing rarely needs more, stacks of them hide neighbours."""

_PLAIN = re.compile(r"[ -~]*\Z")
_ODD = re.compile(r"[^ -~]")
_WORD = re.compile(r"[^\W_](?:[\w.\-]*[^\W_])?")

_LOOKALIKE = frozenset("аеорсухіјѕԁԛԝһӏгпАВЕКМНОРСТУХІЈЅԌԚԜαικνορτυχγΑΒΕΖΗΙΚΜΝΟΡΤΥΧօսոցԼ")
"""Letters of other scripts that most fonts draw like Latin ones."""


class Hidden(Struct, frozen=True):
    """One kind of character that was shown as a token: `U+202E`, its Unicode name, how often."""

    code: str
    name: str
    count: int


class Mixed(Struct, frozen=True):
    """One word that mixes scripts or only looks Latin, and the letters that are not what they seem."""

    word: str
    letters: tuple[str, ...]


def code(char: str) -> str:
    """`U+202E` for U+202E."""
    return f"U+{ord(char):04X}"


@lru_cache(maxsize=8192)
def hidden(char: str) -> bool:
    """Whether *char* has no shape of its own and must be shown as a token. The space is not hidden."""
    if " " <= char <= "~":
        return False
    if unicodedata.category(char) in _HIDDEN_CATEGORIES or char in _DRAWN_EMPTY:
        return True
    point = ord(char)
    return 0xFE00 <= point <= 0xFE0F or 0x180B <= point <= 0x180F or 0xE0000 <= point <= 0xE0FFF


def tokens(text: str, keep: str = "") -> list[tuple[str, bool]]:
    """*text* as (piece, is_token) pairs; a token piece is one character. Characters in *keep* stay."""
    pieces: list[tuple[str, bool]] = []
    shown = 0
    marks = MAX_MARKS  # a mark with nothing before it stands on nothing
    last = -1
    for found in _ODD.finditer(text):
        char, at = found.group(), found.start()
        marks = 0 if at != last + 1 else marks
        if unicodedata.category(char) == "Mn" and not hidden(char):
            token = marks >= MAX_MARKS or at == 0 or not text[at - 1].isprintable() or text[at - 1] in " /.-"
            marks += 1
        else:
            token = char not in keep and hidden(char)
            marks = 0
        last = at
        if token:
            if at > shown:
                pieces.append((text[shown:at], False))
            pieces.append((char, True))
            shown = at + 1
    if shown < len(text):
        pieces.append((text[shown:], False))
    return pieces


def plain(text: str, keep: str = "") -> str:
    """*text* with every hidden character as ‹U+XXXX›. Plain text, so it is safe in any place of a page."""
    if _PLAIN.match(text):
        return text
    return "".join(f"‹{code(piece)}›" if token else piece for piece, token in tokens(text, keep))


def marked(text: str, keep: str = "\n\t") -> Markup:
    """*text* escaped, hidden characters as styled tokens. For element content only. Line ends and tabs stay."""
    if _PLAIN.match(text):
        return escape(text)
    parts = [
        f'<span class="tok">{code(piece)}</span>' if token else str(escape(piece))
        for piece, token in tokens(text, keep)
    ]
    return Markup("".join(parts))  # noqa: S704 - every piece was escaped one line above


def hidden_in(text: str, keep: str = "\n\t") -> tuple[Hidden, ...]:
    """Which characters of *text* are shown as tokens, most frequent first."""
    if _PLAIN.match(text):
        return ()
    found = Counter(piece for piece, token in tokens(text, keep) if token)
    return tuple(Hidden(code(char), _name(char), n) for char, n in found.most_common())


def mixed_words(text: str, limit: int = 20) -> tuple[Mixed, ...]:
    """Words in which letters of another script pose as Latin ones (UTS #39 §5.1, mixed-script detection)."""
    if text.isascii():
        return ()
    found: dict[str, Mixed] = {}
    for match in _WORD.finditer(text):
        word = match.group()
        if word.isascii() or word in found:
            continue
        foreign = _foreign_letters(word)
        if foreign:
            found[word] = Mixed(word, tuple(f"{c} is {code(c)} {_name(c)}" for c in foreign))
            if len(found) >= limit:
                break
    return tuple(found.values())


def _foreign_letters(word: str) -> tuple[str, ...]:
    letters = [c for c in word if c.isalpha()]
    foreign = tuple(dict.fromkeys(c for c in letters if _script(c) != "LATIN"))
    mixes = len(foreign) > 0 and any(_script(c) == "LATIN" for c in letters)
    poses = bool(foreign) and all(c in _LOOKALIKE or not c.isalpha() for c in word)
    dressed = any(_script(c) in ("FULLWIDTH", "MATHEMATICAL") for c in foreign)
    return foreign if mixes or poses or dressed else ()


@lru_cache(maxsize=8192)
def _script(char: str) -> str:
    """First word of the Unicode name, which for letters is their script."""
    return "LATIN" if char.isascii() else unicodedata.name(char, "UNKNOWN").split(" ", 1)[0]


def _name(char: str) -> str:
    return unicodedata.name(char, _CONTROL_NAMES.get(char, "unnamed control or unassigned character"))


_CONTROL_NAMES = {
    "\x00": "NULL",
    "\x07": "BELL",
    "\x08": "BACKSPACE",
    "\t": "TAB",
    "\n": "LINE FEED",
    "\r": "CARRIAGE RETURN",
    "\x1b": "ESCAPE",
    "\x7f": "DELETE",
    "\x85": "NEXT LINE",
    "\x9b": "CONTROL SEQUENCE INTRODUCER",
}
