"""How a viewer can sign on a request's page: with which passkeys, whether they must, and what to do when they can't. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from keyturn.approvals.passkey import rp_id_of
from keyturn.service.key_views import KeyView
from keyturn.service.model import RequestView


class Credential(Struct, frozen=True):
    """A passkey that may sign here: the key's id, and the id by which browsers know it."""

    key: str
    id: str


class Signing(Struct, frozen=True):
    """`need`: `required`, `possible`, or empty where there is nothing to sign with and no need to. `missing`: why they can't, in words."""

    need: Literal["", "possible", "required"] = ""
    missing: str = ""


def usable(keys: Sequence[KeyView], rp_id: str, *, hardware: bool = False) -> list[Credential]:
    """Passkeys of *keys* for pages of *rp_id*; with *hardware* only those known to be bound to a device."""
    return [
        Credential(key.id, key.credential_id)
        for key in keys
        if key.type == "passkey" and key.revoked is None and rp_id and key.rp_id == rp_id and (key.attested or not hardware)
    ]  # fmt: skip


def signing(view: RequestView, keys: Sequence[KeyView], origin: str) -> Signing:
    """What signing *view* on a page of *origin* takes."""
    wanted = view.needs or view.obligations.assurance
    here = usable(keys, rp_id_of(origin), hardware=wanted == "signed+hardware")
    if wanted not in ("signed", "signed+hardware"):
        return Signing("possible" if here else "")
    if here:
        return Signing("required")
    if not rp_id_of(origin):
        where = "Browsers use passkeys only under a name: open this page as localhost"
    elif wanted == "signed+hardware":
        where = "You have no passkey here that is known to be bound to one device"
    else:
        where = "You have no passkey for this page: add one on your page You"
    return Signing("required", f"This needs a signature. {where}, or run: keyturn approve {view.id} --sign.")
