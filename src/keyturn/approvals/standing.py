"""What the approvals so far amount to: who counts, for which stage, and which layer is open.

Rules kept here:

- One human counts once over all stages. Source: NIST SP 800-53r5 AC-3(2).
- Standing is worked out afresh from the whole history with the roster of *now*: whoever was removed, left the group or
  turned out to be the same human as another no longer counts, and what was built on them doesn't either.
- Within a layer people are placed by maximum matching, so neither who came first nor who is in several groups decides
  whether the requirement is met.
- A person and everybody they stand in for are one voice: it counts once. An approval counts in the capacity in which it was given,
  as long as that holds: when a delegation ends before the request does, what was approved by it no longer counts.
- A layer opens when the one before is complete. Whoever completed it does not count again in a later one.
- An approval is admitted exactly if it brings the open layer one person closer. No other one is recorded, so every
  recorded approval was needed when it was given. When all layers are complete without one (somebody who approved came back
  into their group), the next word of anybody who may decide is enough: coming back approves nothing by itself.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from keyturn.approvals.delegation import Chain, stand_ins
from keyturn.approvals.eligibility import Capacity, capacities, eligible, involved, own, recorded
from keyturn.approvals.errors import (
    AlreadyGiven,
    ApproverNoDelegation,
    ApproverNotMember,
    DecisionRefused,
    StageComplete,
    StageNotOpen,
)
from keyturn.approvals.request import Approval, RequestState
from keyturn.identity import Person, Roster
from keyturn.requirement import Stage, place


class Standing(Struct, frozen=True):
    """`layer` is the index of the open layer (their number when all are complete); `placed` are the people who count
    and the stage each fills, in order of arrival; `open` how many of the last of them belong to the open layer.

    `given` are the capacities of those placed, in the same order; `admitted` the one in which the last came.
    """

    layer: int = 0
    placed: tuple[tuple[str, int], ...] = ()
    open: int = 0
    given: tuple[Capacity, ...] = ()
    admitted: Capacity | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """Ids of the people who count."""
        return tuple(person for person, _ in self.placed)

    @property
    def voices(self) -> tuple[str, ...]:
        """Ids of the people who count and of all whom they stand in for."""
        return tuple(
            who
            for (person, _), capacity in zip(self.placed, self.given, strict=True)
            for who in (person, *capacity.chain)
        )


class StageProgress(Struct, frozen=True):
    """`have` of `need` distinct people out of `group`; `people` who count; `who` is asked and may still decide (one id a human).

    `stands_in`: whom of `who` decides for whom. Somebody who handed their place over is not asked while who stands in for them is,
    and enough people are.
    """

    group: str
    need: int
    order: int
    have: int
    people: tuple[str, ...]
    who: tuple[str, ...]
    open: bool
    stands_in: tuple[tuple[str, str], ...] = ()


def standing(state: RequestState, roster: Roster) -> Standing:
    """Where *state*'s approvals stand with *roster* as it is now."""
    now = Standing()
    for approval in state.approvals:
        if approval.choice == "approve":
            after = _again(now, approval, state, roster)
            now = after if isinstance(after, Standing) else now
    return now


def complete(now: Standing, state: RequestState) -> bool:
    """Whether every stage has its people."""
    return now.layer == len(state.requirement.layers)


def open_order(now: Standing, state: RequestState) -> int | None:
    """The `order` of the open layer, None when all are complete."""
    return None if complete(now, state) else _orders(state)[now.layer]


def admit(
    now: Standing, person: str, state: RequestState, roster: Roster, on_behalf_of: str = ""
) -> Standing | DecisionRefused:
    """*now* with *person*'s approval, or why it adds nothing.

    They decide for themselves if that adds something, else for the first whom they stand in for; with *on_behalf_of* only for
    that person.
    """
    can = eligible(person, state, roster)
    if can.refusal is not None:
        return can.refusal
    if on_behalf_of and not any(c.chain[:1] == (on_behalf_of,) for c in can.capacities):
        return ApproverNoDelegation(f"You don't stand in for {on_behalf_of[:80]} here.")
    if complete(now, state):
        return replace(now, admitted=can.capacities[0])
    same = next((other for other in now.voices if roster.same_human(other, person)), None)
    if same is not None:
        return AlreadyGiven(_already(person, same, now))
    options = capacities(roster.people[person], state, roster, _taken(now, state, roster))
    if on_behalf_of:
        options = tuple(c for c in options if c.chain[:1] == (on_behalf_of,))
    if not options:
        holder = on_behalf_of or can.capacities[0].chain[0]
        return AlreadyGiven(
            f"The voice of {holder}, for whom you stand in, counts already; one person counts once."
        )
    results = [_admitted(now, person, option, state, roster) for option in options]
    return next((found for found in results if isinstance(found, Standing)), results[0])


def progress(state: RequestState, roster: Roster) -> tuple[StageProgress, ...]:
    """Each stage in the requirement's order: who counts and who may still decide."""
    now = Standing(placed=state.placed) if state.state == "approved" else standing(state, roster)
    who = _who(now, state, roster) if state.waiting else {}
    layer = open_order(now, state) if state.waiting else None
    shown = []
    for index, stage in enumerate(state.stages):
        people = tuple(person for person, filled in now.placed if filled == index)
        asked = who.get(index, {})
        shown.append(
            StageProgress(
                stage.group,
                stage.need,
                stage.order,
                len(people),
                people,
                tuple(asked),
                stage.order == layer and len(people) < stage.need,
                tuple((person, chain[0]) for person, chain in asked.items() if chain),
            )
        )
    return tuple(shown)


def reachable(state: RequestState, roster: Roster) -> bool:
    """Whether the people of *roster* can still complete the requirement at all, in the best case.

    False when a request is opened means: it can only be denied, withdrawn or expire. Say so at once. Delegations change
    nothing here: whoever stands in for somebody uses that person's voice, and adds none.
    """
    if not state.waiting:
        return state.state == "approved"
    now = standing(state, roster)
    stages = state.stages
    orders = _orders(state)
    if complete(now, state):
        return True
    wishes = _layer_wishes(now, state)
    order = orders[now.layer]
    taken = _taken(now, state, roster)
    by_human: dict[str, set[int]] = {}
    for key, person in _members(state, roster).items():
        mine = own(person, state)
        if mine and roster.human(key) not in taken:
            later = {i for i in mine.stages if stages[i].order >= order}
            by_human.setdefault(roster.human(key), set()).update(later)
    needs = [stage.need if stage.order >= order else 0 for stage in stages]
    placed = place([*wishes, *by_human.values()], needs)
    return sum(stage is not None for stage in placed) == sum(needs)


def _again(
    now: Standing, approval: Approval, state: RequestState, roster: Roster
) -> Standing | DecisionRefused:
    """*now* with an approval given earlier, in the capacity in which it was given."""
    can = eligible(approval.person, state, roster)
    if can.refusal is not None:
        return can.refusal
    person = roster.people[approval.person]
    capacity = recorded(person, approval.chain, state, roster)
    if capacity is None:
        return ApproverNotMember(f"{approval.person} no longer has the place that they decided for.")
    taken = {roster.human(who) for who in now.voices}
    same = next((who for who in (approval.person, *approval.chain) if roster.human(who) in taken), None)
    if same is not None:
        return AlreadyGiven(_already(approval.person, same, now))
    if complete(now, state):
        return StageComplete("Every stage of this request is complete.")
    return _admitted(now, approval.person, capacity, state, roster)


def _admitted(
    now: Standing, person: str, capacity: Capacity, state: RequestState, roster: Roster
) -> Standing | DecisionRefused:
    """*now* with *person* placed in the open layer in that *capacity*, or why there is no place for them."""
    stages = state.stages
    order = _orders(state)[now.layer]
    mine = [i for i in capacity.stages if stages[i].order == order]
    if not mine:
        return _other_layer(capacity.stages, now, state)
    return _placed(now, person, capacity, state) or StageComplete(
        f"{_named(mine, state)} has all the people it needs; the request waits for {_waits_for(now, state)}."
    )


def _taken(now: Standing, state: RequestState, roster: Roster) -> frozenset[str]:
    """The humans who can't be stood in for: their voice counts already, or they have another part."""
    return involved(state, roster) | {roster.human(who) for who in now.voices}


def _orders(state: RequestState) -> list[int]:
    return sorted({stage.order for stage in state.requirement.stages})


def _layer_wishes(now: Standing, state: RequestState) -> list[set[int]]:
    """The open layer's stages that each person counted there can fill."""
    order = _orders(state)[now.layer]
    stages = state.stages
    given = now.given[len(now.given) - now.open :]
    return [{i for i in capacity.stages if stages[i].order == order} for capacity in given]


def _placed(now: Standing, person: str, capacity: Capacity, state: RequestState) -> Standing | None:
    """*now* with *person* placed in the open layer, closing it when full; None when there is no place for them."""
    stages = state.stages
    order = _orders(state)[now.layer]
    split = len(now.placed) - now.open
    people = [*(who for who, _ in now.placed[split:]), person]
    needs = [stage.need if stage.order == order else 0 for stage in stages]
    mine = {i for i in capacity.stages if stages[i].order == order}
    filled = place([*_layer_wishes(now, state), mine], needs)
    if filled[-1] is None:
        return None
    placed = (
        *now.placed[:split],
        *((who, stage) for who, stage in zip(people, filled, strict=True) if stage is not None),
    )
    given = (*now.given, capacity)
    if len(people) == sum(needs):
        return Standing(now.layer + 1, placed, 0, given, capacity)
    return Standing(now.layer, placed, len(people), given, capacity)


def _members(state: RequestState, roster: Roster) -> dict[str, Person]:
    """The people of all groups that *state* asks and who have no other part in it, in order of id."""
    groups = {group for stage in state.stages for group in stage.groups}
    people = {person.id: person for group in groups for person in roster.members(group)}
    apart = involved(state, roster)
    return {key: people[key] for key in sorted(people) if roster.human(key) not in apart}


def _who(now: Standing, state: RequestState, roster: Roster) -> dict[int, dict[str, Chain]]:
    """Per stage of the open and later layers, one id for each human who is asked, and for whom they would decide."""
    stages = state.stages
    done = complete(now, state)  # then anybody's word is enough
    order = -1 if done else _orders(state)[now.layer]
    taken = involved(state, roster) if done else _taken(now, state, roster)
    helps: dict[tuple[int, ...], bool] = {}
    who: dict[int, dict[str, Chain]] = {}
    humans: set[tuple[int, str]] = set()
    people = _members(state, roster)
    people |= {d.to: p for d in roster.delegations if (p := roster.get(d.to)) and not p.reads_only}
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[Capacity, ...]] = {}
    for key, person in sorted(people.items()):
        if (human := roster.human(key)) in taken:
            continue
        found = alike.get((person.groups, person.roles))
        if found is None or roster.handed_to(key):
            found = capacities(person, state, roster, taken)
        if not roster.handed_to(key):
            alike[person.groups, person.roles] = found
        for capacity in found:
            if not done and capacity.stages not in helps:
                helps[capacity.stages] = _placed(now, key, capacity, state) is not None
            for index in capacity.stages:
                asked = stages[index].order > order or (
                    stages[index].order == order and helps[capacity.stages]
                )
                if asked and (index, human) not in humans:
                    humans.add((index, human))
                    who.setdefault(index, {})[key] = capacity.chain
    return {
        index: _at_hand(
            asked, stages[index], stages[index].need - sum(at == index for _, at in now.placed), roster
        )
        for index, asked in who.items()
    }


def _at_hand(asked: dict[str, Chain], stage: Stage, missing: int, roster: Roster) -> dict[str, Chain]:
    """*asked* without those who are away: who handed their places of *stage* over to somebody who is asked.

    They are left out only as long as those who remain are enough people.
    """
    left = dict(asked)
    for person in {d.person: None for d in roster.delegations}:
        if asked.get(person) != ():  # not asked, or for somebody else
            continue
        mine = [group for group in stage.groups if roster.people[person].counts_for(group)]
        handed = stand_ins(person, mine, roster)
        instead = {to for everyone in handed.values() for to in everyone}
        instead |= {to for to, through in left.items() if person in through}
        if len(handed) == len(mine) and not instead.isdisjoint(left) and len(left) > missing:
            del left[person]
    return left


def _already(person: str, same: str, now: Standing) -> str:
    for (given_by, _), capacity in zip(now.placed, now.given, strict=True):
        if same in capacity.chain:
            return f"{given_by} approved this for {same} already; the two are one voice, and one person counts once."
    if person == same:
        return "You approved this already, and one person counts once."
    return f"{same} approved this already and is the same person as {person}; one person counts once."


def _other_layer(mine: tuple[int, ...], now: Standing, state: RequestState) -> DecisionRefused:
    """Why somebody without a stage in the open layer can't approve now."""
    order = _orders(state)[now.layer]
    later = [i for i in mine if state.stages[i].order > order]
    waits = _waits_for(now, state)
    if later:
        return StageNotOpen(f"{_named(later, state)} comes later: the request first waits for {waits}.")
    return StageComplete(f"{_named(list(mine), state)} is complete; the request waits for {waits}.")


def _waits_for(now: Standing, state: RequestState) -> str:
    """`1 more of dba, 2 more of security` of the open layer."""
    order = _orders(state)[now.layer]
    missing = []
    for index, stage in enumerate(state.stages):
        have = sum(filled == index for _, filled in now.placed)
        if stage.order == order and have < stage.need:
            missing.append(f"{stage.need - have} more of {stage.title}")
    return ", ".join(missing)


def _named(indices: list[int], state: RequestState) -> str:
    return (
        "Your stage ("
        + ", ".join(f"{state.stages[i].need} of {state.stages[i].title}" for i in indices)
        + ")"
    )
