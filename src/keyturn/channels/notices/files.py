"""Secrets of channels, read from the files that the settings name."""

from __future__ import annotations

import ssl
from pathlib import Path

from keyturn.channels.notices.channel import ChannelUnusable

MOST_BYTES = 65_536


def secret(home: Path, name: str, what: str) -> str:
    """The text in file *name* (relative to the home), without white space around it. Raises `ChannelUnusable`."""
    if not name:
        raise ChannelUnusable(f"{what} is not set.")
    path = home / name
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ChannelUnusable(f"{what}: {path}: {error.strerror}.") from error
    if path.stat().st_mode & 0o077:
        raise ChannelUnusable(
            f"{what}: others than its owner can read {path}.", next_step=f"chmod go= {path}"
        )
    try:
        text = data.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ChannelUnusable(f"{what}: {path} is not text.") from error
    if not text or len(data) > MOST_BYTES:
        raise ChannelUnusable(f"{what}: {path} is empty or too long.")
    return text


def trust(home: Path, ca_file: str) -> ssl.SSLContext:
    """Certificates are always checked: against *ca_file*, else the system's. Raises `ChannelUnusable`."""
    path = home / ca_file if ca_file else None
    try:
        return ssl.create_default_context(cafile=str(path) if path else None)
    except (OSError, ssl.SSLError) as error:
        raise ChannelUnusable(f"ca_file: {path} can't be read as certificates.") from error
