"""The world for tests of evidence, with signatures that hold: keys are real, statements are those that were signed, digests are of bytes.

What `verify.py` finds true of a real log is true of this one, so that a seeded exception is still the only thing that is wrong.
"""

from __future__ import annotations

import hashlib
import sys
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from world import CLICK, SIGNED, START, Done, World, digest_of

from keyturn import canonical
from keyturn.evidence.verify_approvals import exact_text
from keyturn.identity.keys import key_id, to_b64

sys.path.insert(0, str(Path(__file__).parent.parent))

from soft_authenticator import SoftSshKey

ORIGIN = "keyturn.local/world"


@cache
def soft_key(person: str) -> SoftSshKey:
    """A person's key, the same in every run."""
    soft = SoftSshKey()
    soft.key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"key of {person}".encode()).digest())
    soft.blob = soft._blob()
    return soft


class SignedWorld(World):
    """A world whose people sign."""

    def __init__(self, start: int = START) -> None:
        super().__init__(start)
        self._enrolled: set[str] = set()

    def key_of(self, person: str) -> str:
        """The id of a person's key."""
        return key_id(soft_key(person).blob)

    def key(
        self, person: str, *, approved_by: str = "", genesis: bool = False, id: str = "", **more: Any
    ) -> str:
        """A person's own key, approved by signature as soon as its approver has one."""
        soft, id = soft_key(person), self.key_of(person)
        record = {
            "type": "ssh", "person": person, "log": ORIGIN, "rp_id": "", "public_key": to_b64(soft.blob), "credential_id": "",
            "aaguid": "", "random": to_b64(bytes(32)),
        }  # fmt: skip
        data = canonical.dumps(record)
        given = {
            "id": id, "person": person, "name": "laptop", "record": record, "commitment": to_b64(hashlib.sha256(data).digest()),
            "backup": False, "attested_by": "", "format": "", "provider": None, "genesis": genesis,
            "evidence": {"signature": soft.sign(b"keyturn/key-record/v1\n" + data, "enrolment@keyturn")},
        }  # fmt: skip
        given |= more
        request = None
        if approved_by:
            asked = self.request(
                None, subject="key", initiator=person, content={"text": f"a key of {person}", "key": given}
            )
            self.approve(asked, approved_by, signed=approved_by in self._enrolled)
            self.end(asked, "approved", by=approved_by, placed=[approved_by])
            request = asked.id
        self.add("key.enrolled", given | {"request": request})
        self._enrolled.add(person)
        return id

    def action(self, session: str, verdict: str = "run", **more: Any) -> Done:
        """A held action has the digest of its bytes; nobody asks about that of another one."""
        if verdict != "hold" or "digest" in more:
            return super().action(session, verdict, **more)
        act = {
            "content": {"kind": "shell", "dialect": "bash", "script": more.get("script", "ls -la")},
            "cwd": "/home/mia/project", "environment": {}, "target": more.get("target", "local"), "executes": {},
        }  # fmt: skip
        definition = more.get("definition") or digest_of(f"definition of {more.get('agent', 'claude-code')}")
        digest = canonical.digest({**act, "v": 1, "definition": definition, "policy": self.policy})
        return super().action(session, verdict, **{"action": act, **more, "digest": digest})

    def request(self, action: Done | None, **more: Any) -> Done:
        """Its digest is that of what is asked for."""
        if action is not None:
            act = action.fields["action"]
            return super().request(action, **{"cwd": act["cwd"], **more})
        id, subject = more.pop("id", "") or self.id("r"), more.get("subject", "action")
        content = more.pop("content", None) or {"text": f"a change: {subject}"}
        if subject == "policy":
            content = {"policy": digest_of(id), "before": self.policy, "diff": "+ a rule", "text": ""}
            digest = canonical.digest({"policy": content["policy"], "before": content["before"]})
        else:
            digest = canonical.digest({"subject": subject, "content": content, "request": id})
        return super().request(None, **{"digest": digest, **more}, id=id, content=content)

    def approve(
        self, request: Done, person: str, choice: str = "approve", *, signed: bool = False, **more: Any
    ) -> int:
        """One person's word, over the statement that its fields make."""
        fields = request.fields
        shown = {
            "request": request.id, "digest": request.digest, "subject": fields["subject"], "content": fields["content"],
            "text": exact_text(fields["subject"], fields["content"]),
        }  # fmt: skip
        nonce = more.get("nonce") or self.id("n")
        made = {
            "digest": request.digest, "policy": self.policy, "reason": "It can be made again.", "grant": "once", "nonce": nonce,
            "display": _digest("display", shown), "assurance": SIGNED if signed else CLICK,
        } | more  # fmt: skip
        made["reason_digest"] = _digest("reason", {"nonce": nonce, "reason": made["reason"]})
        statement = {
            "v": 1, "log": ORIGIN, "request": request.id, "digest": made["digest"], "display": made["display"], "decision": choice,
            "person": person, "reason": made["reason_digest"], "policy": made["policy"], "nonce": nonce, "grant": made["grant"],
            "ticket": made.get("ticket_named", ""), "behalf": made.get("behalf", ""),
        }  # fmt: skip
        data = b"keyturn/approval/v1\n" + canonical.dumps(statement)
        made["statement"] = canonical.digest_bytes(data)
        if signed:
            key = self.key_of(person)
            proof = {"type": "ssh", "key": key, "signature": soft_key(person).sign(data, "approval@keyturn")}
            made |= {"key": key, "proof": proof, "shown": shown}
        return super().approve(request, person, choice, signed=signed, **made)


def _digest(what: str, value: Any) -> str:
    return canonical.digest_bytes(f"keyturn/{what}/v1\n".encode() + canonical.dumps(value))
