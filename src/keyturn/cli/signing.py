"""`keyturn approve --sign`: an own look at what is signed. The server is not believed; what it hands out has to fit together.

Rules kept here (promise 8; design of what a signature proves in docs/explanation/signatures.md):

- The digest of the action is worked out from its content here, the display digest from the document here; both must be the
  request's. The text that is shown on the terminal is made from the content here.
- What is shown is the document that the display digest covers, nothing else that the server says.
- The statement is made here, with a nonce of this program, and these very bytes are signed with a key of the person.
- Anything that does not fit refuses before a key is asked for.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from keyturn import canonical
from keyturn.approvals.plans import text as plan_text
from keyturn.approvals.proof import NAMESPACE
from keyturn.approvals.ssh_signature import SshPublicKey
from keyturn.approvals.statement import display_digest, make_statement, statement_bytes
from keyturn.cli import ssh_keygen
from keyturn.cli.client import Client, segment
from keyturn.errors import ExitCode, KeyturnError
from keyturn.evidence.verify_approvals import exact_text
from keyturn.identity.keys import key_id

Row = dict[str, Any]


class DoesNotFit(KeyturnError):
    """What the server handed out to be signed is not what it shows, or not what its digests say."""

    code = "sign.does_not_fit"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was signed and nothing was approved."
    next_step = "Don't approve it any other way, either: tell whoever runs the server, and keep this output."


class NoKey(KeyturnError):
    """None of the person's enrolled SSH keys is at hand."""

    code = "sign.no_key"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was signed and nothing was approved."
    next_step = "Name the key with --key FILE, or enrol one with `keyturn key add FILE.pub`."


def handed_out(client: Client, view: Row, choice: str, grant: str) -> Row:
    """What the server hands out for a statement on *view*."""
    body = {
        "choice": choice,
        "digest": view["digest"],
        "display": view["display"],
        "reason": "",
        "grant": grant,
    }
    return client.post(f"/v1/requests/{segment(view['id'])}/statement", body)  # type: ignore[no-any-return]


def checked(request: str, view: Row, handed: Row) -> Row:
    """*view* with everything that is shown taken from the document that was digested here. Raises `DoesNotFit`."""
    document, act, statement = handed["document"], handed["act"], handed["statement"]
    try:
        _check(request, view, document, act, statement)
        shown = {
            name: document[name]
            for name in ("kind", "sentence", "content", "cwd", "reading", "decision", "obligations")
        }
        return {
            **view,
            **shown,
            "text": document["text"],
            "environment": document.get("environment", {}),
            "executes": document.get("executes", {}),
            "attribution": document["attribution"] or {},
            "gate": document["gate"]["name"],
            "assurance": document["gate"]["assurance"],
            "risk": document.get("risk"),
        }
    except (KeyError, TypeError, AttributeError, canonical.NotCanonical) as error:
        raise DoesNotFit(f"The server's answer lacks what is to be signed ({error}).") from error


def _check(request: str, view: Row, document: Row, act: Row, statement: Row) -> None:
    _same("the request", request, view["id"], document["request"], statement["request"])
    digest = _digest(view["subject"], request, document["content"], act)
    _same("the digest of what would be done", digest, view["digest"], document["digest"], statement["digest"])
    _same("the digest of what is shown", display_digest(document), view["display"], statement["display"])
    _same("the text", exact_text(view["subject"], document["content"]), document["text"], view["text"])
    if view["subject"] == "plan":
        _same("the text", plan_text(document["content"]), document["text"])
        for number, step in enumerate(document["content"]["steps"], 1):
            _same(f"the digest of step {number}", canonical.digest(step["act"]), step["digest"])
    _same("the sentence", document["sentence"], view["sentence"])
    if view["subject"] == "action":
        for name in ("content", "cwd", "environment", "executes"):
            _same(f"the action's {name}", act[name], document.get(name, {}))
        _same("the policy", act["policy"], statement["policy"])
        _same("the agent's definition", act["definition"], (document["attribution"] or {}).get("definition"))


def _digest(subject: str, request: str, content: Row, act: Row) -> str:
    """The digest of what would be done, from nothing but its content."""
    if subject == "action":
        return canonical.digest(act)
    if subject == "policy":
        return canonical.digest({"policy": content["policy"], "before": content["before"]})
    return canonical.digest({"subject": subject, "content": content, "request": request})


def _same(what: str, own: Any, *theirs: Any) -> None:
    for other in theirs:
        if other != own:
            raise DoesNotFit(f"The server does not show what would be signed: {what} differs.")


def proof(
    client: Client, view: Row, handed: Row, reason: str, grant: str, ticket: str, file: Path | None
) -> Row:
    """The signed part of a decision: `proof` and `nonce`. Raises `NoKey`, `NotSigned`, `DoesNotFit`."""
    person = client.get("/v1/me")["id"]
    _same("whose decision it is", person, handed["statement"]["person"])
    statement = make_statement(
        log=handed["statement"]["log"],
        request=view["id"],
        digest=view["digest"],
        display=view["display"],
        decision="approve",
        person=person,
        reason=reason,
        policy=handed["statement"]["policy"],
        nonce="n_" + secrets.token_urlsafe(24),
        grant=grant or "once",
        ticket=ticket,
    )
    _same("how far it goes", statement.grant, handed["statement"]["grant"])
    enrolled = {key["id"] for key in handed["keys"] if key["type"] == "ssh" and key["revoked"] is None}
    key, place = _key(enrolled, file)
    with ssh_keygen.as_file(key, place) as found:
        signature = ssh_keygen.sign(statement_bytes(statement), NAMESPACE, found)
    made = {"type": "ssh", "key": key_id(key.blob), "signature": signature}
    return {"proof": made, "nonce": statement.nonce}


def _key(enrolled: set[str], file: Path | None) -> tuple[SshPublicKey, Path | None]:
    """The key to sign with: the one named, else the first of those at hand that is enrolled."""
    if file is not None:
        key = ssh_keygen.public_key(file)
        if key_id(key.blob) not in enrolled:
            raise NoKey(
                f"{key.fingerprint} is not one of your keys here.",
                next_step="Enrol it with `keyturn key add`.",
            )
        return key, file
    for key, place in ssh_keygen.known():
        if key_id(key.blob) in enrolled:
            return key, place
    raise NoKey("None of your SSH keys is at hand.")
