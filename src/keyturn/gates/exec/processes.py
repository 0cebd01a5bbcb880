"""The scopes of a tree's processes: which decided command each of them belongs to."""

from __future__ import annotations

import threading

from keyturn.gates.exec import family
from keyturn.gates.exec.model import Exec
from keyturn.gates.exec.scope import Scope

KEPT = 4_096
"""How many processes are kept before those that ended are looked for."""


class Processes:
    """Scopes by process. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scopes: dict[int, tuple[str, Scope]] = {}

    def open(self, seen: Exec, scope: Scope) -> None:
        """From now on the process of *seen*, and what descends from it, is in *scope*."""
        with self._lock:
            self._scopes[seen.tgid] = (seen.serial, scope)
            if len(self._scopes) > KEPT:
                self._scopes = {
                    pid: kept for pid, kept in self._scopes.items() if family.serial(pid) == kept[0]
                }

    def scope_of(self, seen: Exec) -> Scope | None:
        """The scope of the process, or of the nearest one above that has one. A process id that was used again has none."""
        scopes = self._scopes
        found = scopes.get(seen.tgid)
        if found is not None and seen.serial and found[0] == seen.serial:
            return found[1]
        for pid, birth in family.above(seen.parent):
            found = scopes.get(pid)
            if found is not None and found[0] == birth:
                return found[1]
        return None

    def commanded(self, process: int) -> bool:
        """Whether *process* runs a command that was decided on."""
        found = self._scopes.get(process)
        return found is not None and bool(found[0]) and found[0] == family.serial(process)


__all__ = ["Processes"]
