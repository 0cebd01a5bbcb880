"""What stands where a secret stood: `⟦secret:github-token:3f9a…⟧`. Pure.

Rules kept here:

- A marker is one word to every shell, so a redacted command reads like the true one (replay, drills, counterfactuals).
- It has the kind, a keyed digest (HMAC-SHA-256 under the home's redaction key, 80 bits) and a check under the same key (40 bits). Equal
  secrets have equal digests, whatever rule found them and however they were quoted; without the key nobody can try guesses.
- What comes in and looks like a marker is none: it is written so that it can't be mistaken (`⟦unverified:`), before anything is redacted.
  The check tells our own from others where text is redacted again.
"""

from __future__ import annotations

import hashlib
import hmac
import re

OPEN = "⟦secret:"
ESCAPED = "⟦unverified:"
DIGEST_HEX = 20
CHECK_HEX = 10
_OPEN, _ESCAPED = OPEN.encode(), ESCAPED.encode()
MARKER = re.compile(
    rb"\xe2\x9f\xa6secret:([a-z0-9-]{1,40}):([0-9a-f]{%d})\.([0-9a-f]{%d})\xe2\x9f\xa7"
    % (DIGEST_HEX, CHECK_HEX)
)


def digest_of(value: bytes, key: bytes) -> str:
    """The keyed digest of a secret, 80 bits in hexadecimal."""
    return hmac.new(key, b"keyturn/secret/v1\n" + value, hashlib.sha256).hexdigest()[:DIGEST_HEX]


def marker(kind: str, digest: str, key: bytes) -> str:
    """The marker of a secret with *digest*."""
    return f"{OPEN}{kind}:{digest}.{_check(kind, digest, key)}⟧"


def _check(kind: str, digest: str, key: bytes) -> str:
    text = f"keyturn/marker/v1\n{kind}\n{digest}".encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()[:CHECK_HEX]


def own(text: bytes, key: bytes) -> list[tuple[int, int, str, str]]:
    """(start, end, kind, digest) of the markers in *text* that were made with *key*."""
    if _OPEN not in text:
        return []
    return [
        (found.start(), found.end(), found[1].decode(), found[2].decode())
        for found in MARKER.finditer(text)
        if hmac.compare_digest(found[3].decode(), _check(found[1].decode(), found[2].decode(), key))
    ]


def escaped(text: bytes) -> bytes:
    """*text* without anything that looks like a marker's beginning."""
    return text.replace(_OPEN, _ESCAPED) if _OPEN in text else text


__all__ = ["ESCAPED", "OPEN", "digest_of", "escaped", "marker", "own"]
