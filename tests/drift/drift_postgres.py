"""A real PostgreSQL with pgaudit, for one test run: its own data, a Unix socket only, never as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from appearing import Appearing

MISSING = "PostgreSQL with pgaudit is not installed: run `make pgaudit`"

CONFIGURATION = """
listen_addresses = ''
unix_socket_directories = '{folder}'
fsync = off
shared_preload_libraries = 'pgaudit'
pgaudit.log = 'read,write,function,ddl,role'
pgaudit.log_catalog = off
logging_collector = on
log_directory = '{folder}/log'
log_destination = 'csvlog,jsonlog,stderr'
log_filename = 'server.log'
log_file_mode = 0644
log_line_prefix = '%m [%p] %q%u@%d %a '
log_timezone = 'UTC'
max_connections = 20
"""


def installed() -> Path | None:
    """The folder of the newest server's programs that has pgaudit; None where there is none."""
    for lib in sorted(Path("/usr/lib/postgresql").glob("*/lib/pgaudit.so"), reverse=True):
        return lib.parents[1] / "bin"
    return None


class Audited:
    """A running server. `socket` is its folder; `url` that of a database; `csv`, `json` and `stderr` are its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.csv = folder / "log" / "server.csv"
        self.json = folder / "log" / "server.json"
        self.stderr = folder / "log" / "server.log"

    def url(self, user: str = "agent_rw", database: str = "shop") -> str:
        return f"host={self.folder} user={user} dbname={database}"

    @property
    def logs(self) -> tuple[Path, Path, Path]:
        """The log in its three formats."""
        return self.csv, self.json, self.stderr

    def settled(self) -> None:
        """Until everything that was said before stands in the logs: their collector writes when it likes, but in order.

        What is said for that fails before it is audited, so it is no event.
        """
        import psycopg

        mark = f"settled_{uuid4().hex}"
        with (
            psycopg.connect(self.url("root_of_tests"), autocommit=True) as connection,
            contextlib.suppress(psycopg.errors.UndefinedColumn),
        ):
            connection.execute(f'select "{mark}"')
        written = Appearing(self.csv.parent)
        try:
            written.until(lambda: all(mark.encode() in log.read_bytes() for log in self.logs))
        finally:
            written.close()

    def emptied(self) -> None:
        """The logs without anything of before, also of what their collector had not written yet."""
        self.settled()
        for log in self.logs:
            log.write_bytes(b"")


@contextlib.contextmanager
def audited() -> Iterator[Audited]:
    """Start a server with the database `shop` and the account `agent_rw`; stop it afterwards."""
    programs = installed()
    assert programs is not None, MISSING
    folder = Path(tempfile.mkdtemp(prefix="kt-pg-", dir="/tmp"))
    folder.chmod(0o755)
    as_whom = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    if as_whom:
        shutil.chown(folder, "postgres", "postgres")
    data, quiet = folder / "data", {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    plain = {"cwd": folder, "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, "check": True}

    def run(*command: str) -> None:
        subprocess.run(command, **plain, **quiet, **as_whom)  # type: ignore[call-overload]

    try:
        run(
            str(programs / "initdb"),
            "-D",
            str(data),
            "-U",
            "root_of_tests",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
        )
        (data / "postgresql.auto.conf").write_text(CONFIGURATION.format(folder=folder))
        run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-s", "-l", str(folder / "start.log"), "start")
        try:
            _prepare(folder)
            yield Audited(folder)
        finally:
            run(str(programs / "pg_ctl"), "-D", str(data), "-w", "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path) -> None:
    import psycopg

    with psycopg.connect(f"host={folder} user=root_of_tests dbname=postgres", autocommit=True) as connection:
        connection.execute("create role agent_rw login")
        connection.execute("create database shop owner agent_rw")
    with psycopg.connect(f"host={folder} user=root_of_tests dbname=shop", autocommit=True) as connection:
        connection.execute("create extension pgaudit")
        connection.execute("create table orders (id int primary key, customer text, total numeric)")
        connection.execute(
            "insert into orders select n, 'customer ' || n, n * 1.5 from generate_series(1, 500) n"
        )
        connection.execute("grant all on orders to agent_rw")
