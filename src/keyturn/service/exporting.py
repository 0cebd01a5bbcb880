"""Asking for an evidence pack: that it is made is recorded before it is made, and the pack covers the log up to that entry.

So a pack shows its own making and that of all packs before it, and nobody takes evidence out of the house without a word.

Rules kept here:

- Administrators and auditors ask. An auditor, and whoever a pack is made for, is shown what policy shows auditors, and no more.
- Framework and period are checked before anything is recorded.
- What a pack is made of is in its entry: it can be made again, byte for byte, as long as nothing is erased meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError, NotFound
from keyturn.evidence import catalogue
from keyturn.evidence.errors import PeriodInvalid
from keyturn.evidence.order import Order
from keyturn.evidence.withholding import LEVELS, Disclosure
from keyturn.identity import Person
from keyturn.ledger.entries import Draft
from keyturn.service import disclosure
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden

MOST = 1_000
LONGEST_NAME = 200
ASKING = ("admin", "auditor")
"""Roles whose members ask for packs."""


class PackUnknown(NotFound):
    """No pack of that id was asked for here."""

    code = "evidence.unknown_pack"
    next_step = "`keyturn evidence packs` lists those that were asked for."


class MoreThanPolicy(KeyturnError):
    """A pack for an auditor would disclose more than policy shows to auditors."""

    code = "evidence.not_disclosed"
    status = 403
    exit_code = ExitCode.REFUSED
    not_done = "No pack was made, and nothing was recorded."
    next_step = 'Leave --disclose away; the policy shows more with `[disclosure] auditor = "content"` in requirements.toml.'


class Wish(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody asks for. Times in milliseconds since 1970, `until` not included and 0 for now; `disclosure` may be left to policy."""

    framework: str
    since: int
    until: int = 0
    auditor: str = ""
    disclosure: str = ""


class PackView(Struct, frozen=True):
    """One pack that was asked for. `size`: entries that it covers; `entry` is the last of them, which says that it was asked for."""

    id: str
    framework: str
    since: int
    until: int
    by: str
    auditor: str
    disclosure: str
    size: int
    entry: int
    time: int


async def ask(core: Core, person: Person, wish: Wish) -> PackView:
    """Record that *person* has a pack made.

    Raises `Forbidden`, `PeriodInvalid`, `FrameworkUnknown`, `MoreThanPolicy`, `CatalogueMalformed`.
    """
    if not set(ASKING) & set(person.roles):
        raise Forbidden(f"{person.id} is none of: {', '.join(ASKING)}.")
    now = core.now()
    until = wish.until or now
    if not 0 <= wish.since < until:
        raise PeriodInvalid("The period ends before it begins.")
    if until > now:
        raise PeriodInvalid("The period ends in the future.", next_step="Leave --to away: then it ends now.")
    catalogue.load(_own(core)).framework(wish.framework)
    auditor = " ".join(wish.auditor.split())[:LONGEST_NAME]
    fields = {
        "id": core.id("e"),
        "framework": wish.framework,
        "since": wish.since,
        "until": until,
        "by": person.id,
        "for": auditor,
        "disclosure": _level(core, person, auditor, wish.disclosure),
        "size": core.ledger.size,
    }
    (entry,) = await core.ledger.append([Draft("evidence.exported", fields)])
    return view(core, entry.fields["id"])


def view(core: Core, pack: str) -> PackView:
    """One pack. Raises `PackUnknown`."""
    row = core.ledger.row("evidence-pack", pack)
    if row is None:
        raise PackUnknown(f"No pack {pack[:80]} was asked for here.")
    return viewed(row)


def taken(core: Core, person: Person, pack: str) -> PackView:
    """The pack whose file *person* is about to get: who made it may have been shown more than they are.

    Raises `PackUnknown`, `NotDisclosed`.
    """
    found = view(core, pack)
    if found.disclosure == "content":
        disclosure.require_content(core, person)
    return found


def views(core: Core) -> list[PackView]:
    """All of them, newest first."""
    return [viewed(row) for row in core.ledger.rows("evidence-pack", limit=MOST)]


def viewed(row: Mapping[str, Any]) -> PackView:
    """The pack in a row."""
    return PackView(
        row["id"], row["framework"], row["since"], row["until"], row["by"], row["for"], row["disclosure"],
        row["entry"] + 1, row["entry"], row["time"],
    )  # fmt: skip


def order(pack: PackView, heads: tuple[tuple[str, str], ...] = ()) -> Order:
    """What is built for *pack*."""
    level: Disclosure = "content" if pack.disclosure == "content" else "digests"
    return Order(
        pack.framework, pack.since, pack.until, pack.size, level, pack.id, pack.by, pack.auditor, heads
    )


def _level(core: Core, person: Person, auditor: str, wanted: str) -> str:
    """What is disclosed. Raises `MoreThanPolicy`."""
    policy = "content" if core.policy.requirements.disclosure == "content" else "digests"
    narrowed = person.reads_only or bool(auditor)
    if wanted and wanted not in LEVELS:
        raise MoreThanPolicy(f"There is no level {wanted[:40]!r}; there are {' and '.join(LEVELS)}.")
    if wanted == "content" and narrowed and policy != "content":
        raise MoreThanPolicy("Policy does not show auditors the content of actions.")
    return wanted or (policy if narrowed else "digests")


def _own(core: Core) -> dict[str, bytes]:
    """The house's own controls in the policy in force."""
    row = core.ledger.row("policy", core.policy.digest) or {"files": {}}
    files = core.full(row["files"])
    return {path: core.bytes_of(blob) for path, blob in files.items() if path.startswith(catalogue.FOLDER)}


__all__ = [
    "MoreThanPolicy",
    "PackUnknown",
    "PackView",
    "Wish",
    "ask",
    "order",
    "taken",
    "view",
    "viewed",
    "views",
]
