"""Entries: what is written for ever (design §6).

A *draft* is what a use case wants recorded; the sequencer turns it into an *entry* by giving it its place.
The **leaf** is canonical JSON of a small header plus salted per-field digests, after RFC 9901 (SD-JWT) §4.2:

    {"v":1,"index":41,"time":1763671234567,"type":"action.decided","session":"s_…","n":7,
     "_sd_alg":"sha-256","_sd":["<base64url sha-256 of disclosure>", … sorted]}

A **disclosure** is base64url(JSON [salt, name, value]) with 128 fresh random bits of salt; its digest is
base64url(SHA-256(ASCII disclosure)). Disclosures lie beside the leaf and can be withheld or erased one by
one without touching leaf, tree or proofs. Header members carry nothing personal and nothing secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from msgspec import Struct

MAX_LEAF_BYTES = 65_535
"""C2SP tlog-tiles: entry bundles have uint16 lengths."""

MAX_FIELD_BYTES = 4_096
"""A field whose canonical value is larger goes to the blob store; its value is then `{"blob": "sha256:…", "size": n}`."""

ENTRY_TYPES: dict[str, str] = {
    "log.opened": "The first entry: origin, format version and public keys of this log.",
    "session.opened": "An agent run began at a gate: agent, human, definition, parents.",
    "session.instructed": "A human (or a parent agent) gave the agent an instruction.",
    "session.stopped": "A person pulled the kill switch: nothing more is allowed in the session, and its tree is ended.",
    "session.closed": "The run ended, with the count of its entries, so that a missing one is provable.",
    "action.decided": "An action was proposed, read and decided on: run, hold or refuse, with the rules and the reading.",
    "action.started": "An action that a client's hook allowed was seen to start, by the gate around the client.",
    "action.receipt": "What a gate reports after the act: digest of what ran, outcome, exit code, sizes.",
    "request.opened": "A held action (or a proposed change) waits for people: requirement, deadline.",
    "request.ended": "It ended: approved, denied, expired, withdrawn or superseded.",
    "approval.given": "One person's statement over one digest: approve or deny, reason, what they were shown.",
    "permit.issued": "A single-use permit left for one gate and one digest.",
    "permit.consumed": "The permit was used: from here on it is void.",
    "permit.refused": "Somebody tried a permit that was used, expired, for other bytes or for another gate.",
    "policy.proposed": "Somebody proposed a policy version; its tests passed; what it would have changed.",
    "policy.published": "A policy version took effect.",
    "person.enrolled": "A person joined: groups, roles, accounts, hashed token.",
    "person.changed": "A person's groups, roles, accounts or token changed.",
    "person.removed": "A person can decide nothing from here on.",
    "login.opened": "A person opened a web session with a one-time link.",
    "login.closed": "A web session ended.",
    "gate.enrolled": "A gate got its credential (hashed).",
    "gate.removed": "A gate's credential was revoked.",
    "gate.started": "A gate began to answer, with its assurance level.",
    "probe.result": "A guard-liveness deny probe: did the client really stop when told to?",
    "clock.jumped": "The wall clock went backwards; entry times never do.",
}
"""Every entry type this version writes, with its meaning. Unknown types in a log are refused when read."""


class Prepared(Struct, frozen=True):
    """A field's value as canonical JSON made beforehand (`canonical.dumps`): for values that are recorded again and again."""

    data: bytes


class Draft(Struct, frozen=True):
    """What a use case wants recorded. `fields` are JSON values under names that may be disclosed one by one.

    `once`: a key that may occur in the log at most once (`permit.consumed:<id>`): a second one raises
    `AlreadyDone`. `blobs`: content-addressed bytes (`sha256:<hex>` → data) stored in the same transaction.
    `counts`: whether it takes a number in its session's sequence.
    """

    type: str
    fields: dict[str, Any] = {}
    session: str | None = None
    once: str | None = None
    blobs: dict[str, bytes] = {}


class Entry(Struct, frozen=True):
    """An entry in its place. `time` is milliseconds since 1970 (UTC), never less than its predecessor's.

    `n` is its number in its session (from 1), None outside sessions. `fields` are the disclosed fields.
    """

    index: int
    time: int
    type: str
    leaf: bytes
    disclosures: tuple[str, ...]
    fields: dict[str, Any]
    session: str | None = None
    n: int | None = None


class Rows(Protocol):
    """Read access to the projections, as of everything sequenced so far."""

    def row(self, kind: str, key: str) -> dict[str, Any] | None:
        """The row's body, or None."""
        ...


class Put(Struct, frozen=True):
    """One projection row: replaced as a whole; `body=None` removes it. `state` and `at` are what lists are filtered by.

    `at` is milliseconds since 1970.
    """

    kind: str
    key: str
    body: dict[str, Any] | None
    state: str = ""
    at: int = 0


Fold = Callable[[Entry, Rows], Iterable[Put]]
"""How one entry changes the projections. Pure: the same entries give the same rows (promise 7)."""

Plan = Sequence[Draft] | Callable[[Rows], Sequence[Draft]]
"""Drafts, or a pure function that makes them from the state at the moment of sequencing (so checks can't race)."""
