"""The statement a person makes when they decide, and the display it is made over (promise 4).

Rules kept here:

- The statement names the log, the request, the digest of what would run, the digest of what was shown, the
  decision, the person, the policy version, how far it goes (`grant`: `once`, or the text of a `grants.Wish`), the ticket
  and the colleague whom they named, and a nonce; the reason enters by its digest, so that its text can later be erased
  without breaking the statement. Source: NIST SP 800-53r5 AU-10 (non-repudiation), AU-10(1) (binding identity).
- Its bytes are canonical JSON (RFC 8785) behind `keyturn/approval/v1\\n`; a passkey or SSH key signs the SHA-256 of
  exactly these bytes, so that no signature made for anything else is an approval.
- A display digest covers the whole document that was shown, nothing cut off.
"""

from __future__ import annotations

import hashlib
from typing import Any

from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.approvals.request import Choice

DOMAIN = b"keyturn/approval/v1\n"
DISPLAY_DOMAIN = b"keyturn/display/v1\n"
REASON_DOMAIN = b"keyturn/reason/v1\n"


class Statement(Struct, frozen=True):
    """One person's decision in the form that is digested and signed. `log` is the log's origin; digests are `sha256:<hex>`."""

    log: str
    request: str
    digest: str
    display: str
    decision: Choice
    person: str
    reason: str
    policy: str
    nonce: str
    grant: str = "once"
    ticket: str = ""
    behalf: str = ""
    v: int = 1


def make_statement(
    *,
    log: str,
    request: str,
    digest: str,
    display: str,
    decision: Choice,
    person: str,
    reason: str,
    policy: str,
    nonce: str,
    grant: str = "once",
    ticket: str = "",
    behalf: str = "",
) -> Statement:
    """The statement; *reason* is the person's text, of which only the digest goes in, salted with *nonce*.

    *ticket* is the reference that they named, *behalf* the person for whom they said that they stand in; empty without.
    """
    hidden = reason_digest(reason, nonce)
    return Statement(
        log, request, digest, display, decision, person, hidden, policy, nonce, grant, ticket, behalf
    )


def reason_digest(reason: str, nonce: str) -> str:
    """`sha256:<hex>` of a reason. The nonce keeps short reasons from being guessed out of the digest."""
    return _digest(REASON_DOMAIN, {"nonce": nonce, "reason": reason})


def statement_bytes(statement: Statement) -> bytes:
    """The exact bytes whose SHA-256 is signed."""
    return DOMAIN + canonical.dumps(to_builtins(statement))


def statement_digest(statement: Statement) -> str:
    """`sha256:<hex>` of `statement_bytes`."""
    return canonical.digest_bytes(statement_bytes(statement))


def display_digest(document: dict[str, Any]) -> str:
    """`sha256:<hex>` over everything a reviewer is shown. Raises `NotCanonical`."""
    return _digest(DISPLAY_DOMAIN, document)


def _digest(domain: bytes, value: Any) -> str:
    return "sha256:" + hashlib.sha256(domain + canonical.dumps(value)).hexdigest()
