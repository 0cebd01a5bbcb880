"""The provider's word over a statement (level `idp`). Pure: a token and the recorded key set in, a level or a refusal out.

Rules kept here:

- The token's nonce is the base64url SHA-256 of the statement's bytes, so the provider signed for this decision and no other.
- Its account is one of the person who decides; what the token says about names or mail addresses is not looked at.
- The person proved themselves at the provider just now: `auth_time` is not older than a journey there takes.
- It was signed by a key of the key set that the log says is the provider's now, with all that `identity.id_token` asks of a token.

What an outside verifier needs later is recorded: the token as it is, and the digest of the key set.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from keyturn.approvals.proof import IdpProof, Verified
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.identity.id_token import Demand, TokenRefused, account_of, commitment, verify


class ProofNotTheProviders(ProofRefused):
    """The ID token that came with a decision is not the provider's fresh word over it."""

    code = "proof.provider"
    next_step = "Decide again on the request's page: it leads to the provider and back."


class ProofOtherAccount(ProofRefused):
    """The ID token that came with a decision is of an account that is not the deciding person's."""

    code = "proof.other_account"
    next_step = "Sign out at the provider, then decide again and sign in there with your own account."


def verify_idp(
    statement: bytes,
    proof: IdpProof,
    *,
    accounts: Collection[str],
    jwks: Mapping[str, Any],
    demand: Demand,
    subject_claim: str,
    now_ms: int,
) -> Verified | ProofRefused:
    """Whether *proof* shows that somebody with one of *accounts* made *statement*; *demand*'s nonce is not looked at."""
    try:
        token = verify(proof.id_token, jwks, replace(demand, nonce=commitment(statement)), now_ms)
    except TokenRefused as error:
        return ProofNotTheProviders(error.happened, why=error.why)
    subject = token.claims.get(subject_claim)
    if not isinstance(subject, str) or account_of(token.issuer, subject) not in accounts:
        return ProofOtherAccount("At the provider somebody else is signed in than here.")
    ways = ", ".join(filter(None, (token.acr, *token.amr)))
    return Verified("idp", f"ID token of {token.issuer}{f', {ways}' if ways else ''}")
