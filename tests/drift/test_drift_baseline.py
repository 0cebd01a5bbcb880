"""What a session is made of, and what is pinned of many."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from keyturn import canonical
from keyturn.actions import Effect, Reading, Step
from keyturn.drift import features
from keyturn.drift.baseline import Baseline, Measured, baseline, daily, enough, seen
from keyturn.drift.features import Doing, Session, session
from keyturn.drift.stream import Surprisal

DAY = 86_400_000


def doing(reading: dict[str, Any], sensitive: tuple[str, ...] = ("secret",)) -> Doing:
    return features.doing(reading, sensitive)


def read(*steps: Step, complete: bool = True) -> dict[str, Any]:
    return msgspec.to_builtins(Reading("shell", complete, steps))  # type: ignore[no-any-return]


def test_an_action_counts_as_its_strongest_step_and_its_pipeline_hides_nothing() -> None:
    got = doing(
        read(
            Step("grep", effects=(Effect("reads", "/w/a", "workspace"),)),
            Step("curl", effects=(Effect("sends", "evil.example", "network"),)),
            Step("cat", effects=(Effect("reads", "/w/b", "workspace"),)),
        )
    )
    assert got == Doing("shell curl sends:network", ("reads:workspace", "sends:network"), False)


def test_what_is_labelled_is_stronger_and_sensitive() -> None:
    got = doing(
        read(
            Step("cat", effects=(Effect("reads", "/w/.env", "workspace", ("secret",)),)),
            Step("rm", effects=(Effect("deletes", "/w/a", "workspace"),)),
        )
    )
    assert got.category == "shell cat reads:workspace+secret"
    assert got.sensitive
    assert "deletes:workspace" in got.effects
    assert not doing(
        read(Step("cat", effects=(Effect("reads", "/w/.env", "workspace", ("secret",)),))), ("pii",)
    ).sensitive


@given(st.text(max_size=200), st.text(max_size=50))
def test_a_category_holds_nothing_that_an_agent_wrote_but_a_plain_name(program: str, what: str) -> None:
    got = doing(read(Step(program, effects=(Effect("reads", what, "workspace"),)), complete=False))
    assert len(got.category) < 120
    assert got.category.isascii()
    assert got.category.isprintable()
    assert got.category.endswith(" unread")


def test_an_action_without_effects_has_a_category() -> None:
    assert doing(read(Step("true"))).category == "shell true"
    assert doing(read()).category == "shell -"


def sessions(count: int, seed: int = 1) -> list[Measured]:
    draw = random.Random(seed)
    made = []
    for number in range(count):
        categories = [draw.choice(("list", "edit", "test")) for _ in range(draw.randrange(1, 12))]
        sensitive = 1 if draw.random() < 0.05 else 0
        effects = ("reads:workspace",) if number % 2 else ("reads:workspace", "writes:workspace")
        made.append(Measured(number * DAY // 20, Session(tuple(categories), effects, sensitive)))
    return made


def test_a_baseline_says_what_it_holds_and_is_the_same_after_json() -> None:
    pinned = baseline("coder", "d", "p", sessions(400))
    assert pinned.sessions == 400
    assert set(pinned.categories) == {"list", "edit", "test"}
    assert pinned.share <= pinned.share_bound < 0.2
    assert pinned.presence <= pinned.presence_bound < 0.15
    assert pinned.reference.total == 200
    assert 19 < pinned.a_day < 21
    assert set(pinned.totals) == {"workday", "saturday", "sunday"}
    stored = canonical.dumps(msgspec.to_builtins(pinned))
    assert msgspec.json.decode(stored, type=Baseline) == pinned


def test_what_the_baseline_never_saw_is_novel() -> None:
    pinned = baseline("coder", "d", "p", sessions(60))
    strange = Session(("list", "drop"), ("reads:workspace", "deletes:system"))
    assert pinned.novel(strange) == ("drop", "deletes:system")
    assert pinned.observed(strange, "s#0", Surprisal(pinned.model)).novel
    assert pinned.novel(sessions(1)[0].session) == ()
    assert seen(None) is None
    assert seen({"effects": ["reads:workspace"]}) == frozenset({"reads:workspace"})


def test_a_baseline_needs_many_sessions_or_two_weeks() -> None:
    assert enough(400, 0, DAY)
    assert enough(40, 0, 14 * DAY)
    assert not enough(399, 0, 13 * DAY)
    assert not enough(39, 0, 90 * DAY)


def test_days_that_are_not_whole_do_not_count_and_quiet_ones_do() -> None:
    one = session([Doing("a", (), False)])
    totals = daily(
        [Measured(DAY // 2, one), Measured(4 * DAY, one), Measured(4 * DAY + 5, one), Measured(6 * DAY, one)]
    )
    assert totals == {"workday": (0, 2, 0), "saturday": (0,), "sunday": (0,)}
