"""Journeys to the provider and back: what was asked, by which browser, and what is to happen when it returns.

Rules kept here:

- A journey is begun by our own page and ended by it, once: it is taken out before anything is awaited (RFC 6749 §10.12, RFC 9700 §4.7).
- The state is known to the provider and to the address bar; the journey's key only to the page that began it, which keeps it in
  storage that belongs to one origin. Both are needed, so a link to a finished journey of somebody else's opens nothing here.
- They are kept in memory: a restart voids them. There is room for many, and the oldest goes first.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Literal

from msgspec import Struct

from keyturn.approvals.gesture import NONE, Gesture
from keyturn.errors import ExitCode, KeyturnError

MOST_FLOWS = 20_000


class FlowRefused(KeyturnError):
    """What came back from the provider belongs to no journey of this browser, or to one that ended."""

    code = "provider.flow"
    status = 401
    exit_code = ExitCode.REFUSED
    not_done = "Nobody was signed in and nothing was recorded."
    next_step = "Begin again from Keyturn's own page, in one browser, and come back within ten minutes."


class NextRefused(KeyturnError):
    """The place to go to afterwards is not on this server."""

    code = "provider.next"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nobody was sent anywhere."
    next_step = "Name a path of this server, such as /requests."


class SignIn(Struct, frozen=True):
    """To open a web session."""


class Decide(Struct, frozen=True):
    """To complete one decision with level `idp`. `nonce` is the statement's; whoever begins the journey makes it."""

    request: str
    choice: Literal["approve", "deny"]
    reason: str
    digest: str
    display: str
    grant: str = ""
    nonce: str = ""
    ticket: str = ""
    gesture: Gesture = NONE


class Commit(Struct, frozen=True):
    """To have the provider's word over bytes of somebody else's making, such as a key that is being enrolled."""


class Link(Struct, frozen=True):
    """To ask that the account there be linked to the person who is signed in here."""


Purpose = SignIn | Decide | Commit | Link


class Flow(Struct, frozen=True):
    """One journey. Times are milliseconds since 1970. `person` is who is signed in (None for signing in), in the session of `cookie`."""

    key: str
    nonce: str
    verifier: str
    redirect_uri: str
    purpose: Purpose
    next: str
    began_ms: int
    expires_ms: int
    person: str | None = None
    cookie: str = ""


class Flows:
    """The journeys that are under way."""

    def __init__(self) -> None:
        self._flows: dict[str, Flow] = {}

    def __len__(self) -> int:
        return len(self._flows)

    def begin(self, flow: Flow) -> str:
        """Keep *flow*; gives its state."""
        while len(self._flows) >= MOST_FLOWS:
            del self._flows[next(iter(self._flows))]
        state = secrets.token_urlsafe(32)
        self._flows[state] = flow
        return state

    def take(self, state: str, key: str, now_ms: int) -> Flow:
        """The journey that *state* ends, and no other: it is gone afterwards. Raises `FlowRefused`."""
        flow = self._flows.get(state)
        if flow is None or not hmac.compare_digest(hashed(key), flow.key):
            raise FlowRefused("This way back from the provider is unknown here, or was used.")
        del self._flows[state]
        if now_ms >= flow.expires_ms:
            raise FlowRefused("You were at the provider for too long.")
        return flow

    def forget(self, person: str) -> None:
        """Void the journeys of *person*."""
        self._flows = {state: flow for state, flow in self._flows.items() if flow.person != person}


def hashed(key: str) -> str:
    """A journey's key as it is kept."""
    return hashlib.sha256(b"keyturn/flow/v1\n" + key.encode("utf-8", "surrogatepass")).hexdigest()


def local_path(address: str) -> str:
    """*address*, if it is a path of this server; nobody is sent elsewhere by us. Raises `NextRefused`."""
    plain = address.isprintable() and address.isascii() and "\\" not in address and len(address) <= 2_000
    if not plain or not address.startswith("/") or address.startswith("//"):
        raise NextRefused("That is no path of this server.")
    return address
