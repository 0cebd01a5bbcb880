"""Who stands in for whom (promise 6 through delegation).

Rules kept here:

- Somebody may hand their places in their own groups over to a named colleague, until a time. What was handed to them they may
  hand on. The chain of people from the one who is in the group to the one who decides is the *chain* of a decision.
- Everybody on a chain is one voice: once it counts, none of them counts again, in no stage.
- Nobody on a chain may have another part in the request. A chain that begins with, ends with or passes through the one who
  asked, the agent's owner or an author carries nothing, however long it is.
- Everybody on a chain is on the roster and not removed, and the first is in the group, *now*: a delegation never carries
  more than its giver has at this moment.
- Nobody is more than one person on a chain, and the shortest chain to each holder of a place is taken.
- Being an administrator can't be handed over: it is a duty, not a place in a group.

Source: NIST SP 800-53r5 AC-5 (separation of duties), AC-3(2) (dual authorization), AC-6 (least privilege).
"""

from __future__ import annotations

from collections.abc import Container, Iterable

from keyturn.approvals.errors import (
    DelegationCircular,
    DelegationNotYours,
    DelegationRefused,
    DelegationTime,
    DelegationToNobody,
    DelegationTooMany,
)
from keyturn.identity import Delegation, Roster
from keyturn.identity.people import ADMINS, Group

MAX_DAYS = 90
"""How long a delegation may last. Somebody who is away longer leaves the group."""
MAX_OPEN = 20
"""Delegations that somebody has given and that have not ended."""

Chain = tuple[str, ...]
"""Ids from the one whose place it is to the one who handed it to the person deciding; empty: they decide for themselves."""


def chains(person: str, group: Group, roster: Roster, without: Container[str] = ()) -> tuple[Chain, ...]:
    """The chains by which *person* may fill a place of *group*: the shortest for each holder of one, shortest first.

    No chain touches the humans *without*. The delegations of *roster* are those that carry now (`Roster.at`).
    """
    if group == ADMINS:
        return ()
    found: list[Chain] = []
    seen = {roster.human(person)}
    queue: list[tuple[str, Chain]] = [(person, ())]
    for who, chain in queue:
        for delegation in roster.handed_to(who):
            giver = roster.get(delegation.person)
            if giver is None or group not in delegation.groups:
                continue
            human = roster.human(giver.id)
            if human in seen or human in without:
                continue
            seen.add(human)
            longer = (giver.id, *chain)
            queue.append((giver.id, longer))
            if giver.counts_for(group):
                found.append(longer)
    return tuple(found)


def carries(chain: Chain, person: str, group: Group, roster: Roster, without: Container[str] = ()) -> bool:
    """Whether *chain*, recorded earlier, still lets *person* fill a place of *group*."""
    humans = [roster.human(who) for who in (*chain, person)]
    if group == ADMINS or len(set(humans)) < len(humans) or any(human in without for human in humans):
        return False
    holder = roster.get(chain[0])
    if holder is None or not holder.counts_for(group):
        return False
    links = zip(chain, (*chain[1:], person), strict=True)
    return all(roster.get(giver) is not None and _link(giver, to, group, roster) for giver, to in links)


def _link(giver: str, to: str, group: Group, roster: Roster) -> bool:
    return any(d.person == giver and group in d.groups for d in roster.handed_to(to))


def refusal(new: Delegation, roster: Roster, now_ms: int) -> DelegationRefused | None:
    """Why *new* can't be opened; None when it can. *roster* has all delegations that have not ended."""
    giver, to = roster.get(new.person), roster.get(new.to)
    if giver is None or to is None:
        return DelegationToNobody(f"There is no person {(new.to if giver else new.person)[:80]!r}.")
    if roster.same_human(new.person, new.to):
        return DelegationToNobody(
            f"{new.to} is you: a second account of yours is not somebody else."
            if new.to != new.person
            else "You can't stand in for yourself."
        )
    if not new.groups:
        return DelegationNotYours("You are in no group whose places you could hand over.")
    if not now_ms < new.until_ms <= now_ms + MAX_DAYS * 86_400_000 or new.since_ms >= new.until_ms:
        return DelegationTime(f"It has to end after it begins, in the future, and within {MAX_DAYS} days.")
    if sum(d.person == new.person and d.until_ms > now_ms for d in roster.delegations) >= MAX_OPEN:
        return DelegationTooMany(f"You have {MAX_OPEN} delegations that have not ended.")
    return _groups_refused(new, roster.at(max(now_ms, new.since_ms)))


def _groups_refused(new: Delegation, roster: Roster) -> DelegationRefused | None:
    giver = roster.people[new.person]
    for group in new.groups:
        if group == ADMINS:
            return DelegationNotYours("Being an administrator can't be handed over.")
        if not giver.counts_for(group) and not chains(new.person, group, roster):
            return DelegationNotYours(f"You are not in {group[:80]} and stand in for nobody who is.")
        if new.to in _givers(new.person, group, roster):
            return DelegationCircular(f"{new.to} hands {group} over to you: it would come back to them.")
    return None


def _givers(person: str, group: Group, roster: Roster) -> set[str]:
    """Everybody whose handing over of *group* reaches *person*."""
    reached, queue = set[str](), [person]
    for who in queue:
        for delegation in roster.handed_to(who):
            if group in delegation.groups and delegation.person not in reached:
                reached.add(delegation.person)
                queue.append(delegation.person)
    return reached


def stand_ins(person: str, groups: Iterable[Group], roster: Roster) -> dict[Group, tuple[str, ...]]:
    """For each of *groups* that *person* has handed over, to whom: who is asked instead of them."""
    handed: dict[Group, tuple[str, ...]] = {}
    for group in groups:
        to = tuple(d.to for d in roster.delegations if d.person == person and group in d.groups)
        if to:
            handed[group] = to
    return handed
