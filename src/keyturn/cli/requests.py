"""`keyturn requests`, `show`, `approve`, `deny`, `withdraw`."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

import click

from keyturn.cli.card import card, line
from keyturn.cli.client import Client, Unreachable, as_option, connect, home_option, json_option, segment
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode, KeyturnError

MIN_DIGEST = 12
"""Characters of a digest that prove a look: enough that nobody hits them by chance."""

PAGE = 500
ONE_WAIT = 25.0
"""Seconds of one call that waits; then it is asked again, so a server that went away is noticed."""
PATIENCE = 60.0
"""Seconds for which a server may be gone while `show --wait` waits: a restart ends no request."""

OUTCOMES = {
    "waiting": ExitCode.WAITING,
    "approved": ExitCode.DONE,
    "denied": ExitCode.DENIED,
    "expired": ExitCode.EXPIRED,
    "withdrawn": ExitCode.REFUSED,
    "superseded": ExitCode.REFUSED,
}
"""What `show --wait` ends with, by the request's state."""


class NotShown(KeyturnError):
    """An approval without having seen what would run."""

    code = "approval.not_shown"
    status = 428
    exit_code = ExitCode.USAGE
    not_done = "Nothing was approved and nothing ran."
    next_step = (
        "Run `keyturn show ID`, then approve with `--digest` and the first 12 or more characters it prints."
    )


class NotConfirmed(KeyturnError):
    """The person looked, was asked, and did not say yes."""

    code = "approval.not_confirmed"
    status = 409
    exit_code = ExitCode.WAITING
    not_done = "Nothing was approved; the request still waits."
    next_step = "`keyturn deny ID --reason WHY` ends it."


def _waiting_ids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
    """Shell completion: ids of waiting requests, if a server answers."""
    from click.shell_completion import CompletionItem

    try:
        found = connect(context.params.get("home_path"), context.params.get("person")).get("/v1/requests")
    except KeyturnError:
        return []
    return [
        CompletionItem(one["id"], help=visible(one["sentence"]))
        for one in found
        if one["id"].startswith(incomplete)
    ]


request_argument = click.argument("request", metavar="ID", shell_complete=_waiting_ids)


@click.command()
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that ended, newest first.")
@json_option
def requests(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List what waits for people, most urgent first."""
    client = connect(home_path, person)
    found = client.get(f"/v1/requests?only={'all' if everything else 'waiting'}&limit={PAGE}")
    if as_json:
        say_json(found)
        return
    for request in found:
        say(line(request))
    if not found:
        say("There was no request yet." if everything else "Nothing is waiting.")
    elif len(found) == PAGE:
        say(f"Only {PAGE} are listed.", err=True)
    elif sys.stdout.isatty() and not everything:
        say("Look at one with `keyturn show ID`.", err=True)


@click.command()
@request_argument
@home_option
@as_option
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until it has ended. Exit 0 approved, 4 denied, 5 expired, 6 still waiting.",
)
@click.option(
    "--timeout", type=click.FloatRange(0), metavar="SECONDS", help="With --wait: no longer than this."
)
@json_option
def show(
    request: str, home_path: str | None, person: str | None, wait: bool, timeout: float | None, as_json: bool
) -> None:
    """Show one request: what would run, why it is held, who may decide.

    With --wait it ends when the request has: 0 approved, 4 denied, 5 expired, 3 withdrawn or superseded; 6 when the
    timeout was first.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is for --wait.")
    client = connect(home_path, person)
    view = client.get(f"/v1/requests/{segment(request)}")
    if wait:
        if view["state"] == "waiting" and not as_json:
            say(f"Waiting for {view['id']} to end; Ctrl-C ends only the waiting.", err=True)
        view = _ended(client, view, timeout)
    say_json(view) if as_json else say(card(view))
    if not as_json and sys.stdout.isatty() and view["state"] == "waiting" and not view["may_decide"]:
        short = view["digest"].removeprefix("sha256:")[:MIN_DIGEST]
        say(
            f"\nkeyturn approve {view['id']} --digest {short}\nkeyturn deny {view['id']} --reason WHY",
            err=True,
        )
    if wait:
        sys.exit(OUTCOMES.get(view["state"], ExitCode.INTERNAL))


def _ended(client: Client, view: dict[str, Any], timeout: float | None) -> dict[str, Any]:
    """The request once it has ended or the time is up. A server that restarts meanwhile is waited for."""
    end = None if timeout is None else time.monotonic() + timeout
    path = f"/v1/requests/{segment(view['id'])}"
    gone: float | None = None
    while view["state"] == "waiting" and (end is None or time.monotonic() < end):
        left = ONE_WAIT if end is None else max(0.0, min(ONE_WAIT, end - time.monotonic()))
        try:
            view, gone = client.get(f"{path}/wait?timeout={left:.3f}"), None
        except Unreachable:
            now = time.monotonic()
            gone = gone or now
            if now - gone > PATIENCE or (end is not None and now >= end):
                raise
            time.sleep(0.5)
    return client.get(path)  # type: ignore[no-any-return]  # as this person sees it


@click.command()
@request_argument
@home_option
@as_option
@click.option("--reason", default="", metavar="WHY", help="Why; it is recorded, and policy may want it.")
@click.option(
    "--digest",
    metavar="DIGEST",
    help="Digest that `keyturn show` printed (12 characters or more): proof that you looked.",
)
@json_option
def approve(
    request: str, home_path: str | None, person: str | None, reason: str, digest: str | None, as_json: bool
) -> None:
    """Approve a request: exactly the bytes that `keyturn show` shows.

    In a terminal it shows them and asks. Elsewhere it wants --digest.
    """
    client = connect(home_path, person)
    view = client.get(f"/v1/requests/{segment(request)}")
    if digest is not None:
        _check_digest(view, digest)
    else:
        reason = _confirmed(view, reason, as_json)
    _decide(client, view, "approve", reason, as_json)


def _check_digest(view: dict[str, Any], digest: str) -> None:
    given = digest.removeprefix("sha256:")
    if len(given) < MIN_DIGEST:
        raise NotShown(f"{digest!r} is too short to show that you looked.")
    if not view["digest"].startswith("sha256:" + given):
        raise NotShown(f"{digest} is not the digest of {view['id']}.")


def _confirmed(view: dict[str, Any], reason: str, as_json: bool) -> str:
    """Show the request in a terminal and ask; the reason. Raises `NotShown`, `NotConfirmed`."""
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotShown("An approval needs to know which bytes you saw.")
    say(card(view))
    if view["state"] != "waiting" or view["may_decide"]:
        return reason  # there is nothing to ask; the server says why not
    lines = view["text"].count("\n")
    if lines > shutil.get_terminal_size().lines - 12:
        say(f"\nThe text has {plural(lines, 'line')}; scroll up to read all of it.")
    if not reason and view["obligations"].get("reason_required"):
        reason = click.prompt("Why", default="", show_default=False)
    if not click.confirm("Approve exactly this?"):
        raise NotConfirmed(
            "You did not say yes.", next_step=f"`keyturn deny {view['id']} --reason WHY` ends it."
        )
    return reason


@click.command()
@request_argument
@home_option
@as_option
@click.option("--reason", default="", metavar="WHY", help="Why; the agent is told.")
@json_option
def deny(request: str, home_path: str | None, person: str | None, reason: str, as_json: bool) -> None:
    """Deny a request. One denial ends it."""
    client = connect(home_path, person)
    _decide(client, client.get(f"/v1/requests/{segment(request)}"), "deny", reason, as_json)


def _decide(client: Client, view: dict[str, Any], choice: str, reason: str, as_json: bool) -> None:
    body = {"digest": view["digest"], "display": view["display"], "reason": reason, "channel": "cli"}
    after = client.post(f"/v1/requests/{segment(view['id'])}/{choice}", body)
    if as_json:
        say_json(after)
        return
    entry = after["approvals"][-1]["entry"]
    if after["state"] != "waiting":
        say(f"{after['id']} is {after['state']}; your decision is entry {entry}.")
        return
    missing = [
        f"{s['need'] - s['have']} of {visible(s['group'])}" for s in after["stages"] if s["have"] < s["need"]
    ]
    say(f"Your decision is entry {entry}. {after['id']} still waits for {', '.join(missing)}.")


@click.command()
@request_argument
@home_option
@as_option
@click.option("--why", default="", metavar="WHY", help="Why; it is recorded.")
@json_option
def withdraw(request: str, home_path: str | None, person: str | None, why: str, as_json: bool) -> None:
    """Give up a request that was made for you."""
    after = connect(home_path, person).post(f"/v1/requests/{segment(request)}/withdraw", {"why": why})
    say_json(after) if as_json else say(f"{after['id']} is {after['state']}.")
