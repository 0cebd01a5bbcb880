"""Bodies of the API that are not use-case structs already."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from keyturn.actions import Action
from keyturn.approvals.proof import Proof
from keyturn.drift.definition import Definition
from keyturn.resources import Surroundings
from keyturn.service.model import Proposed


class Ask(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/actions. The gate's name is that of its token, whatever the action says."""

    action: Action
    around: Surroundings = Surroundings()
    consume: bool = False


class NewPlan(Struct, frozen=True, forbid_unknown_fields=True):
    """A list of actions to be approved as a whole, all of one session.

    `why` are the agent's words; `seconds` is how long it lasts once it is approved.
    """

    steps: tuple[Proposed, ...]
    why: str = ""
    seconds: int = 3600


class Session(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/sessions. `token`: the agent's own, which proves for whom it acts; `human` is a gate's word for it.

    `described` is what the agent is, `definition` the digest of that, or of what only the gate knows.
    """

    agent: str
    cwd: str = "/"
    client: str = ""
    client_session: str = ""
    parents: tuple[str, ...] = ()
    definition: str | None = None
    described: Definition | None = None
    human: str | None = None
    token: Annotated[str, Meta(max_length=8192)] = ""


class Closing(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/sessions/{id}/close and /v1/requests/{id}/withdraw."""

    why: str = ""


class Stop(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/sessions/{id}/stop and /v1/grants/{id}/revoke: the reason, which is recorded."""

    reason: str


class Instruction(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/sessions/{id}/instructions."""

    text: str
    source: str = "api"


class Verdict(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/requests/{id}/approve|deny: the digests of what was read, why, and how far an approval goes.

    `on_behalf_of`: the id of somebody for whom you stand in; empty to decide for yourself if you can.
    `grant`: `once` (or empty), `600s`, `600s session`, `600s session 3 uses`. `ticket`: the approved change that it names.
    `typed`: the name that a critical one asks for.
    """

    digest: str
    display: str
    reason: Annotated[str, Meta(max_length=4000)] = ""
    channel: Annotated[str, Meta(max_length=40)] = "api"
    on_behalf_of: Annotated[str, Meta(max_length=63)] = ""
    ticket: Annotated[str, Meta(max_length=100)] = ""
    proof: Proof | None = None
    nonce: str | None = None
    grant: Annotated[str, Meta(max_length=60)] = ""
    typed: Annotated[str, Meta(max_length=200)] = ""


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/requests/{id}/statement: what is to be decided, with the digests of what was read, and why."""

    choice: Literal["approve", "deny"]
    digest: str
    display: str
    reason: Annotated[str, Meta(max_length=4000)] = ""
    grant: Annotated[str, Meta(max_length=100)] = ""
    ticket: Annotated[str, Meta(max_length=100)] = ""
    on_behalf_of: Annotated[str, Meta(max_length=63)] = ""


class Revocation(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/keys/{key}/revoke."""

    why: Annotated[str, Meta(max_length=2000)] = ""


class Glass(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/requests/{id}/breakglass and …/breakglass/statement: like an approval; the proof is for the statement."""

    digest: str
    display: str
    reason: Annotated[str, Meta(max_length=4000)]
    channel: Annotated[str, Meta(max_length=40)] = "api"
    proof: Proof | None = None
    nonce: str | None = None


class Review(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/breakglass/{id}/review: what somebody else found, and in which words."""

    verdict: Literal["justified", "unjustified"]
    note: Annotated[str, Meta(max_length=4000)]


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
    accounts: tuple[str, ...] = ()


class Account(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/people/{id}/accounts/link and /unlink: `issuer|subject`. `mistake`: it never was theirs (unlink only)."""

    account: Annotated[str, Meta(max_length=600)]
    mistake: bool = False


class AccessReview(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/access/review: `digest` is that of the list as it was shown."""

    digest: str
    note: str = ""


class PersonChange(Struct, frozen=True, forbid_unknown_fields=True):
    """PATCH /v1/people/{id}. What is absent stays. `away_until`: on leave until then, in milliseconds since 1970, 0 for back;
    `shared`: several people use it, as a mailbox."""

    name: str | None = None
    groups: tuple[str, ...] | None = None
    roles: tuple[str, ...] | None = None
    os_uids: tuple[int, ...] | None = None
    away_until: int | None = None
    shared: bool | None = None


class NewGate(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/gates: a gate on another machine gets its first credential, for so many seconds (default: a day)."""

    name: str
    assurance: str = "advisory"
    machine: Annotated[str, Meta(max_length=200)] = ""
    seconds: int | None = None


class NewCredential(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/credentials. `form`: `signed` a token · `certificate` one over the key of `csr` (PEM) · `spiffe` the workload `spiffe`.

    `gate` or `agent` is whose it is; `owner` answers for the agent (default: you). `bound`: the base64url SHA-256 of the only
    client certificate with which the token is good.
    """

    gate: str = ""
    agent: str = ""
    owner: str | None = None
    form: Literal["signed", "certificate", "spiffe"] = "signed"
    csr: Annotated[str, Meta(max_length=8192)] = ""
    spiffe: Annotated[str, Meta(max_length=2048)] = ""
    scopes: tuple[str, ...] = ()
    seconds: int | None = None
    machine: Annotated[str, Meta(max_length=200)] = ""
    bound: Annotated[str, Meta(max_length=43)] = ""
    note: Annotated[str, Meta(max_length=200)] = ""


class Rotation(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/credentials/{id}/rotate and /v1/credentials/renew: for how many seconds the old one is still good."""

    grace: int | None = None


class CredentialRevocation(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/credentials/{id}/revoke."""

    why: Annotated[str, Meta(max_length=200)] = ""


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/tokens: a token of your own, with less than all that you may do."""

    scopes: tuple[str, ...]
    name: Annotated[str, Meta(max_length=200)] = ""
    seconds: int | None = None


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
