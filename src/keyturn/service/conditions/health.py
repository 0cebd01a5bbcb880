"""What of a policy nobody could meet: groups without people, windows that never open, tickets without a source. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from keyturn.identity import Roster
from keyturn.policy import Policy
from keyturn.policy.decision import Obligations
from keyturn.policy.obligations import windows
from keyturn.policy.requirements.windows import next_opening
from keyturn.requirement import parse_requirement


class Unmet(Struct, frozen=True):
    """One thing that can't be met (`bad`), or may not be (`warn`): what it is, and how to mend it."""

    state: Literal["warn", "bad"]
    what: str
    mend: str


def unmet(policy: Policy, roster: Roster, credentials: Iterable[str] | None, now: int) -> Iterator[Unmet]:
    """Everything that speaks against what *policy* asks, with *roster* as it is at *now*.

    *credentials* are the sections of sources.toml, None when that file can't be read.
    """
    asked = dict(_asked(policy))
    yield from _people(policy, asked, roster.at(now))
    yield from _windows(policy, asked, now)
    yield from _tickets(policy, asked)
    yield from _credentials(policy, credentials)


def _asked(policy: Policy) -> Iterator[tuple[str, Obligations]]:
    """Who asks, in words, and what for."""
    yield "the default", policy.default
    for rule in policy.rules:
        if rule.asks is not None:
            yield f"rule {rule.id}", rule.asks
    for name, tier in policy.requirements.tiers.items():
        own = tier.asks if "approve" in tier.named else None
        yield (
            f"[tier.{name}]",
            own
            or Obligations(
                approve=policy.default.approve,
                ticket_required=tier.asks.ticket_required,
                window=tier.asks.window,
            ),
        )
    for name, freeze in policy.requirements.freezes.items():
        if freeze.approve:
            yield f"[freeze.{name}]", Obligations(approve=freeze.approve)


def _people(policy: Policy, asked: Mapping[str, Obligations], roster: Roster) -> Iterator[Unmet]:
    told: dict[tuple[str, int], list[str]] = {}
    have: dict[str, int] = {}
    for who, asks in asked.items():
        for stage in parse_requirement(asks.approve).stages:
            humans = {roster.human(p.id) for group in stage.groups for p in roster.members(group)}
            have[stage.group] = len(humans)
            if len(humans) < stage.need:
                told.setdefault((stage.group, stage.need), []).append(who)
    for (group, need), whose in sorted(told.items()):
        named = group.replace("|", " or ")
        schedule = " Nobody is on call." if group in policy.requirements.oncall and not have[group] else ""
        yield Unmet(
            "warn" if have[group] else "bad",
            f"{need} of {named} {'is' if need == 1 else 'are'} asked for by {_listed(whose)}, but "
            f"{have[group] or 'nobody'} {'are' if have[group] > 1 else 'is'} in it: what it holds can only expire.{schedule}",
            f"keyturn person add NAME --group {group.partition('|')[0]}, or ask another group.",
        )
    to: dict[str, str] = {}
    for who, asks in asked.items():
        if asks.escalate_to:
            to.setdefault(asks.escalate_to, who)
    for group, who in sorted(to.items()):
        if not roster.members(group):
            yield Unmet(
                "warn",
                f"{who[0].upper()}{who[1:]} escalates to {group}, where nobody is.",
                f"keyturn person add NAME --group {group}",
            )


def _windows(policy: Policy, asked: Mapping[str, Obligations], now: int) -> Iterator[Unmet]:
    known = policy.requirements.windows
    for name, window in sorted(known.items()):
        if window.next_opening(now) is None:
            yield Unmet(
                "bad", f"The window {name} does not open within a year.", "Correct its days or dates."
            )
    for who, asks in asked.items():
        wanted = windows(asks.window)
        if len(wanted) > 1 and next_opening(known, wanted, now) is None:
            words = f"The windows {', '.join(wanted)}, which {who} needs, are never open at once."
            yield Unmet("bad", words, "Ask for one of them, or widen them.")


def _tickets(policy: Policy, asked: Mapping[str, Obligations]) -> Iterator[Unmet]:
    whose = [who for who, asks in asked.items() if asks.ticket_required]
    if whose and policy.requirements.tickets is None:
        words = f"{_listed(whose)} asks for an approved change, but policy names no source of tickets: nothing of it can be approved."
        yield Unmet("bad", words[0].upper() + words[1:], "Describe [tickets] in requirements.toml.")


def _credentials(policy: Policy, credentials: Iterable[str] | None) -> Iterator[Unmet]:
    tickets = policy.requirements.tickets
    named = {tickets.credential} if tickets is not None else set()
    named |= {schedule.credential for schedule in policy.requirements.oncall.values()}
    named.discard("")
    if not named:
        return
    if credentials is None:
        yield Unmet("bad", "sources.toml can't be read.", "Correct it; only its owner may read it.")
        return
    for name in sorted(named - set(credentials)):
        words = f"Policy names the credential {name}, but sources.toml has no section [{name}]."
        yield Unmet("bad", words, "Write it; docs/how-to/ask-for-more.md shows one.")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
