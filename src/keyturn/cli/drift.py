"""`keyturn drift`: questions over the whole past, answered from the ledger's segments. Reads the store beside a running server."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from keyturn.cli.behaviour import list_, show
from keyturn.cli.client import existing, home_option, json_option
from keyturn.cli.dry_run import instant
from keyturn.cli.ledger import reading
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode

_SPANS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
SHOWN = 40
"""Characters of a cell at most."""
SLOW = 1.0
"""Seconds after which it is said how far the log is read."""


@click.group()
def drift() -> None:
    """How far agents are from their baselines: list, show. Questions over the whole past: query, segments."""


drift.add_command(list_)
drift.add_command(show)


def past(text: str | None) -> int | None:
    """`24h`, `7d`, `2026-11-01` or `2026-11-01T18:00+01:00` in seconds since 1970; None for nothing."""
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if unit in _SPANS and number.isascii() and number.isdigit():
        return int(time.time()) - int(number) * _SPANS[unit]
    return instant(text if "T" in text else f"{text}T00:00+00:00") // 1000


since_option = click.option(
    "--since", metavar="TIME", help="From when on: 24h, 7d, 2026-11-01 or 2026-11-01T18:00Z."
)
until_option = click.option("--until", metavar="TIME", help="Until just before then (default: now).")


@drift.command("query")
@click.argument("name", required=False)
@since_option
@until_option
@click.option(
    "--set",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
    help="Another value that the query takes, e.g. session=s_….",
)
@click.option(
    "--memory", metavar="SIZE", default="500MB", show_default=True, help="How much memory the query may take."
)
@click.option("--list", "listed", is_flag=True, help="Say what queries there are, and what each takes.")
@click.option(
    "--sql",
    "dialect",
    type=click.Choice(("duckdb", "postgres", "clickhouse")),
    help="Only print the statement, for that engine.",
)
@home_option
@json_option
def query_(
    name: str | None,
    since: str | None,
    until: str | None,
    given: tuple[str, ...],
    memory: str,
    listed: bool,
    dialect: Any,
    home_path: str | None,
    as_json: bool,
) -> None:
    """Answer one of the nine queries over everything that was recorded: `mix`, `first_seen`, `volume`, `rules`, `attribution`,
    `separation`, `reconciled`, `changes`, `session`.

    Where no --since is given: the last day for mix, first_seen and reconciled, else everything.
    """
    from keyturn.store.analytics import query

    if listed or name is None:
        _list(as_json)
        return
    asked = query(name)
    values = _values(name, since, until, given)
    if dialect:
        say(asked.sql({"since": 0, "until": int(time.time()) + 1, **values}, dialect))
        return
    with reading(home := existing(home_path)) as store:
        from keyturn.store.analytics import Segments
        from keyturn.store.analytics.engine import of_segments

        progress = Progress(quiet=as_json)
        with of_segments(Segments(home.segments, store), memory=memory, progress=progress) as (
            database,
            done,
        ):
            answer = database.ask(name, **values)
    if as_json:
        say_json(
            {
                **{k: getattr(answer, k) for k in answer.__struct_fields__ if k != "rows"},
                "rows": answer.records(),
                "refreshed": done,
            }
        )
        return
    say(asked.answers)
    _table(answer.columns, answer.rows)
    say(
        f"{plural(len(answer.rows), 'row')} over {plural(answer.size, 'entry', 'entries')} in {answer.seconds:.2f} s."
    )


def _values(name: str, since: str | None, until: str | None, given: tuple[str, ...]) -> dict[str, int | str]:
    values: dict[str, int | str] = {}
    for text in given:
        key, mark, value = text.partition("=")
        if not mark:
            raise click.UsageError("--set takes NAME=VALUE.")
        values[key] = int(value) if value.lstrip("-").isdigit() else value
    if since is None and name in ("mix", "first_seen", "reconciled"):
        since = "24h"
    start, end = past(since), past(until)
    if start is not None:
        values["since"] = start
    if end is not None:
        values["until"] = end
    return values


def _list(as_json: bool) -> None:
    from keyturn.store.analytics import NAMES, query

    found = [query(name) for name in NAMES]
    if as_json:
        say_json(found)
        return
    for one in found:
        say(f"{one.name:<12} {one.answers}")
        for takes, meaning in one.takes.items():
            say(f"{'':<12}   {takes}: {meaning}")


def _table(columns: tuple[str, ...], rows: tuple[tuple[Any, ...], ...]) -> None:
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(len(name), *(len(row[n]) for row in cells), 0) if cells else len(name)
        for n, name in enumerate(columns)
    ]
    say("  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip())
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = f"{value:.4g}" if isinstance(value, float) else visible(str(value))
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


class Progress:
    """Says on standard error how far the log is read, where that takes long."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet, self.last = quiet, time.monotonic()

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if self.quiet or not sys.stderr.isatty() or now - self.last < SLOW:
            return
        self.last = now
        say(f"Read {done:,} of {plural(of, 'entry', 'entries')}…", err=True)


@drift.command("segments")
@click.option(
    "--check",
    is_flag=True,
    help="Make every segment again beside the stored one and compare; exit 7 when one differs.",
)
@click.option("--drop", is_flag=True, help="Delete them; they are made again when somebody asks.")
@home_option
@json_option
def segments_(check: bool, drop: bool, home_path: str | None, as_json: bool) -> None:
    """Bring the segments up to date and list them: range, rows, size. They are made from the ledger alone."""
    from keyturn.store.analytics import Segments
    from keyturn.store.analytics.engine import of_segments

    if check and drop:
        raise click.UsageError("--check and --drop exclude each other.")
    home = existing(home_path)
    with reading(home) as store:
        segments = Segments(home.segments, store)
        if drop:
            segments.drop()
            say_json({"dropped": True}) if as_json else say("The segments are deleted.")
            return
        differing = segments.differing() if check else {}
        with of_segments(segments, progress=Progress(quiet=as_json)) as (_, done):
            seals = {name: segments.seal(name) for name in segments.names()}
    if as_json:
        say_json({"refreshed": done, "segments": seals, "differing": differing})
    else:
        for name, seal in seals.items():
            mark = f"  DIFFERED: {differing[name]}" if name in differing else ""
            size = sum(one.bytes for one in seal.tables.values())
            say(f"{name}  {plural(seal.tables['action'].rows, 'action'):>16}  {size:>12,} bytes{mark}")
        for name, why in done.again.items():
            say(f"Made again: {name} ({why}).")
        say(f"{plural(len(seals), 'segment')}, {plural(done.size, 'entry', 'entries')} in the log.")
    if differing:
        sys.exit(ExitCode.DAMAGED)
