"""How a person is told: the channels they do without, and their browsers that get push messages. Every change is an entry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keyturn import canonical
from keyturn.errors import Malformed, NotFound
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.service.core import Core

MOST_BROWSERS = 20
"""Browsers of one person that get push messages."""
MOST_WITHOUT = 20
KINDS = ("slack", "email", "push")
"""Channels that tell people in person."""


async def choose(core: Core, person: Person, without: Sequence[str]) -> None:
    """From now on *person* is not told through the channels *without*. Raises `Malformed`."""
    unknown = sorted(set(without) - set(KINDS))
    if unknown or len(without) > MOST_WITHOUT:
        raise Malformed(
            f"There is no channel {unknown[0][:40]!r} that tells people in person."
            if unknown
            else "That are too many."
        )
    chosen = sorted(set(without))
    row = core.ledger.row("notice-choice", person.id) or {"without": []}
    if row["without"] != chosen:
        await core.ledger.append([Draft("notice.chosen", {"person": person.id, "without": chosen})])


def without(core: Core, person: str) -> tuple[str, ...]:
    """The channels that *person* does without."""
    return tuple((core.ledger.row("notice-choice", person) or {}).get("without", ()))


def browsers(core: Core, person: str) -> list[dict[str, Any]]:
    """A person's browsers that get push messages, newest first."""
    return core.ledger.rows("push", state=person)


async def subscribe(core: Core, person: Person, *, endpoint: str, p256dh: str, auth: str, device: str) -> str:
    """Remember a browser; gives its id, which is the endpoint's digest. A browser that another person used is theirs no more.

    Raises `Malformed` when the person has too many.
    """
    identity = canonical.digest_bytes(endpoint.encode())
    fields = {
        "id": identity,
        "person": person.id,
        "endpoint": endpoint,
        "p256dh": p256dh,
        "auth": auth,
        "device": device[:120],
    }

    def plan(rows: Rows) -> Sequence[Draft]:
        old = rows.row("push", identity)
        same = old is not None and all(old[name] == fields[name] for name in fields)
        return [] if same else [Draft("push.subscribed", fields)]

    if len(browsers(core, person.id)) >= MOST_BROWSERS and core.ledger.row("push", identity) is None:
        raise Malformed(f"You have {MOST_BROWSERS} browsers that are told: take one back first.")
    await core.ledger.append(plan)
    return identity


async def unsubscribe(core: Core, person: Person, identity: str) -> None:
    """Take one of *person*'s own browsers back. Raises `NotFound`."""

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("push", identity)
        if row is None or row["person"] != person.id:
            raise NotFound("You have no such browser.")
        return [Draft("push.ended", {"id": identity, "person": person.id, "why": "taken back"})]

    await core.ledger.append(plan)
