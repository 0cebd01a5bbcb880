"""What a value looks like: chance, a reference to something kept elsewhere, or a word that stands for a secret. Pure.

Rules kept here:

- A *reference* (`$TOKEN`, `$(pass show x)`, `{{ secret }}`, `op://…`, a path, a call) is not the secret, so it stays readable: it
  is what an agent should write instead.
- A *placeholder* (`xxxx`, `<token>`, `your-key-here`, `changeme`) hides nothing.
- A value *looks random* when its letters are spread as chance spreads them (Shannon's entropy a character, by length) and its
  kinds of characters change oftener than words make them.
"""

# ruff: noqa: E501 (a pattern or a case stands on one line)
from __future__ import annotations

import base64
import itertools
import math
import re
from collections import Counter
from functools import lru_cache

_REFERENCE = re.compile(
    rb"(?:\$[A-Za-z_{(\[?#@*0-9!-]|`|%[A-Za-z_]\w*%|\{\{|<[(\w/ -]|@|\\?\$\{|!(?:Ref|Sub|GetAtt|vault|secret)\b|"
    rb"(?:op|sm|ssm|vault|secret|env|file|keyring|keychain|awskms|gcpkms|https?|s3|gs|arn|projects)(?::|/{2})|"
    rb"(?:process\.env|os\.(?:environ|getenv)|System\.getenv|getenv|ENV\[|env\.|secrets?\.|vars?\.|data\.|local\.|self\.|this\.|config\.|"
    rb"args\.|opts?\.|options\.|settings\.|params?\.|request\.|req\.|input\()|\{[\w.]+\}\Z|\[(?:string|int|str)\b)",
)
_CALL = re.compile(rb"[A-Za-z_][\w.]*[(\[]")
_DOTTED = re.compile(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?:\[.*)?\Z")
_PATH = re.compile(rb"(?:~|\.{1,2}|[A-Za-z]:)?/(?:[\w.@ -]+/?)*\Z")
_PLACEHOLDER = re.compile(
    rb"(?:[*.x_?#-]+|[xX*]{3,}.*|\.{3}.*|<.*|\[[\w .-]*\]|\(.*\)|(?:your|my|the|some|insert|enter|put|replace|add)[-_. ]?[\w.-]*"
    rb"(?:pass|secret|token|key|here|me|value|cred)[\w.-]*|change[-_ ]?(?:me|it|this)\W*|(?:place|re)[-_]?holder.*|dummy|redacted|masked|hidden|example|sample|fake|"
    rb"(?:example|sample|fake|dummy|mock|test|default|some|any|new|old|my|your|the|user|db|root|admin)?[-_]?(?:pass(?:word|wd|phrase)?|pwd|secret|token|(?:api|access|secret)?[-_]?key|value|string|credentials?)|"
    rb"none|null|nil|true|false|yes|no|on|off|undefined|todo|fixme|tbd|n/?a|foo|bar|baz|foobar|test|testing|str(?:ing)?|int|bool|required|optional|empty|default|auto|prompt|stdin|ask|enabled|disabled)\Z",
    re.IGNORECASE,
)
_PATTERN = re.compile(rb"\.[*+]|\\[swdbSWD]|\[\^|\(\?|\*\Z|\A\*|[)\]][*+?]")
_WORDS = re.compile(rb"(?:[a-z]+|[A-Z]+|[A-Z][a-z]+)(?:[-_. /][A-Za-z][a-z]*|[A-Z][a-z]+)*\Z")
_NUMBER = re.compile(rb"[-+]?[\d.,:]+(?:[kKmMgGsdhw%]|ms|[kKmMgG]i?B)?\Z")
_TOKEN = re.compile(rb"[\x21-\x7e]+\Z")
_HEX = re.compile(rb"(?:0x)?[0-9a-fA-F]+\Z")
_DIGEST = re.compile(
    rb"(?:(?:sha\d*|md5|blake\w*)[:-])?(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\Z",
    re.IGNORECASE,
)
_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)
MARK = "⟦secret:".encode()


def is_reference(value: bytes) -> bool:
    """Whether *value* names where the secret is, or is made by code, instead of being it."""
    return bool(_REFERENCE.match(value) or _CALL.match(value) or _DOTTED.match(value)) or (
        bool(_PATH.match(value)) and (b"." in value or value.count(b"/") > 1) and not looks_random(value)
    )


def is_code(value: bytes) -> bool:
    """Whether *value* is an expression that gives the secret: a variable, a call, a template."""
    return bool(_REFERENCE.match(value) or _CALL.match(value)) and any(c in value for c in b"$({[`<%")


def is_placeholder(value: bytes) -> bool:
    """Whether *value* stands for a secret that is not there."""
    bare = value.rstrip(b"/|#,;:!)")
    return value.startswith(MARK) or len(set(bare)) <= 1 or bool(_PLACEHOLDER.match(bare))


def is_pattern(value: bytes) -> bool:
    """Whether *value* is what somebody searches with, not what is found."""
    return bool(_PATTERN.search(value))


def is_plain(value: bytes) -> bool:
    """Whether *value* is words or a number: what stands beside a colon in prose and in settings."""
    return bool(_WORDS.match(value) or _NUMBER.match(value))


def is_public(value: bytes) -> bool:
    """Whether *value* has the form of what is published everywhere: a digest, a commit, a UUID."""
    return bool(_DIGEST.match(value) or _UUID.match(value))


def is_mixed(value: bytes) -> bool:
    """Whether *value* has letters and digits."""
    return any(48 <= c <= 57 for c in value) and any(65 <= c <= 90 or 97 <= c <= 122 for c in value)


def is_text_in_base64(value: bytes) -> bool:
    """Whether *value* is words in base64: something written down, not made by chance."""
    try:
        inner = base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return len(inner) >= 6 and all(32 <= c < 127 or c in b"\t\r\n" for c in inner)


def is_pair_in_base64(value: bytes) -> bool:
    """Whether *value* is `user:password` in base64 (RFC 7617)."""
    try:
        inner = base64.b64decode(
            value + b"=" * (-len(value) % 4),
            altchars=b"-_" if b"-" in value or b"_" in value else None,
            validate=True,
        )
    except ValueError:
        return False
    return b":" in inner and all(c >= 32 for c in inner)


@lru_cache(maxsize=4096)
def looks_random(value: bytes) -> bool:
    """Whether chance made *value*: keys and tokens, not words, names or numbers."""
    size = len(value)
    if size < 12 or not _TOKEN.match(value) or _NUMBER.match(value) or _WORDS.match(value):
        return False
    entropy = -sum(n / size * math.log2(n / size) for n in Counter(value).values())
    if _HEX.match(value):
        return size >= 16 and entropy >= 2.6 and is_mixed(value)
    kinds = [_kind(c) for c in value]
    if kinds.count(3) * 2 > size:
        return False
    changes = sum(a != b for a, b in itertools.pairwise(kinds))
    letters = [k for k in kinds if k in (1, 2)]
    if b"/" in value and value.count(b"/") * 6 > size and changes * 3 < size:
        return False
    return (
        entropy >= min(3.6, 0.82 * math.log2(size))
        and changes * 4 >= size
        and (0 in kinds or len(set(letters)) == 2)
    )


def _kind(character: int) -> int:
    if 48 <= character <= 57:
        return 0
    if 97 <= character <= 122:
        return 1
    return 2 if 65 <= character <= 90 else 3
