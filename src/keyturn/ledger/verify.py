"""Is a log what its signed checkpoint says? Recomputes everything, names what is damaged, streams in flat memory.

Rules checked:

- The checkpoint is signed by the log's key; the root over all recomputed leaf hashes is the root it states.
- Every stored tile is what the entries give (C2SP tlog-tiles); nothing lies outside of the tree.
- Each leaf is a well-formed entry of a known version and type, at its own index; times never decrease.
- Each session numbers its entries from 1 without gap or repeat; a closing entry's count is its own number.
- Each disclosure is committed to by its leaf, once. Missing ones are withheld or erased, which is no damage.
- What a store says beside a leaf (time, type, session, n) is what the leaf says. Each blob has the digest it is named by.

Tells *damage*, not *rewriting*: whoever holds the log's key can sign another history, which only a checkpoint
kept elsewhere shows.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import Struct

from keyturn.canonical import digest_bytes
from keyturn.errors import KeyturnError
from keyturn.ledger import checkpoint, leaf, note
from keyturn.ledger.checkpoint import Checkpoint
from keyturn.ledger.errors import EntryMalformed, LedgerDamaged, NoteInvalid
from keyturn.ledger.merkle import HASH_BYTES, leaf_hash
from keyturn.ledger.note import VerifierKey
from keyturn.ledger.sources import CHECKPOINT, FolderSource, Found, Source, StoreSource
from keyturn.ledger.storage import Store
from keyturn.ledger.tiles import HEIGHT, TILE_BYTES, WIDTH, Tree, tile_path

NAMED_PROBLEMS = 50
"""How many problems are named; all are counted."""
MAX_GAP = 100_000
"""A hole of more entries than this ends the checking: work is bounded by what is there, not by what is claimed."""


class Problem(Struct, frozen=True):
    """One damage: a stable code, where (`entry 41`, `tile/0/000`, `checkpoint`…), what belongs there and what is there."""

    code: str
    where: str
    words: str
    index: int | None = None
    expected: str | None = None
    found: str | None = None


class Verdict(Struct, frozen=True):
    """What verification came to. `key` is the verifier key line; `key_from` says who vouches for it: `given` or `log`."""

    intact: bool
    origin: str
    size: int
    root: str
    key: str
    key_from: str
    entries: int
    sessions: int
    disclosures: int
    withheld: int
    blobs: int
    leaves_only: bool
    damaged: int
    problems: tuple[Problem, ...]


def verify(
    source: Store | Path | str,
    key: VerifierKey | str | None = None,
    *,
    leaves_only: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Verify the log in a store, or in a folder that `export` wrote.

    *key* is the log's verifier key; without it the key that lies with the log is used, and the verdict says so.
    *leaves_only* skips disclosures and blobs. *progress* is told (entries done, entries in all).
    Damage is in the verdict, never raised; what can't be read at all raises the store's error or `LedgerDamaged`.
    """
    opened: Source
    if isinstance(source, str | Path):
        folder = Path(source)
        if not folder.is_dir():
            raise LedgerDamaged(f"{folder} is not a folder with an exported log.")
        opened = FolderSource(folder)
    else:
        opened = StoreSource(source)
    return _Verification(opened, leaves_only, progress).run(key)


class _Verification:
    def __init__(
        self, source: Source, leaves_only: bool, progress: Callable[[int, int], None] | None
    ) -> None:
        self.source = source
        self.leaves_only = leaves_only
        self.progress = progress
        self.problems: list[Problem] = []
        self.damaged = 0
        self.entries = self.disclosures = self.withheld = self.blobs = 0
        self.time = 0
        self.sessions: dict[str, int] = {}
        self.key_from = "given"
        self.computed = Tree()
        self.stored: Tree | None = None
        self.differing: list[tuple[int, bytes, bytes]] = []
        self.size = 0

    def problem(self, code: str, where: str, words: str, **more: Any) -> None:
        """Count it; name it while there is room."""
        self.damaged += 1
        if len(self.problems) < NAMED_PROBLEMS:
            self.problems.append(Problem(code, where, words, **more))

    def run(self, given: VerifierKey | str | None) -> Verdict:
        """The whole verification."""
        signed = self.source.head()
        key = self._key(given)
        head = self._head(signed, key)
        self.size = head.size
        if signed is not None:
            self._log(head)
        return Verdict(
            intact=not self.damaged,
            origin=head.origin,
            size=head.size,
            root=head.root.hex(),
            key=str(key) if key else "",
            key_from=self.key_from,
            entries=self.entries,
            sessions=len(self.sessions),
            disclosures=self.disclosures,
            withheld=self.withheld,
            blobs=self.blobs,
            leaves_only=self.leaves_only,
            damaged=self.damaged,
            problems=tuple(self.problems),
        )

    def _log(self, head: Checkpoint) -> None:
        """Everything but the checkpoint's signature."""
        self._entries()
        if self.computed.size == self.size:
            self._roots(head)
        if not self.leaves_only:
            self._blobs()
        for place in self.source.strays(self.size):
            self.problem("stray", place, f"{place} lies outside of the tree of {self.size} entries.")

    # The checkpoint and its key

    def _key(self, given: VerifierKey | str | None) -> VerifierKey | None:
        if isinstance(given, str):
            return note.parse_vkey(given)
        if given is not None:
            return given
        self.key_from = "log"
        line = self.source.vkey()
        try:
            return note.parse_vkey(line) if line else self._opening_key()
        except (NoteInvalid, EntryMalformed, ValueError):
            return None

    def _opening_key(self) -> VerifierKey | None:
        """The key that the first entry names (`log.opened`: origin, log_key as hexadecimal)."""
        first = self.source.first()
        if first is None or first.index != 0 or not first.disclosures:
            return None
        fields = leaf.open_fields(leaf.read_header(first.leaf), leaf.disclosures_of(first.disclosures))
        return VerifierKey(str(fields.get("origin", "")), bytes.fromhex(str(fields.get("log_key", ""))))

    def _head(self, signed: str | None, key: VerifierKey | None) -> Checkpoint:
        if signed is None:
            if isinstance(self.source, FolderSource) or self.source.first() is not None:
                self.problem("checkpoint.missing", CHECKPOINT, "There is no checkpoint.")
            return Checkpoint("", 0, Tree().root)
        try:
            head = checkpoint.read_unverified(signed)
        except NoteInvalid as error:
            self.problem("checkpoint.malformed", CHECKPOINT, error.happened)
            return Checkpoint("", 0, Tree().root)
        if key is None:
            self.problem(
                "checkpoint.key", CHECKPOINT, "No key to verify the checkpoint with was given or found."
            )
            return head
        try:
            checkpoint.open_checkpoint(signed, key)
        except NoteInvalid as error:
            self.problem("checkpoint.signature", CHECKPOINT, error.happened)
        return head

    # Entries and tiles

    def _entries(self) -> None:
        hashes: list[bytes] = []
        expected = 0
        for one in self.source.found(self.size, leaves_only=self.leaves_only):
            if expected < one.index:
                self._name_missing(expected, one.index)
            if one.index - expected > MAX_GAP:
                return
            while expected < one.index:
                expected = self._bridge(expected, one.index, hashes)
            hashes.append(leaf_hash(one.leaf))
            self._entry(one)
            self.entries += 1
            expected += 1
            if len(hashes) == WIDTH:
                self._chunk(hashes)
                hashes = []
                if self.progress:
                    self.progress(expected, self.size)
        for place, why in self.source.unreadable:
            self.problem("unreadable", place, f"{place}: {why}.")
        if expected < self.size:
            self._name_missing(expected, self.size)
            return
        if hashes:
            self._chunk(hashes)
        for level, mine in enumerate(self.computed.edges):
            if level and mine:
                also = self.stored.edges[level] if self.stored is not None else mine
                self._upper_tile(level, self.size >> HEIGHT * (level + 1), mine, also)

    def _name_missing(self, first: int, end: int) -> None:
        words = (
            f"Entry {first} is missing." if end == first + 1 else f"Entries {first} to {end - 1} are missing."
        )
        self.problem("entry.missing", f"entry {first}", words, index=first)

    def _bridge(self, index: int, until: int, hashes: list[bytes]) -> int:
        """Entries from *index* on are not there: go on with the hashes that the tile has for them, so that the rest is checked."""
        level0 = self.source.tile(0, index // WIDTH, min(WIDTH, self.size - index // WIDTH * WIDTH)) or b""
        end = min(until, (index // WIDTH + 1) * WIDTH)
        for at in range(index, end):
            place = at % WIDTH * HASH_BYTES
            hashes.append(level0[place : place + HASH_BYTES].ljust(HASH_BYTES, b"\0"))
        if len(hashes) == WIDTH:
            self._chunk(hashes)
            hashes.clear()
        return end

    def _chunk(self, hashes: list[bytes]) -> None:
        """The leaf hashes of one level-0 tile: compare with the stored one, and let the trees grow."""
        first = self.computed.size
        mine = b"".join(hashes)
        stored = self._tile(0, first // WIDTH, len(hashes))
        theirs = hashes
        if stored is not None and stored != mine and len(stored) == len(mine):
            if self.stored is None:
                self.stored = self.computed
            theirs = [stored[at : at + HASH_BYTES] for at in range(0, len(stored), HASH_BYTES)]
            for at, (ours, other) in enumerate(zip(hashes, theirs, strict=True)):
                if ours != other and len(self.differing) < NAMED_PROBLEMS:
                    self.differing.append((first + at, other, ours))
        self.computed, grown = self.computed.grow(hashes)
        also: dict[tuple[int, int], bytes] = {}
        if self.stored is not None:
            self.stored, also = self.stored.grow(theirs)
        for (level, index), content in grown.items():
            if level and len(content) == TILE_BYTES:
                self._upper_tile(level, index, content, also.get((level, index), content))

    def _tile(self, level: int, index: int, width: int) -> bytes | None:
        place = tile_path(level, index, width)
        stored = self.source.tile(level, index, width)
        if stored is None:
            self.problem("tile.missing", place, f"The tile {place} is missing.")
        elif len(stored) != width * HASH_BYTES:
            words = f"The tile {place} has {len(stored)} bytes, not {width * HASH_BYTES}."
            self.problem("tile.size", place, words, expected=str(width * HASH_BYTES), found=str(len(stored)))
        return stored

    def _upper_tile(self, level: int, index: int, mine: bytes, theirs: bytes) -> None:
        width = len(mine) // HASH_BYTES
        stored = self._tile(level, index, width)
        if stored is None or len(stored) != len(mine) or stored in (mine, theirs):
            return
        at = next(i for i in range(0, len(mine), HASH_BYTES) if mine[i : i + 32] != stored[i : i + 32])
        place = tile_path(level, index, width)
        self.problem(
            "tile.hashes",
            place,
            f"The tile {place} is not what the tiles below it give, at hash {at // HASH_BYTES}.",
            expected=mine[at : at + HASH_BYTES].hex(),
            found=stored[at : at + HASH_BYTES].hex(),
        )

    def _roots(self, head: Checkpoint) -> None:
        """Whose fault is a difference between entries and tiles? Who gives the signed root is right."""
        if self.computed.root == head.root:
            for index, tile, entry in self.differing:
                place = tile_path(0, index // WIDTH, min(WIDTH, self.size - index // WIDTH * WIDTH))
                words = f"The tile {place} has another hash for entry {index} than the entry's, which the checkpoint confirms."
                self.problem("tile.hashes", place, words, index=index, expected=entry.hex(), found=tile.hex())
            return
        for index, tile, entry in self.differing:
            words = f"Entry {index} is not the one the tree commits to."
            where = f"entry {index}"
            self.problem("entry.hash", where, words, index=index, expected=tile.hex(), found=entry.hex())
        if self.stored is None or self.stored.root != head.root:
            self.problem(
                "checkpoint.root",
                CHECKPOINT,
                f"The {head.size} entries give another root than the checkpoint states.",
                expected=head.root.hex(),
                found=self.computed.root.hex(),
            )

    # One entry

    def _entry(self, one: Found) -> None:
        try:
            if self.leaves_only:
                self._stands(one, leaf.read_place(one.leaf))
                return
            header = leaf.read_strictly(one.leaf)
        except KeyturnError as error:
            self.problem(error.code, f"entry {one.index}", error.happened, index=one.index)
            return
        self._stands(one, header)
        if one.beside is not None:
            inside = (header.time, header.type, header.session, header.n)
            if one.beside != inside:
                self._differs("entry.beside", one, "the store says otherwise beside it", inside, one.beside)
        self._disclosures(one, header)

    def _stands(self, one: Found, at: leaf.Header | leaf.Place) -> None:
        """Is it at its own index, not before its predecessor, and next in its session?"""
        if at.index != one.index:
            self._differs("entry.index", one, "its leaf says another index", one.index, at.index)
        if at.time < self.time:
            self._differs(
                "entry.time", one, "it is older than the entry before it", f"≥ {self.time}", at.time
            )
        else:
            self.time = at.time
        if at.session is not None and at.n is not None:
            n = self.sessions.get(at.session, 0) + 1
            if at.n != n:
                self._differs("session.number", one, f"its number in session {at.session} is wrong", n, at.n)
                n = max(n, at.n)
            self.sessions[at.session] = n

    def _differs(self, code: str, one: Found, words: str, expected: object, found: object) -> None:
        self.problem(
            code,
            f"entry {one.index}",
            f"Entry {one.index}: {words}.",
            index=one.index,
            expected=str(expected),
            found=str(found),
        )

    def _disclosures(self, one: Found, header: leaf.Header) -> None:
        where = f"entry {one.index}"
        try:
            given = leaf.disclosures_of(one.disclosures) if one.disclosures else ()
            digests = _digests([text.encode("ascii") for text in given]) if given else []
        except (EntryMalformed, UnicodeEncodeError) as error:
            self.problem(
                "disclosure.malformed",
                where,
                f"{where}: its disclosures are unreadable: {error}",
                index=one.index,
            )
            return
        committed = set(header._sd)
        for text, digest in zip(given, digests, strict=True):
            self.disclosures += 1
            if digest not in committed:
                words = (
                    f"Entry {one.index} has a disclosure that its leaf does not commit to, or has it twice."
                )
                self.problem(
                    "disclosure.uncommitted", where, words, index=one.index, found=f"{digest} of {text[:60]}…"
                )
            committed.discard(digest)
        self.withheld += len(committed)
        if header.type == "session.closed" and given:
            self._closing(one, header, given)

    def _closing(self, one: Found, header: leaf.Header, given: tuple[str, ...]) -> None:
        try:
            count = leaf.open_fields(header, given).get("count")
        except EntryMalformed:
            return  # named already, as an uncommitted disclosure
        if count is not None and count != header.n:
            self._differs(
                "session.count",
                one,
                f"it closes session {header.session} with a wrong count",
                header.n,
                count,
            )

    def _blobs(self) -> None:
        for digest, data in self.source.blobs():
            self.blobs += 1
            actual = digest_bytes(data)
            if actual != digest:
                where = f"blob {digest}"
                words = f"The blob {digest} has another content."
                self.problem("blob.digest", where, words, expected=digest, found=actual)


def _digests(disclosures: list[bytes]) -> list[str]:
    """Digests of disclosures, as leaves hold them."""
    joined = b",".join(
        [binascii.b2a_base64(sha256(part).digest(), newline=False)[:43] for part in disclosures]
    )
    return joined.translate(leaf.URLSAFE).decode().split(",")
