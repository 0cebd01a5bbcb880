"""Which controls a house has: those that come with Keyturn, and its own in the policy in force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from keyturn.evidence import catalogue
from keyturn.evidence.catalogue import FOLDER, QUERIES, Catalogue
from keyturn.evidence.errors import CatalogueMalformed

Row = dict[str, Any]


class House(Struct, frozen=True):
    """A house's catalogue. `problems`: what is wrong with its own part, which then doesn't count; `unusable`: its tests, and why."""

    catalogue: Catalogue
    problems: tuple[str, ...] = ()
    unusable: dict[str, str] = {}


def house(row: Callable[[str, str], Row | None], blob: Callable[[str], bytes | None]) -> House:
    """The controls of the policy in force, read from rows and blobs of a store.

    One whose own controls can't be read (of an older version, say) has those that come with Keyturn; its own are never a pass.
    """
    files = own_files(row, blob)
    try:
        return House(catalogue.load(files))
    except CatalogueMalformed as error:
        names = [
            path.removeprefix(QUERIES).removesuffix(".sql") for path in files if path.startswith(QUERIES)
        ]
        why = f"The house's own controls can't be read: {error.happened}"
        return House(catalogue.load(), (why,), dict.fromkeys(sorted(names), why))


def own_files(
    row: Callable[[str, str], Row | None], blob: Callable[[str], bytes | None]
) -> Mapping[str, bytes]:
    """The house's own catalogues and tests; none before a policy was published."""
    active = row("policy-active", "active")
    policy = row("policy", active["digest"]) if active else None
    if policy is None:
        return {}
    files = policy["files"]
    if files.keys() == {"blob", "size"}:
        files = msgspec.json.decode(blob(files["blob"]) or b"{}")
    found = {path: blob(digest) for path, digest in files.items() if path.startswith(FOLDER)}
    return {path: data for path, data in found.items() if data is not None}


__all__ = ["House", "house", "own_files"]
