"""What policy knows of an action beside its reading: who asks, and what the log says about that at this moment.

`GATHERERS` give the facts of drift; each is one function of core, action and reading, and its cost does not grow with the log.
`STANDING` say, in the writer's own turn, whether what was gathered still stands: an action that ran meanwhile may have used up what
was left of a limit. Then it is decided again. They read rows of `READ` and nothing else; where no such row changed since, they are not
asked again, but for those of `COUNTING`, to whom it also matters how late it is.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from keyturn import canonical
from keyturn.actions import Action, Reading
from keyturn.drift.remembering import Remembered
from keyturn.identity import Roster
from keyturn.ledger.entries import Moving, Rows
from keyturn.policy.decision import Facts
from keyturn.service import (
    artefacts,
    capturing,
    definitions,
    finding_facts,
    limits,
    novelty,
    orders,
    ratchets,
    scopes,
)
from keyturn.service.core import Core

Gatherer = Callable[[Core, Action, Reading], dict[str, Any]]
OF_THE_AGENT: tuple[Gatherer, ...] = (definitions.known, finding_facts.gather)
"""Those that look at nothing but session, agent, definition and parents: what they say stays until a row of `READ` changes."""
GATHERERS: tuple[Gatherer, ...] = (
    artefacts.overdue_paths,
    limits.gather,
    capturing.kinds,
    orders.gather,
    novelty.gather,
    ratchets.gather,
    scopes.gather,
)
"""The others. Each gives fields of `Facts`."""

UNCOUNTED = tuple(one for one in GATHERERS if one not in (limits.gather, orders.gather, ratchets.gather))
"""Those that have something to say of an action that nothing counts."""

Standing = Callable[[Core, Rows, Action, Reading, Facts], bool]
COUNTING: tuple[Standing, ...] = (limits.stand, orders.stand, ratchets.stand)
STANDING: tuple[Standing, ...] = (definitions.still, finding_facts.stand, novelty.stand, *COUNTING)
"""Each says whether facts that were gathered before still stand, as of *rows*."""
READ = ("session", "definition", "agent", "agent-place", "finding-about", "baseline", "roster")
"""The kinds of rows that they read, those apart that only `COUNTING` does."""

RECORDERS: tuple[Callable[[Core, Action, Reading, Facts], dict[str, Any]], ...] = (
    limits.recorded,
    orders.recorded,
    ratchets.recorded,
)
"""Each gives further fields of `action.decided`, which folds and detectors read."""
UNCOUNTED_RECORDERS = (ratchets.recorded,)
"""Those that have something to say of an action that nothing counts: the first change of all is no step yet."""

WATCHERS: tuple[Callable[[Core, Action, Reading], bool], ...] = (
    limits.watched,
    orders.watched,
    ratchets.watched,
    scopes.watched,
)
"""Each says whether the same action, asked again, may be decided otherwise because it happened before."""

OF_DRIFT = ("definition", "over", "broken", "first", "findings", "secrets", "overdue", "undeclared")
"""Facts that depend on the log, and so are recorded with the decision."""

_OF_DRIFT = attrgetter(*OF_DRIFT)
_NONE_OF_DRIFT = _OF_DRIFT(Facts())


def gathered(core: Core, action: Action, reading: Reading, counted: bool | None = None) -> Facts:
    """Everything policy may know. *counted* is what `watched` says, where it is known."""
    facts = _of_the_agent(core, action, reading)
    counted = watched(core, action, reading) if counted is None else counted
    for gather in GATHERERS if counted else UNCOUNTED:
        found = gather(core, action, reading)
        if found:
            facts = _with(facts, found)
    return facts


def _of_the_agent(core: Core, action: Action, reading: Reading) -> Facts:
    """What does not depend on what is asked, remembered for as long as the rows are the same, and who is on call."""
    who = action.attribution
    person = who.human.person if who.human else None
    key = (
        action.session,
        who.agent,
        person,
        who.definition,
        who.parents,
        who.missing,
        action.gate.assurance,
        action.target,
    )
    as_of, roster = core.ledger.moved(READ), core.roster
    known = core.facts_of_agents.get(key)
    if known is None or known[0] != as_of or known[1] is not roster:
        known = (as_of, roster, _gathered_of_the_agent(core, action, reading, roster))
        core.facts_of_agents.keep(key, known)
    return known[2]


def _gathered_of_the_agent(core: Core, action: Action, reading: Reading, roster: Roster) -> Facts:
    who = action.attribution
    person = roster.get(who.human.person) if who.human else None
    facts = Facts(
        agent=who.agent.name,
        client=who.agent.client,
        human=person.id if person else None,
        human_groups=person.groups if person else (),
        missing=who.missing if person or not who.human else tuple(sorted({*who.missing, "human"})),
        assurance=action.gate.assurance,
        target=action.target,
    )
    for gather in OF_THE_AGENT:
        facts = _with(facts, gather(core, action, reading))
    return facts


def _with(facts: Facts, found: dict[str, Any]) -> Facts:
    told = (*facts.told, *found.pop("told", ()))
    if "broken" in found:
        found["broken"] = (*facts.broken, *found["broken"])
    return replace(facts, told=told, **found)


def stand(
    core: Core, rows: Moving, action: Action, reading: Reading, facts: Facts, as_of: int, counted: bool
) -> bool:
    """Whether *facts* are as they would be gathered now.

    *as_of* is what `moved` said of `READ` before they were gathered, *counted* what `watched` did.
    """
    asked: tuple[Standing, ...] = STANDING
    if rows.moved(READ) == as_of:
        if not counted:
            return True
        asked = COUNTING
    return all(still(core, rows, action, reading, facts) for still in asked)


def asked(facts: Facts, asks: str) -> str:
    """*asks*, and what is exceeded or broken: what people let run again without knowing of that does not cover it."""
    if not facts.over and not facts.broken:
        return asks
    return canonical.digest({"asks": asks, "over": list(facts.over), "broken": list(facts.broken)})


def fields(core: Core, action: Action, reading: Reading, facts: Facts, counted: bool) -> dict[str, Any]:
    """What `action.decided` says of drift beside its facts."""
    further: dict[str, Any] = {}
    for record in RECORDERS if counted else UNCOUNTED_RECORDERS:
        further |= record(core, action, reading, facts)
    return further


def watched(core: Core, action: Action, reading: Reading) -> bool:
    """Whether something counts it or watches its order: then a gate has to ask each time."""
    word = f"{action.kind}:{action.target}"
    return _WATCHED.of(core.policy, reading, word, lambda: _watched(core, action, reading))


def _watched(core: Core, action: Action, reading: Reading) -> bool:
    return any(watch(core, action, reading) for watch in WATCHERS)


_WATCHED: Remembered[bool] = Remembered()


def recorded(facts: Facts) -> dict[str, Any]:
    """The facts of drift that say anything, as they are written into `action.decided`."""
    found = _OF_DRIFT(facts)
    if found == _NONE_OF_DRIFT:
        return {}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value, none in zip(OF_DRIFT, found, _NONE_OF_DRIFT, strict=True)
        if value != none
    }
