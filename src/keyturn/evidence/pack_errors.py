"""What can go wrong when a pack is made. Whatever it is: no file is left behind, and nothing counts as a pass."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError


class PackRefused(KeyturnError):
    """The pack's file is there already, or its folder can't be written."""

    code = "evidence.pack_refused"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "No pack was written."
    next_step = "Name a file that does not exist yet with -o, in a folder of yours."


class PackDiskFull(KeyturnError):
    """The disk has no room for the pack and the tables that it is made with, or writing to it failed."""

    code = "evidence.disk_full"
    status = 507
    exit_code = ExitCode.INTERNAL
    not_done = "No pack was written, and what was begun is removed."
    next_step = "Make room (about three times what the ledger takes), or write to another disk with -o; then build it `--again`."


class PackTooLarge(KeyturnError):
    """One file of the pack would be larger than the form of packs allows."""

    code = "evidence.too_large"
    status = 413
    exit_code = ExitCode.USAGE
    not_done = "No pack was written."
    next_step = (
        "Export the log with `keyturn ledger export`: it has no such limit, and `verify.py` reads it, too."
    )


class LogDamaged(KeyturnError):
    """The log is not what its signed checkpoint says."""

    code = "evidence.log_damaged"
    status = 500
    exit_code = ExitCode.DAMAGED
    not_done = "No pack was written, and no control was tested."
    next_step = (
        "`keyturn ledger verify` names what is damaged; docs/how-to/damaged-ledger.md says what to do."
    )


class NoData(KeyturnError):
    """The log has no entry in the period."""

    code = "evidence.no_data"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "No pack was written: of a period without entries nothing can be said, and nothing is a pass."
    next_step = "Choose another period; `keyturn ledger log` shows what is recorded."


class HeadForeign(KeyturnError):
    """A checkpoint that was handed in is not one of this log."""

    code = "evidence.head_foreign"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "No pack was written."
    next_step = (
        "Hand in a checkpoint that this log's key signed: the file `checkpoint` of an earlier export or pack."
    )


class WorkerLost(KeyturnError):
    """A process that read the log for a pack was ended from outside."""

    code = "evidence.worker_lost"
    status = 500
    exit_code = ExitCode.INTERNAL
    not_done = "No pack was written, and what was begun is removed."
    next_step = "Look whether the machine is short of memory, then build it `--again`."


__all__ = ["HeadForeign", "LogDamaged", "NoData", "PackDiskFull", "PackRefused", "PackTooLarge", "WorkerLost"]
