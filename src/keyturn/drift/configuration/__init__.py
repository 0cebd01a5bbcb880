"""Configuration beyond agents: readers from bytes to canonical resources, one a source."""

from __future__ import annotations

from keyturn.drift.configuration import files, iam, kubernetes, mcp, terraform
from keyturn.drift.configuration.reading import Configuration, ConfigurationMalformed, Hiding, Reader
from keyturn.drift.patches import PLAIN, Normal

SOURCES: dict[str, Reader] = {
    "files": files.read,
    "terraform": terraform.read,
    "kubernetes": kubernetes.read,
    "iam": iam.read,
    "mcp": mcp.read,
}
"""Every source by its name."""


NORMALS: dict[str, Normal] = {"terraform": terraform.NORMAL, "kubernetes": kubernetes.NORMAL}
"""What says nothing, by source; in the others everything counts."""


def normal_of(source: str) -> Normal:
    """What says nothing in *source*."""
    return NORMALS.get(source, PLAIN)


def read(source: str, data: bytes, hiding: Hiding) -> Configuration:
    """*data* of *source*. Raises `ConfigurationMalformed`, `TooLarge`."""
    reader = SOURCES.get(source)
    if reader is None:
        raise ConfigurationMalformed(f"There is no source {source[:40]!r}; there are {', '.join(SOURCES)}.")
    return reader(data, hiding)


__all__ = ["SOURCES", "Configuration", "ConfigurationMalformed", "Hiding", "normal_of", "read"]
