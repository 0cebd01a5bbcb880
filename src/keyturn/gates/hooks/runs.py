"""What the desk remembers of agent runs between hooks: in memory, bounded, and never needed to be safe.

When it is lost (a restart), an action's instruction is missing and a result finds no pair; nothing runs for it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from keyturn import canonical
from keyturn.actions import Action, Human, Shell, Text
from keyturn.drift.definition import Definition
from keyturn.gates.hooks.confirmations import Confirmations
from keyturn.gates.hooks.model import Proposal
from keyturn.gates.hooks.places import Place
from keyturn.gates.mcp_listing import Listed
from keyturn.resources import Surroundings

MAX_RUNS = 4_096
MAX_ALLOWED = 16_384

V = TypeVar("V")


class Bounded(Generic[V]):
    """A mapping that forgets what was used longest ago."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[str, V] = OrderedDict()

    def get(self, key: str) -> V | None:
        """The value, now the most recently used."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def put(self, key: str, value: V) -> None:
        """Keep *value*."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def values(self) -> list[V]:
        """All that are kept, the least recently used first."""
        return list(self._kept.values())

    def pop(self, key: str) -> V | None:
        """The value, forgotten."""
        return self._kept.pop(key, None)


class Run:
    """One agent run at one client: its session once that is open, and what was said last."""

    def __init__(self, client_session: str) -> None:
        self.client_session = client_session
        self.lock = asyncio.Lock()
        self.session: str | None = None
        self.human: Human | None = None
        self.place: Place = Place("", "")
        self.around = Surroundings()
        self.instruction: Text | None = None
        self.definition: str | None = None
        self.described: Definition | None = None
        self.client = ""
        self.uid = -1
        self.listed: Listed | None = None
        self.listed_at = 0.0
        self.heard_at = 0.0
        self.parents: tuple[str, ...] = ()
        self.model = ""
        self.confirmations = Confirmations()


class Allowed(Struct, frozen=True):
    """One thing that was allowed to run: what is needed to tell whether it is what ran."""

    action_id: str
    permit: str | None
    digest: str
    policy: str
    action: Action
    canonical: str | None = None


class Paired(Struct, frozen=True, eq=False):
    """One call that was allowed, and all names under which its result may come back."""

    keys: tuple[str, ...]
    allowed: tuple[Allowed, ...]


class Pairs:
    """Allowed calls that await their result: by the client's call id, else by what they do, first in first out."""

    def __init__(self) -> None:
        self._waiting: Bounded[deque[Paired]] = Bounded(MAX_ALLOWED)

    def put(self, keys: tuple[str, ...], allowed: tuple[Allowed, ...]) -> None:
        """Remember what one call was allowed to do, under each of *keys*."""
        paired = Paired(keys, allowed)
        for key in keys:
            queue = self._waiting.get(key) or deque(maxlen=64)
            queue.append(paired)
            self._waiting.put(key, queue)

    def take(self, key: str) -> tuple[Allowed, ...]:
        """What the call was allowed to do, once; empty when it is not known."""
        queue = self._waiting.get(key)
        if not queue:
            return ()
        paired = queue[0]
        for name in paired.keys:
            self._forget(name, paired)
        return paired.allowed

    def _forget(self, key: str, paired: Paired) -> None:
        queue = self._waiting.get(key)
        if queue is None:
            return
        if paired in queue:
            queue.remove(paired)
        if not queue:
            self._waiting.pop(key)


def pair_keys(
    client_session: str, call: str | None, proposals: tuple[Proposal, ...], rewritten_script: str | None
) -> tuple[str, ...]:
    """Names under which a call's result may come back: by its id, else as proposed or as rewritten."""
    keys = [pair_key(client_session, call, proposals)]
    if call is None and rewritten_script is not None:
        rewritten = tuple(
            replace(one, content=replace(one.content, script=rewritten_script))
            for one in proposals
            if isinstance(one.content, Shell)
        )
        keys.append(pair_key(client_session, None, rewritten))
    return tuple(dict.fromkeys(keys))


def pair_key(client_session: str, call: str | None, proposals: tuple[Proposal, ...]) -> str:
    """What pairs a call with its result within one run."""
    return f"{client_session}#{call}" if call else f"{client_session}={_said(proposals)}"


def _said(proposals: tuple[Proposal, ...]) -> str:
    return canonical.digest([to_builtins(proposal.content) for proposal in proposals])
