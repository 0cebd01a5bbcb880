"""`keyturn run`: an agent with its gates wired and a session opened and closed around it."""

from __future__ import annotations

import click

from keyturn.cli.client import home_option, json_option
from keyturn.errors import ExitCode

CLIENTS = ("auto", "claude-code", "codex", "gemini", "copilot", "opencode", "none")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--client",
    type=click.Choice(CLIENTS),
    default="auto",
    help="Which client the command starts; none: it is any command.",
)
@click.option(
    "--agent", metavar="NAME", default="", help="The command is the agent NAME, which you start yourself."
)
@click.option(
    "--confine",
    metavar="PROFILE",
    help="Confine the command by a profile of the policy: read-only, workspace, or one of its own.",
)
@click.option(
    "--prompt", metavar="TEXT", help="The instruction. With it, Keyturn drives the client where it can."
)
@click.option(
    "--no-exec-gate",
    is_flag=True,
    help="A known client is asked about by its hooks only: what its commands start is not seen.",
)
@click.option(
    "--socket", "socket_path", metavar="PATH", help="The gates' socket (default: HOME/run/gate.sock)."
)
@home_option
@json_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run(
    ctx: click.Context,
    client: str,
    agent: str,
    confine: str | None,
    prompt: str | None,
    no_exec_gate: bool,
    socket_path: str | None,
    home_path: str | None,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Run a command with its gates wired and a session around it.

    With --prompt, codex, gemini, copilot and opencode are driven over a protocol in which no answer is a no.
    Without it a known client has its hooks wired for this run, and every program that it starts is asked for, unless its
    hook allowed it. Any other command, and every program that it starts, is asked for before it starts; with --agent the
    command itself is not; with --confine the kernel keeps the whole tree to what the profile gives it. The child's exit code is
    passed on; 240 something failed, 241 usage, 243 refused by policy or no gate can be wired, 244 denied by a person,
    245 nobody approved in time, 249 the server is unreachable (nothing was started).
    """
    from keyturn.cli.running import Wanted, running

    wanted = Wanted(
        client=client,
        prompt=prompt,
        home=home_path,
        socket=socket_path,
        as_json=as_json,
        command=command,
        agent=agent,
        exec_gate=not no_exec_gate,
        confine=confine or "",
    )
    code = running(wanted)
    if code != ExitCode.DONE:
        ctx.exit(code)
