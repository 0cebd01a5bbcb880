"""Changes that people approve: a policy version, a key, an account link, a grant, the roster. One way to ask for all of them.

A change is a request like any other: the same machine decides it, so nobody approves their own (promise 6). Its content
carries the exact text that reviewers see (`diff` of a policy, `text` of everything else), so what was shown stays what it
was in later versions. What it changes is recorded in the commit of the last approval; `service.subjects` knows how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins

from keyturn import canonical
from keyturn.actions import Reading
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy.decision import Decision, Obligations
from keyturn.service import requests
from keyturn.service.core import Core
from keyturn.service.model import RequestView

WITHIN_SECONDS = 7 * 24 * 3600
"""How long a proposed change waits for people."""


async def open_change(
    core: Core,
    *,
    subject: str,
    content: dict[str, Any],
    sentence: str,
    why: str,
    by: Person,
    approve: str,
    digest: str | None = None,
    authors: Sequence[str] = (),
    owner: str | None = None,
    within: int = WITHIN_SECONDS,
    reason_required: bool = False,
    assurance: str = "click",
    request: str | None = None,
    drafts: Sequence[Draft] = (),
) -> RequestView:
    """Ask people of *approve* (requirement text) for a change; gives the request.

    `content` is JSON with the `text` to show, `why` says why it is held, `digest` names what is approved (by default all of
    the content). *by* and *authors* can't approve it; who gains by it belongs among the authors. *drafts* are recorded
    with the opening. Raises whatever the ledger raises; then nothing was asked.
    """
    request = request or core.id("r")
    fields = fields_of(
        core, request, subject=subject, content=content, sentence=sentence, why=why, by=by.id, approve=approve,
        digest=digest, authors=authors, owner=owner, within=within, reason_required=reason_required, assurance=assurance,
    )  # fmt: skip

    def plan(rows: Rows) -> Sequence[Draft]:
        return [*drafts, Draft("request.opened", fields)]

    await core.ledger.append(plan)
    return requests.view(core, request, by)


def fields_of(
    core: Core,
    request: str,
    *,
    subject: str,
    content: dict[str, Any],
    sentence: str,
    why: str,
    by: str | None,
    approve: str,
    digest: str | None = None,
    authors: Sequence[str] = (),
    owner: str | None = None,
    within: int = WITHIN_SECONDS,
    reason_required: bool = False,
    assurance: str = "click",
) -> dict[str, Any]:
    """The fields of `request.opened` for a change. *by* None: nobody knows who stands behind it."""
    policy = core.policy.digest
    obligations = Obligations(
        approve=approve, within=within, reason_required=reason_required, assurance=assurance
    )
    return {
        "id": request,
        "subject": subject,
        "action": None,
        "digest": digest or canonical.digest({"subject": subject, "content": content, "request": request}),
        "kind": subject,
        "sentence": sentence,
        "policy": policy,
        "obligations": to_builtins(obligations),
        "expires": core.now() + within * 1000,
        "initiator": by,
        "initiator_uid": None,
        "owner": owner,
        "authors": sorted({*([by] if by else []), *authors}),
        "gate": {"name": subject, "assurance": "enforced", "version": ""},
        "agent": "",
        "content": content,
        "cwd": "",
        "reading": to_builtins(Reading(subject, True, sentence=sentence)),
        "decision": to_builtins(Decision("hold", policy, reasons=(why,))),
        "attribution": {"human": {"person": by, "how": "token"} if by else None},
    }
