"""The table `[redaction]` of keyturn.toml."""

from __future__ import annotations

from msgspec import Struct


class RedactionSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Rules that look again at what was recorded. Those at capture need no setting."""

    rules: tuple[str, ...] = ()
    """Files with rules in gitleaks' format, relative to the home. One that is missing or can't be run stops the start."""
    detect_secrets: bool = False
    """Whether the detectors of detect-secrets look, too; the package has to be installed."""
