"""Stories of configurations, end to end in a real home: an IAM edit, an update shipped at lunch, an export to a new bucket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from service_world import World, decide, person

from keyturn.approvals.errors import DecisionRefused
from keyturn.drift.finding_life import Move
from keyturn.errors import KeyturnError
from keyturn.ledger.rebuild import rebuild
from keyturn.service import configuration_views, configurations, finding_moves, findings, lineages
from keyturn.service.configuration_views import Sighting
from keyturn.service.configurations import ConfigurationUnchanged
from keyturn.service.following import Following
from keyturn.service.keyturn import Keyturn
from keyturn.service.projections import fold
from keyturn.service.unapplied import Unapplied

HOUR = 3_600_000
KIND = "configuration.not_applied"


@pytest.fixture
def world(tmp_path) -> World:  # type: ignore[no-untyped-def]
    return World(tmp_path)


class Story:
    """One target of one source, with a clock that the story moves."""

    def __init__(self, service: Keyturn, source: str, target: str) -> None:
        self.service, self.source, self.target = service, source, target

    async def seen(self, value: Any, tag: str = "") -> Sighting:
        return await configurations.seen(
            self.service.core, self.source, _text(value), self.target, person(self.service, "dana"), tag
        )

    async def approved(self, value: Any, **more: Any) -> str:
        """Dana proposes, Riley approves."""
        request = await configurations.propose(
            self.service.core,
            self.source,
            _text(value),
            self.target,
            person(self.service, "dana"),
            "planned",
            **more,
        )
        await decide(self.service, request.id, "riley", reason="as planned")
        return request.id

    def later(self, hours: float) -> None:
        before = self.service.core.clock
        self.service.core.clock = lambda: before() + hours * 3600

    @property
    def found(self) -> list[str]:
        return [one.kind for one in findings.views(self.service.core)]


def _text(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def played(world: World, source: str, story: Callable[[Story], Awaitable[None]]) -> None:
    async def main(service: Keyturn) -> None:
        await story(Story(service, source, "prod"))
        assert rebuild(service.core.ledger._store, fold, check=True).identical

    world.play(main)


def iam(*actions: str) -> dict[str, Any]:
    return {"deploy-role": {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}}


def test_an_iam_edit_that_nobody_approved_is_found_and_the_approved_one_is_proven(world: World) -> None:
    async def story(it: Story) -> None:
        first = await it.seen(iam("s3:GetObject"))
        assert (first.first, first.changed, it.found) == (True, 0, [])
        change = await it.approved(iam("s3:GetObject", "s3:PutObject"))
        it.later(1)
        proven = await it.seen(iam("s3:GetObject", "s3:PutObject"))
        assert (proven.explanation.grade, proven.explanation.change) == ("PROVEN", change)
        assert (proven.explanation.actor, proven.explanation.approvers) == ("dana", ("riley",))
        assert it.found == []
        it.later(1)
        edited = await it.seen(iam("s3:GetObject", "s3:PutObject", "iam:PassRole"))
        assert edited.lines == ("deploy-role Allow iam:passrole on * = True",)
        assert edited.explanation.grade == "NONE" or edited.explanation.residual
        (found,) = findings.views(it.service.core)
        assert (found.kind, found.severity, found.area) == (
            "configuration.unexplained",
            "high",
            "change management",
        )
        assert "iam:passrole" in found.words
        # the same documents in other words are no change, and going back to what was approved is explained
        assert (await it.seen(iam("S3:PutObject", "s3:GetObject", "iam:PassRole"))).changed == 0
        back = await it.seen(iam("s3:GetObject", "s3:PutObject"))
        assert back.explanation.grade == "PROVEN"
        assert "again as people had approved it" in back.explanation.outcome

    played(world, "iam", story)


def deployment(image: str, **more: Any) -> bytes:
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"image": image, **more},
    }
    return _text(body)


def test_an_update_shipped_at_lunch_outside_its_window_is_a_candidate_with_its_residual(world: World) -> None:
    async def story(it: Story) -> None:
        await it.seen(deployment("v1"))
        now = it.service.core.now()
        change = await it.approved(deployment("v2"), opens=now, closes=now + 2 * HOUR)
        it.later(3)
        assert (
            await it.seen(deployment("v1"))
        ).changed == 0  # looked at after the window: it was not shipped in it
        it.later(1)
        late = await it.seen(deployment("v2"))
        assert (late.explanation.grade, late.explanation.change) == ("CANDIDATE", change)
        assert late.explanation.residual[0].startswith("its window closed at ")
        assert it.found == ["configuration.unexplained"]

    played(world, "kubernetes", story)


def test_what_else_was_changed_beside_an_approved_update_is_named(world: World) -> None:
    async def story(it: Story) -> None:
        await it.seen(deployment("v1"))
        change = await it.approved(deployment("v2"))
        it.later(1)
        mixed = await it.seen(deployment("v2", hostNetwork=True, progressDeadlineSeconds=600), tag=change)
        assert mixed.explanation.grade == "CANDIDATE"
        assert mixed.explanation.residual == ("not approved: Deployment/web spec.hostNetwork = True",)
        view = configuration_views.view(it.service.core, "prod")
        assert view.drift == ("Deployment/web spec.hostNetwork = True",)  # the approved part is not drift
        assert view.changes[0].state == "used"
        # used once: shipping it again after a rollback that nobody approved is no longer covered
        await it.seen(deployment("v1"))
        again = await it.seen(deployment("v2"))
        assert again.explanation.grade == "PROVEN"  # it is what people had approved
        await it.seen(deployment("v3"))
        assert len(it.found) >= 2

    played(world, "kubernetes", story)


def plan(*buckets: str, export: str = "") -> dict[str, Any]:
    resources = [
        {"address": f"aws_s3_bucket.{one}", "mode": "managed", "values": {"bucket": one}} for one in buckets
    ]
    if export:
        values = {
            "destination": f"arn:aws:s3:::{export}",
            "source": "customers",
            "password": "hunter2-hunter2",
        }
        resources.append({"address": "aws_export.customers", "mode": "managed", "values": values})
    return {"values": {"root_module": {"resources": resources}}}


def test_an_export_to_a_new_bucket_is_found_with_none_and_what_was_searched(world: World) -> None:
    async def story(it: Story) -> None:
        await it.seen(plan("customers"))
        await it.approved(plan("customers", "logs"))
        it.later(1)
        seen = await it.seen(plan("customers", "logs", "elsewhere", export="elsewhere"))
        (found,) = findings.views(it.service.core)
        assert "aws_export.customers is new" in found.observed
        assert seen.explanation.grade == "CANDIDATE"  # a part of it was approved: the new bucket for logs
        assert any("aws_s3_bucket.elsewhere" in one for one in seen.explanation.residual)
        it.later(1)
        only = await it.seen(plan("customers", "logs", "elsewhere", "third", export="elsewhere"))
        assert only.explanation.grade == "NONE"
        assert only.explanation.searched.startswith("Searched 1 approved changes of prod")
        for entry in it.service.core.ledger.entries():
            assert "hunter2" not in repr(entry.fields)

    played(world, "terraform", story)


def test_a_change_is_approved_by_somebody_else_and_only_where_there_is_one(world: World) -> None:
    async def story(it: Story) -> None:
        await it.seen(iam("s3:GetObject"))
        dana = person(it.service, "dana")
        with pytest.raises(ConfigurationUnchanged):
            await configurations.propose(
                it.service.core, "iam", _text(iam("s3:getobject")), "prod", dana, "nothing"
            )
        request = await configurations.propose(
            it.service.core, "iam", _text(iam("s3:*")), "prod", dana, "needed"
        )
        view = await it.service.request(request.id, person(it.service, "riley"))
        assert "deploy-role Allow s3:* on * = True" in view.text
        with pytest.raises((DecisionRefused, KeyturnError)):
            await decide(it.service, request.id, "dana", reason="mine")
        # before it is approved it explains nothing
        assert (await it.seen(iam("s3:*"))).explanation.grade == "NONE"

    played(world, "iam", story)


def test_an_action_is_explained_by_its_rule_or_its_approval(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        ran = await service.authorize(world.action(session, "ls -la"), world.around, consume=True)
        found = lineages.explain(service.core, ran.action)
        assert (found.grade, found.approvers) == ("PROVEN", ())
        action = world.action(session, "rm -r build")
        held = await service.authorize(action, world.around, consume=True)
        assert lineages.explain(service.core, held.action).grade == "NONE"
        await decide(service, held.request, "riley", reason="the build is stale")
        done = await service.authorize(action, world.around, consume=True)
        found = lineages.explain(service.core, done.action)
        assert (found.grade, found.approvers, found.reason) == ("PROVEN", ("riley",), "the build is stale")

    world.play(story)


async def unapplied(it: Story) -> list[tuple[str, str]]:
    """What the first looks after windows say, read from the log's beginning."""
    following = Following(it.service.core, (Unapplied,))
    following._next = 0
    await following.catch_up()
    assert following.failed == 0
    return [
        (row["words"], row["observed"])
        for row in it.service.core.ledger.rows("finding")
        if row["kind"] == KIND
    ]


def test_an_approved_change_that_nobody_made_is_said_by_the_first_look_after_its_window(world: World) -> None:
    async def story(it: Story) -> None:
        await it.seen(deployment("v1"))
        now = it.service.core.now()
        change = await it.approved(deployment("v2", replicas=3), opens=now, closes=now + 2 * HOUR)
        it.later(1)
        await it.seen(deployment("v1"))
        assert await unapplied(it) == []  # there is still time
        it.later(2)
        assert await unapplied(it) == []  # nobody looked: nobody knows
        await it.seen(deployment("v1"))
        ((words, observed),) = await unapplied(it)
        assert "nothing of it was seen to be made" in words
        assert observed == "0 of 2 fields"
        (row,) = [one for one in it.service.core.ledger.rows("finding") if one["kind"] == KIND]
        await finding_moves.move(
            it.service.core,
            row["id"],
            person(it.service, "riley"),
            Move("close", "riley", f"{change} is dropped"),
        )
        it.later(1)
        await it.seen(deployment("v1"))
        assert len(await unapplied(it)) == 1  # a later look says nothing again

    played(world, "kubernetes", story)


def test_a_change_that_was_made_is_not_told_and_half_of_one_is(world: World) -> None:
    async def story(it: Story) -> None:
        await it.seen(deployment("v1"))
        now = it.service.core.now()
        await it.approved(deployment("v2", replicas=3), opens=now, closes=now + 2 * HOUR)
        it.later(1)
        await it.seen(deployment("v2", replicas=3))
        it.later(2)
        await it.seen(deployment("v2", replicas=3))
        assert await unapplied(it) == []
        now = it.service.core.now()
        await it.approved(deployment("v3", replicas=5), opens=now, closes=now + HOUR)
        await it.seen(deployment("v3", replicas=3))
        it.later(2)
        await it.seen(deployment("v3", replicas=3))
        ((words, observed),) = await unapplied(it)
        assert observed == "1 of 2 fields"
        assert "replicas" in words

    played(world, "kubernetes", story)
