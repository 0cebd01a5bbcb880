"""`keyturn drill`: requests that are known to be bad and can't run."""

from __future__ import annotations

import click

from keyturn.cli.client import as_option, connect, home_option, json_option
from keyturn.cli.terminal import say, say_json


@click.group()
def drill() -> None:
    """Drills: known-bad requests that can't run, to see whether people look."""


@drill.command("now")
@home_option
@as_option
@json_option
def drill_now(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Open one now; for administrators. Which request it is, nobody is told before it was decided on."""
    opened = connect(home_path, person).post("/v1/drills", {})
    say_json(opened) if as_json else say("A drill waits among the other requests.")
