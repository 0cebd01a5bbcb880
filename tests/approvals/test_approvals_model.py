"""Promises 6 and 4 over random histories, judged by an independent oracle; and the oracle judged by bugs it has to find.

Here are a few thousand histories and a state machine that shrinks what it finds; `make test-approvals` runs 100,000.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from approvals_mutants import MUTANTS
from approvals_random import found_after
from approvals_world import GROUPS, IDS, UIDS, World, history
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from keyturn.approvals import Escalate, Given, Supersede, Tick, Withdraw
from keyturn.requirement import ASSURANCES

HISTORIES = 2_000

people = st.sampled_from(IDS)
groups = st.sets(st.sampled_from(GROUPS), max_size=3)
numbers = st.integers(0, 3)


def test_no_random_history_breaks_a_promise() -> None:
    ends: Counter[str] = Counter()
    for number in range(HISTORIES):
        world = history(random.Random(f"suite:{number}"))
        ends.update(book.state.state for book in world.books)
        ends["for another"] += sum(
            book.state.state == "approved" and any(given.chain for given in book.state.approvals)
            for book in world.books
        )
    # What is to be judged does happen: a world in which nothing is ever approved breaks no promise either.
    expected = ("approved", "denied", "expired", "superseded", "withdrawn", "for another")
    assert all(ends[end] >= 20 for end in expected), ends


@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_the_oracle_finds_each_seeded_bug(name: str) -> None:
    """Negative control of everything above."""
    assert found_after(MUTANTS[name], "suite", within=5_000) is not None


def test_there_are_a_dozen_seeded_bugs_and_more() -> None:
    assert len(MUTANTS) >= 12


class Approvals(RuleBasedStateMachine):
    """The same world, driven by hypothesis: what it finds, it shrinks to a story that people can read."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(everybody=st.lists(groups, min_size=len(IDS), max_size=len(IDS)))
    def begin(self, everybody: list[set[str]]) -> None:
        for key, mine in zip(IDS, everybody, strict=True):
            self.world.enrol(key, groups=mine)

    @rule(
        layers=st.lists(
            st.dictionaries(
                st.sets(st.sampled_from(GROUPS), min_size=1, max_size=2).map(lambda g: "|".join(sorted(g))),
                st.integers(1, 2),
                min_size=1,
                max_size=2,
            ),
            min_size=1,
            max_size=2,
        ),
        initiator=st.none() | people,
        owner=st.none() | people,
        authors=st.lists(people, max_size=1).map(tuple),
        parties=st.lists(people, max_size=1).map(tuple),
        uid=st.none() | st.sampled_from(UIDS),
    )
    def ask(self, layers: list[dict[str, int]], **facts: Any) -> None:
        asked = [[(need, set(group.split("|"))) for group, need in layer.items()] for layer in layers]
        self.world.ask(asked, party_uids=(), reason=False, assurance=0, **facts)

    @precondition(lambda self: self.world.books)
    @rule(
        number=numbers,
        who=people,
        choice=st.sampled_from(("approve", "approve", "approve", "deny")),
        swapped=st.sampled_from(("", "", "", "digest", "display")),
        for_=st.just("") | people,
        assurance=st.sampled_from(ASSURANCES),
    )
    def decide(self, number: int, who: str, choice: Any, swapped: str, for_: str, assurance: str) -> None:
        state = self.world.books[number % len(self.world.books)].state
        digest = "sha256:swapped" if swapped == "digest" else state.digest
        display = "sha256:other" if swapped == "display" else state.display
        self.world.decide(number, Given(who, choice, digest, display, "", assurance, for_))

    @rule(who=people, mine=groups)
    def move(self, who: str, mine: set[str]) -> None:
        self.world.enrol(who, groups=mine)

    @rule(who=people, removed=st.booleans())
    def remove(self, who: str, removed: bool) -> None:
        self.world.enrol(who, removed=removed)

    @rule(who=people, uids=st.sets(st.sampled_from(UIDS), max_size=1))
    def link(self, who: str, uids: set[int]) -> None:
        self.world.enrol(who, uids=uids)

    @rule(giver=people, to=people, handed=groups, since=st.integers(-1, 300), lasts=st.integers(1, 2_000))
    def hand(self, giver: str, to: str, handed: set[str], since: int, lasts: int) -> None:
        start = self.world.now + since
        self.world.hand(giver, to, handed, start, start + lasts)

    @rule(number=numbers)
    def take_back(self, number: int) -> None:
        self.world.take_back(number)

    @rule(
        number=numbers,
        event=st.sampled_from((Tick(), Withdraw("ana"), Supersede("r_9"), *map(Escalate, GROUPS))),
    )
    def happen(self, number: int, event: Any) -> None:
        self.world.happen(number, event)

    @rule()
    def publish(self) -> None:
        self.world.publish()

    @rule(passes=st.integers(1, 600))
    def wait(self, passes: int) -> None:
        self.world.now += passes


TestApprovals = Approvals.TestCase
TestApprovals.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
