"""What the use of rules says about them: each finding where it is due, and none where it is not."""

from __future__ import annotations

from pathlib import Path

from service_world import World

from keyturn.drift.practice import ALWAYS, NORM_USES, RuleUse, practice
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
