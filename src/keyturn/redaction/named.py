"""Values with a name before them: assignments, options, headers, keys of JSON and YAML, connection strings, prose. Pure.

Rules kept here:

- A name is looked at where one of its usual words occurs, once; what follows it is read in place, within fixed bounds, so the time
  is linear in the text.
- A value is what the shell, JSON or YAML would take as one: quoted up to its quote, else up to a blank or a delimiter, pieces of
  different quotes joined (`'gh'"p_…"`).
- How much is asked of a value depends on how sure the name is (`names.Sure`) and how close it stands (`=` or an option is closer than
  a colon in prose).
"""

# ruff: noqa: E501 (a pattern or a case stands on one line)
from __future__ import annotations

import re
from collections.abc import Iterator

from keyturn.redaction import values
from keyturn.redaction.engine import Pattern
from keyturn.redaction.names import Sure, sureness

WORDS = (
    "pass", "pwd", "psw", "secret", "token", "key", "auth", "cred", "cookie", "bearer", "jwt", "_pat", "pat=", "sid=", "dsn", "pw=", "pw ", "pw:", "psk",
    "passwd", "mnemonic", "seed[ _-]?phrase", "otp", "pin=", "sig=", "sas=", "license", "connection[ _-]?string",
)  # fmt: skip
"""Where a name may be."""

WORD = rb"pass|pwd|psw|secret|token|key|auth|cred|cookie|bearer|jwt|pat(?:[=: \"']|_\w)|sid=|dsn|pw[\"']?[=: ]|psk|mnemonic|seed[ _-]?phrase|otp|pin=|sig=|sas=|license|connection[ _-]?string"

_PHRASES = (b"mnemonic", b"seed_phrase", b"seedphrase", b"seed-phrase", b"seed")
MOST_VALUE = 8192
Found = tuple[str, int, int]
"""Kind, start, end."""

_OF_NAMES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_BEFORE = re.compile(
    rb"\b((?i:api|access|secret|private|auth|client|master|signing|encryption|account))[ ]\Z"
)
_RIGHT = re.compile(rb"[A-Za-z0-9_.-]{0,64}")
_SEPARATOR = re.compile(
    rb"(?P<header>)(?:[\\]{0,3}[\"'])?\]?[ \t]{0,8}(?P<sign>:[-=]|=>|===?|=|:(?!//))[ \t]{0,8}(?P<line>[|>][-+]?\r?\n\s*)?"
    rb"|(?P<tag>>)(?=[^<>\s]{1,512}</)"
    rb"|(?:\\?[\"'])\s{0,4}(?P<comma>,)\s{0,4}(?=\\?[\"'])"
    rb"|(?P<prose>[ \t]{1,4}(?:is|to|was|as|of|now):?[ \t]{1,4}(?:now |set to |just )?)"
    rb"|(?P<blank>[\"']?[ \t]{1,8}(?:\\\r?\n[ \t]*)?)"
)
_VALUE = re.compile(
    rb"(?:\\?\$?'(?P<single>[^'\r\n]{1,4096})'|\\?\$?\"(?P<double>(?:[^\"\\\r\n]|\\[^\r\n]){1,4096})\")(?![\w\"'$])"
    rb"|(?P<joined>(?:[^\s'\"\\;&|<>(){},`\x1b]|\\[\s\S]|\$?'[^'\r\n]{0,2048}'|\$?\"(?:[^\"\\\r\n]|\\[\s\S]){0,2048}\"|\$\{[^}\r\n]{0,200}\}|[(){},](?=[^\s'\"]))+)"
)
_ESCAPED = re.compile(rb"\\{1,3}\"((?:[^\"\\\r\n]|\\[^\"\r\n]){1,4096})\\{1,3}\"")
_SCHEME = re.compile(
    rb"(?:\\?[\"'])?(?i:bearer|basic|token|digest|bot|apikey|api-key|key|negotiate|splunk|genie\w*|jwt|oauth|ntlm|sso-key)[ \t]+"
)
_CREDENTIALS = re.compile(rb"[^\s'\"\\,;]{1,8192}")
_COOKIES = re.compile(rb"[^\r\n'\"\\]{6,4096}")
_NETRC = re.compile(rb"(?:login|user(?:name)?)[ \t\n]+\S+[ \t\n]+(?:password|passwd)\Z", re.IGNORECASE)
_SETTER = re.compile(
    rb"(?:setenv|set(?:[ \t]+-[a-zA-Z]+)*|ENV|config[ \t]+set|configure[ \t]+set|config:set|export|declare|requirepass|masterauth|option|property)"
    rb"[ \t]+(?:--?[\w-]+[ \t]+)*\Z"
)
_FOLLOWING = re.compile(rb"[ \t]*(?:\r?\n|\Z|[,;}\]#\"'|&])")
_STARTS_LINE = re.compile(rb"(?:\A|[\r\n{,])[ \t]*(?:[-+] )?[\"']?\Z")


def found(text: bytes, word: Pattern) -> Iterator[Found]:
    """Spans of secrets in *text* that a name points at. *word* finds `WORD`, without case."""
    last = 0
    for hit in word.finditer(text):
        start = hit.start()
        if start < last:
            continue
        before = text[max(0, start - 64) : start]
        begin = start - len(before) + len(before.rstrip(_OF_NAMES))
        right = _RIGHT.match(text, start)
        end = right.end() if right else start
        name = text[begin:end].strip(b".-")
        if (first := _BEFORE.search(text, max(0, begin - 12), begin)) is not None:
            name = first[1] + b"_" + name  # "API key", as prose writes it
        for one in _beside(text, begin, end, name):
            last = max(last, one[2])
            yield one


def _beside(text: bytes, begin: int, end: int, name: bytes) -> Iterator[Found]:
    lowered = name.lower()
    if lowered in (
        b"authorization",
        b"proxy-authorization",
        b"proxy_authorization",
        b"cookie",
        b"set-cookie",
        b"bearer",
    ) or lowered.endswith((b"authorization", b"_bearer")):
        yield from _header(text, end, lowered)
        return
    sure = sureness(name)
    if sure is Sure.NOT:
        return
    separator = _SEPARATOR.match(text, end)
    if separator is None:
        return
    at = separator.end()
    option = text[begin : begin + 2] == b"--" or (
        text[begin : begin + 1] in (b"-", b"/") and (name.islower() or b"-" in name or len(name) > 8)
    )
    how = _closeness(text, begin, end, separator, option, sure)
    if how == 0:
        return
    value = _value(text, at, separator["tag"] is not None)
    if value is None:
        return
    start, stop, quoted = value
    inner = text[start:stop]
    if inner.startswith((b"-", b"\xe2\x80")) and separator["blank"] is not None:
        return
    if inner.startswith((b"${", b"$(")) and separator["sign"] in (b"=", b":"):
        return
    if separator["sign"] in (b"==", b"===") and not quoted:
        return
    if not quoted and (text[stop : stop + 1] in (b"(", b"[") or values.is_code(inner)):
        return
    if quoted and inner.count(b" ") > (26 if sureness(name) and name.lower() in _PHRASES else 6):
        return
    if is_secret(inner, sure, how, quoted, bool(_FOLLOWING.match(text, stop + quoted))):
        yield "named-secret", start, stop


def _closeness(
    text: bytes, begin: int, end: int, separator: re.Match[bytes], option: bool, sure: Sure
) -> int:
    """3: a value beyond doubt · 2: beside a colon · 1: beside a blank or in prose, where only chance counts · 0: no value."""
    if separator["sign"] is not None:
        if not separator["sign"].startswith(b":"):
            return 3
        if separator["sign"] == b":-":
            return 3 if b"${" in text[max(0, begin - 2) : begin] else 2
        quoted = text[end : end + 1] in (b'"', b"'", b"\\")
        return 3 if quoted or separator["sign"] == b":=" else 2
    if separator["tag"] is not None or separator["comma"] is not None:
        return 3
    if separator["prose"] is not None:
        return 1
    if option:
        return 3
    before = text[max(0, begin - 160) : begin]
    if _NETRC.search(text[max(0, begin - 160) : end]) or _SETTER.search(before):
        return 3 if sure is Sure.CERTAIN else 2
    return 1


def _value(text: bytes, at: int, tag: bool) -> tuple[int, int, bool] | None:
    """Start and end of the value at *at*, without its quotes, and whether it had some."""
    if tag:
        stop = text.find(b"<", at)
        return (at, stop, True) if stop > at else None
    escaped = _ESCAPED.match(text, at)
    if escaped is not None:
        return escaped.start(1), escaped.end(1), True
    match = _VALUE.match(text, at, at + MOST_VALUE)
    if match is None:
        return None
    group = match.lastgroup or "joined"
    start, stop = match.span(group)
    if group == "joined":
        while stop > start and text[stop - 1 : stop] in (b")", b"}", b",", b"]", b"."):
            stop -= 1
    return (start, stop, group != "joined") if stop > start else None


def is_secret(value: bytes, sure: Sure, how: int, quoted: bool, ends: bool) -> bool:
    """Whether *value* is a secret, beside a name that is *sure*, at closeness *how*; *ends*: nothing of a sentence follows it."""
    plain = value.strip(b"'\"")
    if len(plain) < 3 or values.is_placeholder(plain) or values.is_pattern(plain):
        return False
    if values.looks_random(plain) and not plain.startswith((b"$", b"`", b"{{")):
        return not values.is_public(plain) or sure >= Sure.LIKELY
    if values.is_reference(plain):
        return False
    if sure is Sure.POSSIBLE:
        return False
    if how == 1:
        return (
            sure is Sure.CERTAIN
            and len(plain) >= 6
            and (values.is_mixed(plain) or (quoted and not values.is_plain(plain)))
        )
    if how == 2:
        if values.is_plain(plain) and not quoted:
            return (
                sure is Sure.CERTAIN
                and ends
                and len(plain) >= 6
                and b" " not in plain
                and not plain.isdigit()
            )
        return (sure is Sure.CERTAIN or len(plain) >= 8) and (ends or quoted or values.is_mixed(plain))
    if sure is Sure.CERTAIN:
        return True
    return len(plain) >= 8 and not values.is_plain(plain) and values.is_mixed(plain) and b" " not in plain


def _header(text: bytes, end: int, name: bytes) -> Iterator[Found]:
    """The credentials of `Authorization: Bearer …`, the values of a cookie header."""
    if name.endswith(b"bearer"):
        blank = re.match(rb"[ \t:=]{1,4}", text[end : end + 8])
        at = end + (blank.end() if blank else 0)
        value = _CREDENTIALS.match(text, at) if blank else None
        if value is not None and _credential(value[0], 12):
            yield "authorization", value.start(), value.end()
        return
    separator = re.compile(rb"(?:\\?[\"'])?\]?[ \t]{0,4}(?::|=>|=|,)[ \t]{0,4}(?:\\?[\"'])?").match(text, end)
    if separator is None:
        return
    if name.endswith(b"cookie"):
        value = _COOKIES.match(text, separator.end())
        if (
            value is not None
            and b"=" in value[0]
            and not values.is_reference(value[0].split(b"=", 1)[1].strip())
        ):
            yield "cookie", value.start(), value.end()
        return
    scheme = _SCHEME.match(text, separator.end())
    value = _CREDENTIALS.match(text, scheme.end() if scheme else separator.end())
    if value is not None and _credential(value[0], 4 if scheme else 8):
        if name and text[value.start() : value.end()].upper().startswith(b"AWS4-HMAC"):
            rest = re.compile(rb"[^\r\n]*?Signature=([0-9a-f]{32,})").match(text, value.start())
            if rest is not None:
                yield "authorization", rest.start(1), rest.end(1)
            return
        yield "authorization", value.start(), value.end()


def _credential(value: bytes, least: int) -> bool:
    if len(value) >= least and values.looks_random(value) and not value.startswith((b"$", b"{{", b"`")):
        return True
    return (
        len(value) >= least
        and not values.is_reference(value)
        and not values.is_placeholder(value)
        and not (values.is_plain(value) and not values.is_mixed(value))
        and not values.is_pattern(value)
    )
