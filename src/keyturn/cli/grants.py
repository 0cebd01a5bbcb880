"""`keyturn grants` and `keyturn grant`: what people let run again, and its end."""

from __future__ import annotations

import time
from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.service.words import span

Row = dict[str, Any]


def _listed(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    found = connect(home_path, person).get(f"/v1/grants?only={'all' if everything else 'open'}&limit=500")
    if as_json:
        say_json(found)
        return
    for one in found:
        say(_line(one))
    if not found:
        say("Nothing was ever granted." if everything else "No grant is open.")


@click.command()
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that ended or were revoked.")
@json_option
def grants(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List what people let run again, newest first."""
    _listed(home_path, person, everything, as_json)


@click.group()
def grant() -> None:
    """What people let run again: list, show, revoke."""


@grant.command("list")
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that ended or were revoked.")
@json_option
def list_(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List grants, newest first."""
    _listed(home_path, person, everything, as_json)


@grant.command()
@click.argument("grant_id", metavar="ID")
@home_option
@as_option
@json_option
def show(grant_id: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Show one grant: for what, for whom, until when, how often it was used."""
    found = connect(home_path, person).get(f"/v1/grants/{segment(grant_id)}")
    if as_json:
        say_json(found)
        return
    say(_line(found))
    say(f"  digest {visible(found['digest'])}")
    say(f"  approved by {', '.join(map(visible, found['approvers']))} (request {visible(found['request'])})")
    say(
        f"  for {visible(found['agent'])} of {visible(found['human'] or 'nobody known')} at {visible(found['gate'])}"
    )
    say(f"  in {'session ' + visible(found['session']) if found['session'] else 'any of its sessions'}")
    limit = f" of at most {found['uses']}" if found["uses"] else ""
    say(f"  used {plural(found['used'], 'time')}{limit}")
    if found["revoked"] is not None:
        say(f"  revoked by {visible(found['revoked_by'])}: {visible(found['revoked_why'])}")


@grant.command()
@click.argument("grant_id", metavar="ID")
@home_option
@as_option
@click.option("--reason", required=True, metavar="WHY", help="Why. Recorded, and told to the agent.")
@json_option
def revoke(grant_id: str, home_path: str | None, person: str | None, reason: str, as_json: bool) -> None:
    """End a grant now, and what runs under it.

    The exec gate ends the processes; a gate that only hears of actions (a client's hook) can't end what was started, but nothing
    further runs.
    """
    found = connect(home_path, person).post(f"/v1/grants/{segment(grant_id)}/revoke", {"reason": reason})
    if as_json:
        say_json(found)
        return
    say(f"Revoked {visible(found['id'])}: {visible(found['revoked_why'])}")


def _line(one: Row) -> str:
    left = ""
    if one["state"] == "open":
        left = f"{span(max(0, int(one['ends'] / 1000 - time.time())))} left"
    return f"{visible(one['id'])}  {one['state']:<10} {left:>12}  {visible(one['sentence'])}"
