"""What a step is about: which database, host, cluster, server or file it speaks to. Pure: from its words alone.

Rules kept here:

- The gate's own `target` wins where it names one (anything but `local`).
- One target has one name, however it is written: `psql orders`, `psql -d orders`, `psql postgres:///orders` are one; hosts are in
  lower case without a closing dot, ports that a program uses anyway are left out.
- What can't be read out of the words (a variable, a configuration file) is the program's *default* target: all such steps count
  together, so that nobody gets a fresh count by writing less.
- Names that other machines give (DNS aliases, SSH host aliases) are not looked up: a limit that must hold over them counts
  `per = ["agent"]`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from keyturn.actions import Reading, Step

Class = Literal["database", "host", "cluster", "server", "target"]
CLASSES: tuple[str, ...] = get_args(Class)

DEFAULT = "default"
"""The name of a target that the words do not tell."""


class Target(Struct, frozen=True):
    """One target: what it is, and its name. `str()` is how people read it: `database orders`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class _Client(Struct, frozen=True):
    """How a program names its target: short options that take a value, and which options are host and name."""

    kind: Class
    valued: str
    host: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    operand: bool = False
    port: str = ""
    long_valued: tuple[str, ...] = ()
    attached: bool = True


_PSQL_LONG = ("--command", "--file", "--set", "--variable", "--pset", "--output", "--log-file", "--username", "--port",
              "--field-separator", "--record-separator", "--table-attr", "--table", "--schema", "--format", "--jobs", "--role")  # fmt: skip
_MYSQL_LONG = ("--execute", "--user", "--password", "--port", "--socket", "--result-file", "--where")
_PG = _Client(
    "database", "cfdhpUvFPRTotLnNjE", ("-h", "--host"), ("-d", "--dbname"), True, "5432", _PSQL_LONG
)
_MYSQL = _Client("database", "heuDPSr", ("-h", "--host"), ("-D", "--database"), True, "3306", _MYSQL_LONG)
_KUBE = _Client(
    "cluster", "nfloc", (), ("--context", "--kube-context", "--cluster"), long_valued=("--namespace", "--kubeconfig", "--server")
)  # fmt: skip
_FILE = _Client(
    "database", "", (), (), True, long_valued=("-cmd", "-init", "-separator", "-nullvalue"), attached=False
)
_SSH = _Client("host", "BbcDEeFIiJLlmOopQRSWw", (), (), True, "22")

CLIENTS: dict[str, _Client] = {
    **dict.fromkeys(("psql", "pg_dump", "pgbench", "vacuumdb", "reindexdb", "clusterdb"), _PG),
    "pg_restore": _Client("database", _PG.valued, _PG.host, _PG.name, False, "5432", _PSQL_LONG),
    **dict.fromkeys(("mysql", "mariadb", "mysqldump", "mariadb-dump", "mysqlimport", "mycli"), _MYSQL),
    **dict.fromkeys(("sqlite3", "sqlite", "duckdb"), _FILE),
    **dict.fromkeys(("kubectl", "helm", "oc", "k9s"), _KUBE),
    **dict.fromkeys(("ssh", "sftp", "scp", "mosh"), _SSH),
    "mongosh": _Client("database", "uph", ("--host",), (), True, "27017", ("--port", "--username", "--password", "--eval", "--file")),
    "mongo": _Client("database", "uph", ("--host",), (), True, "27017", ("--port", "--username", "--password", "--eval")),
    "redis-cli": _Client("database", "hpsanriDx", ("-h",), ("-n", "-u"), False, "6379", ("--user", "--pass", "--eval")),
    "clickhouse-client": _Client("database", "hudqp", ("-h", "--host"), ("-d", "--database"), False, "9000", ("--query", "--user")),
    "sqlcmd": _Client("database", "SdUPQqio", ("-S",), ("-d",), False, "1433"),
}  # fmt: skip
"""Programs that name what they speak to in their words."""

_SCHEMES = {
    "postgres": "5432", "postgresql": "5432", "mysql": "3306", "mariadb": "3306", "mongodb": "27017", "mongodb+srv": "27017",
    "redis": "6379", "rediss": "6379", "clickhouse": "9000", "mssql": "1433", "sqlserver": "1433", "jdbc": "",
}  # fmt: skip
_SQL_ARGUMENTS = ("sql", "statement", "query", "sql_query")
_SQL_WORDS = frozenset(
    ("select", "insert", "update", "delete", "with", "merge", "copy", "create", "alter", "drop", "truncate", "explain", "show", "call")
)  # fmt: skip
_TALKS = ("connects", "sends", "reads", "writes", "executes", "grants", "deletes", "configures")
_HOST_ZONES = ("network", "loopback")
_UNNAMED = {"the database": "database", "the cluster": "cluster"}


def targets(reading: Reading, target: str = "local") -> tuple[Target | None, ...]:
    """The target of each step of *reading*, None where a step speaks to nothing but this machine; *target* is the gate's."""
    return tuple(target_of(step, target) for step in reading.steps)


def target_of(step: Step, target: str = "local") -> Target | None:
    """What *step* speaks to."""
    shown = _shown(step)
    if target and target != "local":
        return Target(shown.kind if shown else "target", target)
    return shown


def _shown(step: Step) -> Target | None:
    server, slash, _ = step.program.partition("/")
    if slash and any(effect.zone == "tool" for effect in step.effects):
        return Target("database" if _says_sql(step.argv[1:]) else "server", server or DEFAULT)
    client = CLIENTS.get(step.program)
    if client is not None:
        return _of_client(client, step)
    return _of_effects(step)


def _of_effects(step: Step) -> Target | None:
    for effect in step.effects:
        if effect.zone in _HOST_ZONES and effect.verb in _TALKS:
            if effect.what in _UNNAMED:
                return Target(_UNNAMED[effect.what], DEFAULT)
            return Target("host", _host(effect.what.split()[0]) if effect.what.strip() else DEFAULT)
    return None


def _says_sql(arguments: Iterable[str]) -> bool:
    for argument in arguments:
        name, _, value = argument.partition("=")
        first = value.split(None, 1)[0].lower() if value.strip() else ""
        if name.rpartition(".")[2].lower() in _SQL_ARGUMENTS and first.strip("(;") in _SQL_WORDS:
            return True
    return False


def _of_client(client: _Client, step: Step) -> Target:
    host, name, operands = _split(client, step.argv[1:])
    if step.program == "scp":  # of what it copies, the side that is elsewhere
        operands = [one for one in operands if ":" in one and not one.startswith(("/", "."))]
    if client.operand and operands and not name:
        name = operands[0]
    if client.kind == "host":
        return Target("host", _ssh_host(name) or DEFAULT)
    if client.kind == "cluster":
        return Target("cluster", name or DEFAULT)
    if client is _FILE:
        return Target("database", _file(name, step))
    return Target("database", _database(host, name, client.port))


def _file(name: str, step: Step) -> str:
    """The path of a database that is a file, as the reading resolved it."""
    last = name.rpartition("/")[2]
    paths = (effect.what for effect in step.effects if effect.what.startswith("/"))
    return next((path for path in paths if last and path.endswith(f"/{last}")), name or DEFAULT)


def _split(client: _Client, words: tuple[str, ...]) -> tuple[str, str, list[str]]:
    """Host, name and operands among *words*: options by getopt's rules (`-hX`, `-h X`, `--host=X`, `--host X`)."""
    host, name, number = "", "", 0
    operands: list[str] = []
    while number < len(words):
        word = words[number]
        number += 1
        if word == "--":
            operands += words[number:]
            break
        option, value, taken = _option(client, word, words[number] if number < len(words) else "")
        number += taken
        if option in client.host:
            host = value
        elif option in client.name:
            name = value
        elif not option:
            operands.append(word)
    return host, name, operands


def _option(client: _Client, word: str, after: str) -> tuple[str, str, int]:
    """(option, its value, whether the next word is that value); an empty option for an operand."""
    if not word.startswith("-") or word == "-":
        return "", "", 0
    if word.startswith("--") or not client.attached:
        option, equals, value = word.partition("=")
        if equals:
            return option, value, 0
        wants = option in (*client.host, *client.name, *client.long_valued)
        return option, after if wants else "", int(wants)
    for place, letter in enumerate(word[1:], 1):
        if letter in client.valued:
            rest = word[place + 1 :]
            return f"-{letter}", rest or after, int(not rest)
    return word, "", 0


def _database(host: str, name: str, port: str) -> str:
    """`host/name`, or the name alone on this machine."""
    uri = next((given for given in (name, host) if "://" in given), "")
    if uri:
        return _of_uri(uri)
    if "=" in name:  # libpq's keywords: host=h dbname=d
        pairs = dict(part.partition("=")[::2] for part in name.split())
        host = pairs.get("host", pairs.get("hostaddr", host)).strip("'")
        name = pairs.get("dbname", "").strip("'")
    return _joined(_host(host, port), name)


def _of_uri(text: str) -> str:
    try:
        uri: SplitResult = urlsplit(text.removeprefix("jdbc:"))
        host, port = uri.hostname or "", uri.port
    except ValueError:
        return DEFAULT
    standard = _SCHEMES.get(uri.scheme.lower(), "")
    suffix = f":{port}" if port is not None and str(port) != standard else ""
    return _joined(_host(host + suffix), unquote(uri.path.strip("/")).split("/")[0])


def _joined(host: str, name: str) -> str:
    local = host in ("", "localhost", "127.0.0.1", "::1") or host.startswith("/")
    return (name or DEFAULT) if local else f"{host}/{name or DEFAULT}"


def _host(text: str, port: str = "") -> str:
    host = text.rpartition("@")[2].lower().rstrip(".")
    return host.removesuffix(f":{port}") if port else host


def _ssh_host(word: str) -> str:
    """`user@host`, `host:path` (scp), `ssh://user@host:port`."""
    if "://" in word:
        return _of_uri(word).split("/")[0]
    return _host(word.rpartition("@")[2].partition(":")[0])


__all__ = ["CLASSES", "DEFAULT", "Target", "target_of", "targets"]
