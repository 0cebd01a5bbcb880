"""A provider that answers whatever a test wants: other keys, other claims, no signature. Real HTTP on this machine."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import RSAKey


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class HostileProvider:
    """`claims` and `forge` say what its next tokens are like; `jwks` what its key set says."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self.other = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self.unknown = RSAKey.generate_key(2048, {"kid": "k9", "use": "sig", "alg": "RS256"})
        self.claims: dict[str, Any] = {}
        self.forge: Callable[[dict[str, Any]], str] = self.signed
        self.metadata: dict[str, Any] = {}
        self.fetched = 0
        self.codes: list[dict[str, list[str]]] = []
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hostile.answer(self)

            def do_POST(self) -> None:
                hostile.answer(self)

            def log_message(self, *given: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def signed(self, claims: dict[str, Any], key: RSAKey | None = None, **header: str) -> str:
        """As an honest provider signs."""
        return jwt.encode({"alg": "RS256", "kid": "k1", **header}, claims, key or self.key)

    def unsigned(self, claims: dict[str, Any]) -> str:
        """RFC 7515 appendix A.5: `none`."""
        return f"{_part({'alg': 'none'})}.{_part(claims)}."

    def confused(self, claims: dict[str, Any]) -> str:
        """HS256 with the public key as the secret (RFC 8725 §2.1)."""
        head = self.unsigned(claims).split(".")[1]
        text = _part({"alg": "HS256", "kid": "k1"}) + "." + head
        mac = hmac.digest(self.key.as_pem(private=False), text.encode(), "sha256")
        return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("content-length") or 0)
        body = request.rfile.read(length).decode()
        given: Any
        if request.path.endswith("openid-configuration"):
            given = {
                "issuer": self.issuer,
                "authorization_endpoint": self.issuer + "/auth",
                "token_endpoint": self.issuer + "/token",
                "jwks_uri": self.issuer + "/jwks",
                **self.metadata,
            }
        elif request.path == "/jwks":
            self.fetched += 1
            given = {"keys": [self.key.as_dict(private=False)]}
        else:
            self.codes.append(parse_qs(body))
            given = {"access_token": "x", "token_type": "Bearer", "id_token": self.forge(self.made())}
        data = json.dumps(given).encode()
        request.send_response(200)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def made(self) -> dict[str, Any]:
        """The claims of the next token. The nonce is the one that `begun` saw."""
        now = int(time.time())
        standard = {
            "iss": self.issuer, "sub": "u-dana", "aud": "keyturn", "iat": now, "exp": now + 300, "nonce": self.nonce,
            "auth_time": now,
        }  # fmt: skip
        return {k: v for k, v in {**standard, **self.claims}.items() if v is not None}

    nonce = ""

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
