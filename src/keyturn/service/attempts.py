"""Wrong credentials, counted by where they come from: after too many, nothing from there is looked at for a while.

Secrets have 256 bits, so nobody guesses one; this keeps a flood of tries from costing signatures and log lines. On a loopback
address or the local socket everybody shares the counter, so there a good credential still opens: a process of an agent must
not be able to lock the reviewers out.
"""

from __future__ import annotations

from collections.abc import Callable

from keyturn.errors import ExitCode, KeyturnError
from keyturn.service.processes import is_loopback

MOST = 20
WINDOW_SECONDS = 60.0
MOST_KEPT = 10_000
"""Addresses that are remembered; beyond that the oldest are forgotten."""


class TooManyTries(KeyturnError):
    """Too many wrong credentials came from there."""

    code = "auth.too_many"
    status = 429
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was looked at and nothing was changed."
    next_step = "Wait a minute, then try once with the right credential."


class Attempts:
    """Failures by address. `clock` gives seconds that only grow."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[float, int]] = {}

    def check(self, address: str) -> None:
        """Raises `TooManyTries` when nothing from *address* is to be looked at now."""
        if address and not is_loopback(address) and self._count(address) >= MOST:
            raise TooManyTries(f"{MOST} wrong credentials came from {address} within a minute.")

    def failed(self, address: str) -> None:
        """One more. Raises `TooManyTries` in the place of the refusal when it is one too many."""
        count = self._count(address) + 1
        since = self._failed[address][0] if count > 1 else self._clock()
        self._failed.pop(address, None)
        self._failed[address] = (since, count)
        if len(self._failed) > MOST_KEPT:
            del self._failed[next(iter(self._failed))]
        if count > MOST:
            raise TooManyTries(
                f"{count} wrong credentials came from {address or 'this machine'} within a minute."
            )

    def _count(self, address: str) -> int:
        since, count = self._failed.get(address, (0.0, 0))
        return count if count and self._clock() - since < WINDOW_SECONDS else 0
