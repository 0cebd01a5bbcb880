"""Who is calling, by what they present. Every look is at the ledger of now: what was revoked a moment ago opens nothing.

A credential stands as long as it is active (or rotated a moment ago, within its grace), its time is not over, its holder is
there, and the one that it was made from stands, too.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from keyturn.identity import Person, credentials, tokens
from keyturn.identity.credentials import CredentialExpired, CredentialForged, CredentialRevoked, Kind
from keyturn.identity.spiffe import Svid
from keyturn.service.core import Core

Row = dict[str, Any]


class Caller(Struct, frozen=True):
    """A gate or an agent that presented a credential.

    `person` is the human that it acts for, `actors` the agents between, the one that acts now first (RFC 8693 §4.1);
    `chain` everybody behind it: none of them may approve what it asks. `machine` is the address it calls from.
    """

    credential: str
    kind: Kind
    name: str
    person: str | None = None
    owner: str | None = None
    actors: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    expires: int = 0
    machine: str = ""

    @property
    def gate(self) -> str:
        """The gate that permits are bound to."""
        return self.name if self.kind == "gate" else f"agent:{self.name}"

    @property
    def holder(self) -> str:
        """Who owns the sessions that it opens: renewing a credential changes nothing about that."""
        own = credentials.holder(self.kind, self.name)
        return f"{own} for {self.person}" if self.person else own


class PersonToken(Struct, frozen=True):
    """A person by their token: with `credential` empty it is the token of their enrolment, which may do everything."""

    person: Person
    scopes: tuple[str, ...] = credentials.PERSON_SCOPES
    credential: str = ""
    expires: int | None = None


def by_token(core: Core, token: str, *, certificate: str = "", machine: str = "") -> Caller:
    """Who presents *token* on a connection with *certificate* (base64url SHA-256, or empty). Raises `CredentialRefused`."""
    if tokens.token_prefix(token) == "ktg":
        return _older(core, token, machine)
    claims = credentials.open_token(token, core.permit_key.public_key(), core.origin, core.now())
    row = core.ledger.row("credential", claims.id)
    if row is None:  # signed by our key and not in our log: another copy of this home issued it
        raise CredentialForged("This log never issued that token.")
    require_standing(core, row)
    credentials.check_binding(str(row.get("bound") or ""), certificate)
    return caller_of(row, machine)


def by_secret(core: Core, secret: str, *, machine: str = "") -> Caller:
    """Who presents what has that digest: a certificate's fingerprint, a SPIFFE ID. Raises `CredentialRefused`."""
    known = core.ledger.row("credential-secret", secret)
    row = core.ledger.row("credential", known["credential"]) if known else None
    if row is None:
        raise CredentialForged("That is not known here.")
    require_standing(core, row)
    return caller_of(row, machine)


def of_workload(core: Core, svid: Svid, machine: str) -> Caller:
    """The gate or agent that a workload was mapped to. Raises `CredentialRefused`. It lasts no longer than its SVID."""
    caller = by_secret(core, spiffe_secret(svid.id), machine=machine)
    return structs.replace(caller, expires=min(caller.expires, svid.expires_ms))


def spiffe_secret(workload: str) -> str:
    """Under which the credential of a workload is found."""
    return f"spiffe:{workload}"


def person_by_token(core: Core, token: str) -> PersonToken | None:
    """Whose token that is, and what it may do; None when it opens nothing."""
    hashed = tokens.hash_token(token)
    first = core.ledger.row("token", hashed)
    if first is not None:
        person = core.roster.get(first["person"])
        return PersonToken(person) if person else None
    known = core.ledger.row("credential-secret", hashed)
    row = core.ledger.row("credential", known["credential"]) if known else None
    if row is None or row["kind"] != "person":
        return None
    require_standing(core, row)
    person = core.roster.get(row["name"])
    return PersonToken(person, tuple(row["scopes"]), row["id"], row["expires"]) if person else None


def caller_of(row: Row, machine: str = "") -> Caller:
    """The caller that a credential's row describes."""
    return Caller(
        credential=row["id"],
        kind=row["kind"],
        name=row["name"],
        person=row.get("person"),
        owner=row.get("owner"),
        actors=tuple(row.get("actors", ())),
        chain=tuple(row.get("chain", ())),
        scopes=tuple(row.get("scopes", ())),
        expires=row["expires"],
        machine=machine,
    )


def require_standing(core: Core, row: Row) -> None:
    """Raises `CredentialExpired` or `CredentialRevoked` unless the credential opens something now."""
    for _ in range(credentials.MAX_DEPTH + 2):
        _require_one(core, row)
        if not row.get("parent"):
            return
        parent = core.ledger.row("credential", row["parent"])
        if parent is None:
            raise CredentialRevoked("What the credential was made from is not there.")
        row = parent
    raise CredentialRevoked("The credential was made from too many others.")


def state_of(core: Core, row: Row) -> str:
    """`active`, `rotated` (in its grace), `expired` or `revoked`, as it is now."""
    try:
        require_standing(core, row)
    except CredentialExpired:
        return "expired"
    except CredentialRevoked:
        return "revoked"
    return str(row["state"])


def _require_one(core: Core, row: Row) -> None:
    now = core.now()
    if row["state"] == "revoked":
        raise CredentialRevoked(f"The credential {row['id']} was revoked by {row.get('revoked_by')}.")
    if row["state"] == "rotated" and now >= row["until"]:
        raise CredentialRevoked(f"The credential {row['id']} was replaced by {row['next']}.")
    if now >= row["expires"]:
        raise CredentialExpired(
            f"The credential {row['id']} expired {(now - row['expires']) // 1000:,} seconds ago."
        )
    if row["kind"] == "gate":
        gate = core.ledger.row("gate", row["name"])
        if gate is None or row["entry"] < gate.get("enrolled_entry", 0):
            raise CredentialRevoked(f"The gate {row['name']} was removed or enrolled again.")
    for person in {row["name"] if row["kind"] == "person" else None, row.get("person"), row.get("owner")} - {
        None
    }:
        if core.roster.get(person) is None:
            raise CredentialRevoked(f"{person} was removed.")
    given_by = row["name"] if row["kind"] == "person" else row.get("person")
    if given_by:
        # Who replaces a token because somebody else has it must be rid of all that was made with it.
        owner = core.ledger.row("person", given_by) or {}
        if row["entry"] < owner.get("token_entry", 0):
            raise CredentialRevoked(f"{given_by} replaced the token that it was made with.")


def _older(core: Core, token: str, machine: str) -> Caller:
    """A gate's token of an earlier version: without an end, until its gate is enrolled again."""
    hashed = tokens.hash_token(token)
    row = core.ledger.row("gate-token", hashed)
    if row is None:
        raise CredentialForged("That gate's token is not known, or was revoked.")
    return Caller("", "gate", str(row["gate"]), machine=machine)


def scopes_of(core: Core, opener: Row, caller: Caller) -> tuple[str, ...] | None:
    """Which kinds of action may be proposed in a session: those of the agent's token behind it, None for all.

    Raises `CredentialRefused` when that token stands no more: a session lives no longer than what proved its human.
    """
    if caller.kind == "agent":
        return caller.scopes
    row = core.ledger.row("credential", opener.get("credential") or "")
    if row is None or row["kind"] != "agent":
        return None
    require_standing(core, row)
    return tuple(row["scopes"])
