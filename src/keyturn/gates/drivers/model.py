"""What a driver's core takes and gives. Cores do no I/O: a test plays both the client and Keyturn."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.hooks.model import Proposal

MAX_TEXT = 65_536
"""Characters of stated reasoning or words that are kept per turn; the rest is left out."""


class DriverError(KeyturnError):
    """The client speaks its protocol in a way that leaves no safe continuation."""

    code = "run.client_failed"
    status = 502
    exit_code = ExitCode.RUN_INTERNAL
    not_done = "What the client had asked for and was not answered did not run; the client was ended."
    next_step = (
        "Look at the client's own message above; `keyturn doctor` names the versions that were tested."
    )


class Send(Struct, frozen=True):
    """A message for the client."""

    message: dict[str, Any]


class Opened(Struct, frozen=True):
    """The client began a session: its own id for it, its version and model where it says so."""

    client_session: str
    version: str = ""
    model: str = ""


class Ask(Struct, frozen=True):
    """The client wants to do something and waits. Answer with `Driver.answer(key, …)`.

    `proposals` has one item per thing the call does; all must be allowed. `reasoning` is what the agent said since
    its last action.
    """

    key: str
    call: str
    proposals: tuple[Proposal, ...]
    cwd: str
    reasoning: str = ""


class Observed(Struct, frozen=True):
    """The client did something without asking. It can only be recorded, and the run ended if policy would not have run it."""

    call: str
    proposals: tuple[Proposal, ...]
    cwd: str
    reasoning: str = ""


class Finished(Struct, frozen=True):
    """The client says that a call ended. `output` is what it says came out, for its digest."""

    call: str
    outcome: Literal["done", "failed", "not-run", "unknown"]
    exit_code: int | None = None
    output: str | None = None


class Said(Struct, frozen=True):
    """Words of the agent for the human. `thought` marks its reasoning."""

    text: str
    thought: bool = False


class Ended(Struct, frozen=True):
    """The turn is over. `ok` is False when the client failed or can't be driven safely."""

    ok: bool
    why: str = ""


Event = Send | Opened | Ask | Observed | Finished | Said | Ended


class Verdict(Struct, frozen=True):
    """Keyturn's answer to an `Ask`."""

    allow: bool
    words: str = ""


class Driver(Protocol):
    """A sans-I/O core. Whatever it is fed, it never lets the client run what Keyturn didn't allow."""

    def start(self) -> list[Event]:
        """The first messages."""
        ...

    def receive(self, message: Any) -> list[Event]:
        """One decoded message of the client; junk is answered with a refusal or ignored, never with an allow."""
        ...

    def answer(self, key: str, verdict: Verdict) -> list[Event]:
        """Keyturn's verdict on the `Ask` with that key. An unknown or answered key gives nothing."""
        ...

    def unclear(self) -> list[Event]:
        """Refuse what the client asked for without saying, in time, what it is."""
        ...

    def interrupt(self) -> list[Event]:
        """Stop the turn: the human gave up, or something ran that must not have."""
        ...


def clip(text: str) -> str:
    """*text* within `MAX_TEXT`."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + " …"
