"""SPIFFE workloads: the trust domain's bundle, from a file or an address, and who presents an SVID. The rules are `identity.spiffe`'s.

A bundle at an address is fetched when the server starts and again from time to time; when that fails, the one at hand stands,
because an attacker on the way must not be able to switch workloads off. A file is read again when it changes.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import httpx2

from keyturn.errors import KeyturnError, Malformed
from keyturn.identity import spiffe
from keyturn.identity.spiffe import Bundle, Svid, SvidRefused
from keyturn.service.machine_settings import SpiffeSettings

log = logging.getLogger("keyturn.spiffe")

MAX_BUNDLE = 1_048_576
FETCH_SECONDS = 10.0


class NoBundle(SvidRefused):
    """No SVID can be checked: SPIFFE is not set up, or its bundle could not be read yet."""

    code = "spiffe.no_bundle"
    status = 503
    next_step = "Set [spiffe] in keyturn.toml; `keyturn doctor` says what is wrong with the bundle."


class Workloads:
    """The bundle of *settings*; relative files begin at *home*."""

    def __init__(self, settings: SpiffeSettings, home: Path) -> None:
        self._settings = settings
        self._home = home
        self._bundle: Bundle | None = None
        self._seen: tuple[int, int] | None = None

    @property
    def remote(self) -> bool:
        """Whether the bundle is fetched from an address."""
        return "://" in self._settings.bundle

    def workload(self, token: str, origin: str, now_ms: int) -> Svid:
        """The checked SVID in *token*. Raises `SvidRefused`, `CredentialExpired`, `NoBundle`."""
        if self._settings.bundle and not self.remote:
            self._read()
        if self._bundle is None:
            raise NoBundle("No bundle of a SPIFFE trust domain is at hand.")
        return spiffe.open_svid(token, self._bundle, self._settings.audience or origin, now_ms)

    async def keep(self) -> None:
        """Fetch the bundle, again and again. Ends at once where there is none to fetch."""
        while self.remote:
            try:
                self.take(await asyncio.to_thread(self.fetched))
            except (KeyturnError, httpx2.HTTPError) as error:
                log.warning("the SPIFFE bundle could not be fetched: %s", error)
            await asyncio.sleep(self._settings.refresh_seconds)

    def fetched(self) -> bytes:
        """The bundle's bytes from its address. Raises `Malformed`, `httpx2.HTTPError`."""
        with httpx2.Client(timeout=FETCH_SECONDS, follow_redirects=False) as client:
            with client.stream("GET", self._settings.bundle) as answer:
                if answer.status_code != 200:
                    raise Malformed(f"{self._settings.bundle} answered {answer.status_code}.")
                data = b""
                for piece in answer.iter_bytes():
                    data += piece
                    if len(data) > MAX_BUNDLE:
                        raise Malformed("The SPIFFE bundle is too large.")
        return data

    def _read(self) -> None:
        """Take the file up if it changed. One that can't be read or is none leaves the one at hand."""
        path = self._home / self._settings.bundle
        try:
            about = path.stat()
            seen = (about.st_mtime_ns, about.st_size)
            if seen == self._seen:
                return
            with path.open("rb") as opened:
                self.take(opened.read(MAX_BUNDLE))
            self._seen = seen
        except (OSError, Malformed) as error:
            log.warning("the SPIFFE bundle could not be read: %s", error)

    def take(self, document: bytes) -> None:
        """Check with *document* from now on. Raises `Malformed`."""
        self._bundle = spiffe.read_bundle(self._settings.trust_domain, document)
