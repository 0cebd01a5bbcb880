"""`keyturn delegate`: hand your places over to a colleague, and see who stands in for whom."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import Malformed

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class NoMoment(Malformed):
    """A moment on the command line can't be read."""

    code = "cli.moment"
    not_done = "Nothing was handed over."
    next_step = (
        "Write how long from now (`90m`, `8h`, `5d`, `2w`) or when (`2026-12-24`, `2026-12-24T08:00Z`)."
    )


def moment(text: str, now_ms: int) -> int:
    """Milliseconds since 1970 of `5d` from *now_ms* on, or of an ISO 8601 date or time. Raises `NoMoment`."""
    span = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text.strip())
    if span:
        return now_ms + int(span[1]) * _UNITS[span[2]] * 1000
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise NoMoment(f"{text[:40]!r} is no moment.") from error
    # A time without a zone is the one on the clock of whoever types it.
    return int(found.astimezone().timestamp() * 1000)


@click.group()
def delegate() -> None:
    """Stand in: hand your places over to a colleague, list, end."""


@delegate.command("to")
@click.argument("colleague", metavar="PERSON")
@click.option("--until", required=True, help="How long (8h, 5d) or until when (2026-12-24T08:00Z).")
@click.option("--from", "since", help="From when on (default: now).")
@click.option(
    "--group", "groups", multiple=True, help="Only your places in this group (repeat; default: all)."
)
@click.option("--why", default="", help="A note that colleagues see.")
@home_option
@as_option
@json_option
def to(
    colleague: str,
    until: str,
    since: str | None,
    groups: tuple[str, ...],
    why: str,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Hand your places over to PERSON until a time. They are asked instead of you, and decide for you: one voice, not two."""
    now = int(time.time() * 1000)
    body: dict[str, Any] = {"to": colleague, "until": moment(until, now), "groups": groups, "why": why}
    if since:
        body["since"] = moment(since, now)
    made = connect(home_path, person).post("/v1/delegations", body)
    if as_json:
        say_json(made)
        return
    say(f"Recorded as entry {made['entry']}. {_line(made)}")


@delegate.command("list")
@click.option("--mine", is_flag=True, help="Only those by you or to you.")
@home_option
@as_option
@json_option
def list_(mine: bool, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Who stands in for whom, the next to end first."""
    found = connect(home_path, person).get(f"/v1/delegations?mine={'true' if mine else 'false'}")
    if as_json:
        say_json(found)
        return
    for one in found:
        say(_line(one))
    if not found:
        say("Nobody stands in for anybody.")


@delegate.command()
@click.argument("delegation_id", metavar="ID")
@home_option
@as_option
@json_option
def end(delegation_id: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Take a delegation of yours back, or decline one to you. What was approved by it and still waits no longer counts."""
    ended = connect(home_path, person).post(f"/v1/delegations/{segment(delegation_id)}/end", {})
    if as_json:
        say_json(ended)
        return
    say(f"Ended. {visible(ended['to'])} no longer stands in for {visible(ended['person'])}.")


def _line(one: dict[str, Any]) -> str:
    groups = ", ".join(map(visible, one["groups"]))
    start = "" if one["carries"] else f" from {_clock(one['since'])}"
    why = f"  ({visible(one['why'])})" if one["why"] else ""
    who = f"{visible(one['to'])} stands in for {visible(one['person'])}"
    return f"{visible(one['id'])}  {who} in {groups}{start} until {_clock(one['until'])}{why}"


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
