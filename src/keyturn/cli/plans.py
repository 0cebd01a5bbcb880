"""`keyturn plan`: lists of actions that people approve as a whole: run one, list, show, revoke."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_of, home_option, json_option, segment
from keyturn.cli.terminal import say, say_json, visible
from keyturn.service.words import span

Row = dict[str, Any]


@click.group()
def plan() -> None:
    """Lists of actions that people approve as a whole: run, list, show, revoke."""


@plan.command()
@click.argument("file", type=click.Path(path_type=Path))
@home_option
@json_option
def run(file: Path, home_path: str | None, as_json: bool) -> None:
    """Propose the commands in FILE as a plan, wait for people, and run them in order.

    FILE is TOML or JSON: `steps`, each with `run`, a command line for bash; `why`; `seconds`. It is a gate of its own, with a
    session of yours: somebody else approves. Ends with the first command that fails, and with its exit code.
    """
    from keyturn.cli.plan_runs import run_file

    raise SystemExit(run_file(file, home_of(home_path), as_json))


@plan.command("list")
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that are done, ended or were stopped.")
@json_option
def list_(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List plans that people approved, newest first."""
    found = connect(home_path, person).get(f"/v1/plans?only={'all' if everything else 'open'}&limit=500")
    if as_json:
        say_json(found)
        return
    for one in found:
        say(_line(one))
    if not found:
        say("No plan was ever approved." if everything else "No plan is open.")


@plan.command()
@click.argument("plan_id", metavar="ID")
@home_option
@as_option
@json_option
def show(plan_id: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Show one plan: its steps, which were used, which is next, and why it was stopped."""
    found = connect(home_path, person).get(f"/v1/plans/{segment(plan_id)}")
    if as_json:
        say_json(found)
        return
    say(_line(found))
    say(f"  approved by {', '.join(map(visible, found['approvers']))} (request {visible(found['request'])})")
    say(
        f"  for {visible(found['agent'])} of {visible(found['human'] or 'nobody known')} at {visible(found['gate'])} "
        f"in session {visible(found['session'])}"
    )
    for step in found["steps"]:
        say(f"  {step['number']:>3}  {_standing(found, step):<16} {visible(step['sentence'])}")
    if found["stopped"] is not None:
        who = f"revoked by {visible(found['stopped_by'])}" if found["stopped_by"] else "stopped"
        say(f"  {who}: {visible(found['stopped_why'])}")


@plan.command()
@click.argument("plan_id", metavar="ID")
@home_option
@as_option
@click.option("--reason", required=True, metavar="WHY", help="Why. Recorded, and told to the agent.")
@json_option
def revoke(plan_id: str, home_path: str | None, person: str | None, reason: str, as_json: bool) -> None:
    """End a plan now, and what runs as a step of it.

    The exec gate ends the processes; a gate that only hears of actions (a client's hook) can't end what was started, but nothing
    further of it runs.
    """
    found = connect(home_path, person).post(f"/v1/plans/{segment(plan_id)}/revoke", {"reason": reason})
    if as_json:
        say_json(found)
        return
    say(f"Revoked {visible(found['id'])}: {visible(found['stopped_why'])}")


def _standing(plan_row: Row, step: Row) -> str:
    if step["verdict"] == "run":
        return "runs by itself"
    if step["action"]:
        return "used"
    return "next" if plan_row["state"] == "open" and step["number"] == plan_row["next"] else "not used"


def _line(one: Row) -> str:
    left = ""
    if one["state"] == "open":
        left = f"{span(max(0, int(one['ends'] / 1000 - time.time())))} left"
    return f"{visible(one['id'])}  {one['state']:<10} {left:>12}  {visible(one['sentence'])}"
