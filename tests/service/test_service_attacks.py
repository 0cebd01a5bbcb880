"""Attempts on approvals, sessions and roles that a dishonest person, gate or moment could make."""

from __future__ import annotations

from typing import Any

import pytest
from service_world import HELD, World, decide, person

from keyturn.actions import Gate, Human
from keyturn.errors import KeyturnError, Malformed
from keyturn.identity.tokens import LoginRefused, cookie_of
from keyturn.policy import Policy
from keyturn.service import authorization, people
from keyturn.service.errors import Forbidden, UnknownSession
from keyturn.service.genesis import published
from keyturn.service.keyturn import Keyturn


def stricter(service: Keyturn) -> tuple[Policy, dict[str, bytes]]:
    """The active policy with two approvers by default."""
    files = dict(service.core.policy.files)
    files["requirements.toml"] = b'[default]\napprove = "2 of reviewers"\nwithin = "30m"\n'
    return Policy.parse(files), files


def test_a_request_never_asks_less_than_the_policy_it_is_recorded_under(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stricter version takes effect between deciding and recording: the action is decided again under it."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        record, raced = authorization._record, []

        async def late(core: Any, *args: Any) -> Any:
            if not raced:
                raced.append(True)
                policy, files = stricter(service)
                await core.ledger.append([published(policy, files, by="genesis", request=None)])
            return await record(core, *args)

        monkeypatch.setattr(authorization, "_record", late)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request
        view = await service.request(outcome.request)
        assert view.obligations.approve == "2 of reviewers"
        assert outcome.decision.policy == service.core.policy.digest
        await decide(service, outcome.request, "riley")
        assert (await service.request(outcome.request)).state == "waiting"
        await decide(service, outcome.request, "sam")
        assert (await service.request(outcome.request)).state == "approved"

    world.play(story)


def test_without_a_change_one_approval_is_enough(world: World) -> None:
    """Negative control of the test above."""

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        outcome = await service.authorize(world.action(session, HELD), world.around)
        assert outcome.request
        await decide(service, outcome.request, "riley")
        assert (await service.request(outcome.request)).state == "approved"

    world.play(story)


@pytest.mark.parametrize("other", ["gate", "human"])
def test_an_approval_is_not_handed_to_who_repeats_the_bytes_in_somebody_elses_session(
    world: World, other: str
) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        action = world.action(session, HELD)
        outcome = await service.authorize(action, world.around)
        assert outcome.request
        await decide(service, outcome.request, "riley")
        if other == "gate":
            thief = world.action(session, HELD, gate=Gate("hooks:other@here", "cooperative"))
        else:
            stolen = type(action.attribution)(
                action.attribution.agent,
                Human("sam", "os-uid", 4242),
                definition=action.attribution.definition,
            )
            thief = world.action(session, HELD, attribution=stolen)
        with pytest.raises(UnknownSession):
            await service.authorize(thief, world.around)
        again = await service.authorize(action, world.around)
        assert again.verdict == "run", "negative control: who asked gets it"

    world.play(story)


def test_replacing_a_token_ends_the_web_sessions_and_links_that_came_of_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        cookie = cookie_of(await service.logins.redeem(service.logins.link_code("riley")))
        left = service.logins.link_code("riley")
        other = cookie_of(await service.logins.redeem(service.logins.link_code("sam")))
        assert service.logins.person(cookie) == person(service, "riley"), "negative control"
        await people.new_token(service.core, "riley", by="riley")
        service.logins.void("riley")
        assert service.logins.person(cookie) is None
        with pytest.raises(LoginRefused):
            await service.logins.redeem(left)
        assert service.logins.person(other) == person(service, "sam"), "other people stay signed in"

    world.play(story)


def test_the_last_administrator_stays(world: World) -> None:
    async def story(service: Keyturn) -> None:
        with pytest.raises(Forbidden):
            await people.remove(service.core, "dana", by="dana")
        with pytest.raises(Forbidden):
            await people.change(service.core, "dana", {"roles": ["member"]}, by="riley")
        await people.change(service.core, "riley", {"roles": ["admin"]}, by="dana")
        await people.remove(service.core, "dana", by="riley")
        assert service.core.roster.get("dana") is None

    world.play(story)


@pytest.mark.parametrize(
    "change",
    [
        {"roles": ["superuser"]},
        {"groups": ["x y"]},
        {"groups": [""]},
        {"os_uids": [-1]},
        {"os_uids": [2**40]},
    ],
)
def test_a_role_group_or_account_that_can_not_be_is_refused(world: World, change: dict[str, Any]) -> None:
    async def story(service: Keyturn) -> None:
        with pytest.raises(KeyturnError) as refused:
            await people.change(service.core, "riley", change, by="dana")
        assert isinstance(refused.value, Malformed) or refused.value.status == 400
        await people.change(service.core, "riley", {"roles": ["auditor"], "groups": ["dba"]}, by="dana")

    world.play(story)


def test_a_proposal_that_weakens_its_own_cases_says_so_first(world: World) -> None:
    async def story(service: Keyturn) -> None:
        dana = person(service, "dana")
        lax = b'@id("all")\n@because("everything")\npermit(principal, action, resource);\n'
        files = {
            path: data
            for path, data in service.core.policy.files.items()
            if not path.startswith(("tests/", "rules/"))
        }
        files["rules/all.cedar"] = lax
        files["tests/t.toml"] = b'[[must_run]]\ncommand = "rm -r build"\n'
        view = await service.propose_policy(files, dana, "")
        assert "no longer be right" in view.sentence
        assert "RUNS" not in view.sentence

    world.play(story)


def test_a_proposal_to_stop_holding_says_so_first(world: World) -> None:
    async def story(service: Keyturn) -> None:
        dana = person(service, "dana")
        observe = dict(service.core.policy.files)
        observe["policy.toml"] = observe["policy.toml"].replace(b'"enforce"', b'"observe"')
        view = await service.propose_policy(observe, dana, "tidy up")
        assert "observe mode: what would be held RUNS" in view.sentence
        _, files = stricter(service)
        other = await service.propose_policy(files, dana, "")
        assert "observe" not in other.sentence, "negative control"
        assert "no longer be right" not in other.sentence

    world.play(story)


def test_of_two_racing_proposals_the_second_can_not_be_approved_any_more(world: World) -> None:
    async def story(service: Keyturn) -> None:
        dana = person(service, "dana")
        _, files = stricter(service)
        first = await service.propose_policy(files, dana, "one")
        observe = dict(service.core.policy.files)
        observe["policy.toml"] = observe["policy.toml"].replace(b'"enforce"', b'"observe"')
        second = await service.propose_policy(observe, dana, "two")
        await decide(service, first.id, "riley")
        with pytest.raises(KeyturnError):
            await decide(service, second.id, "sam")
        assert service.core.policy.mode == "enforce"
        assert (await service.request(second.id)).state == "superseded"

    world.play(story)
