"""Who is calling: a person's or a gate's bearer token. Gates have no verb that decides (promise 6)."""

from __future__ import annotations

from litestar.connection import ASGIConnection

from keyturn.identity import Person, tokens
from keyturn.service import people
from keyturn.service.errors import Forbidden, Unauthenticated
from keyturn.service.keyturn import Keyturn


def _bearer(connection: ASGIConnection) -> str:  # type: ignore[type-arg]
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("This needs a token in the Authorization header.")
    return token.strip()


def person_of(connection: ASGIConnection, service: Keyturn) -> Person:  # type: ignore[type-arg]
    """The person whose token was sent. Raises `Unauthenticated`, or `Forbidden` for a gate's token."""
    token = _bearer(connection)
    if tokens.token_prefix(token) == "ktg":
        raise Forbidden("Gates and agents can't do this: only people can.")
    person = people.by_token(service.core, token)
    if person is None:
        raise Unauthenticated("That token is not known, or was replaced.")
    return person


def gate_of(connection: ASGIConnection, service: Keyturn) -> str:  # type: ignore[type-arg]
    """The name of the gate whose token was sent. Raises `Unauthenticated`, `Forbidden`."""
    token = _bearer(connection)
    if tokens.token_prefix(token) == "ktp":
        raise Forbidden("People don't ask for actions here: only gates do.")
    row = service.core.ledger.row("gate-token", tokens.hash_token(token))
    if row is None:
        raise Unauthenticated("That gate's token is not known, or was revoked.")
    return str(row["gate"])


def require_role(person: Person, *roles: str) -> None:
    """Raises `Forbidden` unless *person* has one of *roles*."""
    if not set(roles) & set(person.roles):
        raise Forbidden(f"{person.id} is none of: {', '.join(roles)}.")
