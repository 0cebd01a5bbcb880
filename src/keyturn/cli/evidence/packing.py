"""`keyturn evidence pack`, `packs`, `verify`: what an auditor takes home, and can check alone.

That a pack is made is recorded by the server first. The pack itself is built here, beside the running server, from the home's store; where
the server is on another machine, it builds there and the file is fetched.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyturn.cli.client import Client, as_option, connect, existing, home_option, json_option, segment
from keyturn.cli.credentials import when
from keyturn.cli.drift import past
from keyturn.cli.ledger import log_vkey, reading
from keyturn.cli.terminal import plural, say, say_json, visible
from keyturn.errors import ExitCode, KeyturnError

if TYPE_CHECKING:
    from keyturn.evidence.pack import Order, Packed
    from keyturn.home import Home
    from keyturn.ledger.checkpoint import Signer

POLL_SECONDS = 1.0
MAX_HEAD = 1 << 20
SLOW_ENTRIES = 20_000
"""Entries of a log whose packing takes so long that one wants to see it go on."""


class NoHead(KeyturnError):
    """A file that was named is no checkpoint."""

    code = "evidence.no_head"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "No pack was made, and nothing was recorded."
    next_step = "Name the file `checkpoint` of an earlier export or pack, as somebody else kept it."


class PackNotBuilt(KeyturnError):
    """The server could not build the pack."""

    code = "evidence.build_failed"
    status = 500
    not_done = "No pack was written; that one was asked for is recorded."
    next_step = "Correct what it says, then `keyturn evidence pack --again ID`."


@click.command("pack")
@click.option("--framework", metavar="ID", help="Which framework, for example soc2 or iso27001.")
@click.option(
    "--from", "since", metavar="TIME", help="From when on: 90d, 2026-01-01 or 2026-01-01T00:00+01:00."
)
@click.option("--to", "until", metavar="TIME", help="Until just before then (default: now).")
@click.option("--for", "auditor", metavar="WHO", default="", help="The auditor it is made for.")
@click.option(
    "--disclose",
    type=click.Choice(["digests", "content"]),
    help="What of actions is in it (default: what policy shows auditors).",
)
@click.option(
    "--head",
    "heads",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A checkpoint of this log that somebody else kept: does the log go on from it?",
)
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Where to write it (default: a name in this folder).",
)
@click.option("--again", metavar="ID", help="Build a pack again that was asked for earlier, byte for byte.")
@click.option(
    "--log",
    "exported",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Of an exported log, without a server; nothing is recorded.",
)
@click.option("--key", metavar="VKEY", help="With --log: the log's key, from somewhere you trust.")
@home_option
@as_option
@json_option
def pack(
    framework: str | None,
    since: str | None,
    until: str | None,
    auditor: str,
    disclose: str | None,
    heads: tuple[Path, ...],
    out: Path | None,
    again: str | None,
    exported: Path | None,
    key: str | None,
    home_path: str | None,
    person: str | None,
    as_json: bool,
) -> None:
    """Build an evidence pack: one file that an auditor checks alone, with nothing but Python."""
    if again is None and not (framework and since):
        raise click.UsageError("Name a framework and a period: --framework soc2 --from 2026-01-01.")
    if again is not None and (framework or since or until or auditor or disclose or exported):
        raise click.UsageError("--again takes everything but --head and -o from what was recorded.")
    if key is not None and exported is None:
        raise click.UsageError("--key belongs to --log.")
    kept = tuple((path.name, _head(path)) for path in heads)
    if exported is not None:
        made = _of_export(
            exported, key, (framework or "", since or "", until, auditor, disclose), kept, out, as_json
        )
    elif again is not None:
        home = existing(home_path)
        made = _built(home, _recorded(home, again, kept), out, as_json)
    else:
        wish = {
            "framework": framework, "since": _ms(since or ""), "until": _ms(until) if until else 0, "auditor": auditor,
            "disclosure": disclose or "",
        }  # fmt: skip
        client = connect(home_path, person)
        if client.url:
            if kept:
                raise click.UsageError(
                    "--head is for a pack that is built here; give yours to `keyturn evidence verify --head`."
                )
            _fetched(client, wish, out, as_json)
            return
        asked = client.post("/v1/evidence/packs", wish)["pack"]
        home = existing(home_path)
        made = _built(home, _recorded(home, asked["id"], kept), out, as_json)
    _say_packed(made, as_json)


def _ms(text: str) -> int:
    seconds = past(text)
    assert seconds is not None
    return seconds * 1000


def _head(path: Path) -> str:
    from keyturn.ledger import checkpoint
    from keyturn.ledger.errors import NoteInvalid

    try:
        with path.open("rb") as file:
            note = file.read(MAX_HEAD).decode("utf-8")
        checkpoint.read_unverified(note)
    except OSError as error:
        raise NoHead(f"{path}: {error.strerror}.") from error
    except (UnicodeDecodeError, NoteInvalid) as error:
        raise NoHead(f"{path} is no checkpoint.") from error
    return note


def _recorded(home: Home, identity: str, heads: tuple[tuple[str, str], ...]) -> Order:
    """What was asked for, as the log has it. Raises `PackUnknown`."""
    from keyturn.service import exporting

    with reading(home) as store:
        row = store.row("evidence-pack", identity)
    if row is None:
        raise exporting.PackUnknown(f"No pack {identity[:80]} was asked for here.")
    return exporting.order(exporting.viewed(row), heads)


def _built(home: Home, order: Order, out: Path | None, quiet: bool) -> Packed:
    from keyturn.evidence.pack import build
    from keyturn.ledger import note
    from keyturn.service.settings import store_url
    from keyturn.store import open_store

    opener = functools.partial(open_store, store_url(home), writer=False)
    target = out or Path(f"evidence-{order.framework}-{order.pack}.zip")
    with _progress(order.size, quiet) as seen:
        return build(
            opener, note.parse_vkey(log_vkey(home)), target, order, signer=_signer(home), progress=seen
        )


def _signer(home: Home) -> Signer:
    from keyturn.ledger.checkpoint import Signer
    from keyturn.service.genesis import read_key

    return Signer((home.keys / "origin").read_text(encoding="utf-8").strip(), read_key(home.log_key))


def _of_export(
    folder: Path,
    key: str | None,
    asked: tuple[str, str, str | None, str, str | None],
    heads: tuple[tuple[str, str], ...],
    out: Path | None,
    quiet: bool,
) -> Packed:
    """A pack of an exported log. Nobody signs it, and nothing is recorded."""
    from keyturn.cli.ledger import NoLog
    from keyturn.evidence.log_reading import Folder
    from keyturn.evidence.pack import Order, build
    from keyturn.evidence.pack_errors import LogDamaged
    from keyturn.ledger import checkpoint, note
    from keyturn.ledger.errors import LedgerDamaged, NoteInvalid

    framework, since, until, auditor, disclose = asked
    there = Folder(folder, 0)
    try:
        known = note.parse_vkey(key if key is not None else there.vkey())
        size = checkpoint.read_unverified(there.head() or "").size
    except NoteInvalid as error:
        raise NoLog(f"{folder}: {error.happened}") from error
    log = Folder(folder, size)
    try:
        newest = log.entry(size - 1) if size else None
    except LedgerDamaged as error:
        raise LogDamaged(error.happened) from error
    end = _ms(until) if until else (newest.time + 1 if newest else 0)
    level: Any = disclose or "digests"
    order = Order(framework, _ms(since), end, size, level, auditor=auditor, heads=heads)
    target = out or Path(f"evidence-{framework}.zip")
    with _progress(size, quiet) as seen:
        return build(functools.partial(Folder, folder, size), known, target, order, progress=seen)


@contextmanager
def _progress(size: int, quiet: bool) -> Iterator[Any]:
    """A line that goes on while a large log is read."""
    if quiet or size < SLOW_ENTRIES or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=size, label="Packing", file=sys.stderr) as bar:
        yield lambda done, _: bar.update(done - bar.pos)


def _fetched(client: Client, wish: dict[str, Any], out: Path | None, as_json: bool) -> None:
    """Have a server elsewhere build it, and fetch the file."""
    state = client.post("/v1/evidence/packs", {**wish, "build": True})
    identity = state["pack"]["id"]
    target = out or Path(f"evidence-{wish['framework']}-{identity}.zip")
    path = f"/v1/evidence/packs/{segment(identity)}"
    while state["file"]["stage"] in ("waiting", "building"):
        time.sleep(POLL_SECONDS)
        state = client.get(path)
    if state["file"]["stage"] != "ready":
        raise PackNotBuilt(f"The server says: {state['file']['why']}")
    size = client.download(f"{path}/file", target)
    said = {"path": str(target), "pack": identity, "bytes": size}
    say_json(said) if as_json else say(f"Wrote {target}, {size:,} bytes, built by the server as {identity}.")


def _say_packed(made: Packed, as_json: bool) -> None:
    if as_json:
        say_json(made)
        return
    counts: dict[str, int] = {}
    for _, verdict in made.controls:
        counts[verdict] = counts.get(verdict, 0) + 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    say(f"Wrote {made.path}: {plural(made.size, 'entry', 'entries')}, {made.bytes:,} bytes.")
    say(f"{plural(len(made.controls), 'control')} of {made.framework}: {told}.")
    if not made.pack:
        say("Made from an exported log: nothing was recorded, and the log's key did not sign it.")
    say(
        f"Its manifest is sha256:{made.manifest}. Check it with `keyturn evidence verify {visible(made.path)}`."
    )


@click.command("packs")
@home_option
@as_option
@json_option
def packs(home_path: str | None, person: str | None, as_json: bool) -> None:
    """Packs that were asked for, newest first."""
    found = connect(home_path, person).get("/v1/evidence/packs")
    if as_json:
        say_json(found)
        return
    if not found:
        say("No pack was asked for yet.", err=True)
    for one in found:
        about = one["pack"]
        whom = f" for {visible(about['auditor'])}" if about["auditor"] else ""
        period = f"{when(about['since'])} to {when(about['until'])}"
        file = f", file {one['file']['stage']}" if one["file"]["stage"] != "none" else ""
        say(
            f"{about['id']}  {when(about['time'])}  {about['framework']}, {period}, {about['disclosure']}, by {about['by']}{whom}{file}"
        )


@click.command("verify")
@click.argument("file", metavar="PACK", type=click.Path(path_type=Path))
@click.option("--key", metavar="VKEY", help="The log's key, from somewhere you trust.")
@click.option(
    "--head",
    "heads",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A checkpoint of this log that somebody else kept.",
)
@click.option(
    "--unsigned",
    is_flag=True,
    help="A pack of an exported log, whose list of files nobody signed, is good enough.",
)
@click.option("--strict", is_flag=True, help="Exit with 8 when a control failed.")
@json_option
def verify(
    file: Path, key: str | None, heads: tuple[Path, ...], unsigned: bool, strict: bool, as_json: bool
) -> None:
    """Check a pack with the program that auditors run (verify.py). Exit 0 verified, 7 damaged, 2 not read to the end."""
    from keyturn.evidence import verifier

    arguments = [os.fspath(file.absolute())]
    arguments += ["--key", key] if key else []
    arguments += ["--unsigned"] if unsigned else []
    for head in heads:
        arguments += ["--head", os.fspath(head.absolute())]
    with tempfile.TemporaryDirectory(prefix="keyturn-verify-") as folder:
        program = Path(folder) / verifier.NAME
        program.write_bytes(verifier.text())
        done = subprocess.run(
            [sys.executable, "-I", "-S", str(program), *arguments, "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        said = json.loads(done.stdout)
    except ValueError:
        say(visible(done.stderr.strip()), err=True)
        raise SystemExit(done.returncode or ExitCode.INTERNAL) from None
    _say_verified(said, as_json)
    failed = [one for one in (said["controls"] or {"controls": []})["controls"] if one["verdict"] == "fail"]
    raise SystemExit(ExitCode.DRIFT if strict and failed and not done.returncode else done.returncode)


def _say_verified(said: dict[str, Any], as_json: bool) -> None:
    from keyturn.evidence.program import checks

    if as_json:
        say_json(said)
        return
    for line in checks.in_words(said):
        say(line)


__all__ = ["pack", "packs", "verify"]
