"""Canonical JSON: one sequence of bytes for one value (RFC 8785, JCS), and digests over it.

Rules kept here:

- RFC 8785 §3.2.3: object members are sorted by the UTF-16 code units of their names.
- RFC 8785 §3.2.2.3: numbers are written as ECMAScript writes them; NaN and infinities do not exist.
- I-JSON (RFC 7493 §2.2): integers beyond ±(2^53−1) are refused, because two readers may read two numbers. So are
  floats that would be written like one (2^53 ≤ |x| < 10^21): read back, they would be refused.
- I-JSON (RFC 7493 §2.1): lone surrogates are refused.

What can't be written canonically is refused, never approximated.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from keyturn.errors import Malformed

MAX_SAFE_INTEGER = 2**53 - 1
MAX_DEPTH = 200
"""Nesting beyond this is refused: it is an attack on a parser, not an argument."""

_ENCODER = msgspec.json.Encoder(order="sorted")


class NotCanonical(Malformed):
    """The value has no canonical JSON form."""

    code = "input.not_canonical"
    next_step = "Use integers within ±(2^53−1), finite numbers, well-formed Unicode and less nesting."


def dumps(value: Any) -> bytes:
    """*value* (dict, list, tuple, str, int, float, bool, None) as RFC 8785 bytes.

    Raises `NotCanonical`.
    """
    if _in_profile(value, 0):
        return _ENCODER.encode(value)
    return _write(value, 0).encode("utf-8")


def digest(value: Any) -> str:
    """`sha256:<hex>` over the canonical bytes of *value*."""
    return "sha256:" + hashlib.sha256(dumps(value)).hexdigest()


def digest_bytes(data: bytes) -> str:
    """`sha256:<hex>` over *data* as it is."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _in_profile(value: Any, depth: int) -> bool:
    """Whether the fast encoder's sorted output equals RFC 8785 for *value*: ASCII names, no floats.

    Texts and small integers, which are most of all values, are looked at where they stand: a call for each would cost more than the rest.
    """
    kind = type(value)
    if kind is dict:
        return _members_in_profile(value, depth)
    if kind is list or kind is tuple:
        return _items_in_profile(value, depth)
    if kind is str:
        _check_text(value)
        return True
    if kind is int:
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise NotCanonical(f"The integer {value if abs(value) < 10**40 else '…'} is beyond ±(2^53−1).")
        return True
    if kind is bool or value is None:
        return True
    if kind is float:
        return False
    raise NotCanonical(f"A {kind.__name__} has no JSON form.")


def _members_in_profile(value: dict[Any, Any], depth: int) -> bool:
    if depth >= MAX_DEPTH and value:
        raise NotCanonical(f"The value is nested more than {MAX_DEPTH} deep.")
    ok = True
    for name, member in value.items():
        if type(name) is not str:
            raise NotCanonical("An object member's name is not text.")
        if not name.isascii():
            _check_text(name)
            ok = False
        if type(member) is str and member.isascii():
            continue
        ok = _in_profile(member, depth + 1) and ok  # every member, even after a False
    return ok


def _items_in_profile(value: list[Any] | tuple[Any, ...], depth: int) -> bool:
    if depth >= MAX_DEPTH and value:
        raise NotCanonical(f"The value is nested more than {MAX_DEPTH} deep.")
    ok = True
    for item in value:
        if type(item) is str and item.isascii():
            continue
        ok = _in_profile(item, depth + 1) and ok
    return ok


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NotCanonical("The text has a lone surrogate, so it is not Unicode.") from error


def _write(value: Any, depth: int) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_text(k)}:{_write(v, depth + 1)}" for k, v in members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_write(item, depth + 1) for item in value) + "]"
    if isinstance(value, float):
        return _number(value)
    return _ENCODER.encode(value).decode()


def _text(text: str) -> str:
    return _ENCODER.encode(text).decode()


def _number(value: float) -> str:
    """ECMA-262 Number::toString. Python's `repr` gives the same shortest digits; only the layout differs."""
    if value != value or value in (float("inf"), float("-inf")):
        raise NotCanonical("JSON has no NaN and no infinity.")
    if value == 0:
        return "0"
    if abs(value) <= MAX_SAFE_INTEGER and value == int(value):
        return str(int(value))
    if MAX_SAFE_INTEGER < abs(value) < 1e21:  # ECMA-262 writes an exponent from 10^21 on
        raise NotCanonical(f"The number {value!r} would be written like an integer beyond ±(2^53−1).")
    sign, text = ("-", repr(-value)) if value < 0 else ("", repr(value))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + (int(exponent) if exponent else 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    power = point - 1
    shown = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{shown}e{'+' if power >= 0 else '-'}{abs(power)}"
