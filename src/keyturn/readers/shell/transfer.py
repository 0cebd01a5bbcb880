"""What curl(1), wget(1) and kin fetch and send: URLs, proxies, and data that may come out of files."""

from __future__ import annotations

import re

from msgspec.structs import replace

from keyturn.readers.http import OddUrl, url_effects
from keyturn.readers.shell.calls import Argument, Call
from keyturn.readers.shell.hosts import connects

_OTHER_URL = re.compile(
    r"(?:ftps?|sftp|scp|tftp)://(?:[^@/]*@)?([A-Za-z0-9.-]+)(?::[0-9]+)?(?:/[^{}\[\]\\]*)?", re.IGNORECASE
)
_BEGINNING = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?/[A-Za-z0-9/?#&=._%+-]*", re.IGNORECASE)
"""As much of a URL that its host can't be another one, whatever follows."""
_PROXY = re.compile(r"(?:[a-z0-9]+://)?(?:[^@/]*@)?([A-Za-z0-9.-]+)(?::[0-9]+)?/?", re.IGNORECASE)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
"""The beginning of an address (RFC 3986, 3.1)."""
_WEB = re.compile(r"https?://|(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+):[0-9]+(/|$)")


def read_file(value: Argument, call: Call) -> None:
    """Note that the file *value* is read, unless it is standard input."""
    if not (value.known and value.text == "-"):
        call.path("reads", value)


def url(value: Argument, call: Call, sends: bool) -> None:
    """Note what asking for the URL *value* is. One that isn't known could also be that of a file here."""
    text = value.text if value.known else value.prefix
    other = _OTHER_URL.fullmatch(text) if value.known else None
    if other:
        connects(other.group(1), call, sends)
        return
    if not value.known:
        beginning = _BEGINNING.match(text)
        if beginning is None:
            _unknown_url(value, call, sends)
            return
        text = beginning.group()
    elif "://" not in text:
        text = "http://" + text
    try:
        call.effects += url_effects(text, call.scene.around, sends)
    except OddUrl as odd:
        call.refuse(str(odd), value.span)


def _unknown_url(value: Argument, call: Call, sends: bool) -> None:
    call.add("connects", value.text, "network")
    if not re.match(r"(?:https?|ftps?|sftp|scp)://", value.prefix, re.IGNORECASE):
        call.path("reads", replace(value, known=False, wild=False))
    if sends:
        call.add("sends", value.text, "network")


def proxy(value: Argument, call: Call) -> None:
    """A host that all that is sent goes through."""
    match = _PROXY.fullmatch(value.text)
    if value.known and match:
        connects(match.group(1), call, sends=True)
    else:
        call.add("connects", value.text, "network")
        call.add("sends", value.text, "network")


def upload(value: Argument, kind: str, call: Call) -> None:
    """Data to send, or a format, that may name a file: how, *kind* says (curl(1): `-d`, `--data-urlencode`, `-F`, `-b`, `-w`, `-E`)."""
    if not value.known:
        _upload_unknown(value, kind, call)
    elif kind == "form":
        _form(value, call)
    elif kind == "file":
        if set("{[") & set(value.text):
            call.path(
                "reads", replace(value, known=False, wild=False)
            )  # curl(1): the words in braces are files
        else:
            read_file(value, call)
    elif kind == "cookie":
        if "=" not in value.text:
            read_file(value, call)
    elif kind == "cert":
        read_file(replace(value, text=value.text.split(":", 1)[0]), call)
        read_file(value, call)
    elif value.text.startswith("@"):
        read_file(value.without("@"), call)
    elif kind == "named" and "@" in value.text and "=" not in value.text.split("@", 1)[0]:
        read_file(replace(value, text=value.text.split("@", 1)[1]), call)
    elif kind == "format":
        for name in re.findall(r"%output\{(?:>>)?([^}]*)\}?", value.text):
            call.path("writes", replace(value, text=name))


def _upload_unknown(value: Argument, kind: str, call: Call) -> None:
    before = value.prefix.partition("=")
    plain = {
        "": value.prefix[:1] not in ("", "@"),
        "named": before[1] == "=" and "@" not in before[0],
        "form": before[1] == "=" and before[2][:1] not in ("", "@", "<"),
        "cookie": "=" in value.prefix,
    }
    if not plain.get(kind, False):
        call.path("reads", replace(value, wild=False))
    if kind == "format":
        call.path("writes", replace(value, wild=False))


def _form(value: Argument, call: Call) -> None:
    """`name=@file,file;type=x`, `name=<file`, or `name=content`, which a `headers=@file` may follow."""
    content = value.text.partition("=")[2]
    if ";" in content and ("=@" in content or "=<" in content):
        call.refuse("A part of a form that is not described", value.span)
    if content.startswith(("@", "<")):
        if '"' in content or "\\" in content:
            call.refuse("A part of a form that is not described", value.span)
        for name in content[1:].split(";", 1)[0].split(","):
            read_file(replace(value, text=name), call)


def shows(operand: Argument, call: Call) -> None:
    """A page, film or document for a person's eyes: a URL, or a file, which may name further ones anywhere."""
    text = operand.text.removeprefix("file://")
    if _WEB.match(text):
        url(operand, call, sends=False)
        return
    if _SCHEME.match(text):
        call.refuse("An address of a form that is not described", operand.span)  # `javascript:`, `macro:`
    call.path("reads", replace(operand, text=text))
    call.add("connects", "what is shown", "network")


__all__ = ["proxy", "read_file", "shows", "upload", "url"]
