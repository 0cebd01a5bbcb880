"""JSON values on the ledger's hot path: the same bytes as `canonical.dumps`, an order of magnitude sooner.

`normal` gives a value the shape it has after a round trip through JSON (lists for tuples, integers for
integral floats), so that what a projection sees live is what it sees when it is rebuilt from the log.

One C call (`msgspec.convert` against an unrolled JSON type without floats) checks that a value is plain
JSON and copies it; whatever that call does not accept goes the exact way through `keyturn.canonical`.
"""

from __future__ import annotations

from collections.abc import Mapping
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


_ENCODE = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode
_convert = msgspec.convert


def encode(value: Any) -> bytes:
    """Exactly `canonical.dumps(value)`. Raises `NotCanonical`."""
    return normal(value)[1]


def normal(value: Any) -> tuple[Any, bytes]:
    """*value* as JSON gives it back (a copy), and its canonical bytes. Raises `NotCanonical`."""
    try:
        plain = _convert({"value": value}, _Plain).value
        data = _ENCODE(plain)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):
        data = b"\xff"
    if data.isascii():
        return plain, data
    data = canonical.dumps(value)
    return _decode(data), data


def normal_members(members: Mapping[str, Any]) -> list[tuple[Any, bytes]]:
    """`normal` of each member's value, in order: one check for all when all are plain. Raises `NotCanonical`."""
    fresh = {name: value for name, value in members.items() if type(value) is not Prepared}
    if len(fresh) == len(members):
        return _normal_members(members)
    made = iter(_normal_members(fresh))
    return [
        (_decode(value.data), value.data) if type(value) is Prepared else next(made)
        for value in members.values()
    ]


def _normal_members(members: Mapping[str, Any]) -> list[tuple[Any, bytes]]:
    try:
        plain = _convert({"value": members}, _Plain).value
        encoded = [(value, _ENCODE(value)) for value in plain.values()]
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):
        return [normal(value) for value in members.values()]
    if all(data.isascii() for _, data in encoded):
        return encoded
    given = members.values()
    return [pair if pair[1].isascii() else normal(value) for pair, value in zip(encoded, given, strict=True)]


def decode(data: bytes) -> Any:
    """The value of JSON bytes. Raises `msgspec.DecodeError`."""
    return _decode(data)
