"""The words in which a rule, a default or a tier asks something of people, each read by one function.

The same words stand in annotations (`@within("15m")`) and in `requirements.toml` (`within = "15m"`), so they are read by
the same functions: `ask(asked, "within", "15m", names)` gives *asked* with that demand in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from keyturn.identity.names import is_name
from keyturn.identity.people import ADMINS
from keyturn.policy import obligations
from keyturn.policy.decision import Obligations
from keyturn.policy.problems import nearest

MAX_WINDOWS = 8
"""Windows that one rule may demand at once."""

MAX_GRANT = 86_400
"""Seconds. However much a policy says, what people approve is not granted for longer than a day."""

_ESCALATE = re.compile(r"(\S+)\s+to\s+(\S+)", re.ASCII)


class Names(Struct, frozen=True):
    """What requirements.toml defines and a demand may name: windows, and escalations as (seconds, group)."""

    windows: tuple[str, ...] = ()
    escalations: Mapping[str, tuple[int, str]] = {}


def ask(asked: Obligations, name: str, text: str, names: Names) -> Obligations:
    """*asked* with the demand *name* = *text*. Raises `ValueError` with words for the author."""
    return ASKS[name](asked, text, names)


def escalation(text: str) -> tuple[int, str]:
    """`10m to managers` as (seconds, group). Raises `ValueError`."""
    match = _ESCALATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'"{text}" is not `TIME to GROUP`, as in "10m to managers"')
    if not is_name(match[2]) or match[2] == ADMINS:
        raise ValueError(f"\"{match[2]}\" can't be a group's name")
    return obligations.seconds(match[1]), match[2]


def _approve(asked: Obligations, text: str, names: Names) -> Obligations:
    return replace(asked, approve=obligations.requirement_text(text))


def _within(asked: Obligations, text: str, names: Names) -> Obligations:
    return replace(asked, within=obligations.seconds(text))


def _reason(asked: Obligations, text: str, names: Names) -> Obligations:
    return replace(asked, reason_required=_required("reason", text))


def _ticket(asked: Obligations, text: str, names: Names) -> Obligations:
    return replace(asked, ticket_required=_required("ticket", text))


def _assurance(asked: Obligations, text: str, names: Names) -> Obligations:
    if text not in obligations.ASSURANCES:
        raise ValueError(f"assurance is one of {', '.join(obligations.ASSURANCES)}")
    return replace(asked, assurance=text)


def _window(asked: Obligations, text: str, names: Names) -> Obligations:
    wanted = [] if text == "any" else [part.strip() for part in text.split(",")]
    for one in wanted:
        if one not in names.windows:
            hint = nearest(one, names.windows) or "describe it as [window.NAME] in requirements.toml"
            raise ValueError(f'there is no window "{one}": {hint}')
    if len(wanted) > MAX_WINDOWS:
        raise ValueError(f"at most {MAX_WINDOWS} windows can be asked for at once")
    return replace(asked, window=obligations.window_text(wanted))


def _remind(asked: Obligations, text: str, names: Names) -> Obligations:
    return replace(asked, remind=0 if text == "never" else obligations.seconds(text))


def _escalate(asked: Obligations, text: str, names: Names) -> Obligations:
    if text == "never":
        return replace(asked, escalate_after=0, escalate_to="")
    named = names.escalations.get(text.strip())
    if named is None and not _ESCALATE.fullmatch(text.strip()) and names.escalations:
        hint = nearest(text, names.escalations)
        raise ValueError(f'there is no escalation "{text}"' + (f": {hint}" if hint else ""))
    after, group = named or escalation(text)
    return replace(asked, escalate_after=after, escalate_to=group)


def _grant(asked: Obligations, text: str, names: Names) -> Obligations:
    return replace(asked, grant=0 if text == "none" else min(obligations.seconds(text), MAX_GRANT))


def _required(name: str, text: str) -> bool:
    if text not in ("required", "optional"):
        raise ValueError(f'{name} is "required" or "optional"')
    return text == "required"


ASKS: dict[str, Callable[[Obligations, str, Names], Obligations]] = {
    "approve": _approve,
    "within": _within,
    "reason": _reason,
    "assurance": _assurance,
    "ticket": _ticket,
    "window": _window,
    "remind": _remind,
    "escalate": _escalate,
    "grant": _grant,
}
"""Every demand by the name it has in annotations and in requirements.toml."""
