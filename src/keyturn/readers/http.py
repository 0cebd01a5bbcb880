"""HTTP requests -> Reading. A URL that two programs could take to two hosts is not understood.

Sources: RFC 3986 (URI), RFC 9110 §9.2.1 (safe methods), WHATWG URL (forbidden host code points).
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from keyturn.actions import Effect, HttpRequest, Reading, Step, Unread
from keyturn.resources import Surroundings, host_labels, host_zone

MAX_URL = 8_192
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_METHOD = re.compile(r"[A-Z]{1,20}")
_URL_TEXT = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]+")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?")
_NUMERIC_LABEL = re.compile(r"0x[0-9a-f]*|[0-9]+")


class OddUrl(ValueError):
    """Why a URL is not understood."""


def read_http(request: HttpRequest, around: Surroundings) -> Reading:
    """Connects to the URL's host; every method but GET, HEAD and OPTIONS also sends."""
    try:
        effects = url_effects(request.url, around, sends=request.method.upper() not in SAFE_METHODS)
        if not _METHOD.fullmatch(request.method):
            raise OddUrl("A method that is not 1 to 20 capital letters")
        if request.body and request.method in SAFE_METHODS:
            effects = url_effects(request.url, around, sends=True)
    except OddUrl as odd:
        unread = (Unread(0, len(request.url.encode("utf-8", "surrogatepass")), str(odd)),)
        step = Step(request.method[:20], (request.method[:20], request.url[:MAX_URL]), complete=False)
        return Reading("http", False, (step,), unread, f"Not understood: {odd}.")
    host = effects[0].what
    step = Step(request.method, (request.method, request.url), effects=tuple(effects))
    does = "Sends data to" if len(effects) > 1 else "Fetches from"
    return Reading("http", True, (step,), (), f"{does} {host} ({request.method}).")


def url_effects(url: str, around: Surroundings, sends: bool = False) -> list[Effect]:
    """`connects` (and `sends`) for the host of *url*. Raises `OddUrl`."""
    host = url_host(url)
    where, labels = host_zone(host), host_labels(host, around)
    effects = [Effect("connects", host, where, labels)]
    if sends:
        effects.append(Effect("sends", host, where, labels))
    return effects


def url_host(url: str) -> str:
    """The host of an `http` or `https` URL, lower case. Raises `OddUrl` where programs might disagree."""
    if len(url) > MAX_URL:
        raise OddUrl(f"A URL longer than {MAX_URL:,} characters")
    if not _URL_TEXT.fullmatch(url):
        raise OddUrl("A URL with characters that have no place in one")
    match = re.match(r"(https?)://([^/?#]*)", url)
    if not match:
        raise OddUrl("Only http:// and https:// URLs are read")
    authority = match.group(2)
    if "@" in authority:
        raise OddUrl("A URL with a user name or password")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise OddUrl("A URL whose host or port can't be told") from error
    host = (parts.hostname or "").lower()
    if port == 0 or not host:
        raise OddUrl("A URL without a host or with port 0")
    _check_host(host, authority)
    return host


def _check_host(host: str, authority: str) -> None:
    if authority.startswith("["):
        if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\](?::[0-9]+)?", authority):
            raise OddUrl("A host that is not an IPv6 address")
        try:
            ipaddress.IPv6Address(host)
        except ValueError as error:
            raise OddUrl("A host that is not an IPv6 address") from error
        return
    if not _HOST.fullmatch(host):
        raise OddUrl("A host name of a form that is not described")
    if any(label.startswith("xn--") for label in host.split(".")):
        raise OddUrl("An internationalised host name can look like another one")
    # inet_aton(3) also takes 127.1, 0177.0.0.1 and 2130706433; only four plain decimal numbers are read.
    if _NUMERIC_LABEL.fullmatch(host.rstrip(".").split(".")[-1]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError as error:
            raise OddUrl("A numeric host that is not four decimal numbers") from error
