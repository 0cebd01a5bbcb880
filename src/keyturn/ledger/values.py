"""JSON values on the ledger's hot path: the same bytes as `canonical.dumps`, an order of magnitude sooner.

`normal` gives a value the shape it has after a round trip through JSON (lists for tuples, integers for
integral floats), so that what a projection sees live is what it sees when it is rebuilt from the log.

One C call (`msgspec.convert` against an unrolled JSON type without floats) checks that a value is plain
JSON and copies it; whatever that call does not accept goes the exact way through `keyturn.canonical`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union

import msgspec

from keyturn import canonical
from keyturn.ledger.entries import Prepared

_Int = Annotated[int, msgspec.Meta(ge=-canonical.MAX_SAFE_INTEGER, le=canonical.MAX_SAFE_INTEGER)]
_UNROLLED = 7
"""Depth of the type that is checked in one C call; deeper values take the exact way."""


def _plain(depth: int) -> Any:
    scalar = Union[None, bool, _Int, str]  # noqa: UP007 — built at run time
    if depth == 0:
        return scalar
    inner: Any = _plain(depth - 1)
    return Union[scalar, list[inner], dict[str, inner]]  # noqa: UP007


class _Plain(msgspec.Struct):
    """Holds one value: msgspec keeps the compiled form of a struct's types, but not of bare ones."""

    value: _plain(_UNROLLED)  # type: ignore[valid-type]


_ENCODER = msgspec.json.Encoder(order="sorted")
_ENCODE, _LINES = _ENCODER.encode, _ENCODER.encode_lines
_decode = msgspec.json.Decoder().decode
_convert = msgspec.convert


def encode(value: Any) -> bytes:
    """Exactly `canonical.dumps(value)`. Raises `NotCanonical`."""
    return normal(value)[1]


def normal(value: Any) -> tuple[Any, bytes]:
    """*value* as JSON gives it back (a copy), and its canonical bytes. Raises `NotCanonical`."""
    if type(value) is Prepared:
        return value.value, value.data
    try:
        plain = _convert({"value": value}, _Plain).value
        data = _ENCODE(plain)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):
        data = b"\xff"
    if data.isascii():
        return plain, data
    data = canonical.dumps(value)
    return _decode(data), data


def normal_lines(members: Mapping[str, Any], salts: Sequence[str]) -> tuple[dict[str, Any], bytes] | None:
    """All members' values as JSON gives them back, and `[salt, name, value]` of each on a line of its own, with three C calls.

    The lines are canonical where they are ASCII. None where a value has no such short way: `normal` says more of it.
    """
    prepared = [name for name, value in members.items() if type(value) is Prepared]
    given = {**members, **dict.fromkeys(prepared)} if prepared else members
    try:
        plain = _convert({"value": given}, _Plain).value
        told = dict(plain) if prepared else plain
        for name in prepared:
            plain[name], told[name] = members[name].value, msgspec.Raw(members[name].data)
        return plain, _LINES(zip(salts, told, told.values(), strict=True))
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):
        return None


def decode(data: bytes) -> Any:
    """The value of JSON bytes. Raises `msgspec.DecodeError`."""
    return _decode(data)
