"""`keyturn vigilance`: how you review, or how everybody does."""

from __future__ import annotations

from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.terminal import say, say_json, visible


@click.command()
@click.option("--all", "everybody", is_flag=True, help="Everybody; for administrators and auditors.")
@home_option
@as_option
@json_option
def vigilance(home_path: str | None, person: str | None, everybody: bool, as_json: bool) -> None:
    """How you review: share approved, how long you look, drills caught."""
    client = connect(home_path, person)
    me = client.get("/v1/me")["id"]
    found = client.get("/v1/vigilance") if everybody else [client.get(f"/v1/vigilance/{segment(me)}")]
    if as_json:
        say_json(found if everybody else found[0])
        return
    for one in found:
        for line in _lines(one):
            say(line)
    if not found:
        say("Nobody has decided anything yet.")


def _lines(one: dict[str, Any]) -> list[str]:
    half = "not known" if one["median_ms"] is None else f"{one['median_ms'] / 1000:.1f} s"
    first = (
        f"{visible(one['person']):<20} approved {one['approved']} of {one['decisions']}, half of them within {half}; "
        f"drills caught {one['caught']} of {one['drills']}"
    )
    return [first, *(f"  {visible(words)}" for words in one["words"])]
