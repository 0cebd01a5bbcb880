"""Somebody stands in for somebody else: for some of their groups, from one moment to another."""

from __future__ import annotations

from msgspec import Struct


class Delegation(Struct, frozen=True):
    """`person` has handed their places in `groups` over to `to`. It carries from `since_ms` until just before `until_ms`."""

    id: str
    person: str
    to: str
    groups: tuple[str, ...]
    since_ms: int
    until_ms: int

    def carries(self, now_ms: int) -> bool:
        """Whether it counts at *now_ms*."""
        return self.since_ms <= now_ms < self.until_ms
