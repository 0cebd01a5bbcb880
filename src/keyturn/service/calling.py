"""From where the call comes that is being answered: a context variable that the outermost door sets, empty where no connection brought it.

`device` is the browser (a cookie that stays when somebody signs out), `account` the account of the operating system at the other end of a
local connection, `address` the network address of another machine. Browser and address are recorded as keyed digests: equal ones are
known again, none can be read or guessed.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from msgspec import Struct

from keyturn.service.core import Core

DIGITS = 24
"""Hexadecimal digits of a keyed digest that are recorded: 96 bits."""


class Origin(Struct, frozen=True):
    """As it was seen; all empty: not known. `relayed`: a relay stands between, whose word the address is."""

    device: str = ""
    account: str = ""
    address: str = ""
    relayed: bool = False


NOWHERE = Origin()
_now: ContextVar[Origin] = ContextVar("origin", default=NOWHERE)


def answering(origin: Origin) -> None:
    """From here on, in this task, it is answered for *origin*."""
    _now.set(origin)


def digest(core: Core, kind: str, value: str) -> str:
    """How a device or an address is recorded."""
    return core.redaction.keyed(f"place/{kind}/{value}").removeprefix("hmac-sha256:")[:DIGITS]


def recorded(core: Core) -> dict[str, Any]:
    """The field `from` of an entry about what a person did; nothing where nothing is known."""
    now = _now.get()
    made: dict[str, Any] = {"account": now.account} if now.account else {}
    for kind, value in (("device", now.device), ("address", now.address)):
        if value:
            made[kind] = digest(core, kind, value)
    if made and now.relayed:
        made["relayed"] = True
    return {"from": made} if made else {}


__all__ = ["NOWHERE", "Origin", "answering", "digest", "recorded"]
