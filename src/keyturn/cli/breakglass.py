"""`keyturn breakglass REQUEST`: release a held request alone in an emergency. `keyturn breakglass list`, `review`: afterwards."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from keyturn.approvals.breakglass import GRANT
from keyturn.cli.card import card
from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.requests import NotConfirmed, NotShown, check_digest
from keyturn.cli.terminal import say, say_json, visible
from keyturn.service.words import clock

Row = dict[str, Any]


class OrRequest(click.Group):
    """A group whose first word may also be a request: then it is `use`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with `use` put in front of what is no command."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["use", *args]
        return super().parse_args(ctx, args)


@click.group(cls=OrRequest)
def breakglass() -> None:
    """Release a held request alone, where policy names you for emergencies: `keyturn breakglass REQUEST --reason WHY`.

    Everybody whom policy names is told, and somebody else has to review it.
    """


@breakglass.command()
@click.argument("request", metavar="REQUEST")
@home_option
@as_option
@click.option(
    "--reason", required=True, metavar="WHY", help="Why it can't wait. Recorded, and told to everybody named."
)
@click.option(
    "--digest", metavar="DIGEST", help="Digest that `keyturn show` printed (12 characters or more)."
)
@click.option(
    "--sign", is_flag=True, help="Sign it with your own SSH key, after working out here what is signed."
)
@click.option(
    "--key",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="With --sign: this key, public or private file.",
)
@json_option
def use(
    request: str,
    home_path: str | None,
    person: str | None,
    reason: str,
    digest: str | None,
    sign: bool,
    key: str | None,
    as_json: bool,
) -> None:
    """Release REQUEST now. In a terminal it is shown first; elsewhere --digest is wanted."""
    if key is not None and not sign:
        raise click.UsageError("--key is for --sign.")
    client = connect(home_path, person)
    view = client.get(f"/v1/requests/{segment(request)}")
    path = f"/v1/requests/{segment(view['id'])}/breakglass"
    body: Row = {"digest": view["digest"], "display": view["display"], "reason": reason}
    handed: Row | None = None
    if sign:
        from keyturn.cli import signing

        handed = client.post(f"{path}/statement", body)
        view = signing.checked(view["id"], view, handed)
    if digest is not None:
        check_digest(view, digest)
    else:
        _confirmed(view, as_json)
    if handed is not None:
        body |= signing.proof(client, view, handed, reason, GRANT, "", Path(key) if key else None)
    after = client.post(path, {**body, "channel": "cli"})
    if as_json:
        say_json(after)
        return
    if after.get("drill"):
        say(visible(after["ended_why"]))
        return
    say(f"Released {visible(after['id'])}. It has to be reviewed by somebody else: keyturn breakglass list")


def _confirmed(view: Row, as_json: bool) -> None:
    if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise NotShown("Whoever breaks the glass needs to know which bytes they saw.")
    say(card(view))
    if view["state"] == "waiting" and not click.confirm(
        "Break the glass for exactly this? Everybody named is told."
    ):
        raise NotConfirmed("You did not say yes.")


@breakglass.command("list")
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that were reviewed.")
@json_option
def list_(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List who broke the glass and was not reviewed yet, most urgent first."""
    found = connect(home_path, person).get(f"/v1/breakglass?only={'all' if everything else 'unreviewed'}")
    if as_json:
        say_json(found)
        return
    for one in found:
        say(f"{visible(one['id'])}  {one['state']:<10}  {visible(one['person'])}: {visible(one['reason'])}")
        say(f"  {visible(one['sentence'])} (request {visible(one['request'])})")
        if one["reviewed_by"]:
            say(f"  {one['verdict']}, says {visible(one['reviewed_by'])}: {visible(one['note'])}")
        else:
            say(f"  to be reviewed by {visible(one['reviewers'])} until {clock(one['review_by'])}")
    if not found:
        say("Nobody ever broke the glass." if everything else "Nothing is to be reviewed.")


@breakglass.command()
@click.argument("glass", metavar="ID")
@home_option
@as_option
@click.option("--justified/--unjustified", "justified", default=None, required=True, help="What you found.")
@click.option("--note", required=True, metavar="WORDS", help="What you looked at. Recorded.")
@json_option
def review(
    glass: str, home_path: str | None, person: str | None, justified: bool, note: str, as_json: bool
) -> None:
    """Review that somebody broke the glass."""
    body = {"verdict": "justified" if justified else "unjustified", "note": note}
    found = connect(home_path, person).post(f"/v1/breakglass/{segment(glass)}/review", body)
    say_json(found) if as_json else say(f"{visible(found['id'])} was {found['verdict']}: recorded.")
