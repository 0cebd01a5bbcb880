"""Keys of people as they are looked up and shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from keyturn import canonical
from keyturn.approvals import ssh_signature
from keyturn.identity.keys import EnrolledKey, KeyRecord, from_b64
from keyturn.identity.people import ADMINS
from keyturn.service.core import Core


class KeyView(Struct, frozen=True):
    """A key as shown. Times are milliseconds since 1970. `attested`: known to be bound to one device."""

    id: str
    person: str
    type: str
    name: str
    fingerprint: str
    rp_id: str
    credential_id: str
    attested: bool
    backup: bool
    genesis: bool
    enrolled: int
    entry: int
    algorithm: str = ""
    revoked: int | None = None
    revoked_by: str = ""
    why: str = ""


def key_of(row: dict[str, Any] | None) -> EnrolledKey | None:
    """A key out of its row."""
    if row is None:
        return None
    record = msgspec.convert(row["record"], KeyRecord)
    return EnrolledKey(row["id"], record, bool(row["attested_by"]), row["backup"], row["revoked"] is not None)


def keys_of(core: Core, person: str, *, active: bool = True) -> list[KeyView]:
    """A person's keys, oldest first."""
    held = (core.ledger.row("person-keys", person) or {"keys": []})["keys"]
    rows = [row for key in held if (row := core.ledger.row("key", key)) is not None]
    return [view(row) for row in rows if not active or row["revoked"] is None]


def all_keys(core: Core, limit: int = 10_000) -> list[KeyView]:
    """Everybody's keys, oldest first."""
    return [view(row) for row in core.ledger.rows("key", newest_first=False, limit=limit)]


def view(row: dict[str, Any]) -> KeyView:
    """A key as shown."""
    record = msgspec.convert(row["record"], KeyRecord)
    public = from_b64(record.public_key)
    is_ssh = record.type == "ssh"
    return KeyView(
        id=row["id"],
        person=row["person"],
        type=record.type,
        name=row["name"],
        fingerprint=record.credential_id if is_ssh else canonical.digest_bytes(public),
        rp_id=record.rp_id,
        credential_id=record.credential_id,
        attested=bool(row["attested_by"]),
        backup=row["backup"],
        genesis=row["genesis"],
        enrolled=row["enrolled"],
        entry=row["entry"],
        algorithm=ssh_signature.read_public_key(public).algorithm if is_ssh else "passkey",
        revoked=row["revoked"],
        revoked_by=row.get("revoked_by", ""),
        why=row.get("why", ""),
    )


def credential_ids(keys: Iterable[KeyView], rp_id: str) -> tuple[str, ...]:
    """The passkeys among *keys* that can be used on pages of *rp_id*."""
    return tuple(key.credential_id for key in keys if key.type == "passkey" and key.rp_id == rp_id)


def assurance(core: Core, *people: str) -> str:
    """How another administrator than *people* has to approve what gives power: signed, as soon as one of them has a key."""
    others = (
        other
        for other in core.roster.people.values()
        if not other.removed
        and other.counts_for(ADMINS)
        and not any(core.roster.same_human(other.id, one) for one in people)
    )
    return "signed" if any(keys_of(core, other.id) for other in others) else "click"
