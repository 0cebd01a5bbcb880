"""Two versions of one sentence of the same strength: what it reaches may have become wider or narrower.

Rules kept here:

- A prohibition or gate that loses an act, a thing or a place lets more happen; one that gains a condition or a narrowing word, too.
- A permission or an "only" that gains an act, a thing or a place, or loses a condition, lets more happen.
- In a limit a larger number lets more happen; of people, waits and minima ("at least") a smaller one does.
- Words of the same meaning are one word (`lexicon`); a changed order changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from keyturn.drift.deontic import NUMBERS, Frame
from keyturn.drift.lexicon import Lexicon, stem
from keyturn.drift.sentences import Sentence

STEP = 1.0
"""What one widening is worth."""
MOST = 2.0

_UNITS = {
    "second": 1.0, "minut": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0, "month": 2592000.0, "year": 31536000.0,
    "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kilobyt": 1e3, "megabyt": 1e6, "gigabyt": 1e9, "million": 1e6, "thousand": 1e3, "k": 1e3,
}  # fmt: skip
_NUMBER = re.compile(r"[$€£]?(\d[\d,]*(?:\.\d+)?)([a-z%]*)")
_MINIMUM = {"least", "minimum", "than", "wait", "after", "older", "every", "sleep", "pause", "between"}
_MAXIMUM = {
    "most",
    "within",
    "under",
    "up",
    "more",
    "maximum",
    "max",
    "limit",
    "below",
    "exceed",
    "exceeding",
    "only",
    "fewer",
    "less",
    "over",
    "above",
    "beyond",
}
_THRESHOLD = {"over", "above", "exceeding", "exceeds", "beyond", "larger"}
_ASKING = {"=ask", "=approval"}
_PEOPLE = {
    "approv",
    "review",
    "person",
    "peopl",
    "human",
    "engine",
    "maintain",
    "own",
    "colleagu",
    "dba",
    "sign",
    "lead",
    "manag",
    "vot",
    "yes",
    "key",
}


def widened(before: Sentence, after: Sentence, old: Frame, new: Frame, lexicon: Lexicon) -> float:
    """Positive: *after* reaches further for the agent than *before*; both are read as *old* and *new*."""
    if not (old.relevant and new.relevant):
        return 0.0
    score = _numbers(before.tokens, after.tokens, old, lexicon)
    polarity = _polarity(new) if old.restricts or old.permits else "plain"
    gained, lost = set(new.content) - set(old.content), set(old.content) - set(new.content)
    if polarity == "gate" and old.restricts == new.restricts:  # asking for approval and asking are one gate
        gained, lost = gained - _ASKING, lost - _ASKING
    matters = new.sensitive | old.sensitive | new.acts | old.acts
    score += _conditions(old, new, polarity)
    if old.rank and new.rank and old.rank != new.rank:
        return _capped(score + STEP * (1 if new.rank > old.rank else -1))
    if polarity == "gate" and old.people and not new.people and new.machines:
        score += STEP
    if polarity == "gate" and new.people and not old.people and old.machines:
        score -= STEP
    if gained and lost:
        return _capped(
            score
            + _substituted(gained & matters, lost & matters, old, new, polarity)
            + _paths(gained, lost, polarity)
        )
    if polarity == "plain":
        return _capped(
            score
            + STEP * len(gained & new.strong)
            - STEP * len(lost & old.strong)
            + _plain_places(gained, lost, old, new)
        )
    if gained or lost:
        listed = _is_listed(before.tokens, after.tokens)
        wider = (1 if gained else -1) * (
            1 if listed else -1
        )  # more listed is wider, more words around it narrower
        acts = (gained | lost) & (new.strong | old.strong)
        if acts and not listed:
            wider = 1 if gained else -1
        return _capped(score + STEP * wider * (-1 if polarity in ("forbid", "gate") else 1))
    if new.universals > old.universals and polarity in ("permit", "only"):
        score += STEP
    return _capped(score)


def _capped(score: float) -> float:
    return max(-MOST, min(MOST, score))


def _polarity(frame: Frame) -> str:
    if frame.permits:
        return "permit"
    if "limit" in frame.marks and not {"forbid", "gate", "gate_verb"} & set(frame.marks):
        return "only"
    if frame.restricts:
        return "gate" if {"gate", "gate_verb"} & set(frame.marks) else "forbid"
    return "plain"


def _conditions(old: Frame, new: Frame, polarity: str) -> float:
    more = new.conditions - old.conditions
    if not more or polarity == "plain" or set(new.content) == set(old.content):
        return 0.0
    if polarity in ("forbid", "gate"):
        return STEP * 0.5 * (1 if more > 0 else -1)
    return -STEP * 0.5 * (1 if more > 0 else -1)


def _substituted(gained: set[str], lost: set[str], old: Frame, new: Frame, polarity: str) -> float:
    """Something that matters was put in another's place."""
    if polarity in ("forbid", "gate"):
        heavier = len(lost & (old.sensitive | old.strong)) - len(gained & (new.sensitive | new.strong))
        return STEP * max(-1, min(1, heavier))
    heavier = len(gained & (new.sensitive | new.strong)) - len(lost & (old.sensitive | old.strong))
    if polarity == "plain" and not (new.acts or old.acts or new.imperative):
        return 0.0
    return STEP * max(-1, min(1, heavier))


def _plain_places(gained: set[str], lost: set[str], old: Frame, new: Frame) -> float:
    if not (new.imperative and new.acts):
        return 0.0
    return STEP * bool(gained & new.high) - STEP * bool(lost & old.high)


def _paths(gained: set[str], lost: set[str], polarity: str) -> float:
    """A folder in the place of one below it, or the reverse."""
    for wide in gained:
        for narrow in lost:
            for outer, inner, sign in ((wide, narrow, 1), (narrow, wide, -1)):
                if outer[:1] in "/~" and inner.startswith(outer.rstrip("/") + "/"):
                    return sign * STEP * (-1 if polarity in ("forbid", "gate") else 1)
    return 0.0


def _is_listed(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether what was put in or taken out is one more of a list: it stands beside an *and*, an *or* or a comma of its own."""
    joins = {"and", "or", ",", "nor", "as", "plus"}
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if any(token in joins for token in (*before[i1:i2], *after[j1:j2])):
            return True
    return False


def _numbers(before: Sequence[str], after: Sequence[str], frame: Frame, lexicon: Lexicon) -> float:
    old, new = _found(before), _found(after)
    bounded = bool(frame.restricts or frame.permits)
    if len(old) != len(new) or not old or not (bounded or frame.sensitive or frame.acts):
        return 0.0
    score = 0.0
    for (was, about), (now, _) in zip(old, new, strict=True):
        if was == now:
            continue
        larger = 1 if now > was else -1
        if not bounded and not (about & (_MINIMUM | _MAXIMUM | _PEOPLE)):
            continue
        if "=delete" in frame.content and "after" in about:  # how long something is kept
            score += STEP * larger
            continue
        if about & _THRESHOLD:  # what is over it waits for people, so a larger one lets more go
            score += STEP * larger
            continue
        minimum = (
            bool(about & _PEOPLE) or (bool(about & _MINIMUM) and not about & _MAXIMUM) or ("least" in about)
        )
        score += STEP * larger * (-1 if minimum else 1)
    return score


def _found(tokens: Sequence[str]) -> list[tuple[float, set[str]]]:
    """Numbers in order, in one unit, with the words around each."""
    found: list[tuple[float, set[str]]] = []
    for index, token in enumerate(tokens):
        match = _NUMBER.fullmatch(token)
        value = float(match[1].replace(",", "")) if match else NUMBERS.get(token)
        if value is None or (token in ("one", "second", "single", "both") and not _counts(tokens, index)):
            continue
        behind = match[2] if match and match[2] else (tokens[index + 1] if index + 1 < len(tokens) else "")
        value *= _UNITS.get(stem(behind), 1.0)
        around = {*tokens[max(0, index - 3) : index], *(stem(one) for one in tokens[index + 1 : index + 4])}
        found.append((value, around))
    return found


def _counts(tokens: Sequence[str], index: int) -> bool:
    if index and tokens[index - 1] in _MAXIMUM | {"least", "than", "to"} and tokens[index] == "one":
        return True
    return index + 1 < len(tokens) and bool(
        {stem(one) for one in tokens[index + 1 : index + 3]} & (_PEOPLE | set(_UNITS))
    )


__all__ = ["widened"]
