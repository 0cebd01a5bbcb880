"""Leaves and disclosures: the bytes that are for ever (format described in `keyturn.ledger.entries`). Pure but for fresh salts.

Rules kept here:

- RFC 9901 §4.2.1: a disclosure is base64url(JSON [salt, name, value]) without padding; §4.2.3: its digest is
  base64url(SHA-256(ASCII disclosure)); §4.2.4.1: the digests are sorted, so their order tells nothing.
- A salt is 128 random bits, base64url: 22 characters.
- A leaf is the RFC 8785 form of exactly the members of version 1; one that isn't is refused, never repaired.
- A member of `session` stands with a member of `n`, or neither stands.
- A field whose canonical value is over `MAX_FIELD_BYTES` lies in the blob store, its value is `{"blob", "size"}`.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from keyturn.canonical import digest_bytes
from keyturn.ledger import values
from keyturn.ledger.entries import ENTRY_TYPES, MAX_FIELD_BYTES, MAX_LEAF_BYTES, Draft, Entry
from keyturn.ledger.erasable import MARK, stand_in
from keyturn.ledger.errors import DraftMalformed, EntryMalformed, EntryTooLarge, UnknownType, UnknownVersion
from keyturn.ledger.storage import StoredEntry
from keyturn.randomness import fresh

VERSION = 1
SALT_BYTES = 16
SALT_CHARACTERS = 22
DIGEST_CHARACTERS = 43
MAX_NAME = 64
MAX_SESSION = 128
URLSAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")
_RESERVED = frozenset({"_sd", "_sd_alg", "..."})
_b64 = binascii.b2a_base64
_MARKED = f'"{MARK}'.encode()

Salts = Callable[[int], bytes]
"""How many random bytes → that many random bytes."""


class Header(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A leaf's members. Nothing in it is personal or secret."""

    _sd: tuple[str, ...]
    _sd_alg: str
    index: int
    time: int
    type: str
    v: int
    session: str | None = None
    n: int | None = None


class Place(Struct, frozen=True, gc=False):
    """The part of a leaf's header that says where it stands: read without its digests, for the quick verification."""

    index: int
    time: int
    type: str
    v: int
    session: str | None = None
    n: int | None = None


class Made(Struct, frozen=True, gc=False):
    """An entry in its place, as it is stored, and the blobs that go with it."""

    entry: Entry
    stored: StoredEntry
    blobs: Mapping[str, bytes]


class Disclosure(Struct, frozen=True, gc=False):
    """One opened field. `digest` is what the leaf commits to."""

    salt: str
    name: str
    value: Any
    digest: str


_decode_header = msgspec.json.Decoder(Header).decode
_decode_place = msgspec.json.Decoder(Place).decode
_decode_strings = msgspec.json.Decoder(tuple[str, ...]).decode
_encode = msgspec.json.Encoder(order="sorted").encode
_names: set[str] = set()
_sessions: dict[str, bytes] = {}
_CACHED = 4096


def make(draft: Draft, index: int, time: int, n: int | None, salts: Salts = fresh) -> Made:
    """*draft* as entry number *index* at *time* (ms since 1970), number *n* of its session.

    Raises `UnknownType`, `DraftMalformed`, `EntryTooLarge`, `NotCanonical`.
    """
    if draft.type not in ENTRY_TYPES:
        raise UnknownType(f"{draft.type[:80]!r} is not an entry type of this version.")
    session = draft.session
    blobs = _own_blobs(draft.blobs) if draft.blobs else {}
    fields, disclosures, digests = _disclose(draft.fields, blobs, salts)
    quoted = b'["%b"]' % '","'.join(digests).encode() if digests else b"[]"
    place = _place(session, n)
    leaf = b'{"_sd":%b,"_sd_alg":"sha-256","index":%d%b%d,"type":"%b","v":1}' % (
        quoted,
        index,
        place,
        time,
        draft.type.encode(),
    )
    if len(leaf) > MAX_LEAF_BYTES:
        raise EntryTooLarge(
            f"The entry has {len(digests)} fields, its leaf {len(leaf)} bytes; {MAX_LEAF_BYTES} is the limit."
        )
    beside = b'["' + disclosures.replace(b",", b'","') + b'"]' if digests else b"[]"
    texts = tuple(disclosures.decode("ascii").split(",")) if digests else ()
    stored = StoredEntry(index, time, draft.type, leaf, beside, session, n, draft.once)
    return Made(Entry(index, time, draft.type, leaf, texts, fields, session, n), stored, blobs)


def _place(session: str | None, n: int | None) -> bytes:
    """The middle of a leaf: where it stands in its session, if it is in one."""
    if session is None or n is None:
        return b',"time":'
    return b',"n":%d,"session":%b,"time":' % (n, _session(session))


def _disclose(
    given: Mapping[str, Any], blobs: dict[str, bytes], salts: Salts
) -> tuple[dict[str, Any], bytes, list[str]]:
    """The fields as JSON gives them back, their disclosures in the same order with commas between them, and the sorted digests."""
    if not given:
        return {}, b"", []
    if not _names.issuperset(given):
        for name in given:
            _check_name(name)
    fields, parts = _lines(given, _salt_texts(salts(SALT_BYTES * len(given)), len(given)), blobs)
    # one translate for all: neither a quote nor a comma is touched by it
    raw = b",".join([_b64(part, newline=False) for part in parts]).translate(URLSAFE, b"=")
    digests = [sha256(part).digest() for part in raw.split(b",")]
    return fields, raw, sorted(_base64_of(digests, DIGEST_CHARACTERS, b"\0"))


def _lines(
    given: Mapping[str, Any], salts: Sequence[str], blobs: dict[str, bytes]
) -> tuple[dict[str, Any], list[bytes]]:
    """The fields as JSON gives them back, and `[salt, name, value]` of each in canonical JSON. What is large goes into *blobs*."""
    made = values.normal_lines(given, salts)
    if made is not None:
        fields, lines = made
        if lines.isascii():
            parts = lines.split(b"\n")
            parts.pop()
            if max(map(len, parts)) <= MAX_FIELD_BYTES:
                return fields, parts
    fields, parts = {}, []
    for salt, name, value in zip(salts, given, given.values(), strict=True):
        plain, data = values.normal(value)
        if len(data) > MAX_FIELD_BYTES:
            plain, data = _outside(data, blobs)
        fields[name] = plain
        parts.append(b'["%b",%b,%b]' % (salt.encode(), _encode(name), data))
    return fields, parts


def _base64_of(pieces: Sequence[bytes], characters: int, filling: bytes) -> list[str]:
    """All *pieces*, which are equally long, in base64url with one call. *filling* makes their length a multiple of three."""
    text = _b64(filling.join(pieces) + filling, newline=False).translate(URLSAFE).decode()
    step = len(text) // len(pieces)
    return [text[at : at + characters] for at in range(0, len(text), step)]


def _salt_texts(fresh: bytes, count: int) -> list[str]:
    """All salts in base64url."""
    salts = [fresh[at : at + SALT_BYTES] for at in range(0, SALT_BYTES * count, SALT_BYTES)]
    return _base64_of(salts, SALT_CHARACTERS, b"\0\0")


def _outside(data: bytes, blobs: dict[str, bytes]) -> tuple[dict[str, Any], bytes]:
    digest = digest_bytes(data)
    blobs[digest] = data
    reference = {"blob": digest, "size": len(data)}
    return reference, _encode(reference)


def _own_blobs(blobs: Mapping[str, bytes]) -> dict[str, bytes]:
    for digest, data in blobs.items():
        if digest_bytes(data) != digest:
            raise DraftMalformed(f"The blob named {digest[:80]!r} has the digest {digest_bytes(data)}.")
    return dict(blobs)


def _check_name(name: str) -> None:
    """Raises `DraftMalformed` for a field's name that an entry can't carry. Good ones are remembered: they come from the program."""
    if (
        not isinstance(name, str)
        or not name.isascii()
        or not name.isprintable()
        or not 0 < len(name) <= MAX_NAME
    ):
        raise DraftMalformed(
            f"A field's name is 1 to {MAX_NAME} printable ASCII characters; {str(name)[:80]!r} is not."
        )
    if name in _RESERVED:
        raise DraftMalformed(f"The field name {name!r} is reserved (RFC 9901 §4.1).")
    if len(_names) < _CACHED:
        _names.add(name)


def _session(session: str) -> bytes:
    known = _sessions.get(session)
    if known:
        return known
    check_session(session)
    if len(_sessions) >= _CACHED:
        _sessions.clear()
    quoted = _sessions[session] = _encode(session)
    return quoted


def check_session(session: str) -> None:
    """Raises `DraftMalformed` for a session id that a leaf can't carry."""
    if not session.isascii() or not session.isprintable() or not 0 < len(session) <= MAX_SESSION:
        raise DraftMalformed(
            f"A session id is 1 to {MAX_SESSION} printable ASCII characters; {session[:80]!r} is not."
        )


def read_header(leaf: bytes) -> Header:
    """The members of a leaf. Raises `UnknownVersion`, `UnknownType`, `EntryMalformed`."""
    return _checked(leaf, _decode_header)


def read_place(leaf: bytes) -> Place:
    """Where a leaf stands, without its digests. Raises as `read_header`."""
    return _checked(leaf, _decode_place)


_H = TypeVar("_H", Header, Place)


def _checked(leaf: bytes, decode: Callable[[bytes], _H]) -> _H:
    try:
        header = decode(leaf)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        _check_version(leaf)
        raise EntryMalformed(f"The leaf is not an entry: {error}.") from error
    if header.v != VERSION:
        _check_version(leaf)
    if header.type not in ENTRY_TYPES:
        raise UnknownType(
            f"Entry {header.index} has the type {header.type[:80]!r}, which this version does not know."
        )
    return header


def read_strictly(leaf: bytes) -> Header:
    """As `read_header`, and the leaf's bytes are the one canonical form with sorted, well-formed, distinct digests."""
    header = read_header(leaf)
    if len(leaf) > MAX_LEAF_BYTES or _encode(_members(header)) != leaf:
        raise EntryMalformed(f"The leaf of entry {header.index} is not in its one canonical form.")
    if header._sd_alg != "sha-256":
        raise EntryMalformed(f"Entry {header.index} names the digest algorithm {header._sd_alg[:40]!r}.")
    if (header.session is None) != (header.n is None):
        raise EntryMalformed(
            f"Entry {header.index} has a session without a number or a number without a session."
        )
    digests = header._sd
    if list(digests) != sorted(set(digests)):
        raise EntryMalformed(f"The digests of entry {header.index} are not sorted and distinct.")
    if not {DIGEST_CHARACTERS}.issuperset(map(len, digests)):
        raise EntryMalformed(f"Entry {header.index} has a digest that is not 43 characters of base64url.")
    if header.index < 0 or header.time < 0 or (header.n is not None and header.n < 1):
        raise EntryMalformed(f"Entry {header.index} has a negative number where none belongs.")
    return header


def read_disclosure(text: str) -> Disclosure:
    """One disclosure opened. Raises `EntryMalformed`."""
    data = text.encode("ascii", "replace")
    try:
        decoded = binascii.a2b_base64(data.translate(_STANDARD) + b"=" * (-len(data) % 4), strict_mode=True)
        item = values.decode(decoded)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise EntryMalformed("A disclosure is not base64url of JSON.") from error
    if not (
        isinstance(item, list) and len(item) == 3 and isinstance(item[0], str) and isinstance(item[1], str)
    ):
        raise EntryMalformed("A disclosure is not [salt, name, value].")
    return Disclosure(item[0], item[1], item[2], digest_of(data))


def digest_of(disclosure: bytes) -> str:
    """The digest of a disclosure (ASCII) as it stands in a leaf."""
    return _b64(sha256(disclosure).digest(), newline=False)[:DIGEST_CHARACTERS].translate(URLSAFE).decode()


def disclosures_of(stored: bytes) -> tuple[str, ...]:
    """The disclosure strings of the stored JSON array, without the marks of erased fields. Raises `EntryMalformed`."""
    found = _strings(stored)
    return tuple(text for text in found if text[:1] != MARK) if _MARKED in stored else found


def erased_of(stored: bytes) -> tuple[str, ...]:
    """Names of the fields that were erased. Raises `EntryMalformed`."""
    if _MARKED not in stored:
        return ()
    return tuple(text[1:] for text in _strings(stored) if text[:1] == MARK)


def _strings(stored: bytes) -> tuple[str, ...]:
    try:
        return _decode_strings(stored)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise EntryMalformed("The disclosures are not a JSON array of text.") from error


def open_fields(header: Header, disclosures: Sequence[str]) -> dict[str, Any]:
    """The disclosed fields of an entry; withheld ones are absent.

    Raises `EntryMalformed` for a disclosure that the leaf does not commit to, or a name disclosed twice.
    """
    if not disclosures:
        return {}
    fields: dict[str, Any] = {}
    committed = set(header._sd)
    for text in disclosures:
        one = read_disclosure(text)
        if one.digest not in committed:
            raise EntryMalformed(
                f"Entry {header.index} has a disclosure of {one.name[:80]!r} that its leaf does not commit to."
            )
        if one.name in fields:
            raise EntryMalformed(f"Entry {header.index} discloses {one.name[:80]!r} twice.")
        fields[one.name] = one.value
    return fields


def read(stored: StoredEntry) -> Entry:
    """A stored entry opened and checked against itself. Raises `UnknownVersion`, `UnknownType`, `EntryMalformed`."""
    header = read_strictly(stored.leaf)
    found = (header.index, header.time, header.type, header.session, header.n)
    beside = (stored.index, stored.time, stored.type, stored.session, stored.n)
    if found != beside:
        raise EntryMalformed(f"Entry {stored.index}: the leaf says {found}, the store beside it {beside}.")
    disclosures = disclosures_of(stored.disclosures)
    fields = open_fields(header, disclosures)
    erased = tuple(name for name in erased_of(stored.disclosures) if name not in fields)
    for name in erased:
        fields[name] = stand_in(header.type, name, fields)
    return Entry(
        header.index,
        header.time,
        header.type,
        stored.leaf,
        disclosures,
        fields,
        header.session,
        header.n,
        erased,
    )


def _members(header: Header) -> dict[str, Any]:
    members: dict[str, Any] = {
        "_sd": header._sd,
        "_sd_alg": header._sd_alg,
        "index": header.index,
        "time": header.time,
        "type": header.type,
        "v": header.v,
    }
    if header.session is not None:
        members["session"] = header.session
    if header.n is not None:
        members["n"] = header.n
    return members


def _check_version(leaf: bytes) -> None:
    """Say so when the leaf is of another version: a better word than malformed."""
    try:
        members = values.decode(leaf)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return
    if isinstance(members, dict) and "v" in members and members["v"] != VERSION:
        where = members.get("index", "?")
        raise UnknownVersion(
            f"Entry {where} has format version {str(members['v'])[:40]}; this program reads version {VERSION}."
        )


__all__ = [
    "Disclosure",
    "Header",
    "Made",
    "digest_of",
    "disclosures_of",
    "make",
    "open_fields",
    "read",
    "read_disclosure",
    "read_header",
    "read_place",
    "read_strictly",
]
