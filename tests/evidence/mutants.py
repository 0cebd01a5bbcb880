"""What can be done to an exported log by somebody who does not want it to be believed, or to be believed too much: a matrix of mutants.

Each has a name, a class and a function that does it to a copy of the folder. `needs` says what a verifier has to be handed to see it:
`head`, a checkpoint that somebody kept from before; `key`, the log's key from somewhere else than the folder; `content`, that it looks at
what leaves hold (a verifier of C2SP tiles alone takes leaves for opaque bytes); `beside`, that it looks at what lies beside the tiles.
Left out is what is no damage: a disclosure or a blob that is not handed out is withheld.
"""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from log_folder import signer, tree_of, write_log

from keyturn.ledger import checkpoint, tiles
from keyturn.ledger.checkpoint import Signer

Do = Callable[[Path], None]
Edit = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Mutant:
    """One thing done to a folder, *mutate*."""

    name: str
    cls: str
    mutate: Do
    needs: frozenset[str] = frozenset()


class Original:
    """The folder before anything is done to it."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self.head = checkpoint.read_unverified(self.files["checkpoint"])
        names = sorted(name for name in self.files if name.startswith("tile/entries/"))
        self.leaves = [leaf for name in names for leaf in tiles.unbundle(self.files[name])]
        self.lines = [
            line
            for name in sorted(name for name in self.files if name.startswith("tile/disclosures/"))
            for line in self.files[name].splitlines()
        ]
        self.blobs = {
            "sha256:" + name.rpartition("/")[2]: data
            for name, data in self.files.items()
            if name.startswith("blobs/")
        }

    def kind(self, name: str) -> str:
        """What a file is."""
        if name.startswith("tile/"):
            return "tile " + name.split("/")[1] + (" partial" if ".p/" in name else "")
        return name.split("/")[0]

    def verified(self) -> list[str]:
        """Files that are part of the log; README and programs beside it are not."""
        return [
            name
            for name in self.files
            if name.startswith(("tile/", "blobs/")) or name in ("checkpoint", "log.vkey")
        ]


def mutants(folder: Path, by: Signer | None = None, seed: int = 11, flips: int = 24) -> Iterator[Mutant]:
    """All mutants of the log in *folder*; *by* signs for those in which the operator lies with the log's own key."""
    original, dice = Original(folder), random.Random(seed)
    yield from _flips(original, dice, flips)
    yield from _cuts(original, dice)
    yield from _deletions(original)
    yield from _orders(original, dice)
    yield from _checkpoints(original, by or signer())
    yield from _strays(original)
    yield from _forms(original)
    yield from _lies(original, by or signer(), dice)
    yield from _histories(original, by or signer())


def _on(name: str, edit: Edit) -> Do:
    def do(folder: Path) -> None:
        place = folder / name
        place.write_bytes(edit(place.read_bytes()))

    return do


def _needs(name: str) -> frozenset[str]:
    """What it takes to see that a file was altered: tiles and checkpoint are what C2SP is about, the rest lies beside them."""
    beside = name.startswith(("tile/disclosures/", "blobs/", "log.vkey"))
    return frozenset({"beside"}) if beside else frozenset()


# --- what anybody can do ---------------------------------------------------------------------------------------------


def _flips(original: Original, dice: random.Random, count: int) -> Iterator[Mutant]:
    """One bit of one byte, in every file, and at each byte of the checkpoint's and the key's few."""
    for name in original.verified():
        data = original.files[name]
        if name in ("checkpoint", "log.vkey"):
            places = list(range(0, len(data), 2))
        else:
            places = sorted({0, 1, len(data) - 1, *(dice.randrange(len(data)) for _ in range(count))})
        for at in places:
            bit = dice.randrange(8)
            yield Mutant(
                f"{name}: bit {bit} of byte {at}",
                f"flip {original.kind(name)}",
                _on(name, _flip(at, bit)),
                _needs(name),
            )


def _flip(at: int, bit: int) -> Edit:
    return lambda data: data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def _cuts(original: Original, dice: random.Random) -> Iterator[Mutant]:
    """Too short, too long, a byte lost, a byte twice, everything else."""
    for name in original.verified():
        data = original.files[name]
        at = dice.randrange(1, len(data))
        edits: dict[str, Edit] = {
            "cut off": lambda d, at=at: d[:at],
            "last byte gone": lambda d: d[:-1],
            "first byte gone": lambda d: d[1:],
            "emptied": lambda d: b"",
            "a byte more": lambda d: d + b"\n",
            "a zero more": lambda d: d + b"\0",
            "a byte lost": lambda d, at=at: d[: at - 1] + d[at:],
            "a byte twice": lambda d, at=at: d[:at] + d[at - 1 :],
            "twice": lambda d: d + d,
            "zeros": lambda d: bytes(len(d)),
            "noise": lambda d, at=at: random.Random(at).randbytes(len(d)),
            "backwards": lambda d: d[::-1],
        }
        for what, edit in edits.items():
            if edit(data) != data:
                yield Mutant(f"{name}: {what}", f"cut {original.kind(name)}", _on(name, edit), _needs(name))


def _deletions(original: Original) -> Iterator[Mutant]:
    """Files that are gone, or are something else than files."""
    for name in original.verified():
        if not name.startswith("blobs/"):
            yield Mutant(
                f"{name}: gone", "deleted", lambda folder, name=name: (folder / name).unlink(), _needs(name)
            )
        yield Mutant(
            f"{name}: a link to itself",
            "deleted",
            _as(name, lambda place: place.symlink_to(place.name)),
            _needs(name),
        )
        yield Mutant(f"{name}: a folder", "deleted", _as(name, lambda place: place.mkdir()), _needs(name))
        yield Mutant(f"{name}: a pipe", "deleted", _as(name, lambda place: os.mkfifo(place)), _needs(name))


def _as(name: str, make: Do) -> Do:
    def do(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return do


def _orders(original: Original, dice: random.Random) -> Iterator[Mutant]:
    """Entries, lines and hashes in each other's places."""
    for name in sorted(name for name in original.files if name.startswith("tile/entries/")):
        count = len(tiles.unbundle(original.files[name]))
        beside = name.replace("entries", "disclosures")
        for _ in range(8):
            one, other = sorted(dice.sample(range(count), 2))
            yield Mutant(
                f"{name}: {one} and {other} swapped", "reordered", _on(name, _bundled(_swapped(one, other)))
            )
            both = _both(_on(name, _bundled(_swapped(one, other))), _on(beside, _lined(_swapped(one, other))))
            yield Mutant(f"{name}: {one} and {other} swapped with their fields", "reordered", both)
            yield Mutant(
                f"{beside}: {one} and {other} swapped",
                "reordered",
                _on(beside, _lined(_swapped(one, other))),
                frozenset({"beside"}),
            )
            yield Mutant(
                f"{name}: {one} in place of {other}", "reordered", _on(name, _bundled(_copied(one, other)))
            )
            yield Mutant(f"{name}: {one} lost", "deleted entry", _on(name, _bundled(_lost(one))))
            lost = _both(_on(name, _bundled(_lost(one))), _on(beside, _lined(_lost(one))))
            yield Mutant(f"{name}: {one} lost with its fields", "deleted entry", lost)
            yield Mutant(f"{name}: {one} twice", "reordered", _on(name, _bundled(_twice(one))))
    for name in sorted(name for name in original.files if name.startswith("tile/0/")):
        for _ in range(6):
            one, other = sorted(dice.sample(range(len(original.files[name]) // 32), 2))
            yield Mutant(
                f"{name}: {one} and {other} swapped", "reordered", _on(name, _hashed(_swapped(one, other)))
            )


Items = Callable[[list[bytes]], list[bytes]]


def _swapped(one: int, other: int) -> Items:
    def edit(items: list[bytes]) -> list[bytes]:
        items[one], items[other] = items[other], items[one]
        return items

    return edit


def _copied(one: int, other: int) -> Items:
    return lambda items: [items[one] if at == other else item for at, item in enumerate(items)]


def _lost(one: int) -> Items:
    return lambda items: items[:one] + items[one + 1 :]


def _twice(one: int) -> Items:
    return lambda items: items[: one + 1] + items[one:]


def _bundled(edit: Items) -> Edit:
    return lambda data: tiles.bundle(edit(tiles.unbundle(data)))


def _lined(edit: Items) -> Edit:
    return lambda data: b"".join(line + b"\n" for line in edit(data.splitlines()))


def _hashed(edit: Items) -> Edit:
    return lambda data: b"".join(edit([data[at : at + 32] for at in range(0, len(data), 32)]))


def _both(*edits: Do) -> Do:
    def do(folder: Path) -> None:
        for edit in edits:
            edit(folder)

    return do


def _checkpoints(original: Original, by: Signer) -> Iterator[Mutant]:
    """Other heads, other signatures, other keys."""
    head, note = original.head, original.files["checkpoint"].decode()
    stranger = Signer(head.origin, Ed25519PrivateKey.from_private_bytes(b"s" * 32))
    other = Signer("elsewhere.local/log", Ed25519PrivateKey.from_private_bytes(b"o" * 32))
    earlier = by.sign(head.size - 1, tree_of(original.leaves[:-1]).root)
    forked = tree_of([*original.leaves[:-1], original.leaves[0]]).root
    text, _, signature = note.partition("\n\n")
    yield _head("by a stranger under this name", stranger.sign(head.size, head.root))
    yield _head("of another log", other.sign(head.size, head.root))
    yield _head(
        "of another log, with the old signature",
        other.sign(head.size, head.root).partition("\n\n")[0] + "\n\n" + signature,
    )
    yield _head("a fork by a stranger", stranger.sign(head.size, forked))
    yield _head(
        "a fork with the old signature",
        stranger.sign(head.size, forked).partition("\n\n")[0] + "\n\n" + signature,
    )
    yield _head("the text of an earlier one", earlier.partition("\n\n")[0] + "\n\n" + signature)
    yield _head("the signature of an earlier one", text + "\n\n" + earlier.partition("\n\n")[2])
    yield _head("an earlier one", earlier)
    yield _head("one entry more", by.sign(head.size + 1, head.root), "lie")
    yield _head("256 entries more", by.sign(head.size + 256, head.root), "lie")
    yield _head("2**50 entries", by.sign(2**50, head.root), "lie")
    yield _head("nothing", by.sign(0, tree_of([]).root), "lie")
    yield _head("another root", by.sign(head.size, forked), "lie")
    yield _head("the root of nothing", by.sign(head.size, bytes(32)), "lie")
    yield _head("no signature", text + "\n")
    yield _head("no signature line", text + "\n\n")
    mark, name, encoded = signature.strip().split(" ")
    broken = base64.b64encode(_flip(40, 1)(base64.b64decode(encoded))).decode()
    yield _head("a broken signature beside the good one", f"{note}{mark} {name} {broken}\n")
    yield _head("its size with a zero before it", _resigned(by, note, str(head.size), f"0{head.size}"), "lie")
    yield _head("a negative size", _resigned(by, note, f"\n{head.size}\n", f"\n-{head.size}\n"), "lie")
    yield _head(
        "a size of 5,000 digits", _resigned(by, note, f"\n{head.size}\n", "\n" + "9" * 5000 + "\n"), "lie"
    )
    yield _head(
        "its root in other letters",
        _resigned(by, note, note.split("\n")[2], note.split("\n")[2][:-2] + "B="),
        "lie",
    )
    yield _head("lines that end with a carriage return", note.replace("\n", "\r\n"))
    yield _head("another dash", note.replace("\u2014", "-"))
    vkey = original.files["log.vkey"].decode()
    yield Mutant(
        "log.vkey: a stranger's",
        "swapped key",
        _put({"log.vkey": f"{stranger.key}\n"}),
        frozenset({"beside"}),
    )
    yield Mutant(
        "log.vkey: another id",
        "swapped key",
        _put({"log.vkey": vkey.replace("+", "+0", 1)}),
        frozenset({"beside"}),
    )
    both = {"log.vkey": f"{stranger.key}\n", "checkpoint": stranger.sign(head.size, head.root)}
    yield Mutant("checkpoint and key: a stranger's", "swapped key", _put(both), frozenset({"key"}))


def _resigned(by: Signer, note: str, old: str, new: str) -> str:
    from keyturn.ledger import note as notes

    text = note.partition("\n\n")[0] + "\n"
    return notes.sign(text.replace(old, new, 1), by.origin, by._private)


def _head(what: str, note: str, cls: str = "swapped signature") -> Mutant:
    return Mutant(f"checkpoint: {what}", cls, _put({"checkpoint": note}))


def _put(files: dict[str, str]) -> Do:
    def do(folder: Path) -> None:
        for name, text in files.items():
            (folder / name).write_bytes(text.encode())

    return do


def _strays(original: Original) -> Iterator[Mutant]:
    """Files that are in no log of this size."""
    first = next(name for name in original.files if name.startswith("tile/0/"))
    data = original.files[first]
    for name in (
        "tile/0/900",
        "tile/0/000.p/7",
        "tile/9/000",
        "tile/entries/x001/000",
        "tile/disclosures/900.p/3",
        "tile/0/0",
    ):
        yield Mutant(f"{name}: is there, too", "stray", _more(name, data), frozenset({"beside"}))
    yield Mutant(
        "blobs: one by another name",
        "stray",
        _more("blobs/sha256/" + "ab" * 32, b"{}"),
        frozenset({"beside"}),
    )
    yield Mutant(
        "blobs: one by no digest", "stray", _more("blobs/sha256/notes.txt", b"{}"), frozenset({"beside"})
    )
    yield Mutant(
        "blobs: one elsewhere", "stray", _more("blobs/md5/" + "ab" * 32, b"{}"), frozenset({"beside"})
    )


def _more(name: str, data: bytes) -> Do:
    def do(folder: Path) -> None:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    return do


def _forms(original: Original) -> Iterator[Mutant]:
    """Shapes that are meant to bring a reader down."""
    deep = b"[" * 200_000
    for name in sorted(name for name in original.files if name.startswith("tile/entries/")):
        for what, leaf in {
            "deep": deep[:65_535], "empty": b"", "of zeros": bytes(1000), "of numbers": b"9" * 60_000,
            "null": b"null", "latin": b"\xe9" * 9,
        }.items():  # fmt: skip
            yield Mutant(f"{name}: a leaf {what}", "form", _on(name, _bundled(_replaced(3, leaf))))
    for name in sorted(name for name in original.files if name.startswith("tile/disclosures/")):
        for what, line in {
            "deep": deep, "empty": b"", "an object": b"{}", "numbers": b"[1,2]", "null": b"null", "spaces": b"[ ]",
            "what is no base64": b'["!!!!"]', "a megabyte": b'["' + b"A" * 1_000_000 + b'"]', "an escape": b'["\\u0041"]',
            "one of nothing": b'[""]', "not closed": b'["AAAA"', "latin": b'["\xe9"]',
        }.items():  # fmt: skip
            yield Mutant(
                f"{name}: a line of {what}",
                "form",
                _on(name, _lined(_replaced(3, line))),
                frozenset({"beside"}),
            )


def _replaced(at: int, item: bytes) -> Items:
    return lambda items: [*items[:at], item, *items[at + 1 :]]


# --- what the operator can do, who holds the log's key -----------------------------------------------------------------


def _lies(original: Original, by: Signer, dice: random.Random) -> Iterator[Mutant]:
    """A tree and a checkpoint that fit, over entries that can't be so: seen by whoever looks into the leaves."""

    def lie(what: str, edit: Callable[[list[bytes], list[bytes]], None]) -> Mutant:
        def do(folder: Path) -> None:
            leaves, lines = list(original.leaves), list(original.lines)
            edit(leaves, lines)
            _rewrite(folder, leaves, lines, original.blobs, by)

        return Mutant(f"signed anew: {what}", "lie", do, frozenset({"content"}))

    def member(at: int, **members: object) -> Callable[[list[bytes], list[bytes]], None]:
        def edit(leaves: list[bytes], lines: list[bytes]) -> None:
            leaves[at] = canonical_leaf({**json.loads(leaves[at]), **members})

        return edit

    in_session = [at for at, leaf in enumerate(original.leaves) if b'"session"' in leaf]
    closed = [at for at, leaf in enumerate(original.leaves) if b'"type":"session.closed"' in leaf]
    for at in dice.sample(range(1, len(original.leaves) - 1), 6):
        yield lie(f"entry {at} says another index", member(at, index=at + 1))
        yield lie(f"entry {at} is older", member(at, time=1))
        yield lie(f"entry {at} lost", _gone(at))
        yield lie(
            f"entry {at} twice",
            _doubled(at),
        )
        yield lie(
            f"entry {at} with spaces",
            lambda leaves, lines, at=at: _at(leaves, at, leaves[at].replace(b":", b": ")),
        )
        yield lie(f"entry {at} of version 2", member(at, v=2))
        yield lie(f"entry {at} with one member more", member(at, extra=1))
        yield lie(f"entry {at} of another algorithm", member(at, _sd_alg="sha-1"))
        yield lie(
            f"entry {at} with its digests backwards", lambda leaves, lines, at=at: _backwards(leaves, at)
        )
        yield lie(
            f"entry {at} with another's fields", lambda leaves, lines, at=at: _at(lines, at, lines[at - 1])
        )
        yield lie(
            f"entry {at} with a field twice",
            lambda leaves, lines, at=at: _at(lines, at, _field_twice(lines[at])),
        )
        yield lie(
            f"entry {at} with a member twice",
            lambda leaves, lines, at=at: _at(leaves, at, leaves[at][:-1] + b',"v":1}'),
        )
    for at in dice.sample(in_session, 6):
        n = json.loads(original.leaves[at])["n"]
        yield lie(f"entry {at} with number {n + 1}", member(at, n=n + 1))
        yield lie(f"entry {at} with number 0", member(at, n=0))
        yield lie(f"entry {at} in another session", member(at, session="s_another"))
    for at in closed:
        yield lie(
            f"entry {at} gone, and its session goes on",
            _gone(at),
        )


def canonical_leaf(members: dict[str, object]) -> bytes:
    """A leaf's one form."""
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode()


def _gone(at: int) -> Callable[[list[bytes], list[bytes]], None]:
    def edit(leaves: list[bytes], lines: list[bytes]) -> None:
        del leaves[at], lines[at]

    return edit


def _doubled(at: int) -> Callable[[list[bytes], list[bytes]], None]:
    def edit(leaves: list[bytes], lines: list[bytes]) -> None:
        leaves.insert(at, leaves[at])
        lines.insert(at, lines[at])

    return edit


def _at(items: list[bytes], at: int, item: bytes) -> None:
    items[at] = item


def _backwards(leaves: list[bytes], at: int) -> None:
    members = json.loads(leaves[at])
    leaves[at] = canonical_leaf({**members, "_sd": members["_sd"][::-1]})


def _field_twice(line: bytes) -> bytes:
    fields = json.loads(line)
    return json.dumps([*fields, fields[0]], separators=(",", ":")).encode() if fields else b'["AAAA"]'


def _rewrite(
    folder: Path, leaves: list[bytes], lines: list[bytes], blobs: dict[str, bytes], by: Signer
) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() or path.is_symlink():
            path.unlink()
        else:
            path.rmdir()
    write_log(folder, leaves, lines, blobs, by)


def _histories(original: Original, by: Signer) -> Iterator[Mutant]:
    """Another past, true to itself: only somebody who kept a checkpoint can tell."""
    size = original.head.size
    for less in (1, 2, 7, size // 2, size - 2, size - 256 if size > 256 else 3):

        def shorter(folder: Path, less: int = less) -> None:
            _rewrite(folder, original.leaves[:-less], original.lines[:-less], original.blobs, by)

        yield Mutant(f"rolled back by {less}", "rollback", shorter, frozenset({"head"}))
    for at in (2, size // 3, size - 1):

        def other(folder: Path, at: int = at) -> None:
            leaves, lines = list(original.leaves), list(original.lines)
            members = json.loads(leaves[at])
            leaves[at], lines[at] = canonical_leaf({**members, "_sd": members["_sd"][1:]}), b"[]"
            _rewrite(folder, leaves, lines, original.blobs, by)

        yield Mutant(f"entry {at} written again", "rewritten", other, frozenset({"head"}))
