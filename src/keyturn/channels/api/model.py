"""Bodies of the API that are not use-case structs already."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from keyturn.actions import Action
from keyturn.resources import Surroundings


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/actions. The gate's name is that of its token, whatever the action says."""

    action: Action
    around: Surroundings = Surroundings()
    consume: bool = False


class Session(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/sessions."""

    agent: str
    cwd: str = "/"
    client: str = ""
    client_session: str = ""
    parents: tuple[str, ...] = ()
    definition: str | None = None
    human: str | None = None


class Closing(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/sessions/{id}/close and /v1/requests/{id}/withdraw."""

    why: str = ""


class Stop(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/sessions/{id}/stop: the reason, which is recorded."""

    reason: str


class Instruction(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/sessions/{id}/instructions."""

    text: str
    source: str = "api"


class Verdict(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/requests/{id}/approve|deny: the digests of what was read, and why."""

    digest: str
    display: str
    reason: Annotated[str, Meta(max_length=4000)] = ""
    channel: Annotated[str, Meta(max_length=40)] = "api"


class Claim(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/requests/{id}/claim."""

    digest: str
    consume: bool = False


class Use(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/permits/consume."""

    token: str
    digest: str


class Proposal(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/policies: path → text of every file."""

    files: dict[str, str]
    note: Annotated[str, Meta(max_length=4000)] = ""


class NewPerson(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/people."""

    id: str
    name: str = ""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ("member",)
    os_uids: tuple[int, ...] = ()


class PersonChange(Struct, frozen=True, forbid_unknown_fields=True):
    """PATCH /v1/people/{id}. What is absent stays."""

    name: str | None = None
    groups: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    os_uids: tuple[int, ...] | None = None


class NewGate(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/gates: a gate on another machine gets a token."""

    name: str
    assurance: str = "advisory"


class Probe(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/probes."""

    gate: str
    client: str
    stopped: bool
    how: str = ""


class Entry(Struct, frozen=True):
    """One ledger entry as the API shows it. `leaf` is the exact text under the Merkle tree."""

    index: int
    time: int
    type: str
    session: str | None
    n: int | None
    leaf: str
    disclosures: tuple[str, ...]
    fields: dict[str, Any]
