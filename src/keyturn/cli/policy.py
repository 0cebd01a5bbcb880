"""`keyturn policy`: try, test and explain policies. Nothing here records or changes anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from keyturn.cli.allowing import suggest, unused
from keyturn.cli.client import home_option, json_option
from keyturn.cli.practice import practice
from keyturn.cli.prove import prove
from keyturn.cli.publish import publish
from keyturn.cli.replay import replay, versions
from keyturn.cli.terminal import JSON_WANTED, escaped, say, say_json
from keyturn.errors import ExitCode

if TYPE_CHECKING:
    from keyturn.policy import Explanation, Policy, TestReport

KINDS = ("shell", "sql", "http", "mcp", "file")
_ACTION_KINDS = {"mcp": "tool"}


class Policies(click.Group):
    """Shows what is wrong with a policy with its lines and carets, then ends as every error does."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        from keyturn.policy import PolicyInvalid

        try:
            return super().invoke(ctx)
        except PolicyInvalid as error:
            if JSON_WANTED.get():
                raise
            say(error.render(), err=True)
            say(f"\n{error.not_done} {error.do_next}  [{error.code}]", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=Policies)
def policy() -> None:
    """Test, explain, try and publish policies."""


@policy.command()
@click.option("--kind", type=click.Choice(KINDS), required=True, help="What the content is.")
@click.option("--dialect", default="", help="The shell's dialect: bash (default) or posix.")
@click.option(
    "--policy", "folder", metavar="DIR", type=click.Path(path_type=Path), help="The policy's folder."
)
@click.option(
    "--jsonl",
    "source",
    metavar="FILE|-",
    type=click.File("rb"),
    required=True,
    help="One JSON object per line.",
)
@click.option(
    "--at", "at", metavar="TIME", help="When: 2026-12-24T18:00+01:00 (default: now). Freezes need it."
)
@home_option
def decide(
    kind: str, dialect: str, folder: Path | None, source: BinaryIO, at: str | None, home_path: str | None
) -> None:
    """A dry run: what would be decided for each line, in order. Records nothing.

    In: {"content": …, "cwd"?, "workspace"?, "home"?, "agent"?, "environment"?}. Out, one line for each line in:
    {"decision", "complete", "effects", "rules", "reasons"}, or {"error": {…}} for a line that can't be read.
    """
    from keyturn.cli.dry_run import DryRun, instant

    protected = (str(_home_folder(home_path)),)
    tried = DryRun(_policy(folder, home_path), kind, dialect, protected=protected, at=instant(at))
    import sys

    out = sys.stdout.buffer
    for answer in tried.answers(source):
        out.write((answer if answer.isascii() else escaped(answer.decode()).encode()) + b"\n")
        out.flush()


@policy.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@home_option
@json_option
def test(folder: Path | None, home_path: str | None, as_json: bool) -> None:
    """Run the policy's own cases, and look at its own controls. Ends with 0 when all are right, 3 otherwise."""
    from keyturn.evidence import catalogue
    from keyturn.policy import run_tests

    tested = _policy(folder, home_path)
    catalogue.check(tested.files)
    report = run_tests(tested)
    if as_json:
        say_json(_report(tested, report))
    else:
        for line in report.lines:
            say(line)
        right = report.total - len(report.failures)
        say(f"{right} of {report.total} cases are right ({tested.name}, {tested.digest[:19]}…).")
    if not report.green:
        raise click.exceptions.Exit(ExitCode.REFUSED)


@policy.command()
@click.argument("action")
@click.option("--kind", type=click.Choice(KINDS), default="shell", help="What ACTION is (default: shell).")
@click.option("--operation", default="write", help="For files: create, write, edit, delete or read.")
@click.option("--cwd", metavar="DIR", help="Where it would happen (default: here).")
@click.option("--workspace", metavar="DIR", help="The agent's work folder (default: --cwd).")
@click.option("--agent", default="agent", help="The agent's name.")
@click.option(
    "--at",
    "at",
    metavar="TIME",
    help="When: 2026-12-24T18:00+01:00 (default: now). Windows and freezes need it.",
)
@click.option(
    "--policy", "folder", metavar="DIR", type=click.Path(path_type=Path), help="The policy's folder."
)
@home_option
@json_option
def explain(
    action: str,
    kind: str,
    operation: str,
    cwd: str | None,
    workspace: str | None,
    agent: str,
    at: str | None,
    folder: Path | None,
    home_path: str | None,
    as_json: bool,
) -> None:
    """Why ACTION would run, be held or be refused: the rules, the bytes they match, the nearest rule that allows.

    ACTION is a command; with --kind, a path (file), a URL (http) or JSON {"server", "tool", "arguments"} (mcp).
    """
    from keyturn.cli.dry_run import DryRun, instant
    from keyturn.policy import explain as explained

    tried = DryRun(_policy(folder, home_path), kind, "", protected=(str(_home_folder(home_path)),))
    line = {"content": _content(action, kind, operation), "cwd": cwd, "workspace": workspace, "agent": agent}
    proposal = tried.proposal({key: value for key, value in line.items() if value is not None})
    when = instant(at)
    why = explained(tried.policy, proposal.content, proposal.reading, proposal.facts, when)
    if as_json:
        say_json(why)
        return
    _show(why, tried.policy, when)


def _content(action: str, kind: str, operation: str) -> Any:
    if kind == "sql":
        raise click.UsageError("This version does not read SQL; every statement is held.")
    if kind == "file" and not action.lstrip().startswith("{"):
        return {"path": action, "operation": operation}
    if kind in ("file", "mcp") or (kind == "http" and action.lstrip().startswith("{")):
        import json

        try:
            return json.loads(action)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"ACTION is not JSON: {error}.") from error
    return action


def _policy(folder: Path | None, home_path: str | None) -> Policy:
    """The policy named, else the home's working copy, else the starter policy."""
    from keyturn.policy import STARTER, load

    if folder is None:
        from keyturn import home as homes

        home = homes.find(home_path)
        folder = home.policy if (home.policy / "policy.toml").is_file() else STARTER
    return load(folder)


def _home_folder(home_path: str | None) -> Path:
    from keyturn import home as homes

    return homes.find(home_path).root


def _report(tested: Policy, report: TestReport) -> dict[str, Any]:
    cases = [
        {
            "file": result.case.file,
            "line": result.case.line,
            "name": result.case.name,
            "expected": result.case.expected,
            "decision": result.decision.verdict,
            "rules": list(dict.fromkeys(hit.rule for hit in result.decision.rules)),
            "right": not result.words,
            "words": result.words,
        }
        for result in report.results
    ]
    return {
        "policy": tested.name,
        "digest": tested.digest,
        "green": report.green,
        "total": report.total,
        "failures": len(report.failures),
        "cases": cases,
    }


def visible(text: str) -> str:
    """*text* for a terminal: characters that can't be seen, or that steer it, are shown by their number."""
    from keyturn.readers.odd import odd_character

    shown = (c if c.isprintable() and odd_character(c) is None else f"<U+{ord(c):04X}>" for c in text)
    return "".join(shown)


_DONE = {"run": "It would run.", "hold": "It would be held.", "refuse": "It would be refused."}


def _show(why: Explanation, policy: Policy, at: int) -> None:
    from keyturn.policy.requirements.words import asked_words

    decision = why.decision
    say(_DONE[decision.verdict] + (f" {visible(why.sentence)}" if why.sentence else ""))
    if decision.verdict != decision.would:
        say(f"  Observe mode: enforce mode would {decision.would} it.")
    for reason in why.reasons:
        say(f"  {visible(reason)}")
    if decision.would == "hold":
        if why.risk is not None:
            say(f"  Risk: {why.risk.tier}, for an agent that never asked for this before.")
        say(f"  Asks for {decision.obligations.approve} within {decision.obligations.within} s.")
        for sentence in asked_words(decision.obligations, policy.requirements, at):
            say(f"  {sentence}")
    for rule in why.rules:
        say(
            f"\n{rule.file}:{rule.line}: {rule.rule} ({rule.verdict}) matches step {rule.step + 1}: {visible(rule.matched)}"
        )
        for line in rule.text.splitlines():
            say(f"    {line}")
    if why.nearest is not None:
        near = why.nearest
        say(f"\nNearest rule that allows: {near.rule} ({near.file}:{near.line})")
        say(f"  {visible(near.words)}")
        for difference in near.differences:
            say("  " + visible(" ".join(difference.condition.split())))


policy.add_command(practice)
policy.add_command(prove)
policy.add_command(publish)
policy.add_command(replay)
policy.add_command(suggest)
policy.add_command(unused)
policy.add_command(versions)
