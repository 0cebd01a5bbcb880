"""What policy allowed by itself, remembered for exactly the same question, while nothing changed that could change the answer.

Rules kept here:

- A yes is used only while the line stands under which it was asked for, and says the same policy (`standing`).
- What people approved is never kept: an approval is for once, and a grant counts its uses and can be revoked.
- Nor is what policy counts (`Outcome.counted`): each time has to be asked for, or the count would be wrong.
- The short way, by the question's number alone, is for questions whose answer depends on nothing on the disk but the program
  itself, which the number stands for (`contents.looks_nowhere`), and for the very same scope. Others are looked into each time.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import Struct

from keyturn.actions import Shell
from keyturn.gates.exec.model import Exec
from keyturn.gates.exec.scope import Scope
from keyturn.gates.exec.standing import Standing
from keyturn.gates.hooks.contents import Looked

REMEMBERED = 4096
"""How many answers are remembered; more than that and all are forgotten."""


class Line(Protocol):
    """Who says which policy decides now."""

    def standing(self, session: str, workspace: str) -> Standing | None:
        """The policy, and the number of the line; None when nothing remembered may be used."""
        ...


class Yes(Struct, frozen=True):
    """An answer: the policy that gave it, the line under which it was asked for, and the scope that it opens."""

    policy: str
    number: int
    scope: Scope


class _Question(Struct, frozen=True):
    above: Scope | None
    yes: Yes


class Memory:
    """Of one tree. Asked in the supervisor's thread; `keep` may be called from another."""

    def __init__(self, line: Line, session: str, workspace: str) -> None:
        self._line = line
        self._session, self._workspace = session, workspace
        self._yeses: dict[bytes, Yes] = {}
        self._questions: dict[tuple[int, int], _Question] = {}

    def __bool__(self) -> bool:
        return bool(self._yeses)

    def number(self) -> int:
        """The number of the line that stands now, 0 for none: what is asked for from now on is kept under it."""
        standing = self._line.standing(self._session, self._workspace)
        return standing.number if standing is not None else 0

    def keep(self, looked: Looked, above: Scope | None, yes: Yes) -> None:
        """Remember *yes* to the action that was *looked* into, asked in the scope *above*."""
        if not yes.number:
            return
        if len(self._yeses) >= REMEMBERED:
            self._yeses.clear()
        self._yeses[_key(looked, above)] = yes

    def of(self, looked: Looked, above: Scope | None) -> Yes | None:
        """What is remembered of it, and still stands."""
        return self._standing(self._yeses.get(_key(looked, above)))

    def keep_question(self, seen: Exec, above: Scope | None, yes: Yes) -> None:
        """Remember *yes* to the question of *seen* itself: only if the disk has no say in it."""
        if len(self._questions) >= REMEMBERED:
            self._questions.clear()
        if seen.question:
            # By identity, which is quick; the scope is kept along, so that the place in memory is not used again.
            self._questions[seen.question, id(above)] = _Question(above, yes)

    def of_question(self, seen: Exec, above: Scope | None) -> Yes | None:
        """What is remembered of the question of *seen*, and still stands."""
        found = self._questions.get((seen.question, id(above)))
        return self._standing(found.yes) if found is not None and found.above is above else None

    def _standing(self, yes: Yes | None) -> Yes | None:
        if yes is None:
            return None
        standing = self._line.standing(self._session, self._workspace)
        if standing is not None and (standing.policy, standing.number) == (yes.policy, yes.number):
            return yes
        self._yeses.clear()
        self._questions.clear()
        return None


def _key(looked: Looked, above: Scope | None) -> bytes:
    """Everything that the answer may depend on, but the policy."""
    action = looked.action
    content = action.content if isinstance(action.content, Shell) else None
    within = above.within if above is not None else ""
    parts = (content, action.cwd, sorted(action.environment.items()), sorted(action.executes.items()), within)
    return msgspec.msgpack.encode((parts, looked.around))


__all__ = ["Line", "Memory", "Yes"]
