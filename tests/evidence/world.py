"""A log made entry by entry, as Keyturn writes it, in which a test can seed what should not be: for the tests of evidence.

Real leaves with their salts and disclosures, but no sequencer: this log can have a number twice, or a hole, which a real one never has.
What is not given gets what a proper house would have recorded, so that a seeded exception is the only thing that is wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyturn.ledger import leaf
from keyturn.ledger.entries import Draft

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
START = 1_790_000_000_000
"""When a world begins: a moment in September 2026, in milliseconds since 1970."""
CLICK, SIGNED = "click", "signed"


def digest_of(text: str) -> str:
    """A digest as Keyturn writes them."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Done:
    """An action, a request, or whatever else was recorded: its id, digest, the session, and its entry's index."""

    id: str
    digest: str = ""
    session: str = ""
    entry: int = 0
    permit: str = ""
    action: str = ""
    expires: int = 0
    approvers: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


class World:
    """The log so far, and its clock. Every entry takes a second, unless told otherwise."""

    def __init__(self, start: int = START) -> None:
        self.now = start
        self.made: list[leaf.Made] = []
        self.index = 0
        self.gate = "hooks:claude-code@laptop"
        self.policy = digest_of("policy 0")
        self._numbers: dict[str, int] = {}
        self._ids: dict[str, int] = {}
        self._salted = 0
        self.watermarks: dict[str, int] = {}
        """Target → until when its own log was compared."""

    # --- entries -----------------------------------------------------------------------------------------------

    def add(
        self,
        type: str,
        fields: Mapping[str, Any] | None = None,
        session: str | None = None,
        *,
        seconds: float = 1,
        **more: Any,
    ) -> int:
        """One entry, now; gives its index. The clock then goes on by *seconds*."""
        n = None
        if session:
            n = self._numbers[session] = self._numbers.get(session, 0) + 1
        draft = Draft(type, {**(fields or {}), **more}, session=session or None)
        self.made.append(leaf.make(draft, self.index, self.now, n, self._salts))
        self.index += 1
        self.now += int(seconds * SECOND)
        return self.index - 1

    def wait(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0) -> None:
        """Nothing is recorded for a while; a negative time sets the clock back."""
        self.now += int(seconds * SECOND + minutes * MINUTE + hours * HOUR + days * DAY)

    def lose(self, count: int = 1) -> None:
        """So many entries are missing from here on, as if somebody had taken them out."""
        self.index += count

    def lose_numbers(self, session: str, count: int = 1) -> None:
        """So many numbers of the session are given to nothing."""
        self._numbers[session] = self._numbers.get(session, 0) + count

    def id(self, prefix: str) -> str:
        """A fresh id, like `a_01m8…`."""
        self._ids[prefix] = self._ids.get(prefix, 0) + 1
        return f"{prefix}_{self._ids[prefix]:026d}"

    def _salts(self, size: int) -> bytes:
        self._salted += 1
        return hashlib.shake_128(str(self._salted).encode()).digest(size)

    # --- the house ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The first entries, two administrators, three reviewers with enrolled keys, two people whom agents act for, a gate."""
        self.add(
            "log.opened",
            {
                "format": 1,
                "origin": "keyturn.local/world",
                "log_key": "57" * 32,
                "permit_key": "9a" * 32,
            },
        )
        self.enrol("ada", by="genesis", roles=("admin", "author", "member"), groups=("policy", "reviewers"))
        self.add("policy.published", self.policy_fields(self.policy, by="genesis", request=None))
        self.key("ada", genesis=True)
        self.enrol("bea", by="ada", roles=("admin", "member"), groups=("reviewers",), alone=True)
        for person in ("cyd", "dee", "eve"):
            self.enrol(person, by="ada", groups=("reviewers", "security"), approved_by="bea")
        for person in ("mia", "noa"):
            self.enrol(person, by="ada", groups=(), approved_by="bea")
        for person in ("bea", "cyd", "dee", "eve"):
            self.key(person, approved_by="ada")
        self.enrol_gate(self.gate)

    def enrol(
        self,
        person: str,
        *,
        by: str = "ada",
        groups: Iterable[str] = ("reviewers",),
        roles: Iterable[str] = ("member",),
        approved_by: str = "",
        os_uids: Sequence[int] = (),
        accounts: Sequence[str] = (),
        **more: Any,
    ) -> int:
        """A person joins: *approved_by* another administrator, where that is given."""
        fields: dict[str, Any] = {
            "id": person,
            "name": person.title(),
            "groups": sorted(groups),
            "roles": sorted(roles),
            "os_uids": list(os_uids),
            "accounts": list(accounts),
            "token": digest_of(f"token of {person}"),
            "by": by,
        }
        if approved_by:
            fields["request"] = self.changed("roster", by, approved_by, authors=[by, person]).id
        return self.add("person.enrolled", fields | more)

    def key(
        self,
        person: str,
        *,
        approved_by: str = "",
        genesis: bool = False,
        id: str = "",
        **more: Any,
    ) -> str:
        """A person's key is enrolled; gives its id."""
        id = id or self.key_of(person)
        request = self.changed("key", person, approved_by).id if approved_by else None
        record = {"type": "ssh", "person": person, "log": "keyturn.local/world", "public_key": digest_of(id)}
        fields = {
            "id": id,
            "person": person,
            "name": "laptop",
            "record": record,
            "commitment": digest_of(json.dumps(record)),
            "backup": False,
            "attested_by": "",
            "format": "",
            "evidence": {"signature": "-----BEGIN SSH SIGNATURE-----"},
            "provider": None,
            "genesis": genesis,
            "request": request,
        }
        self.add("key.enrolled", fields | more)
        return id

    def key_of(self, person: str) -> str:
        """The id of the first key of *person*."""
        return "k_" + hashlib.sha256(person.encode()).hexdigest()[:26]

    def enrol_gate(self, name: str, *, by: str = "ada", assurance: str = "cooperative") -> str:
        """A gate gets its first credential; gives the credential's id."""
        self.add("gate.enrolled", {"name": name, "assurance": assurance, "by": by})
        return self.credential("gate", name, by=by)

    def credential(
        self, kind: str, name: str, *, by: str = "ada", days: float = 30, person: str = "", **more: Any
    ) -> str:
        """A gate, an agent or a person gets a credential; gives its id."""
        id = self.id("c")
        fields = {
            "id": id,
            "kind": kind,
            "name": name,
            "form": "signed",
            "scopes": ["act"],
            "expires": self.now + int(days * DAY),
            "lasts": int(days * DAY) // 1000,
            "person": person or None,
            "owner": person or by,
            "actors": [],
            "chain": [],
            "parent": "",
            "machine": "",
            "bound": "",
            "secret": "",
            "note": "",
            "by": by,
        }
        self.add("credential.issued", fields | more)
        return id

    def policy_fields(
        self, digest: str, *, by: str, request: str | None, mode: str = "enforce"
    ) -> dict[str, Any]:
        """Of `policy.published`."""
        return {
            "digest": digest,
            "mode": mode,
            "files": {"policy.toml": digest_of(digest), "tests/base.toml": digest_of("cases")},
            "by": by,
            "request": request,
            "genesis": by == "genesis",
            "oncall": [],
        }

    def publish(
        self,
        name: str,
        *,
        by: str = "ada",
        approved_by: str = "bea",
        mode: str = "enforce",
        proposed: bool = True,
    ) -> str:
        """A policy version is proposed, approved and takes effect; gives its digest."""
        digest = digest_of(f"policy {name}")
        request = self.id("r")
        fields = self.policy_fields(digest, by=by, request=request, mode=mode)
        if proposed:
            given = {k: fields[k] for k in ("digest", "mode", "files", "by", "request")}
            replay = {"actions": 40, "changed": 0, "counts": {}, "changes": []}
            self.add("policy.proposed", {**given, "note": "as discussed", "replay": replay})
        self.changed("policy", by, approved_by, id=request)
        self.add("policy.published", fields)
        self.policy = digest
        return digest

    def changed(self, subject: str, by: str, *approvers: str, id: str = "", **more: Any) -> Done:
        """A change is asked for by *by*, approved by *approvers* and ended: what it changes is for the caller to record."""
        asked = self.request(None, subject=subject, initiator=by, id=id, **more)
        for person in approvers:
            self.approve(asked, person)
        self.end(asked, "approved", by=approvers[-1] if approvers else by)
        return asked

    # --- sessions and actions ----------------------------------------------------------------------------------

    def session(
        self,
        *,
        agent: str = "claude-code",
        person: str | None = "mia",
        owner: str | None = "noa",
        gate: str = "",
        assurance: str = "cooperative",
        instruct: bool = True,
        **more: Any,
    ) -> str:
        """An agent run begins, with an instruction; gives the session's id."""
        id = self.id("s")
        fields = {
            "agent": self.agent(agent, owner),
            "human": self.human(person),
            "gate": self.gate_of(gate, assurance),
            "cwd": "/home/mia/project",
            "client_session": f"{agent}/{id}",
            "parents": [],
            "definition": digest_of(f"definition of {agent}"),
            "place": "/home/mia/project",
            "pid": 4711,
            "opener": {"credential": "", "holder": "hooks:1000", "machine": "", "pid": 0, "started": 0},
            "chain": [],
        }
        self.add("session.opened", fields | more, session=id)
        if instruct:
            said = {"source": "hook:UserPromptSubmit", "text": "Tidy up."}
            self.add("session.instructed", {"instruction": said}, session=id)
        return id

    def close(self, session: str, *, off: int = 0, why: str = "The client said SessionEnd.") -> int:
        """The session ends with its count, which is *off* by so many."""
        count = self._numbers.get(session, 0) + 1 + off
        return self.add("session.closed", {"why": why, "count": count}, session=session)

    @staticmethod
    def agent(name: str = "claude-code", owner: str | None = "noa") -> dict[str, Any]:
        return {"name": name, "client": name, "version": "2.1", "model": "a-model", "owner": owner}

    @staticmethod
    def human(person: str | None = "mia") -> dict[str, Any] | None:
        return {"person": person, "how": "token", "os_uid": None} if person else None

    def gate_of(self, name: str = "", assurance: str = "cooperative") -> dict[str, Any]:
        return {"name": name or self.gate, "assurance": assurance, "version": "1"}

    def action(
        self,
        session: str,
        verdict: str = "run",
        *,
        script: str = "ls -la",
        verbs: Sequence[str] = ("reads",),
        would: str = "",
        mode: str = "enforce",
        approve: str = "1 of reviewers",
        assurance: str = "click",
        reasons: Sequence[str] = (),
        agent: str = "claude-code",
        person: str | None = "mia",
        owner: str | None = "noa",
        target: str = "local",
        seconds: float = 0,
        lasts: float = 60,
        **more: Any,
    ) -> Done:
        """An action is decided on. One that runs has a permit, which nothing has consumed yet."""
        id = self.id("a")
        digest = digest_of(f"{id} {script}")
        permit = {"id": self.id("p"), "expires": self.now + int(lasts * SECOND)} if verdict == "run" else None
        effects = [{"verb": verb, "what": "/srv/x", "labels": [], "zone": "workspace"} for verb in verbs]
        step = {"argv": script.split(), "code": [], "complete": True, "effects": effects}
        gate = more.pop("gate", self.gate)
        fields: dict[str, Any] = {
            "id": id,
            "digest": digest,
            "kind": "shell",
            "verdict": verdict,
            "action": {
                "content": {"kind": "shell", "dialect": "bash", "script": script},
                "cwd": "/home/mia/project",
                "environment": {},
                "target": target,
                "executes": {},
            },
            "call": f"toolu_{id}",
            "gate": self.gate_of(gate) if gate else {},
            "agent": self.agent(agent, owner),
            "human": self.human(person),
            "instruction": {"source": "hook:UserPromptSubmit", "text": "Tidy up."},
            "reasoning": {"source": "transcript", "text": "Look around first."},
            "definition": digest_of(f"definition of {agent}"),
            "parents": [],
            "missing": [],
            "sentence": "Reads 1 path in the workspace.",
            "reading": {
                "kind": "shell",
                "complete": True,
                "canonical": script,
                "sentence": "",
                "steps": [step],
            },
            "decision": self.decision(verdict, would, mode, approve, assurance, reasons),
            "permit": permit,
        }
        fields |= more
        entry = self.add("action.decided", fields, session=session, seconds=seconds)
        return Done(id, fields["digest"], session, entry, permit["id"] if permit else "", id, fields=fields)

    def decision(
        self,
        verdict: str,
        would: str = "",
        mode: str = "enforce",
        approve: str = "1 of reviewers",
        assurance: str = "click",
        reasons: Sequence[str] = (),
    ) -> dict[str, Any]:
        """What policy said."""
        rule = {
            "rule": "the-rule", "verdict": would or verdict, "step": 0, "file": "rules/base.cedar", "line": 1,
            "matched": [0, 5], "because": "",
        }  # fmt: skip
        return {
            "verdict": verdict,
            "policy": self.policy,
            "mode": mode,
            "would": would or verdict,
            "complete": True,
            "rules": [rule],
            "reasons": list(reasons),
            "obligations": self.obligations(approve, assurance),
        }

    @staticmethod
    def obligations(approve: str = "1 of reviewers", assurance: str = "click") -> dict[str, Any]:
        return {
            "approve": approve,
            "within": 1800,
            "reason_required": False,
            "assurance": assurance,
            "ticket_required": False,
            "window": "",
            "remind": 0,
            "escalate_to": "",
            "escalate_after": 0,
            "grant": 3600,
        }

    def ran(self, session: str, **more: Any) -> Done:
        """An action that policy lets run: decided, permit used, receipt."""
        action = self.action(session, **more)
        self.consume(action)
        self.receipt(action)
        return action

    def consume(self, action: Done, *, permit: str = "", **more: Any) -> int:
        """The permit is used."""
        gate = (action.fields.get("gate") or {}).get("name", self.gate)
        fields = {"permit": permit or action.permit, "action": action.action, "gate": gate}
        return self.add("permit.consumed", fields | more, session=action.session)

    def receipt(self, action: Done, outcome: str = "done", *, ran: str | None = None, **more: Any) -> int:
        """The gate says what came of it."""
        fields = {
            "action": action.action,
            "permit": action.permit,
            "outcome": outcome,
            "ran": action.digest if ran is None else ran,
            "exit_code": 0,
            "output": digest_of("output"),
            "output_bytes": 10,
            "note": "",
        }
        return self.add("action.receipt", fields | more, session=action.session)

    # --- requests ----------------------------------------------------------------------------------------------

    def request(
        self,
        action: Done | None,
        *,
        subject: str = "action",
        initiator: str | None = "mia",
        approve: str = "",
        assurance: str = "click",
        minutes: float = 30,
        id: str = "",
        **more: Any,
    ) -> Done:
        """A held action, or a change, waits for people."""
        id = id or self.id("r")
        digest = action.digest if action else digest_of(f"{subject} {id}")
        approve = approve or ("1 of reviewers" if action else "1 of admins")
        expires = self.now + int(minutes * MINUTE)
        about: dict[str, Any] = action.fields if action else {}
        owner = (about.get("agent") or {}).get("owner")
        fields: dict[str, Any] = {
            "id": id,
            "subject": subject,
            "action": action.id if action else None,
            "digest": digest,
            "kind": about.get("kind", subject),
            "sentence": "Deletes 1 path in the workspace.",
            "policy": self.policy,
            "obligations": about.get("decision", {}).get("obligations")
            if action and approve == "1 of reviewers" and assurance == "click"
            else self.obligations(approve, assurance),
            "expires": expires,
            "initiator": initiator,
            "initiator_uid": None,
            "owner": owner,
            "authors": [] if action else [initiator] if initiator else [],
            "gate": about.get("gate") or {"name": subject, "assurance": "enforced", "version": ""},
            "agent": (about.get("agent") or {}).get("name", ""),
            "content": (about.get("action") or {}).get("content") or {"text": f"a change: {subject}"},
            "cwd": "",
            "reading": about.get("reading") or {"kind": subject, "complete": True, "sentence": ""},
            "decision": about.get("decision") or self.decision("hold"),
            "attribution": {"human": self.human(initiator)},
        }
        if action:
            line = {"factor": "undo", "points": 25, "words": "It deletes."}
            fields |= {
                "parties": [initiator] if initiator else [],
                "party_uids": [],
                "risk": {"tier": "medium", "score": 35, "lines": [line], "target": ""},
                "shape": digest_of("shape"),
                "alike": "",
                "seal": digest_of(f"seal of {id}"),
                "asks": digest_of("asks"),
            }
        fields |= more
        session = action.session if action else ""
        entry = self.add("request.opened", fields, session=session)
        opened = Done(id, fields["digest"], session, entry, action=action.id if action else "", fields=fields)
        opened.expires = fields["expires"]
        return opened

    def approve(
        self, request: Done, person: str, choice: str = "approve", *, signed: bool = False, **more: Any
    ) -> int:
        """One person's word on a request."""
        if choice == "approve":
            request.approvers.append(person)
        nonce = self.id("n")
        fields = {
            "request": request.id,
            "person": person,
            "choice": choice,
            "reason": "It can be made again.",
            "digest": request.digest,
            "display": digest_of(f"display of {request.id}"),
            "policy": self.policy,
            "channel": "page",
            "assurance": SIGNED if signed else CLICK,
            "grant": "once",
            "nonce": nonce,
            "reason_digest": digest_of("reason"),
            "statement": digest_of(f"statement {nonce}"),
        }
        if signed:
            fields |= {"key": self.key_of(person), "proof": {"signature": "-----BEGIN SSH SIGNATURE-----"}}
            fields |= {"how": "ssh key", "shown": {}}
        return self.add("approval.given", fields | more, session=request.session)

    def end(
        self,
        request: Done,
        state: str = "approved",
        *,
        by: str = "",
        placed: Sequence[str] | None = None,
        **more: Any,
    ) -> int:
        """The request is over. Who approved it fills its places, unless others are *placed*."""
        people = placed if placed is not None else request.approvers if state == "approved" else ()
        fields = {
            "request": request.id,
            "state": state,
            "why": "",
            "by": by or (request.approvers[-1] if request.approvers else ""),
            "placed": [[person, 0] for person in dict.fromkeys(people)],
        }
        return self.add("request.ended", fields | more, session=request.session)

    def issue(
        self, request: Done, action: Done, *, lasts: float = 60, seconds: float = 0, **more: Any
    ) -> str:
        """An approved request's permit; gives its id, and *action* has it from here on."""
        action.permit = self.id("p")
        gate = (action.fields.get("gate") or {}).get("name", self.gate)
        fields = {
            "permit": {"id": action.permit, "expires": self.now + int(lasts * SECOND)},
            "request": request.id,
            "action": action.id,
            "digest": action.digest,
            "gate": gate,
        }
        self.add("permit.issued", fields | more, session=action.session, seconds=seconds)
        return action.permit

    def held(self, session: str, *, asked: Mapping[str, Any] | None = None, **more: Any) -> tuple[Done, Done]:
        """An action that policy holds, and its request, which waits. *asked*: other fields of the request."""
        action = self.action(session, "hold", verbs=("deletes",), script="rm -r build", **more)
        approve = more.get("approve", "1 of reviewers")
        assurance = more.get("assurance", "click")
        initiator = more.get("person", "mia")
        return action, self.request(
            action, initiator=initiator, approve=approve, assurance=assurance, **(asked or {})
        )

    def approved(self, session: str, *people: str, signed: bool = False, **more: Any) -> tuple[Done, Done]:
        """A held action that *people* approved, whose permit was used, with a receipt."""
        action, request = self.held(session, **more)
        for person in people:
            self.approve(request, person, signed=signed)
        self.end(request, "approved", by=people[-1] if people else "")
        self.issue(request, action)
        self.consume(action)
        self.receipt(action)
        return action, request

    def grant(self, request: Done, *people: str, minutes: float = 60, uses: int = 0, **more: Any) -> str:
        """People let the request's action run again; gives the grant's id."""
        id = self.id("g")
        f = request.fields
        fields = {
            "id": id,
            "request": request.id,
            "action": f["action"],
            "digest": f["digest"],
            "policy": f["policy"],
            "kind": f["kind"],
            "sentence": f["sentence"],
            "agent": f["agent"],
            "gate": f["gate"]["name"],
            "session": "",
            "initiator": f["initiator"],
            "initiator_uid": None,
            "owner": f["owner"],
            "requires": f["obligations"]["approve"],
            "asks": digest_of("asks"),
            "approvers": list(people),
            "chains": [[] for _ in people],
            "escalated": [],
            "ends": self.now + int(minutes * MINUTE),
            "uses": uses,
        }
        self.add("grant.opened", fields | more)
        return id

    def break_glass(
        self, request: Done, person: str = "cyd", *, reason: str = "The shop is down.", hours: float = 24
    ) -> str:
        """Somebody releases the request alone; gives its id."""
        self.approve(request, person, grant="break-glass", reason=reason)
        self.end(request, "approved", by=person)
        id = self.id("b")
        fields = {
            "id": id,
            "request": request.id,
            "action": request.action,
            "person": person,
            "reason": reason,
            "assurance": CLICK,
            "sentence": "Deletes 1 path in the workspace.",
            "lapses": self.now + 10 * MINUTE,
            "review_by": self.now + int(hours * HOUR),
            "reviewers": "security",
            "notify": [],
        }
        self.add("breakglass.used", fields, session=request.session)
        return id

    def review(self, glass: str, by: str = "dee", verdict: str = "justified") -> int:
        """Somebody looks at a use of break-glass."""
        return self.add("breakglass.reviewed", {"id": glass, "by": by, "verdict": verdict, "note": "looked"})

    def finding(
        self, kind: str, severity: str = "high", *, about: Mapping[str, Any] | None = None, **more: Any
    ) -> str:
        """A finding is opened; gives its id."""
        id = self.id("f")
        fields = {
            "id": id,
            "kind": kind,
            "area": "change management",
            "severity": severity,
            "key": digest_of(id),
            "words": f"Something: {kind}.",
            "subject": dict(about or {"agent": "claude-code"}),
            "observed": "",
            "expected": "",
            "since": {"earliest": self.now, "latest": self.now},
            "magnitude": {"value": 1, "baseline": 0, "unit": "times", "evidence": 0},
            "entries": [],
            "cause": "",
            "explanation": {"grade": "NONE", "change": ""},
            "state": "open",
            "about": [["agent", "claude-code"]],
        }
        self.add("finding.opened", fields | more)
        return id

    def heartbeat(self, *, interval_s: int = 300, silent: Sequence[str] = (), **more: Any) -> int:
        """The server says that it and its gates are there."""
        self._ids["heartbeat"] = self._ids.get("heartbeat", 0) + 1
        fields = {
            "number": self._ids["heartbeat"],
            "since": self.now - interval_s * SECOND,
            "interval_s": interval_s,
            "gates": [{"name": self.gate, "assurance": "cooperative", "asked": 1}],
            "silent": list(silent),
        }
        return self.add("gate.heartbeat", fields | more)

    # --- what programs read ------------------------------------------------------------------------------------

    def entries(self) -> list[tuple[leaf.Header, dict[str, Any]]]:
        """(header, disclosed fields) of every entry, read from the leaf's own bytes."""
        found = []
        for made in self.made:
            header = leaf.read_header(made.stored.leaf)
            texts = leaf.disclosures_of(made.stored.disclosures or b"[]")
            found.append((header, leaf.open_fields(header, texts)))
        return found
