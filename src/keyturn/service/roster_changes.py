"""Changes of the roster: who is on it, in which groups, with which roles and accounts.

Rules kept here (the decision and its price: ADR 0019):

- What gives somebody power (`identity.gains`) is asked of another administrator, as a request like any other. Who asks and who
  gains can't approve it.
- A single administrator has nobody to ask: what they do is recorded and marked `alone`, for auditors to see. Whoever was one of several a
  week ago is not alone yet, so removing the other one first opens no way.
- What takes power away is recorded at once.
- Nobody changes their own groups, roles or accounts of the machine, under whichever of their records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError, Malformed
from keyturn.identity import Person, tokens
from keyturn.identity.gains import gains
from keyturn.identity.names import check_person_id
from keyturn.identity.people import ADMINS
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import people
from keyturn.service.changes import open_change
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden, PersonExists, PersonUnknown
from keyturn.service.model import RequestView
from keyturn.service.person_rows import marks
from keyturn.service.roster import person_of

APPROVERS = f"1 of {ADMINS}"
ALONE_AFTER_MS = 7 * 24 * 3600 * 1000
"""For how long a former administrator still counts as somebody who could have been asked."""
MAX_ACCOUNT = 600


class TooSoonAlone(KeyturnError):
    """The only administrator there is wants to give somebody power, and there was another one until lately."""

    code = "roster.too_soon"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed."
    next_step = (
        "Wait until a week has passed since the other administrator left; taking power away needs no waiting."
    )


class PersonMoved(KeyturnError):
    """The person was changed after the change was asked for, so what was approved is no longer what would happen."""

    code = "person.moved"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was approved and nothing was changed."
    next_step = "Deny it, and ask for the change again."


class Asked(Struct, frozen=True):
    """What came of a change: done at once, or the request that waits for another administrator. `token`: a new person's, once."""

    person: str
    request: RequestView | None = None
    token: str = ""


def company(core: Core, by: Person) -> Literal["several", "too-soon", "alone"]:
    """Whether there is another administrator to ask, was one until lately, or *by* is alone. People are counted, not records."""
    mine = core.roster.human(by.id)
    until = core.now() - ALONE_AFTER_MS
    lately = False
    for row in core.ledger.rows("person", newest_first=False, limit=100_000):
        if core.roster.human(row["id"]) == mine:
            continue
        if "admin" in row.get("roles", ()) and not row.get("removed"):
            return "several"
        lately = lately or row.get("admin_until", 0) > until
    return "too-soon" if lately else "alone"


async def enrol(
    core: Core,
    person: str,
    *,
    name: str = "",
    groups: Sequence[str] = (),
    roles: Sequence[str] = ("member",),
    os_uids: Sequence[int] = (),
    accounts: Sequence[str] = (),
    by: Person,
) -> Asked:
    """Enrol a person; their token is good from the entry on. Raises `PersonExists`, `TooSoonAlone`."""
    check_person_id(person)
    given = {"name": name, "groups": groups, "roles": roles, "os_uids": os_uids, "accounts": accounts}
    changes = _normal(given)
    if core.ledger.row("person", person) is not None:
        raise PersonExists(f"There is a person {person} already.")
    token = tokens.new_token("ktp")
    fields = {"id": person, **changes, "token": tokens.hash_token(token)}
    gained = gains(None, _person(person, changes))
    request = await _do(
        core, by, Draft("person.enrolled", fields, once=f"person.enrolled:{person}"), gained, {}
    )
    return Asked(person, request, token)


async def change(core: Core, person: str, changes: dict[str, Any], *, by: Person) -> Asked:
    """Change name, groups, roles or accounts of the machine. Raises `PersonUnknown`, `Forbidden`, `TooSoonAlone`."""
    if core.roster.same_human(by.id, person):
        raise Forbidden("You can't change your own groups or roles.")
    row = _required(core, person)
    changes = _normal(changes)
    if "admin" in row["roles"] and "admin" not in changes.get("roles", row["roles"]):
        people.keep_an_admin(core, person)
    return await _change(core, by, row, changes)


async def link(core: Core, person: str, account: str, *, by: Person) -> Asked:
    """Make *account* (`issuer|subject`) one of *person*'s: from then on whoever has it is this human, in open requests, too."""
    _may_link(by, person)
    row = _required(core, person)
    if account in row.get("accounts", ()):
        raise Malformed(f"{account} is linked to {person} already.")
    return await _change(
        core, by, row, _normal({"accounts": [*row.get("accounts", ()), account]}), "account-link"
    )


async def unlink(core: Core, person: str, account: str, *, by: Person, mistake: bool = False) -> Asked:
    """*account* opens nothing any more. Whoever has it is still the same human, unless linking it was a *mistake*."""
    _may_link(by, person)
    row = _required(core, person)
    if account not in (*row.get("accounts", ()), *(row.get("former", ()) if mistake else ())):
        raise Malformed(f"{account} is not linked to {person}.")
    changes: dict[str, Any] = {"accounts": sorted(set(row.get("accounts", ())) - {account})}
    if mistake:
        changes["mistake"] = [account]
    return await _change(core, by, row, changes, "account-link")


async def _change(
    core: Core, by: Person, row: dict[str, Any], changes: dict[str, Any], subject: str = "roster"
) -> Asked:
    before = {name: row.get(name, []) for name in changes if name != "mistake"}
    gained = gains(person_of(row), _after(row, changes))
    draft = Draft("person.changed", {"id": row["id"], **changes})
    if subject == "account-link" and not gained:
        gained = ("has other accounts",)
    return Asked(row["id"], await _do(core, by, draft, gained, before, subject))


async def _do(
    core: Core,
    by: Person,
    draft: Draft,
    gained: Sequence[str],
    before: dict[str, Any],
    subject: str = "roster",
) -> RequestView | None:
    """Record *draft*, or ask another administrator for it."""
    fields = {**draft.fields, "by": by.id}
    alone = company(core, by) if gained else "several"
    if gained and alone == "too-soon":
        raise TooSoonAlone("You are the only administrator, and there was another one until lately.")
    if gained and alone == "several":
        return await _ask(core, by, msgspec.structs.replace(draft, fields=fields), gained, before, subject)
    if gained:
        if "admin" not in by.roles:
            return await _ask(
                core, by, msgspec.structs.replace(draft, fields=fields), gained, before, subject
            )
        fields["alone"] = True

    def plan(rows: Rows) -> Sequence[Draft]:
        _unmoved(rows.row("person", fields["id"]), before)
        return [msgspec.structs.replace(draft, fields=fields)]

    await core.ledger.append(plan)
    core.people_changed()
    return None


async def _ask(
    core: Core, by: Person, draft: Draft, gained: Sequence[str], before: dict[str, Any], subject: str
) -> RequestView:
    person = draft.fields["id"]
    what = (
        "Enrols"
        if draft.type == "person.enrolled"
        else "Restores"
        if draft.type == "person.restored"
        else "Changes"
    )
    content = {
        "text": _text(draft, gained, before),
        "type": draft.type,
        "fields": draft.fields,
        "before": before,
    }
    return await open_change(
        core,
        subject=subject,
        content=content,
        sentence=f"{what} {person}, who then {'; '.join(gained)}.",
        why="Whoever gives somebody power could use it through them, so another administrator has to agree.",
        by=by,
        approve=APPROVERS,
        authors=[person],
    )


def effect(core: Core, rows: Rows, row: dict[str, Any]) -> Sequence[Draft]:
    """What the last approval records. Raises `PersonMoved`, `PersonExists`."""
    content = core.full(row["content"])
    fields = core.full(content["fields"])
    person = rows.row("person", fields["id"])
    if content["type"] == "person.enrolled" and person is not None:
        raise PersonExists(f"There is a person {fields['id']} already.")
    _unmoved(person, core.full(content["before"]))
    once = (
        f"{content['type']}:{fields['id']}" if content["type"] == "person.enrolled" else f"roster:{row['id']}"
    )
    return [Draft(content["type"], {**fields, "request": row["id"]}, once=once)]


def _unmoved(row: dict[str, Any] | None, before: dict[str, Any]) -> None:
    """What was read before is still so."""
    if before and (row is None or (row.get("removed") and before.get("removed") is not True)):
        raise PersonMoved("That person was removed meanwhile.")
    if row is not None and any(row.get(name, []) != value for name, value in before.items()):
        raise PersonMoved(f"{row['id']} was changed meanwhile.")


def _text(draft: Draft, gained: Sequence[str], before: dict[str, Any]) -> str:
    """What the other administrator reads: all that would be recorded, and what it gives."""
    shown = {k: v for k, v in draft.fields.items() if k not in ("id", "token", "by")}
    lines = [f"{draft.type} {draft.fields['id']}", ""]
    for name, value in shown.items():
        was = f"{_words(before[name])} -> " if name in before else ""
        lines.append(f"{name:<10}{was}{_words(value)}")
    return "\n".join([*lines, "", *(f"+ {words}" for words in gained)]) + "\n"


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) or "-" if isinstance(value, list) else str(value) or "-"


def _normal(given: dict[str, Any]) -> dict[str, Any]:
    """Lists sorted and without repetition, as they are recorded. Raises `Malformed`, `InvalidName`."""
    people.check_fields(given)
    for account in given.get("accounts", ()):
        issuer, bar, subject = account.partition("|")
        if not bar or not issuer or not subject or not account.isprintable() or len(account) > MAX_ACCOUNT:
            raise Malformed("An account is written `issuer|subject`, as the refused sign-in shows it.")
    return {k: v if isinstance(v, str | int) else sorted(set(v)) for k, v in given.items()}


def _person(person: str, fields: dict[str, Any]) -> Person:
    return person_of({"id": person, **fields})


def _after(row: dict[str, Any], changes: dict[str, Any]) -> Person:
    """The person once *changes* are recorded, as the projection will have it."""
    new = {**row, **{k: v for k, v in changes.items() if k != "mistake"}}
    return person_of({**new, **marks(row, new, changes, 0)})


def _may_link(by: Person, person: str) -> None:
    if by.id != person and "admin" not in by.roles:
        raise Forbidden("Only its person and administrators link an account.")


def _required(core: Core, person: str) -> dict[str, Any]:
    row = core.ledger.row("person", person)
    if row is None or row.get("removed"):
        raise PersonUnknown(f"There is no person {person}.")
    return row
