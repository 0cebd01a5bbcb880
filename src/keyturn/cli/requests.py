"""`keyturn requests`, `show`, `approve`, `deny`, `withdraw`."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
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
@click.option(
    "--for", "lasts", metavar="TIME", help="Let exactly this run again for 10m, 1h…; without it once."
)
@click.option("--session", is_flag=True, help="With --for: in this session only.")
@click.option("--uses", type=click.IntRange(1), metavar="N", help="With --for: at most N times.")
@click.option(
    "--ticket", default="", metavar="REFERENCE", help="The approved change, where policy asks for one."
)
@click.option(
    "--sign", is_flag=True, help="Sign with an SSH key of yours, after working everything out again here."
)
@click.option(
    "--key",
    "key_file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --sign: the key, or the .pub of one in your agent (default: the first that is enrolled).",
)
@click.option(
    "--type",
    "typed",
    default="",
    metavar="NAME",
    help="For a critical action: the name of what it hits, as `keyturn show` prints it.",
)
@json_option
def approve(
    request: str,
    home_path: str | None,
    person: str | None,
    reason: str,
    digest: str | None,
    lasts: str | None,
    session: bool,
    uses: int | None,
    ticket: str,
    sign: bool,
    key_file: Path | None,
    typed: str,
    as_json: bool,
) -> None:
    """Approve a request: exactly the bytes that `keyturn show` shows.

    In a terminal it shows them and asks. Elsewhere it wants --digest. Once, or with --for again and again until that time
    is over: the same bytes in the same folder by the same agent. With --sign your own key stands behind it: this program
    works out both digests itself, and refuses if the server shows anything else than what would be signed.
    A high risk wants a reason, a critical one the name of what it hits, too, unless it is signed.
    """
    if key_file is not None and not sign:
        raise click.UsageError("--key is for --sign.")
    grant = _grant(lasts, session, uses)
    client = connect(home_path, person)
    view = client.get(f"/v1/requests/{segment(request)}")
    handed: dict[str, Any] = {}
    if sign:
        from keyturn.cli import signing

        handed = signing.handed_out(client, view, "approve", grant)
        view = signing.checked(request, view, handed)
    if digest is not None:
        check_digest(view, digest)
    else:
        reason, typed = _confirmed(view, reason, typed, as_json, grant)
        ticket = ticket or _asked_ticket(view)
    proof = signing.proof(client, view, handed, reason, grant, ticket, key_file) if sign else None
    _decide(client, view, "approve", reason, as_json, grant, ticket, proof, typed)


def _grant(lasts: str | None, session: bool, uses: int | None) -> str:
    """How far the approval goes, as it is signed."""
    if lasts is None:
        if session or uses:
            raise click.UsageError("--session and --uses are for --for.")
        return ""
    from keyturn.policy.obligations import seconds

    try:
        return f"{seconds(lasts)}s{' session' if session else ''}{f' {uses} uses' if uses else ''}"
    except ValueError as error:
        raise click.UsageError(f"--for: {error}.") from error


def _asked_ticket(view: dict[str, Any]) -> str:
    """The reference, where policy asks for one: what is known so far is the default, and shown."""
    given = view.get("conditions") or {}
    if not given.get("ticket") or view["state"] != "waiting" or view["may_decide"]:
        return ""
    known = visible(given.get("reference") or "")
    return str(click.prompt("Ticket", default=known, show_default=bool(known))).strip()


def check_digest(view: dict[str, Any], digest: str) -> None:
    given = digest.removeprefix("sha256:")
    if len(given) < MIN_DIGEST:
        raise NotShown(f"{digest!r} is too short to show that you looked.")
    if not view["digest"].startswith("sha256:" + given):
        raise NotShown(f"{digest} is not the digest of {view['id']}.")


def _confirmed(view: dict[str, Any], reason: str, typed: str, as_json: bool, grant: str) -> tuple[str, str]:
    """Show the request in a terminal and ask; the reason and the typed name. Raises `NotShown`, `NotConfirmed`."""
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotShown("An approval needs to know which bytes you saw.")
    say(card(view))
    if view["state"] != "waiting" or view["may_decide"]:
        return reason, typed  # there is nothing to ask; the server says why not
    lines = view["text"].count("\n")
    if lines > shutil.get_terminal_size().lines - 12:
        say(f"\nThe text has {plural(lines, 'line')}; scroll up to read all of it.")
    risk = view.get("risk") or {}
    if not reason and (
        view["obligations"].get("reason_required") or risk.get("tier") in ("high", "critical")
    ):
        reason = click.prompt("Why", default="", show_default=False)
    if risk.get("tier") == "critical" and not typed:
        typed = click.prompt(
            f"It is critical. Type {visible(risk['target'])} to approve it{f' for {grant}' if grant else ''}",
            default="",
            show_default=False,
        )
    elif not click.confirm(f"Approve exactly this{f', for {grant}' if grant else ''}?"):
        raise NotConfirmed(
            "You did not say yes.", next_step=f"`keyturn deny {view['id']} --reason WHY` ends it."
        )
    return reason, typed


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


def _decide(
    client: Client,
    view: dict[str, Any],
    choice: str,
    reason: str,
    as_json: bool,
    grant: str = "",
    ticket: str = "",
    proof: dict[str, Any] | None = None,
    typed: str = "",
) -> None:
    body = {"digest": view["digest"], "display": view["display"], "reason": reason, "channel": "cli"}
    body |= {"grant": grant} if grant else {}
    body |= {"ticket": ticket} if ticket else {}
    body |= proof or {}
    body |= {"typed": typed} if typed else {}
    after = client.post(f"/v1/requests/{segment(view['id'])}/{choice}", body)
    if as_json:
        say_json(after)
        return
    if after.get("drill"):
        say(f"{visible(after['ended_why'])} Your decision is entry {after['drill']['entry']}.")
        return
    entry = after["approvals"][-1]["entry"]
    if after["state"] != "waiting":
        say(f"{after['id']} is {after['state']}; your decision is entry {entry}.")
        return
    missing = [
        f"{s['need'] - s['have']} of {visible(s['group'].replace('|', ' or '))}"
        for s in after["stages"]
        if s["have"] < s["need"]
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
