"""Break-glass in a real home: who may, who may not, what follows, and the review that has to come (promise 6 has no exception)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from service_world import GATE, HELD, World, person, types
from signing_world import SoftSshKey, enrol

from keyturn import metrics
from keyturn.actions import Agent, Attribution
from keyturn.app import Pages
from keyturn.approvals.errors import (
    AssuranceTooLow,
    BreakGlassNotNamed,
    BreakGlassParty,
    OtherBytes,
    ReasonMissing,
    RequestEnded,
    ReviewRefused,
)
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.approvals.statement import statement_bytes
from keyturn.identity.keys import from_b64
from keyturn.policy import Policy
from keyturn.policy.folder import STARTER, read_folder
from keyturn.policy.problems import PolicyInvalid
from keyturn.service import breakglass, findings, people, requests, roster_changes, signing
from keyturn.service.conditions import oncall
from keyturn.service.errors import NotClaimable, ReviewUnexplained
from keyturn.service.keyturn import Keyturn

SECTION = b"""
[breakglass]
people = ["riley", "dana"]
reviewers = "policy"
within = "10m"
review_within = "24h"
notify = ["reviewers"]
"""
FILES = read_folder(STARTER)
POLICY = {**FILES, "requirements.toml": FILES["requirements.toml"] + SECTION}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, policy=POLICY)


async def with_key(service: Keyturn) -> SoftSshKey:
    """Riley's own key."""
    soft = SoftSshKey()
    await enrol(service, "riley", soft)
    return soft


async def held(world: World, service: Keyturn) -> Any:
    """A waiting request of Dana's agent."""
    session = await world.session(service)
    return await service.authorize(world.action(session, HELD), world.around)


async def broken(
    service: Keyturn, request: str, who: str, key: Any, reason: str = "prod is down", **changes: Any
) -> Any:
    """*who* breaks the glass with their own key."""
    view = await service.request(request, person(service, who))
    given = {"digest": view.digest, "display": view.display, "reason": reason}
    shown = breakglass.statement(service.core, request, person(service, who), **given)
    proof = key.prove(from_b64(shown.bytes))
    sent = {
        **given,
        "proof": proof,
        "statement_nonce": shown.statement["nonce"],
        "channel": "test",
        **changes,
    }
    return await service.break_glass(request, person(service, who), **sent)


def later(service: Keyturn, seconds: float) -> None:
    before = service.core.clock
    service.core.clock = lambda: before() + seconds


def test_a_named_person_with_a_key_and_a_reason_releases_it_at_once_and_everybody_hears(world: World) -> None:
    async def story(service: Keyturn) -> None:
        key = await with_key(service)
        asked = await held(world, service)
        view = await broken(service, asked.request, "riley", key)
        assert (view.state, view.ended_why) == ("approved", "riley broke the glass: prod is down")
        assert (view.approvals[0].grant, view.approvals[0].assurance) == ("break-glass", "signed")
        ran = await service.claim(asked.request, asked.digest, GATE.name, consume=True)
        assert ran.grant is None, "once, and no more"
        used = next(e for e in service.core.ledger.entries() if e.type == "breakglass.used")
        assert used.fields["notify"] == ["reviewers", "policy"]
        assert types(service)[-5:-2] == ["approval.given", "request.ended", "breakglass.used"]
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


@pytest.mark.parametrize("who", ["dana", "sam"])
def test_not_for_one_s_own_agent_and_not_for_who_is_not_named(world: World, who: str) -> None:
    async def story(service: Keyturn) -> None:
        asked = await held(world, service)
        view = await service.request(asked.request, person(service, who))
        given = {"digest": view.digest, "display": view.display, "reason": "prod is down"}
        with pytest.raises(BreakGlassParty if who == "dana" else BreakGlassNotNamed):
            breakglass.statement(service.core, asked.request, person(service, who), **given)
        with pytest.raises(BreakGlassParty if who == "dana" else BreakGlassNotNamed):
            await service.break_glass(asked.request, person(service, who), **given, channel="test")
        assert "breakglass.used" not in types(service)

    world.play(story)


def test_a_second_account_of_who_asked_is_who_asked(world: World) -> None:
    async def story(service: Keyturn) -> None:
        asked = await held(world, service)
        row = service.core.ledger.row("request", asked.request)
        assert breakglass.barred(service.core, row, person(service, "riley")) == "", "negative control"
        own = service.core.roster.people["dana"].os_uids
        await people.change(service.core, "riley", {"os_uids": list(own)}, by="dana")
        assert "another part" in breakglass.barred(service.core, row, person(service, "riley"))

    world.play(story)


def test_a_group_that_a_schedule_fills_breaks_the_glass_and_reviews_as_it_is_now(tmp_path: Path) -> None:
    """What an administrator wrote into somebody's record makes nobody be on call, in an emergency neither."""
    section = SECTION.replace(b'people = ["riley", "dana"]', b'groups = ["primary"]').replace(
        b'"policy"', b'"primary"'
    )
    section += b"[oncall.primary]\nsource = 'file'\npath = 'oncall.json'\ntrust = '2h'\n"
    world = World(tmp_path, policy={**FILES, "requirements.toml": FILES["requirements.toml"] + section})
    (world.home.root / "oncall.json").write_text(
        '{"shift": [{"from": "2020-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z", "people": ["sam"]}]}'
    )

    async def story(service: Keyturn) -> None:
        key, other = await with_key(service), SoftSshKey()
        await enrol(service, "sam", other)
        await people.change(service.core, "riley", {"groups": ["primary", "reviewers"]}, by="dana")
        await oncall.refresh(service.core)
        asked = await held(world, service)
        row = requests.required(service.core, asked.request)
        state = requests.state_of(service.core, row)
        made = signing.statement_of(
            service.core, row, state, "riley", "approve", "prod is down", "n" * 20, "break-glass"
        )
        given = {
            "digest": state.digest,
            "display": state.display,
            "reason": "prod is down",
            "channel": "test",
        }
        with pytest.raises(BreakGlassNotNamed):
            await service.break_glass(
                asked.request,
                person(service, "riley"),
                **given,
                proof=key.prove(statement_bytes(made)),
                statement_nonce="n" * 20,
            )
        # Negative control: who is on call may. And riley, who is not, reviews nothing either.
        assert (await broken(service, asked.request, "sam", other)).state == "approved"
        (used,) = breakglass.views(service.core, "all", 10)
        with pytest.raises(ReviewRefused):
            await service.review_break_glass(used.id, person(service, "riley"), "justified", "looked at it")

    world.play(story)


def test_a_change_is_never_released_alone(world: World) -> None:
    """Or the log would say that it was approved, without what it changes and without those whom it asks."""

    async def story(service: Keyturn) -> None:
        key = await with_key(service)
        await people.enrol(
            service.core, "alex", name="", groups=[], roles=["member", "admin"], os_uids=[], by="dana"
        )
        asked = await roster_changes.change(
            service.core, "sam", {"roles": ["member", "admin"]}, by=person(service, "dana")
        )
        assert asked.request is not None
        row = requests.required(service.core, asked.request.id)
        state = requests.state_of(service.core, row)
        given = {"digest": state.digest, "display": state.display, "reason": "prod is down"}
        with pytest.raises(BreakGlassNotNamed):
            breakglass.statement(service.core, asked.request.id, person(service, "riley"), **given)
        made = signing.statement_of(
            service.core, row, state, "riley", "approve", "prod is down", "n" * 20, "break-glass"
        )
        proof = key.prove(statement_bytes(made))
        with pytest.raises(BreakGlassNotNamed):
            await service.break_glass(
                asked.request.id,
                person(service, "riley"),
                **given,
                channel="test",
                proof=proof,
                statement_nonce="n" * 20,
            )
        assert (await service.request(asked.request.id, None)).state == "waiting"
        # Negative control: an action the same person releases with the same key.
        known = await held(world, service)
        assert (await broken(service, known.request, "riley", key)).state == "approved"

    world.play(story)


def test_where_nobody_knows_who_asked_nobody_releases_it_alone(world: World) -> None:
    """Whoever asked could hide behind an account that nobody knows, and then be the one who is named for emergencies."""

    async def story(service: Keyturn) -> None:
        key = await with_key(service)
        session = await world.session(service, known=False)
        who = Attribution(Agent("claude-code", "claude-code", "2.1"))
        asked = await service.authorize(world.action(session, HELD, attribution=who), world.around)
        with pytest.raises(BreakGlassParty):
            await broken(service, asked.request, "riley", key)
        assert "breakglass.used" not in types(service)
        # Negative control: for a known person's agent the same person with the same key may.
        known = await held(world, service)
        assert (await broken(service, known.request, "riley", key)).state == "approved"

    world.play(story)


def test_what_lacks_the_key_the_reason_or_the_right_bytes_releases_nothing(world: World) -> None:
    async def story(service: Keyturn) -> None:
        key = await with_key(service)
        asked = await held(world, service)
        with pytest.raises(AssuranceTooLow):
            await broken(service, asked.request, "riley", key, proof=None)
        with pytest.raises(ReasonMissing):
            await broken(service, asked.request, "riley", key, reason=" ")
        with pytest.raises(ProofRefused):  # signed for another reason
            await broken(service, asked.request, "riley", key, statement_nonce="n" * 20)
        view = await service.request(asked.request, person(service, "riley"))
        given = {"digest": "sha256:" + "0" * 64, "display": view.display, "reason": "x"}
        with pytest.raises(OtherBytes):
            breakglass.statement(service.core, asked.request, person(service, "riley"), **given)
        # An ordinary approval's signature is not one that breaks the glass.
        shown = await service.statement(
            asked.request,
            person(service, "riley"),
            "approve",
            reason="x",
            digest=view.digest,
            display=view.display,
        )
        with pytest.raises(ProofRefused):
            await service.break_glass(
                asked.request, person(service, "riley"), reason="x", digest=view.digest, display=view.display,
                channel="test", proof=key.prove(from_b64(shown.bytes)), statement_nonce=shown.statement["nonce"],
            )  # fmt: skip
        assert (await service.request(asked.request)).state == "waiting"
        assert (await broken(service, asked.request, "riley", key)).state == "approved", "negative control"
        with pytest.raises(RequestEnded):
            await broken(service, asked.request, "riley", key)

    world.play(story)


def test_without_the_section_nobody_can(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        asked = await held(world, service)
        with pytest.raises(BreakGlassNotNamed):
            await service.break_glass(
                asked.request, person(service, "riley"), reason="x", digest="", display="", channel="test"
            )

    world = World(tmp_path)
    world.play(story)


def test_what_was_released_and_not_used_in_time_lapses(world: World) -> None:
    async def story(service: Keyturn) -> None:
        key = await with_key(service)
        asked = await held(world, service)
        await broken(service, asked.request, "riley", key)
        later(service, 600)
        with pytest.raises(NotClaimable):
            await service.claim(asked.request, asked.digest, GATE.name)

    world.play(story)


def test_until_somebody_else_reviewed_it_a_control_fails_and_overdue_it_is_a_finding(world: World) -> None:
    async def story(service: Keyturn) -> None:
        key = await with_key(service)
        asked = await held(world, service)
        assert breakglass.unreviewed(service.core) == 0
        await broken(service, asked.request, "riley", key)
        (one,) = breakglass.views(service.core, "unreviewed", 10)
        assert one.state == "unreviewed"
        health = {line.name: line for line in Pages(service, world.settings).health()}
        assert (health["Break-glass"].state, health["Break-glass"].words) == (
            "warning",
            "1 used and not reviewed.",
        )
        assert b"keyturn_breakglass_unreviewed 1.0" in metrics.exposition(service)
        with pytest.raises(ReviewRefused):
            await service.review_break_glass(one.id, person(service, "riley"), "justified", "I was right")
        with pytest.raises(ReviewRefused):  # who asked for the action
            await service.review_break_glass(one.id, person(service, "dana"), "justified", "it helped me")
        with pytest.raises(ReviewUnexplained):
            await service.review_break_glass(one.id, person(service, "sam"), "justified", "  ")
        assert await service.expire() is not None
        assert findings.views(service.core) == [], "negative control: not overdue yet"
        later(service, 24 * 3600)
        await service.expire()
        await service.expire()
        (found,) = findings.views(service.core)
        assert (found.kind, found.subject["breakglass"]) == ("breakglass.unreviewed", one.id)
        health = {line.name: line for line in Pages(service, world.settings).health()}
        assert health["Break-glass"].state == "bad"
        done = await service.review_break_glass(
            one.id, person(service, "sam"), "unjustified", "it could have waited"
        )
        assert (done.state, done.reviewed_by, done.verdict) == ("reviewed", "sam", "unjustified")
        assert breakglass.unreviewed(service.core) == 0
        with pytest.raises(ReviewRefused):
            await service.review_break_glass(one.id, person(service, "sam"), "justified", "again")
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_who_is_in_none_of_the_reviewing_groups_does_not_review(world: World) -> None:
    async def story(service: Keyturn) -> None:
        key = await with_key(service)
        asked = await held(world, service)
        await broken(service, asked.request, "riley", key)
        (one,) = breakglass.views(service.core, "unreviewed", 10)
        await people.change(service.core, "sam", {"groups": ["reviewers"]}, by="dana")
        with pytest.raises(ReviewRefused, match="people of policy"):
            await service.review_break_glass(one.id, person(service, "sam"), "justified", "fine")

    world.play(story)


def test_a_freeze_that_refuses_is_not_broken(tmp_path: Path) -> None:
    """What policy refuses is never released, whoever is named."""
    freeze = b"\n[freeze.now]\nfrom = 2020-01-01T00:00:00Z\nuntil = 2100-01-01T00:00:00Z\n"

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        asked = await service.authorize(world.action(session, HELD), world.around)
        assert (asked.verdict, asked.request) == ("refuse", None)

    world = World(tmp_path, policy={**POLICY, "requirements.toml": POLICY["requirements.toml"] + freeze})
    world.play(story)


@pytest.mark.parametrize(
    "wrong",
    [
        b'[breakglass]\nreviewers = "x"\n',
        b'[breakglass]\npeople = ["a"]\n',
        b'[breakglass]\npeople = ["a"]\nreviewers = "x"\nassurance = "click"\n',
        b'[breakglass]\npeople = ["a"]\nreviewers = "x"\nwithin = "2h"\n',
        b'[breakglass]\npeople = ["a"]\nreviewers = "x"\nreview_within = "30d"\n',
        b'[breakglass]\ngroups = ["no group"]\nreviewers = "x"\n',
        b'[breakglass]\npeople = ["a"]\nreviewers = "x"\nrefuse = true\n',
    ],
)
def test_a_section_that_says_too_little_or_too_much_is_refused(wrong: bytes) -> None:
    with pytest.raises(PolicyInvalid):
        Policy.parse({**FILES, "requirements.toml": FILES["requirements.toml"] + b"\n" + wrong})
    good = b'\n[breakglass]\npeople = ["a"]\nreviewers = "x"\n'
    found = Policy.parse(
        {**FILES, "requirements.toml": FILES["requirements.toml"] + good}
    ).requirements.breakglass
    assert found is not None
    assert (found.assurance, found.within, found.review_within, found.notify) == (
        "signed",
        900,
        86_400,
        ("x",),
    )
