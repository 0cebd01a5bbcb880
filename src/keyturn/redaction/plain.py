"""The text as a program would see it: quotes, escapes, continued lines and invisible characters taken away. Pure.

A secret written in pieces (`'ghp_'"abc…"`, `gh\\p_…`, `$'\\x67hp_…'`, a zero-width blank inside) is found in this view, and its place
in the true text is known. What only a running program puts together (variables, `base64 -d`, `printf %s%s`) is not seen here.
"""

# ruff: noqa: E501 (a pattern or a case stands on one line)
from __future__ import annotations

import re

_CUT = re.compile(
    rb"\\\r?\n[ \t]*|\\x([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})|\\([0-3][0-7]{2})|\\(?=[^\s\\])|\$?[\"'][\"']?\$?[\"']?|"
    rb"\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xc2\xad|\x1b\[[0-9;:]*[mK]"
)
SEAM = rb"[A-Za-z0-9_.:~/+-](?:\\\r?\n|\\[xu0-3A-Za-z_-]|\$?[\"']|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf|\xc2\xad|\x1b\[[0-9;:]*[mK])+[A-Za-z0-9_.:~/+-]|\$'[^'\n]*\\[xu0-3]"
"""Where pieces may be joined; a text without one has no other view."""


def joined(text: bytes) -> tuple[bytes, list[tuple[int, int]]]:
    """*text* without what only joins pieces, and (place in the view, place in *text*) where each kept piece begins."""
    kept: list[bytes] = []
    places: list[tuple[int, int]] = []
    size = at = 0
    for cut in _CUT.finditer(text):
        if cut.start() > at:
            kept.append(text[at : cut.start()])
            places.append((size, at))
            size += cut.start() - at
        code = cut[1] or cut[2]
        value = int(code, 16) if code else int(cut[3], 8) if cut[3] else -1
        if 0 <= value < 128:
            kept.append(bytes([value]))
            places.append((size, cut.start()))
            size += 1
        at = cut.end()
    if at < len(text):
        kept.append(text[at:])
        places.append((size, at))
    return b"".join(kept), places


def place(places: list[tuple[int, int]], view: int) -> int:
    """Where the view's character *view* is in the text."""
    low, high = 0, len(places) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if places[middle][0] <= view:
            low = middle
        else:
            high = middle - 1
    start, true = places[low]
    return true + view - start


def taken_apart(value: bytes) -> bytes:
    """*value* as a program gets it, without quotes and escapes."""
    return joined(value)[0] if re.search(rb"[\\'\"]", value) else value
