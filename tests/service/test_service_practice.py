"""What the use of rules says about them: each finding where it is due, and none where it is not."""

from __future__ import annotations

from pathlib import Path

from service_world import World

from keyturn.drift.practice import (
    ALWAYS,
    CREEP_USES,
    HELD_ONCE,
    NORM_USES,
    Practice,
    RuleUse,
    Unasked,
    practice,
)
from keyturn.policy import Policy
from keyturn.service.keyturn import Keyturn
from keyturn.service.practising import DAY, FIRST, Practising

RULES = b"""
@id("deleting") @because("a test") @hold
permit(principal, action, resource) when { context.verbs.contains("deletes") };
@id("build") @because("a test") @lifts("deleting") @until("2030-01-01")
permit(principal, action, resource) when { context.program == "rm" };
@id("look") @because("a test")
permit(principal, action, resource) when { context.program == "ls" };
"""
POLICY = Policy.parse({"policy.toml": b'name = "small"\nmode = "enforce"\n', "rules/a.cedar": RULES})


def use(rule: str, uses: int = 1, *, approved: int = 0, denied: int = 0, expired: int = 0) -> RuleUse:
    verdict = "hold" if rule == "deleting" else "run"
    return RuleUse(rule, verdict, uses, approved + denied, approved, denied, 2.0, approved, expired, 0)


def kinds(*uses: RuleUse, active_days: float = 100) -> set[tuple[str, str]]:
    found = practice("p", POLICY.rules, {one.rule: one for one in uses}, 30, active_days=active_days).found
    return {(one.kind, one.key[0]) for one in found}


def test_what_is_used_now_and_then_is_no_finding() -> None:
    assert kinds(use("deleting", 30, approved=5, denied=1), use("build", 3), use("look")) == set()


def test_a_rule_is_unused_only_after_the_policy_was_active_for_as_long() -> None:
    assert kinds(use("build")) == {("rule.unused", "look")}
    assert kinds(use("build"), active_days=10) == set()


def test_a_rule_that_decided_after_its_end_is_found() -> None:
    assert ("rule.expired_used", "build") in kinds(use("build", expired=1), use("look"))


def test_always_approved_needs_enough_approvals_and_no_denial() -> None:
    rest = use("build"), use("look")
    assert kinds(use("deleting", approved=ALWAYS), *rest) == {("rule.always_approved", "deleting")}
    assert kinds(use("deleting", approved=ALWAYS - 1), *rest) == set()
    assert kinds(use("deleting", approved=200, denied=1), *rest) == set()


def test_an_exception_that_decides_more_than_what_it_lifts_is_the_norm() -> None:
    assert ("exception.norm", "build") in kinds(
        use("build", NORM_USES), use("deleting", NORM_USES), use("look")
    )
    assert kinds(use("build", NORM_USES), use("deleting", NORM_USES + 1), use("look")) == set()


def since_the_first_days(first: list[RuleUse] | None, now: list[RuleUse]) -> Practice:
    uses = {one.rule: one for one in now}
    before = None if first is None else {one.rule: one for one in first}
    return practice("p", POLICY.rules, uses, 30, active_days=100, first=before)


def exception(uses: int) -> RuleUse:
    return RuleUse("build", "run", uses, 0, 0, 0, None, 0, 0, 0, 1)


def held(uses: int) -> RuleUse:
    return RuleUse("deleting", "hold", uses, uses, uses - 1, 1, 2.0, 0, 0, 0)


def creeps(first: list[RuleUse] | None, now: list[RuleUse]) -> set[str]:
    return {one.kind for one in since_the_first_days(first, now).found} & {
        "allowlist.creep",
        "rule.not_asked",
    }


def test_exceptions_that_grow_are_measured_against_the_first_days() -> None:
    many = held(CREEP_USES * 3)
    assert creeps([many, exception(2)], [many, exception(CREEP_USES)]) == {"allowlist.creep"}
    assert creeps([many, exception(2)], [many, exception(CREEP_USES - 1)]) == set()
    assert creeps([many, exception(CREEP_USES)], [many, exception(CREEP_USES + 1)]) == set()
    assert creeps(None, [many, exception(CREEP_USES)]) == set()  # the log is too short
    assert creeps([use("look")], [many, exception(CREEP_USES)]) == set()  # nobody was asked anything then
    assert creeps([many], [many, use("build", CREEP_USES)]) == set()  # an ordinary rule is no exception
    (found,) = since_the_first_days([many], [many, exception(CREEP_USES)]).found[-1:]
    assert "20 of 80" in found.words
    assert "0 of 60 (0%) in the first 30" in found.words


def test_a_rule_that_held_and_holds_nothing_any_more_is_found_only_where_as_much_is_done() -> None:
    busy = use("look", 100)
    assert creeps([held(HELD_ONCE), busy], [busy]) == {"rule.not_asked"}
    assert creeps([held(HELD_ONCE - 1), busy], [busy]) == set()
    assert creeps([held(HELD_ONCE), busy], [busy, held(1)]) == set()
    assert creeps([held(HELD_ONCE), busy], [use("look", 59)]) == set()
    assert creeps(None, [busy]) == set()


def test_how_much_nobody_is_asked_about_is_said_for_both_times() -> None:
    found = since_the_first_days([held(3)], [held(1), exception(3), use("look", 7)])
    assert (found.unasked, found.at_first) == (Unasked(3, 1), Unasked(0, 3))
    assert found.unasked is not None
    assert found.unasked.share == 0.75
    assert Unasked(0, 0).share == 0.0
    assert since_the_first_days(None, []).at_first is None


def test_the_server_asks_once_a_day_in_a_process_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story(service: Keyturn) -> None:
        session = await world.session(service, "one")
        await service.authorize(world.action(session, "ls -la"), world.around, consume=True)
        follower = Practising(service.core)
        now = service.core.now()
        assert follower.tick(now) == ()
        assert follower._running is None
        follower.tick(now + FIRST)
        running = follower._running
        assert running is not None
        assert running.wait() == 0
        assert follower.tick(now + FIRST) == ()
        follower.tick(now + FIRST + 1)
        assert follower._running is None
        follower.tick(now + FIRST + DAY)
        assert follower._running is not None
        follower._running.wait()
        follower.tick(now + FIRST + DAY)

    world.play(story)
