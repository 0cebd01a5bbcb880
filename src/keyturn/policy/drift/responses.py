"""`[response.NAME]`: what follows from a finding while people have not looked at it.

    [response.watch-closely]
    severity = "high"                    # findings of this severity or worse; or kinds = ["credential.shared", …]
    do = "step-up"                       # or "suspend", or "stop"
    approve = "2 of security"            # who decides meanwhile what is held, and who lifts it
    for = "8h"                           # optional: it ends by itself then; without it, when people lift it
    of = "agent"                         # or "definition", or "session": what of the finding it is about
    tell = "security"                    # optional: the group that is told of the finding

Rules kept here:

- A response is never milder than the rules: it holds what would run, and refuses; it lets nothing go.
- It is about what the finding names; where that is missing, about the next wider or narrower thing it does name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast, get_args

from msgspec import Struct
from msgspec.structs import replace

from keyturn.policy import obligations
from keyturn.policy.decision import Decision, Obligations
from keyturn.policy.problems import nearest
from keyturn.policy.requirements.part import Part

Do = Literal["step-up", "suspend", "stop"]
Of = Literal["agent", "definition", "session"]
DEEDS: tuple[Do, ...] = get_args(Do)
SCOPES: tuple[Of, ...] = get_args(Of)
SEVERITIES = ("low", "medium", "high", "critical")
"""As `drift.finding` has them; that room lies further out."""


class Response(Struct, frozen=True):
    """One response. `kinds` and `severity` say to which findings it is one; `seconds` 0 means until people lift it."""

    name: str
    do: Do
    kinds: tuple[str, ...] = ()
    severity: str = ""
    approve: str = ""
    seconds: int = 0
    of: Of = "agent"
    tell: str = ""

    def answers(self, kind: str, severity: str) -> bool:
        """Whether it follows from a finding of that kind and severity."""
        if self.kinds and kind not in self.kinds:
            return False
        return not self.severity or SEVERITIES.index(severity) >= SEVERITIES.index(self.severity)


Responses = Mapping[str, Response]


class InForce(Struct, frozen=True):
    """A response that is on: `finding` began it, `approve` is who is asked meanwhile, `entry` where it began in the log."""

    id: str
    name: str
    do: Do
    finding: str
    kind: str
    approve: str
    entry: int

    @property
    def words(self) -> str:
        """Why, for people and agents."""
        what = {
            "step-up": "everything it does is held",
            "suspend": "what it was allowed no longer counts",
            "stop": "it is stopped",
        }[self.do]
        return f"The finding {self.finding} ({self.kind}) is not settled, so {what}. [response {self.name}]"


def respond(decision: Decision, on: Sequence[InForce], default: Obligations) -> Decision:
    """*decision* under the responses *on*: never milder, and with their words first."""
    if not on or decision.would == "refuse" or decision.verdict == "refuse":
        return decision
    reasons = (*(one.words for one in on), *decision.reasons)
    if any(one.do == "stop" for one in on):
        return replace(decision, verdict="refuse", would="refuse", reasons=reasons, obligations=Obligations())
    asked = [decision.obligations] if decision.would == "hold" else []
    asked += [replace(default, approve=one.approve or default.approve, grant=0) for one in on]
    try:
        merged = obligations.merge(asked)
    except obligations.TooManyPeople as error:
        words = (*reasons, f"Refused: {error}.")
        return replace(decision, verdict="refuse", would="refuse", reasons=words, obligations=Obligations())
    verdict = decision.verdict if decision.mode == "observe" else "hold"
    return replace(decision, verdict=verdict, would="hold", reasons=reasons, obligations=merged)


def read_responses(part: Part) -> dict[str, Response]:
    """All `[response.NAME]`."""
    return {one.name: found for one in part.named() if (found := _response(one)) is not None}


def _response(part: Part) -> Response | None:
    part.known("kinds", "severity", "do", "approve", "for", "of", "tell")
    kinds, severity = part.texts("kinds"), part.text("severity")
    if severity and severity not in SEVERITIES:
        part.wrong("severity", f"severity is one of {', '.join(SEVERITIES)}", nearest(severity, SEVERITIES))
        severity = ""
    elif not kinds and not severity:
        part.wrong(
            part.name,
            f"[{part.heading}] says to which findings it answers",
            'severity = "high", or kinds = ["credential.shared"]',
        )
    if "do" not in part.body:
        part.wrong(part.name, f"[{part.heading}] has a do", f"one of {', '.join(DEEDS)}")
        return None
    do = part.choice("do", DEEDS, "step-up")
    of = part.choice("of", SCOPES, "agent")
    approve = part.text("approve")
    if approve:
        try:
            approve = obligations.requirement_text(approve)
        except ValueError as error:
            part.wrong("approve", str(error))
    return Response(
        name=part.name,
        do=cast("Do", do),
        kinds=kinds,
        severity=severity,
        approve=approve,
        seconds=part.seconds("for", 0),
        of=cast("Of", of),
        tell=part.text("tell"),
    )
