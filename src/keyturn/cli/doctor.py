"""`keyturn doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

import sys

import click

from keyturn.cli.client import home_of, home_option, json_option
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode


@click.command()
@home_option
@json_option
def doctor(home_path: str | None, as_json: bool) -> None:
    """Say what is wrong and how to mend it. Works with and without a server. Exit 1 if anything is bad."""
    from keyturn.cli.examination import examine

    found = []
    for one in examine(home_of(home_path)):
        found.append(one)
        if as_json:
            continue
        say(f"{one.state:<5} {visible(one.what)}")
        if one.mend:
            say(f"      → {visible(one.mend)}")
    bad, warned = (sum(one.state == state for one in found) for state in ("bad", "warn"))
    if as_json:
        say_json(found)
    else:
        say(
            f"{plural(bad, 'thing')} bad, {plural(warned, 'warning')}." if bad or warned else "All is well.",
            err=True,
        )
    if bad:
        sys.exit(ExitCode.INTERNAL)
