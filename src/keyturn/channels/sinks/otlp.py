"""OpenTelemetry over OTLP/HTTP with JSON (opentelemetry.io, OTLP 1.x): log records, and spans of actions. Pure.

Rules kept here:

- A trace is a session, a span an action: from its decision to its receipt, or to itself where there is no receipt. Ids are made from the
  log's own, so that a second delivery has the same ones.
- Names of `gen_ai.*` are still in development there; what we say stands under `keyturn.*`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from keyturn import __version__
from keyturn.channels.sinks.event import Event

_LEVELS = {"low": 9, "medium": 13, "high": 17, "critical": 21}
"""Severity → OTLP severity number: INFO, WARN, ERROR, FATAL."""
INTERNAL = 1


def logs(events: Sequence[Event]) -> bytes:
    """An `ExportLogsServiceRequest`."""
    records = [_record(one) for one in events]
    return _request("resourceLogs", "scopeLogs", "logRecords", records, events)


def spans(events: Sequence[Event], began: Mapping[str, int]) -> bytes | None:
    """An `ExportTraceServiceRequest` with a span for each receipt, and for each action that was refused; None where there is none.

    *began*: action → when it was decided (milliseconds), for receipts.
    """
    found = [span for one in events for span in _span(one, began)]
    return _request("resourceSpans", "scopeSpans", "spans", found, events) if found else None


def _request(outer: str, scope: str, name: str, records: list[Any], events: Sequence[Event]) -> bytes:
    origin = events[0].origin if events else ""
    return msgspec.json.encode(
        {
            outer: [
                {
                    "resource": {
                        "attributes": _attributes({"service.name": "keyturn", "service.version": __version__, "keyturn.origin": origin})
                    },
                    scope: [{"scope": {"name": "keyturn", "version": __version__}, name: records}],
                }
            ]
        }
    )  # fmt: skip


def _record(event: Event) -> dict[str, Any]:
    severity = event.fields.get("severity")
    level = _LEVELS.get(severity, 9) if isinstance(severity, str) else 9
    return {
        "timeUnixNano": str(event.time * 1_000_000),
        "observedTimeUnixNano": str(event.time * 1_000_000),
        "severityNumber": level,
        "body": {"stringValue": _words(event)},
        "attributes": _attributes(_named(event)),
        **({"traceId": trace_id(event.session)} if event.session else {}),
    }


def _span(event: Event, began: Mapping[str, int]) -> Iterable[dict[str, Any]]:
    f = event.fields
    if event.type == "action.receipt":
        action, failed = str(f.get("action", "")), f.get("outcome") == "failed"
        name = "action"
    elif event.type == "action.decided" and f.get("verdict") == "refuse":
        action, failed, name = str(f.get("id", "")), True, "action refused"
    else:
        return
    start = min(began.get(action, event.time), event.time)
    yield {
        "traceId": trace_id(event.session),
        "spanId": span_id(action),
        "name": name,
        "kind": INTERNAL,
        "startTimeUnixNano": str(start * 1_000_000),
        "endTimeUnixNano": str(event.time * 1_000_000),
        "attributes": _attributes(_named(event) | {"keyturn.action": action}),
        "status": {"code": 2 if failed else 1},
    }


def _named(event: Event) -> dict[str, Any]:
    made: dict[str, Any] = {
        f"keyturn.{name}": value
        for name, value in event.fields.items()
        if isinstance(value, str | int | float | bool) and value != ""
    }
    # Last, so that no field of an entry can stand for where it is.
    made |= {"event.name": f"keyturn.{event.type}", "keyturn.index": event.index, "keyturn.leaf": event.leaf}
    if event.session:
        made["keyturn.session"] = event.session
    return made


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)} if -(2**63) <= value < 2**63 else {"stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": str(value)}


def _words(event: Event) -> str:
    said = next(
        (event.fields[one] for one in ("sentence", "words") if isinstance(event.fields.get(one), str)), ""
    )
    return f"{event.type}: {said}" if said else event.type


def trace_id(session: str) -> str:
    """16 bytes in hexadecimal, of a session."""
    return sha256(b"keyturn/trace\n" + session.encode()).hexdigest()[:32]


def span_id(action: str) -> str:
    """8 bytes in hexadecimal, of an action."""
    return sha256(b"keyturn/span\n" + action.encode()).hexdigest()[:16]
