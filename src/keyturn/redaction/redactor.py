"""Secrets taken out of a text, and out of JSON values. Pure.

Rules kept here:

- `redact` gives the text with a marker for each secret, and where the markers stand. Redacting the result again changes nothing.
- Text from outside (*fresh*) has no markers of ours: what looks like one is escaped. Text that may have been redacted before keeps
  those whose check is right, and escapes the others.
- `Secrets` remembers what was taken out, as a program would see it, so that the same value is taken out of everything that was made
  from the text (its words, its effects, its sentence), wherever it stands there and however it is quoted.
- In JSON, the name of a member is the name beside its value; a list of words is read like a command.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import shlex
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from keyturn.redaction import plain, values
from keyturn.redaction.marker import OPEN, digest_of, escaped, marker, own
from keyturn.redaction.named import is_secret
from keyturn.redaction.names import Sure, sureness
from keyturn.redaction.scan import hits

SHORT = 8
"""Values shorter than this are only taken out where they stand as whole words: `root` is a password and a folder."""
MOST_DEPTH = 200


class Span(Struct, frozen=True):
    """A secret that was taken out: its kind, its keyed digest, and the bytes `[start, end)` of its marker in the redacted text."""

    kind: str
    digest: str
    start: int
    end: int


class Redacted(Struct, frozen=True):
    """A text without its secrets."""

    text: str
    spans: tuple[Span, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of secrets that it had, sorted."""
        return tuple(sorted({span.kind for span in self.spans}))


def redact(text: str, key: bytes, *, fresh: bool = False) -> Redacted:
    """*text* with a marker for each secret. *fresh*: it comes from outside, so no marker in it is ours."""
    if OPEN not in text and not hits(text.encode("utf-8", "surrogatepass")):
        return Redacted(text)  # nearly every text, quickly
    return Secrets(key).redacted(text, fresh=fresh)


class Secrets:
    """What was found so far, under one key. Not shared between actions."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[bytes, tuple[str, str]] = {}
        self._finder: re.Pattern[bytes] | None = None

    @property
    def found(self) -> dict[str, str]:
        """Digest → kind of each secret."""
        return {digest: kind for kind, digest in self._known.values()}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of secrets, sorted."""
        return tuple(sorted({kind for kind, _ in self._known.values()}))

    def redacted(self, text: str, *, fresh: bool = False) -> Redacted:
        """*text* without its secrets, which are remembered."""
        done = self._once(text, fresh=fresh)
        while done.spans and (again := self._once(done.text, fresh=False)).text != done.text:
            done = again  # what stands between two markers can read otherwise than it did
        return done

    def _once(self, text: str, *, fresh: bool) -> Redacted:
        data = text.encode("utf-8", "surrogatepass")
        kept = [] if fresh else own(data, self._key)
        out: list[bytes] = []
        spans: list[Span] = []
        at = size = 0
        for start, end, kind, digest in [*kept, (len(data), len(data), "", "")]:
            for piece in self._pieces(escaped(data[at:start])):
                if isinstance(piece, tuple):
                    mark = marker(*piece, self._key).encode()
                    spans.append(Span(*piece, size, size + len(mark)))
                    piece = mark
                out.append(piece)
                size += len(piece)
            if end > start:
                spans.append(Span(kind, digest, size, size + end - start))
                out.append(data[start:end])
                size += end - start
            at = end
        if not spans and len(data) == size and not kept:
            whole = b"".join(out)
            return Redacted(text if whole == data else whole.decode("utf-8", "surrogatepass"))
        return Redacted(b"".join(out).decode("utf-8", "surrogatepass"), tuple(spans))

    def _pieces(self, data: bytes) -> list[bytes | tuple[str, str]]:
        """Text, and (kind, digest) where a secret stood."""
        found = hits(data)
        if not found:
            return [data]
        done: list[bytes | tuple[str, str]] = []
        at = 0
        for hit in found:
            done += [data[at : hit.start], (hit.kind, self._remember(data[hit.start : hit.end], hit.kind))]
            at = hit.end
        return [*done, data[at:]]

    def _remember(self, value: bytes, kind: str) -> str:
        inner = plain.taken_apart(value)
        known = self._known.get(inner)
        if known is None:
            known = self._known[inner] = (kind, digest_of(inner, self._key))
            self._finder = None
        self._known.setdefault(value, known)
        return known[1]

    def keyed(self, digest: str) -> str:
        """A digest of bytes with a secret in them, so that nobody can guess from it: `hmac-sha256:<hex>`."""
        return (
            "hmac-sha256:"
            + hmac.new(self._key, b"keyturn/file/v1\n" + digest.encode(), hashlib.sha256).hexdigest()
        )

    # --- everything made from the text ---------------------------------------------------------------------------

    def cleaned(self, text: str) -> str:
        """*text*, which was made from what was scanned, without what was found there and without any other secret."""
        if self._known:
            data = self._taken_out(text.encode("utf-8", "surrogatepass"))
            text = data.decode("utf-8", "surrogatepass")
        return self.redacted(text).text

    def _taken_out(self, data: bytes) -> bytes:
        if self._finder is None:
            longest_first = sorted((one for one in self._known if len(one) >= 3), key=len, reverse=True)
            self._finder = re.compile(b"|".join(map(_whole_word, longest_first)) or rb"(?!)")

        def replaced(match: re.Match[bytes]) -> bytes:
            return marker(*self._known[match[0]], self._key).encode()

        return self._finder.sub(replaced, data)

    def clean(self, value: Any) -> Any:
        """A JSON value made from what was scanned, without its secrets: new where something changed."""
        if isinstance(value, str):
            return self.cleaned(value)
        if isinstance(value, dict):
            return {self.cleaned(name): self.clean(member) for name, member in value.items()}
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        return value

    # --- JSON from outside ---------------------------------------------------------------------------------------

    def taken(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """A JSON value from outside without its secrets. *name* is the member under which it stands."""
        if depth > MOST_DEPTH:
            return value
        if isinstance(value, str):
            return self._taken_text(value, name)
        if isinstance(value, Mapping):
            self._told_apart(value)
            return {
                self.redacted(str(key), fresh=True).text: self.taken(member, str(key), depth + 1)
                for key, member in value.items()
            }
        if isinstance(value, list | tuple):
            words = [item for item in value if isinstance(item, str)]
            if len(words) > 1 and len(words) == len(value):
                self.redacted(
                    shlex.join(words)[:65_536], fresh=True
                )  # remembers what a command's words give away
                return [self.cleaned(self._taken_text(word, name)) for word in words]
            return [self.taken(item, name, depth + 1) for item in value]
        number = isinstance(value, int | float) and not isinstance(value, bool) and len(str(value)) >= 4
        if number and sureness(name.encode("utf-8", "surrogatepass")) is Sure.CERTAIN:
            return marker("named-secret", self._remember(str(value).encode(), "named-secret"), self._key)
        return value

    def _told_apart(self, value: Mapping[Any, Any]) -> None:
        """`{"name": "DB_PASSWORD", "value": "…"}`: the name stands beside the value, not above it."""
        name = next(
            (value[k] for k in ("name", "key", "Name", "Key", "header") if isinstance(value.get(k), str)), ""
        )
        held = next(
            (value[k] for k in ("value", "Value", "secret", "data") if isinstance(value.get(k), str)), ""
        )
        if name and held:
            self._taken_text(held, name)

    def _taken_text(self, text: str, name: str) -> str:
        if name:
            data = text.encode("utf-8", "surrogatepass")
            sure = sureness(name.encode("utf-8", "surrogatepass"))
            if (
                sure
                and b"\n" not in data.strip()
                and len(data) <= 8192
                and is_secret(data, sure, 3, True, True)
            ):
                digest = self._remember(data, "named-secret")
                found = hits(data)
                kind = found[0].kind if found else "named-secret"
                return marker(kind, digest, self._key)
            if name.lower() in ("authorization", "proxy-authorization", "cookie", "set-cookie"):
                whole = self.redacted(f"{name}: {text}", fresh=True)
                if whole.spans:
                    return whole.text[len(name) + 2 :]
        told = self.redacted(text, fresh=True).text
        return self.cleaned(told) if self._known else told


def _whole_word(value: bytes) -> bytes:
    literal = re.escape(value)
    return literal if len(value) >= SHORT else rb"(?<![A-Za-z0-9_/.-])" + literal + rb"(?![A-Za-z0-9_/-])"


__all__ = ["Redacted", "Secrets", "Span", "redact", "values"]
