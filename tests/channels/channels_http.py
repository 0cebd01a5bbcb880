"""A local HTTP service that remembers what it was sent and misbehaves on demand."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answering = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]


class Got:
    """One request as it came in."""

    def __init__(self, request: web.Request, body: bytes) -> None:
        self.method = request.method
        self.path = request.path
        self.headers = dict(request.headers)
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """Listens on loopback. `moods` are used up one a request; then `answer` speaks."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.moods: list[Answering] = []
        self.arrived = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(status=204)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.got.append(Got(request, body))
        self.arrived.set()
        if self.moods:
            return await self.moods.pop(0)(request, body)
        return await self.answer(request, body)

    async def until(self, count: int) -> list[Got]:
        """What came in once there were *count* requests."""
        async with asyncio.timeout(120):
            while len(self.got) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.got

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Any]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls)
        await site.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


def status(code: int, headers: dict[str, str] | None = None, text: str = "no") -> Answering:
    async def mood(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(status=code, headers=headers, text=text)

    return mood


async def hang(request: web.Request, body: bytes) -> web.StreamResponse:
    """Takes the request and never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def cut(request: web.Request, body: bytes) -> web.StreamResponse:
    """Closes the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself: its file, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "tls.pem", folder / "tls.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, private)
    return cert, context
