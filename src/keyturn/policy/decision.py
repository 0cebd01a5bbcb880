"""What policy answers: a decision, the rules behind it, and what people must do."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Verdict = Literal["run", "hold", "refuse"]
Mode = Literal["observe", "enforce"]


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

    `approve` is requirement text (`2 of dba, then 1 of security`), see `approvals.requirement`;
    `within` seconds until it expires; `reason_required` whether an approver must say why.
    """

    approve: str = "1 of reviewers"
    within: int = 1800
    reason_required: bool = False
    assurance: str = "click"


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
    the client did not give; `assurance` the gate's level; `target` and `environment` labels.
    """

    agent: str = ""
    client: str = ""
    human: str | None = None
    human_groups: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    assurance: str = "advisory"
    target: str = "local"
    definition_known: bool = False
