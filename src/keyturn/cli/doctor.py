"""`keyturn doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from msgspec import Struct

from keyturn.cli import as_json as to_json
from keyturn.cli.client import Unreachable, connect, home_of, home_option, json_option
from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.hooks.wiring import Scope
from keyturn.home import Home

SCOPES: tuple[Scope, ...] = ("user", "project", "managed")
MIN_FREE_BYTES = 200 * 1024 * 1024


class Finding(Struct, frozen=True):
    """One thing looked at: `ok`, `warn` or `bad`, what was found, how to mend it."""

    state: str
    what: str
    mend: str = ""


@click.command()
@home_option
@json_option
def doctor(home_path: str | None, as_json: bool) -> None:
    """Say what is wrong and how to mend it. Exit 1 if anything is bad."""
    home = home_of(home_path)
    found = list(examine(home))
    if as_json:
        click.echo(to_json(found))
    else:
        for one in found:
            click.echo(f"{one.state:<5} {one.what}")
            if one.mend:
                click.echo(f"      → {one.mend}")
    if any(one.state == "bad" for one in found):
        sys.exit(ExitCode.INTERNAL)


def examine(home: Home) -> Iterator[Finding]:
    """Everything that can be seen from outside the server."""
    if not home.exists:
        yield Finding("bad", f"{home.root} is not a home.", "Run `keyturn init`.")
        return
    yield from _files(home)
    yield from _parser()
    yield from _policy(home)
    yield from _ledger(home)
    yield from _server(home)
    yield from _hooks(home)


def _files(home: Home) -> Iterator[Finding]:
    loose = [p for p in (home.root, home.log_key, home.permit_key, *_tokens(home)) if _others_may_read(p)]
    if loose:
        yield Finding("bad", f"Others can read {', '.join(map(str, loose))}.", f"chmod -R go= {home.root}")
    else:
        yield Finding("ok", f"The home {home.root} is readable by its owner alone.")
    free = shutil.disk_usage(home.root).free
    if free < MIN_FREE_BYTES:
        yield Finding(
            "bad",
            f"{free // 2**20} MiB are free; without room nothing is recorded and nothing runs.",
            "Free space.",
        )
    tokens = [p.name for p in _tokens(home)]
    if len(tokens) > 1:
        yield Finding(
            "warn",
            f"Tokens of several people lie in this home ({', '.join(tokens)}): an agent with your account could read them.",
            "Give each person their own token and delete the others here.",
        )


def _tokens(home: Home) -> list[Path]:
    return sorted(home.tokens.iterdir()) if home.tokens.is_dir() else []


def _others_may_read(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _parser() -> Iterator[Finding]:
    from keyturn import readers
    from keyturn.actions import Shell
    from keyturn.resources import Surroundings

    reading = readers.read(Shell("echo ok"), Surroundings(cwd="/tmp", workspace="/tmp"))  # noqa: S108 — only text
    if reading.complete:
        yield Finding("ok", "The shell parser works.")
    else:
        why = reading.unread[0].why if reading.unread else "it gave no answer"
        yield Finding(
            "bad", f"The shell parser does not work: {why}.", "Reinstall Keyturn; it brings shfmt with it."
        )


def _policy(home: Home) -> Iterator[Finding]:
    from keyturn import policy as policies

    try:
        loaded = policies.load(home.policy)
        report = policies.run_tests(loaded)
    except KeyturnError as error:
        yield Finding(
            "bad", f"The policy folder {home.policy} can't be read: {error.happened}", error.do_next
        )
        return
    if report.green:
        yield Finding(
            "ok", f"The policy folder is valid and its {report.total} cases hold; mode: {loaded.mode}."
        )
    else:
        yield Finding(
            "bad", f"{len(report.failures)} of the policy's cases fail.", "Run `keyturn policy test`."
        )
    if loaded.mode == "observe":
        yield Finding(
            "warn",
            "Observing: what would be held runs.",
            'Set mode = "enforce" in policy.toml and publish it.',
        )


def _ledger(home: Home) -> Iterator[Finding]:
    from keyturn.cli.ledger import verified

    try:
        verdict = verified(home)
    except KeyturnError as error:
        yield Finding("bad", f"The ledger can't be verified: {error.happened}", error.do_next)
        return
    if verdict.intact:
        yield Finding("ok", f"The ledger verifies: {verdict.entries:,} entries.")
    else:
        yield Finding(
            "bad",
            f"The ledger is damaged: {verdict.problems[0].words}",
            "Keep a copy as it is; restore from a good one.",
        )


def _server(home: Home) -> Iterator[Finding]:
    try:
        client = connect(str(home.root), None)
        people = client.get("/v1/people")
        ready = client.text("/readyz").strip()
    except Unreachable:
        yield Finding("warn", "No server runs, so every gate refuses everything.", "Run `keyturn serve`.")
        return
    except KeyturnError as error:
        yield Finding("warn", error.happened, error.do_next)
        return
    yield Finding("ok" if ready == "ok" else "bad", f"The server answers: {ready}.")
    reviewers = [p["id"] for p in people if not p["removed"] and p["groups"]]
    if len(reviewers) < 2:
        yield Finding(
            "warn",
            "One person only: nobody approves what their own agent asks, so held actions can only be denied or expire.",
            "keyturn person add NAME --group reviewers --group policy",
        )


def _hooks(home: Home) -> Iterator[Finding]:
    from keyturn.gates.hooks import install
    from keyturn.gates.hooks.dialects import DIALECTS

    place = install.Place(str(Path.home()), str(Path.cwd()), str(home.root))
    for client in DIALECTS:
        for scope in SCOPES:
            state = install.status(client, scope, place)
            if not state.installed:
                continue
            if state.changed:
                words = f"{client} ({scope}): changed since it was wired: {', '.join(state.changed)}."
                yield Finding("bad", words, f"keyturn hook install {client}")
            else:
                yield Finding("ok", f"{client} ({scope}): wired, assurance {state.assurance}.")
            for left in state.left:
                yield Finding("warn", f"{client} ({scope}): one step is left.", left)
