"""The tables `[gates]` and `[spiffe]` of keyturn.toml: gates on other machines, and workloads that prove themselves by SPIFFE."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MACHINE_SECTIONS = frozenset(("gates", "spiffe"))
"""Sections that stand in the file, not in the environment."""


class GatesSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The listener for gates on other machines. It always speaks TLS 1.3."""

    listen: str = ""
    """`ADDRESS:PORT` (`[::]:8766`, `10.0.0.5:8766`); empty for none."""
    names: tuple[str, ...] = ("localhost", "127.0.0.1")
    """Host names and addresses under which gates reach it, for the certificate that the home's own authority makes."""
    certificate: str = ""
    """A certificate chain (PEM) of another authority, instead of the home's own; a relative path begins at the home."""
    key: str = ""
    """The key of `certificate` (PEM)."""


class SpiffeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A SPIFFE trust domain whose JWT-SVIDs are accepted from workloads that were mapped to a gate or agent."""

    trust_domain: str = ""
    """The trust domain (`example.org`); empty: no SVID is accepted."""
    bundle: str = ""
    """Its bundle: a file (a relative path begins at the home; read again when it changes) or an `https://` address."""
    audience: str = ""
    """The audience that an SVID must have; empty for this log's origin."""
    refresh_seconds: Annotated[int, Meta(ge=10, le=86_400)] = 300
    """After how long a bundle at an address is fetched again. When that fails, the one at hand stands."""


def address_of(listen: str) -> tuple[str, int] | None:
    """Host and port of `ADDRESS:PORT`; None for what is none."""
    host, colon, port = listen.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    bracketed = bare != host
    if (
        not colon
        or not bare
        or (":" in bare and not bracketed)
        or not (port.isascii() and port.isdigit() and len(port) <= 5)
    ):
        return None
    return (bare, int(port)) if int(port) < 65_536 else None
