"""The exact bytes of an action as HTML, with what was understood, matched and not understood marked. Pure.

Spans are byte offsets into the UTF-8 form of the text, as readings and rules give them. Reading marks (`<i class="seen">`)
are set at least every `PART_LINES` lines and `PART_CHARS` characters: approving waits until each was on screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from markupsafe import Markup
from msgspec import Struct

from keyturn.channels.web.reveal import marked

PART_LINES = 24
PART_CHARS = 2_000
LONG_LINES = 40
HEX_PAGE = 4_096
"""Bytes on one page of the hex view."""

Mark = Literal["step-a", "step-b", "unread", "hit"]
_MARK = '<i class="seen"></i>'


class Span(Struct, frozen=True):
    """Bytes `[start, end)` that are marked."""

    start: int
    end: int
    mark: Mark


class Exact(Struct, frozen=True):
    """The rendered text, and how large it is. `parts` is how many reading marks it has."""

    html: Markup
    size: int
    lines: int
    parts: int

    @property
    def long(self) -> bool:
        """Whether it gets a scrolling frame of its own."""
        return self.lines > LONG_LINES or self.size > LONG_LINES * 100


def exact(text: str, spans: Iterable[Span] = (), *, diff: bool = False) -> Exact:
    """*text* line by line, escaped, invisible characters as tokens. `diff` colours added and removed lines."""
    data = text.encode("utf-8", "surrogatepass")
    placed = _in_characters(text, data, [s for s in spans if 0 <= s.start < s.end <= len(data)])
    html: list[str] = []
    parts = 0
    since_lines = since_chars = 0
    at = 0
    lines = text.split("\n")
    ending = lines.pop() if lines[-1] == "" and len(lines) > 1 else None  # a last newline is no further line
    sweep = _Sweep(placed)
    for number, line in enumerate(lines):
        last = number == len(lines) - 1
        html.append(f'<span class="ln{_diff_class(line) if diff else ""}">')
        for start in range(0, max(len(line), 1), PART_CHARS):
            piece = line[start : start + PART_CHARS]
            html.extend(sweep.render(piece, at + start))
            since_chars += len(piece)
            if since_chars >= PART_CHARS and not (last and start + PART_CHARS >= len(line)):
                html.append(_MARK)
                parts, since_lines, since_chars = parts + 1, 0, 0
        since_lines += 1
        if last or since_lines >= PART_LINES:
            html.append(_MARK)
            parts, since_lines, since_chars = parts + 1, 0, 0
        html.append("\n</span>" if not last or ending is not None else "</span>")
        at += len(line) + 1
    return Exact(Markup("".join(html)), len(data), len(lines), parts)  # noqa: S704 - built from escaped pieces


class _Sweep:
    """Walks through the text once, knowing which spans cover the current place."""

    def __init__(self, spans: list[tuple[int, int, Mark]]) -> None:
        edges: dict[int, list[tuple[int, Mark]]] = {}
        for start, end, mark in spans:
            edges.setdefault(start, []).append((1, mark))
            edges.setdefault(end, []).append((-1, mark))
        self._edges = edges
        self._places = sorted(edges)
        self._next = 0
        self._depth: dict[Mark, int] = {}

    def render(self, piece: str, at: int) -> Iterator[str]:
        """HTML of *piece*, whose first character is number *at* of the text."""
        here = 0
        while here < len(piece):
            while self._next < len(self._places) and self._places[self._next] <= at + here:
                for step, mark in self._edges[self._places[self._next]]:
                    self._depth[mark] = self._depth.get(mark, 0) + step
                self._next += 1
            upto = len(piece)
            if self._next < len(self._places):
                upto = min(upto, self._places[self._next] - at)
            classes = " ".join(
                mark for mark in ("step-a", "step-b", "unread", "hit") if self._depth.get(mark, 0) > 0
            )
            inner = marked(piece[here:upto])
            yield f'<span class="{classes}">{inner}</span>' if classes else str(inner)
            here = upto


def _in_characters(text: str, data: bytes, spans: list[Span]) -> list[tuple[int, int, Mark]]:
    """Byte offsets as character offsets; an offset inside a character moves outward to include it."""
    if len(data) == len(text):
        return [(s.start, s.end, s.mark) for s in spans]
    wanted = sorted({s.start for s in spans} | {s.end for s in spans})
    place: dict[int, tuple[int, int]] = {}
    chars = before = 0
    for offset in wanted:
        down, up = offset, offset
        while down < len(data) and down > 0 and data[down] & 0xC0 == 0x80:
            down -= 1
        while up < len(data) and data[up] & 0xC0 == 0x80:
            up += 1
        chars += len(data[before:down].decode("utf-8", "surrogatepass"))
        place[offset] = (chars, chars + (1 if up > down else 0))
        before = down
    return [(place[s.start][0], place[s.end][1], s.mark) for s in spans]


def _diff_class(line: str) -> str:
    if line.startswith(("+++", "---")):
        return " file"
    return {"+": " add", "-": " del", "@": " at"}.get(line[:1], "")


def matched(text: str, span: tuple[int, int], limit: int = 400) -> str:
    """The bytes of *text* in *span* as text; empty when there are none. Cut visibly at *limit* characters."""
    data = text.encode("utf-8", "surrogatepass")
    start, end = span
    if not 0 <= start < end <= len(data):
        return ""
    found = data[start:end].decode("utf-8", "replace")
    return (
        found
        if len(found) <= limit
        else f"{found[:limit]} … ({len(found) - limit} more characters, all shown above)"
    )


class HexLine(Struct, frozen=True):
    """Sixteen bytes: offset, hexadecimal, and printable ASCII (else a dot)."""

    offset: str
    hexadecimal: str
    text: str


def hex_lines(data: bytes, page: int) -> list[HexLine]:
    """One page of the hex view."""
    start = page * HEX_PAGE
    return [
        HexLine(
            f"{at:08x}",
            data[at : at + 16].hex(" "),
            "".join(chr(b) if 32 <= b < 127 else "." for b in data[at : at + 16]),
        )
        for at in range(start, min(start + HEX_PAGE, len(data)), 16)
    ]
