"""`[oncall.NAME]`: a group that a schedule fills. Reading the section, and reading a schedule; no I/O.

    [oncall.primary]
    source = "http"                           # or "file"
    url = "https://oncall.example.com/primary"
    credential = "oncall"                     # a section of the home's sources.toml
    refresh = "1m"
    trust = "12h"

A schedule is TOML or JSON, in one of two forms:

    [[shift]]                                 # JSON: {"shift": [{"from": …, "until": …, "people": ["ada"]}]}
    from = 2026-11-29T08:00:00Z
    until = 2026-11-29T20:00:00Z
    people = ["ada"]

    {"people": ["ada"], "valid_until": "2026-11-29T20:00:00Z"}

Rules kept here:

- Whoever has a shift now is on call; shifts may overlap. People are the roster's ids; who isn't on it doesn't count.
- What was read is believed until the next shift begins or ends, until `valid_until`, and for `trust` at most; then nobody is on
  call until the source answers again.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from keyturn.identity.names import is_name
from keyturn.identity.people import ADMINS
from keyturn.policy.problems import nearest
from keyturn.policy.requirements.answers import Unreadable, json_of, time_of, toml_or_json
from keyturn.policy.requirements.part import Part
from keyturn.policy.requirements.tickets import check_url

MAX_PEOPLE = 50
MAX_SHIFTS = 10_000


class Schedule(Struct, frozen=True):
    """Where a group's schedule is read, how often, and how long an answer is believed at most (seconds)."""

    group: str
    source: Literal["file", "http"]
    where: str
    credential: str = ""
    refresh: int = 60
    trust: int = 43_200


class Duty(Struct, frozen=True):
    """Who is on call, and until when that is known (milliseconds since 1970)."""

    people: tuple[str, ...]
    until: int


def duty_of(rule: Schedule, answer: bytes, now: int) -> Duty:
    """Who is on call at *now* by what the source said. Raises `Unreadable`."""
    body = json_of(answer) if rule.source == "http" else toml_or_json(answer, rule.where)
    latest = now + rule.trust * 1000
    if not isinstance(body, dict):
        raise Unreadable("it is no schedule")
    if "people" in body:
        until = time_of(body.get("valid_until"))
        if until is None:
            raise Unreadable("it does not say until when it is valid")
        people = _people(body["people"]) if now < until else ()
        return Duty(people, min(until, latest) if now < until else latest)
    shifts = body.get("shift", body.get("shifts"))
    if not isinstance(shifts, list) or len(shifts) > MAX_SHIFTS:
        raise Unreadable("it has no list of shifts")
    spans = [_shift(one) for one in shifts]
    people = tuple(sorted({person for begins, ends, who in spans if begins <= now < ends for person in who}))
    if len(people) > MAX_PEOPLE:
        raise Unreadable(f"more than {MAX_PEOPLE} people are on call at once")
    turns = [turn for begins, ends, _ in spans for turn in (begins, ends) if turn > now]
    return Duty(people, min([*turns, latest]))


def _shift(one: Any) -> tuple[int, int, tuple[str, ...]]:
    if not isinstance(one, dict):
        raise Unreadable("one of its shifts is no table")
    begins, ends = time_of(one.get("from")), time_of(one.get("until"))
    if begins is None or ends is None or ends <= begins:
        raise Unreadable("one of its shifts does not say from when until when")
    return begins, ends, _people(one.get("people"))


def _people(value: Any) -> tuple[str, ...]:
    known = isinstance(value, list) and all(isinstance(one, str) and 0 < len(one) <= 63 for one in value)
    if not known or len(value) > MAX_PEOPLE:
        raise Unreadable("its people are no list of ids")
    return tuple(sorted(set(value)))


def read_oncall(part: Part) -> dict[str, Schedule]:
    """All `[oncall.NAME]`, by the group that they fill."""
    return {one.name: found for one in part.named() if (found := _schedule(one)) is not None}


def _schedule(part: Part) -> Schedule | None:
    part.known("source", "path", "url", "credential", "refresh", "trust")
    if part.name == ADMINS or not is_name(part.name):
        part.wrong(part.name, f"{part.name} can't be filled by a schedule")
    source = part.text("source")
    if source not in ("file", "http"):
        hint = nearest(source, ("file", "http")) or "file or http"
        part.wrong("source" if source else part.name, "a schedule comes from a file or by http", hint)
        return None
    if source == "http":
        where = part.required("url", 'url = "https://oncall.example.com/primary"')
        if where:
            check_url(part, "url", where)
    else:
        where = part.required("path", 'path = "oncall.toml"')
    return Schedule(
        part.name,
        "http" if source == "http" else "file",
        where,
        part.text("credential"),
        part.seconds("refresh", 60),
        part.seconds("trust", 43_200),
    )
