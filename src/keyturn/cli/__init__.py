"""The command line. Each command's module is imported when it is used, so that `keyturn --help` is quick."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from typing import Any

import click

from keyturn import __version__
from keyturn.cli.terminal import JSON_WANTED, as_json, say, say_json
from keyturn.errors import ExitCode, KeyturnError

_COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("keyturn.cli.init:init", "Make a home: keys, a starter policy, a first person."),
    "serve": ("keyturn.cli.serve:serve", "Run the server: page, API and gate socket."),
    "demo": ("keyturn.cli.demo:demo", "See one held action, decide on it, and catch a tampered ledger."),
    "doctor": ("keyturn.cli.doctor:doctor", "Say what is wrong and how to mend it."),
    "hook": ("keyturn.cli.hook:hook", "Wire an agent client's hooks to Keyturn."),
    "run": ("keyturn.cli.run:run", "Run an agent with its gates wired and a session around it."),
    "session": ("keyturn.cli.session:session", "Agents' runs: list, show, stop."),
    "requests": ("keyturn.cli.requests:requests", "List what waits for people."),
    "show": ("keyturn.cli.requests:show", "Show one request: what would run, why it is held."),
    "review": ("keyturn.cli.review:review", "Decide what waits, with the keyboard."),
    "approve": ("keyturn.cli.requests:approve", "Approve a request."),
    "deny": ("keyturn.cli.requests:deny", "Deny a request."),
    "grants": ("keyturn.cli.grants:grants", "List what people let run again."),
    "plan": ("keyturn.cli.plans:plan", "Lists of actions approved as a whole: run, list, show, revoke."),
    "grant": ("keyturn.cli.grants:grant", "What people let run again: list, show, revoke."),
    "breakglass": (
        "keyturn.cli.breakglass:breakglass",
        "Release a held request alone in an emergency; review it.",
    ),
    "withdraw": ("keyturn.cli.requests:withdraw", "Give up a request you asked for."),
    "drill": ("keyturn.cli.drill:drill", "Requests that are known to be bad and can't run."),
    "vigilance": ("keyturn.cli.vigilance:vigilance", "How you review; how everybody does."),
    "login": ("keyturn.cli.people:login", "Make a one-time link to the page."),
    "person": ("keyturn.cli.people:person", "People: list, add, change, link, unlink, remove, token."),
    "delegate": (
        "keyturn.cli.delegate:delegate",
        "Hand your places over to a colleague; who stands in for whom.",
    ),
    "key": ("keyturn.cli.key:key", "Keys for signing approvals: list, add, revoke."),
    "scim": ("keyturn.cli.scim:scim", "The SCIM client that keeps people up to date: its token."),
    "gate": ("keyturn.cli.gates:gate", "Gates on other machines: list, add, remove."),
    "channel": ("keyturn.cli.channel:channel", "How people are told: list the channels, try one."),
    "sink": ("keyturn.cli.sink:sink", "Tools that get every entry: list them, try one, move one."),
    "credential": (
        "keyturn.cli.credentials:credential",
        "Credentials of gates and agents: issue, rotate, revoke, list.",
    ),
    "token": ("keyturn.cli.tokens:token", "Your own tokens with fewer scopes: new, list, revoke."),
    "findings": (
        "keyturn.cli.findings:findings",
        "What was observed that should not be, and what becomes of it.",
    ),
    "configuration": (
        "keyturn.cli.configuration:configuration",
        "What targets' configurations are: seen, propose, list, show, diff.",
    ),
    "definition": (
        "keyturn.cli.definitions:definition",
        "What agents are: list, show, diff, propose, withdraw, list-tools.",
    ),
    "artefact": (
        "keyturn.cli.artefacts:artefact",
        "Files that agents made of labelled data: list, gone, scan.",
    ),
    "legal-hold": (
        "keyturn.cli.artefacts:legal_hold",
        "What must not be deleted or erased: place, list, lift.",
    ),
    "erasure": (
        "keyturn.cli.artefacts:erasure",
        "Erase personal data from the log, with approval: propose, list.",
    ),
    "limits": ("keyturn.cli.limits:limits", "How full the limits of drift.toml are now, the fullest first."),
    "drift": (
        "keyturn.cli.drift:drift",
        "How far agents are from their baselines; questions over the whole past.",
    ),
    "baseline": ("keyturn.cli.behaviour:baseline", "What agents ordinarily do: list, show, propose."),
    "sigma": ("keyturn.cli.sigma:sigma", "Sigma rules held against the recorded past."),
    "policy": ("keyturn.cli.policy:policy", "Test, explain, try and publish policies."),
    "conditions": (
        "keyturn.cli.conditions:conditions",
        "Windows, freezes, who is on call, and what can't be met.",
    ),
    "ledger": ("keyturn.cli.ledger:ledger", "Read, verify, prove, export and rebuild the ledger."),
    "config": ("keyturn.cli.config:config", "Show settings and where each comes from."),
    "evidence": ("keyturn.cli.evidence:evidence", "Controls, tested; evidence packs for auditors."),
    "reconcile": ("keyturn.cli.reconcile:reconcile", "Compare a target's own log with the ledger."),
    "completion": ("keyturn.cli.completion:completion", "Print shell completion for bash, zsh or fish."),
}

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

_OF_RUN = {ExitCode.INTERNAL: ExitCode.RUN_INTERNAL, ExitCode.USAGE: ExitCode.RUN_USAGE}


class CommandLineWrong(KeyturnError):
    """The command line has a command, option or value that is not known, or lacks one."""

    code = "cli.usage"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was done."
    next_step = "`keyturn --help` lists all commands."


class FileTrouble(KeyturnError):
    """The operating system refused a file, a folder or the output: missing, not permitted, no room."""

    code = "cli.file"
    exit_code = ExitCode.INTERNAL
    not_done = "The command ended there; nothing more was done."
    next_step = "Check that place's path, owner, mode and room, then run it again."


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
        """As click does, with a guess at what was meant: click looks for one only among commands already imported."""
        unknown = args and args[0] not in _COMMANDS and not args[0].startswith("-")
        if unknown and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Names that begin with *incomplete*, from the table: a Tab must not wait for imports."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        found = [(name, about) for name, (_, about) in _COMMANDS.items() if name.startswith(incomplete)]
        return [CompletionItem(name, help=about) for name, about in found]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="keyturn")
def keyturn() -> None:
    """Keyturn stands between AI agents and everything they act on.

    \b
    Exit codes
      0 done                 5 expired
      1 internal             6 waiting for people
      2 usage                7 ledger damaged
      3 refused by policy    8 drift found
      4 denied by a person   9 unreachable, nothing ran
    `keyturn run` passes the agent's own code on; 240-249 are Keyturn's.

    \b
    Environment
      KEYTURN_HOME        the home (default ~/.keyturn)
      KEYTURN_PERSON      whose token in the home is used
      KEYTURN_TOKEN_FILE  a file with your token
      KEYTURN_URL         a server elsewhere, https://…
      KEYTURN_DEBUG=1     tracebacks of Keyturn's own failures
    """


def main(args: list[str] | None = None) -> None:
    """Entry point of the `keyturn` script: errors become words on stderr and documented exit codes."""
    given = sys.argv[1:] if args is None else args
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # what stands in for them in tests may not be a real stream
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    token = JSON_WANTED.set(False)
    try:
        sys.exit(_run(given))
    finally:
        JSON_WANTED.reset(token)


def _run(args: list[str]) -> int:
    """Run the command line; the exit code."""
    try:
        code = keyturn.main(args=list(args), prog_name="keyturn", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return ExitCode.USAGE
    except click.Abort:
        say("Stopped. Nothing more was done.", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        return _failed(_usage(error, args), args, json=JSON_WANTED.get() or "--json" in _own(args))
    except BrokenPipeError:
        _settle_output()  # whoever read the output has enough
        return ExitCode.DONE
    except KeyturnError as error:
        return _failed(error, args)
    except Exception as error:  # the last boundary: a traceback helps nobody at 3 a.m.
        if os.environ.get("KEYTURN_DEBUG"):
            raise
        _settle_output()
        return _failed(_unforeseen(error), args)
    return code if isinstance(code, int) else ExitCode.DONE


def _settle_output() -> None:
    """What can't be written now can't be written by the interpreter's last flush either: let that one be silent."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(error: KeyturnError, args: list[str], *, json: bool | None = None) -> int:
    """Say *error*; its exit code, which for `keyturn run` is one that its child can't be taken for."""
    say_error(error, json=json)
    code = error.exit_code
    if args[:1] != ["run"] or code >= ExitCode.RUN_INTERNAL:
        return code
    return _OF_RUN.get(code, ExitCode.RUN_INTERNAL + code)


def _own(args: list[str]) -> list[str]:
    """The arguments that are ours: not those of a command that is run."""
    return args[: args.index("--")] if "--" in args else args


def _usage(error: click.ClickException, args: list[str]) -> KeyturnError:
    words = " ".join(error.format_message().split())
    words += "" if words.endswith((".", "?", "!", "?)")) else "."
    context = getattr(error, "ctx", None)
    if context is not None and context.parent is not None:
        return CommandLineWrong(words, next_step=f"`{context.command_path} --help` shows what it takes.")
    if args[:1] and args[0] in _COMMANDS:
        return CommandLineWrong(words, next_step=f"`keyturn {args[0]} --help` shows what it takes.")
    return CommandLineWrong(words)


def _unforeseen(error: Exception) -> KeyturnError:
    if isinstance(error, OSError) and error.strerror:
        where = error.filename if isinstance(error.filename, str) else "The output"
        if isinstance(error.filename, bytes):
            where = os.fsdecode(error.filename)
        return FileTrouble(f"{where}: {error.strerror}.")
    return KeyturnError(
        f"Keyturn failed inside ({type(error).__name__}: {error}).",
        next_step="Run it again with KEYTURN_DEBUG=1 for the traceback, and report that.",
    )


def say_error(error: KeyturnError, *, json: bool | None = None) -> None:
    """The error on stderr: as JSON when the command was asked for JSON, else in words."""
    if JSON_WANTED.get() if json is None else json:
        say_json(error.as_json(), err=True)
        return
    say(f"{error.happened}\n{error.not_done} {error.do_next}  [{error.code}]", err=True)


__all__ = ["as_json", "keyturn", "main", "say_error"]
