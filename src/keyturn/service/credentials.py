"""Credentials: issue, exchange, rotate, revoke, list. Every change is an entry; the secret itself never is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError, Malformed
from keyturn.identity import Person, tokens
from keyturn.identity import credentials as rules
from keyturn.identity.credentials import Claims, Form, Kind
from keyturn.identity.names import InvalidName, is_name
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import callers
from keyturn.service.callers import Caller, PersonToken
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden, PersonUnknown

GRACE_SECONDS = 60
"""How long old and new are both good after a rotation, unless somebody says otherwise: a gate must have time to take up the new."""

MAX_NOTE = 200


class CredentialUnknown(KeyturnError):
    """No credential has that id."""

    code = "credential.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn credential list` shows all of them."


class CredentialEnded(KeyturnError):
    """The credential opens nothing any more, so it can't be rotated or renewed."""

    code = "credential.ended"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was changed."
    next_step = "Issue a new one: `keyturn credential issue`."


class NotRotatable(KeyturnError):
    """This credential is replaced in another way."""

    code = "credential.not_rotatable"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Issue a new one, then revoke this one."


class GateUnknown(KeyturnError):
    """No gate of that name is enrolled."""

    code = "gate.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Enrol it first: `keyturn gate add NAME`."


class CredentialView(Struct, frozen=True):
    """A credential as it is shown: everything but the secret. Times are milliseconds since 1970.

    `state` is `active`, `rotated` (both are good until `until`), `expired` or `revoked`. `person` is the human that it acts for,
    `owner` who answers for the agent, `actors` the chain of agents, `parent` the credential that it was made from.
    """

    id: str
    kind: Kind
    name: str
    form: Form
    state: str
    issued: int
    expires: int
    by: str
    scopes: tuple[str, ...] = ()
    person: str | None = None
    owner: str | None = None
    actors: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    parent: str | None = None
    machine: str = ""
    bound: str = ""
    until: int | None = None
    note: str = ""


class Issued(Struct, frozen=True):
    """A new credential, and its token, which is shown this once. `token` is empty for what the holder has itself.

    `certificate` (PEM) is what was made over the holder's own key, `authority` the certificate of who made it.
    """

    credential: CredentialView
    token: str
    certificate: str = ""
    authority: str = ""


class Wish(Struct, frozen=True):
    """What somebody asks for. `secret` is the digest of what its holder presents, for forms that Keyturn does not sign."""

    kind: Kind
    name: str
    form: Form = "signed"
    scopes: tuple[str, ...] = ()
    seconds: int | None = None
    person: str | None = None
    owner: str | None = None
    actors: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    parent: str | None = None
    not_after: int | None = None
    machine: str = ""
    bound: str = ""
    secret: str = ""
    note: str = ""


def prepare(core: Core, wish: Wish, by: str) -> tuple[Draft, str]:
    """The entry that issues what *wish* asks for, and its token. Raises `Malformed`, `InvalidName`.

    Entry times never go back, and a wall clock may: the end counts from the later of the two.
    """
    if not is_name(wish.name):
        raise InvalidName(f"{wish.name[:80]!r} can't be the name of a {wish.kind}.")
    if len(wish.note) > MAX_NOTE or len(wish.machine) > MAX_NOTE:
        raise Malformed(f"A note or a machine's name has at most {MAX_NOTE} characters.")
    now = core.now()
    lasts = rules.lifetime(
        "person" if wish.form == "spiffe" else wish.kind, wish.seconds
    )  # a mapping is no secret
    expires = (now + lasts) // 1000 * 1000
    if wish.not_after is not None:
        expires = min(expires, wish.not_after)
    scopes = rules.check_scopes(wish.kind, wish.scopes)
    made, secret = core.ids("c", now), wish.secret
    token = ""
    if wish.form == "signed":
        own = rules.holder(wish.kind, wish.name)
        claims = Claims(made, own, now // 1000 * 1000, expires, wish.person, wish.actors, scopes, wish.bound)
        token = rules.sign(claims, core.permit_key, core.origin)
    elif wish.form == "opaque":
        token = tokens.new_token("ktp")
        secret = tokens.hash_token(token)
    fields: dict[str, Any] = {
        "id": made, "kind": wish.kind, "name": wish.name, "form": wish.form, "scopes": list(scopes), "expires": expires,
        "lasts": lasts // 1000,
        "person": wish.person, "owner": wish.owner, "actors": list(wish.actors),
        "chain": sorted({*wish.chain, *filter(None, (wish.person, wish.owner))}),
        "parent": wish.parent, "machine": wish.machine, "bound": wish.bound, "secret": secret, "note": wish.note, "by": by,
    }  # fmt: skip
    return Draft("credential.issued", fields), token


async def issue(core: Core, wish: Wish, by: str) -> Issued:
    """Issue one. Raises `GateUnknown`, `PersonUnknown`, `Malformed`."""
    draft, token = prepare(core, wish, by)

    def plan(rows: Rows) -> Sequence[Draft]:
        _require_holder(rows, wish)
        if wish.secret and (known := rows.row("credential-secret", wish.secret)) is not None:
            row = rows.row("credential", known["credential"])
            if row is not None and row["state"] == "active":
                raise Malformed(f"That is the credential {row['id']} of {row['kind']} {row['name']} already.")
        return [draft]

    await core.ledger.append(plan)
    return Issued(view(core, draft.fields["id"]), token)


async def rotate(
    core: Core, credential: str, by: str, grace: int | None = None, behind: Sequence[str] = ()
) -> Issued:
    """A new one in place of *credential*, which is good for *grace* seconds more. Raises `CredentialEnded`, `NotRotatable`.

    *behind*: the people who get to see an agent's new token; they stand behind what is asked with it (promise 6).
    """
    row = required(core, credential)
    if row["form"] in ("certificate", "spiffe"):
        raise NotRotatable(
            f"The credential {credential} is a {row['form']}: its holder has the secret, not Keyturn."
        )
    if row.get("parent"):
        raise NotRotatable(
            f"The credential {credential} was made from another one and lasts no longer.",
            next_step="Exchange for a new one with POST /v1/token.",
        )
    wait = GRACE_SECONDS if grace is None else grace
    if not 0 <= wait * 1000 <= rules.MOST_GRACE_MS:
        raise Malformed(f"Old and new overlap for 0 to {rules.MOST_GRACE_MS // 1000:,} seconds.")
    draft, token = prepare(core, _again(row, behind), by)
    fields = {
        "credential": credential,
        "next": draft.fields["id"],
        "until": core.now() + wait * 1000,
        "by": by,
    }

    def plan(rows: Rows) -> Sequence[Draft]:
        current = rows.row("credential", credential) or row
        if current["state"] != "active" or callers.state_of(core, current) != "active":
            raise CredentialEnded(f"The credential {credential} is {callers.state_of(core, current)}.")
        return [draft, Draft("credential.rotated", fields, once=f"credential.rotated:{credential}")]

    await core.ledger.append(plan)
    return Issued(view(core, draft.fields["id"]), token)


async def revoke(core: Core, credential: str, by: str, why: str) -> CredentialView:
    """From this entry on it opens nothing, nor does what was made from it. Revoking twice is the first revocation."""

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("credential", credential)
        if row is None:
            raise CredentialUnknown(f"There is no credential {credential[:80]!r}.")
        if row["state"] == "revoked":
            return []
        return [Draft("credential.revoked", {"credential": credential, "by": by, "why": why[:MAX_NOTE]})]

    await core.ledger.append(plan)
    return view(core, credential)


async def revoke_by(core: Core, credential: str, person: Person, why: str) -> CredentialView:
    """Revoke it in *person*'s name: theirs, or anybody's if they are an administrator. Raises `Forbidden`."""
    row = required(core, credential)
    if not may_end(row, person.id, "admin" in person.roles):
        raise Forbidden(f"The credential {credential} is not yours, and you are no administrator.")
    return await revoke(core, credential, person.id, why)


async def exchange(
    core: Core,
    subject: PersonToken | Caller,
    agent: str,
    scopes: Sequence[str],
    seconds: int | None,
    behind: Sequence[str] = (),
) -> Issued:
    """A token for *agent* from a person's token or an agent's (RFC 8693): it acts for the same human, and never may more.

    *behind*: the people behind the agent's own token, if it showed one; they join the chain.

    Raises `CredentialScope`, `CredentialTooDeep`, `Forbidden`.
    """
    own = rules.holder("agent", agent)
    if isinstance(subject, PersonToken):
        if not rules.permits(subject.scopes, "delegate"):
            raise rules.CredentialScope(
                "This token may not make tokens for agents: it lacks the scope `delegate`."
            )
        who = subject.person.id
        wish = Wish(
            "agent", agent, scopes=tuple(scopes) or rules.AGENT_SCOPES, seconds=seconds, person=who, owner=who,
            actors=(own,), chain=tuple(behind), parent=subject.credential or None, not_after=subject.expires,
        )  # fmt: skip
        return await issue(core, wish, who)
    if subject.kind != "agent" or not subject.actors:
        raise Forbidden(
            "A gate acts for nobody, so there is nothing to hand on: exchange a person's or an agent's token."
        )
    actors = rules.deeper(subject.actors, own)
    given, ends = rules.narrowed(subject.scopes, scopes, subject.expires, subject.expires)
    wish = Wish(
        "agent", agent, scopes=given, seconds=seconds, person=subject.person, owner=subject.owner, actors=actors,
        chain=(*subject.chain, *behind), parent=subject.credential, not_after=ends,
    )  # fmt: skip
    return await issue(core, wish, rules.holder("agent", subject.name))


def required(core: Core, credential: str) -> dict[str, Any]:
    """The credential's row. Raises `CredentialUnknown`."""
    row = core.ledger.row("credential", credential)
    if row is None:
        raise CredentialUnknown(f"There is no credential {credential[:80]!r}.")
    return row


def view(core: Core, credential: str) -> CredentialView:
    """One as it is shown. Raises `CredentialUnknown`."""
    return _view(core, required(core, credential))


STANDING = ("active", "rotated")
"""States in which a credential opens something."""

FORMS: tuple[Form, ...] = ("signed", "certificate", "spiffe")


def views(core: Core, limit: int) -> list[CredentialView]:
    """Those of gates and agents, newest first: at most *limit* of each form, so that many renewals hide no workload."""
    rows = [row for form in FORMS for row in core.ledger.rows("credential", state=form, limit=limit)]
    return [
        _view(core, row) for row in sorted(rows, key=lambda row: (row["issued"], row["id"]), reverse=True)
    ]


def tokens_of(core: Core, person: str, limit: int) -> list[CredentialView]:
    """The tokens that *person* made, newest first."""
    return [_view(core, row) for row in core.ledger.rows("credential", state=f"person:{person}", limit=limit)]


def may_end(row: dict[str, Any], person: str, admin: bool) -> bool:
    """Whether *person* may rotate or revoke it: an administrator any, others what is theirs."""
    own = row["name"] if row["kind"] == "person" else None
    return admin or person in (own, row.get("person"), row.get("owner"), row["by"])


def _again(row: dict[str, Any], behind: Sequence[str]) -> Wish:
    """The same again, for as long as it was for; an agent's with *behind* in its chain, too."""
    chain = (*row.get("chain", ()), *(behind if row["kind"] == "agent" else ()))
    return Wish(
        row["kind"], row["name"], row["form"], tuple(row["scopes"]), row["lasts"],
        row.get("person"), row.get("owner"), tuple(row.get("actors", ())), chain,
        machine=row.get("machine", ""), bound=row.get("bound", ""), note=row.get("note", ""),
    )  # fmt: skip


def _require_holder(rows: Rows, wish: Wish) -> None:
    if wish.kind == "gate" and not (rows.row("gate", wish.name) or {}).get("enrolled_entry"):
        raise GateUnknown(f"No gate {wish.name} is enrolled.")
    people = {wish.name if wish.kind == "person" else None, wish.person, wish.owner} - {None}
    for person in people:
        row = rows.row("person", str(person))
        if row is None or row.get("removed"):
            raise PersonUnknown(f"There is no person {person}.")
    if wish.kind == "agent" and wish.owner is None:
        raise Malformed("Somebody has to own an agent: name the person who answers for it.")


def _view(core: Core, row: dict[str, Any]) -> CredentialView:
    return CredentialView(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        form=row["form"],
        state=callers.state_of(core, row),
        issued=row["issued"],
        expires=row["expires"],
        by=row["by"],
        scopes=tuple(row["scopes"]),
        person=row.get("person"),
        owner=row.get("owner"),
        actors=tuple(row.get("actors", ())),
        chain=tuple(row.get("chain", ())),
        parent=row.get("parent"),
        machine=row.get("machine", ""),
        bound=row.get("bound", ""),
        until=row.get("until"),
        note=row.get("note", ""),
    )
