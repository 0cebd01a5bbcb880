"""People as a SCIM client provisions them: every write is an entry, and what it means for the roster is in the same commit.

Rules kept here:

- A user there is a person here. Whoever has its account already is that person; otherwise they are enrolled, without a token: they
  sign in with the provider.
- `active: false` and DELETE remove the person at once: keys, sessions and tokens are good for nothing from that entry on, what they
  approved in requests that wait no longer counts. `active: true` after that brings them back without any of these; no other write
  brings back whom an administrator removed here.
- Only groups in the setting `scim.groups` count for anything, and only the client fills those. No role comes this way, neither by
  giving somebody who has one another account.
- The client speaks with a token of its own. Who has it can put people into reviewing groups, so issuing it is asked of another
  administrator where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Person, tokens
from keyturn.identity.id_token import account_of
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import people, roster_changes
from keyturn.service.changes import open_change
from keyturn.service.core import Core
from keyturn.service.roster_changes import APPROVERS, Asked, TooSoonAlone
from keyturn.service.scim_rows import name_key

BY = "scim"
"""Who is named in the entries of what the client did."""
MOST = 100_000
MAX_NAME = 200

Json = dict[str, Any]

_NOT_A_NAME = re.compile(r"[^a-z0-9._-]+", re.ASCII)


class ScimUnknown(KeyturnError):
    """No user or group has that id."""

    code = "scim.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "List the users and groups; ids are Keyturn's own."


class ScimTaken(KeyturnError):
    """Another user has that name, or another group."""

    code = "scim.taken"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Change the one there is, or give another name."


class ScimInvalid(KeyturnError):
    """A user or group that can't be kept: a member that is no user, a name that is too long."""

    code = "scim.invalid"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Correct it; groups hold users, by the ids that Keyturn gave them."


class ScimMoved(KeyturnError):
    """The resource has changed since the version that the client names."""

    code = "scim.moved"
    status = 412
    not_done = "Nothing was changed."
    next_step = "Read it again, then change it."


# --- the client's token -----------------------------------------------------------------------------------------


async def issue_token(core: Core, by: Person) -> Asked:
    """A token for the SCIM client; the one before is void as soon as this one is good. Raises `TooSoonAlone`."""
    token = tokens.new_token("ktd")
    fields = {"token": tokens.hash_token(token), "by": by.id}
    company = roster_changes.company(core, by)
    if company == "too-soon":
        raise TooSoonAlone("You are the only administrator, and there was another one until lately.")
    if company == "alone":
        await core.ledger.append([Draft("scim.token", {**fields, "alone": True})])
        return Asked(BY, None, token)
    groups = ", ".join(sorted(set(core.settings.scim.groups.values()))) or "no group"
    request = await open_change(
        core,
        subject="scim-token",
        content={
            "text": f"A token for a SCIM client\n\nIt enrols and removes people, and fills: {groups}\n",
            "fields": fields,
        },
        sentence=f"Issues a token with which a SCIM client enrols and removes people and fills {groups}.",
        why="Who has the token gives people power, so another administrator has to agree.",
        by=by,
        approve=APPROVERS,
    )
    return Asked(BY, request, token)


def token_effect(core: Core, rows: Rows, row: Json) -> Sequence[Draft]:
    """What the last approval records."""
    fields = core.full(core.full(row["content"])["fields"])
    return [Draft("scim.token", {**fields, "request": row["id"]}, once=f"scim.token:{row['id']}")]


async def revoke_token(core: Core, by: Person) -> None:
    """From here on no SCIM client gets in."""
    await core.ledger.append([Draft("scim.token", {"token": "", "by": by.id})])


def has_client(core: Core) -> bool:
    """Whether a SCIM client has a token."""
    return bool((core.ledger.row("scim", "token") or {}).get("token"))


def is_token(core: Core, token: str) -> bool:
    """Whether *token* is the client's."""
    known = str((core.ledger.row("scim", "token") or {}).get("token", ""))
    return bool(known) and tokens.matches(token, known)


# --- users ------------------------------------------------------------------------------------------------------


async def save_user(core: Core, resource: Json, user: str | None = None, version: int | None = None) -> Json:
    """Make a user (no id) or replace one; gives its row. Raises `ScimTaken`, `ScimUnknown`, `ScimMoved`, `ScimInvalid`."""
    kept = {
        k: resource[k]
        for k in ("userName", "externalId", "displayName", "active")
        if resource.get(k) is not None
    }
    if any(len(str(value)) > MAX_NAME for value in kept.values()) or not name_key(kept).strip():
        raise ScimInvalid(f"Names have 1 to {MAX_NAME} characters.")
    made = user or core.id("u")

    def plan(rows: Rows) -> Sequence[Draft]:
        old = _current(rows, "user", user, version) if user else None
        taken = rows.row("scim-name", name_key(kept))
        if taken is not None and taken["id"] != made:
            raise ScimTaken(f"There is a user {kept['userName']!r} already.")
        person = old["person"] if old else _person_for(core, rows, kept)
        within = old["in"] if old else {}
        fields = {"id": made, "person": person, "resource": kept, "by": BY}
        return [Draft("scim.user", fields), *_person_drafts(core, rows, person, kept, old, within)]

    await core.ledger.append(plan)
    core.people_changed()
    return core.ledger.row("scim-user", made) or {}


def _person_for(core: Core, rows: Rows, resource: Json) -> str:
    """Who a new user is: the person who has its account, else a new one under a free id like its name."""
    account = _account(core, resource)
    if account:
        everybody = core.rosters.within(rows).people
        owners = [p for p in everybody.values() if account in p.accounts]
        if owners:
            return next((p.id for p in owners if not p.removed), owners[0].id)
    base = _NOT_A_NAME.sub("-", name_key(resource).partition("@")[0]).strip("-._")[:50]
    base = base if base[:1].isalpha() else f"u-{base}".rstrip("-")
    names = (base, *(f"{base}-{number}" for number in range(2, 10_000)))
    return next(name for name in names if rows.row("person", name) is None)


def _person_drafts(
    core: Core, rows: Rows, person: str, resource: Json, old: Json | None, within: Json
) -> list[Draft]:
    """What the user's present form means for the person."""
    row = rows.row("person", person)
    account, before = _account(core, resource), _account(core, old["resource"]) if old else ""
    name = str(resource.get("displayName", ""))
    drafts: list[Draft] = []
    back = resource.get("active", True) and not (old and old["resource"].get("active", True))
    if row is None:
        fields = {
            "id": person, "name": name, "groups": _mapped(core, [], within), "roles": ["member"], "os_uids": [],
            "accounts": [account] if account else [], "by": BY,
        }  # fmt: skip
        drafts.append(Draft("person.enrolled", fields, once=f"person.enrolled:{person}"))
        row = {"removed": False}
    else:
        if account not in ("", *row.get("accounts", ())):
            _require_no_more(core, row)
        accounts = sorted((set(row.get("accounts", ())) - ({before} - {account})) | ({account} - {""}))
        now = {
            "name": name or row.get("name", ""),
            "accounts": accounts,
            "groups": _mapped(core, row["groups"], within),
        }
        changes = {k: v for k, v in now.items() if v != row.get(k, [])}
        if row.get("removed") and back:
            drafts.append(Draft("person.restored", {"id": person, **changes, "token": "", "by": BY}))
        elif changes:
            drafts.append(Draft("person.changed", {"id": person, **changes, "by": BY}))
    if not resource.get("active", True) and not row.get("removed"):
        drafts += people.removal(core, rows, person, BY)
    return drafts


def _require_no_more(core: Core, row: Json) -> None:
    """Raises `ScimInvalid` for somebody with power that the client can't give: with another account it would take that over."""
    more = set(row["groups"]) - set(core.settings.scim.groups.values()) | set(row["roles"]) - {"member"}
    if more:
        raise ScimInvalid(
            f"{row['id']} has what no SCIM client gives ({', '.join(sorted(more))[:200]}): people link their accounts."
        )


def _account(core: Core, resource: Json) -> str:
    external = resource.get("externalId")
    return account_of(core.settings.scim.issuer, external) if core.settings.scim.issuer and external else ""


def _mapped(core: Core, groups: Sequence[str], within: Json) -> list[str]:
    """*groups* with those that the client fills as *within* (id → its name for it) has them."""
    table = core.settings.scim.groups
    return sorted(
        (set(groups) - set(table.values())) | {table[name] for name in within.values() if name in table}
    )


# --- groups -----------------------------------------------------------------------------------------------------


async def save_group(
    core: Core, resource: Json, group: str | None = None, version: int | None = None
) -> Json:
    """Make a group (no id) or replace one; gives its row. Raises as `save_user`."""
    members = list(dict.fromkeys(resource.get("members", ())))
    name = str(resource.get("displayName") or "")
    if not 0 < len(name) <= MAX_NAME or len(str(resource.get("externalId") or "")) > MAX_NAME:
        raise ScimInvalid(f"Names have 1 to {MAX_NAME} characters.")
    kept = {"displayName": name, "members": members}
    if resource.get("externalId") is not None:
        kept["externalId"] = resource["externalId"]
    made = group or core.id("g")
    if any(
        r["resource"]["displayName"] == name and r["id"] != made
        for r in core.ledger.rows("scim-group", limit=MOST)
    ):
        # Two groups of one name would each fill, and empty, the same group here.
        raise ScimTaken(f"There is a group {name!r} already.")

    def plan(rows: Rows) -> Sequence[Draft]:
        old = _current(rows, "group", group, version) if group else None
        unknown = next((m for m in members if rows.row("scim-user", m) is None), None)
        if unknown is not None:
            raise ScimInvalid(f"There is no user {unknown[:60]!r}.")
        touched = {*members, *(old["resource"]["members"] if old else ())}
        drafts = [Draft("scim.group", {"id": made, "resource": kept, "by": BY})]
        return drafts + _membership(core, rows, sorted(touched), made, name, frozenset(members))

    await core.ledger.append(plan)
    core.people_changed()
    return core.ledger.row("scim-group", made) or {}


def _membership(
    core: Core, rows: Rows, users: Sequence[str], group: str, name: str, members: frozenset[str]
) -> list[Draft]:
    """What a group's new members mean for the people behind *users*."""
    drafts = []
    for user in users:
        row = rows.row("scim-user", user)
        person = rows.row("person", row["person"]) if row else None
        if row is None or person is None:
            continue
        within = {k: v for k, v in row["in"].items() if k != group}
        if user in members:
            within[group] = name
        groups = _mapped(core, person["groups"], within)
        if groups != person["groups"]:
            drafts.append(Draft("person.changed", {"id": person["id"], "groups": groups, "by": BY}))
    return drafts


# --- both -------------------------------------------------------------------------------------------------------


async def remove(core: Core, kind: str, id: str, version: int | None = None) -> None:
    """Delete a user, whose person is removed at once, or a group. Raises `ScimUnknown`, `ScimMoved`."""

    def plan(rows: Rows) -> Sequence[Draft]:
        row = _current(rows, kind, id, version)
        drafts = [Draft("scim.removed", {"kind": kind, "id": id, "by": BY})]
        if kind == "group":
            return drafts + _membership(core, rows, row["resource"]["members"], id, "", frozenset())
        person = rows.row("person", row["person"])
        if person is not None and not person.get("removed"):
            drafts += people.removal(core, rows, row["person"], BY)
        return drafts

    await core.ledger.append(plan)
    core.people_changed()


def _current(rows: Rows, kind: str, id: str, version: int | None) -> Json:
    row = rows.row(f"scim-{kind}", id)
    if row is None:
        raise ScimUnknown(f"There is no {kind} {id[:60]!r}.")
    if version is not None and row["entry"] != version:
        raise ScimMoved(f"The {kind} was changed meanwhile.")
    return row


def found(core: Core, kind: str, id: str) -> Json:
    """One row. Raises `ScimUnknown`."""
    return _current(core.ledger, kind, id, None)


def every(core: Core, kind: str) -> list[Json]:
    """All rows, oldest first."""
    return core.ledger.rows(f"scim-{kind}", newest_first=False, limit=MOST)


def by_name(core: Core, name: str) -> Json | None:
    """The user of that name, whatever its case."""
    row = core.ledger.row("scim-name", name.casefold())
    return core.ledger.row("scim-user", row["id"]) if row else None
