"""What every reader of a configuration gives, and how it takes secrets out while it reads.

Rules kept here:

- A reader is a pure function from bytes to canonical resources: object id → flattened fields (`patches.State`).
- Secret values never leave it: what stands under a secret-like name, what is in a secret of its own kind, and what the source marks as
  sensitive becomes a keyed digest, so that a changed secret is a change and its value nowhere.
- What is not what it says to be is refused in words. Bounds: `MAX_BYTES` and `MAX_OBJECTS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from keyturn.drift.patches import PLAIN, Normal, State, flat
from keyturn.errors import Malformed, TooLarge
from keyturn.redaction import Secrets
from keyturn.redaction.marker import digest_of, marker

MAX_BYTES = 32 * 1024 * 1024
MAX_OBJECTS = 50_000
MAX_TEXT = 4_000
"""A longer value is kept as its digest."""


class ConfigurationMalformed(Malformed):
    """What was given is not a configuration of that source."""

    code = "configuration.malformed"
    not_done = "Nothing was recorded."
    next_step = "`keyturn configuration seen --help` says what each source is."


class Configuration(Struct, frozen=True):
    """What a source says: `state` as it is now; `proposed` the state that it plans, where it is a plan; `normal` what says nothing in it.

    `notes` tell what was left out.
    """

    state: State
    normal: Normal = PLAIN
    proposed: State | None = None
    notes: tuple[str, ...] = ()


class Hiding:
    """Takes secrets out, under the home's own key: equal secrets stay equal, and nobody without it can try guesses."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._secrets = Secrets(key)

    def value(self, value: Any) -> str:
        """The digest of a value that is known to be a secret."""
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        return marker("named-secret", digest_of(data, self._key), self._key)

    def taken(self, value: Any) -> Any:
        """A JSON value without its secrets."""
        return self._secrets.taken(value)

    def long(self, text: str) -> str:
        """*text*, or its keyed digest where it is long."""
        return (
            text
            if len(text) <= MAX_TEXT
            else f"{len(text)} characters, {digest_of(text.encode('utf-8', 'surrogatepass'), self._key)}"
        )


Reader = Callable[[bytes, Hiding], Configuration]


def parsed(data: bytes, what: str) -> Any:
    """JSON. Raises `ConfigurationMalformed`, `TooLarge`."""
    bounded(data)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigurationMalformed(f"This is no {what}: it is not JSON ({str(error)[:120]}).") from error


def bounded(data: bytes) -> None:
    """Raises `TooLarge`."""
    if len(data) > MAX_BYTES:
        raise TooLarge(f"A configuration has {len(data):,} bytes; at most {MAX_BYTES:,} are read.")


def table(value: Any, what: str) -> Mapping[str, Any]:
    """*value*, which has to be a table."""
    if not isinstance(value, Mapping):
        raise ConfigurationMalformed(f"This is no {what}: a table was expected.")
    return value


def fields(value: Any, hiding: Hiding) -> dict[str, Any]:
    """*value* without its secrets, flattened."""
    return {
        name: hiding.long(one) if isinstance(one, str) else one
        for name, one in flat(hiding.taken(value)).items()
    }


def counted(state: State) -> State:
    """*state*, if it is not too large."""
    if len(state) > MAX_OBJECTS:
        raise TooLarge(f"A configuration has {len(state):,} objects; at most {MAX_OBJECTS:,} are compared.")
    return state
