"""`keyturn requests`, `show`, `approve`, `deny`, `withdraw`."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from keyturn.channels.web.reveal import plain as reveal_text
from keyturn.cli import as_json as to_json
from keyturn.cli.client import Client, as_option, connect, home_option, json_option
from keyturn.errors import ExitCode, KeyturnError


class NotShown(KeyturnError):
    """An approval without having seen what would run."""

    code = "approval.not_shown"
    status = 428
    exit_code = ExitCode.USAGE
    not_done = "Nothing was approved and nothing ran."
    next_step = (
        "Run `keyturn show ID`, then approve with `--digest` and the first 12 or more characters it prints."
    )


@click.command()
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that ended.")
@json_option
def requests(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List what waits for people, most urgent first."""
    found = connect(home_path, person).get(f"/v1/requests?only={'all' if everything else 'waiting'}")
    if as_json:
        click.echo(to_json(found))
        return
    if not found:
        click.echo("Nothing is waiting.")
    for request in found:
        click.echo(
            f"{request['id']}  {request['state']:<10} {_left(request):>8}  {reveal_text(request['sentence'])}"
        )


@click.command()
@click.argument("request")
@home_option
@as_option
@json_option
def show(request: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Show one request: what would run, why it is held, who may decide."""
    view = connect(home_path, person).get(f"/v1/requests/{request}")
    click.echo(to_json(view) if as_json else describe(view))


def describe(view: dict[str, Any]) -> str:
    """The request as text, every invisible character made visible."""
    who = view["attribution"]
    human = (who.get("human") or {}).get("person", "nobody known")
    instruction = (who.get("instruction") or {}).get("text", "(not given)")
    lines = [
        f"{view['id']}  {view['state']}  {_left(view)}",
        f"  {reveal_text(view['sentence'])}",
        "",
        *("  | " + reveal_text(line) for line in view["text"].splitlines() or [""]),
        "",
        f"  in {view['cwd']}  at {view['gate']} ({view['assurance']})",
        f"  asked by {(who.get('agent') or {}).get('name', 'policy author')} for {human}: {reveal_text(instruction)}",
        *(f"  held: {reveal_text(reason)}" for reason in view["decision"]["reasons"]),
        *(
            f"  needs {s['need']} of {s['group']}, has {s['have']}; may still decide: {', '.join(s['who']) or 'nobody'}"
            for s in view["stages"]
        ),
        *(
            f"  {a['person']}: {a['choice']} {reveal_text(a['reason'])} (entry {a['entry']})"
            for a in view["approvals"]
        ),
        f"  digest {view['digest']}",
    ]
    if view["may_decide"]:
        lines.append(f"  You can't decide: {view['may_decide']}")
    return "\n".join(lines)


@click.command()
@click.argument("request")
@home_option
@as_option
@click.option("--reason", default="", help="Why.")
@click.option(
    "--digest", help="Digest that `keyturn show` printed (12 characters or more): proof that you looked."
)
@json_option
def approve(
    request: str, home_path: str | None, person: str | None, reason: str, digest: str | None, as_json: bool
) -> None:
    """Approve a request: exactly the bytes that `keyturn show` shows."""
    client = connect(home_path, person)
    view = client.get(f"/v1/requests/{request}")
    if digest is None:
        if not sys.stdin.isatty() or as_json:
            raise NotShown("An approval needs to know which bytes you saw.")
        click.echo(describe(view))
        click.confirm("Approve exactly this?", abort=True)
    elif len(digest.removeprefix("sha256:")) < 12 or not view["digest"].startswith(
        "sha256:" + digest.removeprefix("sha256:")
    ):
        raise NotShown(f"{digest} is not the digest of {request}.")
    _decide(client, view, "approve", reason, as_json)


@click.command()
@click.argument("request")
@home_option
@as_option
@click.option("--reason", default="", help="Why; the agent is told.")
@json_option
def deny(request: str, home_path: str | None, person: str | None, reason: str, as_json: bool) -> None:
    """Deny a request. One denial ends it."""
    client = connect(home_path, person)
    _decide(client, client.get(f"/v1/requests/{request}"), "deny", reason, as_json)


def _decide(client: Client, view: dict[str, Any], choice: str, reason: str, as_json: bool) -> None:
    body = {"digest": view["digest"], "display": view["display"], "reason": reason, "channel": "cli"}
    after = client.post(f"/v1/requests/{view['id']}/{choice}", body)
    if as_json:
        click.echo(to_json(after))
        return
    click.echo(
        f"{after['id']} is {after['state']}; your decision is entry {after['approvals'][-1]['entry']}."
    )


@click.command()
@click.argument("request")
@home_option
@as_option
@click.option("--why", default="", help="Why.")
@json_option
def withdraw(request: str, home_path: str | None, person: str | None, why: str, as_json: bool) -> None:
    """Give up a request that was made for you."""
    after = connect(home_path, person).post(f"/v1/requests/{request}/withdraw", {"why": why})
    click.echo(to_json(after) if as_json else f"{after['id']} is {after['state']}.")


def _left(request: dict[str, Any]) -> str:
    if request["state"] != "waiting":
        return ""
    seconds = max(0, int(request["expires"] / 1000 - time.time()))
    return f"{seconds // 60}:{seconds % 60:02d} left"
