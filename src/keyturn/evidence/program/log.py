"""The log: its signed checkpoint, each leaf, each tile, each disclosure and blob (docs/reference/ledger-format.md).

What it checks (RFC 6962 §2.1, RFC 9901 §4.2, C2SP signed-note, tlog-checkpoint, tlog-tiles):

 1. The checkpoint is signed by the log's key; the root over all leaves is the one that it states.
 2. Each stored tile is what the leaves give; nothing is missing and nothing lies outside of the tree.
 3. Each leaf is in its one canonical form, at its own index, not older than the one before.
 4. Each session numbers its entries from 1 without gap or repeat, and closes with its own count.
 5. Each disclosure is one that its leaf commits to, once. Each blob has the digest that it is named by.
 6. Each earlier head that somebody kept elsewhere (--head) is a beginning of this log.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import os
import re
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, List, Optional, Set, Tuple

from keyturn.evidence.program.archive import NAME, Archive, Damaged, Unreadable
from keyturn.evidence.program.columns import (
    FROM_URL,
    LETTERS,
    QUOTES,
    TO_URL,
    Columns,
    columns_of,
    digests_of,
)
from keyturn.evidence.verify_approvals import ed25519

TILE = 256
HASH = 32
MAX_LINES = 1 << 26
LONGEST_DISCLOSURE = 8192
"""A field of 4,096 bytes with its salt, name and quotes, in base64, and room."""
MAX_NOTE = 1_000_000
MAX_BLOB = 1 << 28
NAMED = 50
MAX_MISSING = 1000

_sha256 = hashlib.sha256
_HEADER = re.compile(
    rb'\],"_sd_alg":"sha-256","index":(0|[1-9][0-9]{0,15})'
    rb'(?:,"n":([1-9][0-9]{0,15}),"session":("(?:[ !#-\[\]-~]|\\["\\]){1,128}"))?'
    rb',"time":(0|[1-9][0-9]{0,15}),"type":"([a-z]+(?:\.[a-z]+)+)","v":1\}\Z'
)
_NAMES = ("action", "call", "digest", "id", "number", "permit", "ran", "request", "since")
_ONE = rb'(%s)",(?:"([ !#-\[\]-~]*)"|(0|[1-9][0-9]{0,14}))\]' % "|".join(_NAMES).encode()
_PLAIN = re.compile(_ONE + rb"\Z")
"""What follows the salt of a field that has another value each time, where that is written plainly: it is no use to remember it."""
_PIECES = re.compile(rb"(?:" + _ONE + rb"(?=\0)|[^\0]+)(\0+)")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")


# --- files -------------------------------------------------------------------------------------------------------


class PackFiles:
    """The log inside of a pack."""

    def __init__(self, archive: Archive, prefix: str = "log/") -> None:
        self._archive, self._prefix = archive, prefix

    def reopen(self) -> None:
        """For a process that was forked off."""
        self._archive.reopen()

    def names(self) -> list[str]:
        """All files of the log."""
        return [name[len(self._prefix) :] for name in self._archive.names(self._prefix)]

    def read(self, name: str, limit: int) -> bytes:
        """A file's content. Raises `Damaged`."""
        return self._archive.read(self._prefix + name, limit)


class FolderFiles:
    """An exported log in a folder."""

    def __init__(self, base: str) -> None:
        self._base = base

    def reopen(self) -> None:
        """Nothing is held open."""

    def names(self) -> list[str]:
        """All files below the folder, with clean names; others are damage, as are links and devices."""
        found = []
        try:
            for place, folders, files in os.walk(self._base, onerror=_give_up):
                # an empty folder may lie in a file's place
                for file in files or ([] if folders else [""]):
                    name = os.path.relpath(os.path.join(place, file), self._base).replace(os.sep, "/")
                    if not NAME.match(name):
                        raise Damaged("There is a file with a strange name: %s" % ascii(name[:80]), "folder")
                    found.append(name)
        except OSError as error:
            raise Unreadable("%s can't be read: %s" % (error.filename, error.strerror)) from None
        return sorted(found)

    def read(self, name: str, limit: int) -> bytes:
        """A file's content. Raises `Damaged` if it is not there, no plain file, or larger than *limit*."""
        path = os.path.join(self._base, *name.split("/"))
        try:
            known = os.lstat(path)
            if not stat.S_ISREG(known.st_mode):
                raise Damaged("It is no plain file.", name)
            if known.st_size > limit:
                raise Damaged(
                    "It has %d bytes; more than %d make no sense here." % (known.st_size, limit), name
                )
            with open(path, "rb") as file:
                return file.read(limit + 1)
        except FileNotFoundError:
            raise Damaged("It is missing.", name) from None
        except OSError as error:
            raise Unreadable("%s can't be read: %s" % (path, error.strerror)) from None


def _give_up(error: OSError) -> None:
    raise error


# --- notes -------------------------------------------------------------------------------------------------------


def strict_base64(text: str) -> bytes:
    """RFC 4648 §4 in its one form. Raises `ValueError`."""
    data = b64decode(text.encode("ascii"), validate=True)
    if b64encode(data).decode() != text:
        raise ValueError("base64 that is not in its one form")
    return data


class LogKey:
    """A log's public key under its name, from a line `<name>+<key id>+<base64(1, key)>`."""

    def __init__(self, line: str) -> None:
        name, _, rest = line.partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = strict_base64(encoded)
        except ValueError:
            raise Damaged("The log's key line can't be read.", "log.vkey") from None
        if raw[:1] != b"\1" or len(raw) != 33 or not name or any(c.isspace() or c < " " for c in name):
            raise Damaged("The log's key line is not that of an Ed25519 key.", "log.vkey")
        if _sha256(name.encode("utf-8", "replace") + b"\n" + raw).digest()[:4].hex() != key_id:
            raise Damaged("The log's key line says another key id than its key has.", "log.vkey")
        self.line, self.name, self.id, self.public = line, name, key_id, raw[1:]

    def open(self, note: bytes, where: str) -> list[str]:
        """The lines of a note that this key signed (c2sp.org/signed-note). Raises `Damaged`."""
        try:
            text = note.decode("utf-8")
        except UnicodeDecodeError:
            raise Damaged("It is not UTF-8.", where) from None
        body, gap, tail = text.rpartition("\n\n")
        if not gap or not tail.endswith("\n") or any(c < " " and c != "\n" for c in text):
            raise Damaged("It is no signed note.", where)
        good = False
        lines = tail[:-1].split("\n")
        for line in lines[:100]:
            mark, _, rest = line.partition(" ")
            name, _, encoded = rest.partition(" ")
            try:
                data = strict_base64(encoded)
            except ValueError:
                data = b""
            if mark != "\u2014" or len(data) < 5:
                raise Damaged("A signature line in it can't be read.", where)
            if name == self.name and data[:4].hex() == self.id:
                if not ed25519(self.public, data[4:], (body + "\n").encode()):
                    raise Damaged("The signature of the log's key is not over this text.", where)
                good = True
        if not good or len(lines) > 100:
            raise Damaged(
                "It is not signed by the log's key %s+%s." % (ascii(self.name)[1:-1], self.id), where
            )
        return body.split("\n")


class Head:
    """A signed tree head (c2sp.org/tlog-checkpoint): *root* over the first *size* entries."""

    def __init__(self, note: bytes, key: LogKey, where: str) -> None:
        lines = key.open(note, where)
        try:
            origin, size, root = lines[0], lines[1], strict_base64(lines[2])
        except (ValueError, IndexError):
            raise Damaged("It is no checkpoint.", where) from None
        if origin != key.name or not _DECIMAL.match(size) or len(root) != HASH or not all(lines):
            raise Damaged("It is no checkpoint of %s." % ascii(key.name)[1:-1], where)
        self.origin, self.size, self.root, self.where = origin, int(size), root, where


# --- the tree ----------------------------------------------------------------------------------------------------


def tile_name(kind: str, index: int, width: int = TILE) -> str:
    """`tile/0/x001/x234/067`, or with `.p/<width>` behind where it is partial."""
    parts = ["%03d" % (index % 1000)]
    while index >= 1000:
        index //= 1000
        parts.insert(0, "x%03d" % (index % 1000))
    return "tile/%s/%s%s" % (kind, "/".join(parts), ".p/%d" % width if width < TILE else "")


def tiles_in(size: int) -> Iterable[tuple[int, int, int]]:
    """(level, index, width) of all tiles of a tree."""
    level = 0
    while size:
        for index in range(size // TILE):
            yield level, index, TILE
        if size % TILE:
            yield level, size // TILE, size % TILE
        level, size = level + 1, size // TILE


def subtree(row: list[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    while len(row) > 1:
        row = [_sha256(b"\1" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


class Tree256:
    """The hashes of a whole log: level 1 and up in memory, the leaves' own in the tiles, which are compared with them before."""

    def __init__(self, files: Any, size: int, rows: list[bytes]) -> None:
        self._files, self.size = files, size
        self.levels: list[list[bytes]] = [[], rows]
        while len(rows) >= TILE:
            rows = [subtree(rows[at : at + TILE]) for at in range(0, len(rows) - TILE + 1, TILE)]
            self.levels.append(rows)

    def root(self, size: int) -> bytes:
        """The root over the first *size* leaves."""
        nodes, start = [], 0
        for height in range(size.bit_length() - 1, -1, -1):
            if size >> height & 1:
                nodes.append(self.node(height, start >> height))
                start += 1 << height
        root = nodes.pop() if nodes else _sha256(b"").digest()
        while nodes:
            root = _sha256(b"\1" + nodes.pop() + root).digest()
        return root

    def node(self, height: int, index: int) -> bytes:
        """The root over leaves [index * 2**height, (index + 1) * 2**height)."""
        level, inner = divmod(height, 8)
        first, count = index << inner, 1 << inner
        if level:
            return subtree(self.levels[level][first : first + count])
        at = first % TILE
        return subtree(self.leaves(first // TILE)[at : at + count])

    def leaves(self, tile: int) -> list[bytes]:
        """The leaves' hashes of a tile."""
        width = min(TILE, self.size - tile * TILE)
        data = self._files.read(tile_name("0", tile, width), TILE * HASH)
        return [data[at : at + HASH] for at in range(0, len(data), HASH)]

    def upper(self) -> Iterable[tuple[str, bytes]]:
        """(name, content) of each tile above the leaves' own."""
        for level, index, width in tiles_in(self.size):
            if level:
                rows = self.levels[level][index * TILE : index * TILE + width]
                yield tile_name(str(level), index, width), b"".join(rows)


def included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Whether *path* leads from a leaf's hash to the root (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = _sha256(b"\1" + sibling + node).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = _sha256(b"\1" + node + sibling).digest()
        at, last = at >> 1, last >> 1
    return last == 0 and node == root


# --- entries -----------------------------------------------------------------------------------------------------


def _no_constant(text: str) -> Any:
    raise ValueError("JSON has no %s" % text)


_scan: Any = json.JSONDecoder(parse_constant=_no_constant).scan_once  # type: ignore[attr-defined]


def one_value(data: bytes) -> Any:
    """The JSON value that *data* is, to the last byte. Raises `ValueError`."""
    text = data.decode("utf-8")
    try:
        value, end = _scan(text, 0)
    except (StopIteration, RecursionError):
        raise ValueError("JSON that can't be read") from None
    if end != len(text):
        raise ValueError("JSON with something behind it")
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


class Span:
    """What checking a run of bundles found; spans of one log are put together by `joined`."""

    def __init__(self) -> None:
        self.rows: list[bytes] = []
        self.sessions: dict[bytes, tuple[int, int, int, str]] = {}
        """Session as it is written in leaves → first number, last number, first entry, session."""
        self.first_time = self.last_time = 0
        self.first_index = self.entries = 0
        self.disclosures = self.withheld = self.blobs = 0
        self.damaged = 0
        self.problems: list[tuple[str, str]] = []

    def problem(self, where: str, words: str) -> None:
        """Count it; name it while there is room."""
        self.damaged += 1
        if len(self.problems) < NAMED:
            self.problems.append((where, words))

    def join(self, later: Span) -> None:
        """Put a later span behind this one."""
        for where, words in later.problems:
            self.problem(where, words)
        self.damaged += later.damaged - len(later.problems)
        if self.entries and later.entries and later.first_time < self.last_time:
            self.problem("entry %d" % later.first_index, "It is older than the entry before it.")
        for session, (first, last, index, name) in later.sessions.items():
            before = self.sessions.get(session, (0, 0, index, name))
            if first != before[1] + 1:
                self.problem("entry %d" % index, _misnumbered(session, before[1] + 1, first))
            self.sessions[session] = (before[0] or first, last, before[2], name)
        self.rows += later.rows
        self.last_time = later.last_time if later.entries else self.last_time
        for name in ("entries", "disclosures", "withheld", "blobs"):
            setattr(self, name, getattr(self, name) + getattr(later, name))


def _misnumbered(session: bytes, wanted: int, found: int) -> str:
    return "Its number in session %s is %d where %d belongs." % (session.decode("ascii"), found, wanted)


Header = Tuple[int, int, str, Optional[str], Optional[int], int]
"""Of an entry: index, time, type, session, number in it, how many fields it has."""

Parted = Tuple[bytes, Optional[List[bytes]], Set[bytes]]
"""A line, its disclosures and their digests; None where the line has to be looked at by itself."""

Opened = Tuple[str, Any, bool]
"""Of a disclosure: name, value, and whether that stands for a blob."""

Look = Callable[[Header, "dict[str, Any]", bool, "list[bytes]"], None]
"""Is shown each entry: its header, the wanted fields, whether one of them names a blob, and all disclosures as they are."""


class Walk:
    """Reads bundles one after another. `wanted`: type → names of the fields to open; every disclosure is checked, opened or not."""

    def __init__(self, files: Any, size: int, wanted: dict[str, frozenset[str]], look: Look) -> None:
        self._files, self._size, self._look = files, size, look
        self._wanted = {kind.encode(): (names, _beginnings(names)) for kind, names in wanted.items()}
        self._opening = {kind.encode(): Opening(names) for kind, names in wanted.items()}
        self._emptied = _room[1]
        self.span = Span()
        self.plain: dict[bytes, Opened] = {}

    def bundle(self, number: int) -> bool:
        """Check bundle *number*, which follows the last one; False when so much is missing that going on is no use."""
        if not self.span.entries:
            self.span.first_index = number * TILE
        try:
            self._bundle(number)
        except Damaged as bad:
            self.span.problem(bad.where, bad.words)
            self.span.rows.append(bytes(HASH))
        return self.span.damaged <= MAX_MISSING

    def blobs(self, names: list[str]) -> None:
        """Each blob has the digest that it is named by."""
        for name in names:
            try:
                data = self._files.read(name, MAX_BLOB)
            except Damaged as bad:
                self.span.problem(bad.where, bad.words)
                continue
            self.span.blobs += 1
            if _sha256(data).hexdigest() != name.rpartition("/")[2]:
                self.span.problem(name, "It holds something else than what its name is the digest of.")

    def _bundle(self, number: int) -> None:
        width = min(TILE, self._size - number * TILE)
        place = tile_name("entries", number, width)
        data = self._files.read(place, TILE * 65537)
        beside = tile_name("disclosures", number, width)
        content = self._files.read(beside, MAX_LINES)
        span, index = self.span, number * TILE
        columns = columns_of(data, content, index, width, span.last_time if span.entries else 0)
        leaves = _leaves(data, content, width, place, beside) if columns is None else columns.leaves
        hashes = [_sha256(b"\0" + leaf).digest() for leaf in leaves]
        stored = tile_name("0", number, width)
        if self._files.read(stored, TILE * HASH) != b"".join(hashes):
            span.problem(stored, "It is not what the entries of %s give." % place)
        if width == TILE:
            span.rows.append(subtree(hashes))
        if columns is None:
            self._one_by_one(index, leaves, content)
        else:
            self._together(index, columns)

    def _together(self, index: int, columns: Columns) -> None:
        """The entries of a bundle whose leaves, lines and digests were found to hold: what is left is what they say."""
        span = self.span
        if self._emptied != _room[1]:
            self._emptied = _room[1]
            for each in self._opening.values():
                each.forget()
        parts, after, end = columns.parts, columns.after, 0
        self.plain = plain = _plainly(after)
        if not span.entries:
            span.first_time = columns.first
        for kind, session, n, time, committed, count in columns.entries:
            start, end = end, end + count
            span.last_time = time
            span.entries += 1
            span.disclosures += count
            span.withheld += committed - count
            number = int(n) if n else None
            name = None if number is None else self._numbered(session, number, index)
            try:
                opening = self._opening.get(kind)
                mine = parts[start:end]
                fields, apart = opening.fields(mine, after[start:end], plain) if opening else ({}, False)
                self._say(index, time, kind, name, number, committed, fields, apart, mine)
            except _WRONG as error:
                span.problem("entry %d" % index, _said(error))
            index += 1

    def _one_by_one(self, index: int, leaves: list[bytes], content: bytes) -> None:
        """The entries of any other bundle."""
        parted = _parted(content, content.split(b"\n"))
        self.plain = _plainly([part[36:] for _, parts, _ in parted for part in parts or ()])
        for leaf, (line, parts, digests) in zip(leaves, parted):
            try:
                self._entry(index, leaf, line, parts, digests)
            except _WRONG as error:
                self.span.problem("entry %d" % index, _said(error))
            index += 1

    def _entry(
        self, index: int, leaf: bytes, line: bytes, parts: list[bytes] | None, found: set[bytes]
    ) -> None:
        span = self.span
        at = leaf.find(b'],"_sd_alg"', 8)
        header = _HEADER.match(leaf, at) if at >= 0 else None
        if header is None or leaf[:8] != b'{"_sd":[':
            raise ValueError(_another_form(leaf))
        committed: set[bytes] = set()
        if at > 8:
            quoted = leaf[8:at]
            digests = quoted[1:-1].split(b'","')
            count = len(digests)
            committed.update(digests)
            # each is 43 letters between two quotes: 46 bytes with the comma, so quotes and commas lie at fixed distances
            if (
                len(quoted) != 46 * count - 1
                or quoted.translate(None, LETTERS) != QUOTES[count]
                or quoted[44::46] != b'"' * count
                or len(committed) != count
                or digests != sorted(digests)
            ):
                raise ValueError("Its digests are not sorted, distinct and 43 characters each.")
        said, n, session, when, kind = header.groups()
        if int(said) != index:
            raise ValueError("Its leaf says that it is entry %s." % said.decode())
        time, number = int(when), int(n) if n else None
        if time < span.last_time and span.entries:
            span.problem("entry %d" % index, "It is older than the entry before it.")
        else:
            span.last_time = time
        if not span.entries:
            span.first_time = time
        span.entries += 1
        name = None if number is None else self._numbered(session, number, index)
        if parts is None:
            parts, found = _parted_alone(line)
        self._disclosed(len(parts), found, committed)
        wanted = self._wanted.get(kind)
        fields, apart = opened_fields(parts, *wanted, self.plain) if wanted else ({}, False)
        self._say(index, time, kind, name, number, len(committed), fields, apart, parts)

    def _numbered(self, session: bytes, number: int, index: int) -> str:
        """The session that entry *index* is the *number*th of; a number that is not the next one is a problem."""
        sessions = self.span.sessions
        known = sessions.get(session)
        if known is None:
            name: str = json.loads(session)
            sessions[session] = (number, number, index, name)
            return name
        if number != known[1] + 1:
            self.span.problem("entry %d" % index, _misnumbered(session, known[1] + 1, number))
        sessions[session] = (known[0], number, known[2], known[3])
        return known[3]

    def _say(
        self,
        index: int,
        time: int,
        kind: bytes,
        name: str | None,
        number: int | None,
        count: int,
        fields: dict[str, Any],
        apart: bool,
        parts: list[bytes],
    ) -> None:
        if kind == b"session.closed" and fields.get("count", number) != number:
            self.span.problem("entry %d" % index, "It closes its session with a wrong count.")
        self._look((index, time, kind.decode(), name, number, count), fields, apart, parts)

    def _disclosed(self, count: int, found: set[bytes], committed: set[bytes]) -> None:
        """Each of *count* disclosures is one that the leaf commits to, and none is there twice. Raises `ValueError`."""
        if len(found) != count or not found <= committed:
            raise ValueError("It has a disclosure that its leaf does not commit to, or has one twice.")
        self.span.disclosures += count
        self.span.withheld += len(committed) - count


def _leaves(data: bytes, content: bytes, width: int, place: str, beside: str) -> list[bytes]:
    """The leaves of a bundle by their lengths. Raises `Damaged` if there are more or fewer than *width* of them, or of lines."""
    if content.count(b"\n") != width or content[-1:] != b"\n":
        raise Damaged("It has not one line for each of %d entries." % width, beside)
    at, end, leaves = 0, len(data), []
    while at < end:
        stop = at + 2 + int.from_bytes(data[at : at + 2], "big")
        leaves.append(data[at + 2 : stop])
        at = stop
    if at != end or len(leaves) != width:
        raise Damaged("It does not hold %d entries to its last byte." % width, place)
    return leaves


def _parted(content: bytes, lines: list[bytes]) -> list[Parted]:
    """The *lines* of a bundle, which are *content*, taken apart: all at once where each is in its one form."""
    parts = [[] if line == b"[]" else line[2:-2].split(b'","') for line in lines[:-1]]
    try:
        form = b"]\n".join([b"[" + QUOTES[len(each)] for each in parts]) + b"]\n"
        if content.translate(None, LETTERS) != form:
            raise ValueError("another form")
        digests = digests_of([part for each in parts for part in each])
    except (ValueError, IndexError):
        return [(line, None, set()) for line in lines[:-1]]
    made: list[Parted] = []
    at = 0
    for line, each in zip(lines, parts):
        end = at + len(each)
        made.append((line, each, set(digests[at:end])))
        at = end
    return made


def _parted_alone(line: bytes) -> tuple[list[bytes], set[bytes]]:
    """The disclosures of a line, and their digests. Raises `ValueError`."""
    if line == b"[]":
        return [], set()
    parts = line[2:-2].split(b'","')
    if len(parts) >= len(QUOTES) or line.translate(None, LETTERS) != b"[" + QUOTES[len(parts)] + b"]":
        raise ValueError("Its disclosures are not those of its leaf.")
    return parts, set(digests_of(parts))


def opened_fields(
    parts: list[bytes],
    names: frozenset[str] | None = None,
    beginnings: frozenset[bytes] = frozenset(),
    plain: Mapping[bytes, Opened] = MappingProxyType({}),
) -> tuple[dict[str, Any], bool]:
    """The disclosed fields with these names (all of them without *names*), and whether one of them names a blob. Raises `ValueError`.

    *plain* are some that `_plainly` opened.
    What follows the salt begins at character 36, so that a name with its value has the same letters each time: seen before, it is known.
    """
    fields: dict[str, Any] = {}
    apart = False
    for part in parts:
        if names is None or part[36:40] in beginnings:
            after = part[36:]
            name, value, is_apart = plain.get(after) or _seen.get(after) or _opened(after)
            if name in fields:
                raise ValueError("It discloses %s twice." % ascii(name[:80]))
            if names is None or name in names:
                fields[name] = value
                apart |= is_apart
    return fields, apart


class Opening:
    """How fields of one type of entry are opened: those of these names, and what was opened before is known."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names, self._beginnings = names, _beginnings(names)
        self._known: dict[bytes, tuple[str, Any] | tuple[()]] = {}

    def forget(self) -> None:
        """What was opened before is opened again."""
        self._known.clear()

    def fields(
        self, parts: list[bytes], after: list[bytes], plain: Mapping[bytes, Opened]
    ) -> tuple[dict[str, Any], bool]:
        """As `opened_fields`, of *parts*; *after*: what follows the salt of each."""
        found = list(map(self._known.get, after))
        wanted: list[Any] = list(filter(None, found))
        apart = False
        if None in found:
            try:
                for text, one in zip(after, found):
                    if one is None and text[:4] in self._beginnings:
                        pair, stands = self._opened(text, plain)
                        if pair:
                            wanted.append(pair)
                            apart |= stands
            except ValueError:
                wanted = _TWICE
        fields = dict(wanted)
        if len(fields) != len(wanted):
            # which of them is wrong, and how, is said by looking at each
            return opened_fields(parts, self._names, self._beginnings, plain)
        return fields, apart

    def _opened(self, text: bytes, plain: Mapping[bytes, Opened]) -> tuple[Any, bool]:
        once = plain.get(text)
        name, value, apart = once or _seen.get(text) or _opened(text)
        pair = (name, value) if name in self._names else ()
        if not once and not apart and text in _seen:
            self._known[text] = pair
        return pair, apart


_TWICE: Any = [("", None), ("", None)]
_seen: dict[bytes, Opened] = {}
_room = [0, 0]
"""Characters of what is in `_seen`, and how often it was emptied."""
SEEN_BYTES = 1 << 24
LONGEST_PLAIN = 364
SALT = 36
_SALTED = b'["' + b"A" * 22 + b'","'
"""A salt that stands for any: those of disclosures were looked at before."""
_ZEROS = (b"AAAA", b"", b"AA", b"AAAAA")
_MANY = (3, 0, 2, 4)
"""Letters behind what follows a salt, by its length, and the zero bytes that they make: one more is the disclosure's own."""


def _plainly(after: list[bytes]) -> dict[bytes, Opened]:
    """Of what follows the salts of disclosures, what are fields with another value each time, written plainly: decoded in one call.

    Between two of them stand zero bytes, which none of them has, and each begins with a letter: so as many pieces as there are parts
    are just those, and one that is cut in two, or lost a character, makes another number of pieces or of bytes. Then none is given,
    and `opened_fields` opens them one by one, as it does with what is not plain.
    """
    found = {one: None for one in after if one[:4] in _OWN and len(one) & 3 != 1 and len(one) < LONGEST_PLAIN}
    text = b"".join([after + _ZEROS[len(after) & 3] for after in found])
    try:
        data = binascii.a2b_base64(text.translate(FROM_URL))
    except ValueError:
        return {}
    pieces = _PIECES.findall(data)
    if len(pieces) != len(found) or 4 * len(data) != 3 * len(text):
        return {}
    return {
        one: (name.decode(), int(number) if number else value.decode(), False)
        for one, (name, value, number, zeros) in zip(found, pieces)
        if name and len(zeros) == _MANY[len(one) & 3]
    }


def _opened(after: bytes) -> Opened:
    """What a disclosure says, of which *after* follows the salt."""
    length = len(after) + SALT
    if length > LONGEST_DISCLOSURE:
        raise ValueError("A disclosure has %d characters; a field as large lies apart." % length)
    data = binascii.a2b_base64(after.translate(FROM_URL) + _PADDING[length & 3])
    plain = _PLAIN.match(data)
    if plain is not None:
        name, text, number = plain.groups()
        return name.decode(), int(number) if text is None else text.decode(), False
    item = one_value(_SALTED + data)
    if type(item) is not list or len(item) != 3 or type(item[1]) is not str:
        raise ValueError("A disclosure is not [salt, name, value].")
    value = item[2]
    made = (item[1], value, type(value) is dict and len(value) == 2 and "blob" in value and "size" in value)
    _room[0] += length
    if _room[0] > SEEN_BYTES:
        _seen.clear()
        _room[:] = length, _room[1] + 1
    _seen[after] = made
    return made


_WRONG = (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, RecursionError)
"""What may come of reading an entry that somebody bent."""
_PADDING = (b"", b"===", b"==", b"=")


def _beginnings(names: frozenset[str]) -> frozenset[bytes]:
    """What stands at character 36 of a disclosure: its salt takes 27 bytes with quotes, so a name's first bytes are always there."""
    return frozenset(binascii.b2a_base64((name + '",')[:3].encode())[:4].translate(TO_URL) for name in names)


_OWN = _beginnings(frozenset(_NAMES))


def _said(error: Exception) -> str:
    words = str(error)
    if type(error) is ValueError and words[:1].isupper():
        return words
    return "What it discloses can't be read (%s: %s)." % (type(error).__name__, ascii(words[:200])[1:-1])


def _another_form(leaf: bytes) -> str:
    try:
        members = one_value(leaf)
    except ValueError:
        members = None
    if isinstance(members, dict) and members.get("v", 1) != 1:
        return "It is of format version %s; this program reads version 1." % ascii(members["v"])[:40]
    return "Its leaf is not in its one canonical form."


# --- the whole ---------------------------------------------------------------------------------------------------


class Log:
    """A log's key, head and list of files. Raises `Damaged` where these don't hold."""

    def __init__(self, files: Any, given: str | None) -> None:
        self.files = files
        self.names = files.names()
        own = files.read("log.vkey", MAX_NOTE)
        self.key = LogKey(given if given is not None else own.decode("utf-8", "replace").rstrip("\n"))
        self.key_from = "given" if given is not None else "pack"
        if own != self.key.line.encode("utf-8", "replace") + b"\n":
            raise Damaged("The key that lies with the log is another one than was given.", "log.vkey")
        self.head = Head(files.read("checkpoint", MAX_NOTE), self.key, "checkpoint")
        self.blobs = [name for name in self.names if name.startswith("blobs/")]
        self.bundles = -(-self.head.size // TILE)

    def missing(self) -> list[tuple[str, str]]:
        """(place, words) of tiles that are not there or that belong to no log of this size."""
        there = {name for name in self.names if name.startswith("tile/")}
        count = sum(1 for name in there if name.startswith("tile/entries/"))
        if abs(self.bundles - count) > MAX_MISSING:
            words = "There are %d bundles of entries; a log of %d entries has %d." % (
                count,
                self.head.size,
                self.bundles,
            )
            return [("tile/entries", words)]
        wanted = {tile_name(str(level), index, width) for level, index, width in tiles_in(self.head.size)}
        for index in range(self.bundles):
            width = min(TILE, self.head.size - index * TILE)
            wanted |= {tile_name("entries", index, width), tile_name("disclosures", index, width)}
        found = [(name, "It is missing.") for name in sorted(wanted - there)]
        found += [
            (name, "It lies outside of the log's %d entries." % self.head.size)
            for name in sorted(there - wanted)
        ]
        for name in self.blobs:
            if not re.match(r"blobs/sha256/[0-9a-f]{64}\Z", name):
                found.append((name, "It is not named by a digest."))
        return found

    def finish(self, span: Span) -> Tree256 | None:
        """Compare upper tiles and root with what the whole *span* gave; problems are added to it."""
        whole = self.head.size // TILE
        if span.entries != self.head.size or len(span.rows) != whole:
            if not span.damaged:
                span.problem("log", "It has %d entries where %d belong." % (span.entries, self.head.size))
            return None
        tree = Tree256(self.files, self.head.size, span.rows)
        for session, (first, _, index, _) in span.sessions.items():
            if first != 1:
                span.problem("entry %d" % index, _misnumbered(session, 1, first))
        try:
            for name, content in tree.upper():
                if self.files.read(name, TILE * HASH) != content:
                    span.problem(name, "It is not what the tiles below it give.")
            if tree.root(self.head.size) != self.head.root:
                span.problem(
                    "checkpoint", "The %d entries give another root than it states." % self.head.size
                )
        except Damaged as bad:
            span.problem(bad.where, bad.words)
        return tree

    def begins_with(self, tree: Tree256, head: Head) -> str:
        """Empty if the log begins with the earlier *head*, or why it does not."""
        if head.size > self.head.size:
            return "This log has %d entries, fewer than the %d of %s: it was rolled back, or the pack is older." % (
                self.head.size, head.size, head.where,
            )  # fmt: skip
        if tree.root(head.size) != head.root:
            return "The first %d entries are not those of %s: history was written again." % (
                head.size,
                head.where,
            )
        return ""
