"""`keyturn ledger`: read, verify, prove, export and rebuild. All but `rebuild` work beside a running server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from keyturn.cli import as_json as to_json
from keyturn.cli.client import home_of, home_option, json_option
from keyturn.errors import ExitCode, NotFound
from keyturn.home import Home
from keyturn.ledger.verify import Verdict
from keyturn.store.contract import Store


@click.group()
def ledger() -> None:
    """Read, verify, prove, export and rebuild the ledger."""


@contextmanager
def reading(home: Home) -> Iterator[Store]:
    """The home's store, for reading only. Raises `HomeMissing`."""
    from keyturn.service.genesis import HomeMissing
    from keyturn.service.settings import store_url
    from keyturn.store import open_store

    if not home.exists:
        raise HomeMissing(f"{home.root} is not a Keyturn home.")
    store = open_store(store_url(home), writer=False)
    try:
        yield store
    finally:
        store.close()


def log_vkey(home: Home) -> str:
    """The home's log key as a verifier key. It is this key that a home's log must be signed with, not one it names."""
    from keyturn.ledger.checkpoint import Signer
    from keyturn.service.genesis import read_key

    origin = (home.keys / "origin").read_text(encoding="utf-8").strip()
    return str(Signer(origin, read_key(home.log_key)).key)


def verified(home: Home, *, leaves_only: bool = False) -> Verdict:
    """Verify the home's ledger under the home's own key."""
    from keyturn.ledger.verify import verify as verify_log

    with reading(home) as store:
        return verify_log(store, log_vkey(home), leaves_only=leaves_only)


@ledger.command()
@home_option
@click.option("-n", "--last", default=20, show_default=True, help="How many of the newest entries.")
@click.option("--session", help="Only entries of this session.")
@click.option("--type", "kind", help="Only entries of this type.")
@json_option
def log(home_path: str | None, last: int, session: str | None, kind: str | None, as_json: bool) -> None:
    """The newest entries, oldest first. With --json one object a line."""
    from collections import deque

    from keyturn.ledger import leaf

    with reading(home_of(home_path)) as store:
        wanted = (
            stored
            for stored in store.entries()
            if (session is None or stored.session == session) and (kind is None or stored.type == kind)
        )
        for stored in deque(wanted, maxlen=last):
            entry = leaf.read(stored)
            if as_json:
                click.echo(to_json(_entry(entry)))
            else:
                click.echo(f"{entry.index:>7}  {_clock(entry.time)}  {entry.type:<18} {_short(entry)}")


@ledger.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@home_option
@click.option("--key", help="The log's verifier key, from somewhere you trust (for DIR; default: the key in it).")
@click.option(
    "--leaves-only", is_flag=True, help="Tree and signature only, as a third party sees it; quicker."
)
@json_option
def verify(
    folder: Path | None, home_path: str | None, key: str | None, leaves_only: bool, as_json: bool
) -> None:
    """Recompute everything, from a home or from an exported folder DIR. Exit 0 intact, 7 damaged."""
    from keyturn.ledger.verify import verify as verify_log

    verdict = (
        verified(home_of(home_path), leaves_only=leaves_only)
        if folder is None
        else verify_log(folder, key, leaves_only=leaves_only)
    )
    if as_json:
        click.echo(to_json(verdict))
    elif verdict.intact:
        click.echo(f"Intact: {verdict.entries:,} entries, {verdict.sessions:,} sessions. Root {verdict.root}.")
        click.echo(f"Signed with {verdict.key} ({verdict.key_from}).")
    else:
        for problem in verdict.problems:
            click.echo(f"DAMAGED  {problem.where}: {problem.words}")
            if problem.expected or problem.found:
                click.echo(f"         expected {problem.expected}, found {problem.found}")
        click.echo("Keep this copy as it is; docs/how-to/damaged-ledger.md says what to do.", err=True)
    if not verdict.intact:
        sys.exit(ExitCode.DAMAGED)


@ledger.command()
@click.argument("index", type=int)
@home_option
@click.option("--out", type=click.Path(path_type=Path), help="Write the proof here instead of to stdout.")
@json_option
def prove(index: int, home_path: str | None, out: Path | None, as_json: bool) -> None:
    """A proof that entry INDEX is in the log: a C2SP tlog-proof that other people's tools check."""
    from keyturn.ledger import leaf
    from keyturn.ledger.proof import prove as proof_of

    with reading(home_of(home_path)) as store:
        stored = store.entry(index)
        if stored is None:
            raise NotFound(f"The ledger has no entry {index}.")
        proof = proof_of(index, store.head() or "", store.tile)
        entry = leaf.read(stored)
    if as_json:
        click.echo(to_json({**_entry(entry), "leaf": entry.leaf.decode(), "proof": proof}))
    elif out is not None:
        out.write_text(proof, encoding="utf-8")
        click.echo(f"Wrote {out}.")
    else:
        click.echo(proof, nl=False)


@ledger.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@home_option
@json_option
def export(folder: Path, home_path: str | None, as_json: bool) -> None:
    """Write the log as a C2SP tlog-tiles folder that third-party verifiers read."""
    from keyturn.ledger.export import export as export_to

    home = home_of(home_path)
    with reading(home) as store:
        done = export_to(store, folder, log_vkey(home))
    words = f"Exported {done.size:,} entries to {folder}. The log's key: {done.vkey}"
    click.echo(to_json(done) if as_json else words)


@ledger.command()
@home_option
@click.option(
    "--check", is_flag=True, help="Only compare: exit 7 when a projection differs from what the log gives."
)
@json_option
def rebuild(home_path: str | None, check: bool, as_json: bool) -> None:
    """Fold the whole log again and compare with, or replace, the projections. The server must be stopped to replace."""
    from keyturn.ledger import rebuild as rebuilding
    from keyturn.service.projections import fold
    from keyturn.service.settings import store_url
    from keyturn.store import open_store

    home = home_of(home_path)
    if check:
        with reading(home) as store:
            result = rebuilding.rebuild(store, fold, check=True)
    else:
        store = open_store(store_url(home))
        try:
            result = rebuilding.rebuild(store, fold, check=False)
        finally:
            store.close()
    if as_json:
        click.echo(to_json(result))
    else:
        state = "identical" if result.identical else f"{result.differing} rows differed"
        click.echo(f"{result.entries:,} entries give {result.rows:,} rows: {state}.")
    if check and not result.identical:
        sys.exit(ExitCode.DAMAGED)


def _entry(entry: Any) -> dict[str, Any]:
    return {
        "index": entry.index,
        "time": entry.time,
        "type": entry.type,
        "session": entry.session,
        "n": entry.n,
        "fields": entry.fields,
    }


def _short(entry: Any) -> str:
    fields = entry.fields
    for name in ("sentence", "request", "action", "id", "person", "name", "digest"):
        if fields.get(name):
            verdict = f"{fields['verdict']}: " if "verdict" in fields else ""
            choice = f" {fields['choice']} by {fields['person']}" if "choice" in fields else ""
            return f"{verdict}{fields[name]}{choice}"[:110]
    return ""


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
