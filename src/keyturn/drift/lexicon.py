"""What words mean for what an agent may do: classes of phrases, and words that mean the same.

The built-in lexicon is `lexicons/english.toml`; `extended` adds phrases to its classes (drift.toml `[lexicon]`), for other languages
and a house's own words. A phrase is words in order; `word*` stands for every word with that beginning.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

from msgspec import Struct

from keyturn.errors import Malformed
from keyturn.policy.drift.lexicon import CLASSES

MOST_PHRASES = 20_000


class LexiconError(Malformed):
    """The lexicon has a class that is none, or something that is no phrase."""

    code = "lexicon.malformed"
    not_done = "Nothing was compared."
    next_step = "The classes are listed in docs/reference/policy.md."


class Phrases:
    """The phrases of one class; finds which begin at a token."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._words: dict[str, list[tuple[str, ...]]] = {}
        self._beginnings: dict[str, list[tuple[str, ...]]] = {}
        for phrase in phrases:
            words = tuple(phrase.lower().split())
            if not words:
                continue
            if words[0].endswith("*"):
                self._beginnings.setdefault(words[0][:2], []).append(words)
            else:
                self._words.setdefault(words[0], []).append(words)

    def at(self, tokens: Sequence[str], index: int) -> int:
        """How many tokens the longest phrase that begins at *index* has; 0 for none."""
        first = tokens[index]
        best = 0
        for words in (*self._words.get(first, ()), *self._beginnings.get(first[:2], ())):
            size = len(words)
            fits = size > best and index + size <= len(tokens)
            if fits and all(_is(word, tokens[index + at]) for at, word in enumerate(words)):
                best = size
        return best

    def __contains__(self, token: str) -> bool:
        return self.at((token,), 0) == 1

    def anywhere(self, tokens: Sequence[str]) -> bool:
        """Whether some phrase occurs."""
        return any(self.at(tokens, index) for index in range(len(tokens)))


def _is(word: str, token: str) -> bool:
    return token.startswith(word[:-1]) if word.endswith("*") else token == word


class Lexicon(Struct, frozen=True):
    """Phrases by class; `groups` says which group of same meaning a stem belongs to, `forms` which word an irregular form is of."""

    classes: dict[str, Phrases]
    groups: dict[str, str]
    forms: dict[str, str]

    def meaning(self, token: str) -> str:
        """The stem of *token*, or the group that it shares with others."""
        root = stem(self.forms.get(token, token))
        return self.groups.get(root, root)

    def __getitem__(self, name: str) -> Phrases:
        return self.classes[name]


def _made(
    table: Mapping[str, Sequence[str]], synonyms: Mapping[str, Sequence[str]], forms: Mapping[str, str]
) -> Lexicon:
    groups = {stem(word): f"={name}" for name, words in synonyms.items() for word in words}
    return Lexicon({name: Phrases(table.get(name, ())) for name in CLASSES}, groups, dict(forms))


def _built_in() -> dict[str, object]:
    text = (files("keyturn.drift") / "lexicons" / "english.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@lru_cache(maxsize=1)
def english() -> Lexicon:
    """The lexicon that comes with this version."""
    return extended({})


def extended(more: Mapping[str, object]) -> Lexicon:
    """The built-in lexicon with *more* phrases: class → phrases, `synonyms` → group → words. Raises `LexiconError`."""
    table = _built_in()
    synonyms: dict[str, list[str]] = {name: list(words) for name, words in table.pop("synonyms").items()}  # type: ignore[attr-defined]
    forms: dict[str, str] = dict(table.pop("forms"))  # type: ignore[call-overload]
    classes: dict[str, list[str]] = {name: list(words) for name, words in table.items()}  # type: ignore[call-overload]
    for name, phrases in more.items():
        if name == "synonyms":
            if not isinstance(phrases, Mapping):
                raise LexiconError("In a lexicon, `synonyms` is a table of groups.")
            for group, words in phrases.items():
                synonyms.setdefault(str(group), []).extend(_phrases(f"synonyms.{group}", words))
            continue
        if name not in CLASSES:
            raise LexiconError(f"A lexicon has no class {name[:40]!r}.")
        classes[name] += _phrases(name, phrases)
    if sum(map(len, classes.values())) > MOST_PHRASES:
        raise LexiconError(f"A lexicon has at most {MOST_PHRASES:,} phrases.")
    return _made(classes, synonyms, forms)


def _phrases(name: str, value: object) -> list[str]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise LexiconError(f"In a lexicon, {name[:60]} is a list of phrases.")
    for phrase in value:
        if not isinstance(phrase, str) or not phrase.strip("* ") or len(phrase) > 100:
            raise LexiconError(f"In a lexicon, {name[:60]} has something that is no phrase.")
    return [str(phrase) for phrase in value]


_ENDINGS = (
    "ations",
    "ation",
    "ments",
    "ment",
    "ings",
    "ing",
    "ies",
    "ied",
    "ions",
    "ion",
    "als",
    "al",
    "ers",
    "er",
    "ed",
    "es",
    "ly",
    "s",
    "e",
    "y",
)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """*word* without its ending, so that forms of one word meet (`deleting`, `deletion`, `deletes` → `delet`)."""
    if not word.isalpha():
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiousl":
        word = word[:-1]
    return word
