"""`keyturn gate`: gates on other machines, which speak with a token."""

from __future__ import annotations

from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.terminal import say, say_json, visible


@click.group()
def gate() -> None:
    """Gates on other machines: list, add, remove."""


@gate.command("list")
@home_option
@as_option
@json_option
def list_gates(home_path: str | None, person: str | None, as_json: bool) -> None:
    """All gates, with their assurance level and last probe."""
    gates = connect(home_path, person).get("/v1/gates")
    if as_json:
        say_json(gates)
        return
    if not gates:
        say("No gate has asked yet.")
    for one in gates:
        say(f"{visible(one['name']):<30} {visible(one['assurance']):<12} {_probed(one.get('probe'))}")


def _probed(probe: dict[str, Any] | None) -> str:
    if probe is None:
        return "not probed"
    return "stopped the probe" if probe["stopped"] else "DID NOT STOP THE PROBE"


@gate.command("add")
@click.argument("name")
@click.option(
    "--assurance",
    type=click.Choice(["advisory", "cooperative"]),
    default="advisory",
    show_default=True,
    help="advisory: the agent's own process asks; cooperative: its client asks, and can be probed.",
)
@home_option
@as_option
@json_option
def add_gate(name: str, assurance: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Give a gate on another machine its token, printed once and stored only as a hash."""
    made = connect(home_path, person).post("/v1/gates", {"name": name, "assurance": assurance})
    if as_json:
        say_json(made)
        return
    say(f"The gate {name} speaks with this token; it is not shown again:", err=True)
    say(made["token"])


@gate.command("remove")
@click.argument("name")
@home_option
@as_option
@json_option
def remove_gate(name: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Revoke a gate's token."""
    after = connect(home_path, person).post(f"/v1/gates/{segment(name)}/remove")
    say_json(after) if as_json else say(f"Removed {visible(after['gate'])}.")
