"""A home: the one folder in which an installation lives. What losing each part costs is in docs/reference/home.md."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "KEYTURN_HOME"


class Home:
    """Paths of a home. Nothing is opened or made here."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = root / "keyturn.toml"
        self.ledger = root / "ledger.db"
        self.keys = root / "keys"
        self.log_key = root / "keys" / "log.key"
        self.vapid_key = root / "keys" / "vapid.key"
        self.permit_key = root / "keys" / "permit.key"
        self.redaction_key = root / "keys" / "redaction.key"
        self.ca_key = root / "keys" / "ca.key"
        self.ca_certificate = root / "keys" / "ca.pem"
        self.policy = root / "policy"
        self.tokens = root / "tokens"
        self.recordings = root / "recordings"
        self.segments = root / "segments"
        self.evidence = root / "evidence"
        self.packs = root / "evidence" / "packs"
        self.attestation = root / "attestation"
        self.run = root / "run"
        self.gate_socket = root / "run" / "gate.sock"
        self.api_socket = root / "run" / "api.sock"
        self.server = root / "run" / "server.json"
        self.gates_certificate = root / "run" / "gates.pem"
        self.installed = root / "installed"

    @property
    def exists(self) -> bool:
        """Whether `keyturn init` made this home."""
        return self.log_key.exists()


def find(given: str | None = None) -> Home:
    """The home named, else `KEYTURN_HOME`, else `~/.keyturn`."""
    chosen = given or os.environ.get(VARIABLE) or "~/.keyturn"
    return Home(Path(os.path.abspath(os.path.expanduser(chosen))))  # noqa: PTH100, PTH111
