"""Where in the log a moment is."""

from __future__ import annotations

from keyturn.ledger import Ledger


def first_since(ledger: Ledger, time: int) -> int:
    """Index of the first entry that is not older than *time* (milliseconds since 1970); entry times never go back."""
    low, high = 0, ledger.size
    while low < high:
        middle = (low + high) // 2
        entry = ledger.entry(middle)
        if entry is not None and entry.time < time:
            low = middle + 1
        else:
            high = middle
    return low
