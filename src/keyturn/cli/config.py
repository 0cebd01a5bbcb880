"""`keyturn config`."""

from __future__ import annotations

import os
import tomllib

import click
import msgspec

from keyturn.cli import as_json as to_json
from keyturn.cli.client import home_of, home_option, json_option


@click.command()
@home_option
@json_option
def config(home_path: str | None, as_json: bool) -> None:
    """Every setting, its value, and where it comes from."""
    from keyturn.service.settings import ENVIRONMENT_PREFIX, load

    home = home_of(home_path)
    settings = load(home.root)
    written = tomllib.loads(home.settings.read_text(encoding="utf-8")) if home.settings.exists() else {}
    shown = []
    for name, value in msgspec.to_builtins(settings).items():
        variable = ENVIRONMENT_PREFIX + name.upper()
        origin = variable if variable in os.environ else str(home.settings) if name in written else "default"
        shown.append({"name": name, "value": value, "origin": origin})
    if as_json:
        click.echo(to_json(shown))
        return
    for row in shown:
        click.echo(f"{row['name']:<16} {row['value']!r:<24} {row['origin']}")
