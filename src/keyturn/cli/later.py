"""Commands whose rooms are not furnished in this version. They say so; they don't pretend."""

from __future__ import annotations

import click

from keyturn.cli.client import json_option
from keyturn.errors import ExitCode, KeyturnError


class NotInThisVersion(KeyturnError):
    """The command exists in the design, but this version can't do it."""

    code = "not_in_this_version"
    status = 501
    exit_code = ExitCode.USAGE
    not_done = "Nothing was read, written or exported."
    next_step = "The ledger already records what it will need; `keyturn ledger export DIR` takes everything out today."


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
@json_option
def evidence(arguments: tuple[str, ...], as_json: bool) -> None:
    """Evidence packs: not in this version."""
    raise NotInThisVersion("This version can't build evidence packs.")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
@json_option
def reconcile(arguments: tuple[str, ...], as_json: bool) -> None:
    """Reconciliation with a target's own log: not in this version."""
    raise NotInThisVersion("This version can't reconcile with a target's own log.")
