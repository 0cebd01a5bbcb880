"""People approve what an agent is, and take that back.

Rules kept here:

- Approving one is a change like any other: who asked, whose sessions it was seen in and who owns the agent can't approve it.
- What reviewers see is the difference from the newest approved one where the agent works; when another is approved meanwhile, that
  difference is no longer what an approval would mean, so it is refused.
- Several may be approved at once; the newest is the baseline. Taking one back needs nobody else: it loosens nothing.
- Approved *anew*, one becomes what small steps are measured against from then on (`originals`): reviewers are shown the whole way to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from keyturn.drift.definition_diff import Comparison, compare
from keyturn.errors import ExitCode, KeyturnError
from keyturn.identity import Person
from keyturn.ledger.entries import Draft, Rows
from keyturn.service import (
    behaviour_explaining,
    changes,
    definition_findings,
    definitions,
    mentioned,
    originals,
    requests,
)
from keyturn.service.core import Core
from keyturn.service.definition_rows import key
from keyturn.service.definition_state import baseline, of_row, state_of, texts_of
from keyturn.service.errors import Forbidden
from keyturn.service.lexicons import lexicon_of
from keyturn.service.model import RequestView

Row = dict[str, Any]
MAX_WHY = 2_000
WHY = "What an agent was allowed applies to what people approved, so somebody else has to look at what it is now."
LIVE = ("waiting", "denied", "approved")
"""States of a request after which nobody is asked again by itself."""


class DefinitionUnknown(KeyturnError):
    """No gate has told of such a definition."""

    code = "definition.unknown"
    status = 404
    exit_code = ExitCode.USAGE
    next_step = "`keyturn definition list` shows those that were seen."


class DefinitionAmbiguous(KeyturnError):
    """Several agents have a definition of that digest."""

    code = "definition.ambiguous"
    status = 409
    exit_code = ExitCode.USAGE
    next_step = "Name the agent, too, or more of the digest."


class DefinitionApproved(KeyturnError):
    """There is nothing to ask for."""

    code = "definition.approved"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was asked for."
    next_step = "It is approved already; `keyturn definition show` says by whom."


class DefinitionNotApproved(KeyturnError):
    """Nothing can be taken back."""

    code = "definition.not_approved"
    status = 409
    exit_code = ExitCode.USAGE
    next_step = "`keyturn definition list` shows which ones are approved."


class DefinitionMoved(KeyturnError):
    """Another definition was approved there meanwhile."""

    code = "definition.moved"
    status = 409
    not_done = "It was not approved."
    next_step = (
        "Deny this request and propose the definition again: then it is compared with the new baseline."
    )


class DefinitionWaits(KeyturnError):
    """It can't be proposed with effects, or to be assessed anew, while another request about it waits."""

    code = "definition.waits"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nobody was asked anew."
    next_step = "Have that request decided or withdrawn first, and ask again."


def found(core: Core, name: str, agent: str = "") -> Row:
    """The definition that *name* means: a digest, the beginning of one (8 characters or more), or an agent: its newest one.

    Raises `DefinitionUnknown`, `DefinitionAmbiguous`.
    """
    start = name if name.startswith("sha256:") else f"sha256:{name}"
    if len(start) >= len("sha256:") + 8:
        rows = [
            row
            for row in core.ledger.rows("definition", limit=10_000)
            if row["digest"].startswith(start) and agent in ("", row["agent"])
        ]
        if len(rows) > 1:
            raise DefinitionAmbiguous(f"{len(rows)} definitions begin with {name}.")
        if rows:
            return rows[0]
    known = core.ledger.row("agent", name)
    row = (
        core.ledger.row("definition", key(name, known["definition"]))
        if known and known["definition"]
        else None
    )
    if row is None:
        raise DefinitionUnknown(
            f"There is no definition {name[:80]!r}, and no agent of that name that told one."
        )
    return row


async def compared_apart(core: Core, before: Row | None, after: Row) -> Comparison:
    """What is different between two recorded definitions, worked out on another thread: long instructions take a while."""
    texts = texts_of(core, before, after)
    old, new = of_row(core, before) if before else None, of_row(core, after)
    lexicon, asked = lexicon_of(core), mentioned.question(core, after)

    def worked_out() -> Comparison:
        difference = compare(old, new, lambda part: texts.get(part.digest), lexicon)
        return replace(difference, named=mentioned.lines(asked))

    return await asyncio.to_thread(worked_out)


async def propose(
    core: Core,
    name: str,
    by: Person,
    why: str,
    agent: str = "",
    place: str | None = None,
    *,
    anew: bool = False,
    effects: Sequence[str] = (),
) -> RequestView:
    """Ask people to approve one; *anew*: as what small steps are measured against from then on. *effects* are what it is expected to do
    more (`writes:production`): behaviour that only comes with it is explained by this change as far as they cover it.

    Raises `DefinitionUnknown`, `DefinitionAmbiguous`, `DefinitionApproved`, `DefinitionWaits`, `Malformed`, `Forbidden`.
    """
    if by.reads_only:
        raise Forbidden("Auditors ask for no changes.")
    effects = behaviour_explaining.effects_of(effects)
    row = found(core, name, agent)
    where = row["place"] if place is None else place
    way = originals.way(core.ledger, row, where) if anew else None
    if (
        way is None
        and row["approved"]
        and not row["withdrawn"]
        and baseline(core.ledger, row["agent"], where) == row["digest"]
    ):
        raise DefinitionApproved(f"{row['digest']} is what people approved for {row['agent']}.")
    why = core.redaction.text(why.strip()[:MAX_WHY])
    request = await _open(core, row, where, by.id, why, again=True, way=way, effects=effects)
    assert request is not None
    return requests.view(core, request, by)


async def ask(core: Core, session: str) -> None:
    """Ask people, where policy is stricter because of what the session's agent is, unless they were asked before."""
    known = definitions.of_session(core, session)
    if known is None:
        return
    agent, person, digest, place = known
    if digest is None:
        return
    rules = core.policy.drift.definitions
    if rules.answer(state_of(core.ledger, agent.name, digest, place)) == "run":
        return
    row = core.ledger.row("definition", key(agent.name, digest))
    if row is not None and _asked(core.ledger, row) not in LIVE:
        await _open(core, row, place, person, "", again=False)


def _asked(rows: Rows, row: Row) -> str:
    request = rows.row("request", row["request"]) if row["request"] else None
    return str(request["state"]) if request else ""


async def _open(
    core: Core,
    row: Row,
    place: str,
    by: str | None,
    why: str,
    *,
    again: bool,
    way: originals.Way | None = None,
    effects: Sequence[str] = (),
) -> str | None:
    """Open the request, unless one waits already (*again*: then that one). Gives its id. *way* is there where it is assessed anew."""
    request = core.id("r")
    before = baseline(core.ledger, row["agent"], place)
    old = core.ledger.row("definition", key(row["agent"], before)) if before else None
    difference = await compared_apart(core, old, row)
    where = f" in {place}" if place else ""
    target = {"agent": row["agent"], "digest": row["digest"], "place": place}
    content = {
        **target,
        "text": difference.text,
        "before": before,
        "comparison": to_builtins(difference),
        "why": why,
    }
    if effects:
        expected = "\n".join(f"expected to do more: {one}" for one in effects)
        content |= {"effects": list(effects), "text": f"{expected}\n\n{difference.text}"}
    sentence = f"Approves what the agent {row['agent']}{where} is. {difference.summary}"
    if way is not None:
        erosion = await originals.measured_apart(core, way)
        content |= {
            "text": f"{originals.text(way, erosion)}\n{content['text']}",
            "assessed": originals.recorded(way, erosion),
        }
        sentence = f"Assesses anew what the agent {row['agent']}{where} is, and measures small steps from there. {difference.summary}"
    fields = changes.fields_of(
        core,
        request,
        subject="definition",
        content=content,
        sentence=sentence,
        why=WHY if not why else f"{WHY} {why}",
        by=by,
        approve=core.policy.drift.definitions.approve,
        authors=row["people"],
        owner=row["owner"],
    )
    waiting: list[str] = []

    def plan(rows: Rows) -> Sequence[Draft]:
        waiting.clear()  # a plan may be run again, so it starts from nothing each time
        current = rows.row("definition", key(row["agent"], row["digest"])) or row
        state = _asked(rows, current)
        if state == "waiting" and (way is not None or effects):
            raise DefinitionWaits(f"People are asked about it already, as {current['request']}.")
        if state == "waiting" or (not again and state in LIVE):
            waiting.append(current["request"])
            return []
        return [Draft("request.opened", {**fields, "definition": target})]

    await core.ledger.append(plan)
    return waiting[0] if waiting else request


def effect(core: Core, rows: Rows, row: Row) -> Sequence[Draft]:
    """What the last approval records. Raises `DefinitionMoved`."""
    target = core.full(row["definition"])
    content = core.full(row["content"])
    if baseline(rows, target["agent"], target["place"]) != content["before"]:
        raise DefinitionMoved(f"Another definition of {target['agent']} was approved meanwhile.")
    assessed = core.full(content.get("assessed"))
    original = originals.original_of(rows, target["agent"], target["place"]) or {}
    if assessed and original.get("digest") != assessed["original"]:
        raise DefinitionMoved(f"Another definition of {target['agent']} was assessed meanwhile.")
    fields = {
        **target,
        "before": content["before"],
        "request": row["id"],
        "by": row["initiator"],
        "why": core.full(content["why"]),
        **({"assessed": assessed} if assessed else {}),
        **({"effects": content["effects"]} if content.get("effects") else {}),
    }
    known = rows.row("definition", key(target["agent"], target["digest"]))
    parts = core.full(known["parts"]) if known else []
    return [
        Draft("definition.approved", fields, once=f"definition.approved:{row['id']}"),
        *definition_findings.settled(rows, target, parts, row["id"], fields["why"], assessed),
    ]


async def withdraw(core: Core, name: str, by: Person, why: str, agent: str = "") -> Row:
    """Take the approval of one back. Raises `DefinitionUnknown`, `DefinitionAmbiguous`, `DefinitionNotApproved`, `Forbidden`."""
    if by.reads_only:
        raise Forbidden("Auditors change nothing.")
    row = found(core, name, agent)
    why = why.strip()[:MAX_WHY]
    if not why:
        raise DefinitionNotApproved("Taking an approval back needs a reason.", next_step="Say it with --why.")

    def plan(rows: Rows) -> Sequence[Draft]:
        current = rows.row("definition", key(row["agent"], row["digest"])) or row
        if not current["approved"] or current["withdrawn"]:
            raise DefinitionNotApproved(f"{row['digest']} of {row['agent']} is not approved.")
        fields = {"agent": row["agent"], "digest": row["digest"], "by": by.id, "why": why}
        return [Draft("definition.withdrawn", fields)]

    await core.ledger.append(plan)
    return core.ledger.row("definition", key(row["agent"], row["digest"])) or row


__all__ = [
    "DefinitionAmbiguous", "DefinitionApproved", "DefinitionMoved", "DefinitionNotApproved", "DefinitionUnknown",
    "DefinitionWaits", "ask",
    "compared_apart", "effect", "found", "propose", "withdraw",
]  # fmt: skip
