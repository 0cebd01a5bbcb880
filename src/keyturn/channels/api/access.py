"""Who is calling: a person's token, or a gate's or agent's credential. Gates and agents have no verb that decides (promise 6).

What a person's token may do is its scopes. A route that says nothing asks for `read` when it only reads, else for `manage`:
what is forgotten is closed.
"""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection

from keyturn.identity import Person, credentials, tokens
from keyturn.identity.credentials import CredentialRefused, CredentialScope
from keyturn.service import callers, people
from keyturn.service.callers import Caller, PersonToken
from keyturn.service.errors import Forbidden, Unauthenticated
from keyturn.service.keyturn import Keyturn

AnyConnection = ASGIConnection[Any, Any, Any, Any]

AnyRequest = Request[Any, Any, Any]

PAGE = 1000
"""Most items of one list."""


def page(limit: int) -> int:
    """How many items one answer holds: never none, never all (a negative LIMIT is none to a database)."""
    return min(max(limit, 1), PAGE)


_READS = ("GET", "HEAD")


def bearer(connection: AnyConnection) -> str:
    """The token in the Authorization header. Raises `Unauthenticated`."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("This needs a token in the Authorization header.")
    return token.strip()


def machine_of(connection: AnyConnection) -> str:
    """The address at the other end; empty on the local socket."""
    client = connection.client
    return client.host if client is not None and not client.host.startswith("unix:") else ""


def person_of(connection: AnyConnection, service: Keyturn, scope: str = "") -> Person:
    """The person whose token was sent, if it may do that. Raises `Unauthenticated`, `CredentialRefused`, `Forbidden`."""
    wanted = scope or ("read" if connection.scope.get("method") in _READS else "manage")
    found = token_of(connection, service)
    if not credentials.permits(found.scopes, wanted):
        raise CredentialScope(
            f"This token may {', '.join(found.scopes) or 'do nothing'}; that needs the scope `{wanted}`."
        )
    _require_writer(connection, found.person)
    return found.person


_OWN = ("/v1/login", "/v1/people/{id}/token")
"""Writes that are about one's own way in, which auditors need, too."""

_EVIDENCE = "/v1/evidence/packs"
"""Asking for evidence is recorded, and is what auditors are there for."""


def _require_writer(connection: AnyConnection, person: Person) -> None:
    """Whoever adds a route that changes something need not think of auditors: they are refused here."""
    own = {path.format(id=person.id) for path in _OWN}
    path = connection.url.path
    if connection.scope.get("method") not in _READS and path not in own and not _is_evidence(path):
        people.require_writer(person)


def _is_evidence(path: str) -> bool:
    return path == _EVIDENCE or (path.startswith(f"{_EVIDENCE}/") and path.endswith("/build"))


def token_of(connection: AnyConnection, service: Keyturn) -> PersonToken:
    """The person's token that was sent. Raises `Unauthenticated`, or `Forbidden` for a gate's or an agent's."""
    token, machine = bearer(connection), machine_of(connection)
    if _of_gate(token):
        raise Forbidden("Gates and agents can't do this: only people can.")
    service.attempts.check(machine)
    try:
        found = callers.person_by_token(service.core, token)
    except CredentialRefused:
        service.attempts.failed(machine)
        raise
    if found is None:
        service.attempts.failed(machine)
        raise Unauthenticated("That token is not known, or was replaced.")
    return found


def opens(service: Keyturn, token: str) -> bool:
    """Whether a person's *token* still opens anything: it was not revoked or replaced, and its person is there."""
    try:
        return callers.person_by_token(service.core, token) is not None
    except CredentialRefused:
        return False


def caller_of(connection: AnyConnection, service: Keyturn) -> Caller:
    """The gate or agent whose credential was sent. Raises `CredentialRefused`, `Forbidden` for a person's token."""
    token, machine = bearer(connection), machine_of(connection)
    if tokens.token_prefix(token) == "ktp":
        raise Forbidden("People don't ask for actions here: only gates do.")
    service.attempts.check(machine)
    try:
        return service.identify(token, machine)
    except CredentialRefused:
        service.attempts.failed(machine)
        raise


def anyone(connection: AnyConnection, service: Keyturn) -> Caller | None:
    """A gate or agent; None for a person, who needs to be one."""
    if _of_gate(bearer(connection)):
        return caller_of(connection, service)
    person_of(connection, service)
    return None


def require_role(person: Person, *roles: str) -> None:
    """Raises `Forbidden` unless *person* has one of *roles*."""
    if not set(roles) & set(person.roles):
        raise Forbidden(f"{person.id} is none of: {', '.join(roles)}.")


def _of_gate(token: str) -> bool:
    return tokens.token_prefix(token) == "ktg" or credentials.looks_signed(token)


__all__ = ["anyone", "bearer", "caller_of", "machine_of", "person_of", "require_role", "token_of"]
