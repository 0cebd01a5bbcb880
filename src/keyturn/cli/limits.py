"""`keyturn limits`: how full the limits are."""

from __future__ import annotations

import click

from keyturn.cli.client import as_option, connect, home_option, json_option
from keyturn.cli.terminal import say, say_json, visible


@click.command()
@home_option
@as_option
@json_option
def limits(home_path: str | None, person: str | None, as_json: bool) -> None:
    """How full the limits of drift.toml are now, the fullest first."""
    found = connect(home_path, person).get("/v1/limits")
    if as_json:
        say_json(found)
        return
    for one in found:
        said = ", ".join(filter(None, one["key"])) or "everything together"
        unit = f" {one['of']}" if one["of"] in ("rows", "bytes") else ""
        say(visible(f"{one['limit']:<16} {one['amount']:,} of {one['most']:,}{unit} {one['each']}  {said}"))
    if not found:
        say("Nothing was let go lately that a limit counts.")
