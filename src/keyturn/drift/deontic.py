"""What one sentence of an instruction forbids, gates, limits, permits and lets escape, and how far that goes.

Rules kept here:

- `restricts` and `permits` are two strengths, not one: a sentence that permits and limits does both.
- A negation belongs to what it stands before: "do not ask for approval" permits, "do not skip the review" restricts, "do not deploy
  without approval" is a gate, "no approval is needed" permits.
- An escape (`unless`, `as needed`, `should`) weakens the restriction of its own sentence and permits nothing by itself.
- A sentence about how something is *written* (tone, headings, spelling) has no strength, whatever its mood.
- A plain imperative has one only where it names an act that goes beyond looking, on something that matters.
- Reasons (`because …`, `for example …`) are not read.

The strengths are ordinal: a prohibition (3) is more than a gate (2), a gate more than advice (1.5). Their source is
the deontic modalities of normative texts (von Wright 1951; NIST SP 800-53r5's "must / may / only" reading); nothing is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from keyturn.drift.lexicon import Lexicon, english
from keyturn.drift.sentences import Sentence
from keyturn.drift.strength import ACTED, Mark, strengths

NUMBERS: dict[str, float] = {
    "zero": 0, "one": 1, "single": 1, "two": 2, "second": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twelve": 12, "dozen": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60,
    "hundred": 100, "thousand": 1000, "million": 1e6, "half": 0.5, "twice": 2, "both": 2,
}  # fmt: skip
"""Numbers in words."""

_SCANNED = (
    "unlimited", "optional", "replaced", "forbid", "soft_forbid", "permit", "hesitate", "unless", "without", "escape", "bypass", "gate",
    "gate_verb", "limit", "autonomy", "before", "after", "negation", "no", "halt", "clause", "condition", "oblige",
)  # fmt: skip
"""Classes that are looked for, the stronger first where two phrases are equally long."""

_MOODS = frozenset({
    "forbid", "soft_forbid", "negation", "no", "permit", "optional", "oblige", "unlimited", "before", "after", "unless", "without",
    "condition", "hesitate", "replaced",
})  # fmt: skip
"""Classes whose words say how something is meant, and not what."""


class Frame(Struct, frozen=True):
    """`restricts` and `permits` are strengths; `marks` the classes found; `content` stems that carry meaning, in order.

    `rank` is how much a named role may do, 0 for none named; `sensitive`, `acts`, `strong` and `high` are stems of those classes
    among the words; `imperative` says whether it tells to do something; `people` and `machines` who a gate waits for.
    """

    restricts: float
    permits: float
    marks: tuple[str, ...]
    content: tuple[str, ...]
    sensitive: frozenset[str]
    acts: frozenset[str]
    strong: frozenset[str]
    high: frozenset[str]
    rank: int
    universals: int
    conditions: int
    imperative: bool
    relevant: bool
    people: bool
    machines: bool


def frame(sentence: Sentence, lexicon: Lexicon | None = None) -> Frame:
    """*sentence*, read."""
    return _frame(sentence.tokens, lexicon or english())


@lru_cache(maxsize=16_384)
def _cached(tokens: tuple[str, ...]) -> Frame:
    return _read(tokens, english())


def _frame(tokens: tuple[str, ...], lexicon: Lexicon) -> Frame:
    return _cached(tokens) if lexicon is english() else _read(tokens, lexicon)


def _read(tokens: tuple[str, ...], lexicon: Lexicon) -> Frame:
    tokens = _without_reasons(tokens, lexicon)
    marks = _marks(tokens, lexicon)
    content = _content(tokens, marks, lexicon)
    acts = frozenset(lexicon.meaning(token) for token in tokens if token in lexicon["act"])
    strong = frozenset(lexicon.meaning(token) for token in tokens if token in lexicon["strong"])
    sensitive = frozenset(lexicon.meaning(token) for token in tokens if token in lexicon["sensitive"])
    styled = lexicon["style"].anywhere(tokens)
    touched = bool(sensitive) or any(token in lexicon["target"] for token in tokens)
    doing = bool(acts) or any(token in lexicon["propose"] for token in tokens)
    relevant = not styled or (bool(sensitive) and doing)
    imperative = _imperative(tokens, lexicon)
    restricts, permits = strengths(tokens, marks, lexicon) if relevant else (0.0, 0.0)
    if relevant and permits == 0 and restricts == 0 and imperative and strong and touched:
        permits = ACTED if sensitive or _first_act(tokens, lexicon) else 0.0
    return Frame(
        restricts=restricts,
        permits=permits,
        marks=tuple(dict.fromkeys(name for name, _, _ in marks)),
        content=content,
        sensitive=sensitive,
        acts=acts,
        strong=strong,
        high=frozenset(lexicon.meaning(token) for token in tokens if token in lexicon["high"]),
        rank=_rank(tokens, lexicon),
        universals=sum(token in lexicon["universal"] for token in tokens),
        conditions=sum(name in ("condition", "unless") for name, _, _ in marks),
        imperative=imperative,
        relevant=relevant,
        people=any(token in lexicon["person"] for token in tokens),
        machines=lexicon["machine"].anywhere(tokens),
    )


def _content(tokens: Sequence[str], marks: list[Mark], lexicon: Lexicon) -> tuple[str, ...]:
    """The stems that say what it is about, not in which mood; words of the same meaning as one."""
    moods = {index for name, start, end in marks if name in _MOODS for index in range(start, end)}
    return tuple(
        lexicon.meaning(token)
        for index, token in enumerate(tokens)
        if (token[0].isalpha() or token[0] in "/~.-")
        and index not in moods
        and token not in lexicon["stop"]
        and token not in lexicon["filler"]
        and token not in NUMBERS
    )


def _without_reasons(tokens: tuple[str, ...], lexicon: Lexicon) -> tuple[str, ...]:
    """Without reasons and examples: up to the end, or the bracket they stand in, or the comma where they come first."""
    kept: list[str] = []
    until = ""  # the mark that ends what is left out
    for index, word in enumerate(tokens):
        if until:
            until = "" if word in until else until
            continue
        before = kept[-1:]
        explains = lexicon["explain"].at(tokens, index) > 0
        if explains and word == "so" and before == ["do"]:
            explains = False
        if explains and word == "see" and before != ["("]:
            explains = False
        if explains:
            until = ")" if before == ["("] else ",;:" if not kept else "\0"
            continue
        kept.append(word)
    return tuple(kept) or tokens


def _marks(tokens: tuple[str, ...], lexicon: Lexicon) -> list[Mark]:
    """(class, start, end) from left to right; longer phrases win, then the order of `_SCANNED`."""
    marks: list[Mark] = []
    index = 0
    while index < len(tokens):
        best = ("", 0)
        for name in _SCANNED:
            size = lexicon[name].at(tokens, index)
            if size > best[1]:
                best = (name, size)
        if best[1]:
            marks.append((best[0], index, index + best[1]))
            index += best[1]
        else:
            if tokens[index] in (";", ":", "—", "–"):
                marks.append(("clause", index, index + 1))
            index += 1
    return marks


def _imperative(tokens: tuple[str, ...], lexicon: Lexicon) -> bool:
    """Whether the sentence tells to do something: its main clause has no subject but "you"."""
    start = 0
    if tokens and (
        tokens[0] in lexicon["condition"]
        or tokens[0] in lexicon["before"]
        or tokens[0] in ("after", "for", "in", "on", "per")
    ):
        start = tokens.index(",") + 1 if "," in tokens[:-1] else 0
    return bool(tokens) and (tokens[start] not in lexicon["describes"] or "you" in tokens)


def _first_act(tokens: tuple[str, ...], lexicon: Lexicon) -> bool:
    """Whether the sentence (or what follows its first comma) begins with an act, or says that the agent does it."""
    starts = [
        0,
        *(
            index + 1
            for index, token in enumerate(tokens)
            if token in (",", ":", "and", "then", "you", "also", "please")
        ),
    ]
    return any(start < len(tokens) and tokens[start] in lexicon["strong"] for start in starts)


def _rank(tokens: tuple[str, ...], lexicon: Lexicon) -> int:
    """1 to 3, where a role or a right is named."""
    if not any(token in lexicon["power"] for token in tokens):
        return 0
    ranks = (("high_rank", 3), ("middle_rank", 2), ("low_rank", 1))
    return max((value for name, value in ranks if any(token in lexicon[name] for token in tokens)), default=0)
