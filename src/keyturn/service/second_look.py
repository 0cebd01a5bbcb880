"""What was recorded is looked at again with rules that people imported (ADR 0028): after the fact, beside everything else.

Rules kept here:

- Entries are read in order, in a thread of their own; nobody waits for it. Each start begins with the newest `BACK` entries: what was
  found before is known by its key.
- Only words are looked at, markers left out. What is found is a finding with the entry, the rule and a keyed digest, never the secret.
- Taking it out of the ledger is an erasure, which people approve; this only tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from keyturn.drift.finding import Drift
from keyturn.errors import KeyturnError
from keyturn.ledger import Lagged
from keyturn.ledger.entries import Entry
from keyturn.redaction import packs
from keyturn.redaction.marker import MARKER
from keyturn.redaction.packs import Found, Pack, RulesInvalid
from keyturn.service import findings
from keyturn.service.core import Core
from keyturn.service.redaction_settings import RedactionSettings

log = logging.getLogger("keyturn.redaction")

BACK = 5_000
"""Entries before the log's end that are looked at when the server starts."""
WORDS = frozenset(
    [
        "action",
        "args",
        "content",
        "cwd",
        "environment",
        "instruction",
        "reasoning",
        "reason",
        "why",
        "note",
        "text",
        "words",
        "sentence",
        "comment",
        "observed",
        "expected",
        "cause",
        "how",
        "agent",
        "client_session",
        "attribution",
    ]
)
"""Fields of entries that are words from outside, or made of them."""
MOST_DEPTH = 50

Look = Callable[[str], Sequence[Found]]
"""Gives the secrets of a text."""


def looks(home: Path, settings: RedactionSettings) -> list[Look]:
    """What the settings ask for. Raises `RulesInvalid`."""
    made: list[Look] = []
    if settings.rules:
        texts = []
        for name in settings.rules:
            try:
                texts.append((name, (home / name).read_bytes()))
            except OSError as error:
                raise RulesInvalid(f"{name} can't be read ({error.strerror}).") from error
        pack: Pack = packs.read(texts)
        if pack.left_out:
            log.warning("rules about files only are left out: %s", ", ".join(pack.left_out[:20]))
        made.append(pack.found)
    if settings.detect_secrets:
        made.append(_detect_secrets())
    return made


def _detect_secrets() -> Look:
    """The detectors of detect-secrets, without those that only measure entropy (they flag every other line of a command)."""
    try:
        scan = importlib.import_module("detect_secrets.core.scan")
        settings = importlib.import_module("detect_secrets.settings")
    except ImportError as error:
        raise RulesInvalid(
            "detect-secrets is not installed here.",
            next_step="Install it beside Keyturn (`pip install detect-secrets`), or take `detect_secrets` out of keyturn.toml.",
        ) from error
    with settings.default_settings() as known:
        plugins = [
            {"name": name} for name in known.plugins if "Entropy" not in name and name != "KeywordDetector"
        ]

    def look(text: str) -> list[Found]:
        with settings.transient_settings({"plugins_used": plugins}):
            return [
                Found(f"detect-secrets:{one.type}", one.secret_value.encode())
                for line in text[: packs.MOST_BYTES].splitlines()
                for one in scan.scan_line(line)
                if one.secret_value
            ]

    return look


async def run(core: Core, looking: Sequence[Look]) -> None:
    """Look at entries as they land, for ever."""
    following = max(0, core.ledger.size - BACK)
    while True:
        with contextlib.suppress(Lagged):
            async with core.ledger.subscribe() as entries:
                for entry in core.ledger.entries(following):
                    following = entry.index + 1
                    await _look(core, looking, entry)
                async for entry in entries:
                    if entry.index >= following:
                        following = entry.index + 1
                        await _look(core, looking, entry)
                return


async def _look(core: Core, looking: Sequence[Look], entry: Entry) -> None:
    try:
        for drift in await asyncio.to_thread(noted, core, looking, entry):
            await findings.record(core, drift)
    except KeyturnError as error:  # an erased blob, a closed session: the others are looked at all the same
        log.warning("entry %d could not be looked at: %s", entry.index, error.happened)


def noted(core: Core, looking: Sequence[Look], entry: Entry) -> list[Drift]:
    """What *entry* has in it, as findings."""
    made: dict[str, Drift] = {}
    for name, text in _texts(core, entry):
        bare = MARKER.sub(b"", text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
        for look in looking:
            for one in look(bare):
                digest = core.redaction.digest(one.secret)
                made.setdefault(digest, _drift(entry, name, one.rule, digest))
    return list(made.values())


def _drift(entry: Entry, name: str, rule: str, digest: str) -> Drift:
    return Drift(
        "secret.recorded",
        (digest,),
        f"Entry {entry.index} ({entry.type}) has a secret in its {name}, says the rule {rule}.",
        {"rule": rule, "secret": digest, "session": entry.session or "", "object": f"entry {entry.index}"},
        observed=f"a secret in the field {name}",
        expected="no secret is recorded",
        entries=(entry.index,),
        cause="No rule at capture knows this form.",
    )


def _texts(core: Core, entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.type.startswith("finding."):
        return
    for name, value in entry.fields.items():
        if name in WORDS:
            for text in _strings(core.full(value), 0):
                yield name, text


def _strings(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and depth < MOST_DEPTH:
        for key, member in value.items():
            # The name beside a value is what many rules look for.
            yield from (
                f'"{key}": "{text}"' if isinstance(member, str) else text
                for text in _strings(member, depth + 1)
            )
    elif isinstance(value, list) and depth < MOST_DEPTH:
        for item in value:
            yield from _strings(item, depth + 1)


__all__ = ["Look", "looks", "noted", "run"]
