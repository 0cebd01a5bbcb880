"""The command line. Each command's module is imported when it is used, so that `keyturn --help` is quick."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import click

from keyturn import __version__
from keyturn.errors import ExitCode, KeyturnError

_COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("keyturn.cli.init:init", "Make a home: keys, a starter policy, a first person."),
    "serve": ("keyturn.cli.serve:serve", "Run the server: page, API and gate socket."),
    "demo": ("keyturn.cli.demo:demo", "See one held action, decide on it, and catch a tampered ledger."),
    "doctor": ("keyturn.cli.doctor:doctor", "Say what is wrong and how to mend it."),
    "hook": ("keyturn.cli.hook:hook", "Wire an agent client's hooks to Keyturn."),
    "run": ("keyturn.cli.run:run", "Run an agent with its gates wired and a session around it."),
    "requests": ("keyturn.cli.requests:requests", "List what waits for people."),
    "show": ("keyturn.cli.requests:show", "Show one request: what would run, why it is held."),
    "approve": ("keyturn.cli.requests:approve", "Approve a request."),
    "deny": ("keyturn.cli.requests:deny", "Deny a request."),
    "withdraw": ("keyturn.cli.requests:withdraw", "Give up a request you asked for."),
    "login": ("keyturn.cli.people:login", "Make a one-time link to the page."),
    "person": ("keyturn.cli.people:person", "People: list, add, change, remove, token."),
    "gate": ("keyturn.cli.people:gate", "Gates on other machines: list, add, remove."),
    "policy": ("keyturn.cli.policy:policy", "Test, explain, try and publish policies."),
    "ledger": ("keyturn.cli.ledger:ledger", "Read, verify, prove, export and rebuild the ledger."),
    "config": ("keyturn.cli.config:config", "Show settings and where each comes from."),
    "evidence": ("keyturn.cli.later:evidence", "Evidence packs (not in this version)."),
    "reconcile": ("keyturn.cli.later:reconcile", "Compare with a target's own log (not in this version)."),
    "completion": ("keyturn.cli.completion:completion", "Print shell completion for bash, zsh or fish."),
}


class Commands(click.Group):
    """A group whose commands are imported on use and whose errors are words."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order in which people need them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, from the table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a guess at what was meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, 1)
            if near:
                raise click.UsageError(f"{error.message} Did you mean `{near[0]}`?", ctx) from error
            raise


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "KEYTURN"}
)
@click.version_option(__version__, prog_name="keyturn")
def keyturn() -> None:
    """Keyturn stands between AI agents and everything they act on.

    Exit codes: 0 done, 1 internal, 2 usage, 3 refused by policy, 4 denied by a person, 5 expired, 6 waiting,
    7 ledger damaged, 8 drift found, 9 unreachable (nothing ran); `keyturn run` uses 240-249 for its own.
    """


def main(args: list[str] | None = None) -> None:
    """Entry point of the `keyturn` script: errors become words on stderr and documented exit codes."""
    try:
        code = keyturn.main(args=args, prog_name="keyturn", standalone_mode=False)
    except KeyturnError as error:
        say_error(error)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        click.echo("Stopped. Nothing more was done.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:  # the last boundary: a traceback helps nobody at 3 a.m.
        import os

        if os.environ.get("KEYTURN_DEBUG"):
            raise
        internal = KeyturnError(
            f"Keyturn failed inside ({type(error).__name__}: {error}).",
            next_step="Run it again with KEYTURN_DEBUG=1 for the traceback, and report that.",
        )
        say_error(internal)
        sys.exit(ExitCode.INTERNAL)
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def say_error(error: KeyturnError) -> None:
    """The error on stderr: as JSON when the command was asked for JSON, else in words."""
    if "--json" in sys.argv:
        click.echo(json.dumps(error.as_json(), ensure_ascii=False), err=True)
        return
    click.echo(f"{error.happened}\n{error.not_done} {error.do_next}  [{error.code}]", err=True)


def as_json(value: Any) -> str:
    """One line of JSON for scripts."""
    import msgspec

    return msgspec.json.encode(value).decode()


__all__ = ["as_json", "keyturn", "main", "say_error"]
