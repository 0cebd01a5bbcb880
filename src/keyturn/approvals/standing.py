"""What the approvals so far amount to: who counts, for which stage, and which layer is open.

Rules kept here:

- One human counts once over all stages. Source: NIST SP 800-53r5 AC-3(2).
- Standing is worked out afresh from the whole history with the roster of *now*: whoever was removed, left the group or
  turned out to be the same human as another no longer counts, and what was built on them doesn't either.
- Within a layer people are placed by maximum matching, so neither who came first nor who is in several groups decides
  whether the requirement is met.
- A layer opens when the one before is complete. Whoever completed it does not count again in a later one.
- An approval is admitted exactly if it brings the open layer one person closer. No other one is recorded, so every
  recorded approval was needed when it was given.
"""

from __future__ import annotations

from msgspec import Struct

from keyturn.approvals.eligibility import eligible
from keyturn.approvals.errors import AlreadyGiven, DecisionRefused, StageComplete, StageNotOpen
from keyturn.approvals.matching import place
from keyturn.approvals.request import RequestState
from keyturn.identity import Roster


class Standing(Struct, frozen=True):
    """`layer` is the index of the open layer (their number when all are complete); `placed` are the people who count
    and the stage each fills, in order of arrival; `open` how many of the last of them belong to the open layer.
    """

    layer: int = 0
    placed: tuple[tuple[str, int], ...] = ()
    open: int = 0

    @property
    def people(self) -> tuple[str, ...]:
        """Ids of the people who count."""
        return tuple(person for person, _ in self.placed)


class StageProgress(Struct, frozen=True):
    """`have` of `need` distinct people out of `group`; `people` who count; `who` may still decide (one id a human)."""

    group: str
    need: int
    order: int
    have: int
    people: tuple[str, ...]
    who: tuple[str, ...]
    open: bool


def standing(state: RequestState, roster: Roster) -> Standing:
    """Where *state*'s approvals stand with *roster* as it is now."""
    now = Standing()
    for approval in state.approvals:
        if approval.choice == "approve":
            after = admit(now, approval.person, state, roster)
            now = after if isinstance(after, Standing) else now
    return now


def complete(now: Standing, state: RequestState) -> bool:
    """Whether every stage has its people."""
    return now.layer == len(state.requirement.layers)


def admit(now: Standing, person: str, state: RequestState, roster: Roster) -> Standing | DecisionRefused:
    """*now* with *person*'s approval, or why it adds nothing."""
    can = eligible(person, state, roster)
    if can.refusal is not None:
        return can.refusal
    same = next((other for other in now.people if roster.same_human(other, person)), None)
    if same is not None:
        return AlreadyGiven(_already(person, same))
    stages = state.requirement.stages
    orders = _orders(state)
    if complete(now, state):
        return StageComplete("Every stage of this request is complete.")
    mine = [i for i in can.stages if stages[i].order == orders[now.layer]]
    if not mine:
        return _other_layer(can.stages, now, state)
    return _placed(now, person, state, roster) or StageComplete(
        f"{_named(mine, state)} has all the people it needs; the request waits for {_waits_for(now, state)}."
    )


def progress(state: RequestState, roster: Roster) -> tuple[StageProgress, ...]:
    """Each stage in the requirement's order: who counts and who may still decide."""
    now = Standing(placed=state.placed) if state.state == "approved" else standing(state, roster)
    who = _who(now, state, roster) if state.waiting else {}
    layer = _orders(state)[now.layer] if state.waiting and not complete(now, state) else None
    shown = []
    for index, stage in enumerate(state.requirement.stages):
        people = tuple(person for person, filled in now.placed if filled == index)
        is_open = stage.order == layer and len(people) < stage.need
        shown.append(
            StageProgress(
                stage.group, stage.need, stage.order, len(people), people, who.get(index, ()), is_open
            )
        )
    return tuple(shown)


def reachable(state: RequestState, roster: Roster) -> bool:
    """Whether the people of *roster* can still complete the requirement at all, in the best case.

    False when a request is opened means: it can only be denied, withdrawn or expire. Say so at once.
    """
    if not state.waiting:
        return state.state == "approved"
    now = standing(state, roster)
    stages = state.requirement.stages
    orders = _orders(state)
    if complete(now, state):
        return True
    wishes = _layer_wishes(now, state, roster)
    open_order = orders[now.layer]
    humans = {roster.human(person) for person in now.people}
    by_human: dict[str, set[int]] = {}
    for key in sorted(roster.people):
        can = eligible(key, state, roster)
        if can.ok and roster.human(key) not in humans:
            later = {i for i in can.stages if stages[i].order >= open_order}
            by_human.setdefault(roster.human(key), set()).update(later)
    needs = [stage.need if stage.order >= open_order else 0 for stage in stages]
    placed = place([*wishes, *by_human.values()], needs)
    return sum(stage is not None for stage in placed) == sum(needs)


def _orders(state: RequestState) -> list[int]:
    return sorted({stage.order for stage in state.requirement.stages})


def _layer_wishes(now: Standing, state: RequestState, roster: Roster) -> list[set[int]]:
    """The open layer's stages that each person counted there can fill."""
    order = _orders(state)[now.layer]
    stages = state.requirement.stages
    people = [person for person, _ in now.placed[len(now.placed) - now.open :]]
    return [{i for i in eligible(p, state, roster).stages if stages[i].order == order} for p in people]


def _placed(now: Standing, person: str, state: RequestState, roster: Roster) -> Standing | None:
    """*now* with *person* placed in the open layer, closing it when full; None when there is no place for them."""
    stages = state.requirement.stages
    order = _orders(state)[now.layer]
    split = len(now.placed) - now.open
    people = [*(who for who, _ in now.placed[split:]), person]
    needs = [stage.need if stage.order == order else 0 for stage in stages]
    mine = {i for i in eligible(person, state, roster).stages if stages[i].order == order}
    filled = place([*_layer_wishes(now, state, roster), mine], needs)
    if filled[-1] is None:
        return None
    placed = (
        *now.placed[:split],
        *((who, stage) for who, stage in zip(people, filled, strict=True) if stage is not None),
    )
    if len(people) == sum(needs):
        return Standing(now.layer + 1, placed, 0)
    return Standing(now.layer, placed, len(people))


def _who(now: Standing, state: RequestState, roster: Roster) -> dict[int, tuple[str, ...]]:
    """Per stage of the open and later layers, one id for each human whose approval can still count there."""
    stages = state.requirement.stages
    if complete(now, state):
        return {}
    order = _orders(state)[now.layer]
    counted = {roster.human(person) for person in now.people}
    who: dict[int, dict[str, str]] = {}
    for key in sorted(roster.people):
        human = roster.human(key)
        can = eligible(key, state, roster)
        if not can.ok or human in counted:
            continue
        helps = isinstance(admit(now, key, state, roster), Standing)
        for index in can.stages:
            if stages[index].order > order or (stages[index].order == order and helps):
                who.setdefault(index, {}).setdefault(human, key)
    return {index: tuple(humans.values()) for index, humans in who.items()}


def _already(person: str, same: str) -> str:
    if person == same:
        return "You approved this already, and one person counts once."
    return f"{same} approved this already and is the same person as {person}; one person counts once."


def _other_layer(mine: tuple[int, ...], now: Standing, state: RequestState) -> DecisionRefused:
    """Why somebody without a stage in the open layer can't approve now."""
    order = _orders(state)[now.layer]
    later = [i for i in mine if state.requirement.stages[i].order > order]
    waits = _waits_for(now, state)
    if later:
        return StageNotOpen(f"{_named(later, state)} comes later: the request first waits for {waits}.")
    return StageComplete(f"{_named(list(mine), state)} is complete; the request waits for {waits}.")


def _waits_for(now: Standing, state: RequestState) -> str:
    """`1 more of dba, 2 more of security` of the open layer."""
    order = _orders(state)[now.layer]
    missing = []
    for index, stage in enumerate(state.requirement.stages):
        have = sum(filled == index for _, filled in now.placed)
        if stage.order == order and have < stage.need:
            missing.append(f"{stage.need - have} more of {stage.group}")
    return ", ".join(missing)


def _named(indices: list[int], state: RequestState) -> str:
    return "Your stage (" + ", ".join(str(state.requirement.stages[i]) for i in indices) + ")"
