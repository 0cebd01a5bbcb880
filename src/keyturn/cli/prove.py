"""`keyturn policy prove`: what holds for every action there can be, or one action that shows it does not."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyturn.cli.client import existing, home_option, json_option
from keyturn.cli.terminal import say, say_json, visible
from keyturn.errors import ExitCode

if TYPE_CHECKING:
    from keyturn.policy import Policy
    from keyturn.policy.proving import Counterexample

_SINCE = re.compile(r"\s*no new run since (\S+)\s*")


@click.command("prove")
@click.argument("text", metavar="PROPERTY")
@click.option(
    "--policy", "folder", metavar="DIR", type=click.Path(path_type=Path), help="The policy's folder."
)
@click.option(
    "--version",
    metavar="VERSION",
    help="A recorded version instead: a digest's first characters, or `active`.",
)
@home_option
@json_option
def prove(text: str, folder: Path | None, version: str | None, home_path: str | None, as_json: bool) -> None:
    """Prove PROPERTY of the policy for every action there can be, or show one that breaks it. Needs the extra `proofs`.

    PROPERTY is `never run when CONDITION`, `always refuse when CONDITION`, `every hold asks at least N people`, `rule A implies rule B`,
    `rule A is shadowed` or `no new run since VERSION|DIR`. Ends with 0 when it is proven, 3 with a counterexample.
    """
    from keyturn.policy.proving import prove as proven

    if folder is not None and version is not None:
        raise click.UsageError("--policy and --version exclude each other.")
    policy = _named(version, home_path) if version else _working(folder, home_path)
    since = _SINCE.fullmatch(text)
    found = proven(policy, text, _named(since[1], home_path) if since else None)
    if as_json:
        say_json(found)
    elif found.proven:
        say(f"Proven for every action of {', '.join(found.kinds)}: {visible(' '.join(text.split()))}.")
        if found.assumes:
            say(f"Assuming that {found.assumes}.")
    elif found.counterexample is not None:
        say(f"It does not hold. An action of kind {found.counterexample.kind}, as the engine decides it:")
        _show(found.counterexample)
    if not found.proven:
        sys.exit(ExitCode.REFUSED)


def _show(shown: Counterexample) -> None:
    for step in shown.reading.steps:
        words = " ".join(step.argv)
        say(
            visible(
                f"  program {step.program!r} {step.subcommand!r} words {words!r} options {list(step.options)}"
            )
        )
        for effect in step.effects:
            labels = f" [{' '.join(effect.labels)}]" if effect.labels else ""
            say(visible(f"    {effect.verb} {effect.zone}: {effect.what}{labels}"))
        if not step.complete:
            say("    not understood completely")
    for name, value in _facts(shown).items():
        say(visible(f"  {name}: {value}"))
    rules = ", ".join(dict.fromkeys(hit.rule for hit in shown.decision.rules)) or "no rule"
    say(f"  → {shown.decision.would} ({visible(rules)})")
    if shown.before is not None:
        say(f"  the other version: {shown.before.would}")


def _facts(shown: Counterexample) -> dict[str, Any]:
    """Facts that say anything."""
    from keyturn.policy.decision import Facts

    nothing = Facts()
    return {
        name: value
        for name in Facts.__struct_fields__
        if (value := getattr(shown.facts, name)) and value != getattr(nothing, name)
    }


def _working(folder: Path | None, home_path: str | None) -> Policy:
    from keyturn import home as homes
    from keyturn.policy import STARTER, load

    if folder is None:
        home = homes.find(home_path)
        folder = home.policy if (home.policy / "policy.toml").is_file() else STARTER
    return load(folder)


def _named(named: str, home_path: str | None) -> Policy:
    from keyturn.cli.ledger import reading
    from keyturn.cli.replay import policy_of
    from keyturn.policy import load

    if "/" in named or (Path(named) / "policy.toml").is_file():
        return load(Path(named))
    with reading(existing(home_path)) as store:
        return policy_of(store, named)
