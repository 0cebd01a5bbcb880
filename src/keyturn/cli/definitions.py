"""`keyturn definition`: what agents are, what is different from what people approved, and asking for that approval."""

from __future__ import annotations

from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.credentials import when
from keyturn.cli.listing_tools import list_tools
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode

Row = dict[str, Any]

agent_option = click.option(
    "--agent", default="", metavar="NAME", help="Of this agent, where several have it."
)


@click.group()
def definition() -> None:
    """What agents are: list, show, diff, propose, withdraw, list-tools.

    A definition is named by its digest, 8 characters of it or more, or by its agent: then it is the newest one.
    """


definition.add_command(list_tools)


@definition.command("list")
@click.option("--agent", default="", metavar="NAME", help="Only of this agent.")
@home_option
@as_option
@json_option
def list_(agent: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """List definitions, the last used first, with what people know of them."""
    found = connect(home_path, person).get(f"/v1/definitions?agent={segment(agent) if agent else ''}")
    if as_json:
        say_json(found)
        return
    for one in found:
        marks = [name for name in ("baseline", "original") if one[name]]
        mark = f" ({', '.join(marks)})" if marks else ""
        where = f" in {one['place']}" if one["place"] else ""
        say(visible(f"{one['digest'][:19]}  {one['state']:<8}  {one['agent']}{where}{mark}"))
        waits = f", waits as {one['request']}" if one["request"] else ""
        say(visible(f"  last used {when(one['last'])} in {plural(one['count'], 'session')}{waits}"))
    if not found:
        say("No gate has told what an agent is.")


@definition.command()
@click.argument("name", metavar="DIGEST|AGENT")
@agent_option
@home_option
@as_option
@json_option
def show(name: str, agent: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Show one: its parts, who approved it and why, and in whose sessions it was seen."""
    one = connect(home_path, person).get(
        f"/v1/definitions/{segment(name)}?agent={segment(agent) if agent else ''}"
    )
    if as_json:
        say_json(one)
        return
    say(visible(f"{one['digest']}  {one['state']}"))
    where = f" in {one['place']}" if one["place"] else ""
    model = f", model {one['model']}" if one["model"] else ""
    say(visible(f"{one['agent']} ({one['client']}{model}){where}"))
    people = ", ".join(one["people"]) or "nobody known"
    say(
        f"first seen {when(one['first'])} (entry {one['entry']}), last {when(one['last'])}, by {visible(people)}"
    )
    for given in one["approvals"]:
        who, by = ", ".join(given["approvers"]) or "people", given["by"] or "nobody known"
        why = f": {'; '.join(given['reasons'])}" if given["reasons"] else ""
        asked = f"asked by {by}: {given['why'] or 'no reason'}; {given['request']}"
        say(visible(f"approved {when(given['time'])} by {who}{why} ({asked})"))
        if given["effects"]:
            say(visible(f"  expected to do more: {', '.join(given['effects'])}"))
        if given["assessed"]:
            say(visible(f"  {_assessed(given['assessed'])}"))
    if one["withdrawn"]:
        taken = one["withdrawn"]
        say(visible(f"taken back {when(taken['time'])} by {taken['by']}: {taken['why']}"))
    if one["request"]:
        say(visible(f"waits for people as {one['request']}"))
    if not one["told"]:
        say("The gate told its digest only.")
    for part in one["parts"]:
        say(visible(f"  {part['kind']:<12} {part['digest'][7:19]}  {part['size']:>7,}  {part['name']}"))


def _assessed(one: Row) -> str:
    more = (
        "how far they led was not known"
        if one["expands"] is None
        else f"together they let it do {one['expands']:+g}"
    )
    return f"assessed anew, {plural(one['versions'], 'version')} after {one['original'][:19]}; {more}"


@definition.command()
@click.argument("name", metavar="DIGEST|AGENT")
@click.option(
    "--before", default="", metavar="DIGEST", help="Compare with this one (default: the newest approved)."
)
@agent_option
@home_option
@as_option
@json_option
@click.pass_context
def diff(
    ctx: click.Context,
    name: str,
    before: str,
    agent: str,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Show what it may do more than the approved one, and every part that is different. Exits 8 where there is a difference."""
    wanted = f"agent={segment(agent) if agent else ''}&before={segment(before) if before else ''}"
    found = connect(home_path, person).get(f"/v1/definitions/{segment(name)}/diff?{wanted}")
    if as_json:
        say_json(found)
    else:
        _say_difference(found)
    if found["parts"] or found["told"]:
        ctx.exit(int(ExitCode.DRIFT))


def _say_difference(found: Row) -> None:
    say(visible(f"from {found['before'] or 'nothing: none was approved'}"))
    say(visible(f"to   {found['after']}"))
    for words in found["told"]:
        say(visible(words))
    for gain in found["may"]:
        say(visible(f"{gain['sign']} {gain['words']}"))
    for part in found["parts"]:
        say("")
        say(visible(f"{part['kind']}: {part['name']} ({part['change']})"))
        for line in part["diff"].splitlines():
            say(visible(line))
    if not found["parts"] and not found["told"]:
        say("Nothing is different.")


@definition.command()
@click.argument("name", metavar="DIGEST|AGENT")
@click.option("--why", required=True, metavar="WORDS", help="Why people should approve it. They read this.")
@click.option(
    "--place", default=None, metavar="FOLDER", help="Where it works (default: where it was seen first)."
)
@click.option(
    "--effect",
    "effects",
    multiple=True,
    metavar="EFFECT",
    help="What it is expected to do more, e.g. writes:production. Behaviour that this covers is explained by the change.",
)
@click.option(
    "--anew",
    is_flag=True,
    help="Assess it as a whole: people see all that changed since the original, and small steps are measured from here on.",
)
@agent_option
@home_option
@as_option
@json_option
def propose(
    name: str,
    why: str,
    place: str | None,
    effects: tuple[str, ...],
    anew: bool,
    agent: str,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Ask people to approve it. You can't, nor can anybody in whose session it was seen, nor the agent's owner."""
    body = {"why": why, "agent": agent, "place": place, "anew": anew, "effects": list(effects)}
    found = connect(home_path, person).post(f"/v1/definitions/{segment(name)}/propose", body)
    if as_json:
        say_json(found)
        return
    say(visible(f"{found['id']} waits for {found['obligations']['approve']}. {found['sentence']}"))


@definition.command()
@click.argument("name", metavar="DIGEST|AGENT")
@click.option("--why", required=True, metavar="WORDS", help="Why it is approved no longer. Recorded.")
@agent_option
@home_option
@as_option
@json_option
def withdraw(
    name: str, why: str, agent: str, home_path: str | None, person: str | None, as_json: bool
) -> None:
    """Take its approval back, at once: sessions that run with it are held from their next action on."""
    found = connect(home_path, person).post(
        f"/v1/definitions/{segment(name)}/withdraw", {"why": why, "agent": agent}
    )
    if as_json:
        say_json(found)
        return
    say(visible(f"{found['digest']} of {found['agent']} is approved no longer."))
