"""`keyturn drift list|show` and `keyturn baseline`: what agents do beside what people approved as their ordinary behaviour."""

from __future__ import annotations

from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.credentials import when
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode

Row = dict[str, Any]
COMPONENTS = ("sensitive", "order", "novel")


@click.command("list")
@home_option
@as_option
@json_option
def list_(home_path: str | None, person: str | None, as_json: bool) -> None:
    """List agents, the one with the most evidence of drift first."""
    found = connect(home_path, person).get("/v1/drift")
    if as_json:
        say_json(found)
        return
    for one in found:
        say(_line(one))
    if not found:
        say("No session was measured yet.")


@click.command()
@click.argument("agent")
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 1000), help="So many sessions.")
@click.option("--check", is_flag=True, help="Exit with 8 when a finding about its behaviour is open.")
@home_option
@as_option
@json_option
def show(
    agent: str, last: int, check: bool, home_path: str | None, person: str | None, as_json: bool
) -> None:
    """Show one agent: baseline and now, evidence, its last sessions, open findings."""
    found = connect(home_path, person).get(f"/v1/drift/{segment(agent)}?last={last}")
    if as_json:
        say_json(found)
    else:
        _course(found)
    if check and found["findings"]:
        raise click.exceptions.Exit(ExitCode.DRIFT)


def _line(one: Row) -> str:
    if not one["measured_against"]:
        more = "one can be proposed" if one["enough"] else "not enough for one yet"
        return f"{visible(one['agent']):<24} {plural(one['sessions'], 'session'):>16}  no baseline: {more}"
    peer = (
        ""
        if one["measured_against"] == one["agent"]
        else f" (baseline of {visible(one['measured_against'])})"
    )
    evidence = one["evidence"].get("evidence", 0.0)
    found = f"  {plural(one['findings'], 'open finding')}" if one["findings"] else ""
    return (
        f"{visible(one['agent']):<24} {plural(one['sessions'], 'session'):>16}  "
        f"e-value {number(evidence)} of {number(one['threshold'])}{peer}{found}"
    )


def number(value: float) -> str:
    """An e-value for reading."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _course(found: Row) -> None:
    line = found["line"]
    say(_line(line))
    if found["baseline"] is not None:
        pinned = found["baseline"]
        approvers = ", ".join(map(visible, pinned["approvers"]))
        say(
            f"  baseline of {plural(pinned['sessions'], 'session')}, approved by {approvers} {when(pinned['since'])}"
        )
        for name in COMPONENTS:
            say(f"  {name:<12} e-value {number(line['evidence'].get(name, 0.0))}")
        volume = line["evidence"].get("volume", 0.0)
        say(f"  {'volume':<12} e-value {number(volume)} of {number(line['threshold_days'])} (by days)")
        hours = line["evidence"].get("hours", 0.0)
        say(f"  {'hours':<12} e-value {number(hours)} of {number(line['threshold_days'])} (by days)")
    for group in found["groups"]:
        bound = f"  (evidence from over {100 * group['bound']:.1f} %)" if group["bound"] is not None else ""
        say(f"  {group['name']:<40} {100 * group['baseline']:5.1f} % → {100 * group['now']:5.1f} %{bound}")
    for group in found["categories"][:8]:
        say(f"  {visible(group['name']):<40} {100 * group['baseline']:5.1f} % → {100 * group['now']:5.1f} %")
    used = found["powers"]
    if used["settled"]:
        since = ", ".join(visible(step["power"]) for step in used["steps"]) or "nothing"
        say(f"  powers at first: {', '.join(map(visible, used['original'])) or 'none'}; since then: {since}")
    for one in found["findings"]:
        say(f"  {visible(one['id'])}  {visible(one['kind'])}: {visible(one['words'])}")
    for point in reversed(found["points"]):
        marks = [
            name for name, there in (("sensitive", point["sensitive"]), ("new", point["novel"])) if there
        ]
        evidence = number(point["evidence"]["evidence"]) if point["evidence"] else "-"
        alarms = point["evidence"].get("alarms") or []
        said = ", ".join([*marks, *(f"ALARM {alarm}" for alarm in alarms)])
        say(
            f"    {when(point['time'])}  {visible(point['session'])}#{point['part']}  "
            f"{plural(point['actions'], 'action'):>11}  e {evidence:>8}  {said}"
        )
    if line["measured_against"]:
        say(f"One false alarm of all agents in {found['days']:g} days on average, or fewer, if:")
        for condition in found["conditions"]:
            say(f"  - {condition}")


@click.group()
def baseline() -> None:
    """What people approved as agents' ordinary behaviour: list, show, propose."""


@baseline.command("list")
@home_option
@as_option
@json_option
def list_baselines(home_path: str | None, person: str | None, as_json: bool) -> None:
    """List pinned baselines, newest first."""
    found = connect(home_path, person).get("/v1/baselines")
    if as_json:
        say_json(found)
        return
    for one in found:
        by = ", ".join(map(visible, one["approvers"]))
        say(
            f"{visible(one['agent']):<24} {plural(one['sessions'], 'session'):>16}  {when(one['since'])}  approved by {by}"
        )
    if not found:
        say("No baseline is pinned.")


@baseline.command("show")
@click.argument("agent")
@home_option
@as_option
@json_option
def show_baseline(agent: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Show everything that an agent's baseline holds, as its reviewers saw it."""
    found = connect(home_path, person).get(f"/v1/baselines/{segment(agent)}")
    if as_json:
        say_json(found)
        return
    for line in found["content"].splitlines():
        say(visible(line))
    by = ", ".join(map(visible, found["approvers"]))
    say(
        f"Approved by {by} {when(found['since'])} (request {visible(found['request'])}, entry {found['entry']})."
    )


@baseline.command()
@click.argument("agent")
@click.option(
    "--why",
    required=True,
    metavar="WHY",
    help="Why this is what it should be doing. Shown to whoever approves.",
)
@home_option
@as_option
@json_option
def propose(agent: str, why: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Ask that what an agent did lately be its baseline. Somebody else approves it."""
    found = connect(home_path, person).post(f"/v1/baselines/{segment(agent)}", {"why": why})
    if as_json:
        say_json(found)
        return
    say(f"Asked: {visible(found['id'])}. {visible(found['sentence'])}")
    say(
        f"It waits for {visible(found['obligations']['approve'])}; `keyturn show {visible(found['id'])}` shows what would be pinned."
    )
