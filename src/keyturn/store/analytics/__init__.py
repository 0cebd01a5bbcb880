"""Questions over the whole past: the ledger's events in sealed Parquet segments, and the queries that DuckDB answers over them.

Segments are projections: made from the ledger alone, checked against their seals whenever they are read, and made again when they
are missing, damaged or behind. Nothing in them decides anything.
"""

from keyturn.store.analytics.engine import Analytics, Answer
from keyturn.store.analytics.errors import (
    QueryMalformed,
    QueryTooLarge,
    QueryUnknown,
    SegmentsBusy,
    SegmentsUnusable,
)
from keyturn.store.analytics.queries import NAMES, Query, query
from keyturn.store.analytics.segments import Refreshed, Segments

__all__ = [
    "NAMES", "Analytics", "Answer", "Query", "QueryMalformed", "QueryTooLarge", "QueryUnknown", "Refreshed", "Segments",
    "SegmentsBusy", "SegmentsUnusable", "query",
]  # fmt: skip
