"""CloudEvents 1.0, JSON format and batches (github.com/cloudevents/spec, 1.0.2). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from keyturn.channels.sinks.event import Event

PREFIX = "dev.keyturn."
BATCH = "application/cloudevents-batch+json"


def cloud_event(event: Event) -> dict[str, Any]:
    """*event* as a CloudEvent. `source`, the log's origin, and `id`, the entry's index, are the same for a second delivery."""
    made: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(event.index),
        "source": f"//{event.origin}",
        "type": PREFIX + event.type,
        "time": timestamp(event.time),
        "datacontenttype": "application/json",
        "leafhash": event.leaf,
        "data": dict(event.fields),
    }
    if event.session:
        made["subject"] = event.session
    if event.withheld:
        made["withheld"] = event.withheld
    return made


def batch(events: Sequence[Event]) -> bytes:
    """The JSON batch format."""
    return msgspec.json.encode([cloud_event(one) for one in events])


def timestamp(ms: int) -> str:
    """*ms* since 1970 as RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
