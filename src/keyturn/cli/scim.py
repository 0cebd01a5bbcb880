"""`keyturn scim`: the token of the client that keeps people and groups up to date."""

from __future__ import annotations

import click

from keyturn.cli.client import as_option, connect, home_option, json_option
from keyturn.cli.terminal import say, say_json


@click.group()
def scim() -> None:
    """The SCIM client of a provider: its token."""


@scim.command("token")
@home_option
@as_option
@json_option
def token(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Make the SCIM client's token, printed once. The one before is void from then on.

    Where there is another administrator, the token is good once they have approved it.
    """
    made = connect(home_path, person).post("/v1/scim/token")
    if as_json:
        say_json(made)
        return
    if "request" in made:
        say(f"It opens nothing until {made['approve']} approves the request {made['request']}.")
    say("Give this token to the provider over a safe channel; it is not shown again:")
    say(made["token"])


@scim.command("revoke")
@home_option
@as_option
@json_option
def revoke(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Void the SCIM client's token. The people and groups that it made stay."""
    made = connect(home_path, person).post("/v1/scim/revoke")
    say_json(made) if as_json else say("No SCIM client gets in from now on.")
