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
    from keyturn.service.settings import load
    from keyturn.store import open_store

    if not home.exists:
        raise HomeMissing(f"{home.root} is not a Keyturn home.")
    store = open_store(load(home.root).store or str(home.ledger), writer=False)
    try:
        yield store
    finally:
        store.close()
