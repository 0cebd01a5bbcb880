"""`keyturn config`."""

from __future__ import annotations

import json
import os
import re
import tomllib

import click

from keyturn.cli.client import home_of, home_option, json_option
from keyturn.cli.terminal import say, say_json, visible

_PASSWORD = re.compile(r"(?<=:)[^:/@]*(?=@)|(?<=password=)[^&]*")


@click.command()
@home_option
@json_option
def config(home_path: str | None, as_json: bool) -> None:
    """Every setting, its value, and where it comes from. A password in `store` is not shown."""
    import msgspec

    from keyturn.service.settings import ENVIRONMENT_PREFIX, load

    home = home_of(home_path)
    settings = load(home.root)
    written = tomllib.loads(home.settings.read_text(encoding="utf-8")) if home.settings.exists() else {}
    shown = []
    for name, value in msgspec.to_builtins(settings).items():
        variable = ENVIRONMENT_PREFIX + name.upper()
        origin = variable if variable in os.environ else str(home.settings) if name in written else "default"
        shown.append(
            {"name": name, "value": without_password(value) if name == "store" else value, "origin": origin}
        )
    if as_json:
        say_json(shown)
        return
    for row in shown:
        say(f"{row['name']:<16} {visible(json.dumps(row['value'], ensure_ascii=False)):<24} {row['origin']}")
    say(f"In {home.root}" + ("." if home.exists else ", which is not a home yet: `keyturn init`."), err=True)


def without_password(url: str) -> str:
    """A store's URL as it may be shown."""
    return _PASSWORD.sub("…", url) if "://" in url else url
