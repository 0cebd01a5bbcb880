"""Signed approvals of a log, checked by the very program that outsiders are given (`verify_approvals.py`).

The log itself is verified before, by `ledger.verify`: what is checked here are the people's own signatures in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from keyturn.evidence import verify_approvals as program
from keyturn.ledger import checkpoint, leaf
from keyturn.ledger.sources import BLOBS, FolderSource
from keyturn.ledger.storage import Store

NAME = "verify_approvals.py"
"""Under which the program lies in an export."""


NEAR = 16
"""How many actions before a request are looked at for its own: both are recorded in one commit, next to each other."""


class ApprovalsVerdict(Struct, frozen=True):
    """Whether all signatures hold. `problems` and `unchecked` are (entry, type, words); `counts` says how many of what."""

    hold: bool
    problems: tuple[tuple[int, str, str], ...]
    unchecked: tuple[tuple[int, str, str], ...]
    counts: dict[str, int]


def text() -> bytes:
    """The program, as it goes into an export."""
    return Path(program.__file__).read_bytes()


def check_store(store: Store) -> ApprovalsVerdict:
    """The approvals in a store whose log was verified."""
    return _check(
        store.head(), ((one.index, one.leaf, one.disclosures) for one in store.entries() if _matters(one.type)), store.blob
    )  # fmt: skip


def check_folder(folder: Path) -> ApprovalsVerdict:
    """The approvals in an exported log that was verified."""
    source = FolderSource(folder)
    head = source.head()
    size = checkpoint.read_unverified(head).size if head else 0

    def blob(digest: str) -> bytes | None:
        place = folder / BLOBS / Path(digest.removeprefix("sha256:")).name
        return place.read_bytes() if place.is_file() else None

    found = source.found(size, leaves_only=False)
    return _check(head, ((one.index, one.leaf, one.disclosures or b"[]") for one in found), blob)


def _matters(kind: str) -> bool:
    """Whether entries of *kind* are looked at. Uses of permits are as many as actions, and the ledger itself has each once."""
    return kind != "permit.consumed" and hasattr(program.Checks, "on_" + kind.replace(".", "_"))


def _check(
    head: str | None,
    entries: Iterable[tuple[int, bytes, bytes]],
    blob: Callable[[str], bytes | None],
) -> ApprovalsVerdict:
    checks = program.Checks(checkpoint.read_unverified(head).origin if head else "")
    blobs = _Blobs(blob)
    for entry in _opened(entries, blobs):
        checks.run(entry)
    problems = tuple((index, kind, words) for index, kind, words in checks.problems)
    return ApprovalsVerdict(not problems, problems, tuple(checks.unchecked), checks.counts)


def _opened(entries: Iterable[tuple[int, bytes, bytes]], blobs: _Blobs) -> Iterator[Any]:
    """Entries that matter, opened. Of a million actions only the held ones are: each is recorded just before its request."""
    actions: deque[tuple[int, bytes, bytes]] = deque(maxlen=NEAR)
    for index, data, disclosures in entries:
        kind = leaf.read_place(data).type
        if kind == "action.decided":
            actions.append((index, data, disclosures))
        elif _matters(kind):
            if kind == "request.opened":
                yield from (_entry(*action, "action.decided", blobs) for action in actions)
                actions.clear()
            yield _entry(index, data, disclosures, kind, blobs)


def _entry(index: int, data: bytes, disclosures: bytes, kind: str, blobs: _Blobs) -> Any:
    fields = leaf.open_fields(leaf.read_header(data), leaf.disclosures_of(disclosures))
    return program.Entry(index, {"type": kind}, fields, blobs)


class _Blobs:
    """The contents that entries name, checked against their names."""

    def __init__(self, blob: Callable[[str], bytes | None]) -> None:
        self._blob = blob

    def blob(self, digest: str) -> bytes:
        data = self._blob(digest)
        if data is None:
            raise program.Withheld(f"the content {digest} is not there")
        program.need(program.hexdigest(data) == digest, f"the blob {digest} holds something else")
        return data
