"""`keyturn ledger`: read, verify, prove, export and rebuild. All but `rebuild` work beside a running server."""

from __future__ import annotations

import difflib
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from keyturn.cli.client import existing, home_of, home_option, json_option
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode, KeyturnError, NotFound
from keyturn.home import Home

if TYPE_CHECKING:
    from keyturn.evidence.approvals import ApprovalsVerdict
    from keyturn.ledger.storage import StoredEntry
    from keyturn.ledger.verify import Verdict
    from keyturn.store.contract import Store

SHOWN = 110
"""Characters of a line of `log` after the type."""


class NoLog(KeyturnError):
    """What was named is no exported log, or no key of one."""

    code = "ledger.not_given"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was verified."
    next_step = "Name a folder that `keyturn ledger export` wrote, and with --key the line from a `log.vkey` that you trust."


@click.group()
def ledger() -> None:
    """Read, verify, prove, export and rebuild the ledger."""


@contextmanager
def reading(home: Home) -> Iterator[Store]:
    """The home's store, for reading only. Raises `HomeMissing`."""
    from keyturn.service.settings import store_url
    from keyturn.store import open_store

    store = open_store(store_url(home), writer=False)
    try:
        yield store
    finally:
        store.close()


def log_vkey(home: Home) -> str:
    """The home's log key as a verifier key. It is this key that a home's log must be signed with, not one it names.

    Raises `HomeMissing` when one of the two key files can't be read.
    """
    from keyturn.ledger.checkpoint import Signer
    from keyturn.service.genesis import HomeMissing, read_key

    try:
        origin = (home.keys / "origin").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise HomeMissing(
            f"{home.keys / 'origin'} can't be read.", next_step="Restore it from a copy of the home's keys."
        ) from error
    return str(Signer(origin, read_key(home.log_key)).key)


def verified(home: Home, *, leaves_only: bool = False) -> Verdict:
    """Verify the home's ledger under the home's own key."""
    from keyturn.ledger.verify import verify as verify_log

    with reading(home) as store:
        return verify_log(store, log_vkey(home), leaves_only=leaves_only)


# --- log ----------------------------------------------------------------------------------------------------------


def _entry_types(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from keyturn.ledger.entries import ENTRY_TYPES

    return [name for name in ENTRY_TYPES if name.startswith(incomplete)]


def _known_type(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from keyturn.ledger.entries import ENTRY_TYPES

    if value is None or value in ENTRY_TYPES:
        return value
    near = difflib.get_close_matches(value, ENTRY_TYPES, 1)
    raise click.BadParameter(
        f"there is no entry type {value!r}." + (f" Did you mean {near[0]!r}?" if near else "")
    )


@ledger.command()
@home_option
@click.option(
    "-n",
    "--last",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many of the newest entries.",
)
@click.option("--session", help="Only entries of this session.")
@click.option(
    "--type", "kind", callback=_known_type, shell_complete=_entry_types, help="Only entries of this type."
)
@json_option
def log(home_path: str | None, last: int, session: str | None, kind: str | None, as_json: bool) -> None:
    """The newest entries, oldest first; times are UTC. With --json one object a line.

    An entry that can't be read is named in its place, and the command ends with 7.
    """
    shown = unreadable = 0
    with reading(existing(home_path)) as store:
        for stored in _newest(store, last, session, kind):
            shown += 1
            unreadable += not _say_entry(stored, as_json)
    if not shown:
        say("No entry is like that." if session or kind else "The ledger is empty.", err=True)
    if unreadable:
        say("Some entries can't be read; `keyturn ledger verify` says what is damaged.", err=True)
        sys.exit(ExitCode.DAMAGED)


def _newest(store: Store, last: int, session: str | None, kind: str | None) -> Iterator[StoredEntry]:
    from collections import deque

    if session is None and kind is None:
        return store.entries(max(0, _size(store) - last))
    wanted = (
        stored
        for stored in store.entries()
        if (session is None or stored.session == session) and (kind is None or stored.type == kind)
    )
    return iter(deque(wanted, maxlen=last))


def _size(store: Store) -> int:
    """How many entries the checkpoint states; 0 when it can't be read, and then all are looked at."""
    from keyturn.ledger import checkpoint
    from keyturn.ledger.errors import NoteInvalid

    try:
        return checkpoint.read_unverified(store.head() or "").size
    except NoteInvalid:
        return 0


def _say_entry(stored: StoredEntry, as_json: bool) -> bool:
    """Show one entry; whether it could be read."""
    from keyturn.ledger import leaf

    try:
        entry = leaf.read(stored)
    except KeyturnError as error:
        if as_json:
            say_json({"index": stored.index, **error.as_json()})
        else:
            say(f"{stored.index:>7}  UNREADABLE: {visible(error.happened)}")
        return False
    if as_json:
        say_json(_entry(entry))
    else:
        say(f"{entry.index:>7}  {_clock(entry.time)}  {entry.type:<18} {_short(entry)}".rstrip())
    return True


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
    if entry.type == "request.opened":
        return visible(f"{fields.get('id')}  {fields.get('sentence')}"[:SHOWN])
    for name in ("sentence", "request", "action", "id", "person", "name", "digest", "origin"):
        if fields.get(name):
            verdict = f"{fields['verdict']}: " if "verdict" in fields else ""
            choice = f" {fields['choice']} by {fields['person']}" if "choice" in fields else ""
            return visible(f"{verdict}{fields[name]}{choice}"[:SHOWN])
    return ""


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


# --- verify, prove, export, rebuild -------------------------------------------------------------------------------


@ledger.command()
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@home_option
@click.option(
    "--key",
    metavar="VKEY",
    help="The log's verifier key, from somewhere you trust (default: the home's; for DIR, the one in it).",
)
@click.option(
    "--leaves-only", is_flag=True, help="Tree and signature only, as a third party sees it; quicker."
)
@json_option
def verify(
    folder: Path | None, home_path: str | None, key: str | None, leaves_only: bool, as_json: bool
) -> None:
    """Recompute everything, from a home or from an exported folder DIR, and check people's signatures. Exit 0 intact, 7 damaged."""
    from keyturn.evidence import approvals
    from keyturn.ledger.verify import verify as verify_log

    _check_key(key)
    if folder is None:
        home = existing(home_path)
        with reading(home) as store:
            verdict = verify_log(store, key or log_vkey(home), leaves_only=leaves_only)
            signatures = approvals.check_store(store) if verdict.intact and not leaves_only else None
        whose = "the key you gave" if key else "this home's key"
    else:
        if not folder.is_dir():
            raise NoLog(f"{folder} is not a folder.")
        verdict = verify_log(folder, key, leaves_only=leaves_only)
        signatures = approvals.check_folder(folder) if verdict.intact and not leaves_only else None
        whose = (
            "the key you gave" if key else "the key that lies in the folder: compare it with one you trust"
        )
    if as_json:
        say_json({**msgspec.to_builtins(verdict), "approvals": signatures})
    elif verdict.intact:
        _say_intact(verdict, whose)
        _say_signatures(signatures)
    else:
        _say_damage(verdict)
    if not verdict.intact or (signatures is not None and not signatures.hold):
        sys.exit(ExitCode.DAMAGED)


def _check_key(key: str | None) -> None:
    from keyturn.ledger import note
    from keyturn.ledger.errors import NoteInvalid

    try:
        if key is not None:
            note.parse_vkey(key)
    except NoteInvalid as error:
        raise NoLog(f"--key: {error.happened}") from error


def _say_intact(verdict: Verdict, whose: str) -> None:
    counted = f"{plural(verdict.entries, 'entry', 'entries')}, {plural(verdict.sessions, 'session')}"
    say(f"Intact: {counted}. Root {verdict.root}.")
    if verdict.withheld:
        say(f"{plural(verdict.withheld, 'field')} withheld or erased, which changes no proof.")
    if verdict.leaves_only:
        say("Tree and signature only: fields and blobs were not compared.")
    say(f"Signed with {visible(verdict.key)}, {whose}.")


def _say_signatures(signatures: ApprovalsVerdict | None) -> None:
    """People's own signatures: how many hold, and which don't."""
    if signatures is None:
        return
    for index, kind, words in signatures.problems:
        say(f"WRONG    entry {index}, {visible(kind)}: {visible(words)}")
    for index, kind, words in signatures.unchecked:
        say(f"not checked  entry {index}, {visible(kind)}: {visible(words)}")
    signed = signatures.counts.get("approvals signed", 0)
    if signed:
        word = "signed and checked" if signatures.hold else "signed and hold"
        say(
            f"Approvals: {plural(signed, 'decision')} {word}, with {plural(signatures.counts.get('keys', 0), 'key')}."
        )


def _say_damage(verdict: Verdict) -> None:
    for problem in verdict.problems:
        say(f"DAMAGED  {visible(problem.where)}: {visible(problem.words)}")
        if problem.expected or problem.found:
            expected, found = (visible(text or "nothing") for text in (problem.expected, problem.found))
            say(f"         expected {expected}, found {found}")
    if verdict.damaged > len(verdict.problems):
        say(f"         and {plural(verdict.damaged - len(verdict.problems), 'more place')}.")
    say("Keep this copy as it is; docs/how-to/damaged-ledger.md says what to do.", err=True)


@ledger.command()
@click.argument("index", metavar="ENTRY", type=click.IntRange(0))
@home_option
@click.option(
    "--cose",
    is_flag=True,
    help="A COSE receipt (RFC 9942) instead, for the tools of SCITT; needs --out or --json.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the proof here instead of to stdout.",
)
@json_option
def prove(index: int, home_path: str | None, cose: bool, out: Path | None, as_json: bool) -> None:
    """A proof that entry number ENTRY is in the log: a C2SP tlog-proof that other people's tools check."""
    from keyturn.ledger import leaf

    if cose and out is None and not as_json:
        raise click.UsageError("--cose makes bytes, not text: name a file with --out.")
    home = existing(home_path)
    with reading(home) as store:
        stored = store.entry(index)
        if stored is None:
            size = _size(store)
            raise NotFound(
                f"The ledger has no entry {index}.",
                next_step=f"It has {plural(size, 'entry', 'entries')}, counted from 0; `keyturn ledger log` lists them.",
            )
        made = _receipt(home, store, index) if cose else _proof(store, index)
        entry = leaf.read(stored)
    if out is not None:
        out.write_bytes(made)
    if as_json:
        shown = {"receipt": b64encode(made).decode()} if cose else {"proof": made.decode()}
        say_json({**_entry(entry), "leaf": entry.leaf.decode(), **shown})
    elif out is not None:
        say(f"Wrote {out}.")
    else:
        say(made.decode(), nl=False)


def _proof(store: Store, index: int) -> bytes:
    from keyturn.ledger.proof import prove as proof_of

    return proof_of(index, store.head() or "", store.tile).encode()


def _receipt(home: Home, store: Store, index: int) -> bytes:
    from keyturn.ledger import cose
    from keyturn.service.genesis import read_key

    origin = log_vkey(home).partition("+")[0]
    return cose.receipt(index, store.head() or "", store.tile, origin, read_key(home.log_key))


@ledger.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@home_option
@json_option
def export(folder: Path, home_path: str | None, as_json: bool) -> None:
    """Write the log as a C2SP tlog-tiles folder that third-party verifiers read."""
    from keyturn.evidence import approvals
    from keyturn.ledger.export import export as export_to

    home = existing(home_path)
    with reading(home) as store:
        done = export_to(store, folder, log_vkey(home), more={approvals.NAME: approvals.text()})
    words = f"Exported {plural(done.size, 'entry', 'entries')} to {folder}. The log's key: {done.vkey}"
    say_json(done) if as_json else say(words)


@ledger.command()
@home_option
@click.option(
    "--check", is_flag=True, help="Only compare: exit 7 when a projection differs from what the log gives."
)
@json_option
def rebuild(home_path: str | None, check: bool, as_json: bool) -> None:
    """Make the projections (people, requests, policies…) again from the log alone. Needs the server stopped, --check doesn't."""
    from keyturn.ledger import rebuild as rebuilding
    from keyturn.service.projections import fold
    from keyturn.service.settings import store_url
    from keyturn.store import open_store

    home = existing(home_path)
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
        say_json(result)
    else:
        _say_rebuilt(result, check)
    if check and not result.identical:
        sys.exit(ExitCode.DAMAGED)


def _say_rebuilt(result: Any, check: bool) -> None:
    for one in result.differences:
        say(f"DIFFERS  {visible(one.kind)} {visible(one.key)}")
    differing = plural(result.differing, "stored row")
    state = "identical to what is stored" if result.identical else f"{differing} differed"
    if not result.identical and not check:
        state += "; they were replaced"
    given = f"{plural(result.entries, 'entry', 'entries')} give {plural(result.rows, 'row')}"
    say(f"{given}: {state}.")
    if check and not result.identical:
        say(
            "Only these tables were altered, not the log. `keyturn ledger rebuild` makes them again, with the server stopped.",
            err=True,
        )


__all__ = ["home_of", "ledger", "log_vkey", "reading", "verified"]
