"""`keyturn demo`."""

from __future__ import annotations

from pathlib import Path

import click

from keyturn.cli import as_json as to_json
from keyturn.cli.client import json_option


@click.command()
@click.option("--unattended", is_flag=True, help="Play both people; exit 0 if everything went as it should.")
@click.option("--story", type=click.Choice(["tidy"]), default="tidy", help="Which story to play.")
@click.option(
    "--export",
    "export",
    type=click.Path(path_type=Path),
    help="Write the finished log here, before the tampering.",
)
@json_option
def demo(unattended: bool, story: str, export: Path | None, as_json: bool) -> None:
    """See one held action, decide on it, and catch a tampered ledger. Uses a scratch folder, no account, no root."""
    from keyturn.demo.story import play

    counts = play(lambda words: click.echo(words, err=as_json), unattended=unattended, export=export)
    if as_json:
        click.echo(to_json({"story": story, **counts}))
