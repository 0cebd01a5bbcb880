"""A browser's push service, and the browser behind it: checks the server's token and opens messages with the browser's own keys."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

import http_ece
from aiohttp import web
from channels_http import Service
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """One subscription with its private key."""

    def __init__(self, service: FakePush, name: str = "one") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        self.endpoint = f"{service.url}/push/{name}"

    @property
    def subscription(self) -> dict[str, Any]:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {"endpoint": self.endpoint, "keys": {"p256dh": b64(point), "auth": b64(self.auth)}}

    def open(self, body: bytes) -> Any:
        """What the message says. Raises when it was not encrypted for this browser."""
        data = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        return json.loads(data)


class FakePush(Service):
    """Takes messages as RFC 8030 says, and only with a token that RFC 8292 allows."""

    def __init__(self) -> None:
        super().__init__()
        self.application_key = ""

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        try:
            self.check(request)
        except Exception as error:
            return web.Response(status=403, text=repr(error))
        assert request.headers["Content-Encoding"] == "aes128gcm"
        assert int(request.headers["TTL"]) > 0
        assert request.headers["Urgency"] in ("very-low", "low", "normal", "high")
        assert len(request.headers["Topic"]) <= 32
        assert len(body) <= 4096
        return web.Response(status=201)

    def check(self, request: web.Request) -> None:
        scheme, _, given = request.headers["Authorization"].partition(" ")
        assert scheme == "vapid"
        parts = dict(part.strip().split("=", 1) for part in given.split(","))
        if self.application_key:
            assert parts["k"] == self.application_key
        point = unb64(parts["k"])
        key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])})
        claims = jwt.decode(parts["t"], key, algorithms=["ES256"]).claims
        assert claims["aud"] == self.url
        assert time.time() < claims["exp"] <= time.time() + 86_400
        assert claims["sub"] == "mailto:ops@example.com"
