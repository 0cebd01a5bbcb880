"""`keyturn definition list-tools`: ask the MCP servers of an approved definition for their tools, here and now, and compare."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import click

from keyturn.cli.client import as_option, connect, home_option, json_option, segment
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode

Row = dict[str, Any]


@click.command("list-tools")
@click.argument("client", metavar="CLIENT")
@click.option(
    "--cwd",
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Where the client works (default: here).",
)
@home_option
@as_option
@json_option
@click.pass_context
def list_tools(
    ctx: click.Context, client: str, cwd: str | None, home_path: str | None, person: str | None, as_json: bool
) -> None:
    """List the tools of CLIENT's MCP servers (claude-code, codex, gemini, copilot, opencode), and whether they are as approved.

    Starts those servers only whose configuration people approved, as you. Exits 8 where a tool is not as it was approved.
    """
    from keyturn.gates import mcp_listing
    from keyturn.gates.hooks import places
    from keyturn.gates.hooks.definition import configured_servers
    from keyturn.gates.hooks.dialects import dialect_of

    dialect = dialect_of(client)
    home = os.path.realpath(Path.home())
    workspace = places.workspace(cwd or str(Path.cwd()), home)
    approved = _approved(connect(home_path, person), dialect.name)
    servers = configured_servers(dialect, workspace, home, os.getuid())
    found = asyncio.run(
        mcp_listing.listed(servers, [frozenset(one) for one in approved], workspace, dict(os.environ))
    )
    pinned = {name for one in approved for name, _ in one}
    known = {pair for one in approved for pair in one}
    tools = [
        {"name": part.name, "digest": part.digest, "state": _state(part.name, part.digest, pinned, known)}
        for part in found.tools
    ]
    silent = [{"server": server, "why": why} for server, why in found.silent]
    if as_json:
        say_json({"tools": tools, "silent": silent})
    else:
        _say(tools, silent)
    if any(tool["state"] != "approved" for tool in tools):
        ctx.exit(int(ExitCode.DRIFT))


def _approved(api: Any, agent: str) -> list[list[tuple[str, str]]]:
    """Name and digest of every part of each approved definition of *agent*."""
    listing = api.get(f"/v1/definitions?agent={segment(agent)}")
    digests = [one["digest"] for one in listing if one["state"] == "approved"]
    whole = [api.get(f"/v1/definitions/{segment(digest)}?agent={segment(agent)}") for digest in digests]
    return [[(part["name"], part["digest"]) for part in one["parts"]] for one in whole]


def _state(name: str, digest: str, pinned: set[str], known: set[tuple[str, str]]) -> str:
    return "approved" if (name, digest) in known else "changed" if name in pinned else "new"


def _say(tools: list[Row], silent: list[Row]) -> None:
    for tool in tools:
        say(visible(f"{tool['state']:<8}  {tool['digest'][7:19]}  {tool['name']}"))
    for one in silent:
        say(visible(f"nothing   {one['server']}: {one['why']}"))
    if not tools and not silent:
        say("No MCP server is configured there.")
    elif tools:
        changed = sum(tool["state"] != "approved" for tool in tools)
        say(f"{plural(len(tools), 'tool')}, {changed} of them not as approved.")
