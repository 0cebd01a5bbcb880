"""Where secrets stand in a text. Pure, in linear time.

Rules kept here:

- One pass says which rules can match at all (`Hints`); most texts end there. Only those rules are run.
- Spans that touch or overlap become one, named after the rule that is most certain of what it is.
- A secret written in pieces is looked for in the text as a program would see it (`plain`), and cut out of the text where its pieces
  stand, their quotes included.
- A text longer than `MOST_BYTES` is read in overlapping parts: no rule needs more than `OVERLAP` bytes, private keys apart, whose
  first line is enough to cut until their end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from msgspec import Struct

from keyturn.redaction import named, plain, values
from keyturn.redaction.commands import USAGES, Usage
from keyturn.redaction.engine import Hints, Pattern, pattern
from keyturn.redaction.tokens import RULES

PART_BYTES = 262_144
OVERLAP = 16_384
REMEMBERED = 2_048
"""Texts whose spans are remembered, by content."""
MOST_REMEMBERED = 8_192
"""Bytes of the longest text that is remembered."""


class Hit(Struct, frozen=True, order=True):
    """One secret: bytes `[start, end)` of the text, and its kind."""

    start: int
    end: int
    kind: str


_LOOSE = re.compile(rb"[A-Za-z0-9+/=_.:~-]{16,}\Z")
_NAME = re.compile(rb"(?:export )?(?:[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*|[a-z]+(?:_[a-z]+)*)=(?=.{8})")
_CERTAIN = {rule.kind for rule in RULES}
_PLAIN, _NAMED = -1, -2
_FLAT: list[tuple[str, int]] = [
    *((hint, number) for number, rule in enumerate(RULES) for hint in rule.hint),
    *((hint, len(RULES) + number) for number, usage in enumerate(USAGES) for hint in usage.hint),
    *((word, _NAMED) for word in named.WORDS),
    (plain.SEAM.decode("latin-1"), _PLAIN),
]
_HINTS = Hints([hint.encode("latin-1") for hint, _ in _FLAT])
_WHAT = [number for _, number in _FLAT]
_WORD: Pattern = pattern(named.WORD, fold=True)


@cache
def _compiled(number: int) -> Pattern:
    if number < len(RULES):
        return pattern(RULES[number].pattern)
    return pattern(USAGES[number - len(RULES)].pattern)


def hits(text: bytes) -> tuple[Hit, ...]:
    """Every secret in *text*, in order, without overlap."""
    return _remembered(text) if len(text) <= MOST_REMEMBERED else _all(text)


@lru_cache(maxsize=REMEMBERED)
def _remembered(text: bytes) -> tuple[Hit, ...]:
    return _part(text)


def hinted(text: bytes) -> bool:
    """Whether any rule could find something in *text*, or in what it may become."""
    return any(_WHAT[one] != _PLAIN for one in _HINTS.found(text))


def forget() -> None:
    """Let nothing be remembered: what is measured is not the memory."""
    _remembered.cache_clear()


def _all(text: bytes) -> tuple[Hit, ...]:
    if len(text) <= PART_BYTES:
        return _part(text)
    found: list[Hit] = []
    for start in range(0, len(text), PART_BYTES - OVERLAP):
        part = text[start : start + PART_BYTES]
        found.extend(Hit(one.start + start, one.end + start, one.kind) for one in _part(part))
    return merged(found)


def _part(text: bytes) -> tuple[Hit, ...]:
    known = _HINTS.found(text)
    if not known:
        return ()
    wanted = sorted({_WHAT[one] for one in known})
    found = _of_rules(text, [one for one in wanted if one >= 0])
    if _NAMED in wanted:
        found.extend(Hit(start, end, kind) for kind, start, end in named.found(text, _WORD))
    if _PLAIN in wanted:
        found.extend(_in_pieces(text))
    return merged(found) if found else ()


def _of_rules(text: bytes, wanted: Iterable[int]) -> list[Hit]:
    found: list[Hit] = []
    for number in wanted:
        if number < len(RULES):
            rule = RULES[number]
            for match in _compiled(number).finditer(text):
                start, end = match.span(1)
                if not rule.mixed or values.is_mixed(text[start:end]):
                    found.append(Hit(start, end, rule.kind))
            continue
        usage = USAGES[number - len(RULES)]
        for match in _compiled(number).finditer(text):
            start, end = _unquoted(text, *match.span(1))
            if usage.kind == "written-secret":
                start, end = _assigned(text, start, end)
            if _worth(text[start:end], usage):
                found.append(Hit(start, end, usage.kind))
    return found


def _assigned(text: bytes, start: int, end: int) -> tuple[int, int]:
    """The span without a variable's name before it: what `NAME=VALUE` writes is known again where VALUE stands alone."""
    name = _NAME.match(text, start, end)
    return (name.end(), end) if name is not None else (start, end)


def _unquoted(text: bytes, start: int, end: int) -> tuple[int, int]:
    """The span without one pair of quotes around it."""
    if end - start >= 2 and text[start : start + 1] == b"\\" and text[start + 1 : start + 2] in (b"'", b'"'):
        start, end = start + 2, end - 2
    elif text[start : start + 2] in (b"$'", b"$$"):
        start += 1
    if (
        end - start >= 2
        and text[start : start + 1] in (b"'", b'"', b"$")
        and text[end - 1 : end] == text[start : start + 1]
    ):
        return start + 1, end - 1
    return start, end


def _worth(value: bytes, usage: Usage) -> bool:
    inner = plain.taken_apart(value)
    if len(inner) < 3 or values.is_placeholder(inner):
        return False
    if usage.kind == "basic-auth":
        return values.is_pair_in_base64(inner)
    if usage.loose:
        written = usage.kind == "written-secret" and values.is_text_in_base64(inner)
        return (
            bool(_LOOSE.match(inner))
            and values.looks_random(inner)
            and not values.is_public(inner)
            and not written
        )
    if (usage.mixed and not values.is_mixed(inner)) or (
        usage.unlike and inner.decode("latin-1") in usage.unlike.split()
    ):
        return False
    return (values.looks_random(inner) and not inner.startswith(b"$")) or not values.is_reference(inner)


def _in_pieces(text: bytes) -> list[Hit]:
    view, places = plain.joined(text)
    known = _HINTS.found(view) if places else []
    wanted = sorted({_WHAT[one] for one in known if 0 <= _WHAT[one] < len(RULES)})
    found = []
    for one in _of_rules(view, wanted):
        start = plain.place(places, one.start)
        end = plain.place(places, one.end - 1) + 1
        found.append(Hit(*_whole(text, start, end), one.kind))
    return found


def _whole(text: bytes, start: int, end: int) -> tuple[int, int]:
    """The span with the quotes that its pieces open or close, so that what is left around it stays in balance."""
    inner = text[start:end]
    for quote in (b"'", b'"'):
        if inner.count(quote) % 2:
            if text[end : end + 1] == quote:
                end += 1
            elif start and text[start - 1 : start] == quote:
                start -= 1
    if (
        start
        and text[start - 1 : start] in (b"'", b'"')
        and text[end : end + 1] in (b"'", b'"')
        and re.search(rb"['\"]", inner)
    ):
        start, end = start - 1, end + 1
    return start, end


def merged(found: Sequence[Hit]) -> tuple[Hit, ...]:
    """*found* in order, what overlaps joined, named after what is most certain, then longest."""
    done: list[Hit] = []
    for one in sorted(found):
        if done and one.start < done[-1].end:
            last = done[-1]
            best = max((last, one), key=lambda hit: (hit.kind in _CERTAIN, hit.end - hit.start))
            done[-1] = Hit(last.start, max(last.end, one.end), best.kind)
        else:
            done.append(one)
    return tuple(done)


__all__ = ["Hit", "forget", "hinted", "hits", "merged"]
