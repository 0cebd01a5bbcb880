"""Ports for servers that must know theirs beforehand.

A port that was bound as "any" and let go may be taken meanwhile: the kernel hands the same range to every connection and
every other listener on this machine. Ports below that range are only taken by those who name them.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_CHOICE = random.SystemRandom()


def free_port() -> int:
    """A loopback port that nobody listens on, and that no connection is given."""
    first = int(_RANGE.read_text().split()[0]) if _RANGE.exists() else 49_152
    while True:
        port = _CHOICE.randrange(10_240, max(first, 12_288))
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
