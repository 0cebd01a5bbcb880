"""Random histories of people, delegations, policies and requests, and an oracle that judges every step of them.

The oracle is written from what the promises say, not from the machine: it shares no code with it, keeps its own books in
plain dicts, and decides by trying everything. What it holds against the machine after each step:

- promise 6: nobody decides who asked, owns the agent, wrote what is under approval or stands behind it; nobody by a second
  account, nor for such a person through any delegation; people are counted, each once, over all stages; who counts is in
  the group now; one denial ends it; time, escalation and policy changes approve nothing.
- promise 4: a decision is for the bytes and the display of the request, under the policy that is in force.
- a request ends once; and when enough people have approved, it is approved (nothing gets stuck).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from keyturn.approvals import (
    Escalate,
    Event,
    Given,
    RequestState,
    Supersede,
    Tick,
    Withdraw,
    machine,
    open_request,
)
from keyturn.identity import Delegation, Person, Roster
from keyturn.requirement import ASSURANCES, Requirement, Stage

GROUPS = ("dba", "security", "web")
IDS = ("ana", "ben", "cleo", "dan", "eve", "fay")
ACCOUNTS = ("idp|1", "idp|2")
UIDS = (1000, 1001)
LIFE = 1_000
"""Milliseconds that a request waits."""
STEPS = 16
"""Steps of a history, on average."""


class Violation(AssertionError):
    """The machine did what a promise rules out."""


def insist(holds: bool, words: str) -> None:
    """Raises `Violation`."""
    if not holds:
        raise Violation(words)


class Book:
    """What the oracle knows of one request: how it was opened, and what it saw accepted."""

    def __init__(self, state: RequestState, layers: list[list[set[str]]], policy: int, **facts: Any) -> None:
        self.state = state
        self.layers = layers
        self.policy = policy
        self.involved: set[str] = facts["people"]
        self.uids: set[int] = facts["uids"]
        self.reason: bool = facts["reason"]
        self.assurance: int = facts["assurance"]
        self.accepted: list[tuple[str, tuple[str, ...]]] = []
        self.denied = False
        self.end = ""


class World:
    """Everybody and everything, at one moment. Each verb lets one thing happen and judges it."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.handed: list[dict[str, Any]] = []
        self.books: list[Book] = []
        self.now = 1_000
        self.policy = 1
        self.steps = 0
        self._roster: Roster | None = None

    # --- people -------------------------------------------------------------------------------------------------

    def enrol(self, key: str, **facts: Any) -> None:
        """Somebody joins, or is as said from now on."""
        new = {
            "groups": set(),
            "accounts": set(),
            "uids": set(),
            "removed": False,
            "admin": False,
            "auditor": False,
        }
        self.people[key] = {**self.people.get(key, new), **facts}
        self._roster = None

    def hand(self, giver: str, to: str, groups: set[str], since: int, until: int) -> None:
        """A delegation, whether or not the rules of opening one would allow it."""
        self.handed.append({"giver": giver, "to": to, "groups": groups, "since": since, "until": until})
        self._roster = None

    def take_back(self, index: int) -> None:
        """A delegation ends."""
        if self.handed:
            self.handed.pop(index % len(self.handed))
            self._roster = None

    def roster(self) -> Roster:
        """What the machine is given."""
        if self._roster is None:
            people = {
                key: Person(
                    key,
                    groups=tuple(sorted(p["groups"])),
                    roles=tuple(role for role in ("admin", "auditor") if p[role]),
                    os_uids=tuple(sorted(p["uids"])),
                    accounts=tuple(sorted(p["accounts"])),
                    removed=p["removed"],
                )
                for key, p in self.people.items()
            }
            self._roster = Roster(
                people,
                tuple(
                    Delegation(
                        f"d{n}", d["giver"], d["to"], tuple(sorted(d["groups"])), d["since"], d["until"]
                    )
                    for n, d in enumerate(self.handed)
                ),
            )
        return self._roster

    # --- requests -----------------------------------------------------------------------------------------------

    def ask(self, layers: list[list[tuple[int, set[str]]]], **facts: Any) -> None:
        """A request is opened. *layers*: how many people out of which groups."""
        stages = tuple(
            Stage(need, "|".join(sorted(groups)), order)
            for order, layer in enumerate(layers)
            for need, groups in layer
        )
        number = len(self.books)
        state = open_request(
            id=f"r{number}",
            digest=f"sha256:bytes{number}",
            display=f"sha256:shown{number}",
            requirement=Requirement(stages),
            opened_ms=self.now,
            expires_ms=self.now + LIFE,
            initiator=facts["initiator"],
            initiator_uid=facts["uid"],
            owner=facts["owner"],
            authors=facts["authors"],
            reason_required=facts["reason"],
            assurance=ASSURANCES[facts["assurance"]],
            parties=facts["parties"],
            party_uids=facts["party_uids"],
        )
        # When nobody knows who asked, one more person is needed in every stage.
        extra = 0 if facts["initiator"] is not None or facts["uid"] is not None else 1
        slots = [[groups for need, groups in layer for _ in range(need + extra)] for layer in layers]
        named = (facts["initiator"], facts["owner"], *facts["authors"], *facts["parties"])
        self.books.append(
            Book(
                state,
                slots,
                self.policy,
                people={who for who in named if who is not None},
                uids={uid for uid in (facts["uid"], *facts["party_uids"]) if uid is not None},
                reason=facts["reason"],
                assurance=facts["assurance"],
            )
        )

    def decide(self, number: int, given: Given) -> None:
        """Somebody decides. The service looks first whether the policy is still the one under which it was asked."""
        if self.books:
            book = self.books[number % len(self.books)]
            if book.policy != self.policy:
                self._happen(book, Supersede(f"policy {self.policy}", "The policy changed."))
            self._happen(book, given)

    def happen(self, number: int, event: Event) -> None:
        """Anything else happens to a request."""
        if self.books:
            self._happen(self.books[number % len(self.books)], event)

    def publish(self) -> None:
        """Another policy version takes effect."""
        self.policy += 1

    # --- the oracle ---------------------------------------------------------------------------------------------

    def _happen(self, book: Book, event: Event) -> None:
        self.steps += 1
        before = book.state
        step = machine.apply(before, event, self.roster(), self.now)
        after = book.state = step.state
        accepted = len(after.approvals) > len(before.approvals)
        insist(not (accepted and step.refusal), "a decision was both recorded and refused")
        if before.state != "waiting":
            insist(after == before, "an ended request changed")
            return
        late = self.now >= before.expires_ms
        insist(not late or after.state == "expired", "it outlived its time")
        if accepted:
            insist(isinstance(event, Given), "something that is no decision was recorded as one")
            self._judge(book, event, after)  # type: ignore[arg-type]
        self._judge_end(book, event, before, after, accepted)
        if len(after.escalated) > len(before.escalated):
            self._escalated(book, after)

    def _judge(self, book: Book, given: Given, after: RequestState) -> None:
        """A decision that was accepted."""
        asked = book.state
        insist(given.digest == asked.digest, "other bytes were decided on")
        insist(given.display == asked.display, "something else was shown")
        insist(book.policy == self.policy, "decided under another policy than it was asked under")
        insist(self.now < asked.expires_ms, "decided after its time")
        insist(not book.end, "decided after its end")
        needs_reason = book.reason and given.choice == "approve"
        insist(bool(given.reason.strip()) or not needs_reason, "no reason, although one is required")
        chain = after.approvals[-1].chain
        insist(
            not given.on_behalf_of or chain[:1] == (given.on_behalf_of,),
            "decided for somebody else than said",
        )
        insist(self._present(given.person), "somebody who is not on the roster decided")
        insist(self._may(given.person), "an auditor decided")
        for who in (given.person, *chain):
            insist(
                not self._has_part(who, book),
                f"{who} has another part in this, and it was decided by or for them",
            )
        asks = set().union(*(groups for layer in book.layers for groups in layer))
        insist(bool(self._groups(given.person, chain) & asks), "somebody without a place decided")
        if given.choice == "deny":
            book.denied = True
            return
        insist(ASSURANCES.index(given.assurance) >= book.assurance, "too little assurance")
        book.accepted.append((given.person, chain))

    def _judge_end(
        self, book: Book, event: Event, before: RequestState, after: RequestState, accepted: bool
    ) -> None:
        denied = accepted and isinstance(event, Given) and event.choice == "deny"
        insist(not denied or after.state == "denied", "a denial did not end it")
        if after.state == "approved":
            insist(accepted and not denied, "something other than an approval approved it")
            insist(not book.denied, "approved in spite of a denial")
            insist(self._satisfied(book, len(book.layers)), "fewer distinct people than asked for")
        elif accepted and not denied:
            insist(not self._satisfied(book, len(book.layers)), "enough people approved, and it still waits")
        if isinstance(event, Supersede) and self.now < before.expires_ms:
            insist(after.state == "superseded", "superseded, and it still waits")
        book.end = "" if after.state == "waiting" else after.state

    def _escalated(self, book: Book, after: RequestState) -> None:
        to, order = after.escalated[-1].to, after.escalated[-1].order
        insist(self._satisfied(book, order), "a layer was escalated that is not open yet")
        book.layers[order] = [groups | {to} for groups in book.layers[order]]

    def _human(self, key: str) -> set[str]:
        """Every record of the human behind *key*: who shares an account with whom, as far as that reaches."""
        reached, edge = {key}, [key]
        while edge:
            one = self.people.get(edge.pop())
            if one is None:
                continue
            for other, p in self.people.items():
                if other not in reached and (p["accounts"] & one["accounts"] or p["uids"] & one["uids"]):
                    reached.add(other)
                    edge.append(other)
        return reached

    def _has_part(self, key: str, book: Book) -> bool:
        human = self._human(key)
        uids = {uid for k in human if k in self.people for uid in self.people[k]["uids"]}
        return bool(human & book.involved or uids & book.uids)

    def _present(self, key: str) -> bool:
        return key in self.people and not self.people[key]["removed"]

    def _may(self, key: str) -> bool:
        """Whether *key* may decide anything at all: an auditor only reads."""
        return self._present(key) and not self.people[key]["auditor"]

    def _groups(self, person: str, chain: tuple[str, ...]) -> set[str]:
        """The groups whose places *person* can fill now, for themselves or for the first of *chain*."""
        if not chain:
            return self.people[person]["groups"] if self._may(person) else set()
        everyone = (*chain, person)
        if not all(map(self._present, everyone)) or not self._may(person) or not self._may(chain[0]):
            return set()
        groups = set(self.people[chain[0]]["groups"])
        for giver, to in pairwise(everyone):
            groups &= set().union(
                *(
                    d["groups"]
                    for d in self.handed
                    if d["giver"] == giver and d["to"] == to and d["since"] <= self.now < d["until"]
                )
            )
        return groups

    def _satisfied(self, book: Book, layers: int) -> bool:
        """Whether the accepted approvals that still hold fill the first *layers*: each voice once, layer after layer."""
        voices = []
        for when, (person, chain) in enumerate(book.accepted):
            everyone = (person, *chain)
            if not self._present(person) or any(self._has_part(who, book) for who in everyone):
                continue
            humans = [frozenset(self._human(who)) for who in everyone]
            if len(set(humans)) == len(humans):
                voices.append((when, self._groups(person, chain), frozenset(humans)))
        return _filled(book.layers[:layers], voices)


def _filled(
    layers: list[list[set[str]]], voices: list[tuple[int, set[str], frozenset[Any]]], after: int = -1
) -> bool:
    """By trying everything: is there a voice for every place, no human twice, later layers after earlier ones?"""
    if not layers:
        return True

    def fill(slots: list[set[str]], left: list[Any], last: int) -> Iterator[tuple[list[Any], int]]:
        if not slots:
            yield left, last
            return
        for one in left:
            when, groups, humans = one
            if when > after and groups & slots[0]:
                rest = [other for other in left if other is not one and not other[2] & humans]
                yield from fill(slots[1:], rest, max(last, when))

    return any(_filled(layers[1:], left, last) for left, last in fill(layers[0], voices, after))


# --- chance -----------------------------------------------------------------------------------------------------


def history(rng: random.Random, steps: int = STEPS) -> World:
    """One random history, judged at every step. Raises `Violation`."""
    world = World()
    for key in IDS:
        world.enrol(
            key,
            groups={g for g in GROUPS if rng.random() < 0.4},
            accounts={rng.choice(ACCOUNTS)} if rng.random() < 0.15 else set(),
            uids={rng.choice(UIDS)} if rng.random() < 0.15 else set(),
            admin=rng.random() < 0.25,
        )
    for _ in range(rng.choice((0, 1, 3, 6))):
        _hand(world, rng)
    _ask(world, rng)
    for _ in range(rng.randrange(steps // 2, steps * 3 // 2)):
        rng.choices(_CHANCES[0], _CHANCES[1])[0](world, rng)
    return world


def _ask(world: World, rng: random.Random) -> None:
    layers: list[list[tuple[int, set[str]]]] = []
    for _ in range(rng.choice((1, 1, 2))):
        layer: dict[str, tuple[int, set[str]]] = {}
        for _ in range(rng.choice((1, 1, 2))):
            groups = set(rng.sample(GROUPS, rng.choice((1, 1, 2))))
            layer["|".join(sorted(groups))] = (rng.choice((1, 1, 2)), groups)
        layers.append(list(layer.values()))

    def someone(likely: float) -> str | None:
        return rng.choice((*IDS, "stranger")) if rng.random() < likely else None

    parties = tuple(who for who in (someone(0.2), someone(0.1)) if who)
    world.ask(
        layers,
        initiator=someone(0.8),
        uid=rng.choice(UIDS) if rng.random() < 0.2 else None,
        owner=someone(0.3),
        authors=tuple(who for who in (someone(0.2),) if who),
        parties=parties,
        party_uids=(rng.choice(UIDS),) if rng.random() < 0.1 else (),
        reason=rng.random() < 0.1,
        assurance=rng.choice((0, 0, 0, 0, 1, 2, 3)),
    )


def _approve(world: World, rng: random.Random) -> None:
    number = rng.randrange(len(world.books))
    world.decide(number, _given(world, rng, number, "approve"))


def _deny(world: World, rng: random.Random) -> None:
    number = rng.randrange(len(world.books))
    world.decide(number, _given(world, rng, number, "deny"))


def _given(world: World, rng: random.Random, number: int, choice: Any) -> Given:
    state = world.books[number].state
    other = rng.random()
    stand_ins = [d["to"] for d in world.handed if d["until"] > world.now]
    return Given(
        rng.choice(stand_ins if stand_ins and rng.random() < 0.3 else (*IDS, *IDS, "stranger")),
        choice,
        "sha256:swapped" if other < 0.04 else state.digest,
        "sha256:other" if 0.04 < other < 0.08 else state.display,
        reason="because" if rng.random() < 0.8 else " ",
        assurance=rng.choice(ASSURANCES) if rng.random() < 0.5 else "signed+hardware",
        on_behalf_of=rng.choice(IDS) if rng.random() < 0.1 else "",
    )


def _hand(world: World, rng: random.Random) -> None:
    groups = set(rng.sample(GROUPS, rng.choice((1, 2, 3))))
    since = world.now + rng.choice((0, 0, 0, 300))
    world.hand(rng.choice(IDS), rng.choice(IDS), groups, since, since + rng.choice((200, 600, 5_000, 5_000)))


def _roster_change(world: World, rng: random.Random) -> None:
    key = rng.choice(IDS)
    p = world.people[key]
    change: dict[str, Any] = rng.choice(
        (
            {"removed": not p["removed"]},
            {"groups": p["groups"] - {rng.choice(GROUPS)}},
            {"groups": p["groups"] | {rng.choice(GROUPS)}},
            {"accounts": p["accounts"] ^ {rng.choice(ACCOUNTS)}},
            {"uids": p["uids"] ^ {rng.choice(UIDS)}},
            {"admin": not p["admin"]},
            {"auditor": not p["auditor"] and rng.random() < 0.5},
        )
    )
    world.enrol(key, **change)


def _time(world: World, rng: random.Random) -> None:
    world.now += rng.choice((1, 50, 150, 400, 700))


def _event(event: Event) -> Any:
    return lambda world, rng: world.happen(rng.randrange(len(world.books)), event)


_WEIGHTS: Iterable[tuple[int, Any]] = (
    (100, _approve),
    (5, _deny),
    (16, _time),
    (20, _roster_change),
    (12, _hand),
    (4, lambda world, rng: world.take_back(rng.randrange(9))),
    (7, lambda world, rng: world.happen(rng.randrange(9), Escalate(rng.choice(GROUPS)))),
    (3, _event(Withdraw("ana"))),
    (2, _event(Supersede("r_9"))),
    (3, lambda world, rng: world.publish()),
    (4, _event(Tick())),
    (5, _ask),
)
_CHANCES = ([what for _, what in _WEIGHTS], [weight for weight, _ in _WEIGHTS])
