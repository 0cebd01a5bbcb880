"""Outside sources (tickets, on-call schedules): how a file or a URL is read, and the credentials for it (`sources.toml`).

Rules kept here:

- A source gets `SECONDS` in all and `MAX_BYTES`; its answer is taken as it is sent (no compression) and only with status 200.
- A redirect is never followed: it would carry the credential elsewhere.
- A credential names the origin that it is for and is sent to no other, whatever a policy says.
- No proxy out of the environment, and certificates are checked, with the system's authorities or the one that is named.
- A source whose clock is far from this machine's is not believed: times are what is looked at.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import stat
import tomllib
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from keyturn import canonical
from keyturn.errors import ExitCode, KeyturnError

if TYPE_CHECKING:
    import httpx2

SECONDS = 10.0
CONNECT_SECONDS = 5.0
MAX_BYTES = 1024 * 1024
MOST_SKEW = 300
"""Seconds that a source's clock may differ from ours."""

FILE = "sources.toml"


class SourceFailed(Exception):
    """A source gave no answer that can be used; the words say why. Each use of a source makes its own refusal of it."""


class CredentialsInvalid(KeyturnError):
    """sources.toml can't be used."""

    code = "sources.invalid"
    status = 500
    exit_code = ExitCode.USAGE
    not_done = "No outside source was asked."
    next_step = "Correct the named section; docs/how-to/ask-for-more.md shows one."


class Credential(Struct, frozen=True, forbid_unknown_fields=True):
    """One section of sources.toml: how to show who asks. With `user` it is HTTP Basic, without it a bearer token."""

    origin: str
    token: str = ""
    token_file: str = ""
    user: str = ""
    ca: str = ""


class Answer(Struct, frozen=True):
    """What a source said, and the digest of it that is recorded."""

    data: bytes
    digest: str


class Sources:
    """Reads files and URLs. `home` is the folder that relative paths and sources.toml lie in."""

    def __init__(self, home: Path | None) -> None:
        self.home = home

    async def read(self, path: str) -> Answer:
        """A file's content. Raises `SourceFailed`."""
        return await asyncio.to_thread(self._file, path)

    def _file(self, path: str) -> Answer:
        place = Path(path)
        if not place.is_absolute():
            if self.home is None:
                raise SourceFailed(f"{path} is not looked for: this server has no home")
            place = self.home / place
        try:
            if not stat.S_ISREG(place.stat().st_mode):
                raise SourceFailed(f"{place} is no file")
            with place.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise SourceFailed(f"{place} can't be read: {error.strerror}") from error
        if len(data) > MAX_BYTES:
            raise SourceFailed(f"{place} is larger than {MAX_BYTES:,} bytes")
        return Answer(data, canonical.digest_bytes(data))

    async def get(self, url: str, credential: str, now: float) -> Answer | None:
        """What *url* answers; None for "there is no such thing" (404). Raises `SourceFailed`, `CredentialsInvalid`."""
        import httpx2

        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "keyturn"}
        known = self._credential(credential, url) if credential else None
        if known is not None:
            headers["Authorization"] = self._authorization(known)
        host = urlsplit(url).hostname
        try:
            verify = ssl.create_default_context(cafile=known.ca) if known is not None and known.ca else True
            async with (
                asyncio.timeout(SECONDS),
                httpx2.AsyncClient(
                    verify=verify,
                    trust_env=False,
                    follow_redirects=False,
                    timeout=httpx2.Timeout(SECONDS, connect=CONNECT_SECONDS),
                ) as client,
                client.stream("GET", url, headers=headers) as response,
            ):
                return await _answer(response, str(host), now)
        except TimeoutError as error:
            raise SourceFailed(f"{host} gave no whole answer within {SECONDS:.0f} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise SourceFailed(f"{host} can't be asked: {type(error).__name__} {error}"[:300]) from error

    def _credential(self, name: str, url: str) -> Credential:
        found = self.credentials().get(name)
        if found is None:
            raise CredentialsInvalid(f"{FILE} has no section [{name}].")
        if origin_of(found.origin) != origin_of(url):
            raise CredentialsInvalid(f"[{name}] in {FILE} is for {found.origin}, not for {origin_of(url)}.")
        return found

    def credentials(self) -> dict[str, Credential]:
        """All sections of sources.toml; none without the file. Raises `CredentialsInvalid`."""
        path = self.home / FILE if self.home is not None else None
        if path is None or not path.exists():
            return {}
        try:
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise CredentialsInvalid(f"Others than its owner can read {path}: chmod go= {path}.")
            body = tomllib.loads(path.read_text(encoding="utf-8"))
            return {name: msgspec.convert(section, Credential) for name, section in body.items()}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise CredentialsInvalid(f"{path} can't be used: {error}.") from error

    def _authorization(self, known: Credential) -> str:
        token = known.token
        if known.token_file:
            try:
                token = Path(known.token_file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise CredentialsInvalid(f"{known.token_file} can't be read as a token.") from error
        if known.user:
            return "Basic " + base64.b64encode(f"{known.user}:{token}".encode()).decode()
        return f"Bearer {token}"


async def _answer(response: httpx2.Response, host: str, now: float) -> Answer | None:
    if response.status_code == 404:
        return None
    if 300 <= response.status_code < 400:
        raise SourceFailed(f"{host} answers with a redirect, which is not followed")
    if response.status_code != 200:
        raise SourceFailed(f"{host} answers with status {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise SourceFailed(f"{host} sends a compressed answer, which was not asked for")
    _check_clock(response.headers.get("date"), host, now)
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > MAX_BYTES:
            raise SourceFailed(f"{host} answers with more than {MAX_BYTES:,} bytes")
    return Answer(bytes(data), canonical.digest_bytes(bytes(data)))


def _check_clock(date: str | None, host: str, now: float) -> None:
    """A source that says no time is believed; one whose time is far from ours is not."""
    if date is None:
        return
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return
    if abs(theirs - now) > MOST_SKEW:
        raise SourceFailed(f"the clock of {host} is {abs(theirs - now):.0f} s from this machine's")


def origin_of(url: str) -> str:
    """`https://host:port` of *url*, with the port only where it is not the usual one."""
    split = urlsplit(url)
    usual: dict[str, int] = {"https": 443, "http": 80}
    port: Any = split.port
    shown = "" if port is None or port == usual.get(split.scheme) else f":{port}"
    return f"{split.scheme}://{split.hostname}{shown}"
