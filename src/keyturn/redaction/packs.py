"""Rule files in gitleaks' format (github.com/gitleaks/gitleaks, `config/gitleaks.toml`), run over what was recorded. Pure.

Rules kept here:

- Patterns are RE2's, as gitleaks' own are (Go's `regexp`): linear time. What RE2 can't run is refused with the rule's name.
- As there: a rule is tried where one of its `keywords` occurs (any case); the secret is the group `secretGroup`, else the first group
  that matched, else all of it; it counts where its entropy is above `entropy` and no allowlist has it.
- What is about files in a repository is not about actions: rules with nothing but `path` are left out and named; `paths` and `commits`
  of allowlists allow nothing here.
"""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from keyturn.errors import ExitCode, KeyturnError
from keyturn.redaction.engine import Hints, Match, Pattern, Unsupported, pattern

MOST_BYTES = 262_144
"""Bytes of one text that are looked at."""
MOST_FOUND = 20
"""Secrets of one text that are told of."""


class RulesInvalid(KeyturnError):
    """A file of rules can't be read as gitleaks reads it, or has a pattern that RE2 can't run."""

    code = "redaction.rules_invalid"
    status = 500
    exit_code = ExitCode.USAGE
    not_done = "Keyturn did not start."
    next_step = "Correct the named rule, or take the file out of `[redaction] rules` in keyturn.toml."


class _Allowlist(Struct, frozen=True):
    regexes: tuple[str, ...] = ()
    stopwords: tuple[str, ...] = ()
    regex_target: Literal["", "secret", "match", "line"] = field(default="", name="regexTarget")


class _Rule(Struct, frozen=True):
    id: str
    regex: str = ""
    secret_group: Annotated[int, Meta(ge=0)] = field(default=0, name="secretGroup")
    entropy: float = 0.0
    keywords: tuple[str, ...] = ()
    path: str = ""
    allowlist: _Allowlist | None = None
    allowlists: tuple[_Allowlist, ...] = ()


class _File(Struct, frozen=True):
    rules: tuple[_Rule, ...] = ()
    allowlist: _Allowlist | None = None
    allowlists: tuple[_Allowlist, ...] = ()
    extend: dict[str, Any] = {}


class Found(Struct, frozen=True):
    """A secret that an imported rule found: the rule's id, and the secret."""

    rule: str
    secret: bytes


class _Allowed:
    """What an allowlist lets be."""

    def __init__(self, lists: Sequence[_Allowlist], where: str) -> None:
        self._patterns = [
            (_compiled(regex, where), one.regex_target or "secret") for one in lists for regex in one.regexes
        ]
        self._stopwords = [word.lower().encode() for one in lists for word in one.stopwords]

    def has(self, secret: bytes, match: bytes, line: bytes) -> bool:
        texts = {"secret": secret, "match": match, "line": line}
        lowered = secret.lower()
        return any(word in lowered for word in self._stopwords) or any(
            regex.search(texts[target]) for regex, target in self._patterns
        )


class _Compiled(Struct, frozen=True):
    id: str
    regex: Pattern
    group: int
    entropy: float
    allowed: Any


class Pack:
    """Compiled rules. `left_out` names rules that are about files only."""

    def __init__(self, files: Sequence[_File], names: Sequence[str]) -> None:
        self.left_out: list[str] = []
        self._rules: list[_Compiled] = []
        hints: list[str] = []
        self._of_hint: list[int] = []
        self._always: list[int] = []
        for file, name in zip(files, names, strict=True):
            general = _Allowed(_lists(file), name)
            self._take(file, name, general, hints)
        self._hints = Hints(hints) if hints else None

    def _take(self, file: _File, name: str, general: _Allowed, hints: list[str]) -> None:
        for rule in file.rules:
            where = f"{name}: rule {rule.id!r}"
            if not rule.regex:
                self.left_out.append(rule.id)
                continue
            regex = _compiled(rule.regex, where)
            if rule.secret_group > regex.groups:
                raise RulesInvalid(f"{where}: it has no group {rule.secret_group}.")
            number = len(self._rules)
            own = _Allowed(_lists(rule), where)
            self._rules.append(_Compiled(rule.id, regex, rule.secret_group, rule.entropy, (general, own)))
            if not rule.keywords:
                self._always.append(number)
            for word in rule.keywords:
                hints.append(_literal(word))
                self._of_hint.append(number)

    def __len__(self) -> int:
        return len(self._rules)

    def found(self, text: str) -> list[Found]:
        """Secrets in *text*, without repetition."""
        data = text.encode("utf-8", "surrogatepass")[:MOST_BYTES]
        known = self._hints.found(data) if self._hints is not None else []
        wanted = sorted({*self._always, *(self._of_hint[one] for one in known)})
        made: dict[bytes, Found] = {}
        for number in wanted:
            for one in self._of_rule(self._rules[number], data):
                made.setdefault(one.secret, one)
        return list(made.values())[:MOST_FOUND]

    def _of_rule(self, rule: _Compiled, data: bytes) -> Iterator[Found]:
        for match in rule.regex.finditer(data):
            start, end = _secret(match, rule)
            secret = data[start:end]
            if not secret or (rule.entropy and _entropy(secret) <= rule.entropy):
                continue
            whole = data[match.start() : match.end()]
            line = data[
                data.rfind(b"\n", 0, match.start()) + 1 : (data.find(b"\n", match.end()) + 1 or len(data) + 1)
                - 1
            ]
            if not any(allowed.has(secret, whole, line) for allowed in rule.allowed):
                yield Found(rule.id, secret)


def read(texts: Sequence[tuple[str, bytes]]) -> Pack:
    """Rules out of files (name, content). Raises `RulesInvalid`."""
    files, names = [], []
    for name, data in texts:
        try:
            file = msgspec.convert(tomllib.loads(data.decode("utf-8")), _File)
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise RulesInvalid(f"{name}: {error}.") from error
        if file.extend.get("useDefault") or file.extend.get("path") or file.extend.get("url"):
            raise RulesInvalid(
                f"{name}: it extends other rules; name their files in `rules`, too, and take `[extend]` out."
            )
        files.append(file)
        names.append(name)
    return Pack(files, names)


def _lists(owner: _Rule | _File) -> list[_Allowlist]:
    return [*owner.allowlists, *([owner.allowlist] if owner.allowlist else [])]


def _compiled(regex: str, where: str) -> Pattern:
    try:
        return pattern(regex)
    except Unsupported as error:
        raise RulesInvalid(f"{where}: RE2 can't run its pattern ({error}).") from error


def _literal(word: str) -> str:
    return "".join(c if c.isalnum() else "\\" + c if c.isascii() else c for c in word.lower())


def _secret(match: Match, rule: _Compiled) -> tuple[int, int]:
    if rule.group:
        return match.span(rule.group)
    for group in range(1, rule.regex.groups + 1):
        start, end = match.span(group)
        if end > start >= 0:
            return start, end
    return match.span()


def _entropy(data: bytes) -> float:
    size = len(data)
    return -sum(n / size * math.log2(n / size) for n in Counter(data).values())


__all__ = ["Found", "Pack", "RulesInvalid", "read"]
