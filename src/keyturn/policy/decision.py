"""What policy answers: a decision, the rules behind it, and what people must do."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Verdict = Literal["run", "hold", "refuse"]
Mode = Literal["observe", "enforce"]
Definition = Literal["approved", "changed", "unknown"]


class RuleHit(Struct, frozen=True):
    """One rule that decided: its `@id`, its effect, which step it decided, and where it stands.

    `step` indexes `Reading.steps`; `matched` are the content's bytes `[start, end)` it matched;
    `reason` is the rule's `@reason`-for-people text (annotation `@because`), possibly empty.
    """

    rule: str
    verdict: Verdict
    step: int = 0
    file: str = ""
    line: int = 0
    matched: tuple[int, int] = (0, 0)
    because: str = ""


class Obligations(Struct, frozen=True):
    """What a hold asks of people, merged over all rules that hold (strictest of each).

    `approve` is requirement text (`2 of dba, then 1 of security`), see `keyturn.requirement`;
    `within` seconds until it expires; `reason_required` whether an approver must say why; `ticket_required` whether an
    approved change reference must cover it. `window` names the time windows, joined by `, `, that must all be open when it is
    approved and when it runs; empty for any time. `remind` is how many seconds before the end people are reminded (0: never);
    after `escalate_after` seconds without an end it goes to `escalate_to`, too (empty: to nobody else). `grant`: for how many
    seconds at most an approver may let exactly this run again, 0 for once only.
    """

    approve: str = "1 of reviewers"
    within: int = 1800
    reason_required: bool = False
    assurance: str = "click"
    ticket_required: bool = False
    window: str = ""
    remind: int = 0
    escalate_to: str = ""
    escalate_after: int = 0
    grant: int = 3600


class Decision(Struct, frozen=True):
    """`verdict`, with everything needed to explain and repeat it.

    `would` is what enforce mode would have answered (differs from `verdict` only in observe mode);
    `reasons` are sentences for people and agents; `policy` the digest of the version that decided.
    """

    verdict: Verdict
    policy: str
    mode: Mode = "enforce"
    would: Verdict = "hold"
    complete: bool = True
    rules: tuple[RuleHit, ...] = ()
    reasons: tuple[str, ...] = ()
    obligations: Obligations = Obligations()


class Facts(Struct, frozen=True):
    """What policy may know beside the reading: gathered by the service, recorded with the decision.

    `human` is the initiating person's id or None; `human_groups` theirs; `missing` the attribution parts that
    the client did not give; `assurance` the gate's level; `target` and `environment` labels. `definition` says what people
    know of what the agent is: `approved`, `changed` (another one of it is approved), `unknown` (none is).

    Of drift (`drift.toml`): `over` names the limits that this action would exceed, `broken` the orders that it would break;
    `first` are effects (`verb:zone`) that the approved baseline of this agent has never seen; `findings` kinds of open findings about it;
    `secrets` kinds of secrets that were found in it; `overdue` files it touches that should have been deleted by now;
    `undeclared` effects (`verb:zone`) beyond what instruction and reasoning name. `told` are
    sentences for people, by what they explain (`over:NAME`, `broken:NAME`): no rule sees them.
    """

    agent: str = ""
    client: str = ""
    human: str | None = None
    human_groups: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    assurance: str = "advisory"
    target: str = "local"
    definition_known: bool = False
    definition: Definition = "unknown"
    over: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    told: tuple[tuple[str, str], ...] = ()
