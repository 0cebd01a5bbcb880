"""Syslog: RFC 5424 messages, octet counting (RFC 6587 §3.4.1), over TLS (RFC 5425) or, on this machine, TCP.

Rules kept here:

- UDP is not offered: what is lost there is lost silently.
- TCP syslog has no word for "I have it". A message counts as delivered when the receiver's kernel has acknowledged its bytes
  (nothing is left in the send queue); what came after the last such moment is sent again, so a message may come twice, and none is skipped.
- The structured data carries origin, index and leaf hash, so that a line in any SIEM can be proven.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Sequence

import msgspec

from keyturn.channels.notices.channel import ChannelDown
from keyturn.channels.notices.posting import words_of
from keyturn.channels.sinks.cloudevents import timestamp
from keyturn.channels.sinks.event import Event
from keyturn.channels.sinks.ocsf import ocsf

ENTERPRISE = "keyturn@32473"
"""SD-ID under the example enterprise number of RFC 5612: Keyturn has none of its own."""
AUDIT = 13
"""Facility: log audit."""
LEVEL = {1: 6, 2: 5, 3: 4, 4: 3, 5: 2}
"""OCSF severity → syslog severity."""
MOST = 65_000
"""Bytes of a message; what is longer goes without its JSON, and says so."""
WAIT = 15.0
_SIOCOUTQ = 0x5411


def message(event: Event, host: str) -> bytes:
    """*event* as one RFC 5424 message, its text the OCSF event as JSON."""
    told = ocsf(event)
    pri = AUDIT * 8 + LEVEL.get(told["severity_id"], 6)
    data = f'[{ENTERPRISE} origin="{_param(event.origin)}" index="{event.index}" leaf="{event.leaf}"]'
    head = f"<{pri}>1 {timestamp(event.time)} {_name(host, 255)} keyturn - {_name(event.type, 32)} {data} ".encode()
    text = msgspec.json.encode(told)
    if len(head) + len(text) > MOST:
        text = msgspec.json.encode({"metadata": told["metadata"], "too_long": len(text)})
    return head + b"\xef\xbb\xbf" + text


def framed(data: bytes) -> bytes:
    """Octet counting."""
    return b"%d %b" % (len(data), data)


def _param(text: str) -> str:
    """A parameter's value (RFC 5424 §6.3.3)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _name(text: str, most: int) -> str:
    return "".join(one if "!" <= one <= "~" else "_" for one in text)[:most] or "-"


class SyslogLine:
    """One connection, made again when it broke."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._host, self._port, self._context = host, port, context
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._name = socket.gethostname()

    async def send(self, events: Sequence[Event]) -> None:
        """All of *events*, and the receiver's kernel has them. Raises `ChannelDown`."""
        try:
            async with asyncio.timeout(WAIT):
                reader, writer = self._line or await self._connected()
                self._line = (reader, writer)
                writer.write(b"".join(framed(message(one, self._name)) for one in events))
                await writer.drain()
                await self._taken(reader, writer)
        except (TimeoutError, OSError) as error:
            await self.close()
            words = "It took nothing in time." if isinstance(error, TimeoutError) else words_of(error)
            raise ChannelDown(words) from error

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = self._host if self._context else None
        return await asyncio.open_connection(self._host, self._port, ssl=self._context, server_hostname=name)

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until nothing is left to be acknowledged; a receiver that has closed its side gets nothing more."""
        raw: socket.socket = writer.get_extra_info("socket")
        while True:
            if reader.at_eof():
                raise ConnectionResetError("it closed the connection")
            if not writer.transport.get_write_buffer_size() and not _unsent(raw):
                return
            await asyncio.sleep(0.005)  # the kernel tells nobody when a queue is empty

    async def close(self) -> None:
        """Close the connection."""
        line, self._line = self._line, None
        if line is not None:
            line[1].close()


def _unsent(raw: socket.socket) -> int:
    """Bytes that the other side has not acknowledged; 0 where the system doesn't tell."""
    try:
        import fcntl

        return int(struct.unpack("i", fcntl.ioctl(raw.fileno(), _SIOCOUTQ, b"\0\0\0\0"))[0])
    except (ImportError, OSError):
        return 0
