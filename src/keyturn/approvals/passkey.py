"""Passkeys: what an authenticator gives when a key is made and when it signs (W3C Web Authentication, level 3). Pure.

Rules kept here (WebAuthn level 3 §7.1 and §7.2):

- The client data is of the right type, holds exactly our challenge and comes from a page of ours that is not framed by another.
- The authenticator data is for our RP id; somebody was present and was verified (PIN, fingerprint or face).
- The signature is the key's over authenticator data and the hash of the client data, as `webauthn` checks it.
- A key that was enrolled as bound to one device never turns up as one that may be copied.
- Signature counters decide nothing: synchronised passkeys always report 0.
- An attestation counts only if its certificates lead to a root that the house configured; what else an authenticator
  says about itself is recorded and believed by nobody.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from keyturn.approvals.proof_errors import (
    ProofBadSignature,
    ProofMalformed,
    ProofNobodyPresent,
    ProofOtherStatement,
    ProofRefused,
    ProofUnverifiedUser,
    ProofWrongOrigin,
    ProofWrongSite,
)
from keyturn.identity.keys import from_b64, to_b64

MAX_BYTES = 65_536
PRESENT, VERIFIED, BACKUP, BACKED_UP = 0x01, 0x04, 0x08, 0x10
ENROLMENT_DOMAIN = b"keyturn/enrolment/v1\n"
ROOTED = ("packed", "fido-u2f", "tpm")
"""Attestation formats that are checked under the house's roots alone; for others the library brings roots of its own."""
ALGORITHMS = (-8, -7, -257)
"""COSE algorithms that are accepted: EdDSA, ES256, RS256 (RFC 9053; RFC 8812), in order of preference."""


class Registered(Struct, frozen=True):
    """What a registration gave. `attested_by` is the SHA-256 of the root certificate that it was checked under, empty without."""

    public_key: bytes
    credential_id: bytes
    aaguid: str
    backup: bool
    attested_by: str = ""
    format: str = "none"


class Signed(Struct, frozen=True):
    """What a verified assertion said about its key: may it be copied to other devices?"""

    backup: bool


def load() -> None:
    """Import what checks passkeys, which takes a third of a second: not while the ledger waits for it."""
    import webauthn  # noqa: F401


def rp_id_of(origin: str) -> str:
    """The RP id for pages of *origin*: its host's name. Empty for an address, where browsers offer no passkeys."""
    host = urlsplit(origin).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


def enrolment_challenge(log: str, person: str, rp_id: str, random: str) -> bytes:
    """The challenge under which *person* makes a key: recomputed when it comes back, so nothing is kept meanwhile."""
    members = {"log": log, "person": person, "random": random, "rp_id": rp_id}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(ENROLMENT_DOMAIN + text.encode()).digest()


def check_client_data(
    raw: bytes, kind: str, challenge: bytes, origins: Collection[str]
) -> ProofRefused | None:
    """Why *raw* is not the client data of our own page for *challenge*, None when it is."""
    try:
        data = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError):
        return ProofMalformed("The client data is not the JSON that browsers write.")
    if not isinstance(data, dict) or data.get("type") != kind:
        return ProofMalformed(f"The client data is not that of {kind}.")
    try:
        given = from_b64(data.get("challenge") or "")
    except (ValueError, AttributeError):
        return ProofMalformed("The challenge in the client data is not base64url.")
    if not hmac.compare_digest(given, challenge):
        return ProofOtherStatement("The passkey signed another statement than this decision.")
    origin = data.get("origin")
    if origin not in origins:
        return ProofWrongOrigin(f"The passkey was asked by a page of {str(origin)[:100]!r}.")
    if data.get("crossOrigin") or data.get("topOrigin"):
        return ProofWrongOrigin("The passkey was asked by a page inside another site's frame.")
    return None


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member is there twice")
    return made


def check_assertion(
    *,
    challenge: bytes,
    client_data: bytes,
    authenticator_data: bytes,
    signature: bytes,
    rp_id: str,
    credential_id: str,
    public_key: bytes,
    backup: bool,
    origins: Collection[str],
) -> Signed | ProofRefused:
    """Whether the passkey signed *challenge* on a page of *origins*, with its user verified."""
    if max(len(client_data), len(authenticator_data), len(signature)) > MAX_BYTES:
        return ProofMalformed("The proof is longer than any authenticator writes.")
    refused = check_client_data(client_data, "webauthn.get", challenge, origins)
    if refused is not None:
        return refused
    refused = _check_flags(authenticator_data, rp_id)
    if refused is not None:
        return refused
    flags = authenticator_data[32]
    if bool(flags & BACKUP) != backup or (flags & BACKED_UP and not flags & BACKUP):
        return ProofBadSignature("The passkey says otherwise than at its enrolment whether it can be copied.")
    from webauthn import verify_authentication_response
    from webauthn.helpers.exceptions import WebAuthnException

    credential = {
        "id": credential_id,
        "rawId": credential_id,
        "type": "public-key",
        "response": {
            "clientDataJSON": to_b64(client_data),
            "authenticatorData": to_b64(authenticator_data),
            "signature": to_b64(signature),
        },
    }
    try:
        verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=list(origins),
            credential_public_key=public_key,
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError):
        return ProofBadSignature("The passkey's signature does not fit its key and this statement.")
    return Signed(bool(flags & BACKUP))


def _check_flags(authenticator_data: bytes, rp_id: str) -> ProofRefused | None:
    if len(authenticator_data) < 37:
        return ProofMalformed("The authenticator data is too short.")
    if authenticator_data[:32] != hashlib.sha256(rp_id.encode()).digest():
        return ProofWrongSite(f"The passkey signed for another site than {rp_id}.")
    if not authenticator_data[32] & PRESENT:
        return ProofNobodyPresent("The authenticator signed with nobody present.")
    if not authenticator_data[32] & VERIFIED:
        return ProofUnverifiedUser("The authenticator did not check who was using it.")
    return None


def check_registration(
    *,
    challenge: bytes,
    client_data: bytes,
    attestation_object: bytes,
    credential_id: str,
    rp_id: str,
    origins: Collection[str],
    roots: Collection[bytes] = (),
) -> Registered | ProofRefused:
    """The key that an authenticator made for *challenge*; *roots* are certificates (PEM) that an attestation may lead to."""
    if max(len(client_data), len(attestation_object)) > MAX_BYTES:
        return ProofMalformed("The registration is longer than any authenticator writes.")
    refused = check_client_data(client_data, "webauthn.create", challenge, origins)
    if refused is not None:
        return refused
    found = _register(challenge, client_data, attestation_object, credential_id, rp_id, origins, ())
    if isinstance(found, ProofRefused) or found.backup:
        return found
    for root in roots:
        under = _register(challenge, client_data, attestation_object, credential_id, rp_id, origins, (root,))
        if isinstance(under, Registered) and under.attested_by:
            return under
    return found


def _register(
    challenge: bytes,
    client_data: bytes,
    attestation_object: bytes,
    credential_id: str,
    rp_id: str,
    origins: Collection[str],
    roots: tuple[bytes, ...],
) -> Registered | ProofRefused:
    from webauthn import verify_registration_response
    from webauthn.helpers import parse_attestation_object
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.exceptions import WebAuthnException
    from webauthn.helpers.structs import AttestationFormat

    response = {"clientDataJSON": to_b64(client_data), "attestationObject": to_b64(attestation_object)}
    credential = {"id": credential_id, "rawId": credential_id, "type": "public-key", "response": response}
    try:
        parsed = parse_attestation_object(attestation_object)
        refused = _check_flags_of(parsed, rp_id)
        if refused is not None:
            return refused
        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=list(origins),
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(number) for number in ALGORITHMS],
            pem_root_certs_bytes_by_fmt={kind: list(roots) for kind in AttestationFormat},
        )
    except (
        Exception
    ) as error:  # the library answers hostile CBOR and certificates with many kinds of exceptions
        if isinstance(error, WebAuthnException):
            return ProofBadSignature(f"The new passkey does not hold: {error}.")
        return ProofMalformed("The new passkey's attestation can't be read.")
    chained = bool(roots) and bool(parsed.att_stmt.x5c) and parsed.fmt in ROOTED
    return Registered(
        made.credential_public_key,
        made.credential_id,
        made.aaguid,
        made.credential_device_type.value == "multi_device",
        hashlib.sha256(roots[0]).hexdigest() if chained else "",
        str(parsed.fmt),
    )


def _check_flags_of(parsed: Any, rp_id: str) -> ProofRefused | None:
    flags = parsed.auth_data.flags
    if parsed.auth_data.rp_id_hash != hashlib.sha256(rp_id.encode()).digest():
        return ProofWrongSite(f"The passkey was made for another site than {rp_id}.")
    if not flags.up:
        return ProofNobodyPresent("The passkey was made with nobody present.")
    if not flags.uv:
        return ProofUnverifiedUser("The authenticator did not check who was using it.")
    return None
