"""`keyturn token`: a person's own tokens for their own tools, with fewer scopes and an end."""

from __future__ import annotations

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.credentials import check_out, hand_over, out_option, show, span
from keyturn.cli.terminal import say, say_json, visible

SCOPES = click.Choice(["read", "deny", "approve", "delegate", "manage"])


@click.group()
def token() -> None:
    """Your own tokens with fewer scopes: new, list, revoke."""


@token.command("new")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=SCOPES,
    help="What it may do (repeat). deny and approve include read; delegate gives agents tokens that act for you.",
)
@click.option(
    "--expires", callback=span, metavar="SPAN", help="How long it lasts, as in 12h or 30d (default: 30d)."
)
@click.option("--name", default="", help="What it is for, as shown in lists.")
@out_option
@home_option
@as_option
@json_option
def new(
    scopes: tuple[str, ...],
    expires: int | None,
    name: str,
    out: str | None,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Make a token of your own that may do less than you may. It is shown once and stored only as a hash."""
    check_out(out)
    body = {"scopes": scopes, "seconds": expires, "name": name}
    made = connect(home_path, person).post("/v1/tokens", body)
    words = f"This token may {', '.join(made['credential']['scopes'])}"
    hand_over(made, made["token"], words, made["credential"]["expires"], out, as_json)


@token.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that open nothing any more.")
@home_option
@as_option
@json_option
def list_(everything: bool, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Your own tokens, newest first. The one of your enrolment is not among them: `keyturn person token` replaces that."""
    found = connect(home_path, person).get("/v1/tokens")
    if not everything:
        found = [one for one in found if one["state"] == "active"]
    show(found, as_json, "You have no token but that of your enrolment.")


@token.command()
@click.argument("credential_id", metavar="ID")
@click.option("--why", default="", help="Why. Recorded.")
@home_option
@as_option
@json_option
def revoke(credential_id: str, why: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Revoke one of your tokens: it opens nothing from now on. Administrators may revoke anybody's."""
    after = connect(home_path, person).post(f"/v1/tokens/{segment(credential_id)}/revoke", {"why": why})
    say_json(after) if as_json else say(visible(f"Revoked {after['id']}, a token of {after['name']}."))
