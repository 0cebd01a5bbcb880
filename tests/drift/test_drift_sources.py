"""Readers of targets' own logs: what they read is what the target wrote; what they can't read is counted, and nothing fails."""

from __future__ import annotations

import gzip
import io
import json

import pytest
from drift_logs import AUDITD, PG_STDERR, TAG, cloudtrail, github, kubernetes
from drift_postgres import Audited
from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift import sources
from keyturn.drift.observed import Observed
from keyturn.drift.sources.lines import MAX_LINE, NoTime, Sheet, lines, moment
from keyturn.drift.sources.pgaudit import csv_fields
from keyturn.errors import Malformed


def read(source: str, data: bytes, **paths: str) -> tuple[list[Observed], Sheet]:
    sheet = Sheet()
    return list(sources.read(source, io.BytesIO(data), sheet, paths or None)), sheet


def test_pgaudit_in_the_servers_own_log() -> None:
    events, sheet = read("pgaudit", PG_STDERR.encode())
    assert [(one.index, one.fingerprint) for one in events] == [
        (2, 'sql:SELECT A , "B" FROM T WHERE ID = ?'),
        (5, "sql:INSERT INTO T VALUES ( ? )"),
    ]
    first, second = events
    assert (first.time, first.principal, first.target, first.tag) == (1795946532250, "agent_rw", "shop", TAG)
    assert (second.operation, second.object, second.rows) == ("WRITE INSERT", "public.t", 1)
    assert sheet.broken == 2  # a zone that means several things, and an audit line that was cut
    assert sheet.other == 4  # three other messages, and the second line of one statement


def test_the_three_formats_of_a_real_server_say_the_same(postgres_audited: Audited) -> None:
    import time

    import psycopg

    said = [
        "select 1",
        "select 'a''b, \"c\"\n d' as x",
        "select count(*) from orders where id in (1, 2, 3); select 2",
    ]
    with psycopg.connect(postgres_audited.url(), autocommit=True, application_name=TAG) as connection:
        for text in said:
            connection.execute(text.encode(), prepare=False)
        connection.execute("do $$ begin perform count(*) from orders; end $$")
    found = {}
    for log in (postgres_audited.csv, postgres_audited.json, postgres_audited.stderr):
        until = time.monotonic() + 120
        while True:
            events, sheet = read("pgaudit", log.read_bytes())
            mine = [one for one in events if one.tag == TAG]
            if len(mine) >= 5 or time.monotonic() > until:
                break
            time.sleep(0.05)
        assert sheet.broken == 0
        found[log.name] = [
            (one.time, one.principal, one.fingerprint, one.statement, one.operation) for one in mine
        ]
    assert len(set(map(str, found.values()))) == 1
    texts = [said[0], said[1], said[2], said[2], "do $$ begin perform count(*) from orders; end $$"]
    assert [one[3] for one in next(iter(found.values()))] == texts


def test_linux_audit_records_are_joined_by_their_event_and_decoded() -> None:
    events, sheet = read("auditd", AUDITD.encode())
    assert [(one.fingerprint, one.principal, one.time) for one in events] == [
        ('command:["rm","-rf","/tmp/a name"]', "1001", 1795946531123),
        ("script:ls -la", "unset", 1795946534000),
    ]
    assert events[0].object == "ses=7"
    assert sheet.broken == 2  # no record; and an EXECVE of which nobody knows who it was
    assert sheet.other == 3  # one that failed, a file that was opened, a login


def test_cloudtrail_gives_the_role_the_call_and_the_tag_wherever_it_stood() -> None:
    for data in (cloudtrail(), gzip.compress(cloudtrail())):
        events, sheet = read("cloudtrail", data)
        assert [(one.fingerprint, one.principal, one.tag) for one in events] == [
            ("aws:s3:PutObject", "arn:aws:iam::123456789012:role/agents", TAG),
            ("aws:iam:CreateAccessKey", "arn:aws:iam::123456789012:user/bot", TAG),
        ]
        assert events[1].statement.endswith("(AccessDenied)")
        assert sheet.broken == 1


def test_kubernetes_requests_count_once_and_a_watch_at_its_beginning() -> None:
    events, sheet = read("kubernetes", kubernetes())
    assert [(one.fingerprint, one.object, one.tag) for one in events] == [
        ("kubernetes:delete:pods", "shop/web-1", ""),
        ("kubernetes:create:pods/exec", "shop/web-2", TAG),
        ("kubernetes:watch:secrets", "", ""),
    ]
    assert (sheet.broken, sheet.other) == (1, 2)


def test_github_as_exported_and_as_streamed() -> None:
    whole, sheet = read("github", github())
    streamed, _ = read("github", b"\n".join(json.dumps(one).encode() for one in json.loads(github())))
    assert whole == streamed
    assert [(one.operation, one.principal, one.tag) for one in whole] == [
        ("repo.create", "agent-bot", TAG),
        ("protected_branch.destroy", "agent-bot", ""),
    ]
    assert sheet.broken == 1


def test_json_lines_are_read_by_the_map_that_was_given() -> None:
    line = {
        "ts": 1795946532.5,
        "who": {"name": "agent"},
        "req": "GET https://API.example.com/v1/users?id=7",
        "h": {"tp": "x"},
    }
    paths = {"time": "ts", "principal": "who.name", "statement": "req", "language": "@http", "tag": "h.tp"}
    events, _ = read("jsonl", json.dumps(line).encode(), **paths)
    assert [(one.time, one.principal, one.fingerprint) for one in events] == [
        (1795946532500, "agent", "http:GET api.example.com/v1/users")
    ]
    trace = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    events, _ = read("jsonl", json.dumps({**line, "h": {"tp": trace}}).encode(), **paths)
    assert events[0].tag == "ab" * 16
    with pytest.raises(Malformed):
        read("jsonl", b"", colour="x")
    with pytest.raises(Malformed):
        read("pgaudit", b"", time="x")
    with pytest.raises(Malformed):
        read("oracle", b"")


@given(st.sampled_from(sources.NAMES), st.binary(max_size=400))
def test_whatever_the_bytes_are_nothing_fails(source: str, data: bytes) -> None:
    events, sheet = read(source, data)
    assert len(events) + sheet.broken + sheet.other <= len(data) + 1


@given(st.sampled_from(sources.NAMES), st.integers(0, 4_000), st.binary(max_size=6))
def test_a_log_that_is_damaged_in_the_middle_is_read_around_it(source: str, place: int, junk: bytes) -> None:
    whole = {
        "pgaudit": PG_STDERR.encode(),
        "auditd": AUDITD.encode(),
        "cloudtrail": cloudtrail(),
        "kubernetes": kubernetes(),
    }
    data = whole.get(source, github())
    place = min(place, len(data))
    read(source, data[:place] + junk + data[place + len(junk) :])


def test_a_line_without_an_end_is_one_broken_line_and_the_rest_is_read() -> None:
    data = b"x" * (3 * MAX_LINE) + b"\n" + PG_STDERR.encode()
    events, sheet = read("pgaudit", data)
    assert len(events) == 2
    assert "longer than" in sheet.reasons[0]
    assert sum(1 for _ in lines(io.BytesIO(data), Sheet())) == PG_STDERR.count("\n")


def test_a_gzip_file_that_is_cut_says_where_it_ended() -> None:
    data = gzip.compress(PG_STDERR.encode() * 500)
    events, sheet = read("pgaudit", data[: len(data) // 2])
    assert events
    assert sheet.stopped


@given(
    st.datetimes(min_value=__import__("datetime").datetime(1971, 1, 1)),
    st.sampled_from(["Z", " UTC", "+00:00", " GMT", "-0000"]),
)
def test_a_moment_is_the_same_however_its_zone_is_written(at: object, zone: str) -> None:
    import datetime

    assert isinstance(at, datetime.datetime)
    expected = int(at.replace(tzinfo=datetime.UTC, microsecond=0).timestamp()) * 1000 + at.microsecond // 1000
    assert moment(f"{at:%Y-%m-%dT%H:%M:%S.%f}{zone}") == expected or at.year < 1000
    with pytest.raises(NoTime):
        moment(f"{at:%Y-%m-%d %H:%M:%S} CEST")


@given(st.lists(st.text(max_size=20).filter(lambda text: "\r" not in text), min_size=1, max_size=8))
def test_csv_fields_are_those_that_the_csv_module_wrote(fields: list[str]) -> None:
    import csv

    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="").writerow(fields)
    assert csv_fields(out.getvalue()) == fields
