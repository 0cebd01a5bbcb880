"""One stretch of the log as a pack takes it: checked, with what is withheld left out, and as rows. Several processes read several.

Rules kept here:

- Every leaf stays whole. A disclosure goes into the pack if its leaf commits to it and nobody withholds it; what was erased has none.
- Rows are made of what the pack discloses, and of nothing else: `verify.py` makes the same ones of the same fields.
- A blob goes into the pack if a disclosed field stands for it (`{"blob", "size"}`), or an entry that may bring contents names it in
  one, unless a withheld field stands for it.
"""

from __future__ import annotations

import binascii
import ctypes
import gc
import marshal
import re
import signal
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from zlib import crc32

import msgspec
from msgspec import Struct

from keyturn.evidence.log_reading import Log
from keyturn.evidence.program import tables
from keyturn.evidence.program.checks import fields_of
from keyturn.evidence.program.rows import MAKERS, rows
from keyturn.evidence.withholding import WITHHELD, is_open, is_withheld
from keyturn.ledger import leaf, tiles
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.leaf import DIGEST_CHARACTERS, URLSAFE
from keyturn.ledger.merkle import leaf_hash
from keyturn.ledger.storage import StoredEntry
from keyturn.ledger.tiles import WIDTH

NAME_AT = 27
"""Where a disclosure's name begins: after `["`, a salt of 22 characters, `","`."""
MARK_AT, MARK_END = 36, 40
"""Where that is in base64, and the end of its first three bytes."""
MARK_BEFORE = b"Iiwi"
"""What stands before: `","` in base64."""
SHORTEST_APART, LONGEST_APART = 160, 270
"""Characters of a disclosure whose value stands for a blob: 64 of a digest, a size, a name of at most 64, and what is around."""
FREQUENT = frozenset(
    {
        "action.decided",
        "action.receipt",
        "action.started",
        "permit.issued",
        "permit.consumed",
        "gate.heartbeat",
    }
)
"""Types that bring no contents of their own, so that the digests they name are not looked up."""
REMEMBERED = 4_096
"""Values that are decoded once: readings and decisions are recorded again and again."""
SHORT = 64
PR_SET_PDEATHSIG = 1
"""prctl(2)."""
_STANDARD = bytes.maketrans(b"-_", b"+/")
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_APART = re.compile(rb'"blob":"(sha256:[0-9a-f]{64})"')
_decode = msgspec.json.Decoder().decode


class Piece(Struct, frozen=True, array_like=True, gc=False):
    """A file's content, with its checksum and SHA-256 (hexadecimal)."""

    data: bytes
    crc: int
    sha256: str


class Bundle(Struct, frozen=True, array_like=True, gc=False):
    """256 entries, or fewer at the end of the log: leaves, disclosures, the leaves' hashes, and their root where there are 256."""

    entries: Piece
    disclosures: Piece
    hashes: Piece
    root: bytes


class Span(Struct, frozen=True, array_like=True):
    """What one stretch of the log gave. `rows`: marshalled list of (table, values). `time`: of its last entry.

    Digests of blobs: those that disclosed fields stand for (`apart`), that they name, and that withheld fields stand for (`closed`).
    `files`: those of the last policy that was published in it (path → digest), None where none was.
    """

    bundles: list[Bundle]
    rows: bytes
    time: int
    files: dict[str, str] | None
    apart: set[str]
    named: set[str]
    closed: set[str]


class _Plan(Struct, frozen=True):
    """How entries of one type are read: the first bytes of names that are looked at, the fields of rows, and what is withheld."""

    marks: frozenset[bytes]
    wanted: frozenset[str]
    withheld: frozenset[str]


def piece(data: bytes) -> Piece:
    """*data* with its checksums."""
    return Piece(data, crc32(data), sha256(data).hexdigest())


class Reader:
    """Reads stretches of one log, of which *size* entries count, disclosing all of it (*whole*) or what auditors are shown."""

    def __init__(self, log: Log, size: int, whole: bool) -> None:
        self._log = log
        self._size = size
        self._whole = whole
        self._names: dict[bytes, str] = {}
        self._values: dict[bytes, Any] = {}
        self._plans: dict[str, _Plan] = {}
        self._rows: list[tuple[str, tuple[Any, ...]]] = []
        self._blobs: tuple[set[str], set[str], set[str]] = (set(), set(), set())
        self._files: dict[str, str] | None = None
        self._time = 0

    def read(self, first: int, end: int) -> Span:
        """Bundles *first* to *end* (exclusive). Raises `LedgerDamaged`, `EntryMalformed` and what a reader of leaves raises."""
        self._rows, self._blobs, self._files = [], (set(), set(), set()), None
        bundles: list[Bundle] = []
        leaves: list[bytes] = []
        lines: list[bytes] = []
        expected, last = first * WIDTH, min(end * WIDTH, self._size)
        for stored in self._log.entries(expected, last):
            if stored.index != expected:
                raise LedgerDamaged(f"Entry {expected} is missing.")
            expected += 1
            leaves.append(stored.leaf)
            lines.append(self._entry(stored))
            if len(leaves) == WIDTH or expected == last:
                hashes = b"".join(map(leaf_hash, leaves))
                text = b"".join([line + b"\n" for line in lines])
                root = tiles.root_of_hashes(hashes) if len(leaves) == WIDTH else b""
                bundles.append(Bundle(piece(tiles.bundle(leaves)), piece(text), piece(hashes), root))
                leaves, lines = [], []
        if expected != last:
            raise LedgerDamaged(f"Entry {expected} is missing.")
        return Span(bundles, marshal.dumps(self._rows), self._time, self._files, *self._blobs)

    def _entry(self, stored: StoredEntry) -> bytes:
        """The line of the entry's disclosures. Its rows and blobs are kept."""
        header = leaf.read_header(stored.leaf)
        kind = header.type
        if header.index != stored.index:
            raise LedgerDamaged(f"Entry {stored.index} is numbered {header.index} in its leaf.")
        texts = _committed(stored, header)
        fields, kept = self._quickly(kind, texts) if kind in FREQUENT else self._thoroughly(kind, texts)
        opened = tables.opened(fields, self._apart)
        at = (header.index, header.time, kind, header.session, header.n, len(header._sd))
        self._rows += rows(at, opened)
        self._time = header.time
        if kind == "policy.published":
            self._files = opened.get("files") or {}
        if not kept:
            return b"[]"
        if len(kept) == len(texts) and b"~" not in stored.disclosures:
            return stored.disclosures
        return b'["' + b'","'.join(kept) + b'"]'

    def _quickly(self, kind: str, texts: list[bytes]) -> tuple[dict[Any, Any], list[bytes]]:
        """The disclosed fields and disclosures of an entry of a frequent type: only what rows are made of is opened.

        What is not opened stands under its own disclosure, since it counts. Each name's first bytes are at one place, as the salts are
        22 characters long; what may stand for a blob is of a certain length.
        """
        plan = self._plans.get(kind) or self._planned(kind)
        fields: dict[Any, Any] = {}
        kept = []
        for text in texts:
            short = SHORTEST_APART <= len(text) <= LONGEST_APART
            if text[MARK_AT:MARK_END] in plan.marks or short or text[MARK_AT - 4 : MARK_AT] != MARK_BEFORE:
                name, data = self._named(text)
                if name in plan.withheld or (
                    name == "action" and plan.withheld and is_withheld(kind, name, _decode(data))
                ):
                    if short:
                        self._blobs[2].update(digest.decode() for digest in _APART.findall(data))
                    continue
                if name in fields:
                    raise LedgerDamaged(f"An entry of the type {kind} discloses {name[:64]!r} twice.")
                fields[name] = self._value(data) if name in plan.wanted else None
                if short:
                    self._blobs[0].update(digest.decode() for digest in _APART.findall(data))
            else:
                fields[text] = None
            kept.append(text)
        return fields, kept

    def _planned(self, kind: str) -> _Plan:
        withheld = frozenset(name for name in WITHHELD if is_withheld(kind, name, ""))
        if self._whole or is_open(kind):
            withheld = frozenset()
        wanted = fields_of(kind) if kind in MAKERS else frozenset()
        looked = wanted | (withheld | {"action"} if withheld else withheld)
        marks = frozenset(binascii.b2a_base64(f'{name}",'.encode()[:3], newline=False) for name in looked)
        plan = self._plans[kind] = _Plan(
            frozenset(mark.translate(URLSAFE) for mark in marks), wanted, withheld
        )
        return plan

    def _thoroughly(self, kind: str, texts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """The disclosed fields and disclosures of any entry, with all that they name."""
        found = [(*self._named(text), text) for text in texts]
        if len({name for name, _, _ in found}) != len(found):
            raise LedgerDamaged(f"An entry of the type {kind} discloses a field twice.")
        if not self._whole:
            found = self._shown(kind, found)
        self._note(kind, [data for _, data, _ in found])
        return {name: self._value(data) for name, data, _ in found}, [text for _, _, text in found]

    def _named(self, text: bytes) -> tuple[str, bytes]:
        """Name and value (JSON) of a disclosure."""
        data = binascii.a2b_base64(text.translate(_STANDARD) + b"==")
        end = data.find(b'"', NAME_AT)
        quoted = data[NAME_AT:end]
        name = self._names.get(quoted)
        usual = data[24:NAME_AT] == b'","' and data[end : end + 2] == b'",'
        if name is not None and usual:
            return name, data[end + 2 : -1]
        name, value = self._slowly(text)
        if usual and quoted == name.encode():
            self._names[quoted] = name
        return name, value

    @staticmethod
    def _slowly(text: bytes) -> tuple[str, bytes]:
        """Name and value of a disclosure whose name was not met before, or that is written in another way."""
        one = leaf.read_disclosure(text.decode("ascii", "replace"))
        return one.name, msgspec.json.encode(one.value)

    def _shown(self, kind: str, found: list[tuple[str, bytes, bytes]]) -> list[tuple[str, bytes, bytes]]:
        """What of it nobody withholds."""
        subject = next((_decode(data) for name, data, _ in found if name == "subject"), None)
        if is_open(kind, subject if kind == "request.opened" else None):
            return found
        kept = []
        for one in found:
            name, data, _ = one
            if name in WITHHELD and (name != "action" or is_withheld(kind, name, _decode(data))):
                self._blobs[2].update(digest.decode() for digest in _APART.findall(data))
            else:
                kept.append(one)
        return kept

    def _note(self, kind: str, disclosed: list[bytes]) -> None:
        """Which blobs these values stand for and name."""
        apart, named, _ = self._blobs
        for data in disclosed:
            if b"sha256:" in data:
                apart.update(digest.decode() for digest in _APART.findall(data))
                if kind not in FREQUENT:
                    named.update(digest.decode() for digest in _DIGEST.findall(data))

    def _value(self, data: bytes) -> Any:
        if len(data) < SHORT:
            return _decode(data)
        known = self._values.get(data)
        if known is None:
            if len(self._values) >= REMEMBERED:
                self._values.clear()
            known = self._values[data] = _decode(data)
        return known

    def _apart(self, digest: str) -> Any:
        """The value that lies in a blob; None when it is not there or is none."""
        data = self._log.blob(digest)
        if data is None:
            return None
        try:
            return _decode(data)
        except (msgspec.DecodeError, UnicodeError):
            return None


def _committed(stored: StoredEntry, header: leaf.Header) -> list[bytes]:
    """The entry's disclosures, each committed to by its leaf, without the marks of erased fields."""
    given = stored.disclosures
    if given == b"[]":
        return []
    texts = given[2:-2].split(b'","')
    if b"~" in given:
        texts = [text for text in texts if text[:1] != b"~"]
    # a zero byte behind each digest makes each 44 characters, so that one call encodes all of them
    digests = b"\0".join([sha256(text).digest() for text in texts]) + b"\0"
    joined = binascii.b2a_base64(digests, newline=False).translate(URLSAFE).decode()
    found = {joined[at : at + DIGEST_CHARACTERS] for at in range(0, 44 * len(texts), 44)}
    if len(found) != len(texts) or not found <= set(header._sd):
        raise LedgerDamaged(f"Entry {stored.index} has a disclosure that its leaf does not commit to.")
    return texts


Opener = Callable[[], Log]
"""Opens the log for reading, in whichever process calls it."""
_reader: list[Reader] = []


def begin(opener: Opener, size: int, whole: bool) -> None:
    """What a process does first that is going to read spans. It ends with the one that started it, which also answers to Ctrl-C."""
    gc.disable()  # nothing here is in a circle, and looking for circles among a million rows takes longer than all else
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _reader[:] = [Reader(opener(), size, whole)]


def read(first: int, end: int) -> Span:
    """Bundles *first* to *end*, in a process that has begun."""
    return _reader[0].read(first, end)


__all__ = ["Bundle", "Opener", "Piece", "Reader", "Span", "begin", "piece", "read"]
