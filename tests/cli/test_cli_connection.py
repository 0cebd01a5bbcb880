"""Whose token is used, what is never sent, and what is said when nobody answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_house import House, Said, keyturn

from keyturn.cli.client import as_error
from keyturn.cli.init import create
from keyturn.errors import ExitCode, KeyturnError
from keyturn.home import Home

ASKING = [
    ("requests",),
    ("show", "r_1"),
    ("approve", "r_1", "--digest", "0" * 12),
    ("deny", "r_1"),
    ("withdraw", "r_1"),
    ("login",),
    ("person", "list"),
    ("person", "add", "x"),
    ("person", "change", "x", "--name", "y"),
    ("person", "remove", "x"),
    ("person", "token"),
    ("gate", "list"),
    ("gate", "add", "x"),
    ("gate", "remove", "x"),
]
READING = [
    ("ledger", "log"),
    ("ledger", "verify"),
    ("ledger", "prove", "0"),
    ("ledger", "export", "/nonexistent/x"),
    ("ledger", "rebuild"),
    ("ledger", "rebuild", "--check"),
    ("serve",),
]


@pytest.fixture
def home(folder: Path) -> Home:
    """A home without a server."""
    made = Home(folder / "home")
    create(made, "dana", "", "enforce")
    return made


def in_words(said: Said, code: str) -> None:
    """Happened, not done, next, code; no traceback; nothing on stdout."""
    assert said.out == ""
    assert "Traceback" not in said.err
    first, second = said.err.rstrip("\n").rsplit("\n", 1)
    assert first
    assert second.endswith(f"[{code}]")
    assert second.count(". ") >= 1


@pytest.mark.parametrize("arguments", ASKING + READING, ids=" ".join)
def test_without_a_home_every_command_says_so(arguments: tuple[str, ...], folder: Path) -> None:
    said = keyturn(*arguments, "--home", folder / "none")
    assert said.code == ExitCode.USAGE
    in_words(said, "home.missing")
    assert "keyturn init" in said.err
    assert not (folder / "none").exists(), "asking made something"


def test_without_a_server_every_command_that_needs_one_ends_with_9(home: Home) -> None:
    for arguments in ASKING:
        said = keyturn(*arguments, "--home", home.root)
        assert said.code == ExitCode.UNREACHABLE, arguments
        in_words(said, "server.unreachable")
    assert keyturn("requests", "--home", home.root, "--json").error["code"] == "server.unreachable"


# --- tokens -------------------------------------------------------------------------------------------------------


def test_the_person_named_is_the_person_who_speaks(house: House) -> None:
    for person, by in (("dana", "dana"), ("riley", "riley")):
        token = house.keyturn("login", "--json", by=by)
        assert token.code == ExitCode.DONE
        shown = house.keyturn("person", "list", by=by)
        assert person in shown.out
    as_dana = house.keyturn("person", "add", "x", "--as", "dana", "--json", by="nemo")
    assert as_dana.error["code"] != "auth.forbidden" if as_dana.err else as_dana.code == ExitCode.DONE
    assert house.keyturn("person", "add", "y", "--json", by="nemo").error["code"] == "auth.forbidden"


def test_several_tokens_are_no_guess(home: Home) -> None:
    (home.tokens / "riley").write_text("ktp_" + "A" * 43)
    said = keyturn("requests", "--home", home.root)
    assert said.code == ExitCode.USAGE
    in_words(said, "auth.no_token")
    assert "dana, riley" in said.err
    assert keyturn("requests", "--home", home.root, "--as", "dana").code == ExitCode.UNREACHABLE
    assert (
        keyturn("requests", "--home", home.root, env={"KEYTURN_PERSON": "dana"}).code == ExitCode.UNREACHABLE
    )


def test_a_file_that_is_no_token_is_neither_sent_nor_shown(home: Home, folder: Path) -> None:
    heard: list[bytes] = []
    key = home.log_key.read_text().splitlines()[1]
    (folder / "empty").touch()
    (folder / "binary").write_bytes(b"\xff\x00" * 50)
    (folder / "two").write_text("ktp_" + "A" * 43 + "\nktp_" + "B" * 43)
    with listening(home, lambda data: heard.append(data) or b""):
        for file in (
            home.log_key,
            folder / "empty",
            folder / "binary",
            folder / "two",
            folder / "none",
            folder,
        ):
            said = keyturn("requests", "--home", home.root, env={"KEYTURN_TOKEN_FILE": str(file)})
            assert said.code == ExitCode.USAGE
            in_words(said, "auth.no_token")
            assert key not in said.all
    assert heard == []


@pytest.mark.parametrize("name", ["../keys/log.key", "/etc/passwd", "..", "Dana", "", "a/b", "a\nb"])
def test_a_person_s_name_is_never_a_path(home: Home, name: str) -> None:
    said = keyturn("requests", "--home", home.root, "--as", name or " ")
    assert said.code == ExitCode.USAGE
    in_words(said, "name.invalid")
    assert "PRIVATE" not in said.all


def test_a_token_of_nobody_is_named_with_its_file(house: House, folder: Path) -> None:
    file = folder / "old"
    file.write_text("ktp_" + "A" * 43)
    said = house.keyturn("requests", env={"KEYTURN_TOKEN_FILE": str(file)})
    assert said.code == ExitCode.USAGE
    in_words(said, "auth.unknown")
    assert str(file) in said.err
    assert "AAAA" not in said.all


def test_a_gate_s_token_decides_nothing(house: House, folder: Path) -> None:
    made = house.keyturn("gate", "add", "ci-gate", "--json").json
    file = folder / "gate"
    file.write_text(made["token"])
    request = house.ask()
    for verb in (("approve", request, "--digest", house.digest(request)), ("deny", request)):
        said = house.keyturn(*verb, "--json", env={"KEYTURN_TOKEN_FILE": str(file)})
        assert said.code == ExitCode.USAGE  # it has not the form of a person's token, so it is not even sent
        assert said.error["code"] == "auth.no_token"
    assert house.keyturn("show", request, "--json", by="riley").json["state"] == "waiting"


# --- another machine's server --------------------------------------------------------------------------------------


def test_a_server_elsewhere_needs_no_home_here(house: House, folder: Path) -> None:
    env = {
        "KEYTURN_URL": house.server.url,
        "KEYTURN_TOKEN_FILE": str(house.tokens / "riley"),
        "KEYTURN_HOME": str(folder / "none"),
    }
    assert keyturn("person", "list", env=env).code == ExitCode.DONE
    link = keyturn("login", "--json", env=env).json["url"]
    assert link.startswith(f"{house.server.url}/login?code=ktl_")


@pytest.mark.parametrize(
    "url",
    [
        "http://keyturn.example.org",
        "http://10.0.0.1:8765",
        "ftp://127.0.0.1",
        "https://",
        "https://me:pw@host",
        "127.0.0.1:8765",
        "http://[::1",
        "https://h:99999",
    ],
)
def test_a_token_never_crosses_a_network_in_the_clear(home: Home, url: str) -> None:
    said = keyturn("requests", "--home", home.root, env={"KEYTURN_URL": url})
    assert said.code == ExitCode.USAGE
    in_words(said, "server.not_an_address")
    assert "pw" not in said.all.replace("KEYTURN_URL", "")


# --- servers that behave badly -------------------------------------------------------------------------------------


@contextmanager
def listening(home: Home, answer) -> Iterator[None]:  # type: ignore[no-untyped-def]
    """Something that listens in the server's place, reads one request and says what *answer* gives."""
    home.run.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(home.api_socket))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    data = connection.recv(65536)
                    if data:
                        connection.sendall(answer(data))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(120)
            home.api_socket.unlink()


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def test_a_lost_answer_is_not_called_nothing_happened(home: Home) -> None:
    """The decision may be recorded: only the answer was lost."""
    with listening(
        home,
        lambda data: (
            http(b'{"id": "r_1", "digest": "d", "display": "d"}') if data.startswith(b"GET") else b""
        ),
    ):
        said = keyturn("deny", "r_1", "--home", home.root)
    assert said.code == ExitCode.UNREACHABLE
    in_words(said, "server.unanswered")
    assert "not known whether" in said.err
    assert "Nothing" not in said.err


def test_a_lost_answer_to_a_question_changed_nothing(home: Home) -> None:
    with listening(home, lambda data: b""):
        said = keyturn("requests", "--home", home.root)
    assert said.code == ExitCode.UNREACHABLE
    in_words(said, "server.unreachable")


@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe", b"{"])
def test_something_else_that_answers_is_told_apart(home: Home, body: bytes) -> None:
    with listening(home, lambda data: http(body)):
        said = keyturn("requests", "--home", home.root)
    in_words(said, "server.refused")
    with listening(home, lambda data: http(body, "502 Bad Gateway")):
        assert "502" in keyturn("requests", "--home", home.root).err


def test_errors_of_the_server_keep_their_code_and_exit_code() -> None:
    for code, kind in (
        ("request.unknown", 2),
        ("approver.initiator", 3),
        ("ledger.unwritable", 1),
        ("login.refused", 3),
    ):
        error = as_error(
            f'{{"error": {{"code": "{code}", "happened": "h", "not_done": "n", "next": "x"}}}}'.encode(), 400
        )
        assert (error.code, error.exit_code, error.not_done, error.do_next) == (code, kind, "n", "x")
        assert type(error) is KeyturnError.catalogue[code]


def test_an_error_of_a_newer_server_is_passed_on_whole() -> None:
    for status, kind in ((403, ExitCode.REFUSED), (422, ExitCode.USAGE), (500, ExitCode.INTERNAL)):
        error = as_error(
            b'{"error": {"code": "future.thing", "happened": "h", "not_done": "n", "next": "x"}}', status
        )
        assert (error.code, error.exit_code, str(error)) == ("future.thing", kind, "h n x [future.thing]")
