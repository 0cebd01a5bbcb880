"""Folders of retention rules are looked through at intervals: what is too old becomes a finding, what is gone is recorded.

Rules kept here:

- Only folders that policy names, on the machine of this server; links are not followed, nothing is opened, and no name of a file is
  kept but those that a finding shows.
- Bounded: `MOST_FILES` files a folder. Of a larger one, and of one that can't be read completely, nothing counts as gone.
- Nothing is too old, and nothing is recorded as gone, under a legal hold of the rule's labels.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from keyturn.drift import folders
from keyturn.drift.folders import Look, Lying
from keyturn.ledger.entries import Draft
from keyturn.policy.drift.retention import Retention
from keyturn.service import legal_holds
from keyturn.service.artefacts import MOST_KEPT, rules_of
from keyturn.service.core import Core
from keyturn.service.following import Follower, Noted

log = logging.getLogger("keyturn.drift")

MOST_FILES = 200_000
MAKING_MS = 3_600_000
"""So long after an action that writes a file was let go, that file may not be there yet."""
WHY = "looked for in a folder of its retention rule, and not found"


class FolderScans(Follower):
    """Looks when a rule's time has come."""

    name = "folder scans"
    apart = True
    reads = frozenset[str]()

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._looked: dict[str, int] = {}
        self._told: set[str] = set()

    def tick(self, now: int) -> Sequence[Noted]:
        """Rules whose folders were looked at too long ago."""
        found: list[Noted] = []
        for rule in rules_of(self.core).values():
            last = self._looked.get(rule.name)
            if rule.scan and rule.folders and (last is None or now - last >= rule.scan * 1000):
                self._looked[rule.name] = now
                found += self._scanned(rule, now)
        return found

    def _scanned(self, rule: Retention, now: int) -> Iterator[Noted]:
        held = legal_holds.cover(legal_holds.standing(self.core), {"labels": list(rule.labels)})
        for folder in rule.folders if not held else ():
            look = looked(folder)
            if not look.whole and folder not in self._told:
                self._told.add(folder)
                log.warning(
                    "the folder %s of the retention rule %s can't be looked through", folder, rule.name
                )
            yield from self._gone(look, now)
            late = folders.late(look, rule.keep, now)
            late = tuple(one for one in late if not self._known(one.path))
            if late:
                yield folders.drift(rule, look, late, now)

    def _known(self, path: str) -> bool:
        """Whether the log knows who made it: then it has a clock of its own."""
        return bool((self.core.ledger.row("artefact-path", path) or {}).get("artefacts"))

    def _gone(self, look: Look, now: int) -> Iterator[Draft]:
        """Files that agents made, and that are not where they were; one that is being made may not be there yet."""
        rows = {}
        for state in ("kept", "overdue"):
            for row in self.core.ledger.rows("artefact", state=state, newest_first=False, limit=MOST_KEPT):
                if folders.lies_in(look.folder, row["path"]) and row["written"] + MAKING_MS <= now:
                    rows[row["id"]] = row
        missing = set(folders.missing(look, (row["path"] for row in rows.values())))
        holds = legal_holds.standing(self.core) if missing else ()
        for identity, row in rows.items():
            if row["path"] in missing and not legal_holds.cover(holds, row):
                fields = {"artefact": identity, "how": "scan", "by": "", "why": WHY}
                yield Draft("artefact.deleted", fields, once=f"artefact.deleted:{identity}")


def looked(folder: str) -> Look:
    """*folder* looked through. Not whole: it is not there, a part can't be read, or it has more than `MOST_FILES` files."""
    found: list[Lying] = []
    troubles: list[OSError] = []
    for place, names, files in os.walk(folder, onerror=troubles.append):
        names.sort()
        for name in files:
            path = f"{place.rstrip('/')}/{name}"
            try:
                found.append(Lying(int(os.lstat(path).st_mtime * 1000), path))
            except FileNotFoundError:
                continue  # gone since its name was read
            except OSError as error:
                troubles.append(error)
        if len(found) > MOST_FILES:
            return Look(folder, tuple(found[:MOST_FILES]), False)
    return Look(folder, tuple(found), not troubles and Path(folder).is_dir())


__all__ = ["FolderScans", "looked"]
