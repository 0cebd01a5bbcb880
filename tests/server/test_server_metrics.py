"""The histogram that is cheap to observe says what the library's own would."""

from __future__ import annotations

import random

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from keyturn.metrics import Times

BOUNDS = (0.001, 0.01, 1, 5)


def _samples(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if "_created" not in line]


def test_it_says_what_the_librarys_own_says() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    times = Times("seconds", "How long.", "kind", BOUNDS)
    ours.register(times)
    histogram = Histogram("seconds", "How long.", ["kind"], buckets=BOUNDS, registry=theirs)
    assert _samples(ours) == _samples(theirs)
    seeded = random.Random(7)
    for _ in range(200):
        kind, seconds = seeded.choice(["shell", "file"]), seeded.choice([*BOUNDS, seeded.expovariate(1), 9])
        times.observe(kind, seconds)
        histogram.labels(kind).observe(seconds)
    assert sorted(_samples(ours)) == sorted(_samples(theirs))
    assert len(_samples(ours)) > 10
