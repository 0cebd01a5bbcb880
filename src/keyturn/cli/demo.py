"""`keyturn demo`."""

from __future__ import annotations

from pathlib import Path

import click

from keyturn.cli.client import json_option
from keyturn.cli.terminal import say, say_json


@click.command()
@click.option("--unattended", is_flag=True, help="Play both people; exit 0 if everything went as it should.")
@click.option(
    "--story",
    type=click.Choice(["tidy", "drift"]),
    default="tidy",
    help="Which story to play: a held action, or a day of drift.",
)
@click.option(
    "--export",
    "export",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the finished log here, before the tampering.",
)
@json_option
def demo(unattended: bool, story: str, export: Path | None, as_json: bool) -> None:
    """See one held action, decide on it, and catch a tampered ledger.

    Uses a scratch folder, no account, no root, and nothing of your own installation. With --json what happens is told
    on stderr.
    """
    from keyturn.demo.story import play

    played = play(lambda words: say(words, err=as_json), story=story, unattended=unattended, export=export)
    if as_json:
        say_json(played)
