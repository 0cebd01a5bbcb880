"""The command line's way to a running server: HTTP over the home's Unix socket, with a person's token."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

import click
import msgspec

from keyturn import home as homes
from keyturn.errors import ExitCode, KeyturnError
from keyturn.home import Home
from keyturn.service.settings import load


class Unreachable(KeyturnError):
    """No server answers for this home."""

    code = "server.unreachable"
    status = 503
    exit_code = ExitCode.UNREACHABLE
    not_done = "Nothing ran and nothing was changed."
    next_step = "Start it with `keyturn serve`; `keyturn doctor` says what is wrong."


class NoToken(KeyturnError):
    """The command line has no token to speak with."""

    code = "auth.no_token"
    status = 401
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Name yourself with --as PERSON, or set KEYTURN_TOKEN_FILE to a file that holds your token."


class Refused(KeyturnError):
    """The server said no; what it said is passed on with its own code."""

    code = "server.refused"
    status = 400


home_option = click.option(
    "--home", "home_path", metavar="DIR", help="The home (default: KEYTURN_HOME or ~/.keyturn)."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON value on stdout, for scripts.")
as_option = click.option(
    "--as", "person", metavar="PERSON", help="Speak as this person (their token file in the home)."
)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


class Client:
    """Calls of the API. Raises `Unreachable`, or the server's own error."""

    def __init__(self, home: Home, token: str) -> None:
        self._home = home
        self._token = token

    def get(self, path: str) -> Any:
        """GET."""
        return self._call("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """POST JSON."""
        return self._call("POST", path, body if body is not None else {})

    def patch(self, path: str, body: Any) -> Any:
        """PATCH JSON."""
        return self._call("PATCH", path, body)

    def text(self, path: str) -> str:
        """GET plain text."""
        return str(self._call("GET", path, None, text=True))

    def _call(self, method: str, path: str, body: Any, text: bool = False) -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        connection = _UnixConnection(str(self._home.api_socket))
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"No server answers at {self._home.api_socket} ({error}).") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _as_error(raw, answer.status)
        return raw.decode() if text else json.loads(raw) if raw else None


def _as_error(raw: bytes, status: int) -> KeyturnError:
    """The server's error as the class that has its code here, so that exit codes agree."""
    try:
        told = json.loads(raw)["error"]
    except (ValueError, KeyError, TypeError):
        return Refused(f"The server answered {status}.")
    known = KeyturnError.catalogue.get(told["code"])
    error = KeyturnError.__new__(known or Refused)
    KeyturnError.__init__(error, told["happened"], next_step=told["next"], **told.get("details", {}))
    error.not_done = told["not_done"]  # type: ignore[misc]
    return error


def home_of(path: str | None) -> Home:
    """The home meant."""
    return homes.find(path)


def connect(home_path: str | None, person: str | None) -> Client:
    """A client speaking as *person*: --as, else the setting `person`, else the only token in the home."""
    import os

    home = home_of(home_path)
    file = os.environ.get("KEYTURN_TOKEN_FILE")
    if file and not person:
        return Client(home, _token(Path(file)))
    chosen = person or load(home.root).person
    if not chosen and home.tokens.is_dir():
        names = sorted(p.name for p in home.tokens.iterdir())
        chosen = names[0] if len(names) == 1 else ""
    if not chosen:
        raise NoToken(f"It is not clear whose token to use in {home.root}.")
    return Client(home, _token(home.tokens / chosen))


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise NoToken(f"{file}: {error.strerror}.") from error
