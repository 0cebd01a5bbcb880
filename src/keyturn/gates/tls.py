"""A gate's end of the TLS listener: the same connection as on the local socket, with a credential first.

Rules kept here:

- The server is known by its certificate, under the name that was asked for; there is no way to leave that out.
- The token's file is read at each new line, so that a renewal needs no restart. It is sent to that server and shown nowhere.
- A server that refuses the credential has answered: that is a no in its words, not a line to be tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from pathlib import Path

from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates import protocol as wire
from keyturn.gates.connection import PATIENCE, Connection, NotAnAnswer, ServerSaid, error_of
from keyturn.service.machine_settings import address_of

MAX_TOKEN_FILE = 16_384
_LENGTH = struct.Struct(">I")


class CredentialMissing(KeyturnError):
    """The gate's credential can't be read."""

    code = "gate.no_credential"
    status = 401
    exit_code = ExitCode.USAGE
    next_step = (
        "Name the file with the gate's token, or with its certificate and key; `keyturn gate add` makes one."
    )


class TlsConnection(Connection):
    """A connection to the gates' listener at *address* (`HOST:PORT`).

    *authority*: a file with the certificates to trust (`keys/ca.pem` of the server's home). *token*: a file with the gate's token.
    *certificate* and *key*: its client certificate; either way of saying who it is will do, and a bound token needs both.
    """

    def __init__(
        self,
        address: str,
        *,
        authority: Path | str,
        token: Path | str | None = None,
        certificate: Path | str | None = None,
        key: Path | str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(Path(address), patience=patience)
        where = address_of(address)
        if where is None:
            raise CredentialMissing(f"{address[:200]!r} is not HOST:PORT.")
        if token is None and certificate is None:
            raise CredentialMissing("A gate elsewhere shows a token or a certificate.")
        self._host, self._port = where
        self._token = Path(token) if token is not None else None
        self._tls = _context(authority, certificate, key)

    @property
    def where(self) -> str:
        """The server's place, for people."""
        return f"{self._host}:{self._port}"

    async def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        if self._token is None:
            return reader, writer
        try:
            body = b"A" + _token(self._token)
            writer.write(_LENGTH.pack(len(body)) + body)
            await writer.drain()
            (size,) = _LENGTH.unpack(await reader.readexactly(4))
            if size > wire.MAX_FRAME:
                raise NotAnAnswer(f"The server sent a frame of {size:,} bytes.")
            answer = await reader.readexactly(size)
            if answer[:1] == b"E":
                raise ServerSaid(error_of(answer[1:]))
            if answer != b"A":
                raise NotAnAnswer("The server's answer to the token is none.")
        except asyncio.IncompleteReadError as error:
            writer.close()
            raise ConnectionResetError("The server hung up.") from error
        except BaseException:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            raise
        return reader, writer


def _context(authority: Path | str, certificate: Path | str | None, key: Path | str | None) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=str(authority))
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        if certificate is not None:
            made.load_cert_chain(str(certificate), str(key) if key is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise CredentialMissing(f"The certificates can't be read: {error.strerror or error}.") from error
    return made


def _token(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_TOKEN_FILE).strip()
    except OSError as error:
        raise CredentialMissing(f"{file}: {error.strerror}.") from error


__all__ = ["CredentialMissing", "TlsConnection"]
