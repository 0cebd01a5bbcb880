"""`keyturn session`: agent runs, and the kill switch."""

from __future__ import annotations

from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_of, home_option, json_option, segment
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode
from keyturn.recordings import check_recording


@click.group()
def session() -> None:
    """Agents' runs: list them, look at one, stop one."""


@session.command("list")
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that ended.")
@json_option
def list_(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List sessions, newest first: id, agent, human, gate, state."""
    found = connect(home_path, person).get(f"/v1/sessions?only={'all' if everything else 'open'}&limit=500")
    if as_json:
        say_json(found)
        return
    for one in found:
        say(_line(one))
    if not found:
        say("There was no session yet." if everything else "No session is open.")


@session.command()
@click.argument("session_id", metavar="ID")
@home_option
@as_option
@json_option
@click.pass_context
def show(
    ctx: click.Context, session_id: str, home_path: str | None, person: str | None, as_json: bool
) -> None:
    """Show one session: its state, who stopped it and why, and its recording.

    The recording in the home is held against the digest in the ledger: exit code 7 when it differs or is missing.
    """
    client = connect(home_path, person)
    found = client.get(f"/v1/sessions/{segment(session_id)}")
    if as_json:
        say_json(found)
        return
    say(_line(found))
    say(f"  {plural(found['entries'], 'entry', 'entries')} in the ledger")
    if found["stopped"] is not None:
        ended = "" if found["closed"] is not None else " (its gate has not reported the end yet)"
        say(f"  stopped by {visible(found['stopped_by'])}: {visible(found['stopped_why'])}{ended}")
    if found["recording"]:
        say(f"  recording {visible(found['recording'])}")
    if client.url:
        return  # the file lies at the server
    check = check_recording(
        home_of(home_path).recordings, found["id"], found["recording"], closed=found["closed"] is not None
    )
    if check.state != "none":
        say(f"  {check.words}")
    if check.alarms:
        ctx.exit(ExitCode.DAMAGED)


@session.command()
@click.argument("session_id", metavar="ID")
@home_option
@as_option
@click.option(
    "--reason", required=True, metavar="WHY", help="Why it is stopped. Recorded, and shown to the agent."
)
@json_option
def stop(session_id: str, home_path: str | None, person: str | None, reason: str, as_json: bool) -> None:
    """Stop a session: nothing more is allowed in it, and its gate ends what runs.

    A gate that only hears of actions (a client's hook) can't end the client: there, whatever the agent asks for from now on
    is refused.
    """
    found = connect(home_path, person).post(f"/v1/sessions/{segment(session_id)}/stop", {"reason": reason})
    if as_json:
        say_json(found)
        return
    say(f"Stopped {visible(found['id'])} by {visible(found['stopped_by'])}: {visible(found['stopped_why'])}")


def _line(one: dict[str, Any]) -> str:
    state = "stopped" if one["stopped"] is not None else "closed" if one["closed"] is not None else "open"
    return visible(
        f"{one['id']}  {state:7}  {one['agent']} for {one['human'] or 'nobody known'} at {one['gate']}"
    )
