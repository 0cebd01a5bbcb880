"""`[default]`: what a hold asks for unless its rule says more. `[escalation.NAME]`: to whom a request goes that nobody ends."""

from __future__ import annotations

from keyturn.policy.asking import ASKS, Names, ask, escalation
from keyturn.policy.decision import Obligations
from keyturn.policy.requirements.part import Part


def read_default(part: Part, names: Names) -> Obligations:
    """The default obligations."""
    part.known(*ASKS)
    asked = Obligations()
    for key, value in part.body.items():
        if key in ASKS:
            try:
                asked = ask(asked, key, str(value), names)
            except ValueError as error:
                part.wrong(key, str(error))
    return asked


def read_escalations(part: Part) -> dict[str, tuple[int, str]]:
    """Name → (seconds, group)."""
    found: dict[str, tuple[int, str]] = {}
    for one in part.named():
        one.known("after", "to")
        after, to = one.required("after", 'after = "10m"'), one.required("to", 'to = "managers"')
        if after and to:
            try:
                found[one.name] = escalation(f"{after} to {to}")
            except ValueError as error:
                one.wrong("after" if "to" in str(error) else "to", str(error))
    return found
