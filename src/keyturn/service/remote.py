"""What gates and agents with a credential may say: in their own name, for the human whom their credential proves.

Rules kept here:

- The gate's name is the credential's, whatever a message says; its level is what it was enrolled with.
- The human of a session is who the agent's token acts for (`how: token`), proven by signature; a gate that only names
  somebody gives its word (`how: declared`), and the two are told apart for ever.
- In a session whose human is proven, no message names another one.
- An agent's token proposes the kinds of action that its scopes name, and no other.
- Only who opened a session speaks for it; renewing a credential changes nothing about who that is. Nobody asks in a session that
  was opened before they stood behind the agent's token.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from keyturn.actions import Action, Agent, Gate, Human
from keyturn.drift.definition import Definition
from keyturn.errors import Malformed
from keyturn.identity.credentials import CredentialScope
from keyturn.service import callers
from keyturn.service.callers import Caller
from keyturn.service.core import Core
from keyturn.service.errors import Forbidden, PersonUnknown, UnknownSession
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Opener, SessionView
from keyturn.service.requests import required
from keyturn.service.sessions import check_opener


def opener(caller: Caller) -> Opener:
    """*caller* as whoever opens a session."""
    return Opener(caller.holder, credential=caller.credential, machine=caller.machine)


def gate(core: Core, caller: Caller, version: str = "") -> Gate:
    """The gate that *caller* is: an agent that asks by itself is one of its own, and advisory."""
    row = core.ledger.row("gate", caller.name) if caller.kind == "gate" else None
    return Gate(caller.gate, (row or {}).get("assurance", "advisory"), version)


async def open_session(
    service: Keyturn,
    caller: Caller,
    agent: Agent,
    *,
    cwd: str,
    client_session: str = "",
    parents: Sequence[str] = (),
    definition: str | None = None,
    human: str | None = None,
    token: str = "",
    version: str = "",
    described: Definition | None = None,
) -> SessionView:
    """Open a session for *caller*. With *token*, an agent's own, a gate proves for whom the agent acts.

    Raises `CredentialRefused`, `PersonUnknown`, `Malformed`.
    """
    core = service.core
    behind = callers.by_token(core, token, machine=caller.machine) if token else caller
    if token and behind.kind != "agent":
        raise Malformed("`token` is the token of the agent that the gate asks for.")
    proven = behind.kind == "agent"
    who = _declared(core, Human(human, "declared") if human else None)
    if proven:
        who = Human(behind.person, "token") if behind.person else None
        agent = msgspec.structs.replace(agent, name=behind.name, owner=behind.owner)
    speaker = opener(caller)
    if token:
        speaker = msgspec.structs.replace(speaker, credential=behind.credential)
    return await service.open_session(
        agent=agent,
        human=who,
        gate=gate(core, caller, version),
        cwd=cwd,
        client_session=client_session,
        parents=(*behind.actors[1:], *parents),
        definition=definition,
        opener=speaker,
        chain=behind.chain if proven else (),
        described=described,
    )


def attributed(service: Keyturn, caller: Caller, action: Action) -> Action:
    """*action* as *caller* may ask for it. Raises `UnknownSession`, `CredentialScope`, `PersonUnknown`."""
    core = service.core
    require_own(core, caller, action.session)
    row = core.ledger.row("session", action.session) or {}
    if not set(caller.chain) <= set(core.full(row.get("chain", ()))):
        # Who stands behind this token would not stand behind what is asked in that session (promise 6).
        raise UnknownSession(
            f"The session {action.session} was opened by a token that others stand behind: open a new one."
        )
    held = callers.scopes_of(core, row.get("opener") or {}, caller)
    if held is not None and action.kind not in held:
        raise CredentialScope(
            f"The agent's token may propose {', '.join(held) or 'nothing'}, not {action.kind}."
        )
    opened_for = core.full(row.get("human")) or {}
    if opened_for.get("how") == "token" or row.get("chain"):
        human = Human(opened_for["person"], "token") if opened_for else None
        agent = core.full(row["agent"])
        own = msgspec.structs.replace(action.attribution.agent, name=agent["name"], owner=agent.get("owner"))
        parents = tuple(core.full(row.get("parents", [])))
        who = msgspec.structs.replace(action.attribution, human=human, agent=own, parents=parents)
    else:
        who = msgspec.structs.replace(action.attribution, human=_declared(core, action.attribution.human))
    return msgspec.structs.replace(action, gate=gate(core, caller, action.gate.version), attribution=who)


def require_own(core: Core, caller: Caller, session: str) -> None:
    """Raises `UnknownSession` unless *caller* opened that session."""
    row = core.ledger.row("session", session)
    if (
        row is not None and row.get("opener") is None
    ):  # of an earlier version: there the gate's name is all there is
        if row["gate"]["name"] == caller.gate:
            return
        raise UnknownSession(f"The session {session} was opened at another gate.")
    check_opener(core.ledger, session, opener(caller))


def require_own_request(core: Core, caller: Caller, request: str) -> None:
    """Raises `Forbidden` unless that request was made in a session of *caller*'s."""
    row = required(core, request)
    try:
        require_own(core, caller, str(row.get("session") or ""))
    except UnknownSession as error:
        raise Forbidden(f"The request {request} was made at another gate.") from error


def require_own_action(core: Core, caller: Caller, action: str) -> None:
    """Raises `Forbidden` unless that action was asked for in a session of *caller*'s. An unknown one is another's word for it."""
    row = core.ledger.row("action", action)
    if row is None:
        return
    try:
        require_own(core, caller, row["session"])
    except UnknownSession as error:
        raise Forbidden(f"The action {action} was asked for at another gate.") from error


def _declared(core: Core, human: Human | None) -> Human | None:
    """The human whom a remote gate names: somebody enrolled, and recorded as its word, not as evidence."""
    if human is None:
        return None
    if core.roster.get(human.person) is None:
        raise PersonUnknown(f"There is no person {human.person}.")
    return Human(human.person, "declared")
