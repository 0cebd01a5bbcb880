"""`keyturn configuration`: what targets' configurations are, which approved change explains a difference, and asking for one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.credentials import when
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode, Malformed

Row = dict[str, Any]
SOURCES = ("files", "terraform", "kubernetes", "iam", "mcp")

source_argument = click.argument("source", type=click.Choice(SOURCES))
target_option = click.option(
    "--target", required=True, metavar="NAME", help="What it is the configuration of."
)


@click.group()
def configuration() -> None:
    """What targets' configurations are: seen, propose, list, show, diff.

    SOURCE is files (sha256sum's output, or JSON), terraform (`terraform show -json`), kubernetes (JSON or YAML), iam (policy
    documents) or mcp (tools or servers).
    """


def _moment(text: str | None) -> int:
    if not text:
        return 0
    try:
        given = datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"{text[:40]!r} is no time; write 2026-03-01T12:00Z.") from error
    return int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1000)


@configuration.command()
@source_argument
@click.argument("file", type=click.File("rb"))
@target_option
@click.option(
    "--tag", default="", metavar="REQUEST", help="The approved change that this is said to come from."
)
@home_option
@as_option
@json_option
@click.pass_context
def seen(
    ctx: click.Context,
    source: str,
    file: Any,
    target: str,
    tag: str,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Record what a target is now. Ends with 8 when something changed that no approved change covers.

    FILE is the whole configuration, - for standard input. Secret values are digested before anything is stored.
    """
    body = {"source": source, "target": target, "content": _text(file), "tag": tag}
    one = connect(home_path, person).post("/v1/configurations/seen", body)
    if as_json:
        say_json(one)
    else:
        _say_sighting(one)
    if one["changed"] and one["explanation"]["grade"] in ("CANDIDATE", "NONE"):
        ctx.exit(int(ExitCode.DRIFT))


def _text(file: Any) -> str:
    try:
        return bytes(file.read()).decode()
    except UnicodeDecodeError as error:
        raise Malformed("A configuration is text in UTF-8.") from error


def _say_sighting(one: Row) -> None:
    if one["first"]:
        say(
            visible(
                f"{one['target']}: seen for the first time, {plural(one['objects'], 'object')}. Later looks are compared with this one."
            )
        )
        return
    if not one["changed"]:
        say(visible(f"{one['target']}: nothing has changed."))
        return
    say(visible(f"{one['target']}: {plural(one['changed'], 'field')} changed (entry {one['entry']})."))
    for line in one["lines"]:
        say(visible(f"  {line}"))
    _say_explanation(one["explanation"])


def _say_explanation(found: Row) -> None:
    by = f" {found['change']}" if found["change"] else ""
    say(visible(f"  {found['grade']}{by} {found['outcome'] or found['searched']}".rstrip()))
    if found["change"]:
        people = ", ".join(found["approvers"]) or "nobody"
        say(
            visible(
                f"  asked for by {found['actor']}, approved by {people}, {when(found['time'])}: {found['reason']}"
            )
        )
    for line in found["residual"]:
        say(visible(f"    {line}"))


@configuration.command()
@source_argument
@click.argument("file", type=click.File("rb"))
@target_option
@click.option("--why", required=True, help="Why it should be changed.")
@click.option("--from", "opens", metavar="TIME", help="When it may be done from on, ISO 8601. [default: now]")
@click.option("--until", "closes", metavar="TIME", help="When it has to be done. [default: a week later]")
@click.option("--uses", default=1, show_default=True, help="How often it may be done.")
@click.option(
    "--effect",
    "effects",
    multiple=True,
    metavar="EFFECT",
    help="What agents are expected to do more, e.g. writes:production.",
)
@click.option("--whole", is_flag=True, help="FILE is everything: objects that it does not name are to go.")
@home_option
@as_option
@json_option
def propose(
    source: str,
    file: Any,
    target: str,
    why: str,
    opens: str | None,
    closes: str | None,
    uses: int,
    effects: tuple[str, ...],
    whole: bool,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Ask people to approve exactly the change to what FILE says: a plan, or what shall be."""
    body = {
        "source": source,
        "target": target,
        "content": _text(file),
        "why": why,
        "opens": _moment(opens),
        "closes": _moment(closes),
        "max_uses": uses,
        "effects": list(effects),
        "whole": whole,
    }
    one = connect(home_path, person).post("/v1/configurations/propose", body)
    if as_json:
        say_json(one)
        return
    say(visible(f"{one['id']} waits for people: {one['sentence']}"))


@configuration.command("list")
@home_option
@as_option
@json_option
def list_(home_path: str | None, person: str | None, as_json: bool) -> None:
    """List targets, the last seen first."""
    found = connect(home_path, person).get("/v1/configurations")
    if as_json:
        say_json(found)
        return
    for one in found:
        state = (
            f"{plural(one['drifted'], 'field')} differ from what people approved"
            if one["drifted"]
            else "as approved"
        )
        last = when(one["time"]) if one["time"] else "never"
        say(
            visible(
                f"{one['target']}  {one['source']}, {plural(one['objects'], 'object')}, last seen {last}: {state}"
            )
        )
    if not found:
        say("No configuration was ever seen.")


@configuration.command()
@click.argument("target")
@home_option
@as_option
@json_option
def show(target: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Show one target: its last looks with their explanations, and its approved changes."""
    one = connect(home_path, person).get(f"/v1/configurations/{segment(target)}")
    if as_json:
        say_json(one)
        return
    say(visible(f"{one['target']}  {one['source']}  {one['digest'][:19]}"))
    for change in one["changes"]:
        people = ", ".join(change["approvers"])
        window = f"{when(change['opens'])} to {when(change['closes'])}"
        say(
            visible(
                f"change {change['request']}  {change['state']}, {window}, by {change['by']}, approved by {people}: {change['why']}"
            )
        )
        for line in change["lines"]:
            say(visible(f"    {line}"))
    for look in one["seen"]:
        say(visible(f"{when(look['time'])}  entry {look['entry']}"))
        _say_sighting(look)


@configuration.command()
@click.argument("target")
@home_option
@as_option
@json_option
@click.pass_context
def diff(ctx: click.Context, target: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """What of a target differs from what people approved. Ends with 8 when something does."""
    one = connect(home_path, person).get(f"/v1/configurations/{segment(target)}")
    if as_json:
        say_json({"target": one["target"], "drifted": one["drifted"], "drift": one["drift"]})
    elif not one["drifted"]:
        say(visible(f"{one['target']} is as people approved it."))
    else:
        for line in one["drift"]:
            say(visible(f"  {line}"))
    if one["drifted"]:
        ctx.exit(int(ExitCode.DRIFT))
