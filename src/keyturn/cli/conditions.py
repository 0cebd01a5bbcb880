"""`keyturn conditions`: when policy lets things be approved, who is on call, and what nobody could meet."""

from __future__ import annotations

import time
from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import ExitCode


@click.command()
@home_option
@as_option
@json_option
def conditions(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Windows, freezes and who is on call, as of now; and what of the policy can't be met.

    Ends with 3 when something can't be met.
    """
    found = connect(home_path, person).get("/v1/conditions")
    if as_json:
        say_json(found)
    else:
        _show(found)
    if any(one["state"] == "bad" for one in found["unmet"]):
        raise click.exceptions.Exit(ExitCode.REFUSED)


def _show(found: dict[str, Any]) -> None:
    for one in found["windows"]:
        opens = f"opens {_clock(one['opens'])}" if one["opens"] else "does not open within a year"
        say(
            f"window {visible(one['name'])}  {'open' if one['open'] else opens}  ({visible(one['timezone'])})"
        )
    for one in found["freezes"]:
        when = f"until {_clock(one['ends'])}" if one["on"] else f"from {_clock(one['begins'])} on"
        why = f": {visible(one['because'])}" if one["because"] else ""
        say(f"freeze {visible(one['name'])}  {visible(one['decision'])}s {when}{why}")
    for one in found["oncall"]:
        people = ", ".join(map(visible, one["people"])) or "nobody"
        until = f" until {_clock(one['until'])}" if one["people"] else ""
        say(f"on call {visible(one['group'])}  {people}{until}")
        if one["unknown"]:
            say(f"  not on the roster: {', '.join(map(visible, one['unknown']))}")
    if not any(found[part] for part in ("windows", "freezes", "oncall")):
        say("Policy knows no windows, no freezes and no schedules.")
    for one in found["unmet"]:
        say(f"{'!' if one['state'] == 'bad' else '?'} {visible(one['what'])}")
        say(f"  {visible(one['mend'])}")


def _clock(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(ms / 1000))
