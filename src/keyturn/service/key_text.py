"""What the other administrator reads before a key is enrolled. They compare the fingerprint with the person, by another way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from keyturn import canonical
from keyturn.approvals import ssh_signature
from keyturn.identity.keys import KeyRecord, from_b64


def kind_of(record: KeyRecord) -> str:
    """In a few words: `a passkey`, `an SSH security key`, `an SSH key`."""
    if record.type == "passkey":
        return "a passkey"
    security = ssh_signature.read_public_key(from_b64(record.public_key)).security_key
    return "an SSH security key" if security else "an SSH key"


def key_text(fields: dict[str, Any]) -> str:
    """The fields of a `key.enrolled` to be, as lines. It says what was seen, and as plainly what was not."""
    record = msgspec.convert(fields["record"], KeyRecord)
    about = _ssh(record) if record.type == "ssh" else _passkey(record, fields)
    word = fields["provider"]
    lines = {
        "key": fields["id"],
        "called": fields["name"] or "-",
        **dict(about),
        "vouched for": f"by the identity provider: {word['account']}" if word else "by no identity provider",
    }
    said = (f"{name:<14}{words}" for name, words in lines.items())
    return "\n".join([f"A key for {record.person}", *said]) + "\n"


def _ssh(record: KeyRecord) -> Iterator[tuple[str, str]]:
    key = ssh_signature.read_public_key(from_b64(record.public_key))
    yield "type", key.algorithm
    yield "fingerprint", key.fingerprint
    yield "in hardware", "as its type says; nothing shows it" if key.security_key else "no"
    yield "held by them", "shown: the key signed this record"


def _passkey(record: KeyRecord, fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "type", f"passkey of {record.rp_id}"
    yield "fingerprint", canonical.digest_bytes(from_b64(record.public_key))
    yield "authenticator", f"{record.aaguid}, as it says itself"
    if fields["backup"]:
        yield "in hardware", "no: it may be copied to other devices of the person"
    elif fields["attested_by"]:
        yield "in hardware", f"attested under the root certificate sha256:{fields['attested_by']}"
    else:
        yield "in hardware", "not shown"
    yield "held by them", "made on Keyturn's own page, with the user verified"
