"""The OpenID provider over the network: discovery, its keys, and the exchange of a code for a token.

Rules kept here:

- The provider's own description must name the configured issuer (OpenID Connect Discovery 1.0 §4.3), and every address in it
  is https, or http on this very machine. No redirect is followed.
- Its key set is fetched again after a while, and at once when a token names a key that isn't in it, but not more often than every
  half minute: whoever sends made-up tokens can't make Keyturn hammer the provider.
- Each key set that is used is in the log first (`provider.keys`), so that a token recorded today can be checked years later.
- What can't be reached or read is `provider.down`: nobody is signed in, and nothing that needs the provider is recorded.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from httpx2 import AsyncClient, HTTPError, InvalidURL

from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import id_token
from keyturn.identity.id_token import Demand, IdToken, UnknownKey
from keyturn.ledger.entries import Draft, Rows
from keyturn.service.core import Core
from keyturn.service.people_settings import OidcSettings, secure_address

TIMEOUT = 10.0
"""Seconds that the provider has for each answer."""
AGAIN_MS = 30_000
"""Between two fetches of the key set because of unknown keys."""
METADATA_MS = 3_600_000
MAX_ANSWER = 1_000_000
"""Bytes of a description or key set."""

Json = dict[str, Any]


class NoProvider(KeyturnError):
    """This Keyturn has no OpenID provider."""

    code = "provider.none"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nobody was signed in."
    next_step = "Sign in with `keyturn login`, or set up the table [oidc] of keyturn.toml."


class ProviderDown(KeyturnError):
    """The provider can't be reached, or what it answers can't be used."""

    code = "provider.down"
    status = 503
    exit_code = ExitCode.UNREACHABLE
    not_done = "Nobody was signed in and nothing was recorded."
    next_step = (
        "Try again when it is back. Who is signed in stays so and can deny; approvals that need it wait."
    )


class ProviderRefused(KeyturnError):
    """The provider said no: the person gave up there, or it does not accept this client or code."""

    code = "provider.refused"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nobody was signed in and nothing was recorded."
    next_step = "Begin again from Keyturn's own page; the provider's log says more."


class Provider:
    """One configured provider. Keeps its description and keys in memory; the log has every key set that was used."""

    def __init__(self, core: Core, settings: OidcSettings) -> None:
        self.settings = settings
        self._core = core
        self._metadata: Json = {}
        self._metadata_until = 0
        self._keys: Json = {}
        self._keys_until = 0
        self._asked_again = -AGAIN_MS
        self._lock = asyncio.Lock()

    async def metadata(self) -> Json:
        """Its description. Raises `ProviderDown`, `NoProvider`."""
        if not self.settings.on:
            raise NoProvider("No provider is set up here.")
        if self._core.now() >= self._metadata_until:
            found = await self._get(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            self._metadata = _checked(found, self.settings.issuer)
            self._metadata_until = self._core.now() + METADATA_MS
        return self._metadata

    async def authorization_url(self, redirect_uri: str, verifier: str, **parameters: str) -> str:
        """Where the browser is sent. PKCE with S256 (RFC 7636) always; *verifier* is the secret behind it."""
        metadata = await self.metadata()
        scopes = " ".join(dict.fromkeys(("openid", *self.settings.scopes)))
        async with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"], code_verifier=verifier, scope=scopes, **parameters
            )
        return str(url)

    async def exchange(self, code: str, redirect_uri: str, verifier: str) -> str:
        """The ID token that *code* stands for. Raises `ProviderRefused`, `ProviderDown`."""
        metadata = await self.metadata()
        try:
            async with self._client(redirect_uri) as client:
                given = await client.fetch_token(
                    metadata["token_endpoint"],
                    code=code,
                    code_verifier=verifier,
                    grant_type="authorization_code",
                )
        except OAuthError as error:
            raise ProviderRefused(f"The provider did not take the code: {str(error.error)[:80]}.") from error
        except (HTTPError, InvalidURL, ValueError, OSError) as error:
            raise ProviderDown("The provider did not answer when the code was exchanged.") from error
        raw = given.get("id_token")
        if not isinstance(raw, str):
            raise ProviderDown("The provider answered without an ID token.")
        return raw

    async def verified(self, raw: str, demand: Demand) -> tuple[IdToken, str]:
        """*raw*, checked; and the digest of the recorded key set it was checked with. Raises `TokenRefused`, `ProviderDown`."""
        jwks = await self._current_keys()
        try:
            token = id_token.verify(raw, jwks, demand, self._core.now())
        except UnknownKey:
            jwks = await self._newer_keys(jwks)
            token = id_token.verify(raw, jwks, demand, self._core.now())
        return token, await self._recorded(jwks)

    async def verified_claims(self, raw: str) -> Json:
        """What a token that isn't an ID token says (a logout token), once its signature is the provider's."""
        jwks = await self._current_keys()
        try:
            return id_token.verified_claims(raw, jwks, self.settings.algorithms)
        except UnknownKey:
            return id_token.verified_claims(raw, await self._newer_keys(jwks), self.settings.algorithms)

    async def end_session_url(self, back: str, state: str) -> str:
        """Where the provider ends its own session (RP-initiated logout); empty when it has no such place or is down."""
        try:
            address = str((await self.metadata()).get("end_session_endpoint", ""))
        except KeyturnError:
            return ""
        if not secure_address(address):
            return ""
        from urllib.parse import urlencode

        given = {"client_id": self.settings.client_id, "post_logout_redirect_uri": back, "state": state}
        return f"{address}{'&' if '?' in address else '?'}{urlencode(given)}"

    # --- keys --------------------------------------------------------------------------------------------------

    async def _current_keys(self) -> Json:
        async with self._lock:
            if self._core.now() >= self._keys_until:
                await self._fetch_keys()
            return self._keys

    async def _newer_keys(self, seen: Json) -> Json:
        """The key set once more, because *seen* lacks a key; the same when it was asked for a moment ago."""
        async with self._lock:
            if self._keys is seen and self._core.now() >= self._asked_again + AGAIN_MS:
                self._asked_again = self._core.now()
                await self._fetch_keys()
            return self._keys

    async def _fetch_keys(self) -> None:
        self._keys = id_token.public_keys(await self._get(str((await self.metadata())["jwks_uri"])))
        self._keys_until = self._core.now() + self.settings.keys_seconds * 1000

    async def _recorded(self, jwks: Json) -> str:
        """The digest of *jwks*, once the log has it as this issuer's key set."""
        digest, issuer = id_token.keys_digest(jwks), self.settings.issuer

        def plan(rows: Rows) -> Sequence[Draft]:
            if (rows.row("provider", issuer) or {}).get("digest") == digest:
                return []
            return [Draft("provider.keys", {"issuer": issuer, "digest": digest, "jwks": jwks})]

        if (self._core.ledger.row("provider", issuer) or {}).get("digest") != digest:
            await self._core.ledger.append(plan)
        return digest

    # --- HTTP --------------------------------------------------------------------------------------------------

    def _client(self, redirect_uri: str) -> AsyncOAuth2Client:
        secret = self._secret()
        return AsyncOAuth2Client(
            self.settings.client_id,
            secret,
            token_endpoint_auth_method="client_secret_basic" if secret else "none",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=TIMEOUT,
            follow_redirects=False,
        )

    def _secret(self) -> str | None:
        """Read anew each time, so that a secret can be replaced without a restart."""
        if not self.settings.client_secret_file:
            return None
        try:
            return Path(self.settings.client_secret_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ProviderDown("The file oidc.client_secret_file can't be read.") from error

    async def _get(self, address: str) -> Json:
        try:
            async with AsyncClient(timeout=TIMEOUT, follow_redirects=False) as client:
                async with client.stream("GET", address, headers={"accept": "application/json"}) as answer:
                    data = b""
                    async for chunk in answer.aiter_bytes():
                        data += chunk
                        if len(data) > MAX_ANSWER:
                            raise ProviderDown("The provider's answer is larger than any such answer is.")
            found = json.loads(data) if answer.status_code == 200 else None
        except (HTTPError, InvalidURL, ValueError, OSError) as error:
            raise ProviderDown("The provider can't be reached.") from error
        if not isinstance(found, dict):
            raise ProviderDown("The provider answers something that can't be used.")
        return found


def _checked(found: Json, issuer: str) -> Json:
    if found.get("issuer") != issuer:
        raise ProviderDown(
            f"What answers there calls itself {str(found.get('issuer'))[:200]!r}, not {issuer!r}."
        )
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not isinstance(found.get(name), str) or not secure_address(found[name]):
            raise ProviderDown(f"The provider's {name} is no address that is safe to use.")
    return found
