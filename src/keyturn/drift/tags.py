"""Tags: what a gate writes into the target's own log, so that each statement there names the action that it belongs to.

    kt1.<id>.<mac>      49 characters out of a-z 0-9 _ .

Rules kept here:

- A tag is checked, not trusted: its MAC is over its id and the target that it was made for, with a key that never leaves the
  server. What somebody else makes up, or makes for another target, is not a tag.
- The tag of a session is for any target: whoever starts a program does not know what it will speak to. The tag of an action is
  for one target.
- The MAC has 80 bits: nobody can try one without leaving a line in the target's log for each try. So short a tag fits all its
  places: PostgreSQL's `application_name` (NAMEDATALEN - 1: 63 bytes), AWS' role session name and source identity (64 of
  `[\\w+=,.@-]`), and an AWS SDK's application id (50).
- A trace id (W3C Trace Context §3.2.2.3) is derived in the same way from a session, for targets that log `traceparent` only.

A tag is no secret: whoever reads the target's log sees it, and the agent that carries it can say it again. What it may be said
for is checked by `matching`: its action's statement, once, in its action's time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from msgspec import Struct

ANY = "*"
"""The target of a session's tag."""

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
MAC_CHARACTERS = 16
MAX_TARGET = 200
"""Characters of a target's name."""

TAG = re.compile(r"kt1\.(?P<id>[as]_[0-9a-z]{26})\.(?P<mac>[0-9a-z]{16})", re.ASCII)
_LOOKS = re.compile(r"kt1[.:][0-9A-Za-z_]{1,64}(?:[.:][0-9A-Za-z]{0,64})?", re.ASCII)
_TRACE = re.compile(r"\b[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\b", re.ASCII)

VARIABLES = ("PGAPPNAME", "AWS_ROLE_SESSION_NAME", "AWS_SDK_UA_APP_ID", "KEYTURN_TAG")
"""Variables that a tag is given in, whatever they said before: libpq, AWS' SDKs, and programs that people write."""


class Tagged(Struct, frozen=True):
    """A tag whose MAC is right: `id` is an action's or a session's."""

    id: str

    @property
    def of_session(self) -> bool:
        """Whether it is a whole session's."""
        return self.id.startswith("s_")


class Tags:
    """Makes and checks tags with the key that comes of the home's *secret*."""

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"keyturn tag v1", "sha256")

    def tag(self, id: str, target: str = ANY) -> str:
        """The tag of the action or session *id*; a session's is for any target."""
        return f"kt1.{id}.{self._mac(id, ANY if id.startswith('s_') else target)}"

    def checked(self, text: str, target: str) -> Tagged | None:
        """What the tag *text* says when it was made here for *target*; None when it was not."""
        match = TAG.fullmatch(text)
        if match is None:
            return None
        id = match["id"]
        right = self._mac(id, ANY if id.startswith("s_") else target)
        return Tagged(id) if hmac.compare_digest(right, match["mac"]) else None

    def trace(self, session: str) -> str:
        """The trace id of *session*: 32 hexadecimal digits."""
        return hmac.digest(self._key, f"trace\0{session}".encode(), "sha256")[:16].hex()

    def _mac(self, id: str, target: str) -> str:
        digest = hmac.new(self._key, f"{id}\0{target}".encode(), hashlib.sha256).digest()
        number = int.from_bytes(digest[:10], "big")
        return "".join(ALPHABET[(number >> shift) & 31] for shift in range(75, -1, -5))


def carried(tag: str, trace: str, before: Mapping[str, str]) -> dict[str, str]:
    """The environment *before* with *tag* in every variable of `VARIABLES`, and *trace* in TRACEPARENT unless there is one."""
    if not tag:
        return dict(before)
    parent = {"TRACEPARENT": f"00-{trace}-{trace[:16]}-01"} if trace else {}
    return {**parent, **before, **dict.fromkeys(VARIABLES, tag)}


def found_in(*texts: str) -> str:
    """The first thing in *texts* that is a tag or looks like one: a forged one has to be seen, too. Empty without one."""
    for text in texts:
        match = _LOOKS.search(text)
        if match is not None:
            exact = TAG.search(text)
            return exact.group() if exact else match.group()
    return ""


def trace_in(text: str) -> str:
    """The trace id of a `traceparent` in *text*; empty without one."""
    match = _TRACE.search(text)
    return match["trace"] if match else ""


__all__ = ["ANY", "TAG", "VARIABLES", "Tagged", "Tags", "carried", "found_in", "trace_in"]
