"""`keyturn policy suggest` and `unused`: a rule out of a held action, and rules that nobody needs any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.terminal import plural, say, say_json, visible


@click.command("suggest")
@click.argument("request", metavar="ID")
@click.option(
    "--days", type=click.IntRange(1), default=30, show_default=True, help="For how long it lets run."
)
@click.option(
    "--propose", is_flag=True, help="Send it through publication: somebody else of `policy` approves."
)
@click.option("--note", default="", metavar="TEXT", help="With --propose: for whoever approves.")
@home_option
@as_option
@json_option
def suggest(
    request: str,
    days: int,
    propose: bool,
    note: str,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """The narrowest rule that would have let a held action run, and what it would have run of the last 30 days.

    With --propose it becomes a policy proposal.
    """
    if note and not propose:
        raise click.UsageError("--note is for --propose.")
    client = connect(home_path, person)
    path = f"/v1/requests/{segment(request)}/always"
    found = client.get(f"{path}?days={days}")
    if not as_json:
        for line in _lines(found):
            say(line)
    made = client.post(path, {"digest": found["digest"], "days": days, "note": note}) if propose else None
    if as_json:
        say_json(made or found)
    elif made:
        say(f"Proposed: {visible(made['id'])} waits for {visible(made['obligations']['approve'])}.")


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield from (visible(line) for line in found["text"].rstrip().split("\n"))
    yield ""
    looked, count, denied = found["looked"], found["count"], found["denied"]
    yield f"Of {plural(looked, 'action')} of the last 30 days it would have run {count}; people denied {denied} of those."
    for one in found["allowed"]:
        how = f" ({visible(one['people'])})" if one["people"] else ""
        yield f"  {visible(one['sentence'])}{how}"
    if found["count"] > len(found["allowed"]):
        yield f"  and {found['count'] - len(found['allowed'])} more"
    for warning in found["warnings"]:
        yield f"CAUTION: {visible(warning)}"


@click.command("unused")
@click.option("--days", type=click.IntRange(1), default=30, show_default=True, help="How far to look back.")
@click.option("--review", is_flag=True, help="Record that they are up for review.")
@home_option
@as_option
@json_option
def unused(days: int, review: bool, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Rules that let run, and let nothing run lately; those that have ended, too."""
    client = connect(home_path, person)
    found = (
        client.post("/v1/policy/unused", {"days": days})
        if review
        else client.get(f"/v1/policy/unused?days={days}")
    )
    if as_json:
        say_json(found)
        return
    for one in found:
        ended = "  ended" if one["ended"] else ""
        say(f"{visible(one['rule']):<40} {visible(one['file'])}:{one['line']}{ended}")
    if not found:
        say(f"Every rule that lets run did so in the last {plural(days, 'day')}.")
    elif review:
        say("They are up for review; take out what nobody needs with a policy proposal.")
