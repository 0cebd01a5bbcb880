"""HTTP to services outside, with failures in words that name no address and no secret.

Rules kept here: TLS or loopback, certificates checked, redirects not followed, answers read up to a limit, every wait bounded.
"""

from __future__ import annotations

import email.utils
import ipaddress
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
from msgspec import Struct

from keyturn import __version__
from keyturn.channels.notices.channel import ChannelDown, ChannelUnusable, ReceiverRefused

MOST_ANSWER = 262_144
TIMEOUT = httpx2.Timeout(15.0, connect=10.0)


class Answer(Struct, frozen=True):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises `ChannelDown` when it is something else."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ChannelDown("It answered with something that is not JSON.") from error


def check_address(url: str, what: str) -> str:
    """*url*, if a secret may travel to it: `https`, or `http` to a loopback address. Raises `ChannelUnusable`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as error:
        raise ChannelUnusable(f"{what} is not an address.") from error
    if not host or parts.username or parts.password:
        raise ChannelUnusable(f"{what} is not an address like https://host/path.")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return url
    raise ChannelUnusable(f"{what} has to begin with https://.")


def is_loopback(host: str) -> bool:
    """Whether nothing that is sent there leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Http:
    """One pool of connections."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._client = httpx2.AsyncClient(
            verify=context,
            timeout=TIMEOUT,
            follow_redirects=False,
            headers={"user-agent": f"keyturn/{__version__}"},
        )

    async def send(
        self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One exchange. Raises `ChannelDown` when there was none."""
        try:
            async with self._client.stream(method, url, content=body, headers=dict(headers or {})) as answer:
                data = b""
                async for chunk in answer.aiter_bytes():
                    data += chunk
                    if len(data) > MOST_ANSWER:
                        raise ChannelDown("Its answer is longer than any that makes sense.")
                return Answer(answer.status_code, dict(answer.headers), data)
        except httpx2.TimeoutException as error:
            raise ChannelDown("It did not answer in time.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise ChannelDown(words_of(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def accepted(answer: Answer) -> Answer:
    """*answer* if it is a success. Raises `ChannelDown` for what may pass, `ReceiverRefused` for what won't."""
    if 200 <= answer.status < 300:
        return answer
    words = f"It answered {answer.status}."
    if answer.status == 410:
        raise ReceiverRefused("It answered 410: nobody is there any more.", gone=True)
    if answer.status in (400, 404, 405, 413, 422):
        raise ReceiverRefused(words)
    raise ChannelDown(words, retry_after=retry_after(answer.headers))


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that `Retry-After` asks for (RFC 9110 §10.2.3: a number, or a date); 0 when it says nothing that is understood."""
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    if given.isdecimal() and len(given) < 9:
        return float(given)
    try:
        moment = email.utils.parsedate_to_datetime(given)
    except (TypeError, ValueError, IndexError):
        return 0.0
    return max(0.0, moment.timestamp() - time.time())


def words_of(error: BaseException) -> str:
    """Why a connection failed, without address or secret."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"Its certificate is not trusted: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return "The TLS connection failed."
        if isinstance(cause, ConnectionRefusedError):
            return "Nobody listens there."
        cause = cause.__cause__ or cause.__context__
    return f"The connection failed ({type(error).__name__})."
