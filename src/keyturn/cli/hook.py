"""`keyturn hook install|uninstall|status|probe`: an agent client's hooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyturn.cli.client import connect, home_of, home_option, json_option
from keyturn.cli.terminal import say, say_json
from keyturn.errors import ExitCode, KeyturnError

if TYPE_CHECKING:
    from keyturn.gates.hooks.install import Installation, Place, Status
    from keyturn.gates.hooks.wiring import Scope

CLIENTS = ("claude-code", "codex", "gemini", "copilot", "opencode")
_MOVED = {
    "claude-code": ("CLAUDE_CONFIG_DIR", ".claude"),
    "codex": ("CODEX_HOME", ".codex"),
    "gemini": ("GEMINI_CLI_HOME", ""),
    "copilot": ("COPILOT_HOME", ".copilot"),
    "opencode": ("XDG_CONFIG_HOME", ".config"),
}
"""Variables that move a client's settings away from where Keyturn writes them."""


class SettingsMoved(KeyturnError):
    """A variable makes the client read its settings from elsewhere."""

    code = "hooks.settings_moved"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Unset the variable, for this command and for the client, or install with --managed."


class NoInterpreter(KeyturnError):
    """No Python was found that can run the hook client."""

    code = "hooks.no_interpreter"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Name one with --python; it needs Python 3.9 or newer."


client_argument = click.argument("client", type=click.Choice(CLIENTS))
managed_option = click.option(
    "--managed", is_flag=True, help="System-wide, by root: the only place an agent can't edit."
)
project_option = click.option("--project", is_flag=True, help="For this folder only.")


@click.group()
def hook() -> None:
    """Wire an agent client's hooks to Keyturn."""


@hook.command()
@client_argument
@managed_option
@project_option
@click.option("--python", help="Interpreter that runs the hooks (default: the system's).")
@click.option("--socket", help="The gates' socket (default: HOME/run/gate.sock).")
@click.option("--yes", is_flag=True, help="Don't ask.")
@home_option
@json_option
def install(
    client: str,
    managed: bool,
    project: bool,
    python: str | None,
    socket: str | None,
    yes: bool,
    home_path: str | None,
    as_json: bool,
) -> None:
    """Make CLIENT ask Keyturn before it acts. Prints what changed, and what this can't stop."""
    from keyturn.gates.hooks import install as installer

    scope = scope_of(managed, project)
    _check_unmoved(client, scope)
    place = place_of(home_path)
    if not yes and not as_json and sys.stdin.isatty():
        click.confirm(f"Change the settings of {client} ({scope})?", abort=True)
    done = installer.install(
        client,
        scope,
        place,
        socket=str(Path(socket).absolute()) if socket else str(home_of(home_path).gate_socket),
        python=_interpreter(python),
    )
    say_json(done) if as_json else say(_installed(done))


@hook.command()
@client_argument
@managed_option
@project_option
@home_option
@json_option
def uninstall(client: str, managed: bool, project: bool, home_path: str | None, as_json: bool) -> None:
    """Take Keyturn's wiring out again: the files get the bytes they had."""
    from keyturn.gates.hooks import install as installer

    done = installer.uninstall(client, scope_of(managed, project), place_of(home_path))
    say_json(done) if as_json else say(_uninstalled(done))


@hook.command()
@click.argument("client", type=click.Choice(CLIENTS), required=False)
@managed_option
@project_option
@home_option
@json_option
def status(client: str | None, managed: bool, project: bool, home_path: str | None, as_json: bool) -> None:
    """Which clients are wired, and whether their settings are still as they were written."""
    from keyturn.gates.hooks import install as installer

    place, scope = place_of(home_path), scope_of(managed, project)
    found = [installer.status(name, scope, place) for name in ([client] if client else CLIENTS)]
    if as_json:
        say_json(found)
        return
    for one in found:
        say(_status_line(one))


@hook.command()
@client_argument
@managed_option
@project_option
@home_option
@click.option("--as", "person", metavar="PERSON", help="Record the result as this person.")
@json_option
def probe(
    client: str, managed: bool, project: bool, home_path: str | None, person: str | None, as_json: bool
) -> None:
    """Check that the installed hook says no when it must, and record the result. Exits 3 when it doesn't."""
    from keyturn.gates.hooks import install as installer
    from keyturn.gates.hooks import probe as probes

    place = place_of(home_path)
    wire = installer.wire_of(client, scope_of(managed, project), place)
    found = probes.probe(client, wire, place.cwd)
    stopped = all(one.stopped for one in found)
    recorded = _record(home_path, person, client, stopped, "; ".join(one.how for one in found))
    if as_json:
        say_json({"client": client, "stopped": stopped, "recorded": recorded, "probes": found})
    else:
        for one in found:
            say(f"{'said no' if one.stopped else 'DID NOT SAY NO'}: {one.how}: {one.said}")
        say(
            "Recorded in the ledger."
            if recorded
            else "Not recorded: no server took it (is `keyturn serve` up?)."
        )
    if not stopped:
        sys.exit(ExitCode.REFUSED)


# --- where ----------------------------------------------------------------------------------------


def scope_of(managed: bool, project: bool) -> Scope:
    """The scope that the options name."""
    if managed and project:
        raise click.UsageError("--managed and --project exclude each other.")
    return "managed" if managed else "project" if project else "user"


def place_of(home_path: str | None) -> Place:
    """Where to install, for whoever runs this."""
    from keyturn.gates.hooks.install import Place

    return Place(
        home=str(Path.home()),
        cwd=str(Path.cwd()),
        keyturn=str(home_of(home_path).root),
        root=os.environ.get("KEYTURN_HOOK_ROOT", ""),
    )


def _check_unmoved(client: str, scope: Scope) -> None:
    variable, usual = _MOVED[client]
    moved = os.environ.get(variable)
    if scope == "user" and moved and Path(moved).resolve() != (Path.home() / usual).resolve():
        raise SettingsMoved(f"{variable}={moved}: {client} would not read what is written to ~/{usual}.")


def _interpreter(given: str | None) -> str:
    """The interpreter named, else the system's, else the one that runs this."""
    for candidate in [given] if given else ["/usr/bin/python3", "/usr/local/bin/python3", sys.executable]:
        if _runs_client(candidate):
            return candidate
    raise NoInterpreter(f"{given or 'No interpreter here'} can't run the hook client.")


def _runs_client(python: str) -> bool:
    check = "import _socket, posix, sys; sys.exit(sys.version_info < (3, 9))"
    try:
        ran = subprocess.run([python, "-I", "-S", "-c", check], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return Path(python).is_absolute() and ran.returncode == 0


def _record(home_path: str | None, person: str | None, client: str, stopped: bool, how: str) -> bool:
    import socket

    body: dict[str, Any] = {
        "gate": f"hooks:{client}@{socket.gethostname()}",
        "client": client,
        "stopped": stopped,
        "how": f"hook process: {how}",
    }
    try:
        connect(home_path, person).post("/v1/probes", body)
    except (KeyturnError, OSError):
        return False
    return True


# --- words ----------------------------------------------------------------------------------------


def _installed(done: Installation) -> str:
    lines = [change.diff.rstrip() for change in done.changes]
    lines.append(
        f"{done.client} asks Keyturn ({done.scope})." if done.changes else f"{done.client} was wired already."
    )
    lines += [f"Left for you: {left}" for left in done.left]
    if done.holes:
        lines.append(f"Assurance: {done.assurance}. What this can't stop:")
        lines += [f"  - {hole}" for hole in done.holes]
    if done.scope != "managed":
        lines.append(
            "  - whatever the agent's own user can edit, it can edit: --managed is the boundary it can't."
        )
    return "\n".join(lines)


def _uninstalled(done: Installation) -> str:
    lines = []
    for change in done.changes:
        how = (
            "restored exactly"
            if change.exact
            else "changed by others meanwhile: only Keyturn's entries were taken out"
        )
        lines.append(f"{change.path}: {how}.")
    return "\n".join([*lines, f"{done.client} no longer asks Keyturn ({done.scope})."])


def _status_line(one: Status) -> str:
    if not one.installed:
        return f"{one.client:<12} not wired"
    state = f"wired ({one.scope}), {one.assurance}"
    if one.changed:
        state += f"; CHANGED since: {', '.join(one.changed)} (run `keyturn hook install {one.client}`)"
    return f"{one.client:<12} {state}" + "".join(f"; left: {left}" for left in one.left)
