"""The home's redaction: texts and values without their secrets, under its own key, and digests that nobody can guess from (promise 9).

Rules kept here:

- Whatever a use case is told in words goes through `text` before it is compared, digested or recorded; the ledger's capture (`drafted`)
  does it again for every entry, so that a new use case can't forget it.
- What is kept out of that is only what this program made itself or what a signature or digest covers (`EXEMPT`, `CAPTURED`).
- A digest of bytes with a secret in them is never recorded: who has it could try out short secrets. Its HMAC under the same key is.
- What was looked through is remembered: texts without a secret as they are, of others only what is left of them, under a keyed digest.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from keyturn.actions import Reading
from keyturn.ledger.entries import Draft, Prepared
from keyturn.redaction import Secrets, plain, redact
from keyturn.redaction.marker import digest_of

T = TypeVar("T", str, bytes)

REMEMBERED = 4_096
"""Texts of one generation that are known to have no secret, and texts with one of which the rest is known."""
MOST_REMEMBERED = 65_536
"""Texts of at most so many characters are remembered: an instruction comes along with every action of its session."""
WEIGHT = 8_388_608
"""Characters of one generation."""

CAPTURED = frozenset({"action.decided"})
"""Entries whose fields are made from what was captured as a whole (`capturing`)."""

EXEMPT = frozenset(
    [
        "proof",
        "provider",
        "evidence",
        "record",
        "jwks",
        "token",
        "seal",
        "statement",
        "nonce",
        "files",
        "blob",
        "commitment",
        "public_key",
        "digest",
        "display",
        "policy",
        "id",
        "request",
        "action",
        "permit",
        "reading",
        "log_key",
        "permit_key",
        "cookie",
        "endpoint",
        "p256dh",
        "auth",
        "keys",
        "content",
        "shown",
        "key",
        "reason_digest",
        "checkpoint",
    ]
)
"""Fields that a digest or a signature covers, or that this program made: redacted before they were digested, or never words."""


READINGS = 1024
"""True readings of sealed actions that are kept in memory."""


class Clear(Generic[T]):
    """What was looked through and has no secret. Two generations: what comes again stays, what does not is forgotten."""

    __slots__ = ("_new", "_old", "_weight")

    def __init__(self) -> None:
        self._new: set[T] = set()
        self._old: set[T] = set()
        self._weight = 0

    def has(self, one: T) -> bool:
        """Whether *one* is known to have none."""
        if one in self._new:
            return True
        if one not in self._old:
            return False
        self.add(one)
        return True

    def has_all(self, many: Iterable[T]) -> bool:
        """Whether all of *many* are known to have none; False may also mean that they were not seen lately."""
        return self._new.issuperset(many)

    def add(self, one: T) -> None:
        """*one* has none."""
        if len(one) > MOST_REMEMBERED:
            return
        if len(self._new) >= REMEMBERED or self._weight > WEIGHT:
            self._old, self._new, self._weight = self._new, set(), 0
        self._new.add(one)
        self._weight += len(one)


class Redaction:
    """Takes secrets out, under *key*. May be used from any thread."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.clear: Clear[str] = Clear()
        self.clear_actions: Clear[bytes] = Clear()
        self._told: OrderedDict[bytes, str] = OrderedDict()

    def text(self, text: str) -> str:
        """*text* without secrets, the same object where it has none; markers of this home stay."""
        if self.clear.has(text):
            return text
        name = self._named(text)
        done = self._told.get(name)
        if done is None:
            done = redact(text, self.key).text
            if done == text:
                self.clear.add(text)
                return text
            self._tell(name, done)
        return done

    def _named(self, text: str) -> bytes:
        """Under which the rest of a text with a secret is remembered: nobody can tell the text from that."""
        data = b"keyturn/told/v1\n" + text.encode("utf-8", "surrogatepass")
        return hmac.digest(self.key, data, "sha256")

    def _tell(self, name: bytes, done: str) -> None:
        if len(done) <= MOST_REMEMBERED:
            self._told[name] = done
            while len(self._told) > REMEMBERED:
                self._told.popitem(last=False)

    def secrets(self) -> Secrets:
        """For several texts that belong together."""
        return Secrets(self.key)

    def value(self, value: Any) -> Any:
        """A JSON value without secrets; the same object where it had none."""
        if isinstance(value, str):
            return self.text(value) if len(value) > 2 else value
        if isinstance(value, dict):
            made = {name: self.value(member) for name, member in value.items()}
            return value if all(made[name] is value[name] for name in made) else made
        if isinstance(value, list | tuple):
            items = [self.value(item) for item in value]
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        return value

    def keyed(self, digest: str) -> str:
        """`hmac-sha256:<hex>` of a digest of bytes that have a secret in them."""
        made = hmac.new(self.key, b"keyturn/sealed/v1\n" + digest.encode(), hashlib.sha256)
        return f"hmac-sha256:{made.hexdigest()}"

    def digest(self, secret: bytes) -> str:
        """The keyed digest of a secret, as markers have it."""
        return digest_of(plain.taken_apart(secret), self.key)

    def drafted(self, draft: Draft) -> Draft:
        """*draft* without secrets in its words: what the ledger does with every draft before it gives it its place."""
        if draft.type in CAPTURED or not draft.fields or draft.fields.get("subject") in ("action", "plan"):
            return draft
        made: dict[str, Any] | None = None
        for name, value in draft.fields.items():
            if name in EXEMPT or value is None or isinstance(value, Prepared | bool | int | float):
                continue
            done = self.value(value)
            if done is not value:
                made = made or dict(draft.fields)
                made[name] = done
        return draft if made is None else Draft(draft.type, made, draft.session, draft.once, draft.blobs)


class Remembered:
    """True readings of sealed actions, by the action's id."""

    def __init__(self) -> None:
        self._readings: OrderedDict[str, Reading] = OrderedDict()

    def keep(self, action: str, reading: Reading) -> None:
        """Keep it, and forget the oldest."""
        self._readings[action] = reading
        while len(self._readings) > READINGS:
            self._readings.popitem(last=False)

    def reading(self, action: str) -> Reading | None:
        """The one that was kept."""
        return self._readings.get(action)


__all__ = ["CAPTURED", "EXEMPT", "Clear", "Redaction", "Remembered"]
