"""`keyturn findings`: what was observed that should not be, what becomes of it, and what followed from it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.credentials import when
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.drift.finding import SEVERITIES
from keyturn.drift.finding_life import OUTCOMES, STATES
from keyturn.errors import ExitCode
from keyturn.service.words import span

Row = dict[str, Any]
DAYS = {"d": 1, "w": 7}


class OrList(click.Group):
    """A group that lists when nothing else is said."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with `list` put in front of what begins with an option, and of nothing."""
        if not args or (args[0].startswith("-") and args[0] not in ("--help", "-h")):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=OrList)
def findings() -> None:
    """What was observed that should not be: list, show, acknowledge, explain, accept, close; what followed, and how fast."""


@findings.command("list")
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that are explained, accepted or closed.")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--area", default="", metavar="AREA", help="Only those of this policy area.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Only those of this severity.")
@click.option("--agent", default="", metavar="NAME", help="Only those about this agent.")
@click.option("--kind", default="", metavar="KIND", help="Only those of this kind.")
@click.option(
    "--limit", default=1000, show_default=True, type=click.IntRange(1, 1000), help="How many at most."
)
@click.option("--check", is_flag=True, help="Exit with 8 when any of those listed is not settled.")
@json_option
def list_(
    home_path: str | None,
    person: str | None,
    everything: bool,
    state: str | None,
    area: str,
    severity: str | None,
    agent: str,
    kind: str,
    limit: int,
    check: bool,
    as_json: bool,
) -> None:
    """List findings that nobody has settled, newest first: what was observed that should not be."""
    wanted = {
        "limit": limit,
        "only": state or ("all" if everything else "unresolved"),
        "area": area,
        "severity": severity or "",
        "agent": agent,
        "kind": kind,
    }
    found = connect(home_path, person).get(f"/v1/findings?{urlencode(wanted)}")
    if as_json:
        say_json(found)
    for one in () if as_json else found:
        say(
            f"{visible(one['id'])}  {when(one['opened'])}  {one['severity']:<8} {one['state']:<12} {visible(one['kind'])}"
        )
        say(f"    {visible(one['words'])}")
    if not found and not as_json:
        say("Nothing was found.")
    if check and any(one["state"] in ("open", "acknowledged") for one in found):
        raise SystemExit(ExitCode.DRIFT)


@findings.command()
@click.argument("finding", metavar="ID")
@home_option
@as_option
@json_option
def show(finding: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Show one finding: observed and expected, since when, what explains it, and its life.

    Your look is recorded, if you are the first one with no part in it; with --json a program looks, and nothing is recorded.
    """
    client = connect(home_path, person)
    found = client.get(f"/v1/findings/{segment(finding)}")
    if as_json:
        say_json(found)
        return
    if not found["viewed"] and not found["own"] and not os.environ.get("KEYTURN_SESSION"):
        found = client.post(f"/v1/findings/{segment(found['id'])}/viewed")
    for line in _shown(found):
        say(line)


def _shown(found: Row) -> list[str]:
    lines = [
        f"{visible(found['id'])}  {found['state']}  {found['severity']}  {visible(found['kind'])}  ({visible(found['area'])})",
        f"  {visible(found['words'])}",
    ]
    named = {"observed": found["observed"], "expected": found["expected"], "cause": found["cause"]}
    lines += [f"  {name:<10} {visible(words)}" for name, words in named.items() if words]
    if found["since"]:
        lines.append(f"  since      {between(found['since'])}")
    if found["magnitude"]:
        one = found["magnitude"]
        odds = f"; odds of {one['evidence']:,.0f} to 1 against no drift" if one["evidence"] else ""
        lines.append(f"  size       {one['baseline']:g} -> {one['value']:g} {visible(one['unit'])}{odds}")
    about = ", ".join(f"{visible(k)} {visible(str(v))}" for k, v in found["subject"].items())
    lines.append(f"  about      {about or '-'}")
    entries = [*found["entries"], found["entry"]]
    lines.append(f"  entries    {', '.join(map(str, entries))} (the last one is the finding)")
    lines += _explained(found["explanation"])
    for step in found["life"]:
        why = f": {visible(step['reason'])}" if step["reason"] else ""
        until = f" until {when(step['until'])}" if step["until"] else ""
        lines.append(f"  {when(step['time'])}  {step['verb']}{until} by {visible(step['by'] or 'time')}{why}")
    for one in found["responses"]:
        lines += _responded(one)
    if found["viewed"]:
        lines.append(f"  first look {when(found['viewed']['time'])} by {visible(found['viewed']['by'])}")
    if found["own"]:
        lines.append(f"  {visible(found['own'])}")
    return lines


def _responded(one: Row) -> list[str]:
    parts = ((one["held"], "held"), (one["refused"], "refused"))
    did = [f"{plural(count, 'action')} {deed}" for count, deed in parts if count]
    did += [f"{plural(one['stopped'], 'session')} ended"] if one["stopped"] else []
    lines = [f"  response   {visible(one['id'])} {visible(one['name'])}: {one['do']}, {one['state']}"]
    lines[0] += f" since {when(one['begun'])}; {', '.join(did) or 'it met no action'}"
    if one["lifted"]:
        by = f", asked by {visible(one['lifted_by'])}" if one["lifted_by"] else ""
        lines.append(f"             lifted {when(one['lifted'])}{by}: {visible(one['lifted_why'])}")
    return lines


def _explained(one: Row) -> list[str]:
    if one["grade"] == "NONE":
        return [f"  explained  by nothing. {visible(one['searched'])}".rstrip()]
    lines = [
        f"  explained  {one['grade']}: {visible(one['change'] or one['searched'])} by {visible(one['actor'] or '-')}"
    ]
    approvers = ", ".join(map(visible, one["approvers"])) or "-"
    lines.append(
        f"             approved by {approvers}: {visible(one['reason'] or '-')}; {visible(one['outcome'] or '-')}"
    )
    return lines + [f"             not covered: {visible(rest)}" for rest in one["residual"]]


def between(since: Row) -> str:
    """An interval in words."""
    if since["earliest"] == since["latest"]:
        return when(since["earliest"])
    return f"between {when(since['earliest'])} and {when(since['latest'])}"


def _move(
    home_path: str | None, person: str | None, finding: str, verb: str, body: Row, as_json: bool
) -> None:
    found = connect(home_path, person).post(f"/v1/findings/{segment(finding)}/{verb}", body)
    if as_json:
        say_json(found)
        return
    until = f" until {when(found['until'])}" if found["until"] else ""
    say(f"{visible(found['id'])} is {found['state']}{until}.")
    for one in found["responses"]:
        if one["state"] == "on" and found["state"] in ("explained", "accepted", "closed"):
            say(
                f"Its response {visible(one['name'])} stays: keyturn findings lift {visible(one['id'])} --reason WHY"
            )


reason_option = click.option(
    "--reason", required=True, metavar="WHY", help="Why, in your own words. Recorded."
)
change_option = click.option(
    "--change", default="", metavar="REQUEST", help="The approved change that explains it."
)


@findings.command()
@click.argument("finding", metavar="ID")
@home_option
@as_option
@click.option("--reason", default="", metavar="WHY", help="What you are about to do. Recorded.")
@json_option
def acknowledge(finding: str, home_path: str | None, person: str | None, reason: str, as_json: bool) -> None:
    """Say that you look after it. Nothing else changes."""
    _move(home_path, person, finding, "acknowledge", {"reason": reason}, as_json)


@findings.command()
@click.argument("finding", metavar="ID")
@home_option
@as_option
@reason_option
@change_option
@json_option
def explain(
    finding: str, home_path: str | None, person: str | None, reason: str, change: str, as_json: bool
) -> None:
    """Say what explains it. Not for your own agent, nor for a change of your own."""
    _move(home_path, person, finding, "explain", {"reason": reason, "change": change}, as_json)


@findings.command()
@click.argument("finding", metavar="ID")
@home_option
@as_option
@reason_option
@click.option(
    "--until", required=True, metavar="WHEN", help="Until when: 30d, 8w, or a date such as 2027-01-31 (UTC)."
)
@json_option
def accept(
    finding: str, home_path: str | None, person: str | None, reason: str, until: str, as_json: bool
) -> None:
    """Let it be until a date; then it is open again. Not for your own agent."""
    _move(home_path, person, finding, "accept", {"reason": reason, "until": moment(until)}, as_json)


@findings.command()
@click.argument("finding", metavar="ID")
@home_option
@as_option
@reason_option
@click.option(
    "--as-outcome",
    "outcome",
    type=click.Choice(OUTCOMES),
    default="fixed",
    show_default=True,
    help="How it ended.",
)
@change_option
@json_option
def close(
    finding: str,
    home_path: str | None,
    person: str | None,
    reason: str,
    outcome: str,
    change: str,
    as_json: bool,
) -> None:
    """Close it: fixed, explained by an approved change, or a false alarm. Not for your own agent."""
    body = {"reason": reason, "outcome": outcome, "change": change}
    _move(home_path, person, finding, "close", body, as_json)


@findings.command()
@click.argument("finding", metavar="ID")
@home_option
@as_option
@reason_option
@json_option
def reopen(finding: str, home_path: str | None, person: str | None, reason: str, as_json: bool) -> None:
    """Say that it is not settled: open again."""
    _move(home_path, person, finding, "reopen", {"reason": reason}, as_json)


@findings.command()
@home_option
@as_option
@click.option(
    "--days", default=90, show_default=True, type=click.IntRange(1, 3660), help="Findings of so many days."
)
@json_option
def lag(home_path: str | None, person: str | None, days: int, as_json: bool) -> None:
    """Say how long it takes from what happened until somebody knows, and until it is settled: by area and clock."""
    found = connect(home_path, person).get(f"/v1/findings/lag?days={days}")
    if as_json:
        say_json(found)
        return
    say(
        f"{plural(found['findings'], 'finding')} in {plural(found['days'], 'day')}; {found['unseen']} bad and not looked at."
    )
    for line in found["lines"]:
        rest = f"  {line['running']} still waiting, {length(line['oldest'])}" if line["running"] else ""
        times = (
            f"p50 {length(line['p50'])}  p95 {length(line['p95'])}  max {length(line['max'])}"
            if line["count"]
            else "-"
        )
        say(f"  {visible(line['area']):<24} {line['clock']:<13} {line['count']:>5}  {times}{rest}")
    say(f"Ran before anybody looked: {plural(found['exposure'], 'action')}.")


@findings.command()
@home_option
@as_option
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@json_option
def responses(home_path: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List what findings led to: agents that are stepped up, suspended or stopped."""
    found = connect(home_path, person).get(f"/v1/responses?only={'all' if everything else 'on'}&limit=1000")
    if as_json:
        say_json(found)
        return
    for one in found:
        over = f", lifted {when(one['lifted'])}" if one["lifted"] else ""
        over = f", until {when(one['ends'])}" if one["ends"] and not over else over
        say(
            f"{visible(one['id'])}  {one['do']:<8} {one['of'][0]} {visible(one['of'][1])} since {when(one['begun'])}{over}"
            f"  ({visible(one['finding'])} {visible(one['kind'])})"
        )
    if not found:
        say("Nothing is stepped up, suspended or stopped.")


@findings.command()
@click.argument("response", metavar="RESPONSE")
@home_option
@as_option
@reason_option
@json_option
def lift(response: str, home_path: str | None, person: str | None, reason: str, as_json: bool) -> None:
    """Ask that a response is lifted: those whom policy named decide, and nobody with a part in its finding."""
    made = connect(home_path, person).post(f"/v1/responses/{segment(response)}/lift", {"reason": reason})
    if as_json:
        say_json(made)
        return
    say(f"Asked: request {visible(made['id'])} waits for people.")


def length(ms: int) -> str:
    """A time span, short."""
    return f"{ms} ms" if ms < 1000 else span(ms // 1000)


def moment(text: str) -> int:
    """`30d`, `8w` or a date as milliseconds since 1970. Raises `click.UsageError`."""
    if text[-1:] in DAYS and text[:-1].isascii() and text[:-1].isdigit() and len(text) < 6:
        return int(time.time() * 1000) + int(text[:-1]) * DAYS[text[-1]] * 86_400_000
    try:
        given = datetime.fromisoformat(text)
        return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"{text[:40]!r} is no time such as 30d, 8w or 2027-01-31.") from error
