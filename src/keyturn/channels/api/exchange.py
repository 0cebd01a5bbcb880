"""Token exchange (RFC 8693): a token for an agent out of a person's token or another agent's. Narrower only.

Requests are form-encoded and errors are those of RFC 6749 §5.2, because clients of that protocol speak both; `code` beside
them is Keyturn's own.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from litestar import Request, Response

from keyturn.channels.api.access import machine_of
from keyturn.channels.peers import refuse_agents
from keyturn.errors import KeyturnError, Malformed
from keyturn.identity import tokens
from keyturn.identity.credentials import (
    CredentialForged,
    CredentialRefused,
    CredentialScope,
    CredentialTooDeep,
)
from keyturn.service import callers, credentials, people
from keyturn.service.callers import Caller, PersonToken
from keyturn.service.errors import Forbidden, FromAgent, ReadsOnly
from keyturn.service.keyturn import Keyturn

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 — a name
JWT = "urn:ietf:params:oauth:token-type:jwt"
MAX_FORM = 32_768
_KNOWN = (
    "grant_type", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type", "scope",
    "audience", "resource", "agent", "expires_in",
)  # fmt: skip


class GrantUnsupported(Malformed):
    """The token endpoint exchanges tokens and does nothing else."""

    code = "token.grant_unsupported"
    not_done = "No token was issued."
    next_step = f"Send grant_type={GRANT}."


async def answer(request: Request[Any, Any, Any], service: Keyturn) -> Response[dict[str, Any]]:
    """The answer of RFC 8693 §2.2.1, or the error of RFC 6749 §5.2."""
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    try:
        return Response(await _exchanged(request, service), headers=headers)
    except KeyturnError as error:
        body = {
            "error": _error(error),
            "error_description": error.happened,
            "code": error.code,
            "next": error.do_next,
        }
        return Response(
            body,
            status_code=401 if error.status == 401 else 429 if error.status == 429 else 400,
            headers=headers,
        )


async def _exchanged(request: Request[Any, Any, Any], service: Keyturn) -> dict[str, Any]:
    form = await _form(request)
    if form.get("grant_type") != GRANT:
        raise GrantUnsupported("That is no token exchange.")
    if form.get("requested_token_type", ACCESS_TOKEN) not in (ACCESS_TOKEN, JWT):
        raise Malformed("`requested_token_type` is an access token or a JWT.")
    if form.get("audience", service.core.origin) != service.core.origin:
        raise Malformed("`audience` is this log's origin; tokens of it are good nowhere else.")
    machine = machine_of(request)
    service.attempts.check(machine)
    try:
        subject = _subject(service, form, machine)
        actor = _actor(service, form, machine)
    except CredentialRefused:
        service.attempts.failed(machine)
        raise
    if isinstance(subject, PersonToken):
        await refuse_agents(service, request.scope, subject.person)
        people.require_writer(subject.person)
    seconds = form.get("expires_in")
    if seconds is not None and not (seconds.isascii() and seconds.isdigit() and len(seconds) < 10):
        raise Malformed("`expires_in` is a number of seconds.")
    name, behind = actor
    made = await credentials.exchange(
        service.core, subject, name, form.get("scope", "").split(), int(seconds) if seconds else None, behind
    )
    return {
        "access_token": made.token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": max(0, (made.credential.expires - service.core.now()) // 1000),
        "scope": " ".join(made.credential.scopes),
        "credential": made.credential.id,
    }


async def _form(request: Request[Any, Any, Any]) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Malformed("The body is form-encoded (RFC 8693 §2.1).")
    body = await request.body()
    if len(body) > MAX_FORM:
        raise Malformed(f"The form has more than {MAX_FORM:,} bytes.")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=32
        )
    except ValueError as error:
        raise Malformed("The form can't be read.") from error
    form = dict(pairs)
    unknown = sorted(set(form) - set(_KNOWN))
    if len(form) != len(pairs) or unknown:
        raise Malformed(
            f"The form says something twice, or has a field that is not known: {', '.join(unknown)[:200]}."
        )
    return form


def _subject(service: Keyturn, form: dict[str, str], machine: str) -> PersonToken | Caller:
    token = form.get("subject_token", "")
    if not token or form.get("subject_token_type") not in (ACCESS_TOKEN, JWT):
        raise Malformed("`subject_token` is a person's or an agent's access token, and its type is said.")
    if tokens.token_prefix(token) == "ktp":
        found = callers.person_by_token(service.core, token)
        if found is None:
            raise CredentialForged("That token is not known, or was replaced.")
        return found
    return service.identify(token, machine)


def _actor(service: Keyturn, form: dict[str, str], machine: str) -> tuple[str, tuple[str, ...]]:
    """The agent that shall act, by its own token or by name where it has none yet; and the people behind that token."""
    token, name = form.get("actor_token", ""), form.get("agent", "")
    if bool(token) == bool(name):
        raise Malformed("Say who shall act: `actor_token`, the agent's own, or `agent`, its name.")
    if not token:
        return name, ()
    if form.get("actor_token_type") not in (ACCESS_TOKEN, JWT):
        raise Malformed("`actor_token_type` is missing (RFC 8693 §2.1).")
    actor = service.identify(token, machine)
    if actor.kind != "agent":
        raise Malformed("`actor_token` is the token of an agent.")
    return actor.name, actor.chain


def _error(error: KeyturnError) -> str:
    match error:
        case GrantUnsupported():
            return "unsupported_grant_type"
        case CredentialScope():
            return "invalid_scope"
        case CredentialTooDeep() | Forbidden() | FromAgent() | ReadsOnly():
            return "unauthorized_client"
        case CredentialRefused():
            return "invalid_grant"
    return "invalid_request"
