"""Proofs: that a person made a statement, shown by their own key (promise 8). Pure: bytes and an enrolled key in, a level out.

Rules kept here:

- The level is what was verified here, never what anybody says: `signed` for a key of the person; `signed+hardware` when the key
  was shown not to leave a device.
- A passkey is `signed+hardware` when its enrolment had an attestation that leads to a root certificate which the house trusts,
  and its flags, then and now, say that it can't be copied. Its user was verified in any case.
- An SSH key is `signed+hardware` when it is of a security-key type (`sk-`) and says both that it was touched and that it
  verified its user. That such a key lies in hardware rests on its type and on whoever approved its enrolment: OpenSSH
  shows no attestation with a signature.
- A security key that nobody touched proves nothing: a program can have it sign.
- The key is enrolled for the very person of the statement, and is not revoked.
- A passkey's challenge is the SHA-256 of the statement's bytes; an SSH signature has the namespace `approval@keyturn`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Literal

from cryptography.exceptions import InvalidSignature
from msgspec import Struct

from keyturn.approvals import passkey, ssh_signature
from keyturn.approvals.proof_errors import (
    KeyNotEnrolled,
    KeyOfAnother,
    KeyRevoked,
    ProofBadSignature,
    ProofMalformed,
    ProofNobodyPresent,
    ProofOtherKey,
    ProofRefused,
    ProofWrongNamespace,
)
from keyturn.identity.keys import EnrolledKey, from_b64

NAMESPACE = "approval@keyturn"
"""The SSH namespace of approvals: a signature made for anything else is none."""

Level = Literal["idp", "signed", "signed+hardware"]


class PasskeyProof(Struct, frozen=True, tag="passkey", tag_field="type", forbid_unknown_fields=True):
    """What `navigator.credentials.get` gave, in base64url; `key` is the id of the enrolled key."""

    key: str
    client_data: str
    authenticator_data: str
    signature: str


class SshProof(Struct, frozen=True, tag="ssh", tag_field="type", forbid_unknown_fields=True):
    """What `ssh-keygen -Y sign -n approval@keyturn` wrote over the statement's bytes, armored."""

    key: str
    signature: str


class IdpProof(Struct, frozen=True, tag="idp", tag_field="type", forbid_unknown_fields=True):
    """A fresh ID token of the identity provider whose nonce is the base64url SHA-256 of the statement's bytes.

    `keys` is the digest of the provider's key set that checks it, as it is recorded (`provider.keys`).
    """

    id_token: str
    keys: str = ""


KeyProof = PasskeyProof | SshProof
Proof = PasskeyProof | SshProof | IdpProof


class Verified(Struct, frozen=True):
    """A proof that holds: the level, and in words what was seen."""

    level: Level
    how: str


def verify(
    statement: bytes, proof: KeyProof, key: EnrolledKey | None, *, person: str, origins: Collection[str]
) -> Verified | ProofRefused:
    """Whether *proof* shows that *person* made *statement* (its exact bytes) with *key*; *origins* are those of our own pages."""
    if key is None or key.id != proof.key:
        return KeyNotEnrolled(f"No key {proof.key[:60]!r} is enrolled here.")
    if key.record.person != person:
        return KeyOfAnother("That key is enrolled for somebody else.")
    if key.revoked:
        return KeyRevoked("That key was revoked.")
    if isinstance(proof, PasskeyProof):
        return _passkey(statement, proof, key, origins)
    return _ssh(statement, proof, key)


def _passkey(
    statement: bytes, proof: PasskeyProof, key: EnrolledKey, origins: Collection[str]
) -> Verified | ProofRefused:
    if key.record.type != "passkey":
        return ProofOtherKey("The proof is a passkey's, the key is not.")
    try:
        client, authenticator, signature = (
            from_b64(part) for part in (proof.client_data, proof.authenticator_data, proof.signature)
        )
    except ValueError:
        return ProofMalformed("The proof is not base64url.")
    signed = passkey.check_assertion(
        challenge=hashlib.sha256(statement).digest(),
        client_data=client,
        authenticator_data=authenticator,
        signature=signature,
        rp_id=key.record.rp_id,
        credential_id=key.record.credential_id,
        public_key=from_b64(key.record.public_key),
        backup=key.backup,
        origins=origins,
    )
    if isinstance(signed, ProofRefused):
        return signed
    if key.attested and not signed.backup:
        return Verified("signed+hardware", "passkey, user verified, attested as bound to one device")
    return Verified("signed", "passkey, user verified")


def _ssh(statement: bytes, proof: SshProof, key: EnrolledKey) -> Verified | ProofRefused:
    if key.record.type != "ssh":
        return ProofOtherKey("The proof is an SSH key's, the key is not.")
    flags = check_ssh(statement, proof.signature, from_b64(key.record.public_key), NAMESPACE)
    if isinstance(flags, ProofRefused):
        return flags
    if flags is None:
        return Verified("signed", "SSH key")
    if flags & ssh_signature.VERIFIED:
        return Verified("signed+hardware", "SSH security key, touched, user verified")
    return Verified("signed", "SSH security key, touched, user not verified")


def check_ssh(message: bytes, armored: str, public_key: bytes, namespace: str) -> int | ProofRefused | None:
    """The flags of the security key that signed *message*, None for another kind of key; or why it does not hold."""
    try:
        public = ssh_signature.read_public_key(public_key)
        signature = ssh_signature.parse_signature(armored)
    except ValueError as error:
        return ProofMalformed(f"The SSH signature can't be read: {error}.")
    if signature.namespace != namespace:
        return ProofWrongNamespace(
            f"The signature was made for {signature.namespace[:60]!r}, not for {namespace!r}."
        )
    if signature.key != public.blob:
        return ProofOtherKey("The signature was made with another key than the one it names.")
    try:
        flags = ssh_signature.check_signature(signature, public, message)
    except InvalidSignature:
        return ProofBadSignature("The SSH signature does not fit the key and these bytes.")
    except ValueError as error:
        return ProofMalformed(f"The SSH signature can't be read: {error}.")
    if not public.security_key:
        return None
    if not flags & ssh_signature.TOUCHED:
        return ProofNobodyPresent("The security key signed without being touched.")
    return flags
