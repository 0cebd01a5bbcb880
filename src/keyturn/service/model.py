"""What the use cases take and give. These structs are the API's schema, too."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from keyturn.actions import Action, Reading
from keyturn.evidence.withholding import OF_AGENTS as OF_AGENTS
from keyturn.policy.decision import Decision, Obligations
from keyturn.policy.profiles import Profile
from keyturn.policy.risk import Risk
from keyturn.resources import Label, Surroundings

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
    `canonical` is the re-emitted script a gate should run instead of the raw text, where it can. `grant`: the grant, or the plan,
    under which it runs; when that is revoked, what runs under it has to end. `counted`: a limit or an order watches it, so the same
    has to be asked for again each time.
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
    grant: str | None = None
    counted: bool = False


class GrantView(Struct, frozen=True):
    """What people let an agent do again, until it ends. Times are milliseconds since 1970.

    `session` is empty where it holds in any session of the same agent, gate and human; `uses` 0 means that only time limits it.
    """

    id: str
    state: Literal["open", "ended", "used up", "revoked", "superseded"]
    request: str
    digest: str
    kind: str
    sentence: str
    agent: str
    gate: str
    session: str
    human: str | None
    approvers: tuple[str, ...]
    opened: int
    ends: int
    uses: int
    used: int
    last: int | None
    entry: int
    revoked: int | None = None
    revoked_by: str = ""
    revoked_why: str = ""


class Proposed(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a plan as a gate proposes it: the action, and what the gate knows of the place (as for an action alone)."""

    action: Action
    around: Surroundings = Surroundings()


class PlanStep(Struct, frozen=True):
    """One step of a plan. `verdict`: `hold` needs people, `run` runs by itself, `refuse` policy refuses. `action`: what used it."""

    number: int
    digest: str
    verdict: Literal["run", "hold", "refuse"]
    sentence: str
    action: str = ""


class PlanAnswer(Struct, frozen=True):
    """The answer to a proposed plan. `words` are for the agent.

    `hold` with a `request` that people decide as a whole · `run`: no step needs anybody · `refuse`: policy refuses a step,
    so nobody was asked for any of it.
    """

    verdict: Literal["run", "hold", "refuse"]
    words: str
    steps: tuple[PlanStep, ...]
    request: str | None = None
    digest: str = ""
    expires: int | None = None


class PlanView(Struct, frozen=True):
    """A list of actions that people approved as a whole. Times are milliseconds since 1970.

    `next` is the number of the step that needs people and may run now, 0 when none is left. `stopped_by` is empty where the
    agent left the plan.
    """

    id: str
    state: Literal["open", "done", "ended", "stopped", "revoked", "superseded"]
    request: str
    digest: str
    sentence: str
    agent: str
    gate: str
    session: str
    human: str | None
    approvers: tuple[str, ...]
    opened: int
    ends: int
    steps: tuple[PlanStep, ...]
    next: int
    entry: int
    stopped: int | None = None
    stopped_by: str = ""
    stopped_why: str = ""


class BreakGlassView(Struct, frozen=True):
    """One time that somebody broke the glass. Times are milliseconds since 1970."""

    id: str
    state: Literal["unreviewed", "overdue", "reviewed"]
    request: str
    person: str
    reason: str
    assurance: str
    sentence: str
    time: int
    review_by: int
    reviewers: str
    entry: int
    reviewed_by: str = ""
    verdict: str = ""
    note: str = ""


class Revoked(Struct, frozen=True):
    """A grant or a plan that was revoked, and by whom and why in words."""

    grant: str
    words: str


class Begun(Struct, frozen=True):
    """An allowed action that begins now, and the reading with which it was decided on."""

    action: str
    reading: Reading
    grant: str | None = None


class Receipt(Struct, frozen=True):
    """What a gate reports after the act. `ran` is the digest of what really ran (None if the gate can't tell).

    `outcome`: `done`, `failed`, `not-run`, `unknown`; sizes in bytes; `output` the output's digest; `rows` how many a
    query gave, where the gate can tell.
    """

    action: str
    permit: str | None
    outcome: Literal["done", "failed", "not-run", "unknown"]
    ran: str | None = None
    exit_code: int | None = None
    output: str | None = None
    output_bytes: int | None = None
    note: str = ""
    rows: int | None = None


class ApprovalView(Struct, frozen=True):
    """One person's decision as shown.

    `assurance` is what was verified, `key` the key that signed; `void` says why it no longer counts, empty while it does.
    `grant`: how far an approval goes. `on_behalf_of`: those they stood in for, whose place it was first; empty for themselves.
    """

    person: str
    choice: Choice
    reason: str
    time: int
    channel: str
    stage: int
    entry: int
    assurance: str = "click"
    key: str = ""
    void: str = ""
    grant: str = "once"
    on_behalf_of: tuple[str, ...] = ()


class StageView(Struct, frozen=True):
    """`have` of `need` distinct people out of `group` (`dba|security`: of either); `who` is asked and may still decide (ids).

    `stands_in`: of `who`, those who would decide for somebody else, and for whom.
    """

    group: str
    need: int
    have: int
    who: tuple[str, ...] = ()
    open: bool = True
    stands_in: dict[str, str] = {}


class EscalatedView(Struct, frozen=True):
    """People of the group `to` may decide since `time`."""

    to: str
    time: int


class Conditions(Struct, frozen=True):
    """What is asked beside people, and when what happens. Times are milliseconds since 1970, None where nothing does.

    `window` names the windows that must be open, `closed` says in words that they are not and when they are, `opens` is
    that instant; `frozen` says which freeze stops it; `ticket` is whether an approved change must be named, `reference` the
    one known so far; `remind_at` and `escalate_at` are to come, `escalated` has happened.
    """

    window: str = ""
    closed: str = ""
    opens: int | None = None
    frozen: str = ""
    ticket: bool = False
    reference: str = ""
    remind_at: int | None = None
    escalate_at: int | None = None
    escalate_to: str = ""
    escalated: tuple[EscalatedView, ...] = ()


class Drill(Struct, frozen=True):
    """What a request turned out to be: known bad, unable to run. `person` decided, if anybody did; `entry` tells of it."""

    mutation: str
    why: str
    person: str
    caught: bool
    entry: int


class Allowed(Struct, frozen=True):
    """A recorded action that a proposed rule would have run. `people`: how its request ended, empty where there was none."""

    action: str
    sentence: str
    time: int
    people: str
    request: str


class AlwaysAllow(Struct, frozen=True):
    """A proposed rule: its text, the rules that it is an exception of, its last day, and what it would have run.

    `looked`: how many recorded actions it was tried on; `count` it would have run, `denied` of them by people. `digest`
    is sent back when it is proposed.
    """

    request: str
    text: str
    rules: tuple[str, ...]
    lifts: tuple[str, ...]
    until: str
    warnings: tuple[str, ...]
    looked: int
    count: int
    denied: int
    allowed: tuple[Allowed, ...]
    digest: str


class UnusedRule(Struct, frozen=True):
    """A rule that lets run, and let nothing run lately. `since`: when the active policy took effect."""

    rule: str
    file: str
    line: int
    because: str
    ended: bool
    since: int


class RequestView(Struct, frozen=True):
    """A request as every channel shows it. Times are milliseconds since 1970.

    `subject` is `action`, or what would be changed: `policy`, `key`…; `content` the exact content as JSON; `text` the exact bytes to show
    (script, diff, arguments) ; `display` the digest of what is shown, sent back with a decision;
    `may_decide` is empty when the viewer may approve, else why not; `may_deny` likewise for denying. `environment` are
    variables that change what programs do; `executes` the files that would be run, path → digest. The approval is for both.
    `risk` says how much care it needs (None for changes, and for requests of older versions); `shape` what it shares with others;
    `conditions` what is asked beside people; `grant_most`: for how many seconds at most it may be granted, 0 for once only.
    `glass` is empty when the viewer may break the glass, else why not (`-`: policy names them not).
    `parties`: people further up its chain of sessions, who can't decide either. `alike`: how many wait that differ from it
    in words only, itself included (0: it is decided alone). `drill`, once it was decided on: that it was one.
    `comment`: what the program of `comment_by` says of it, untrusted and input to nothing.
    """

    id: str
    state: RequestState
    subject: str
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
    needs: str = ""
    risk: Risk | None = None
    shape: str = ""
    conditions: Conditions = Conditions()
    grant_most: int = 0
    glass: str = "-"
    parties: tuple[str, ...] = ()
    alike: int = 0
    drill: Drill | None = None
    comment: str = ""
    comment_by: str = ""
    withheld: bool = False


class Waiting(Struct, frozen=True):
    """Where a waiting request stands: its deadline, and its risk tier (empty for a change)."""

    id: str
    expires: int
    tier: str


class OnCallView(Struct, frozen=True):
    """A group that a schedule fills. `people` (ids) are on call until `until` (milliseconds since 1970), `unknown` are not on
    the roster. `failing` is why its source gives no answer, empty when it does, and `since` from when on.
    """

    group: str
    people: tuple[str, ...]
    unknown: tuple[str, ...]
    until: int
    source: str
    failing: str = ""
    since: int | None = None
    why: str = ""
    entry: int = 0


class SessionView(Struct, frozen=True):
    """An agent run. `entries` is the number of its entries so far; `closed` when it ended.

    `stopped`, `stopped_by`, `stopped_why`: when, by whom and why the kill switch was pulled. `recording`: the digest of its
    finished recording, empty without one. `tag` and `trace` are told to whoever opens it only: what its programs carry into
    targets' own logs.
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
    tag: str = ""
    trace: str = ""


class Opener(Struct, frozen=True):
    """Who opened a session, and so who speaks for it.

    `holder`: `uid:1000` a process of that account, `pid` its number and `started` when it began (the kernel's ticks) ·
    `hooks:1000` that account's client, through its hooks · `gate:ci`, `agent:coder for dana` whoever presented `credential`
    from `machine`.
    """

    holder: str
    pid: int = 0
    started: int = 0
    credential: str = ""
    machine: str = ""


class Peer(Struct, frozen=True):
    """Who is at the other end of a local socket (SO_PEERCRED)."""

    uid: int
    gid: int
    pid: int
