"""Where sinks send: each takes a batch of events whole, and returns when the other side has it."""

from __future__ import annotations

import asyncio
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from keyturn.canonical import digest_bytes
from keyturn.channels.notices.channel import ChannelDown
from keyturn.channels.notices.posting import Http, accepted
from keyturn.channels.sinks import cloudevents, otlp
from keyturn.channels.sinks.event import Event
from keyturn.channels.sinks.ocsf import ocsf
from keyturn.channels.sinks.syslog import SyslogLine
from keyturn.channels.webhooks.signing import signatures


class Target(ABC):
    """One receiver. `most` events go at once; a batch that is not full waits up to `patience` seconds for more."""

    most = 500
    patience = 0.0

    @abstractmethod
    async def send(self, events: Sequence[Event]) -> None:
        """All of *events*. When it returns the other side has them. Raises `ChannelDown`, `ReceiverRefused`."""

    async def close(self) -> None:  # noqa: B027 — most have none
        """Let go of connections."""


class HttpTarget(Target):
    """A POST of a batch: CloudEvents in their batch format, or a JSON array of OCSF events."""

    def __init__(
        self, http: Http, url: str, form: str, secrets: Sequence[bytes], token: str,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._http, self._url, self._form = http, url, form
        self._secrets, self._token, self._clock = secrets, token, clock

    async def send(self, events: Sequence[Event]) -> None:
        """One request; any 2xx is its receipt."""
        if self._form == "cloudevents":
            body, kind = cloudevents.batch(events), cloudevents.BATCH
        else:
            body, kind = msgspec.json.encode([ocsf(one) for one in events]), "application/json"
        name, now = f"{events[0].id}-{events[-1].index}", int(self._clock())
        headers = {"content-type": kind, "webhook-id": name, "webhook-timestamp": str(now)}
        if self._secrets:
            headers["webhook-signature"] = signatures(name, now, body, self._secrets, ())
        accepted(await self._http.send("POST", self._url, body=body, headers=headers | bearer(self._token)))

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()


class OtlpTarget(Target):
    """OTLP/HTTP with JSON: `/v1/logs` for every entry, `/v1/traces` for actions that ended."""

    def __init__(self, http: Http, url: str, token: str, began: Callable[[str], int | None]) -> None:
        self._http, self._url, self._token, self._began = http, url.rstrip("/"), token, began

    async def send(self, events: Sequence[Event]) -> None:
        """Logs, then spans. A second delivery has the same span ids."""
        await self._post("/v1/logs", otlp.logs(events))
        actions = {str(one.fields.get("action", "")) for one in events if one.type == "action.receipt"}
        began = {action: at for action in actions if (at := self._began(action)) is not None}
        told = otlp.spans(events, began)
        if told is not None:
            await self._post("/v1/traces", told)

    async def _post(self, path: str, body: bytes) -> None:
        headers = {"content-type": "application/json"} | bearer(self._token)
        answer = accepted(await self._http.send("POST", self._url + path, body=body, headers=headers))
        said = answer.json() if answer.body.strip() else {}
        partial = said.get("partialSuccess") or {} if isinstance(said, dict) else {}
        rejected = next(
            (partial[one] for one in ("rejectedLogRecords", "rejectedSpans") if partial.get(one)), 0
        )
        if str(rejected) not in ("0", ""):
            raise ChannelDown(f"It took a part: {str(rejected)[:20]} were rejected.")

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()


class SyslogTarget(Target):
    """RFC 5424 over one connection."""

    most = 200

    def __init__(self, line: SyslogLine) -> None:
        self._line = line

    async def send(self, events: Sequence[Event]) -> None:
        """All of them, acknowledged by the receiver's kernel."""
        await self._line.send(events)

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()


class FilesTarget(Target):
    """JSON lines, a file a day (UTC), on disk before it counts as sent."""

    def __init__(self, folder: Path, form: str) -> None:
        self._folder, self._form = folder, form

    async def send(self, events: Sequence[Event]) -> None:
        """Append; a line that a crash cut off is taken away first, it comes again."""
        await asyncio.to_thread(self._append, events)

    def _append(self, events: Sequence[Event]) -> None:
        shape: Callable[[Event], Mapping[str, Any]] = (
            cloudevents.cloud_event if self._form == "cloudevents" else ocsf
        )
        days: dict[str, list[bytes]] = {}
        for one in events:
            days.setdefault(day(one.time), []).append(msgspec.json.encode(shape(one)) + b"\n")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name, lines in days.items():
                path = self._folder / f"{name}.jsonl"
                with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                    whole = _whole(file)
                    file.truncate(whole)
                    file.seek(whole)
                    try:
                        file.write(b"".join(lines))
                        file.flush()
                        os.fsync(file.fileno())
                    except OSError:
                        file.truncate(whole)
                        raise
        except OSError as error:
            raise ChannelDown(f"{error.strerror or error}.") from error


class ParquetTarget(Target):
    """A Parquet file for each batch, named after the entries in it: a second delivery writes the same file again."""

    most = 10_000
    patience = 900.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, events: Sequence[Event]) -> None:
        """Write it under another name, sync, rename."""
        await asyncio.to_thread(self._write, events)

    def _write(self, events: Sequence[Event]) -> None:
        name = f"{events[0].index:012}-{events[-1].index:012}.parquet"
        rows = [
            {
                "origin": one.origin, "index": one.index, "time_ms": one.time, "type": one.type, "session": one.session,
                "n": one.n, "leaf": one.leaf, "ocsf": msgspec.json.encode(ocsf(one)).decode(),
            }
            for one in events
        ]  # fmt: skip
        from keyturn.store.analytics.exporting import write_parquet  # brings DuckDB

        try:
            folder = self._folder / f"day={day(events[0].time)}"
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_parquet(folder / name, rows)
        except OSError as error:
            raise ChannelDown(f"{error.strerror or error}.") from error


def bearer(token: str) -> dict[str, str]:
    """The header that carries *token*, if there is one."""
    return {"authorization": f"Bearer {token}"} if token else {}


def day(ms: int) -> str:
    """The day of *ms*, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def batch_digest(events: Sequence[Event]) -> str:
    """What a batch was, for the log of deliveries: digest of the hashes of its entries."""
    return digest_bytes("".join(one.leaf for one in events).encode())


def _whole(file: Any) -> int:
    """Up to where the file holds whole lines."""
    file.seek(0, os.SEEK_END)
    at = int(file.tell())
    while at > 0:
        step = min(at, 65_536)
        file.seek(at - step)
        found = file.read(step).rfind(b"\n")
        if found >= 0:
            return at - step + int(found) + 1
        at -= step
    return 0
