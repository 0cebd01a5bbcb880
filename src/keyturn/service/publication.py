"""Publishing a policy: its tests green, its effect on the recorded past shown, another person's approval (design §7)."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from typing import Any

import msgspec

from keyturn import canonical
from keyturn.actions import Reading
from keyturn.drift.kinds import KINDS
from keyturn.errors import KeyturnError, NotFound
from keyturn.evidence import catalogue
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy import Policy, PolicyInvalid, run_tests
from keyturn.policy.decision import Facts
from keyturn.policy.problems import Problem, nearest
from keyturn.service.changes import open_change
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden, PolicyTestsRed, PolicyUnchanged
from keyturn.service.genesis import published
from keyturn.service.model import RequestView

REVIEWERS = "1 of policy"
"""Who approves a policy: one person of the group `policy` who did not write it."""

REPLAYED = 1000
"""How many of the newest recorded actions a proposal is replayed over."""
SHOWN_CHANGES = 50
"""How many changed verdicts are listed one by one; all are counted."""


async def propose(core: Core, files: Mapping[str, bytes], person: Person, note: str) -> RequestView:
    """Open a request for a policy version. Raises `PolicyTestsRed`, `PolicyUnchanged`, `PolicyInvalid` and its kinds."""
    if "author" not in person.roles and "admin" not in person.roles:
        raise Forbidden("Only policy authors propose policies.")
    policy = Policy.parse(files)
    _require_kinds(policy)
    await asyncio.to_thread(catalogue.check, files)
    current = core.policy
    if policy.digest == current.digest:
        raise PolicyUnchanged("This is the active policy already.")
    report = run_tests(policy)
    if not report.green:
        raise PolicyTestsRed(
            f"{len(report.failures)} of {report.total} cases fail.", failures=list(report.lines)[:20]
        )
    replay = replay_past(core, policy)
    content = {
        "policy": policy.digest,
        "before": current.digest,
        "mode": policy.mode,
        "mode_before": current.mode,
        "note": core.redaction.text(note),
        "replay": replay,
        "broken_cases": broken_cases(current, files),
    }
    content["diff"] = _diff(core, current.digest, files)
    return await _open(core, files, policy, content, person)


def _require_kinds(policy: Policy) -> None:
    """Every kind of finding that it speaks of is one: else a response would wait for ever for what never comes."""
    problems = [
        Problem(
            "drift.toml",
            0,
            0,
            f"[response.{one.name}] answers to {kind!r}, which is no kind of finding",
            suggestion=nearest(kind, KINDS),
        )
        for one in policy.drift.responses.values()
        for kind in one.kinds
        if kind not in KINDS
    ]
    if problems:
        raise PolicyInvalid(problems)


async def _open(
    core: Core, files: Mapping[str, bytes], policy: Policy, content: dict[str, Any], person: Person
) -> RequestView:
    request = core.id("r")
    content["request"] = request
    blobs = {canonical.digest_bytes(data): data for data in files.values()}
    fields = {
        "digest": policy.digest,
        "mode": policy.mode,
        "files": {path: canonical.digest_bytes(data) for path, data in sorted(files.items())},
        "by": person.id,
        "note": content["note"],
        "replay": content["replay"],
        "request": request,
    }
    return await open_change(
        core,
        subject="policy",
        content=content,
        digest=canonical.digest({"policy": policy.digest, "before": content["before"]}),
        sentence=_sentence(content),
        why="A policy takes effect when somebody else approved it.",
        by=person,
        approve=REVIEWERS,
        request=request,
        drafts=[Draft("policy.proposed", fields, blobs=blobs)],
    )


def _sentence(content: dict[str, Any]) -> str:
    changed = content["replay"]["changed"]
    past = content["replay"]["actions"]
    words = (
        f"{changed} of the last {past} actions would have been decided otherwise"
        if past
        else "nothing is recorded yet to compare with"
    )
    said = [f"Publishes a policy ({content['mode']}): {words}."]
    if content["mode"] != content["mode_before"]:
        said.append(
            "It switches to observe mode: what would be held RUNS, for everybody."
            if content["mode"] == "observe"
            else "It switches to enforce mode: what is held waits for people from then on."
        )
    broken = len(content["broken_cases"])
    if broken:
        said.append(f"{broken} of the active policy's own cases would no longer be right under it.")
    return " ".join(said)


def broken_cases(current: Policy, files: Mapping[str, bytes]) -> list[str]:
    """The active policy's cases that fail under *files*: a proposal whose own cases are green may have weakened them."""
    rules = {path: data for path, data in files.items() if not path.startswith("tests/")}
    cases = {path: data for path, data in current.files.items() if path.startswith("tests/")}
    try:
        report = run_tests(Policy.parse({**rules, **cases}))
    except KeyturnError as error:  # a case names a rule that is gone
        return [f"The active policy's cases can't be read under the proposed rules: {error.happened}"][:1]
    return list(report.lines)[:SHOWN_CHANGES] if not report.green else []


def replay_past(core: Core, policy: Policy) -> dict[str, Any]:
    """What *policy* would have decided over the newest recorded actions: counts, and the first changes."""
    changes: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    seen = 0
    for row in core.ledger.rows("action", limit=REPLAYED):
        entry = core.ledger.entry(row["entry"])
        if entry is None or "reading" not in entry.fields:
            continue
        seen += 1
        reading = msgspec.convert(core.full(entry.fields["reading"]), Reading)
        before = core.full(entry.fields["decision"])
        after = policy.decide(entry.fields["kind"], reading, facts_of(core, entry.fields))
        if after.verdict != before["verdict"]:
            key = f"{before['verdict']} → {after.verdict}"
            counts[key] = counts.get(key, 0) + 1
            if len(changes) < SHOWN_CHANGES:
                changes.append({"action": row["id"], "sentence": row["sentence"], "change": key})
    return {"actions": seen, "changed": sum(counts.values()), "counts": counts, "changes": changes}


def facts_of(core: Core, fields: dict[str, Any]) -> Facts:
    """What policy could know beside the reading when the action of *fields* was decided on."""
    agent = core.full(fields["agent"])
    human = core.full(fields["human"])
    person = core.roster.get(human["person"]) if human else None
    recorded = core.full(fields.get("facts") or {})
    known = recorded.get("definition", "unknown")
    of_drift = {name: tuple(value) for name, value in recorded.items() if isinstance(value, list)}
    return Facts(
        agent=agent["name"],
        client=agent.get("client", ""),
        human=person.id if person else None,
        human_groups=person.groups if person else (),
        missing=tuple(core.full(fields["missing"])),
        assurance=fields["gate"]["assurance"],
        target=core.full(fields["action"])["target"],
        definition=known,
        definition_known=known == "approved",
        **of_drift,
    )


def _diff(core: Core, before: str, files: Mapping[str, bytes]) -> str:
    row = core.ledger.row("policy", before)
    old = {p: core.bytes_of(b) for p, b in core.full(row["files"]).items()} if row else {}
    lines: list[str] = []
    for path in sorted(set(old) | set(files)):
        a = old.get(path, b"").decode("utf-8", "replace").splitlines(keepends=True)
        b = files.get(path, b"").decode("utf-8", "replace").splitlines(keepends=True)
        lines += [
            line if line.endswith("\n") else line + "\n"
            for line in difflib.unified_diff(a, b, f"active/{path}", f"proposed/{path}")
        ]
    return "".join(lines)


def effect(core: Core, rows: Rows, request: dict[str, Any]) -> tuple[Draft, ...]:
    """What is recorded together with the last approval of *request*: the policy takes effect in the same commit."""
    content = core.full(request["content"])
    proposed = rows.row("policy", content["policy"])
    if proposed is None:
        raise NotFound(f"The proposed policy {content['policy']} is not recorded.")
    files = {path: core.bytes_of(blob) for path, blob in core.full(proposed["files"]).items()}
    draft = published(Policy.parse(files), files, by=request["initiator"], request=request["id"])
    return (msgspec.structs.replace(draft, once=f"policy.published:{request['id']}"),)


__all__ = ["broken_cases", "effect", "facts_of", "propose", "replay_past"]
