"""Prometheus metrics, `keyturn_*`. Listed in docs/reference/metrics.md; a test compares. No person, path or command is a label."""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from keyturn import __version__
from keyturn.drift.finding import SEVERITIES
from keyturn.evidence.verdicts import WORDS
from keyturn.ledger.entries import Entry
from keyturn.service import reconciling
from keyturn.service.breakglass import unreviewed
from keyturn.service.findings import unseen_count
from keyturn.service.keyturn import Keyturn

REGISTRY = CollectorRegistry()


class Times(Collector):
    """A histogram by one label, for what happens with every action: the library's own takes a lock for each bucket it looks at.

    Only the event loop's thread observes; any thread may read.
    """

    def __init__(self, name: str, about: str, label: str, bounds: tuple[float, ...]) -> None:
        self._name, self._about, self._labelnames = name, about, (label,)
        self._bounds = bounds
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, value: str, seconds: float) -> None:
        """One more, under the label's *value*."""
        counts = self._counts.get(value)
        if counts is None:
            counts = self._counts[value] = [0] * (len(self._bounds) + 1)
        counts[bisect_left(self._bounds, seconds)] += 1
        self._sums[value] = self._sums.get(value, 0.0) + seconds

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Its name and meaning."""
        yield HistogramMetricFamily(self._name, self._about, labels=self._labelnames)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What was observed so far."""
        family = HistogramMetricFamily(self._name, self._about, labels=self._labelnames)
        names = [*map(floatToGoString, self._bounds), "+Inf"]
        for value, counts in list(self._counts.items()):
            family.add_metric([value], list(zip(names, accumulate(counts), strict=True)), self._sums[value])
        yield family


BUILD = Gauge("keyturn_build_info", "1, with the version as label.", ["version"], registry=REGISTRY)
ENTRIES = Gauge("keyturn_ledger_entries", "Entries in the ledger.", registry=REGISTRY)
HELD = Gauge("keyturn_requests_held", "Requests that wait for people.", registry=REGISTRY)
OLDEST = Gauge("keyturn_request_oldest_seconds", "Age of the oldest waiting request.", registry=REGISTRY)
UNREVIEWED = Gauge(
    "keyturn_breakglass_unreviewed",
    "Uses of break-glass that nobody reviewed yet: a failing control.",
    registry=REGISTRY,
)
FINDINGS = Gauge(
    "keyturn_findings_open", "Findings that nobody settled yet.", ["severity"], registry=REGISTRY
)
UNSEEN = Gauge(
    "keyturn_findings_unseen",
    "Findings of severity high or critical that nobody looked at who has no part in them.",
    registry=REGISTRY,
)
RESPONSES = Gauge(
    "keyturn_responses_on",
    "Agents, definitions and sessions that are stepped up, suspended or stopped.",
    registry=REGISTRY,
)
ACTIONS = Counter("keyturn_actions", "Actions decided on.", ["kind", "verdict"], registry=REGISTRY)
DECISIONS = Counter("keyturn_decisions", "Decisions of people.", ["choice"], registry=REGISTRY)
SECONDS = Times(
    "keyturn_action_gate_seconds",
    "Time from a proposal to its recorded decision.",
    "kind",
    (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
)
REGISTRY.register(SECONDS)
NOTIFICATIONS = Counter(
    "keyturn_notifications",
    "Messages to people and programs, by channel and by whether they were taken (sent, failed, dropped).",
    ["channel", "result"],
    registry=REGISTRY,
)
COVERAGE = Gauge(
    "keyturn_coverage_ratio",
    "Share of the agents' events in a target's own log with a matching action, in its last reconciliation.",
    ["source", "target"],
    registry=REGISTRY,
)
COVERAGE_LAG = Gauge(
    "keyturn_coverage_lag_seconds",
    "Age of the newest line of a target's own log that was compared; -1 for never.",
    ["source", "target"],
    registry=REGISTRY,
)
SINKS_BEHIND = Gauge(
    "keyturn_sink_behind_entries", "Entries that a sink has not got.", ["sink"], registry=REGISTRY
)
SINKS_FAILING = Gauge(
    "keyturn_sink_failures",
    "Tries in a row that a sink did not take; 0 when it works.",
    ["sink"],
    registry=REGISTRY,
)
BYPASSES = Counter(
    "keyturn_bypasses",
    "Events in targets' own logs that no action accounts for (unknown_tag, untagged, surplus), and allowed actions without one (missing).",
    ["kind"],
    registry=REGISTRY,
)
CONTROL_RUNS = Counter(
    "keyturn_control_runs",
    "Runs of the tests of controls, by whether they came to a result (recorded, failed).",
    ["result"],
    registry=REGISTRY,
)
CONTROL_TESTS = Gauge(
    "keyturn_control_tests",
    "Tests of controls by what they came to in the last run (pass, fail, not-tested, no-population).",
    ["verdict"],
    registry=REGISTRY,
)
CONTROL_AGE = Gauge(
    "keyturn_control_run_age_seconds",
    "Age of the last run of the tests of controls; -1 for never.",
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
    UNREVIEWED.set(unreviewed(service.core))
    for severity in SEVERITIES:
        FINDINGS.labels(severity).set(ledger.count("finding-open", state=severity))
    UNSEEN.set(unseen_count(service.core))
    RESPONSES.set(ledger.count("response", state="on"))
    for one in reconciling.views(service.core):
        if one.coverage is not None:
            COVERAGE.labels(one.source, one.target).set(one.coverage)
        COVERAGE_LAG.labels(one.source, one.target).set(one.lag / 1000 if one.watermark else -1)
    _controls(service)
    return generate_latest(REGISTRY)


def _controls(service: Keyturn) -> None:
    ledger = service.core.ledger
    last = ledger.row("control-run", "latest")
    CONTROL_AGE.set(time.time() - last["time"] / 1000 if last else -1)
    found = [ledger.row("control-test", test) for test in last["tests"]] if last else []
    for verdict in WORDS:
        CONTROL_TESTS.labels(verdict).set(sum(row is not None and row["verdict"] == verdict for row in found))


def run_failed() -> None:
    """A run of the tests of controls came to nothing."""
    CONTROL_RUNS.labels("failed").inc()


@cache
def _actions(kind: str, verdict: str) -> Counter:
    return ACTIONS.labels(kind, verdict)


def observe(kind: str, seconds: float) -> None:
    """How long one action took from its proposal to its recorded decision."""
    SECONDS.observe(kind, seconds)


def landed(entry: Entry) -> None:
    """Count what was recorded."""
    if entry.type == "action.decided":
        _actions(entry.fields["kind"], entry.fields["verdict"]).inc()
    elif entry.type == "approval.given":
        DECISIONS.labels(entry.fields["choice"]).inc()
    elif entry.type == "control.tested":
        CONTROL_RUNS.labels("recorded").inc()
    elif entry.type == "source.reconciled":
        for kind in ("unknown_tag", "untagged", "surplus", "missing"):
            BYPASSES.labels(kind).inc(entry.fields["counts"][kind])
    elif entry.type == "notice.sent":
        NOTIFICATIONS.labels(entry.fields["channel"], "sent").inc()
    elif entry.type == "notice.failed":
        NOTIFICATIONS.labels(entry.fields["channel"], "dropped" if entry.fields["final"] else "failed").inc()


def sink(name: str, behind: int, failures: int) -> None:
    """Where a sink stands."""
    SINKS_BEHIND.labels(name).set(behind)
    SINKS_FAILING.labels(name).set(failures)


def log_failure(error: BaseException) -> None:
    """Count and log what should not have happened."""
    FAILURES.inc()
    _LOG.error("failed inside", exc_info=error)
