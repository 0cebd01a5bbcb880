"""What lies in folders that a retention rule names: files older than it lets, and files that are gone (taxonomy H2). Pure.

Rules kept here:

- Everything in such a folder (a cache, an agent's work folder, a vector store) is made of the rule's data, because people said so: the
  folder is the tag. Nothing is guessed from names or content.
- A file's age is counted from its last change. A file of which the log knows who made it has a clock of its own (`retention`), and is
  not told twice.
- Gone is only what should lie in a folder that could be looked through completely. A folder that isn't there says nothing.

Source: NIST SP 800-53r5 SI-12 (information management and retention), MP-6.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from msgspec import Struct

from keyturn.drift.finding import Drift, Magnitude, Since
from keyturn.policy.drift.retention import Retention

SHOWN = 5
HOUR_MS = 3_600_000


class Lying(Struct, frozen=True, order=True):
    """A file: when it was changed last (milliseconds since 1970), and its absolute path."""

    changed: int
    path: str


class Look(Struct, frozen=True):
    """A folder as it was looked through. `whole`: nothing of it was left out, so what was not seen is not there."""

    folder: str
    files: tuple[Lying, ...]
    whole: bool


def late(look: Look, keep: int, now: int, known: Collection[str] = ()) -> tuple[Lying, ...]:
    """Files of *look* that are older than *keep* seconds at *now*, the oldest first, without those *known* otherwise."""
    return tuple(
        sorted(one for one in look.files if one.changed + keep * 1000 <= now and one.path not in known)
    )


def missing(look: Look, kept: Iterable[str]) -> tuple[str, ...]:
    """Which of the paths *kept* that belong into the folder are not there; nothing where it could not be looked through."""
    if not look.whole:
        return ()
    there = {one.path for one in look.files}
    return tuple(path for path in kept if lies_in(look.folder, path) and path not in there)


def lies_in(folder: str, path: str) -> bool:
    """Whether *path* lies below *folder*."""
    return path.startswith(folder.rstrip("/") + "/")


def drift(rule: Retention, look: Look, found: Sequence[Lying], now: int) -> Drift:
    """The finding about *found*, which is not empty: the late files of one folder together."""
    oldest = found[0]
    hours = (now - oldest.changed) / HOUR_MS
    count = "A file" if len(found) == 1 else f"{len(found):,} files"
    names = ", ".join(one.path[len(look.folder) :].lstrip("/")[:120] for one in found[:SHOWN])
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    because = f": {rule.because}" if rule.because else ""
    return Drift(
        "retention.found",
        (rule.name, look.folder),
        f"{count} in {look.folder} should have been deleted by now: {names}{more}.",
        {"object": look.folder, "rule": rule.name},
        observed=f"{len(found):,} of {len(look.files):,} files are older; the oldest was changed {hours:,.0f} hours ago",
        expected=f"nothing older than {rule.keep // 3600} hours (rule {rule.name}){because}",
        since=Since(oldest.changed + rule.keep * 1000, found[-1].changed + rule.keep * 1000),
        magnitude=Magnitude(hours, rule.keep / 3600, "hours since its last change"),
        cause="Somebody or something left them there, and no action that Keyturn saw deleted them.",
    )


__all__ = ["Look", "Lying", "drift", "late", "lies_in", "missing"]
