"""The append-only Merkle log."""

from keyturn.ledger.errors import AlreadyDone, LedgerClosed, LedgerDamaged, LedgerUnwritable
from keyturn.ledger.log import Ledger
from keyturn.ledger.subscription import Lagged, Subscription

__all__ = [
    "AlreadyDone",
    "Lagged",
    "Ledger",
    "LedgerClosed",
    "LedgerDamaged",
    "LedgerUnwritable",
    "Subscription",
]
