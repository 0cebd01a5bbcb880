"""Sinks: every entry arrives, in order, at least once, whatever the receiver and the server meet; what may not leave does not."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from aiohttp import web
from channels_http import Service, certificate
from hypothesis import given
from hypothesis import strategies as st

from keyturn.channels.notices.channel import ChannelDown, ChannelUnusable
from keyturn.channels.sinks import building, delivery, otlp, syslog
from keyturn.channels.sinks.building import target_of
from keyturn.channels.sinks.delivery import Delivery, Position, Positions, SinkMisplaced, placed, wait_after
from keyturn.channels.sinks.event import Event, event_of
from keyturn.channels.sinks.targets import FilesTarget, ParquetTarget, Target
from keyturn.ledger.entries import ENTRY_TYPES, Draft
from keyturn.ledger.log import Ledger
from keyturn.service.sink_settings import SinkSettings
from ocsf_validation import problems

ORIGIN = "keyturn.test/sinks"
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


class Watched(Delivery):
    """Tells when it comes to another place, or when what troubles it changes."""

    moved: asyncio.Event | None = None
    _loop: asyncio.AbstractEventLoop

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name in ("next", "trouble") and self.moved is not None:
            self._loop.call_soon_threadsafe(self.moved.set)

    async def until(self, so: Callable[[], Any]) -> None:
        """Until *so*."""
        self._loop = asyncio.get_running_loop()
        self.moved = asyncio.Event()
        async with asyncio.timeout(60):
            while not so():
                await self.moved.wait()
                self.moved.clear()


class House:
    """A log that grows, and sinks beside it."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder, self.ledger = folder, ledger
        self.positions = Positions(folder / "sinks")

    def grow(self, count: int, session: str | None = "s_1") -> None:
        for at in range(count):
            self.ledger.append_sync([action(f"a_{self.ledger.size}_{at}", session)])

    def delivery(self, target: Target, *, begin: str = "start", content: bool = False) -> Watched:
        return Watched(
            "siem", target, self.ledger, lambda value: value, self.positions, content=content, begin=begin
        )

    @contextlib.asynccontextmanager
    async def running(self, one: Watched) -> AsyncIterator[Watched]:
        sinks = building.Sinks([one], [], self.ledger)
        task = asyncio.create_task(sinks.run())
        try:
            yield one
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def action(name: str, session: str | None = "s_1", **more: Any) -> Draft:
    fields = {
        "id": name,
        "kind": "shell",
        "verdict": "run",
        "sentence": "Reads 1 file.",
        "agent": {"name": "claude-code"},
        "human": {"person": "dana"},
        "gate": {"name": "hooks", "assurance": "cooperative"},
        "decision": {"rules": [{"rule": "read", "verdict": "run"}]},
        "action": {"content": {"script": "cat secret-plan"}},
        "reasoning": {"text": "secret-plan"},
    }
    return Draft("action.decided", fields | more, session=session)


class Kept(Target):
    """Keeps what it is sent; `moods` says what goes wrong first."""

    def __init__(self, most: int = 500) -> None:
        self.most = most
        self.got: list[Event] = []
        self.moods: list[Callable[[Sequence[Event]], None]] = []
        self.moved = asyncio.Event()

    async def send(self, events: Sequence[Event]) -> None:
        try:
            if self.moods:
                self.moods.pop(0)(events)
            self.got += events
        finally:
            self.moved.set()

    async def until(self, count: int) -> list[int]:
        async with asyncio.timeout(120):
            while len(self.got) < count:
                self.moved.clear()
                await self.moved.wait()
        return [one.index for one in self.got]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from keyturn.store import open_store

    key = Ed25519PrivateKey.generate()
    ledger = Ledger.open(
        open_store(tmp_path / "ledger.db"), key, ORIGIN, lambda entry, rows: (), lambda: 1_763_671_234.0
    )
    yield House(tmp_path, ledger)
    ledger.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(delivery, "LOOK", 0.05)


def event(kind: str = "action.decided", /, *, index: int = 4, **fields: Any) -> Event:
    return Event(ORIGIN, index, 1_763_671_234_567, kind, "s_1", 2, "ab" * 32, fields, 0)


# --- delivery ----------------------------------------------------------------------------------------------------


def test_every_entry_arrives_in_order_with_what_is_recorded_meanwhile(house: House) -> None:
    async def story() -> None:
        house.grow(30)
        target = Kept(most=7)
        async with house.running(house.delivery(target)):
            await target.until(20)
            await asyncio.to_thread(house.grow, 30)
            assert await target.until(60) == list(range(60))

    asyncio.run(story())


def test_a_slow_receiver_keeps_nobody_waiting_and_misses_nothing(house: House) -> None:
    async def story() -> None:
        target = Kept(most=5)
        free = asyncio.Event()
        sent = target.send

        async def slow(events: Sequence[Event]) -> None:
            await free.wait()
            await sent(events)

        target.send = slow  # type: ignore[method-assign]
        async with house.running(house.delivery(target)):
            await asyncio.to_thread(house.grow, 200)  # nothing of this waits for the receiver
            assert house.ledger.size == 200
            assert target.got == []
            free.set()
            assert await target.until(200) == list(range(200))

    asyncio.run(story())


def test_what_is_refused_comes_again_until_it_is_taken_and_nothing_is_skipped(house: House) -> None:
    def down(events: Sequence[Event]) -> None:
        raise ChannelDown("It is down.")

    def broken(events: Sequence[Event]) -> None:
        raise RuntimeError("a mistake in a target")

    async def story() -> None:
        house.grow(12)
        target = Kept(most=4)
        target.moods = [down, lambda events: None, broken, down]
        async with house.running(house.delivery(target)) as one:
            assert await target.until(12) == list(range(12))
        assert one.failures == 0 or one.trouble

    asyncio.run(story())


def test_killed_between_delivery_and_its_note_it_sends_that_batch_again(house: House) -> None:
    async def story() -> list[int]:
        house.grow(10)
        target = Kept(most=4)
        killed = house.delivery(target)
        written: list[int] = []

        def dies(reached: int) -> None:
            written.append(reached)
            if len(written) == 2:
                raise asyncio.CancelledError  # the process ends here: batch two is sent, and not noted

        note = killed._note
        killed._note = lambda reached: (dies(reached), note(reached))[1]  # type: ignore[method-assign, func-returns-value]
        with contextlib.suppress(asyncio.CancelledError):
            await killed.run()
        async with house.running(house.delivery(target)):
            await target.until(14)
        return [one.index for one in target.got]

    assert asyncio.run(story()) == [*range(8), *range(4, 10)]


def test_it_begins_now_or_at_the_start_and_goes_on_after_a_restart(house: House) -> None:
    async def story() -> None:
        house.grow(5)
        target = Kept()
        async with house.running(house.delivery(target, begin="now")) as one:
            await one.until(lambda: one.next == 5)
            await asyncio.to_thread(house.grow, 2)
            assert await target.until(2) == [5, 6]
            async with asyncio.timeout(120):
                while one.behind:
                    await asyncio.sleep(0.01)
        await asyncio.to_thread(house.grow, 1)
        again = Kept()
        async with house.running(house.delivery(again, begin="now")):
            assert await again.until(1) == [7]

    asyncio.run(story())


def test_a_position_of_another_or_a_longer_log_is_refused_in_words_until_somebody_moves_it(
    house: House,
) -> None:
    for position in (Position("other.example/log", 3), Position(ORIGIN, 99)):
        with pytest.raises(SinkMisplaced):
            placed(position, "start", ORIGIN, 5)
    assert placed(Position(ORIGIN, 5), "start", ORIGIN, 5).next == 5  # negative control: at the end is fine

    async def story() -> None:
        house.grow(4)
        house.positions.write("siem", Position("other.example/log", 3))
        target = Kept()
        async with house.running(house.delivery(target)) as one:
            async with asyncio.timeout(120):
                while not one.trouble:
                    await asyncio.sleep(0.01)
            assert target.got == []
            house.positions.move("siem", ORIGIN, 2)
            assert await target.until(2) == [2, 3]

    asyncio.run(story())


def test_a_position_that_is_no_position_is_refused(house: House) -> None:
    house.positions.folder.mkdir()
    (house.positions.folder / "siem.json").write_text("{}")
    with pytest.raises(SinkMisplaced):
        house.positions.read("siem")


@given(st.integers(0, 100), st.floats(0, 1e6), st.floats(0, 1))
def test_tries_become_rarer_and_never_cease(failures: int, asked: float, chance: float) -> None:
    wait = wait_after(failures, asked, chance)
    assert 0 < wait <= 3600
    assert wait >= min(asked, 3600)
    assert wait_after(failures + 1, 0, chance) >= wait_after(failures, 0, chance) or wait >= 150


# --- what goes out ---------------------------------------------------------------------------------------------------


def test_without_content_nothing_that_an_agent_was_told_or_would_run_goes_out(house: House) -> None:
    house.grow(1)
    entry = house.ledger.entry(0)
    assert entry is not None
    closed = event_of(entry, ORIGIN, lambda value: value, content=False)
    whole = event_of(entry, ORIGIN, lambda value: value, content=True)
    for form in (lambda one: json.dumps(ocsf_of(one)), lambda one: otlp.logs([one]).decode()):
        assert "secret-plan" not in form(closed)
    assert closed.withheld == 2
    assert "secret-plan" in json.dumps(ocsf_of(whole))  # negative control


def ocsf_of(one: Event) -> dict[str, Any]:
    from keyturn.channels.sinks.ocsf import ocsf

    return ocsf(one)


FIELDS: dict[str, dict[str, Any]] = {
    "action.decided": {
        "id": "a_1", "kind": "sql", "verdict": "hold", "sentence": "Reads.", "agent": {"name": "x"},
        "human": {"person": "dana"}, "gate": {"name": "g"}, "decision": {"rules": [{"rule": "read"}]},
    },
    "action.receipt": {"action": "a_1", "outcome": "failed"},
    "approval.given": {"request": "r_1", "person": "riley", "choice": "approve", "assurance": "signed"},
    "finding.opened": {"id": "f_1", "kind": "limit.exceeded", "severity": "high", "words": "Too many."},
    "finding.closed": {"finding": "f_1", "by": "riley", "outcome": "fixed"},
    "policy.published": {"digest": "sha256:ab", "by": "dana"},
    "person.removed": {"id": "dana", "by": "riley"},
}  # fmt: skip


def test_every_entry_type_is_a_valid_ocsf_event_and_a_broken_one_is_not() -> None:
    for kind in ENTRY_TYPES:
        for fields in (
            FIELDS.get(kind, {}),
            {},
            {"id": "x", "name": "n", "by": "dana", "permit": {"id": "p"}},
        ):
            assert problems(json.loads(json.dumps(ocsf_of(event(kind, **fields))))) == [], kind
    broken = ocsf_of(event("action.decided", **FIELDS["action.decided"]))
    del broken["time"]
    assert problems(broken)
    broken = ocsf_of(event("action.decided")) | {"severity_id": 77}
    assert problems(broken)


def test_an_action_says_who_what_and_by_which_rule_and_where_to_prove_it() -> None:
    told = ocsf_of(event("action.decided", **FIELDS["action.decided"]))
    assert told["actor"]["user"]["uid"] == "dana"
    assert told["status"] == "hold"
    assert told["status_detail"] == "read"
    assert told["metadata"]["uid"] == f"{ORIGIN}:4"
    assert told["unmapped"]["keyturn"]["leaf_hash"] == "ab" * 32


# --- HTTP, OTLP ------------------------------------------------------------------------------------------------------


def settings(**more: Any) -> SinkSettings:
    return SinkSettings(**({"name": "siem", "kind": "http", "to": "http://127.0.0.1:1/"} | more))


def test_a_batch_is_signed_and_goes_again_after_an_error_with_the_same_id(house: House) -> None:
    async def busy(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.Response(status=503)

    async def story() -> None:
        service = Service()
        secret = house.folder / "siem.secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        house.grow(3)
        async with service.listening():
            service.moods = [busy]
            one = settings(to=service.url + "/in", format="cloudevents", secret_files=("siem.secret",))
            async with house.running(house.delivery(target_of(house.folder, one))):
                first, second = (await service.until(2))[:2]
        assert first.body == second.body
        ids = [got.headers["webhook-id"] for got in (first, second)]
        assert ids[0] == ids[1]
        signed = f"{ids[1]}.{second.headers['webhook-timestamp']}.".encode() + second.body
        mac = hmac.new(b"s" * 32, signed, hashlib.sha256).digest()
        assert second.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
        told = second.json
        assert [(one["source"], one["id"]) for one in told] == [(f"//{ORIGIN}", str(at)) for at in range(3)]
        assert {one["specversion"] for one in told} == {"1.0"}
        assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for one in told for name in one)  # CloudEvents §3.1
        assert second.headers["Content-Type"] == "application/cloudevents-batch+json"

    asyncio.run(story())


def test_otlp_has_a_record_for_each_entry_and_a_span_from_decision_to_receipt(house: House) -> None:
    async def story() -> None:
        service = Service()
        house.grow(1)
        receipt = Draft("action.receipt", {"action": "a_0_0", "outcome": "done"}, session="s_1")
        house.ledger.append_sync([receipt])
        async with service.listening():
            one = settings(kind="otlp", to=service.url)
            target = target_of(house.folder, one, lambda name: 1_763_671_233_000 if name == "a_0_0" else None)
            async with house.running(house.delivery(target)):
                got = await service.until(2)
        logs, traces = got[0], got[1]
        assert (logs.path, traces.path) == ("/v1/logs", "/v1/traces")
        records = logs.json["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        assert len(records) == 2
        span = traces.json["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
        assert (len(span["traceId"]), len(span["spanId"])) == (32, 16)
        assert int(span["startTimeUnixNano"]) == 1_763_671_233_000 * 10**6 < int(span["endTimeUnixNano"])
        assert span["traceId"] == records[0]["traceId"]

    asyncio.run(story())


def test_a_collector_that_takes_only_a_part_has_not_taken_it(house: House) -> None:
    async def part(request: web.Request, body: bytes) -> web.StreamResponse:
        return web.json_response({"partialSuccess": {"rejectedLogRecords": "1"}})

    async def story() -> None:
        service = Service()
        house.grow(1)
        async with service.listening():
            service.moods = [part]
            async with house.running(
                house.delivery(target_of(house.folder, settings(kind="otlp", to=service.url)))
            ):
                got = await service.until(2)
        assert got[0].body == got[1].body

    asyncio.run(story())


# --- syslog ----------------------------------------------------------------------------------------------------------

LINE = re.compile(
    rb"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([!-~]{1,255}) keyturn - ([!-~]{1,32}) "
    rb"(\[.*?[^\\]\]) \xef\xbb\xbf(\{.*\})",
    re.DOTALL,
)


class Collector:
    """A syslog server (RFC 5425, octet counting) that may hang up."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.hang_up_after = 0
        self.arrived = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int(await reader.readuntil(b" "))
                self.got.append(await reader.readexactly(size))
                self.arrived.set()
                if self.hang_up_after and len(self.got) == self.hang_up_after:
                    self.hang_up_after = 0
                    break
        writer.transport.abort()

    async def until(self, last: int) -> list[int]:
        async with asyncio.timeout(120):
            while not self.got or self.indexes()[-1] < last:
                self.arrived.clear()
                await self.arrived.wait()
        return self.indexes()

    def indexes(self) -> list[int]:
        return [int(re.search(rb'index="(\d+)"', one)[1]) for one in self.got]  # type: ignore[index]


def test_syslog_over_tls_loses_nothing_when_the_receiver_hangs_up(house: House) -> None:
    async def story() -> None:
        ca, context = certificate(house.folder)
        collector = Collector()
        collector.hang_up_after = 5
        server = await asyncio.start_server(collector.serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        house.grow(20)
        one = settings(kind="syslog", to=f"tls://127.0.0.1:{port}", ca_file=ca.name)
        target = target_of(house.folder, one)
        target.most = 4
        async with server, house.running(house.delivery(target)):
            found = await collector.until(19)
        assert sorted(set(found)) == list(range(20))  # some may come twice, none is missing
        for line in collector.got:
            matched = LINE.fullmatch(line)
            assert matched, line
            assert json.loads(matched[6])["metadata"]["log_name"] == ORIGIN

    asyncio.run(story())


def test_an_untrusted_certificate_gets_nothing(house: House) -> None:
    async def story() -> None:
        _, context = certificate(house.folder)
        collector = Collector()
        server = await asyncio.start_server(collector.serve, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        target = target_of(house.folder, settings(kind="syslog", to=f"tls://127.0.0.1:{port}"))
        async with server:
            with pytest.raises(ChannelDown, match="certificate"):
                await target.send([event()])
        assert collector.got == []

    asyncio.run(story())


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_word_of_an_entry_breaks_a_syslog_line(origin: str, words: str) -> None:
    one = Event(origin, 3, 1_763_671_234_567, "action.decided", "s", 1, "ab" * 32, {"sentence": words}, 0)
    matched = LINE.fullmatch(syslog.message(one, words or "h"))
    assert matched
    assert json.loads(matched[6])["class_uid"] == 6003


def test_what_is_too_long_for_a_line_says_so() -> None:
    told = LINE.fullmatch(syslog.message(event(sentence="x" * 80_000), "h"))
    assert told
    assert json.loads(told[6])["too_long"] > 65_000


# --- files, Parquet --------------------------------------------------------------------------------------------------


def test_files_hold_whole_lines_after_a_crash_in_the_middle_of_one(tmp_path: Path) -> None:
    target = FilesTarget(tmp_path / "out", "ocsf")
    asyncio.run(target.send([event(index=1)]))
    file = next((tmp_path / "out").iterdir())
    assert file.stat().st_mode & 0o077 == 0
    with file.open("ab") as broken:
        broken.write(b'{"half": ')
    asyncio.run(target.send([event(index=2), event(index=3)]))
    assert [json.loads(line)["metadata"]["sequence"] for line in file.read_text().splitlines()] == [1, 2, 3]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_and_leaves_no_half_line(tmp_path: Path) -> None:
    (tmp_path / "2025-11-20.jsonl").symlink_to("/dev/full")
    with pytest.raises(ChannelDown):
        asyncio.run(FilesTarget(tmp_path, "ocsf").send([event()]))


def test_parquet_reads_back_with_any_engine(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ParquetTarget, "patience", 0.2)

    async def story() -> None:
        house.grow(25)
        target = ParquetTarget(house.folder / "lake")
        target.most = 10
        async with house.running(house.delivery(target)) as one:
            async with asyncio.timeout(120):
                while one.behind:
                    await asyncio.sleep(0.02)

    asyncio.run(story())
    rows = duckdb.sql(
        f"select index, type, leaf from '{house.folder}/lake/*/*.parquet' order by 1"
    ).fetchall()
    assert [row[0] for row in rows] == list(range(25))
    entry = house.ledger.entry(7)
    assert entry is not None
    assert rows[7][2] == hashlib.sha256(b"\0" + entry.leaf).hexdigest()
    assert not list((house.folder / "lake").rglob(".writing-*"))


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {"to": "http://siem.example/"},
        {"to": "https://user:pw@siem.example/"},
        {"kind": "syslog", "to": "udp://127.0.0.1:514"},
        {"kind": "syslog", "to": "tcp://siem.example:601"},
        {"kind": "syslog", "to": "tls://"},
        {"kind": "files", "to": "https://x/"},
        {"kind": "files", "to": "out", "secret_files": ("x",)},
        {"secret_files": ("nowhere",)},
    ],
)
def test_a_sink_that_would_be_unsafe_or_can_not_work_is_refused(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    with pytest.raises(ChannelUnusable):
        target_of(tmp_path, settings(**given))


def test_one_that_can_not_be_used_never_stops_the_others(house: House) -> None:
    made = building.build(
        house.folder,
        [settings(to="ftp://x"), settings(name="b", kind="files", to="out"), settings(name="b", kind="files", to="o")],
        house.ledger, lambda value: value, lambda _: None,
    )  # fmt: skip
    assert [one.name for one in made.made] == ["b"]
    assert [one.name for one in made.unusable] == ["siem", "b"]
    assert os.sep not in made.made[0].name


def test_a_disk_that_is_full_stops_one_sink_with_words_and_it_goes_on_when_there_is_room(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        house.grow(2)
        full = [True]
        write = Positions.write

        def refused(self: Positions, *given: Any) -> None:
            if full[0]:
                raise OSError(28, "No space left on device")
            write(self, *given)

        monkeypatch.setattr(Positions, "write", refused)
        target = Kept()
        async with house.running(house.delivery(target)) as one:
            async with asyncio.timeout(120):
                while not one.trouble:
                    await asyncio.sleep(0.01)
            assert target.got == []
            assert "No space left" in one.health()[1]
            full[0] = False
            assert await target.until(2) == [0, 1]
            async with asyncio.timeout(120):
                while one.health()[0] != "ok":
                    await asyncio.sleep(0.01)

    asyncio.run(story())


def test_without_content_a_reading_goes_out_without_the_words_of_the_command(house: House) -> None:
    reading = {
        "kind": "shell", "canonical": "cat secret-plan", "complete": True,
        "steps": [
            {"program": "cat", "argv": ["cat", "secret-plan"], "effects": [{"verb": "reads", "what": "/w/x"}], "code": ["secret-plan"]},
        ],
    }  # fmt: skip
    house.ledger.append_sync([action("a_r", reading=reading)])
    entry = house.ledger.entry(0)
    assert entry is not None
    closed = event_of(entry, ORIGIN, lambda value: value, content=False)
    assert "secret-plan" not in json.dumps(dict(closed.fields))
    assert closed.fields["reading"]["steps"][0]["program"] == "cat"
    whole = event_of(entry, ORIGIN, lambda value: value, content=True)
    assert "secret-plan" in json.dumps(whole.fields["reading"])  # negative control
