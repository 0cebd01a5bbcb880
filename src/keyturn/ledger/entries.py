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
    "session.defined": "What the agent is has changed within its session: its definition from here on.",
    "session.stopped": "A person pulled the kill switch: nothing more is allowed in the session, and its tree is ended.",
    "session.closed": "The run ended, with the count of its entries, so that a missing one is provable.",
    "action.decided": "An action was proposed, read and decided on: run, hold or refuse, with the rules and the reading.",
    "action.started": "An action that a client's hook allowed was seen to start, by the gate around the client.",
    "action.receipt": "What a gate reports after the act: digest of what ran, outcome, exit code, sizes.",
    "request.opened": "A held action (or a proposed change) waits for people: requirement, deadline.",
    "request.reminded": "It is nearly over, and whoever can still decide is reminded.",
    "request.commented": "A program that the operator configured said a word on it: untrusted, and input to nothing.",
    "request.escalated": "Nobody ended it for a while: people of one more group may fill the places that are open.",
    "request.ended": "It ended: approved, denied, expired, withdrawn or superseded.",
    "approval.given": "One person's statement over one digest: approve or deny, reason, what they were shown.",
    "drill.decided": "A request was a drill, known to be bad and unable to run: who decided what, and what opens its seal.",
    "grant.opened": "People let exactly this action run again: until when, where, how often at most.",
    "grant.used": "An action that policy holds ran under a grant.",
    "grant.revoked": "A person ended a grant, and what runs under it.",
    "plan.answered": "A proposed plan was answered without people: policy refuses a step of it, or no step needs anybody.",
    "plan.opened": "People approved a list of actions as a whole: which steps, in which order, until when.",
    "plan.advanced": "The next step of a plan was let go.",
    "plan.stopped": "A plan ended before its last step: its agent left it, or a person revoked it.",
    "plan.ended": "All steps of a plan that need people were used.",
    "breakglass.used": "A named person released a held request alone; somebody else has to review that.",
    "breakglass.reviewed": "Somebody else looked at it: justified or not.",
    "permit.issued": "A single-use permit left for one gate and one digest.",
    "permit.consumed": "The permit was used: from here on it is void.",
    "permit.refused": "Somebody tried a permit that was used, expired, for other bytes or for another gate.",
    "oncall.changed": "Who is on call in a group that a schedule fills, and until when that is known.",
    "policy.proposed": "Somebody proposed a policy version; its tests passed; what it would have changed.",
    "review.opened": "Rules that let nothing run for a while are up for review.",
    "access.reviewed": "A person looked through who may do what here: what they saw, by digest and counts, and what was taken away.",
    "policy.published": "A policy version took effect.",
    "person.enrolled": "A person joined: groups, roles, accounts, hashed token.",
    "person.changed": "A person's groups, roles, accounts or token changed.",
    "person.removed": "A person can decide nothing from here on.",
    "person.restored": "A person who was removed is back, without the token and the sessions they had.",
    "delegation.opened": "A person handed their places in some groups over to a colleague, until a time.",
    "delegation.ended": "Its giver took a delegation back, or whom it was given declined it.",
    "key.enrolled": "A person's own key for signing approvals, with all that shows whose it is.",
    "key.revoked": "That key signs nothing from here on; signatures of it on waiting requests no longer count.",
    "scim.token": "The SCIM client got its token (hashed); the one before is void.",
    "scim.user": "The SCIM client made or changed a user: which person that is, and what it says about them.",
    "scim.group": "The SCIM client made or changed a group: its name and members.",
    "scim.removed": "The SCIM client deleted a user or a group.",
    "login.opened": "A person opened a web session, with a one-time link or at the provider.",
    "login.refused": "Somebody signed in at the provider with an account that is linked to nobody here.",
    "provider.keys": "The key set of an OpenID provider, from here on: what its tokens are checked with, now and years later.",
    "login.closed": "A web session ended.",
    "gate.enrolled": "A gate got its credential (hashed).",
    "gate.removed": "A gate's credential was revoked.",
    "gate.started": "A gate began to answer, with its assurance level.",
    "gate.heartbeat": "Keyturn is there: which gates asked since the last one, and which should have and did not.",
    "credential.issued": "A gate, an agent or a person got a credential: whose, for what, until when. Never the secret itself.",
    "credential.rotated": "A credential was replaced by another; how long the old one is still good.",
    "credential.revoked": "A credential opens nothing from here on, nor does one made from it.",
    "finding.opened": "Something was observed that should not be: what, about whom, with its evidence.",
    "artefact.written": "A file was made of labelled data: by which action, and when it has to be gone.",
    "artefact.deleted": "It is gone: an action deleted it, or a person said so.",
    "session.labelled": "Labelled data came into a session, from where it may go on into files.",
    "secret.placed": "A file holds a secret from here on: which action wrote it, and the secret's keyed digest.",
    "secret.gone": "An action deleted such a file.",
    "legalhold.placed": "Something must not be deleted or erased until people say otherwise.",
    "legalhold.lifted": "An approved change ended a legal hold.",
    "finding.viewed": "Somebody who has no part in it looked at a finding for the first time; what ran until then.",
    "finding.acknowledged": "A person looks after a finding.",
    "finding.explained": "A person says what explains a finding, with the approved change where there is one.",
    "finding.accepted": "A person lets a finding be, until a time, with a reason.",
    "finding.closed": "A finding is over: fixed, explained by an approved change, or a false alarm, with a reason.",
    "finding.reopened": "A finding is open again: its acceptance ended, or a person says that it is not over.",
    "response.begun": "A finding had a consequence, as policy says: an agent is stepped up, suspended or stopped.",
    "response.lifted": "A response is over: people approved that, or its time was up.",
    "erasure.done": "An approved change erased fields of earlier entries: whose, why, how many. Their proofs stay valid.",
    "definition.seen": "A gate told what an agent is, for the first time: its parts by digest, with their texts beside them.",
    "definition.approved": "People approved a definition of an agent: what it was allowed applies to it.",
    "configuration.seen": "What a target's configuration is: its digest, what changed since the last look, and what explains that.",
    "configuration.approved": "People approved exactly this change of a target's configuration: in its window, so many times.",
    "definition.withdrawn": "A person took the approval of a definition back.",
    "session.measured": "What was done in a session (or 200 actions of it), by category, and the evidence of drift after it.",
    "baseline.pinned": "People approved what an agent ordinarily does: from here on it is measured against that.",
    "source.reconciled": "A target's own log was compared with this one: which file, which period, what is in one and not in the other.",
    "control.tested": "Controls were tested over everything in a period: for each test its population, exceptions and verdict.",
    "evidence.exported": "An evidence pack was asked for: of which framework and period, by whom and for whom.",
    "evidence.viewed": "An auditor looked at evidence: at what, and how often within the hour.",
    "probe.result": "A guard-liveness deny probe: did the client really stop when told to?",
    "notice.sent": "A channel took a message about a request: to whom, what it showed, where it lies.",
    "notice.failed": "A channel or a receiver did not take a message: why, and when it is tried again or that it is not.",
    "notice.chosen": "A person chose by which channels they are told.",
    "push.subscribed": "A person's browser asked for push messages.",
    "push.ended": "It gets none any more.",
    "clock.jumped": "The wall clock went backwards; entry times never do.",
}
"""Every entry type this version writes, with its meaning. Unknown types in a log are refused when read."""


class Prepared(Struct, frozen=True):
    """A field's value as canonical JSON made beforehand (`canonical.dumps`), and as JSON gives it back: for values that are recorded
    again and again. The value is shared: nobody changes it."""

    data: bytes
    value: Any


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

    `n` is its number in its session (from 1), None outside sessions. `fields` are the disclosed fields; those named in `erased` were
    erased, and something of the same form stands in their place.
    """

    index: int
    time: int
    type: str
    leaf: bytes
    disclosures: tuple[str, ...]
    fields: dict[str, Any]
    session: str | None = None
    n: int | None = None
    erased: tuple[str, ...] = ()


class Rows(Protocol):
    """Read access to the projections, as of everything sequenced so far."""

    def row(self, kind: str, key: str) -> dict[str, Any] | None:
        """The row's body, or None."""
        ...


class Moving(Rows, Protocol):
    """Rows that tell whether any of some kinds changed."""

    def moved(self, kinds: tuple[str, ...]) -> int:
        """A number that is larger after a change of a row of *kinds*: where it is the same, those rows are."""
        ...


class Put(Struct, frozen=True):
    """One projection row: replaced as a whole; `body=None` removes it. `state` and `at` are what lists are filtered by.

    `at` is milliseconds since 1970. `data` is the body's canonical JSON where it was made already.
    """

    kind: str
    key: str
    body: dict[str, Any] | None
    state: str = ""
    at: int = 0
    data: bytes = b""


Fold = Callable[[Entry, Rows], Iterable[Put]]
"""How one entry changes the projections. Pure: the same entries give the same rows (promise 7)."""

Plan = Sequence[Draft] | Callable[[Moving], Sequence[Draft]]
"""Drafts, or a pure function that makes them from the state at the moment of sequencing (so checks can't race)."""
