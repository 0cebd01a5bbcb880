"""What an agent is: recorded when a gate tells it, and known by every decision.

Rules kept here:

- What a gate tells is recorded before the first action of the session is decided (`definition.seen`, once an agent and digest).
- A definition is `approved` for its agent when people approved exactly that digest and nobody took it back; else `changed` where
  any was ever approved for that agent where it works, and `unknown` where none was.
- Saying nothing, or another digest or agent than the session began with, makes nothing milder: the strictest of what is known counts.
- Where policy makes an unapproved definition stricter, people are asked to approve it, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, to_builtins

from keyturn import canonical
from keyturn.actions import Action, Agent, Reading
from keyturn.drift.definition import Definition, wrong
from keyturn.errors import Malformed
from keyturn.ledger.entries import Draft, Rows
from keyturn.policy.decision import Definition as State
from keyturn.policy.decision import Facts
from keyturn.service import definition_findings
from keyturn.service.core import Core
from keyturn.service.definition_rows import key
from keyturn.service.definition_state import state_of
from keyturn.service.definition_texts import Redact, kept
from keyturn.service.parties import acting

Row = dict[str, Any]
MAX_PLACE = 1000
_STRICTNESS: tuple[State, ...] = ("approved", "unknown", "changed")


class DefinitionMalformed(Malformed):
    """What a gate told of an agent is not a definition, or not the one that it named."""

    code = "definition.malformed"
    not_done = "No session was opened, and nothing was recorded."
    next_step = "See docs/reference/protocol.md for what a gate tells of a definition."


class Told(Struct, frozen=True):
    """A definition as it is recorded: checked, and with the texts that are kept of it (by part, digest and bytes)."""

    digest: str
    place: str
    described: Definition | None
    texts: Mapping[tuple[str, str], tuple[str, bytes]]


def told(described: Definition | None, digest: str | None, redact: Redact) -> Told | None:
    """What a gate said, checked; what is kept of it goes through *redact*. None when it said nothing. Raises `DefinitionMalformed`."""
    if described is None:
        return Told(digest, "", None, {}) if digest else None
    problem = wrong(described)
    if problem:
        raise DefinitionMalformed(problem)
    own = described.digest
    if digest is not None and digest != own:
        raise DefinitionMalformed(f"It was told as {digest[:80]}, and its content is {own}.")
    texts: dict[tuple[str, str], tuple[str, bytes]] = {}
    for part in described.parts:
        data = kept(part, redact)
        if data is not None:
            texts[part.key] = (canonical.digest_bytes(data), data)
    return Told(own, redact(described.place[:MAX_PLACE]), described, texts)


def seen(
    core: Core, rows: Rows, what: Told | None, agent: Agent, person: str | None, session: str
) -> list[Draft]:
    """`definition.seen`, if it is; and what is to be found in it, compared with what was there before."""
    if what is None:
        return []
    row = rows.row("definition", key(agent.name, what.digest))
    place = rows.row("agent-place", key(agent.name, what.place))
    drafts: list[Draft] = []
    whole = what.described is not None
    if row is None or (whole and not row["told"]):
        drafts.append(_seen(what, agent, person, session))
    if row is None or place is None or place["last"] != what.digest:
        drafts += definition_findings.drafts(
            core, rows, what.digest, what.described, what.place, agent, session
        )
    return drafts


def _seen(what: Told, agent: Agent, person: str | None, session: str) -> Draft:
    described = what.described or Definition(agent.client)
    whole = what.described is not None
    fields = {
        "agent": agent.name,
        "client": described.client,
        "digest": what.digest,
        "place": what.place,
        "model": described.model,
        "parameters": to_builtins(described.parameters),
        "parts": [
            {
                "kind": part.kind,
                "name": part.name,
                "digest": part.digest,
                "size": part.size,
                "text": what.texts[part.key][0] if part.key in what.texts else None,
            }
            for part in described.parts
        ],
        "told": whole,
        "owner": agent.owner,
        "by": person,
        "session": session,
    }
    name = canonical.digest({"agent": agent.name, "definition": what.digest, "told": whole})
    return Draft("definition.seen", fields, once=f"definition.seen:{name}", blobs=dict(what.texts.values()))


# --- what is known of one ------------------------------------------------------------------------------------------


def _known(core: Core, rows: Rows, action: Action) -> State:
    who = action.attribution
    session = rows.row("session", action.session) or {}
    own = session.get("definition")
    named = {who.definition or own, own or who.definition}
    agents = {who.agent.name, acting(core, action)}
    states = [state_of(rows, agent, one, session.get("place", "")) for agent in agents for one in named]
    return max(states, key=_STRICTNESS.index)


def known(core: Core, action: Action, reading: Reading) -> dict[str, Any]:
    """The facts `definition` and `definition_known` of an action."""
    state = _known(core, core.ledger, action)
    return {"definition": state, "definition_known": state == "approved"}


def still(core: Core, rows: Rows, action: Action, reading: Reading, facts: Facts) -> bool:
    """Whether it is known as it was."""
    return _known(core, rows, action) == facts.definition


def listable(core: Core, agent: str) -> tuple[frozenset[tuple[str, str]], ...]:
    """Name and digest of every part, of each approved definition of *agent*; none where policy does not want tools listed."""
    if not core.policy.drift.definitions.list_tools:
        return ()
    return approved_parts(core, agent)


def approved_parts(core: Core, agent: str) -> tuple[frozenset[tuple[str, str]], ...]:
    """The same, whatever policy wants."""
    rows = core.ledger.rows("definition", state="approved", limit=1000)
    return tuple(
        frozenset((part["name"], part["digest"]) for part in core.full(row["parts"]))
        for row in rows
        if row["agent"] == agent
    )


def of_session(core: Core, session: str) -> tuple[Agent, str | None, str | None, str] | None:
    """Agent, initiator, definition and place of a session."""
    row = core.ledger.row("session", session)
    if row is None:
        return None
    human = core.full(row.get("human"))
    agent = msgspec.convert(core.full(row["agent"]), Agent)
    return agent, human["person"] if human else None, row.get("definition"), row.get("place", "")


def tightens(core: Core, session: str) -> bool:
    """Whether policy is stricter in *session* now because of what its agent is: then no answer is kept in mind."""
    found = of_session(core, session)
    if found is None:
        return False
    agent, _, digest, place = found
    rules = core.policy.drift.definitions
    return rules.answer(state_of(core.ledger, agent.name, digest, place)) != "run"


__all__: Sequence[str] = (
    "DefinitionMalformed", "Told", "approved_parts", "known", "listable", "of_session", "seen", "still", "tightens", "told",
)  # fmt: skip
