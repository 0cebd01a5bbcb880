"""`keyturn artefact`, `legal-hold` and `erasure`: what has to go, what must stay, and what goes from the log itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.credentials import when
from keyturn.cli.terminal import plural, say, say_json, visible

Row = dict[str, Any]


@click.group()
def artefact() -> None:
    """Files that agents made of labelled data: list, gone, scan."""


@artefact.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are gone.")
@home_option
@as_option
@json_option
def list_(everything: bool, home_path: str | None, person: str | None, as_json: bool) -> None:
    """What has to be deleted, and by when; overdue ones first."""
    found = connect(home_path, person).get(f"/v1/artefacts?only={'all' if everything else 'open'}")
    if as_json:
        say_json(found)
        return
    for one in found:
        say(visible(_line(one)))
    if not found:
        say("No file made of labelled data is kept.")


def _line(one: Row) -> str:
    state = "on hold" if one["on_hold"] and one["state"] != "gone" else one["state"]
    how = f"gone {when(one['gone'])} ({one['ended']})" if one["gone"] else f"due {when(one['due'])}"
    return f"{one['id']}  {state:<8} {how}  {one['path']}  made of {', '.join(one['labels'])} data by {one['agent']}"


@artefact.command()
@click.argument("artefact_id", metavar="ID")
@click.option("--why", required=True, help="How you know.")
@home_option
@as_option
@json_option
def gone(artefact_id: str, why: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Say that a file is gone. It is recorded that you said so."""
    found = connect(home_path, person).post(f"/v1/artefacts/{segment(artefact_id)}/gone", {"why": why})
    if as_json:
        say_json(found)
        return
    say(visible(f"Recorded: {found['path']} is gone, says {found['by']}."))


@artefact.command()
@home_option
@as_option
@json_option
def scan(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Look on this machine which of the files are still there, and record those that are not.

    Run it where the agents work: what is missing here counts as gone. A folder that can't be looked into counts as there.
    """
    api = connect(home_path, person)
    looked: list[Row] = []
    for one in api.get("/v1/artefacts?only=open"):
        there = still_there(one["path"])
        if not there:
            body = {"why": "looked for on the machine of whoever ran the scan, and not found", "scan": True}
            api.post(f"/v1/artefacts/{segment(one['id'])}/gone", body)
        looked.append({"id": one["id"], "path": one["path"], "there": there})
    if as_json:
        say_json(looked)
        return
    missing = [one for one in looked if not one["there"]]
    say(
        f"Looked for {plural(len(looked), 'file')}: {len(looked) - len(missing)} still there, {len(missing)} gone."
    )
    for one in looked:
        if one["there"]:
            say(visible(f"  still there: {one['path']}"))


def still_there(path: str) -> bool:
    """Whether something lies at *path*; what can't be told counts as there."""
    try:
        Path(path).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


@click.group("legal-hold")
def legal_hold() -> None:
    """What must not be deleted or erased: place, list, lift."""


@legal_hold.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that were lifted.")
@home_option
@as_option
@json_option
def holds(everything: bool, home_path: str | None, person: str | None, as_json: bool) -> None:
    """List legal holds, newest first."""
    found = connect(home_path, person).get(f"/v1/legal-holds?only={'all' if everything else 'on'}")
    if as_json:
        say_json(found)
        return
    for one in found:
        say(
            visible(
                f"{one['id']}  {one['state']:<6} {one['scope']} {one['of']}  by {one['by']} {when(one['placed'])}: {one['why']}"
            )
        )
    if not found:
        say("There is no legal hold.")


@legal_hold.command()
@click.argument("scope", type=click.Choice(("everything", "person", "session", "agent", "label")))
@click.argument("of", required=False, default="")
@click.option("--why", required=True, help="The case or the reason.")
@home_option
@as_option
@json_option
def place(scope: str, of: str, why: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Keep what concerns a person, a session, an agent, a label, or everything."""
    found = connect(home_path, person).post("/v1/legal-holds", {"scope": scope, "of": of, "why": why})
    if as_json:
        say_json(found)
        return
    say(
        visible(
            f"Legal hold {found['id']} is on: nothing of {found['scope']} {found['of']} is erased until it is lifted."
        )
    )


@legal_hold.command()
@click.argument("hold_id", metavar="ID")
@click.option("--why", required=True, help="Why it can end.")
@home_option
@as_option
@json_option
def lift(hold_id: str, why: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Ask another administrator to end a legal hold."""
    found = connect(home_path, person).post(f"/v1/legal-holds/{segment(hold_id)}/lift", {"why": why})
    if as_json:
        say_json(found)
        return
    say(f"Request {found['id']} waits for another administrator; the hold stays on until then.")


@click.group()
def erasure() -> None:
    """Erase from the log what is personal or should never have been in it: propose, list."""


@erasure.command("list")
@home_option
@as_option
@json_option
def erasures(home_path: str | None, person: str | None, as_json: bool) -> None:
    """List what was erased, newest first."""
    found = connect(home_path, person).get("/v1/erasures")
    if as_json:
        say_json(found)
        return
    for one in found:
        counted = f"{plural(one['fields'], 'field')} of {one['entries']} entries"
        say(
            visible(
                f"{one['id']}  {when(one['time'])}  {one['scope']} {one['of']}: {counted}, asked for by {one['by']}: {one['why']}"
            )
        )
    if not found:
        say("Nothing was ever erased.")


@erasure.command()
@click.argument("scope", type=click.Choice(("person", "session", "action")))
@click.argument("of", metavar="ID")
@click.option("--why", required=True, help="On what basis.")
@home_option
@as_option
@json_option
def propose(scope: str, of: str, why: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Ask another administrator to erase what is personal of a removed person, or the content of a session or an action."""
    found = connect(home_path, person).post("/v1/erasures", {"scope": scope, "of": of, "why": why})
    if as_json:
        say_json(found)
        return
    say(
        visible(
            f"Request {found['id']} waits for another administrator: {found['sentence']}. Nothing was erased yet."
        )
    )


__all__ = ["artefact", "erasure", "legal_hold"]
