"""What all use cases share: the ledger, the active policy, keys, clock and waiters."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.approvals.proof import IdpProof, Verified
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.errors import KeyturnError
from keyturn.identity import Roster
from keyturn.ledger import Ledger
from keyturn.ledger.entries import Prepared, Rows
from keyturn.policy import Policy
from keyturn.policy.decision import Facts
from keyturn.recent import Recent
from keyturn.service.conditions.sources import Sources
from keyturn.service.ids import NewId, new_id
from keyturn.service.looks import Looks
from keyturn.service.redacting import Redaction, Remembered
from keyturn.service.roster import Rosters
from keyturn.service.roster import person_of as person_of
from keyturn.service.settings import Settings
from keyturn.service.watches import Watches
from keyturn.service.workspaces import Workspaces

PREPARED = 4096
"""How many readings and decisions are kept ready to be recorded."""


class NoPolicy(KeyturnError):
    """The home has no published policy."""

    code = "policy.none"
    status = 503
    next_step = "Run `keyturn init`, or restore the home from a copy."


class Core:
    """Handed to every use case. Holds no state of its own but caches of what the ledger says."""

    def __init__(
        self,
        ledger: Ledger,
        permit_key: Ed25519PrivateKey,
        settings: Settings,
        *,
        protected: tuple[str, ...] = (),
        clock: Callable[[], float] = time.time,
        ids: NewId = new_id,
    ) -> None:
        self.ledger = ledger
        self.permit_key = permit_key
        self.settings = settings
        self.protected = protected
        self.clock = clock
        self.ids = ids
        self.waiters: dict[str, asyncio.Event] = {}
        self.deadlines = asyncio.Event()
        self.recordings: Path | None = None
        self.port: int | None = None
        self.attestation_roots: tuple[bytes, ...] = ()
        self.check_idp: Callable[[bytes, IdpProof, str, Rows], Verified | ProofRefused] | None = None
        self.sources = Sources(None)
        self.practised: tuple[int, Any] | None = None
        self.practice_wanted = False
        self.controls: tuple[str, Any] | None = None
        self.tests_running = False
        self.tests_trouble = ""
        self.schedules = asyncio.Event()
        self.frozen: tuple[str, ...] = ()
        self.failing_schedules: dict[str, Any] = {}
        self.observe: Callable[[str, float], None] | None = None
        self.looks = Looks()
        self.watches = Watches()
        ledger.tell_first(self.watches.landed)
        self._policy: Policy | None = None
        self.true_readings = Remembered()
        self.redact_with(_own_key(permit_key))
        self.workspaces = Workspaces()
        self._prepared: dict[int, tuple[Struct, Prepared]] = {}
        self.facts_of_agents: Recent[tuple[Any, ...], tuple[int, Roster, Facts]] = Recent()
        self.rosters = Rosters(ledger)

    def redact_with(self, key: bytes) -> None:
        """Take secrets out under *key*, before anything is recorded."""
        self.redaction = Redaction(key)
        self.ledger.capture_with(self.redaction.drafted)

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int(self.clock() * 1000)

    def id(self, prefix: str) -> str:
        """A fresh identifier."""
        return self.ids(prefix, self.now())

    @property
    def origin(self) -> str:
        """The log's origin, as its checkpoints name it."""
        return str((self.ledger.row("log", "log") or {}).get("origin", ""))

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of our own pages, where people's passkeys may be used: those of `hosts`, and this machine's own name."""
        named = tuple(f"https://{host.lower()}" for host in self.settings.hosts)
        return named if self.port is None else (*named, f"http://localhost:{self.port}")

    @property
    def policy(self) -> Policy:
        """The active policy, loaded from the ledger's blobs. Raises `NoPolicy`."""
        active = self.ledger.row("policy-active", "active")
        if active is None:
            raise NoPolicy("No policy was ever published here.")
        if self._policy is None or self._policy.digest != active["digest"]:
            self._policy = self.policy_version(active["digest"])
        return self._policy

    def policy_version(self, digest: str) -> Policy:
        """A recorded policy version."""
        row = self.ledger.row("policy", digest)
        if row is None:
            raise NoPolicy(f"The ledger has no policy {digest}.")
        files = self.full(row["files"])
        return Policy.parse({path: self.bytes_of(blob) for path, blob in files.items()})

    @property
    def roster(self) -> Roster:
        """Everybody, as of now, and who stands in for whom at this moment."""
        return self.rosters.at(self.now())

    def people_changed(self) -> None:
        """Forget the cached roster; what was decided with it is stale, too."""
        self.rosters.forget()
        self.watches.everybody()

    def prepared(self, value: Struct) -> Prepared:
        """*value* as it is recorded, made once: readings and decisions come from memory again and again."""
        known = self._prepared.get(id(value))
        if known is None or known[0] is not value:
            if len(self._prepared) >= PREPARED:
                self._prepared.clear()
            data = canonical.dumps(to_builtins(value))
            known = self._prepared[id(value)] = (value, Prepared(data, msgspec.json.decode(data)))
        return known[1]

    def bytes_of(self, digest: str) -> bytes:
        """A blob's bytes. Raises `BlobMissing`."""
        data = self.ledger.blob(digest)
        if data is None:
            raise BlobMissing(f"The content {digest} is not in the store: it was erased or lost.")
        return data

    def full(self, value: Any) -> Any:
        """*value*, or what it stands for when it was too large for an entry (`{"blob", "size"}`)."""
        if isinstance(value, dict) and value.keys() == {"blob", "size"}:
            return msgspec.json.decode(self.bytes_of(value["blob"]))
        return value


def _own_key(permit_key: Ed25519PrivateKey) -> bytes:
    """A redaction key for a core that was given none: as secret as the key it comes of."""
    return hmac.new(permit_key.private_bytes_raw(), b"keyturn/redaction/v1", hashlib.sha256).digest()


class BlobMissing(KeyturnError):
    """Content that an entry names is not in the blob store."""

    code = "ledger.blob_missing"
    status = 410
    next_step = "`keyturn ledger verify` says whether it was erased on the record or lost."
