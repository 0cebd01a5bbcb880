"""Prometheus metrics, `keyturn_*`. Listed in docs/reference/metrics.md; a test compares. No person, path or command is a label."""

from __future__ import annotations

import logging
import time
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from keyturn import __version__
from keyturn.ledger.entries import Entry
from keyturn.service.keyturn import Keyturn

REGISTRY = CollectorRegistry()

BUILD = Gauge("keyturn_build_info", "1, with the version as label.", ["version"], registry=REGISTRY)
ENTRIES = Gauge("keyturn_ledger_entries", "Entries in the ledger.", registry=REGISTRY)
HELD = Gauge("keyturn_requests_held", "Requests that wait for people.", registry=REGISTRY)
OLDEST = Gauge("keyturn_request_oldest_seconds", "Age of the oldest waiting request.", registry=REGISTRY)
ACTIONS = Counter("keyturn_actions", "Actions decided on.", ["kind", "verdict"], registry=REGISTRY)
DECISIONS = Counter("keyturn_decisions", "Decisions of people.", ["choice"], registry=REGISTRY)
SECONDS = Histogram(
    "keyturn_action_gate_seconds",
    "Time from a proposal to its recorded decision.",
    ["kind"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
    registry=REGISTRY,
)
FAILURES = Counter("keyturn_failures", "Failures inside that were answered with words.", registry=REGISTRY)

BUILD.labels(__version__).set(1)
_LOG = logging.getLogger("keyturn")


def exposition(service: Keyturn) -> bytes:
    """The text format, with gauges read off the ledger now."""
    ledger = service.core.ledger
    ENTRIES.set(ledger.size)
    HELD.set(ledger.count("request", state="waiting"))
    oldest = ledger.rows("request", state="waiting", newest_first=False, limit=1)
    OLDEST.set(max(0.0, time.time() - oldest[0]["opened"] / 1000) if oldest else 0)
    return generate_latest(REGISTRY)


@cache
def _actions(kind: str, verdict: str) -> Counter:
    return ACTIONS.labels(kind, verdict)


@cache
def _seconds(kind: str) -> Histogram:
    return SECONDS.labels(kind)


def observe(kind: str, seconds: float) -> None:
    """How long one action took from its proposal to its recorded decision."""
    _seconds(kind).observe(seconds)


def landed(entry: Entry) -> None:
    """Count what was recorded."""
    if entry.type == "action.decided":
        _actions(entry.fields["kind"], entry.fields["verdict"]).inc()
    elif entry.type == "approval.given":
        DECISIONS.labels(entry.fields["choice"]).inc()


def log_failure(error: BaseException) -> None:
    """Count and log what should not have happened."""
    FAILURES.inc()
    _LOG.error("failed inside", exc_info=error)
