"""People: enrolment, change, removal, tokens and web sessions. Every change is an entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from keyturn.errors import Malformed
from keyturn.identity import Person, tokens
from keyturn.identity.names import check_group, check_person_id
from keyturn.identity.people import ROLES
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import callers, calling
from keyturn.service.core import Core, person_of
from keyturn.service.errors import Forbidden, PersonExists, PersonUnknown, ReadsOnly

LATEST_MS = 32_503_680_000_000
"""The year 3000."""
MOST_TOKENS = 10_000
"""Tokens that a person made, as far as they are looked through at the removal; older ones open nothing then either."""


async def enrol(
    core: Core,
    person: str,
    *,
    name: str,
    groups: Sequence[str],
    roles: Sequence[str],
    os_uids: Sequence[int],
    by: str,
) -> str:
    """Enrol a person; gives their token, which is stored only as a hash. Raises `PersonExists`."""
    check_person_id(person)
    check_fields({"groups": groups, "roles": roles, "os_uids": os_uids})
    token = tokens.new_token("ktp")

    def plan(rows: Rows) -> Sequence[Draft]:
        if rows.row("person", person) is not None:
            raise PersonExists(f"There is a person {person} already.")
        fields = {
            "id": person,
            "name": name,
            "groups": sorted(set(groups)),
            "roles": sorted(set(roles)),
            "os_uids": sorted(set(os_uids)),
            "accounts": [],
            "token": tokens.hash_token(token),
            "by": by,
        }
        return [Draft("person.enrolled", fields, once=f"person.enrolled:{person}")]

    await core.ledger.append(plan)
    core.people_changed()
    return token


async def change(core: Core, person: str, changes: dict[str, Any], *, by: str) -> Person:
    """Change groups, roles, os_uids or name. Nobody changes their own groups or roles."""
    if by == person:
        raise Forbidden("You can't change your own groups or roles.")
    check_fields(changes)

    def plan(rows: Rows) -> Sequence[Draft]:
        row = _required(rows, person)
        if "admin" in row["roles"] and "admin" not in changes.get("roles", row["roles"]):
            keep_an_admin(core, person)
        return [Draft("person.changed", {"id": person, **changes, "by": by})]

    await core.ledger.append(plan)
    core.people_changed()
    return core.roster.people[person]


async def new_token(core: Core, person: str, *, by: str) -> str:
    """Replace a person's token; the old one is void from that entry on."""
    token = tokens.new_token("ktp")

    def plan(rows: Rows) -> Sequence[Draft]:
        _required(rows, person)
        return [Draft("person.changed", {"id": person, "token": tokens.hash_token(token), "by": by})]

    await core.ledger.append(plan)
    return token


async def remove(core: Core, person: str, *, by: str) -> Removed:
    """From here on that person decides nothing, their keys sign nothing, and their tokens and sessions open nothing."""

    def plan(rows: Rows) -> Sequence[Draft]:
        if "admin" in _required(rows, person)["roles"]:
            keep_an_admin(core, person)
        return removal(core, rows, person, by)

    entries = await core.ledger.append(plan)
    core.people_changed()
    keys = tuple(entry.fields["id"] for entry in entries if entry.type == "key.revoked")
    given = tuple(entry.fields["credential"] for entry in entries if entry.type == "credential.revoked")
    return Removed(person, keys, given)


class Removed(Struct, frozen=True):
    """Who was removed, and the ids of the keys and tokens of theirs that were good until then."""

    person: str
    keys: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()


def removal(core: Core, rows: Rows, person: str, by: str) -> list[Draft]:
    """A person's removal, whoever asks for it: their keys and tokens are revoked in the same append, so none outlives them.

    The token of their enrolment and their sessions end with `person.removed` itself.
    """
    why = f"{person} was removed"
    held = (rows.row("person-keys", person) or {"keys": []})["keys"]
    keys = [key for key in held if (rows.row("key", key) or {"revoked": 0})["revoked"] is None]
    # One that is issued at this very moment may be missed here: it is older than the removal, so it opens nothing, ever.
    issued = core.ledger.rows("credential", state=f"person:{person}", limit=MOST_TOKENS)
    given = [row["id"] for row in issued if callers.state_of(core, row) in ("active", "rotated")]
    return [
        Draft("person.removed", {"id": person, "by": by}),
        *(
            Draft(
                "key.revoked", {"id": key, "person": person, "by": by, "why": why}, once=f"key.revoked:{key}"
            )
            for key in keys
        ),
        *(Draft("credential.revoked", {"credential": one, "by": by, "why": why}) for one in given),
    ]


def check_fields(given: Mapping[str, Any]) -> None:
    """Groups and roles are words that are known or could be; account numbers are those of an operating system."""
    for group in given.get("groups", ()):
        check_group(group)
    unknown = sorted(set(given.get("roles", ())) - set(ROLES))
    if unknown:
        raise Malformed(f"There is no role {unknown[0][:40]!r}; there are: {', '.join(ROLES)}.")
    if any(not 0 <= uid < 2**32 for uid in given.get("os_uids", ())):
        raise Malformed("An operating-system account is a number from 0 to 4294967295.")
    if not 0 <= given.get("away_until", 0) <= LATEST_MS:
        raise Malformed("A leave ends at a time in milliseconds since 1970; 0 is for no leave.")


def keep_an_admin(core: Core, person: str) -> None:
    """Without an administrator nobody could ever be enrolled again."""
    if last_administrator(core, person):
        raise Forbidden(f"{person} is the last administrator: make somebody else one first.")


def last_administrator(core: Core, person: str) -> bool:
    """Whether nobody but *person* is an administrator."""
    others = (p for p in core.roster.people.values() if p.id != person and not p.removed)
    return not any("admin" in other.roles for other in others)


def _required(rows: Rows, person: str) -> dict[str, Any]:
    row = rows.row("person", person)
    if row is None or row.get("removed"):
        raise PersonUnknown(f"There is no person {person}.")
    return row


def require_writer(person: Person) -> None:
    """Raises `ReadsOnly` for an auditor, whatever other roles they have."""
    if person.reads_only:
        raise ReadsOnly(f"{person.id} is an auditor, and auditors read only.")


def by_token(core: Core, token: str) -> Person | None:
    """Whose token that is."""
    row = core.ledger.row("token", tokens.hash_token(token))
    return core.roster.get(row["person"]) if row else None


def open_session(core: Core, person: str, key: str, how: Mapping[str, Any]) -> Draft:
    """The entry that opens a web session of *person* with *key*; *how* says what it rests on."""
    fields = {
        "person": person,
        "cookie": tokens.hash_token(tokens.cookie_of(key)),
        "expires": core.now() + core.settings.login_seconds * 1000,
        **how,
        **calling.recorded(core),
    }
    return Draft("login.opened", fields)


class Logins:
    """One-time links (in memory, so a restart voids them) and web sessions (in the ledger, so it doesn't)."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._codes: dict[str, tokens.LoginCode] = {}

    def link_code(self, person: str) -> str:
        """A code for one login. Raises `PersonUnknown`."""
        if self._core.roster.get(person) is None:
            raise PersonUnknown(f"There is no person {person}.")
        now = self._core.now()
        self._codes = {hashed: login for hashed, login in self._codes.items() if login.expires_ms > now}
        code, login = tokens.open_login(person, now)
        self._codes[login.hashed] = login
        return code

    def void(self, person: str) -> None:
        """Forget the codes that *person*'s old token made."""
        self._codes = {hashed: login for hashed, login in self._codes.items() if login.person != person}

    async def redeem(self, code: str) -> str:
        """Turn a code into a web session's key (`tokens.cookie_of` it is the cookie). Each code works once. Raises `LoginRefused`."""
        # Taken out before anything is awaited, so two requests can't both open it.
        login = tokens.redeem(self._codes.pop(tokens.hash_token(code), None), code, self._core.now())
        if self._core.roster.get(login.person) is None:
            raise tokens.LoginRefused("removed")
        key = tokens.new_token("kts")
        await self._core.ledger.append([open_session(self._core, login.person, key, {"how": "link"})])
        return key

    def person(self, cookie: str) -> Person | None:
        """Who is signed in with that cookie; None when nobody, or no more."""
        row = self._core.ledger.row("login", tokens.hash_token(cookie))
        if row is None or row["expires"] <= self._core.now():
            return None
        # Who replaces a token because somebody else has it must be rid of the sessions opened with it, too.
        owner = self._core.ledger.row("person", row["person"]) or {}
        if row["entry"] < owner.get("token_entry", 0):
            return None
        # An account that was unlinked opens nothing any more, what it opened before included.
        if row.get("account") and row["account"] not in owner.get("accounts", ()):
            return None
        return self._core.roster.get(row["person"])

    async def close(self, cookie: str) -> None:
        """Sign out."""
        hashed = tokens.hash_token(cookie)
        row = self._core.ledger.row("login", hashed)
        if row is not None:
            fields = {"person": row["person"], "cookie": hashed, "expires": self._core.now()}
            await self._core.ledger.append([Draft("login.closed", fields)])


def public(row: dict[str, Any]) -> dict[str, Any]:
    """A person's row without what is only for checking tokens."""
    person = person_of(row)
    return {
        "id": person.id,
        "name": person.name,
        "groups": list(person.groups),
        "roles": list(person.roles),
        "os_uids": list(person.os_uids),
        "accounts": list(person.accounts),
        "removed": person.removed,
        "away_until": person.away_until,
        "shared": person.shared,
    }
