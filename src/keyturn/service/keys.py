"""Keys of people: enrolment, with another administrator's approval, and revocation, which takes effect at once.

Rules kept here (promise 8, design of enrolment in docs/explanation/signatures.md):

- Only the person offers a key for themselves, and shows that they hold it: an SSH key signs its own record; a passkey is made
  on our page, under a challenge that names the person and this log.
- Where an identity provider is configured, its fresh ID token must commit to the record.
- Another administrator approves. As soon as one who may has a key, that approval has to be signed: the first keys of a house
  are approved by click, and the ledger shows which ones.
- One exception: the first person's key at `keyturn init` has nobody to approve it. Its entry says `genesis`.
- A public key is enrolled once, for one person, for ever. Revoked keys don't come back.
- A person revokes their own keys, an administrator anybody's. Revoking needs no approval: it only takes away.
- Whoever is removed has no key from that moment on (`people.removal`); who comes back enrols a new one.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.approvals import passkey, ssh_signature
from keyturn.approvals.proof import check_ssh
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Person
from keyturn.identity.keys import (
    RANDOM_BYTES,
    KeyRecord,
    commitment,
    from_b64,
    key_id,
    to_b64,
)
from keyturn.identity.people import ADMINS
from keyturn.ledger.entries import Draft, Rows
from keyturn.service.changes import open_change
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden
from keyturn.service.key_text import key_text, kind_of
from keyturn.service.key_views import KeyView, assurance, keys_of, view
from keyturn.service.model import RequestView

ENROLMENT_NAMESPACE = "enrolment@keyturn"
RECORD_DOMAIN = b"keyturn/key-record/v1\n"
APPROVERS = f"1 of {ADMINS}"
MAX_NAME = 80
MAX_KEYS = 16
"""Active keys of one person: enough for every device, few enough to look after."""


class KeyExists(KeyturnError):
    """That public key was enrolled before, for this person or another one."""

    code = "key.exists"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was asked for and nothing was changed."
    next_step = "Make a new key; a revoked key does not come back, and a key has one person."


class KeyUnacceptable(KeyturnError):
    """The key can't be enrolled: a kind that is not accepted, or a name that is not one."""

    code = "key.unacceptable"
    status = 422
    exit_code = ExitCode.USAGE
    not_done = "Nothing was asked for and nothing was changed."
    next_step = "Use an SSH key of type ed25519, ecdsa (nistp256), rsa or their `-sk` kinds, or a passkey."


class KeyUnwitnessed(KeyturnError):
    """An identity provider is set up here, and it has not vouched for who enrols the key."""

    code = "key.unwitnessed"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was asked for and nothing was changed."
    next_step = (
        "Sign in at the provider when the page You asks for it; the key is then enrolled in the same step."
    )


class UnknownKey(KeyturnError):
    """No key has that id."""

    code = "key.not_found"
    status = 404
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "`keyturn key list` shows all keys."


class SshOffer(Struct, frozen=True, tag="ssh", tag_field="type", forbid_unknown_fields=True):
    """An SSH key that a person offers. `signature` is over `record_bytes` in the namespace `enrolment@keyturn`."""

    public_key: str
    random: str
    signature: str
    name: str = ""


class PasskeyOffer(Struct, frozen=True, tag="passkey", tag_field="type", forbid_unknown_fields=True):
    """A passkey that a person made on our page, all in base64url; `random` is that of `begin`."""

    random: str
    client_data: str
    attestation_object: str
    credential_id: str
    name: str = ""


Offer = SshOffer | PasskeyOffer


class ProviderWord(Struct, frozen=True):
    """The provider's ID token over a record: its text, whose it is, and the digest of the recorded key set that checks it."""

    id_token: str
    account: str
    keys: str


class Options(Struct, frozen=True):
    """What a page needs to make a passkey; `exclude` are credential ids that this person has enrolled already."""

    challenge: str
    random: str
    rp_id: str
    person: str
    name: str
    user: str
    exclude: tuple[str, ...]
    algorithms: tuple[int, ...] = passkey.ALGORITHMS
    attestation: str = "none"


# --- enrolling ---------------------------------------------------------------------------------------------------


def begin(core: Core, person: Person, origin: str) -> Options:
    """What a page of *origin* needs to make a passkey for *person*. Nothing is kept: it all comes back. Raises `KeyUnacceptable`."""
    rp_id = passkey.rp_id_of(origin)
    if origin not in core.origins or not rp_id:
        raise KeyUnacceptable(
            f"Browsers make no passkeys for {origin[:100]}.",
            next_step=f"Open the page as {' or '.join(core.origins) or 'https://HOST, with HOST in `hosts`'}.",
        )
    random = to_b64(secrets.token_bytes(RANDOM_BYTES))
    return Options(
        challenge=to_b64(passkey.enrolment_challenge(core.origin, person.id, rp_id, random)),
        random=random,
        rp_id=rp_id,
        person=person.id,
        name=person.name or person.id,
        user=to_b64(_user_handle(core, person.id)),
        exclude=tuple(key.credential_id for key in keys_of(core, person.id) if key.type == "passkey"),
        attestation="direct" if core.attestation_roots else "none",
    )


def _user_handle(core: Core, person: str) -> bytes:
    """What an authenticator calls the account: no name and no address in it (WebAuthn level 3 §14.6.1)."""
    return bytes.fromhex(canonical.digest({"log": core.origin, "user": person}).removeprefix("sha256:"))


def record_bytes(record: KeyRecord) -> bytes:
    """What an SSH key signs when it is enrolled."""
    return RECORD_DOMAIN + canonical.dumps(to_builtins(record))


def ssh_record(log: str, person: str, public_key: str, random: str) -> KeyRecord:
    """The record of an SSH key; its owner's command line makes the same one. Raises `KeyUnacceptable`."""
    try:
        public = ssh_signature.parse_public_key(public_key)
        if len(from_b64(random)) != RANDOM_BYTES:
            raise ValueError(f"`random` is not {RANDOM_BYTES} bytes")
    except ValueError as error:
        raise KeyUnacceptable(f"The SSH key can't be enrolled: {error}.") from error
    return KeyRecord("ssh", person, log, "", to_b64(public.blob), public.fingerprint, "", random)


class Checked(Struct, frozen=True):
    """An offer that holds: the record and what goes with it for whoever checks it later."""

    record: KeyRecord
    evidence: dict[str, str]
    backup: bool = False
    attested_by: str = ""
    format: str = ""

    @property
    def id(self) -> str:
        """The key's id."""
        return key_id(from_b64(self.record.public_key))


def check(core: Core, person: str, offer: Offer) -> Checked:
    """*offer* verified: the person holds that key. Raises `ProofRefused`, `KeyUnacceptable`."""
    if len(offer.name) > MAX_NAME:
        raise KeyUnacceptable(f"A key's name has at most {MAX_NAME} characters.")
    if isinstance(offer, SshOffer):
        return checked_ssh(core.origin, person, offer)
    return _check_passkey(core, person, offer)


def checked_ssh(log: str, person: str, offer: SshOffer) -> Checked:
    """An SSH key that signed its own record. Raises `ProofRefused`, `KeyUnacceptable`."""
    record = ssh_record(log, person, offer.public_key, offer.random)
    refused = check_ssh(
        record_bytes(record), offer.signature, from_b64(record.public_key), ENROLMENT_NAMESPACE
    )
    if isinstance(refused, ProofRefused):
        raise refused
    return Checked(record, {"signature": offer.signature})


def first_key(log: str, person: str, offer: SshOffer) -> dict[str, Any]:
    """The fields of the one key that nobody approves: the first person's, when a home is made. Raises as `checked_ssh`."""
    return {**entry_fields(checked_ssh(log, person, offer), offer.name, None, genesis=True), "request": None}


def _check_passkey(core: Core, person: str, offer: PasskeyOffer) -> Checked:
    try:
        client, attestation = from_b64(offer.client_data), from_b64(offer.attestation_object)
        origin = str(msgspec.json.decode(client)["origin"])
        if len(from_b64(offer.random)) != RANDOM_BYTES:
            raise ValueError(offer.random)
    except (ValueError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise KeyUnacceptable("The new passkey can't be read.") from error
    rp_id = passkey.rp_id_of(origin)
    made = passkey.check_registration(
        challenge=passkey.enrolment_challenge(core.origin, person, rp_id, offer.random),
        client_data=client,
        attestation_object=attestation,
        credential_id=offer.credential_id,
        rp_id=rp_id,
        origins=core.origins,
        roots=core.attestation_roots,
    )
    if isinstance(made, ProofRefused):
        raise made
    record = KeyRecord(
        "passkey", person, core.origin, rp_id, to_b64(made.public_key), to_b64(made.credential_id), made.aaguid,
        offer.random,
    )  # fmt: skip
    evidence = {"client_data": offer.client_data, "attestation_object": offer.attestation_object}
    return Checked(record, evidence, made.backup, made.attested_by, made.format)


def committed(core: Core, person: Person, offer: Offer) -> str:
    """What the provider's word over *offer* has to commit to. Raises `KeyUnacceptable`, `ProofRefused`."""
    return commitment(check(core, person.id, offer).record)


async def enrol(
    core: Core, person: Person, offer: Offer, word: ProviderWord | None, *, provider: bool
) -> RequestView:
    """Ask another administrator for *person*'s key; gives the request.

    *provider*: whether one is configured; then *word* is its token over `commitment(record)`, checked by who gives it.
    Raises `KeyExists`, `KeyUnwitnessed`, `KeyUnacceptable`, `ProofRefused`.
    """
    checked = check(core, person.id, offer)
    if core.ledger.row("key", checked.id) is not None:
        raise KeyExists("That key was enrolled before.")
    if len(keys_of(core, person.id)) >= MAX_KEYS:
        raise KeyUnacceptable(f"You have {MAX_KEYS} keys.", next_step="Revoke one that you don't use.")
    if provider and word is None:
        raise KeyUnwitnessed(
            "The identity provider has not vouched for this key.", commitment=commitment(checked.record)
        )
    fields = entry_fields(checked, offer.name, word)
    content = {"text": key_text(fields), "key": fields}
    return await open_change(
        core,
        subject="key",
        content=content,
        sentence=f"Enrols {kind_of(checked.record)} with which {person.id} signs approvals.",
        why="A key speaks for its person from then on, so another administrator has to be sure whose it is.",
        by=person,
        approve=APPROVERS,
        authors=[person.id],
        assurance=assurance(core, person.id),
    )


def entry_fields(
    checked: Checked, name: str, word: ProviderWord | None, *, genesis: bool = False
) -> dict[str, Any]:
    """Of `key.enrolled`: all that is needed to check it years later."""
    return {
        "id": checked.id,
        "person": checked.record.person,
        "name": name,
        "record": to_builtins(checked.record),
        "commitment": commitment(checked.record),
        "backup": checked.backup,
        "attested_by": checked.attested_by,
        "format": checked.format,
        "evidence": checked.evidence,
        "provider": to_builtins(word) if word else None,
        "genesis": genesis,
    }


def effect(core: Core, rows: Rows, row: dict[str, Any]) -> Sequence[Draft]:
    """What the last approval records: the key, once."""
    fields = core.full(row["content"])["key"]
    if rows.row("key", fields["id"]) is not None:
        raise KeyExists("That key was enrolled meanwhile.")
    return [Draft("key.enrolled", {**fields, "request": row["id"]}, once=f"key.enrolled:{fields['id']}")]


# --- revoking ----------------------------------------------------------------------------------------------------


async def revoke(core: Core, key: str, person: Person, why: str) -> KeyView:
    """From this entry on the key is good for nothing; signatures of it on waiting requests no longer count.

    Revoking twice is revoking once. Raises `UnknownKey`, `Forbidden`.
    """

    def plan(rows: Rows) -> Sequence[Draft]:
        row = rows.row("key", key)
        if row is None:
            raise UnknownKey(f"There is no key {key[:60]!r}.")
        if row["person"] != person.id and not person.counts_for(ADMINS):
            raise Forbidden("Only its person and administrators revoke a key.")
        if row["revoked"] is not None:
            return []
        fields = {"id": key, "person": row["person"], "by": person.id, "why": why[:2000]}
        return [Draft("key.revoked", fields, once=f"key.revoked:{key}")]

    await core.ledger.append(plan)
    row = core.ledger.row("key", key)
    assert row is not None
    return view(row)
