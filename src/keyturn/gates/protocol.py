"""The gates' protocol on the Unix socket: frames of `uint32 big-endian length || body`.

A body that starts with `H` is a hook call (the hook client has no codec but `bytes`):
`H` then five NUL-terminated UTF-8 fields (version, client, event, cwd, parent pid) then the raw standard input.
Its answer body: one byte exit status, uint32 length of stdout, stdout, stderr.

A body that starts with `M` is one msgpack message `Ask` (tagged union below); its answer is `M` + `Answer`. An error is `E` + UTF-8
JSON of `KeyturnError.as_json()`. Over TLS a frame `A` with a token comes first, unless a
client certificate says who it is; its answer is `A`. Messages on one connection are answered in order of completion, matched by `id`.
Limit of a frame: 2 MiB.
"""

from __future__ import annotations

from msgspec import Struct

from keyturn.actions import Action, Agent, Gate, Human, Text
from keyturn.drift.definition import Definition
from keyturn.resources import Surroundings
from keyturn.service.model import (
    Begun,
    Confinement,
    Outcome,
    PlanAnswer,
    Proposed,
    Receipt,
    RequestView,
    Revoked,
    SessionView,
)

VERSION = "1"
MAX_FRAME = 2 * 1024 * 1024


class Authorize(Struct, frozen=True, tag="authorize"):
    """Ask for one action."""

    id: int
    action: Action
    around: Surroundings
    consume: bool = False
    within: str | None = None


class ProposePlan(Struct, frozen=True, tag="propose-plan"):
    """Ask for a list of actions as a whole, all of one session: answered with `plan`. `seconds`: how long it lasts once approved."""

    id: int
    steps: tuple[Proposed, ...]
    why: str = ""
    seconds: int = 3600


class Wait(Struct, frozen=True, tag="wait"):
    """Wait for a request's end, at most `timeout` seconds."""

    id: int
    request: str
    timeout: float


class Claim(Struct, frozen=True, tag="claim"):
    """Turn an approved request into its permit."""

    id: int
    request: str
    digest: str
    gate: str
    consume: bool = False


class Consume(Struct, frozen=True, tag="consume"):
    """Use a permit."""

    id: int
    token: str
    digest: str
    gate: str


class Report(Struct, frozen=True, tag="report"):
    """Report a receipt."""

    id: int
    receipt: Receipt


class OpenSession(Struct, frozen=True, tag="open-session"):
    """Open a session. `token`: the agent's own, which proves over TLS for whom it acts. `described`: what the agent is."""

    id: int
    agent: Agent
    gate: Gate
    cwd: str
    human: Human | None = None
    client_session: str = ""
    parents: tuple[str, ...] = ()
    definition: str | None = None
    pid: int | None = None
    token: str = ""
    described: Definition | None = None


class Define(Struct, frozen=True, tag="define"):
    """Tell what the session's agent is from here on."""

    id: int
    session: str
    described: Definition


class Recorded(Struct, frozen=True):
    """A finished recording: digest (`sha256:<hex>`) and size of its file; `trouble`: why it stopped early, or empty."""

    digest: str
    size: int
    trouble: str = ""


class CloseSession(Struct, frozen=True, tag="close-session"):
    """Close a session."""

    id: int
    session: str
    why: str = ""
    recording: Recorded | None = None


class WaitStop(Struct, frozen=True, tag="wait-stop"):
    """Wait until the session was stopped or closed, at most `timeout` seconds."""

    id: int
    session: str
    timeout: float


class WaitRevoked(Struct, frozen=True, tag="wait-revoked"):
    """Wait until more than `known` grants used in the session were revoked, at most `timeout` seconds: answered with `revoked`."""

    id: int
    session: str
    known: int
    timeout: float


class Instruct(Struct, frozen=True, tag="instruct"):
    """Record an instruction."""

    id: int
    session: str
    instruction: Text


class Withdraw(Struct, frozen=True, tag="withdraw"):
    """Give a request up."""

    id: int
    request: str
    why: str


class Standing(Struct, frozen=True, tag="standing"):
    """Ask which policy decides now for an open session in a workspace: what a gate remembers holds under that one only.

    With `watch` the server hangs up on the connection before it confirms a change after which answers may differ.
    """

    id: int
    session: str
    workspace: str
    watch: bool = False


class Begin(Struct, frozen=True, tag="begin"):
    """Ask whether a client's hook allowed exactly this command, and use that up: answered with `begun`, or nothing.

    `gate` is the one around the client, whose `session` the client was started from; `executes`: path → digest.
    """

    id: int
    session: str
    gate: str
    script: str
    dialect: str
    cwd: str
    executes: dict[str, str]


class Confine(Struct, frozen=True, tag="confine"):
    """Ask what policy says about a confined command; an empty profile is the policy's default."""

    id: int
    profile: str


Ask = (
    Authorize
    | ProposePlan
    | Wait
    | Claim
    | Consume
    | Report
    | OpenSession
    | Define
    | CloseSession
    | WaitStop
    | WaitRevoked
    | Instruct
    | Withdraw
    | Standing
    | Begin
    | Confine
)


class Answer(Struct, frozen=True):
    """Exactly one of the results is set; all unset means done."""

    id: int
    outcome: Outcome | None = None
    plan: PlanAnswer | None = None
    request: RequestView | None = None
    session: SessionView | None = None
    action: str | None = None
    policy: str | None = None
    begun: Begun | None = None
    confinement: Confinement | None = None
    revoked: tuple[Revoked, ...] | None = None
    error: dict[str, object] | None = None
