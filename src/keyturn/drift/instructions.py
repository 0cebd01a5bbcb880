"""How a set of instructions changed in what it lets the agent do: the deontic delta (a change of capability, not of text).

Rules kept here:

- The *effective* instruction set is all files that reach the model, under their names; its digest covers every character of them.
- What is compared are sentences, wherever they now stand: a sentence that moved, was merged or was reworded with the same force is
  no change.
- The delta is signed: positive means that the agent may do more. Each line of it names its section and both wordings.
- Compare with the *approved* baseline, never with the last version: twelve small steps are one large one (`ratchet`).
- Text that only the model can see counts as an expansion, whatever it says.

Text similarity can't do this: a prompt that lost "read-only" has cosine 0.998 to the one before.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from keyturn import canonical
from keyturn.drift.deontic import Frame, frame
from keyturn.drift.lexicon import Lexicon, english
from keyturn.drift.scope import widened
from keyturn.drift.sentences import Sentence, hidden, sentences

NOTICED = 0.5
"""A line of the delta says something from here on."""
HIDDEN = 3.0
ALIKE = 0.4
"""Share of meaning that two sentences have in common to be versions of one another."""
CANDIDATES = 40


class Line(Struct, frozen=True):
    """One sentence that changed: `delta` > 0 lets the agent do more. `before`/`after` are empty where there is none.

    `why` says in words what made the difference.
    """

    section: str
    delta: float
    why: str
    before: str = ""
    after: str = ""
    file: str = ""


class InstructionDelta(Struct, frozen=True):
    """`expands` and `restricts` are sums of the lines' positive and negative parts; `sections` the signed sum of each section.

    `lines` are those that change what the agent may do, the largest first; `benign` counts changed sentences that don't.
    """

    delta: float
    expands: float
    restricts: float
    sections: dict[str, float]
    lines: tuple[Line, ...]
    benign: int
    unchanged: int

    @property
    def words(self) -> str:
        """One sentence."""
        if not self.lines:
            changed = f"{self.benign} sentences changed, none of them" if self.benign else "Nothing changed"
            return (
                f"{changed} in what the agent may do."
                if self.benign
                else "Nothing changed in what the agent may do."
            )
        more = sum(line.delta > 0 for line in self.lines)
        less = len(self.lines) - more
        parts = [f"{more} {_s(more)} let{'s' if more == 1 else ''} the agent do more"] if more else []
        parts += [f"{less} let{'s' if less == 1 else ''} it do less"] if less else []
        return f"{', '.join(parts)} (delta {self.delta:+.1f}); {self.benign} changed without effect."


def _s(count: int) -> str:
    return "sentence" if count == 1 else "sentences"


def canonical_set(instructions: Mapping[str, str]) -> dict[str, str]:
    """The effective set: every file that reaches the model, by name, with line ends and composed characters made one."""
    return {
        name: unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).rstrip()
        for name, text in sorted(instructions.items())
        if text.strip()
    }


def set_digest(instructions: Mapping[str, str]) -> str:
    """`sha256:<hex>` of the effective set."""
    return canonical.digest(
        {
            name: hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            for name, text in canonical_set(instructions).items()
        }
    )


def delta(
    before: Mapping[str, str], after: Mapping[str, str], lexicon: Lexicon | None = None
) -> InstructionDelta:
    """What the agent may do more (or less) under *after* than under *before*; each is file name → text. Raises `TooLarge`."""
    known = lexicon or english()
    old = [one for name, text in canonical_set(before).items() for one in sentences(text, name)]
    new = [one for name, text in canonical_set(after).items() for one in sentences(text, name)]
    same = Counter(one.tokens for one in old) & Counter(one.tokens for one in new)
    removed, added = _without(old, same), _without(new, same)
    lines = _compared(removed, added, _Index(old, known), _Index(new, known), known)
    lines += _unseen(before, after)
    kept = sorted((one for one in lines if abs(one.delta) >= NOTICED), key=lambda one: -abs(one.delta))
    changed = max(len(removed), len(added))
    sums: dict[str, float] = {}
    for line in kept:
        sums[line.section] = round(sums.get(line.section, 0.0) + line.delta, 3)
    expands = round(sum(line.delta for line in kept if line.delta > 0), 3)
    restricts = round(sum(line.delta for line in kept if line.delta < 0), 3)
    return InstructionDelta(
        round(expands + restricts, 3),
        expands,
        restricts,
        sums,
        tuple(kept),
        max(0, changed - len(kept)),
        sum(same.values()),
    )


def _without(found: Iterable[Sentence], same: Counter[tuple[str, ...]]) -> list[Sentence]:
    left = Counter(same)
    kept = []
    for one in found:
        if left[one.tokens] > 0:
            left[one.tokens] -= 1
        else:
            kept.append(one)
    return kept


class _Index:
    """Finds the sentences that share meaning with one."""

    def __init__(self, known: Sequence[Sentence], lexicon: Lexicon) -> None:
        self.sentences = known
        self.lexicon = lexicon
        self.frames = [frame(one, lexicon) for one in known]
        self._by_stem: dict[str, list[int]] = {}
        for number, read in enumerate(self.frames):
            for root in set(read.content):
                self._by_stem.setdefault(root, []).append(number)

    def like(self, one: Sentence, read: Frame) -> list[tuple[float, float, int]]:
        """(how much of *one* is in it, how much both share, which), the best first."""
        wanted = set(read.content)
        if not wanted:
            return []
        shared: Counter[int] = Counter()
        for root in sorted(wanted, key=lambda root: len(self._by_stem.get(root, ())))[:12]:
            for number in self._by_stem.get(root, ())[:2000]:
                shared[number] += 1
        found = []
        for number, _ in shared.most_common(CANDIDATES):
            other = set(self.frames[number].content)
            common = len(wanted & other)
            held, alike = common / len(wanted), 2 * common / (len(wanted) + len(other))
            near = 0.05 * (self.sentences[number].section == one.section) + 0.05 * (
                self.sentences[number].tokens[:2] == one.tokens[:2]
            )
            found.append((held, alike + near, number))
        return sorted(found, key=lambda item: (-item[1], -item[0], item[2]))


def _compared(
    removed: list[Sentence], added: list[Sentence], old: _Index, new: _Index, lexicon: Lexicon
) -> list[Line]:
    partners, lines = _pairs(removed, added, lexicon), []
    paired_after = set(partners.values())
    for number, one in enumerate(removed):
        read = frame(one, lexicon)
        if number in partners:
            other = added[partners[number]]
            lines.append(_line(one, other, read, frame(other, lexicon), lexicon))
            continue
        kept = [new.frames[at] for held, _, at in new.like(one, read) if held >= 0.6]
        restricts = read.restricts - max((other.restricts for other in kept), default=0.0)
        permits = read.permits - max((other.permits for other in kept), default=0.0)
        change = max(0.0, restricts) - max(0.0, permits)
        lines.append(Line(one.section, change, _why_gone(read, change), before=one.text, file=one.file))
    for number, one in enumerate(added):
        if number in paired_after:
            continue
        read = frame(one, lexicon)
        kept = [old.frames[at] for held, _, at in old.like(one, read) if held >= 0.6]
        restricts = read.restricts - max((other.restricts for other in kept), default=0.0)
        permits = read.permits - max((other.permits for other in kept), default=0.0)
        change = max(0.0, permits) - max(0.0, restricts)
        lines.append(Line(one.section, change, _why_new(read, change), after=one.text, file=one.file))
    return lines


def _pairs(removed: list[Sentence], added: list[Sentence], lexicon: Lexicon) -> dict[int, int]:
    """Which removed sentence became which added one: the most alike first, each once; alone in its section counts as alike."""
    index = _Index(added, lexicon)
    scored = [
        (alike, number, at)
        for number, one in enumerate(removed)
        for _, alike, at in index.like(one, frame(one, lexicon))
        if alike >= ALIKE
    ]
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for _, number, at in sorted(scored, key=lambda item: (-item[0], item[1], item[2])):
        if number not in partners and at not in taken:
            partners[number] = at
            taken.add(at)
    if len(removed) == len(added) == 1 and not partners:
        return {0: 0}
    return partners


def _line(before: Sentence, after: Sentence, old: Frame, new: Frame, lexicon: Lexicon) -> Line:
    loosened, freed = old.restricts - new.restricts, new.permits - old.permits
    change = loosened + freed
    reach = widened(before, after, old, new, lexicon)
    if abs(change) < NOTICED or (change > 0) == (reach > 0):
        change += reach
    why = _why(loosened, freed, reach, old, new)
    return Line(after.section, round(change, 3), why, before.text, after.text, after.file)


def _why(loosened: float, freed: float, reach: float, old: Frame, new: Frame) -> str:
    said = []
    if loosened >= NOTICED:
        said.append(
            f"{_mood(old)} became {_mood(new)}" if _mood(old) != _mood(new) else f"{_mood(old)} is weaker"
        )
    elif loosened <= -NOTICED:
        said.append(
            f"{_mood(new)} came in the place of {_mood(old)}"
            if _mood(old) != _mood(new)
            else f"{_mood(old)} is stronger"
        )
    if freed >= NOTICED and loosened < NOTICED:
        said.append("it permits more")
    elif freed <= -NOTICED and loosened > -NOTICED:
        said.append("it permits less")
    if reach and not said:
        said.append("it reaches further" if reach > 0 else "it reaches less far")
    return "; ".join(said) or "the same force in other words"


def _mood(read: Frame) -> str:
    marks = set(read.marks)
    if read.permits and read.permits >= read.restricts:
        return "a permission"
    if read.restricts and {"gate", "gate_verb"} & marks:
        return "a gate"
    if read.restricts and marks & {"forbid", "negation", "no"}:
        return "a prohibition"
    if read.restricts and "soft_forbid" in marks:
        return "advice against it"
    if read.restricts and "limit" in marks:
        return "a limit"
    return "a plain sentence"


def _why_gone(read: Frame, change: float) -> str:
    return f"{_mood(read)} was removed" if abs(change) >= NOTICED else "said elsewhere, or without force"


def _why_new(read: Frame, change: float) -> str:
    return f"{_mood(read)} was added" if abs(change) >= NOTICED else "said elsewhere, or without force"


def _unseen(before: Mapping[str, str], after: Mapping[str, str]) -> list[Line]:
    found = []
    for name, text in after.items():
        secret = hidden(text)
        if secret and secret != hidden(before.get(name, "")):
            found.append(
                Line("", HIDDEN, "text that only the model can see was added", after=secret[:500], file=name)
            )
    return found


__all__ = ["InstructionDelta", "Line", "canonical_set", "delta", "set_digest"]
