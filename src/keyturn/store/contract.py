"""The one contract of all stores. SQLite and PostgreSQL keep it; `tests/store/test_store_contract.py` runs over both.

The protocol itself is the ledger's port (`keyturn.ledger.storage`), so that imports point inward only.
"""

from __future__ import annotations

from keyturn.ledger.storage import Batch, Store, StoredEntry

__all__ = ["Batch", "Store", "StoredEntry"]
