"""The review of access: who may do what here, looked through by a person, and recorded that they did.

Rules kept here:

- What is recorded is what was shown: whoever records names the digest of the list they saw, and a list that is another by now is
  refused, in the same moment of the log.
- Nobody reviews themselves (promise 6): a reviewer's own rights are in the list and marked as theirs, and count as looked at only
  when somebody else looks. Where nobody but the reviewer is an administrator, there is nobody whose rights matter most to look at:
  that is refused, for an administrator alone can't vouch for the power they have.
- What was taken away follows from the lists: all that stood in the one that was reviewed last and stands no more.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.errors import ExitCode, KeyturnError, Malformed
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Moving
from keyturn.service import callers, credentials, definition_views, grants, key_views
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden

MOST = 100_000
"""Lines of one kind that are looked at."""
MAX_NOTE = 2000
TRIES = 5
"""Times that recording begins anew because something was changed in the same moment."""
POWERS = ("person", "key", "credential", "grant", "gate", "delegation", "scim")
"""Rows that the list is made of and that people change."""

Row = dict[str, Any]


class AccessMoved(KeyturnError):
    """Who may do what is not what the reviewer was shown."""

    code = "access.moved"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "No review was recorded."
    next_step = "Look through the list as it is now: `keyturn person review`."


class AccessOwnOnly(KeyturnError):
    """The reviewer is the only administrator, so the review would be of their own power by themselves."""

    code = "access.own_only"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "No review was recorded."
    next_step = "Make somebody else an administrator too (`keyturn person change NAME --role member --role admin`), then review."


class Right(Struct, frozen=True):
    """One line of the list: `kind` of right, whose or which (`name`), and `what` it is. `person`: who has it; empty for programs."""

    kind: str
    name: str
    what: str = ""
    person: str = ""


class LastReview(Struct, frozen=True):
    """The review before: when (milliseconds since 1970), by whom, and its entry."""

    time: int
    by: str
    entry: int


class AccessView(Struct, frozen=True):
    """Who may do what, now. `digest` is of `rights`; `taken`: what stood in the list that was reviewed last and stands no more.

    `own`: the people in it who are the one that looks; `administrators` are all that there are.
    """

    digest: str
    counts: dict[str, int]
    rights: tuple[Right, ...]
    administrators: tuple[str, ...]
    own: tuple[str, ...]
    taken: tuple[Right, ...] = ()
    last: LastReview | None = None


class LastUse(Struct, frozen=True):
    """When somebody, or an agent for them, last did something here (milliseconds since 1970), what in a word, and its entry."""

    time: int
    how: str
    entry: int


class Reviewed(Struct, frozen=True):
    """A review that was recorded, as entry `entry`."""

    id: str
    entry: int
    digest: str
    counts: dict[str, int]
    taken: tuple[Right, ...]


def look(core: Core, person: Person) -> AccessView:
    """The list as *person* sees it. Reads many rows: not in the server's loop. Raises `Forbidden`."""
    _require(person)
    rights = tuple(sorted(_rights(core), key=lambda one: (one.kind, one.name, one.what)))
    people = [one for one in core.roster.people.values() if not one.removed]
    last = core.ledger.row("access-review", "last")
    return AccessView(
        digest=canonical.digest(to_builtins(rights)),
        counts=dict(sorted(Counter(one.kind for one in rights).items())),
        rights=rights,
        administrators=tuple(sorted(one.id for one in people if "admin" in one.roles)),
        own=tuple(sorted(one.id for one in people if core.roster.same_human(one.id, person.id))),
        taken=_taken(core, last, rights),
        last=LastReview(last["time"], last["by"], last["entry"]) if last else None,
    )


def last_uses(core: Core, person: Person) -> dict[str, LastUse]:
    """Person → when they last made use of what they may do; who never did is not in it. Raises `Forbidden`."""
    _require(person)
    rows = core.ledger.rows("last-use", limit=MOST)
    return {row["person"]: LastUse(row["time"], row["how"], row["entry"]) for row in rows}


def last_looks(core: Core, person: Person) -> dict[str, LastReview]:
    """Person → when somebody else last looked through what they may do; whom nobody did is not in it. Raises `Forbidden`."""
    _require(person)
    rows = core.ledger.rows("looked-at", limit=MOST)
    return {row["person"]: LastReview(row["time"], row["by"], row["entry"]) for row in rows}


def _require(person: Person) -> None:
    if not {"admin", "auditor"} & set(person.roles):
        raise Forbidden("Administrators review access, and auditors may look at it.")


def _taken(core: Core, last: Row | None, now: Sequence[Right]) -> tuple[Right, ...]:
    known = set(now)
    before = (Right(**one) for one in core.full(last["rights"])) if last else ()
    return tuple(one for one in before if one not in known)


async def record(core: Core, person: Person, digest: str, note: str = "") -> Reviewed:
    """Record that *person* looked through the list of *digest*. Raises `AccessMoved`, `AccessOwnOnly`, `Forbidden`, `Malformed`."""
    if "admin" not in person.roles:
        raise Forbidden("Only administrators record a review of access.")
    if len(note) > MAX_NOTE:
        raise Malformed(f"A note has at most {MAX_NOTE:,} characters.")
    made = core.id("ar")
    for _ in range(TRIES):
        moved = core.ledger.moved(POWERS)
        seen = await asyncio.to_thread(look, core, person)
        if seen.digest != digest:
            raise AccessMoved("Who may do what here has changed since that list was shown.")
        if not set(seen.administrators) - set(seen.own):
            raise AccessOwnOnly(
                f"{person.id} is the only administrator, and nobody reviews their own rights."
            )
        try:
            entries = await core.ledger.append(_plan(made, person, seen, note, moved))
        except _Again:
            continue
        return Reviewed(made, entries[0].index, digest, seen.counts, seen.taken)
    raise AccessMoved("Rights are being changed at this moment.")


class _Again(AccessMoved):
    """Something was changed between the look and the append."""


def _plan(made: str, person: Person, seen: AccessView, note: str, moved: int) -> Any:
    fields = {
        "id": made, "by": person.id, "digest": seen.digest, "counts": seen.counts, "rights": to_builtins(seen.rights),
        "people": _people(seen), "taken": to_builtins(seen.taken), "note": note,
    }  # fmt: skip

    def plan(rows: Moving) -> Sequence[Draft]:
        if rows.moved(POWERS) != moved:
            raise _Again("Rights were changed at that moment.")
        return [Draft("access.reviewed", fields, once=f"access.reviewed:{made}")]

    return plan


def _people(seen: AccessView) -> list[dict[str, Any]]:
    """Each person in the list: whether they administer, and whether it is the reviewer."""
    return [
        {"person": one.name, "admin": one.name in seen.administrators, "own": one.name in seen.own}
        for one in seen.rights
        if one.kind == "person"
    ]


# --- the list -----------------------------------------------------------------------------------------------------


def _rights(core: Core) -> Iterator[Right]:
    for row in core.ledger.rows("person", state="active", newest_first=False, limit=MOST):
        yield from _of_person(core, row)
    for given in core.roster.delegations:
        yield Right("stands-in", given.to, f"for {given.person} in {', '.join(given.groups)}", given.to)
    for grant in grants.views(core, "open", MOST):
        yield Right("grant", grant.id, f"{grant.agent}: {grant.digest}")
    for agent in definition_views.agents(core, MOST):
        yield Right("agent", agent.name, f"owner {agent.owner}" if agent.owner else "", agent.owner or "")
    for row in core.ledger.rows("gate", newest_first=False, limit=MOST):
        yield Right("gate", row["name"], str(row.get("assurance", "")))
    for credential in credentials.views(core, MOST):
        if credential.state in credentials.STANDING:
            yield Right(
                "credential", credential.id, f"{credential.kind} {credential.name}", credential.person or ""
            )
    if (core.ledger.row("scim", "token") or {}).get("token"):
        yield Right("scim", "token", "enrols and removes people, fills groups")


def _of_person(core: Core, row: Row) -> Iterator[Right]:
    who = row["id"]
    yield Right("person", who, "", who)
    for role in row["roles"]:
        yield Right("role", who, role, who)
    for group in row["groups"]:
        yield Right("group", who, group, who)
    for uid in row["os_uids"]:
        yield Right("os-account", who, str(uid), who)
    for account in row.get("accounts", ()):
        # Whose account at a provider that is can be erased; a digest tells two apart.
        yield Right("account", who, canonical.digest(account)[:19], who)
    for key in key_views.keys_of(core, who):
        yield Right("key", key.id, f"{key.type} of {who}", who)
    for row in core.ledger.rows("credential", state=f"person:{who}", limit=MOST):
        if callers.state_of(core, row) in credentials.STANDING:
            yield Right("token", row["id"], f"{who}: {', '.join(row['scopes'])}", who)


__all__ = [
    "AccessMoved",
    "AccessOwnOnly",
    "AccessView",
    "LastReview",
    "LastUse",
    "Reviewed",
    "Right",
    "last_looks",
    "last_uses",
    "look",
    "record",
]
