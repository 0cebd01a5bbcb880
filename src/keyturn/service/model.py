"""What the use cases take and give. These structs are the API's schema, too."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from keyturn.actions import Reading
from keyturn.policy.decision import Decision, Obligations
from keyturn.policy.profiles import Profile
from keyturn.resources import Label

RequestState = Literal["waiting", "approved", "denied", "expired", "withdrawn", "superseded"]
Choice = Literal["approve", "deny"]


class Confinement(Struct, frozen=True):
    """What policy says about confined commands: the profile asked for, the labels whose paths are hidden, the policy's digest."""

    profile: Profile
    labels: tuple[Label, ...]
    policy: str


class Permit(Struct, frozen=True):
    """A single-use, expiring permission for one digest at one gate. `token` is what the gate presents."""

    id: str
    token: str
    digest: str
    gate: str
    expires: int


class Outcome(Struct, frozen=True):
    """The answer to a proposal. `words` are for the agent: what happened, what did not, what to do.

    `run` with a `permit` (already consumed if the gate asked for that) · `hold` with a `request` · `refuse`.
    `canonical` is the re-emitted script a gate should run instead of the raw text, where it can.
    """

    action: str
    digest: str
    verdict: Literal["run", "hold", "refuse"]
    words: str
    decision: Decision
    permit: Permit | None = None
    request: str | None = None
    expires: int | None = None
    canonical: str | None = None


class Begun(Struct, frozen=True):
    """An allowed action that begins now, and the reading with which it was decided on."""

    action: str
    reading: Reading


class Receipt(Struct, frozen=True):
    """What a gate reports after the act. `ran` is the digest of what really ran (None if the gate can't tell).

    `outcome`: `done`, `failed`, `not-run`, `unknown`; sizes in bytes; `output` the output's digest.
    """

    action: str
    permit: str | None
    outcome: Literal["done", "failed", "not-run", "unknown"]
    ran: str | None = None
    exit_code: int | None = None
    output: str | None = None
    output_bytes: int | None = None
    note: str = ""


class ApprovalView(Struct, frozen=True):
    """One person's decision as shown."""

    person: str
    choice: Choice
    reason: str
    time: int
    channel: str
    stage: int
    entry: int


class StageView(Struct, frozen=True):
    """`have` of `need` distinct people out of `group`; `who` may still decide (ids)."""

    group: str
    need: int
    have: int
    who: tuple[str, ...] = ()
    open: bool = True


class RequestView(Struct, frozen=True):
    """A request as every channel shows it. Times are milliseconds since 1970.

    `subject` is `action` or `policy`; `content` the exact content as JSON; `text` the exact bytes to show
    (script, diff, arguments) ; `display` the digest of what is shown, sent back with a decision;
    `may_decide` is empty when the viewer may approve, else why not; `may_deny` likewise for denying. `environment` are
    variables that change what programs do; `executes` the files that would be run, path → digest. The approval is for both.
    """

    id: str
    state: RequestState
    subject: Literal["action", "policy"]
    kind: str
    digest: str
    display: str
    sentence: str
    text: str
    content: dict[str, Any]
    reading: Reading
    decision: Decision
    obligations: Obligations
    stages: tuple[StageView, ...]
    approvals: tuple[ApprovalView, ...]
    attribution: dict[str, Any]
    session: str
    gate: str
    assurance: str
    cwd: str
    opened: int
    expires: int
    entry: int
    ended: int | None = None
    ended_why: str = ""
    may_decide: str = ""
    may_deny: str = ""
    seen_before: int = 0
    environment: dict[str, str] = {}
    executes: dict[str, str] = {}


class SessionView(Struct, frozen=True):
    """An agent run. `entries` is the number of its entries so far; `closed` when it ended.

    `stopped`, `stopped_by`, `stopped_why`: when, by whom and why the kill switch was pulled. `recording`: the digest of its
    finished recording, empty without one.
    """

    id: str
    agent: str
    client: str
    human: str | None
    gate: str
    opened: int
    entries: int = 0
    closed: int | None = None
    stopped: int | None = None
    stopped_by: str = ""
    stopped_why: str = ""
    recording: str = ""


class Peer(Struct, frozen=True):
    """Who is at the other end of a local socket (SO_PEERCRED)."""

    uid: int
    gid: int
    pid: int
