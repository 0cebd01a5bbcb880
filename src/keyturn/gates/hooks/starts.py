"""Commands that hooks allowed and that their clients have not started yet: in memory, bounded, never needed to be safe.

The exec gate around a client asks here whether the text that the client is about to start is one of them. A match
needs the same text (as proposed, or as re-emitted), shell, folder and digests of the files that it runs, in a session
that was started from the one that asks, under the policy that still decides. Each allowed action matches once. What
doesn't match, or is forgotten (a restart, too many), is asked for like anything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from msgspec import Struct

from keyturn.actions import Shell
from keyturn.errors import KeyturnError
from keyturn.gates.hooks.runs import Allowed, Bounded
from keyturn.service.interface import Service
from keyturn.service.model import Begun

MAX_RUNS = 1_024
MAX_ALLOWED = 64
"""Commands of one run that may await their start; a client has a handful of tools at work."""


class Asked(Struct, frozen=True):
    """What a client is about to start under the gate *gate* of *session*. `executes`: path → digest, as it is now."""

    session: str
    gate: str
    script: str
    dialect: str
    cwd: str
    executes: Mapping[str, str]


class _Waiting(Struct, frozen=True, eq=False):
    one: Allowed
    workspace: str
    session: str


class Starts:
    """What hooks allowed and what was not started yet, by the session around the client."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._allowed: Bounded[deque[_Waiting]] = Bounded(MAX_RUNS)

    def allowed(
        self, around: tuple[str, ...], session: str, workspace: str, actions: tuple[Allowed, ...]
    ) -> None:
        """Hooks of *session*, which was started from the sessions *around* it, allowed *actions*."""
        for one in actions:
            if isinstance(one.action.content, Shell):
                for outer in around:
                    queue = self._allowed.get(outer) or deque(maxlen=MAX_ALLOWED)
                    queue.append(_Waiting(one, workspace, session))
                    self._allowed.put(outer, queue)

    async def begun(self, asked: Asked, human: str | None) -> Begun | None:
        """The action that begins with this start, from here on used up; None when there is none. Raises nothing of it."""
        queue = self._allowed.get(asked.session)
        for waiting in list(queue or ()):
            if queue is None or waiting not in queue or not _same(waiting.one, asked):
                continue
            queue.remove(
                waiting
            )  # before anything is awaited: another start of the same text doesn't find it
            try:
                if self._service.standing(waiting.session, waiting.workspace) == waiting.one.policy:
                    return await self._service.begin(waiting.one.action_id, asked.session, asked.gate, human)
            except KeyturnError:
                continue
        return None


def _same(one: Allowed, asked: Asked) -> bool:
    content = one.action.content
    return (
        isinstance(content, Shell)
        and asked.script in (content.script, one.canonical)
        and asked.dialect == content.dialect
        and asked.cwd == one.action.cwd
        and dict(asked.executes) == one.action.executes
    )


__all__ = ["Asked", "Starts"]
