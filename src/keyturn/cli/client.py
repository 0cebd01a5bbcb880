"""The command line's way to a running server: HTTP over the home's Unix socket, or to KEYTURN_URL, with a person's token.

Rules kept here:

- A token comes from a file, never from the command line; only what has the form of a token is ever sent.
- A token never crosses a network in the clear: KEYTURN_URL is https, or a loopback address.
- If the answer to a write is lost, that is said: it is not known whether it was recorded.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import click

from keyturn import home as homes
from keyturn.cli.terminal import JSON_WANTED
from keyturn.errors import ExitCode, KeyturnError
from keyturn.home import Home

URL = "KEYTURN_URL"
TOKEN_FILE = "KEYTURN_TOKEN_FILE"  # noqa: S105 — the variable's name

ANSWER_SECONDS = 90.0
"""How long a server may take to answer; longer than the API's longest wait."""

UPLOAD_SECONDS = 3600.0
"""How long it may take to read a file that was sent, and to compare it."""

MAX_TOKEN_FILE = 4096

PIECE = 1 << 20
"""Bytes of a file that are read at once."""

MAX_SOCKET_PATH = 107
"""Bytes of a Unix socket's path (unix(7): sun_path has 108, one of them ends it)."""

_ROOMS = (
    "keyturn.service.errors",
    "keyturn.approvals.errors",
    "keyturn.approvals.proof_errors",
    "keyturn.service.keys",
    "keyturn.identity",
    "keyturn.ledger.errors",
    "keyturn.store.errors",
    "keyturn.policy.problems",
    "keyturn.evidence.errors",
    "keyturn.identity.credentials",
    "keyturn.service.credentials",
    "keyturn.service.attempts",
    "keyturn.service.authority",
    "keyturn.service.workloads",
    "keyturn.service.exporting",
    "keyturn.service.pack_building",
    "keyturn.evidence.errors",
    "keyturn.evidence.pack_errors",
)
"""Where the errors are that a server may answer with. Imported only when one is met."""


class Unreachable(KeyturnError):
    """No server answers for this home."""

    code = "server.unreachable"
    status = 503
    exit_code = ExitCode.UNREACHABLE
    not_done = "Nothing ran and nothing was changed."
    next_step = "Start it with `keyturn serve`; `keyturn doctor` says what is wrong."


class Unanswered(KeyturnError):
    """The server took a request that changes something, and went away before it answered."""

    code = "server.unanswered"
    status = 503
    exit_code = ExitCode.UNREACHABLE
    not_done = "It is not known whether that was recorded."
    next_step = "When the server is up again, look with `keyturn requests --all` or `keyturn ledger log`."


class NoToken(KeyturnError):
    """The command line has no token to speak with."""

    code = "auth.no_token"
    status = 401
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Name yourself with --as PERSON, or set KEYTURN_TOKEN_FILE to a file that holds your token."


class HomeClosed(KeyturnError):
    """The home belongs to another account, as a service's does."""

    code = "home.closed"
    status = 403
    exit_code = ExitCode.USAGE
    not_done = "Nothing was read and nothing was changed."
    next_step = "Run it as that account; or speak to its server with KEYTURN_URL and KEYTURN_TOKEN_FILE."


class PathTooLong(KeyturnError):
    """The home's path is so long that the sockets in it can't be opened (unix(7))."""

    code = "home.path_too_long"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was made and nothing was started."
    next_step = "Choose a home with a shorter path, with --home or KEYTURN_HOME."


class NotAnAddress(KeyturnError):
    """KEYTURN_URL is no address of a server, or one to which a token would travel in the clear."""

    code = "server.not_an_address"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was sent and nothing was changed."
    next_step = "Set KEYTURN_URL to https://HOST, or unset it to speak to the server on this machine."


class NotWritable(KeyturnError):
    """What the server sent can't be written where it was to be."""

    code = "cli.not_writable"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "No file was written."
    next_step = "Name a file that does not exist yet with -o, on a disk with room."


class Refused(KeyturnError):
    """The server said no in a way that this version of the command line does not know."""

    code = "server.refused"
    status = 400
    not_done = "The server says no more than that."
    next_step = "Compare the versions of server and command line; the server's log says more."


def _json_wanted(context: click.Context, parameter: click.Parameter, value: bool) -> bool:
    JSON_WANTED.set(value)
    return value


home_option = click.option(
    "--home",
    "home_path",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="The home (default: KEYTURN_HOME or ~/.keyturn).",
)
json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    is_eager=True,
    callback=_json_wanted,
    help="JSON on stdout, for scripts; errors as JSON on stderr.",
)


def _people_of_home(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Shell completion of --as: whose tokens lie in the home."""
    return [
        name for name in _token_names(home_of(context.params.get("home_path"))) if name.startswith(incomplete)
    ]


as_option = click.option(
    "--as",
    "person",
    metavar="PERSON",
    shell_complete=_people_of_home,
    help="Speak as this person (their token file in the home).",
)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(self._path)


class Client:
    """Calls of the API. Raises `Unreachable`, `Unanswered`, or the server's own error.

    With *url* the server is there, else it is the one of *home*. *source* says where the token came from.
    """

    def __init__(self, home: Home, token: str, *, url: str = "", source: Path | None = None) -> None:
        self._home = home
        self._token = token
        self.url = url
        self.source = source

    @property
    def where(self) -> str:
        """The server's address, for people."""
        return self.url or str(self._home.api_socket)

    def get(self, path: str) -> Any:
        """GET."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """POST JSON."""
        return self._call("POST", path, body if body is not None else {})

    def patch(self, path: str, body: Any) -> Any:
        """PATCH JSON."""
        return self._call("PATCH", path, body)

    def upload(self, path: str, file: BinaryIO) -> Any:
        """POST the bytes of *file*, as they are."""
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/json",
            "Content-Type": "application/octet-stream",
        }
        connection = self._connection()
        try:
            self._connect(connection)
            if connection.sock is not None:
                connection.sock.settimeout(UPLOAD_SECONDS)
            status, raw = self._exchange(connection, "POST", path, file, headers)
        finally:
            connection.close()
        return self._answered(status, raw)

    def download(self, path: str, target: Path) -> int:
        """GET a file to *target*, which appears whole or not at all and must not exist; how many bytes it has.

        Raises `Unreachable`, `NotWritable`, or the server's own error.
        """
        connection = self._connection()
        part = target.with_name(f".{target.name}.part")
        try:
            self._connect(connection)
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            if answer.status >= 400:
                raise self._explained(as_error(answer.read(), answer.status))
            size = _saved(answer, part)
            if answer.length:
                raise Unreachable(f"The server at {self.where} went away in the middle of the file.")
            _named(part, target)
            return size
        except http.client.HTTPException as error:
            raise Unreachable(f"The server at {self.where} went away ({error}).") from error
        finally:
            part.unlink(missing_ok=True)
            connection.close()

    def text(self, path: str) -> str:
        """GET plain text."""
        return str(self._call("GET", path, None, text=True))

    def events(self, opened: Callable[[], None]) -> Iterator[dict[str, Any]]:
        """Every entry as it lands (`GET /v1/events`), until the server ends it; *opened* is called once it is open.

        Raises `Unreachable`, or the server's own error.
        """
        connection = self._connection()
        try:
            self._connect(connection)
            connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            if answer.status >= 400:
                raise self._explained(as_error(answer.read(), answer.status))
            if connection.sock is not None:
                connection.sock.settimeout(None)  # nothing happening for an hour is no fault
            opened()
            for line in answer:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"The server at {self.where} went away ({error}).") from error
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: Any, text: bool = False) -> Any:
        import msgspec

        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        connection = self._connection()
        try:
            self._connect(connection)
            status, raw = self._exchange(connection, method, path, data, headers)
        finally:
            connection.close()
        return self._answered(status, raw, text)

    def _answered(self, status: int, raw: bytes, text: bool = False) -> Any:
        if status >= 400:
            raise self._explained(as_error(raw, status))
        try:
            return raw.decode() if text else json.loads(raw) if raw else None
        except ValueError as error:
            raise Refused(f"What answers at {self.where} is no Keyturn server.") from error

    def _connection(self) -> http.client.HTTPConnection:
        if not self.url:
            return _UnixConnection(str(self._home.api_socket))
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except OSError as error:
            step = f"Check {URL}, or unset it to speak to the server on this machine." if self.url else None
            raise Unreachable(
                f"No server answers at {self.where} ({error.strerror or error}).", next_step=step
            ) from error

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        data: bytes | BinaryIO | None,
        headers: dict[str, str],
    ) -> tuple[int, bytes]:
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            words = f"The server at {self.where} went away before it answered ({error})."
            raise (Unreachable if method == "GET" else Unanswered)(words) from error

    def _explained(self, error: KeyturnError) -> KeyturnError:
        if error.code == "auth.unknown" and self.source is not None:
            error.happened = f"The server does not know the token in {self.source}: it was replaced, or is another server's."
            error.do_next = (
                "Ask an administrator to enrol you, or name the right file with KEYTURN_TOKEN_FILE."
            )
        return error


def _saved(answer: http.client.HTTPResponse, part: Path) -> int:
    try:
        with part.open("xb") as out:
            part.chmod(0o600)
            while data := answer.read(PIECE):
                out.write(data)
            return out.tell()
    except OSError as error:
        raise NotWritable(f"{part}: {error.strerror or error}.") from error


def _named(part: Path, target: Path) -> None:
    """The finished file gets its name, unless something has it already."""
    try:
        os.link(part, target)
    except OSError as error:
        raise NotWritable(f"{target}: {error.strerror}.") from error


def as_error(raw: bytes, status: int) -> KeyturnError:
    """The server's error as the class that has its code here, so that exit codes agree."""
    try:
        told = json.loads(raw)["error"]
        code, happened, not_done, step = (str(told[key]) for key in ("code", "happened", "not_done", "next"))
    except (ValueError, KeyError, TypeError):
        said = raw[:200].decode("utf-8", "replace").strip().partition("\n")[0]
        return Refused(f"The server answered {status}" + (f": {said}." if said else "."))
    error = KeyturnError.__new__(_class_of(code))
    KeyturnError.__init__(error, happened, next_step=step)
    error.details = told.get("details", {})
    error.code = code  # type: ignore[misc]
    error.not_done = not_done  # type: ignore[misc]
    if type(error) is Refused:
        kind = ExitCode.INTERNAL if status >= 500 else ExitCode.REFUSED if status == 403 else ExitCode.USAGE
        error.exit_code = kind  # type: ignore[misc]
    return error


def _class_of(code: str) -> type[KeyturnError]:
    if code == KeyturnError.code:
        return KeyturnError
    for room in _ROOMS:
        if code in KeyturnError.catalogue:
            break
        import_module(room)
    return KeyturnError.catalogue.get(code, Refused)


def home_of(path: str | None) -> Home:
    """The home meant."""
    return homes.find(path)


def existing(path: str | None) -> Home:
    """The home meant, if there is one. Raises `HomeMissing`, `HomeClosed`."""
    home = home_of(path)
    try:
        there = home.exists
    except PermissionError as error:
        raise HomeClosed(f"{home.root} is closed to your account.") from error
    if not there:
        from keyturn.service.genesis import HomeMissing

        raise HomeMissing(f"{home.root} is not a Keyturn home.")
    return home


def check_socket_paths(home: Home) -> None:
    """Raise `PathTooLong` if a server of *home* could not listen."""
    for path in (home.gate_socket, home.api_socket):
        size = len(os.fsencode(path))
        if size > MAX_SOCKET_PATH:
            raise PathTooLong(f"{path} has {size} bytes; a socket's path has at most {MAX_SOCKET_PATH}.")


def connect(home_path: str | None, person: str | None) -> Client:
    """A client speaking as *person*: --as, else KEYTURN_TOKEN_FILE, else the setting `person`, else the only token in the home.

    Raises `HomeMissing`, `NoToken`, `NotAnAddress`.
    """
    url = checked_url(os.environ.get(URL, ""))
    home = home_of(home_path) if url else existing(home_path)
    file = _token_file(home, person)
    return Client(home, _token(file), url=url, source=file)


def _token_file(home: Home, person: str | None) -> Path:
    from keyturn.identity.names import check_person_id

    named = os.environ.get(TOKEN_FILE)
    if named and not person:
        return Path(named)
    chosen = person or _setting_person(home)
    if chosen:
        return home.tokens / check_person_id(chosen)
    names = _token_names(home)
    if len(names) == 1:
        return home.tokens / names[0]
    if names:
        raise NoToken(f"Tokens of {', '.join(names)} lie in {home.tokens}; it is not clear who you are.")
    raise NoToken(f"There is no token in {home.tokens}.")


def _setting_person(home: Home) -> str:
    from keyturn.service.settings import load

    return load(home.root).person


def _token_names(home: Home) -> list[str]:
    try:
        return sorted(file.name for file in home.tokens.iterdir())
    except OSError:
        return []


def _token(file: Path) -> str:
    from keyturn.identity import token_prefix

    try:
        with file.open("rb") as opened:
            token = opened.read(MAX_TOKEN_FILE).decode("utf-8").strip()
    except OSError as error:
        step = f"Set {TOKEN_FILE} to the file that holds your token, or name somebody whose token is there with --as."
        raise NoToken(f"{file}: {error.strerror}.", next_step=step) from error
    except UnicodeDecodeError:
        token = ""
    # Whatever else the file holds, a key for instance, must neither be sent nor shown.
    if token_prefix(token) is None:
        raise NoToken(f"{file} does not hold a token.")
    return token


def checked_url(url: str) -> str:
    """*url* without its path, empty for none. Raises `NotAnAddress` also where a token would travel in the clear."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise NotAnAddress(f"{URL} is no address.") from error
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise NotAnAddress(f"{URL} is no address of a server.")
    if parts.scheme == "http" and not _loopback(host):
        raise NotAnAddress(f"{URL} is not https, so everybody on the way to {host} could read your token.")
    return f"{parts.scheme}://{parts.netloc}"


def segment(text: str) -> str:
    """*text* as one part of a path, whatever it holds."""
    return quote(text, safe="") or "-"


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
