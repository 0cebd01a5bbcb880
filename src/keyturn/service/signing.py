"""Statements that people sign, and the check of what they signed at the moment it is recorded (promise 8).

Rules kept here:

- A statement is made from the request as it is; whoever signs gets everything that its digests cover, so that their own program
  can work the digests out again before it signs.
- A proof is checked inside the plan, against the keys of that very moment: a key revoked a millisecond ago signs nothing.
- The nonce is in the statement and is used for one decision; a second one with it is a replay.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, to_builtins

from keyturn.approvals.proof import IdpProof, Proof, Verified, verify
from keyturn.approvals.proof_errors import ProofMalformed, ProofRefused, ProofReplayed
from keyturn.approvals.request import RequestState
from keyturn.approvals.statement import Statement, make_statement, statement_bytes
from keyturn.identity.keys import to_b64
from keyturn.ledger.entries import Rows
from keyturn.service.core import Core
from keyturn.service.key_views import KeyView, key_of, keys_of
from keyturn.service.model import Choice

_NONCE = re.compile(r"[A-Za-z0-9_-]{16,100}", re.ASCII)


class StatementView(Struct, frozen=True):
    """A statement to sign, and what it covers.

    `bytes` and `challenge` (their SHA-256) are base64url: an SSH key signs the bytes, a passkey the challenge. `document` is
    everything shown (`statement.display` is its digest), `act` what the action's digest is made of (empty for other subjects).
    `keys` are the person's.
    """

    statement: dict[str, Any]
    bytes: str
    challenge: str
    document: dict[str, Any]
    act: dict[str, Any]
    keys: tuple[KeyView, ...]


def statement_of(
    core: Core,
    row: dict[str, Any],
    state: RequestState,
    person: str,
    choice: Choice,
    reason: str,
    nonce: str,
    grant: str,
    ticket: str = "",
    behalf: str = "",
) -> Statement:
    """The statement that *person* makes with that *choice* and *reason*: what they named with it goes in as they named it."""
    return make_statement(
        log=core.origin,
        request=state.id,
        digest=state.digest,
        display=state.display,
        decision=choice,
        person=person,
        reason=reason,
        policy=row["policy"],
        nonce=nonce,
        grant=grant,
        ticket=ticket,
        behalf=behalf,
    )


def shown(core: Core, row: dict[str, Any], statement: Statement, document: dict[str, Any]) -> StatementView:
    """*statement* as it is handed out to be signed. Nothing is kept of it."""
    data = statement_bytes(statement)
    return StatementView(
        to_builtins(statement),
        to_b64(data),
        to_b64(hashlib.sha256(data).digest()),
        document,
        act_of(core, row),
        tuple(keys_of(core, statement.person)),
    )


def act_of(core: Core, row: dict[str, Any]) -> dict[str, Any]:
    """What an action's digest is made of, as it was recorded when the action was decided on; empty for changes."""
    action = core.ledger.row("action", row["action"]) if row.get("action") else None
    entry = core.ledger.entry(action["entry"]) if action else None
    if entry is None:
        return {}
    return {
        "v": 1,
        **core.full(entry.fields["action"]),
        "definition": entry.fields["definition"],
        "policy": row["policy"],
    }


def check(
    core: Core,
    rows: Rows,
    given: Sequence[dict[str, Any]],
    statement: Statement,
    proof: Proof,
) -> Verified | ProofRefused:
    """Whether *proof* is good for *statement* now; *given* are the request's decisions so far."""
    if not _NONCE.fullmatch(statement.nonce):
        return ProofMalformed("A statement's nonce is 16 to 100 letters, digits, `-` and `_`.")
    if any(one.get("nonce") == statement.nonce for one in given):
        return ProofReplayed("This statement was used for a decision already.")
    if isinstance(proof, IdpProof):
        if core.check_idp is None:
            return ProofRefused(
                "No identity provider is set up here.", next_step="Sign with a key of your own."
            )
        return core.check_idp(statement_bytes(statement), proof, statement.person, rows)
    key = key_of(rows.row("key", proof.key))
    return verify(statement_bytes(statement), proof, key, person=statement.person, origins=core.origins)


def fields_of(proof: Proof, verified: Verified, document: dict[str, Any]) -> dict[str, Any]:
    """What `approval.given` has more of when it is signed: the proof, and what the person was shown."""
    key = {} if isinstance(proof, IdpProof) else {"key": proof.key}
    return {**key, "proof": to_builtins(proof), "how": verified.how, "shown": document}
