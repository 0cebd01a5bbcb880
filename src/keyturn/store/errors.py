"""What can go wrong with a store, each with a code that never changes meaning."""

from __future__ import annotations

from keyturn.errors import ExitCode, KeyturnError


class StoreUnwritable(KeyturnError):
    """The store can't be written: full disk, read-only folder, lost database, missing permission."""

    code = "store.unwritable"
    status = 503
    exit_code = ExitCode.INTERNAL
    not_done = "Nothing was recorded and nothing ran."
    next_step = "Free disk space, or correct owner, mode or mount of the folder (or the database's state), and try again."


class StoreUnreadable(KeyturnError):
    """The store can't be read: not a database, corrupt, no permission, unknown URL."""

    code = "store.unreadable"
    status = 503
    exit_code = ExitCode.INTERNAL
    not_done = "Nothing was read and nothing ran."
    next_step = "Check the path or URL; if the file is damaged, keep it and restore a copy."


class StoreMissing(StoreUnreadable):
    """There is no store at that place."""

    code = "store.missing"
    status = 404
    exit_code = ExitCode.USAGE
    next_step = "Check the path or URL; `keyturn init` makes a new home."


class StoreVersion(KeyturnError):
    """The store's tables are of a version this program does not know."""

    code = "store.version"
    status = 503
    exit_code = ExitCode.INTERNAL
    not_done = "The store was not opened and nothing was changed."
    next_step = "Use the Keyturn that wrote it, or a newer one."


class StoreInUse(KeyturnError):
    """Another process is this store's writer. `details["pid"]` names it where known."""

    code = "store.in_use"
    status = 503
    exit_code = ExitCode.USAGE
    not_done = "The store was not opened for writing and nothing ran."
    next_step = "Use the running server, or stop it first."


class StoreDriver(KeyturnError):
    """The database's driver is not installed."""

    code = "store.driver_missing"
    status = 503
    exit_code = ExitCode.USAGE
    not_done = "The store was not opened."
    next_step = "Install it: `pip install 'keyturn[postgres]'`."
