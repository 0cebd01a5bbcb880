"""`keyturn reconcile`: a target's own log against the ledger."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import click

from keyturn.cli.client import as_option, connect, home_option, json_option
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import ExitCode, KeyturnError

SOURCES = ("pgaudit", "auditd", "cloudtrail", "kubernetes", "github", "jsonl")
SHOWN = 20
"""Lines of each list that are printed; --json has more."""


class NotAMoment(KeyturnError):
    """--since or --until is no date and time."""

    code = "reconcile.moment"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was read."
    next_step = "Write it as 2026-11-29T10:00:00Z, or as milliseconds since 1970."


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("file", metavar="FILE")
@click.option("--target", metavar="NAME", default="", help="Which target's log it is, as actions name it.")
@click.option(
    "--since", metavar="TIME", default="", help="Judge from here on, not from where the last run ended."
)
@click.option("--until", metavar="TIME", default="", help="Judge up to here, not up to the newest line.")
@click.option(
    "--principal", "principals", metavar="NAME", multiple=True, help="A credential of agents there (repeat)."
)
@click.option(
    "--tagging",
    type=click.Choice(["auto", "required", "none"]),
    default="auto",
    help="Whether agents tag there; auto: as soon as one tag is right.",
)
@click.option(
    "--map", "paths", metavar="FIELD=PATH", multiple=True, help="For jsonl: which field is what (repeat)."
)
@home_option
@as_option
@json_option
@click.pass_context
def reconcile(
    ctx: click.Context,
    source: str,
    file: str,
    target: str,
    since: str,
    until: str,
    principals: tuple[str, ...],
    tagging: str,
    paths: tuple[str, ...],
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Compare a target's own log with the ledger, in both directions.

    SOURCE is pgaudit, auditd, cloudtrail, kubernetes, github or jsonl; FILE its log, gzipped or not, - for standard input.
    A run goes on where the last one ended. Exit 8 when something happened there that nobody was asked about, or an
    allowed action left no line.

    `keyturn reconcile tag ID --target NAME` prints the tag of an action or session, for gates that people write.
    """
    client = connect(home_path, person)
    if source == "tag":
        made = client.get(f"/v1/tags/{quote(file, safe='')}?{urlencode({'target': target})}")
        say_json(made) if as_json else say(visible(made["tag"]))
        return
    asked: list[tuple[str, str]] = [("target", target), ("tagging", tagging)]
    asked += [(name, str(_moment(text))) for name, text in (("since", since), ("until", until)) if text]
    asked += [("principal", name) for name in principals] + [("map", path) for path in paths]
    with closing(_opened(file)) as log:
        found = client.upload(f"/v1/reconciliations/{quote(source, safe='')}?{urlencode(asked)}", log)
    say_json(found) if as_json else _say(found)
    if found["counts"]["bypasses"] or found["counts"]["missing"]:
        ctx.exit(ExitCode.DRIFT)


def _opened(file: str) -> BinaryIO:
    if file == "-":
        return sys.stdin.buffer
    return Path(file).open("rb")


def _moment(text: str) -> int:
    from keyturn.drift.sources.lines import NoTime, moment

    if text.isdigit():
        return int(text)
    try:
        return moment(text)
    except NoTime as error:
        raise NotAMoment(f"{error}.") from error


def _say(found: dict[str, Any]) -> None:
    from keyturn.drift.coverage import clock, span

    counts, share = found["counts"], found["coverage"]
    say(visible(f"{found['target']} by its {found['source']} log, {span(found['since'], found['until'])}"))
    covered = (
        "no event of agents"
        if share is None
        else f"{share:.1%} of {counts['events']:,} events have a matching action"
    )
    say(
        f"  {covered}: {counts['tagged']:,} by tag, {counts['in_session']:,} by session, {counts['matched']:,} by count."
    )
    if counts["within"]:
        say(f"  {counts['within']:,} were programs that started inside an allowed one.")
    if counts["others"]:
        say(
            f"  {counts['others']:,} events are of other accounts than {visible(', '.join(found['principals']))}."
        )
    if counts["late"]:
        say(
            f"  {counts['late']:,} events lie before this run's beginning and were not judged: --since judges them."
        )
    if counts["ahead"]:
        say(f"  {counts['ahead']:,} events lie in the future and were not judged.")
    if counts["broken"]:
        say(
            visible(
                f"  {counts['broken']:,} of {counts['lines']:,} lines could not be read: {'; '.join(found['reasons'])}"
            )
        )
    if found["stopped"]:
        say(visible(f"  {found['stopped']}"))
    for one in found["bypasses"][:SHOWN]:
        words = f"{clock(one['time'])}  {one['principal']}  {one['statement'] or one['operation']}  ({one['why']})"
        say(visible(f"  bypass, line {one['line']}: {words}"))
    for one in found["surplus"][:SHOWN]:
        say(
            visible(
                f"  bypass: {one['count']} surplus executions {span(one['earliest'], one['latest'])} of {one['statement']}"
            )
        )
    for one in found["missing"][:SHOWN]:
        say(visible(f"  not in the target: {one['action']} of {clock(one['time'])}  {one['fingerprint']}"))
    listed = min(len(found["bypasses"]), SHOWN) + sum(one["count"] for one in found["surplus"][:SHOWN])
    if counts["bypasses"] > listed:
        say(f"  … {counts['bypasses'] - listed:,} more: --json lists them")
    say(
        f"  bypasses: {counts['bypasses']:,}; allowed and not in the target: {counts['missing']:,}; entry {found['entry']}"
    )
