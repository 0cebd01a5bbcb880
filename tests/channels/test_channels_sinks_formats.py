"""What sinks send is read by the libraries of CloudEvents and of OpenTelemetry, every type of entry, to the last attribute."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from google.protobuf.json_format import Parse, ParseError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from test_channels_sinks import FIELDS, ORIGIN, event

from keyturn.channels.sinks import otlp
from keyturn.channels.sinks.cloudevents import batch, cloud_event
from keyturn.channels.sinks.event import Event
from keyturn.ledger.entries import ENTRY_TYPES

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)


def every() -> list[Event]:
    """One entry of each type."""
    return [event(kind, index=at, **FIELDS.get(kind, {})) for at, kind in enumerate(sorted(ENTRY_TYPES))]


# --- CloudEvents -------------------------------------------------------------------------------------------------------


def read_event(told: dict[str, Any]) -> CloudEvent:
    """As a receiver reads one event of a batch."""
    return JSONFormat().read(CloudEvent, json.dumps(told))  # type: ignore[return-value]


def test_every_entry_type_is_a_cloud_event_and_says_where_to_prove_it() -> None:
    told = json.loads(batch(every()))
    assert len(told) == len(ENTRY_TYPES)
    for one, source in zip(told, every(), strict=True):
        read = read_event(one)
        assert (read.get_source(), read.get_id()) == (f"//{ORIGIN}", str(source.index))
        assert read.get_type() == f"dev.keyturn.{source.type}"
        assert read.get_time().timestamp() == source.time / 1000
        assert (read.get_subject(), read.get_extension("leafhash")) == ("s_1", source.leaf)
        assert read.get_data() == json.loads(json.dumps(dict(source.fields)))


@pytest.mark.parametrize(
    "breaks", [{"id": ""}, {"specversion": "1.1"}, {"type": None}, {"leaf_hash": "ab"}, {"subject": ""}]
)
def test_what_is_no_cloud_event_is_not_read_as_one(breaks: dict[str, Any]) -> None:
    """The negative control."""
    with pytest.raises(CloudEventValidationError):
        read_event(cloud_event(event()) | breaks)


def test_an_entry_outside_of_a_session_with_withheld_fields_is_one_too() -> None:
    bare = Event(ORIGIN, 0, 0, "log.opened", "", None, "ab" * 32, {}, 3)
    read = read_event(json.loads(batch([bare]))[0])
    assert (read.get_subject(), read.get_extension("withheld"), read.get_id()) == (None, 3, "0")


@given(st.dictionaries(names, values, max_size=4))
def test_whatever_an_entry_says_it_stays_a_cloud_event(fields: dict[str, Any]) -> None:
    read = read_event(json.loads(batch([_with(fields)]))[0])
    assert set(read.get_data() or {}) == set(fields)


def _with(fields: dict[str, Any]) -> Event:
    return Event(ORIGIN, 4, 1_763_671_234_567, "action.decided", "s_1", 2, "ab" * 32, fields, 0)


# --- OTLP --------------------------------------------------------------------------------------------------------------


def read_otlp(made: bytes, kind: Callable[[], Any]) -> Any:
    """As a collector reads it: protobuf's JSON, strictly, but ids in hexadecimal (OTLP 1.x, JSON Protobuf Encoding)."""

    def binary(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        ids = ("traceId", "spanId", "parentSpanId")
        return {
            name: base64.b64encode(bytes.fromhex(value)).decode() if name in ids else value
            for name, value in pairs
        }

    return Parse(json.dumps(json.loads(made, object_pairs_hook=binary)), kind())


def attributes(found: Any) -> dict[str, Any]:
    """Attributes by name."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in found}


def test_a_record_of_every_entry_type_is_read_by_opentelemetry() -> None:
    request = read_otlp(otlp.logs(every()), ExportLogsServiceRequest)
    (resource,) = request.resource_logs
    assert attributes(resource.resource.attributes)["service.name"] == "keyturn"
    (scope,) = resource.scope_logs
    assert len(scope.log_records) == len(ENTRY_TYPES)
    for record, source in zip(scope.log_records, every(), strict=True):
        said = attributes(record.attributes)
        assert said["event.name"] == f"keyturn.{source.type}"
        assert (said["keyturn.index"], said["keyturn.leaf"]) == (source.index, source.leaf)
        assert record.time_unix_nano == source.time * 1_000_000
        assert record.trace_id == bytes.fromhex(otlp.trace_id("s_1"))
        assert 1 <= record.severity_number <= 24


def test_a_span_is_read_by_opentelemetry_with_ids_of_the_right_length() -> None:
    made = otlp.spans(every(), {"a_1": 1_763_671_234_000})
    assert made is not None
    (scope,) = read_otlp(made, ExportTraceServiceRequest).resource_spans[0].scope_spans
    (span,) = scope.spans
    assert (len(span.trace_id), len(span.span_id), span.kind) == (16, 8, 1)
    assert span.end_time_unix_nano - span.start_time_unix_nano == 567_000_000
    assert span.status.code == 2
    assert attributes(span.attributes)["keyturn.action"] == "a_1"


def test_what_is_no_otlp_is_not_read_as_it() -> None:
    """The negative control."""
    for old, new in (
        (b'"severityNumber":', b'"severity":'),
        (b'"intValue":"', b'"intValue":"x'),
        (b'"resourceLogs"', b'"logs"'),
    ):
        made = otlp.logs(every())
        assert old in made
        with pytest.raises(ParseError):
            read_otlp(made.replace(old, new), ExportLogsServiceRequest)


@given(st.dictionaries(names, values, max_size=4))
def test_whatever_an_entry_says_it_stays_otlp(fields: dict[str, Any]) -> None:
    request = read_otlp(otlp.logs([_with(fields)]), ExportLogsServiceRequest)
    said = attributes(request.resource_logs[0].scope_logs[0].log_records[0].attributes)
    assert (said["keyturn.index"], said["keyturn.leaf"], said["keyturn.session"]) == (4, "ab" * 32, "s_1")
    for name, value in fields.items():
        if type(value) is int and -(2**63) <= value < 2**63 and name not in ("index", "leaf", "session"):
            assert said[f"keyturn.{name}"] == value


def test_no_field_stands_for_where_an_entry_is() -> None:
    one = _with({"index": 77, "leaf": "cd" * 32, "session": "s_other"})
    request = read_otlp(otlp.logs([one]), ExportLogsServiceRequest)
    said = attributes(request.resource_logs[0].scope_logs[0].log_records[0].attributes)
    assert (said["keyturn.index"], said["keyturn.leaf"], said["keyturn.session"]) == (4, "ab" * 32, "s_1")
