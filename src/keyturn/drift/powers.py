"""Which powers an agent uses, against those that it used at first: scope that grows (taxonomy G3). Pure.

Rules kept here:

- A *power* is coarse: a verb with what is labelled (`reads:secret`), a verb that changes or reaches something beyond its own work
  (`writes:system`, `connects:network`), a target on which a gate's credential was used (`target:orders`), a scope of the credential that
  its session was opened with (`scope:http`), how long that credential lasts (`lasts:month`), and what its client's own permissions give
  it (`allows:Bash`, `server:github`, `mode:bypassPermissions`). No path, host or text is in it.
- The *original* is what it used until people pinned its first baseline; without one, in its first `ORIGINAL_SESSIONS` sessions. It does not
  move again: a later baseline, and what it used meanwhile, are steps away from it, each as small as it may be.
- A power is a step once a second session used it. One session alone is an exception, and is seen elsewhere (`behaviour.novel`).
- An alarm needs as many steps as policy says (`[ratchet] powers`), of two sessions or more. One session that brings many is no growth.

Source: NIST SP 800-53r5 AC-6(7), review of privileges; CM-7(1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, convert, to_builtins

from keyturn.drift.finding import MOST_ENTRIES, Drift, Explanation, Magnitude, Since

ORIGINAL_SESSIONS = 40
"""As many as a baseline needs at least."""
MOST_POWERS = 60
"""Powers of one session, and steps of one agent, that are kept."""
STEPS = 2
"""Sessions that must have brought something before anything has grown."""

_ODD = re.compile(r"[^A-Za-z0-9._/@*-]+")
_OWN = frozenset(("workspace", "temporary", "device", "loopback", "tool", "code"))
_REACH = frozenset(("writes", "deletes", "configures", "grants", "sends", "connects"))
_LASTS = ((2 * 86_400_000, "day"), (32 * 86_400_000, "month"), (367 * 86_400_000, "year"))


class Step(Struct, frozen=True):
    """A power beyond the original: the session, entry and time (milliseconds) that used it first."""

    power: str
    session: str
    entry: int
    time: int


class Powers(Struct, frozen=True):
    """One agent's. `original` in order; `sessions` counts until it stands (`settled`); `once` are powers that one session alone used."""

    original: tuple[str, ...] = ()
    sessions: int = 0
    last: str = ""
    settled: int = 0
    pinned: bool = False
    began: int = 0
    once: tuple[Step, ...] = ()
    steps: tuple[Step, ...] = ()


def of_row(row: Mapping[str, Any] | None) -> Powers:
    """Of a row; nothing yet without one."""
    return Powers() if row is None else convert(row, Powers)


def as_row(powers: Powers) -> dict[str, Any]:
    """What is kept of it."""
    made: dict[str, Any] = to_builtins(powers)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in made.items()}


def of_effects(effects: Iterable[str]) -> set[str]:
    """Powers in *effects* (`verb:zone`, `verb:zone+label`)."""
    found = set()
    for effect in effects:
        verb, _, where = effect.partition(":")
        zone, _, label = where.partition("+")
        if label:
            found.add(f"{verb}:{label}")
        elif verb in _REACH and zone not in _OWN:
            found.add(f"{verb}:{zone}")
    return found


def of_credential(scopes: Iterable[str], issued: int, expires: int) -> set[str]:
    """Powers of the credential that a session was opened with: its scopes, and the class of its life (times in milliseconds)."""
    lasts = next((name for most, name in _LASTS if expires - issued <= most), "longer")
    return {*(f"scope:{scope}" for scope in scopes), f"lasts:{lasts}"}


def of_targets(targets: Iterable[str]) -> set[str]:
    """Powers over *targets*; one that is this machine is none."""
    return {f"target:{_plain(one)}" for one in targets if one and one != "local"}


def of_abilities(abilities: Mapping[str, Any]) -> set[str]:
    """Powers that a definition gives (`definition_may.abilities`): tools that it allows unasked, servers, the mode of asking."""
    permissions = abilities.get("permissions", {})
    found = {f"allows:{_plain(rule.partition('(')[0])}" for rule in permissions.get("allow", ())}
    found |= {f"server:{_plain(name)}" for name in abilities.get("servers", {})}
    return found | ({f"mode:{_plain(permissions['mode'])}"} if permissions.get("mode") else set())


def _plain(name: str) -> str:
    return _ODD.sub("_", name)[:48] or "-"


def kept(found: Iterable[str]) -> list[str]:
    """As they are recorded."""
    return sorted(set(found))[:MOST_POWERS]


def after(powers: Powers, used: Iterable[str], session: str, entry: int, time: int) -> Powers:
    """With one more measured session, or part of one, which *used* these powers."""
    fresh = session != powers.last
    count = powers.sessions + (fresh and not powers.settled)
    began = powers.began or time
    if not powers.settled and powers.sessions >= ORIGINAL_SESSIONS and fresh:
        powers = _settled(powers, time)
    if not powers.settled:
        original = tuple(sorted({*powers.original, *used}))
        return Powers(original, count, session, began=began)
    known = {*powers.original, *(one.power for one in powers.steps)}
    once, steps = list(powers.once), list(powers.steps)
    for power in sorted(set(used) - known):
        first = next((one for one in once if one.power == power), None)
        if first is None:
            once.append(Step(power, session, entry, time))
        elif first.session != session:
            once.remove(first)
            steps.append(first)
    return Powers(
        powers.original,
        powers.sessions,
        session,
        powers.settled,
        powers.pinned,
        began,
        tuple(once[-MOST_POWERS:]),
        tuple(steps[:MOST_POWERS]),
    )


def pinned(powers: Powers, time: int) -> Powers:
    """When people pinned a baseline: the first one is what they looked at, and settles the original."""
    if powers.pinned:
        return powers
    used = {*powers.original, *(one.power for one in (*powers.steps, *powers.once))}
    return Powers(tuple(sorted(used)), powers.sessions, powers.last, time, True, powers.began or time)


def _settled(powers: Powers, time: int) -> Powers:
    return Powers(powers.original, powers.sessions, powers.last, time, False, powers.began)


def grown(powers: Powers, alarm: int) -> bool:
    """Whether so much came together that people have to hear of it; *alarm* 0: never."""
    brought = {one.session for one in powers.steps}
    return bool(alarm) and len(powers.steps) >= alarm and len(brought) >= STEPS


def drift(
    agent: str, powers: Powers, alarm: int, definition: str = "", explanation: Explanation | None = None
) -> Drift:
    """The finding about *powers* that have `grown`. Each further *alarm* steps are another one."""
    names = [one.power for one in powers.steps]
    original = ", ".join(powers.original[:8]) or "nothing of the kind"
    words = f"{agent} uses {len(names)} powers that it did not use at first, which came one by one: {', '.join(names[:8])}."
    return Drift(
        "scope.grown",
        (agent, str(len(names) // max(alarm, 1))),
        words,
        {"agent": agent, **({"definition": definition} if definition else {})},
        observed=f"{len(names) + len(powers.original)} powers: {', '.join(names[:8])} are new",
        expected=f"the {len(powers.original)} of {_of(powers)}: {original}",
        since=Since(powers.steps[0].time, powers.steps[-1].time),
        magnitude=Magnitude(len(names) + len(powers.original), len(powers.original), "powers used"),
        entries=tuple(dict.fromkeys(one.entry for one in powers.steps))[-MOST_ENTRIES:],
        cause="Each was new for itself, and small beside what the agent used already.",
        explanation=explanation or Explanation(),
    )


def _of(powers: Powers) -> str:
    return "its first baseline" if powers.pinned else f"its first {powers.sessions} sessions"


def names(steps: Sequence[Step]) -> tuple[str, ...]:
    """The powers of *steps*, in order."""
    return tuple(one.power for one in steps)


__all__ = [
    "Powers", "Step", "after", "as_row", "drift", "grown", "kept", "names", "of_abilities", "of_credential", "of_effects", "of_row",
    "of_targets", "pinned",
]  # fmt: skip
