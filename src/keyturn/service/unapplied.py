"""The first look after an approved change's window says whether the change was made. Rules: `keyturn.drift.unapplied`."""

from __future__ import annotations

from collections.abc import Sequence

from keyturn.drift.configuration import normal_of
from keyturn.drift.unapplied import unapplied
from keyturn.ledger.entries import Entry
from keyturn.service.configurations import changes_of, state_of
from keyturn.service.core import Core
from keyturn.service.following import Follower, Noted

LOOKS = 200
"""Looks of a target among which the one before is found; further back, the change was told of by a later one."""


class Unapplied(Follower):
    """Reads looks."""

    name = "unapplied"
    reads = frozenset(("configuration.seen",))

    def landed(self, entry: Entry) -> Sequence[Noted]:
        """A look at a target."""
        if entry.type != "configuration.seen":
            return ()
        target = entry.fields["target"]
        row = self.core.ledger.row("configuration", target)
        before = _before(self.core, target, entry.index)
        if row is None or before is None:
            return ()
        changes = changes_of(self.core, self.core.ledger, row)
        state = state_of(self.core, entry.fields["state"])
        normal = normal_of(entry.fields["source"])
        return unapplied(changes, state, normal, entry.fields["at"], before, entry.index)


def _before(core: Core, target: str, entry: int) -> int | None:
    """When *target* was looked at last before *entry*; None where it never was, or it is too long ago to be found."""
    looks = core.ledger.rows("configuration-seen", state=target, limit=LOOKS)
    times = [int(look["time"]) for look in looks if look["entry"] < entry]
    return max(times) if times else None


__all__ = ["Unapplied"]
