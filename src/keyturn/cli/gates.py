"""`keyturn gate`: gates on other machines, which speak with a token."""

from __future__ import annotations

from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.credentials import check_out, expires_option, hand_over, out_option
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
@expires_option
@click.option("--machine", default="", help="The machine it is for, as people call it.")
@out_option
@home_option
@as_option
@json_option
def add_gate(
    name: str,
    assurance: str,
    expires: int | None,
    machine: str,
    out: str | None,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Enrol a gate on another machine and give it its first credential. What it had before is void.

    The token is printed once and is not stored anywhere; it lasts a day unless --expires says otherwise, and the gate renews it.
    """
    check_out(out)
    body = {"name": name, "assurance": assurance, "machine": machine, "seconds": expires}
    made = connect(home_path, person).post("/v1/gates", body)
    hand_over(made, made["token"], f"The gate {name} speaks with this token", made["expires"], out, as_json)


@gate.command("remove")
@click.argument("name")
@home_option
@as_option
@json_option
def remove_gate(name: str, home_path: str | None, person: str | None, as_json: bool) -> None:
    """Remove a gate: all its credentials are void at once."""
    after = connect(home_path, person).post(f"/v1/gates/{segment(name)}/remove")
    say_json(after) if as_json else say(f"Removed {visible(after['gate'])}.")
