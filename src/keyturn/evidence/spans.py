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
import re
import signal
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from keyturn.evidence.archive_writing import Records, Stored
from keyturn.evidence.log_reading import Log
from keyturn.evidence.program import tables
from keyturn.evidence.program.checks import fields_of
from keyturn.evidence.program.rows import MAKERS, rows
from keyturn.evidence.program.sheets import Sheets
from keyturn.evidence.withholding import WITHHELD, is_open, is_withheld
from keyturn.ledger import leaf, tiles
from keyturn.ledger.errors import LedgerDamaged
from keyturn.ledger.leaf import DIGEST_CHARACTERS, URLSAFE
from keyturn.ledger.merkle import leaf_hash
from keyturn.ledger.storage import StoredEntry
from keyturn.ledger.tiles import WIDTH, tile_path

NAME_AT = 27
"""Where a disclosure's name begins: after `["`, a salt of 22 characters, `","`."""
KNOWN_AT, MARK_AT, MARK_END = 32, 36, 40
"""Where that is in base64, and the end of its first three bytes. From the first of these on, a disclosure has no salt."""
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
OWN = frozenset(
    {"action", "call", "digest", "id", "instruction", "number", "permit", "ran", "request", "since"}
)
"""Fields that have another value each time: it is no use to remember them."""
SEEN_BYTES = 1 << 22
"""Of names with values that are opened once: readings and decisions are recorded again and again. A longer one is no field's."""
LONGEST_SEEN = 8_192
PR_SET_PDEATHSIG = 1
"""prctl(2)."""
_STANDARD = bytes.maketrans(b"-_", b"+/")
_DIGEST = re.compile(rb"sha256:[0-9a-f]{64}")
_APART = re.compile(rb'"blob":"(sha256:[0-9a-f]{64})"')
_decode = msgspec.json.Decoder().decode


class Written(Struct, frozen=True, array_like=True, gc=False):
    """A file of the pack among the records of a span, with the SHA-256 of its content (hexadecimal)."""

    stored: Stored
    sha256: str


class Span(Struct, frozen=True, array_like=True):
    """What one stretch of the log gave: files beside `base`, which `tables` and `sheet_path` name, and this.

    `first`: its first bundle, by which whoever read it places the records of `files` in the pack. `time`: of its last entry.
    `hashes`: of each bundle those of its leaves, and their root where there are 256.
    Digests of blobs: those that disclosed fields stand for (`apart`), that they name, and that withheld fields stand for (`closed`).
    `policy`: files of the last policy that was published in it (path → digest), None where none was.
    """

    first: int
    base: str
    files: list[Written]
    hashes: list[tuple[bytes, bytes]]
    time: int
    policy: dict[str, str] | None
    apart: set[str]
    named: set[str]
    closed: set[str]

    @property
    def tables(self) -> Path:
        """The rows, as `keyturn.evidence.program.tables.Tables`."""
        return Path(f"{self.base}.tables")


class _Plan(Struct, frozen=True):
    """How entries of one type are read: the first bytes of names that are looked at, the fields of rows, and what is withheld.

    `alone`: name as it is written → the name, and whether the pack discloses it, of fields that have another value each time.
    `seen`: what follows a disclosure's salt → its name, its value if rows are made of it, the blob that it stands for, whether the
    pack discloses it.
    """

    marks: frozenset[bytes]
    wanted: frozenset[str]
    withheld: frozenset[str]
    alone: dict[bytes, tuple[str, bool]]
    seen: dict[bytes, tuple[str, Any, str, bool]]


class _Heard:
    """A field that a disclosure names: its value as it is written, the blobs that it stands for, and all digests in it."""

    __slots__ = ("_data", "_read", "_value", "name", "names", "stands")

    def __init__(self, name: str, data: bytes) -> None:
        self.name, self._data, self._value, self._read = name, data, None, False
        digests = b"sha256:" in data
        self.stands = [digest.decode() for digest in _APART.findall(data)] if digests else []
        self.names = [digest.decode() for digest in _DIGEST.findall(data)] if digests else []

    @property
    def value(self) -> Any:
        """The JSON value. Raises `msgspec.DecodeError`."""
        if not self._read:
            self._value, self._read = _decode(self._data), True
        return self._value


class Reader:
    """Reads stretches of one log, of which *size* entries count, disclosing all of it (*whole*) or what auditors are shown.

    What is large goes into files of *folder*.
    """

    def __init__(self, log: Log, size: int, whole: bool, folder: str) -> None:
        self._log = log
        self._size = size
        self._whole = whole
        self._folder = folder
        self._names: dict[bytes, str] = {}
        self._plans: dict[str, _Plan] = {}
        self._seen_bytes = 0
        self._heard: dict[bytes, _Heard] = {}
        self._heard_bytes = 0
        self._rows: list[tuple[str, tuple[Any, ...]]] = []
        self._blobs: tuple[set[str], set[str], set[str]] = (set(), set(), set())
        self._policy: dict[str, str] | None = None
        self._time = 0
        self._records: dict[int, Records] = {}

    def read(self, first: int, end: int) -> Span:
        """Bundles *first* to *end* (exclusive), whose records stay here until `place`.

        Raises `LedgerDamaged`, `EntryMalformed` and what a reader of leaves raises.
        """
        self._rows, self._blobs, self._policy = [], (set(), set(), set()), None
        base = f"{self._folder}/span-{first}"
        span, records = Span(first, base, [], [], 0, None, *self._blobs), Records()
        made, sheets = tables.Tables(span.tables), Sheets(base)
        try:
            made.insert(self._bundles(span, records, first, end), sheets)
        finally:
            sheets.close()
            made.close()
        self._records[first] = records
        return replace(span, time=self._time, policy=self._policy)

    def place(self, first: int, archive: str, offset: int) -> None:
        """The records of the stretch that begins with bundle *first* go into the file *archive*, from *offset* on."""
        self._records.pop(first).place(archive, offset)

    def _bundles(
        self, span: Span, records: Records, first: int, end: int
    ) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
        """The rows of each bundle, whose files are written."""
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
                _write(span, records, (expected - 1) // WIDTH, leaves, lines)
                yield self._rows
                self._rows, leaves, lines = [], [], []
        if expected != last:
            raise LedgerDamaged(f"Entry {expected} is missing.")

    def _entry(self, stored: StoredEntry) -> bytes:
        """The line of the entry's disclosures. Its rows and blobs are kept."""
        header = leaf.read_header(stored.leaf)
        kind = header.type
        if header.index != stored.index:
            raise LedgerDamaged(f"Entry {stored.index} is numbered {header.index} in its leaf.")
        texts = _committed(stored, header)
        fields, kept = self._quickly(kind, texts) if kind in FREQUENT else self._thoroughly(kind, texts)
        at = (header.index, header.time, kind, header.session, header.n, len(header._sd))
        self._rows += rows(at, fields, len(kept))
        self._time = header.time
        if kind == "policy.published":
            self._policy = fields.get("files") or {}
        if not kept:
            return b"[]"
        if len(kept) == len(texts) and b"~" not in stored.disclosures:
            return stored.disclosures
        return b'["' + b'","'.join(kept) + b'"]'

    def _quickly(self, kind: str, texts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """The disclosed fields of rows, and the disclosures, of an entry of a frequent type: nothing else is opened.

        Each name's first bytes are at one place, as the salts are 22 characters long; what may stand for a blob is of a certain length.
        What follows the salt has the same letters each time, so that it is known when it was seen before.
        """
        plan = self._plans.get(kind) or self._planned(kind)
        seen = plan.seen
        fields: dict[str, Any] = {}
        apart = False
        kept, looked = [], 0
        for text in texts:
            name, value, blob, shown = seen.get(text[KNOWN_AT:]) or self._opened(kind, plan, text)
            if shown:
                kept.append(text)
                if name:
                    fields[name] = value
                    looked += 1
            if blob:
                apart |= shown
                self._blobs[0 if shown else 2].add(blob)
        if len(fields) != looked:
            raise LedgerDamaged(f"An entry of the type {kind} discloses a field twice.")
        return tables.Fields(fields, self._apart) if apart else fields, kept

    def _opened(self, kind: str, plan: _Plan, text: bytes) -> tuple[str, Any, str, bool]:
        """A disclosure that was not seen before: as `_Plan.seen` has it."""
        may_stand = SHORTEST_APART <= len(text) <= LONGEST_APART
        usual = text[KNOWN_AT:MARK_AT] == MARK_BEFORE
        if usual and not may_stand:
            if text[MARK_AT:MARK_END] not in plan.marks:
                return self._remember(plan, text, ("", None, "", True))
            data = binascii.a2b_base64(text[MARK_AT:].translate(_STANDARD) + b"==")
            end = data.find(b'"')
            known = plan.alone.get(data[:end])
            if known is not None and data[end : end + 2] == b'",':
                name, shown = known
                value = _decode(data[end + 2 : -1]) if shown else None
                if name != "action" or not plan.withheld or not is_withheld(kind, name, value):
                    return name, value, "", shown
        name, data = self._named(text)
        shown = name not in plan.withheld
        if name == "action" and plan.withheld and shown:
            shown = not is_withheld(kind, name, _decode(data))
        found = _APART.search(data) if may_stand else None
        value = _decode(data) if name in plan.wanted and shown else None
        one = (name, value, found[1].decode() if found else "", shown)
        return self._remember(plan, text, one) if usual else one

    def _remember(
        self, plan: _Plan, text: bytes, one: tuple[str, Any, str, bool]
    ) -> tuple[str, Any, str, bool]:
        """*one*, which is what *text* is without its salt; what nobody will ask for again is not kept for long."""
        if len(text) <= (LONGEST_SEEN if one[3] else LONGEST_APART):
            self._seen_bytes += len(text)
            if self._seen_bytes > SEEN_BYTES:
                for each in self._plans.values():
                    each.seen.clear()
                self._seen_bytes = len(text)
            plan.seen[text[KNOWN_AT:]] = one
        return one

    def _planned(self, kind: str) -> _Plan:
        withheld = frozenset(name for name in WITHHELD if is_withheld(kind, name, ""))
        if self._whole or is_open(kind):
            withheld = frozenset()
        wanted = fields_of(kind) if kind in MAKERS else frozenset()
        looked = wanted | (withheld | {"action"} if withheld else withheld)
        marks = frozenset(binascii.b2a_base64(f'{name}",'.encode()[:3], newline=False) for name in looked)
        plan = self._plans[kind] = _Plan(
            frozenset(mark.translate(URLSAFE) for mark in marks),
            wanted,
            withheld,
            {name.encode(): (name, name not in withheld) for name in OWN & looked},
            {},
        )
        return plan

    def _thoroughly(self, kind: str, texts: list[bytes]) -> tuple[dict[str, Any], list[bytes]]:
        """The disclosed fields and disclosures of any entry, and all that they name is noted."""
        found = [(self._hear(text), text) for text in texts]
        if len({one.name for one, _ in found}) != len(found):
            raise LedgerDamaged(f"An entry of the type {kind} discloses a field twice.")
        if not self._whole:
            found = self._shown(kind, found)
        apart, named, _ = self._blobs
        for one, _ in found:
            apart.update(one.stands)
            named.update(one.names)
        fields = {one.name: one.value for one, _ in found}
        return tables.opened(fields, self._apart), [text for _, text in found]

    def _hear(self, text: bytes) -> _Heard:
        """What a disclosure says: what follows its salt has the same letters each time, and is read once."""
        known = self._heard.get(text[KNOWN_AT:])
        if known is None:
            known = _Heard(*self._named(text))
            if text[KNOWN_AT:MARK_AT] == MARK_BEFORE and len(text) <= LONGEST_SEEN:
                self._heard_bytes += len(text)
                if self._heard_bytes > SEEN_BYTES:
                    self._heard.clear()
                    self._heard_bytes = len(text)
                self._heard[text[KNOWN_AT:]] = known
        return known

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

    def _shown(self, kind: str, found: list[tuple[_Heard, bytes]]) -> list[tuple[_Heard, bytes]]:
        """What of it nobody withholds."""
        subject = next((one.value for one, _ in found if one.name == "subject"), None)
        if is_open(kind, subject if kind == "request.opened" else None):
            return found
        kept = []
        for one, text in found:
            name = one.name
            if name in WITHHELD and (name != "action" or is_withheld(kind, name, one.value)):
                self._blobs[2].update(one.stands)
            else:
                kept.append((one, text))
        return kept

    def _apart(self, digest: str) -> Any:
        """The value that lies in a blob; None when it is not there or is none."""
        data = self._log.blob(digest)
        if data is None:
            return None
        try:
            return _decode(data)
        except (msgspec.DecodeError, UnicodeError):
            return None


def _write(span: Span, records: Records, number: int, leaves: list[bytes], lines: list[bytes]) -> None:
    """The files of a bundle: leaves, disclosures, and the leaves' hashes."""
    width = len(leaves)
    hashes = b"".join(map(leaf_hash, leaves))
    text = b"".join([line + b"\n" for line in lines])
    for path, data in (
        (tile_path("entries", number, width), tiles.bundle(leaves)),
        (tile_path("disclosures", number, width), text),
        (tile_path(0, number, width), hashes),
    ):
        span.files.append(Written(records.add(f"log/{path}", data), sha256(data).hexdigest()))
    span.hashes.append((hashes, tiles.root_of_hashes(hashes) if width == WIDTH else b""))


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


def begin(opener: Opener, size: int, whole: bool, folder: str) -> None:
    """What a process does first that is going to read spans. It ends with the one that started it, which also answers to Ctrl-C."""
    gc.disable()  # nothing here is in a circle, and looking for circles among a million rows takes longer than all else
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _reader[:] = [Reader(opener(), size, whole, folder)]


def read(first: int, end: int) -> Span:
    """Bundles *first* to *end*, in a process that has begun."""
    return _reader[0].read(first, end)


def place(first: int, archive: str, offset: int) -> None:
    """What was read from bundle *first* on goes into the pack, in the process that read it."""
    _reader[0].place(first, archive, offset)


__all__ = ["Opener", "Reader", "Span", "Written", "begin", "place", "read"]
