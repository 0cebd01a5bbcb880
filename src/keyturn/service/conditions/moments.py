"""Whether a thing may be approved, or run, at this moment: windows and freezes, looked at when it is decided and when it runs.

Rules kept here:

- The clock is the later one of this machine's and the log's newest entry: a clock that is set back opens no window again.
- A window has to be open when the approval is given, when the permit is claimed, and when it is used.
- A freeze that refuses stops the approval, the claim and the use. One that holds stops the use of what was decided before
  it began: nobody could know of it then.
- A denial is never stopped.
- Gates that keep answers in mind are told when a freeze begins or ends, and keep none while one is on.
"""

from __future__ import annotations

from typing import Any

import msgspec

from keyturn import canonical
from keyturn.actions import Reading
from keyturn.approvals.errors import DecisionRefused
from keyturn.ledger.entries import Rows
from keyturn.policy import Policy
from keyturn.policy.decision import Facts, Obligations
from keyturn.policy.obligations import windows
from keyturn.policy.requirements.freezes import Freeze, covering, in_force
from keyturn.policy.requirements.windows import closed, next_opening, shown
from keyturn.service.conditions.errors import Frozen, NotNow, OutsideWindow, PermitNotNow
from keyturn.service.core import Core

Row = dict[str, Any]


def moment(core: Core) -> int:
    """Now, and never before what the log has seen (milliseconds since 1970)."""
    return max(core.now(), core.ledger.time)


def frozen_now(core: Core) -> tuple[str, ...]:
    """Names of the freezes that are on."""
    return tuple(one.name for one in in_force(core.policy.requirements.freezes, moment(core)))


def frozen_for(core: Core, reading: Reading, facts: Facts, asks: str) -> str:
    """*asks*, and the freezes that are on for this action: what people let run again outside of one does not cover it.

    Nor does what they let run again while the agent's definition was approved cover it when that was taken back.
    """
    on = [one.name for one in covering(core.policy.requirements.freezes, reading, facts, moment(core))]
    answer = core.policy.drift.definitions.answer(facts.definition)
    if answer != "run":
        on.append(f"definition {facts.definition}")
    return canonical.digest({"asks": asks, "freezes": on}) if on else asks


def turn(core: Core) -> int | None:
    """Tell the gates that keep answers when a freeze has begun or ended; gives when the next one does (ms)."""
    freezes = core.policy.requirements.freezes
    now, on = moment(core), frozen_now(core)
    if on != core.frozen:
        core.frozen = on
        core.watches.everybody()
    return min((at for one in freezes.values() for at in (one.begins, one.ends) if at > now), default=None)


def refusal(core: Core, request: Row) -> DecisionRefused | None:
    """Why *request* can't be approved at this moment, None when it can."""
    now = moment(core)
    shut = shut_words(core.policy, obligations_of(core, request), now)
    if shut:
        return OutsideWindow(shut)
    frozen = frozen_words(core, request, now)
    return Frozen(frozen) if frozen else None


def frozen_words(core: Core, request: Row, now: int) -> str:
    """Which freeze refuses what *request* is about at *now*; empty when none does."""
    if request["subject"] != "action":
        return ""
    frozen = [one for one in _covering(core, request["action"], now) if one.decision == "refuse"]
    return frozen[0].words if frozen else ""


def require_claimable(core: Core, request: Row) -> None:
    """Raises `NotNow` where an approved request can't be turned into a permit at this moment."""
    words = _not_now(core, request, request["action"], request["opened"])
    if words:
        raise NotNow(f"It was approved, but it can't run now. {words}")


def require_usable(core: Core, rows: Rows, action: Row) -> None:
    """Raises `PermitNotNow` where a permit can't be used at this moment."""
    grant = rows.row("grant", action["grant"]) if action.get("grant") else None
    plan = rows.row("plan", action["plan"]) if action.get("plan") else None
    asked = grant["request"] if grant else plan["request"] if plan else action.get("request")
    request = rows.row("request", asked) if asked else None
    words = _not_now(core, request, action["id"], action["time"])
    if words:
        raise PermitNotNow(f"It was permitted, but it can't run now. {words}")


def _not_now(core: Core, request: Row | None, action: str, decided: int) -> str:
    now = moment(core)
    if request is not None:
        words = shut_words(core.policy, obligations_of(core, request), now) or _lapsed(core, request, now)
        if words:
            return words
    frozen = [one for one in _covering(core, action, now) if one.decision == "refuse" or one.begins > decided]
    return frozen[0].words if frozen else ""


def shut_words(policy: Policy, asked: Obligations, now: int) -> str:
    """Which of the windows that *asked* needs are closed, and when they are open; empty when they are open."""
    wanted = windows(asked.window)
    known = policy.requirements.windows
    shut = closed(known, wanted, now)
    if not shut:
        return ""
    named = (
        f"The window {shut[0]} is closed" if len(shut) == 1 else f"The windows {', '.join(shut)} are closed"
    )
    opening = next_opening(known, wanted, now)
    if opening is None:
        return f"{named}, and not within a year are all that it needs open."
    return f"{named}; it opens {shown(opening, known[shut[0]].zone)}."


def lapsed(ticket: Row | None, now: int) -> str:
    """Why a recorded ticket does not count at *now*; empty when it does, or when there is none."""
    begins, ends = (ticket or {}).get("begins"), (ticket or {}).get("ends")
    if ticket is None or begins is None or ends is None or begins <= now < ends:
        return ""
    return f"The change {ticket['reference']} is for {shown(begins)} to {shown(ends)}, which is not now."


def _lapsed(core: Core, request: Row, now: int) -> str:
    found = (lapsed(core.full(a.get("ticket")), now) for a in request["approvals"])
    return next((words for words in found if words), "")


def _covering(core: Core, action: str, now: int) -> tuple[Freeze, ...]:
    freezes = core.policy.requirements.freezes
    if not in_force(freezes, now):  # so that nothing is read where nothing is frozen
        return ()
    row = core.ledger.row("action", action)
    entry = core.ledger.entry(row["entry"]) if row else None
    if entry is None:
        return in_force(freezes, now)
    human = core.full(entry.fields["human"])
    person = core.roster.get(human["person"]) if human else None
    facts = Facts(
        agent=core.full(entry.fields["agent"])["name"],
        human=person.id if person else None,
        human_groups=person.groups if person else (),
        target=core.full(entry.fields["action"])["target"],
    )
    return covering(freezes, msgspec.convert(core.full(entry.fields["reading"]), Reading), facts, now)


def obligations_of(core: Core, request: Row) -> Obligations:
    """What the request asks of people."""
    return msgspec.convert(core.full(request["obligations"]), Obligations)
