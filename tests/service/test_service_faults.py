"""Bad moments for a decision: pressed twice, by two at once, too late, by somebody just removed, with ten thousand waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from service_world import HELD, World, decide, person, types

from keyturn.errors import KeyturnError
from keyturn.ledger.entries import Draft
from keyturn.policy import Policy
from keyturn.service import delegations, people, requests
from keyturn.service.genesis import published
from keyturn.service.keyturn import Keyturn

MANY = 10_000


@pytest.fixture
def here(tmp_path: Path) -> World:
    """A home for faults that are the same on every store."""
    return World(tmp_path)


async def policed(service: Keyturn, approve: str) -> None:
    files = dict(service.core.policy.files)
    files["requirements.toml"] = f'[default]\napprove = "{approve}"\nwithin = "30m"\n'.encode()
    await service.core.ledger.append([published(Policy.parse(files), files, by="genesis", request=None)])


async def held(world: World, service: Keyturn, script: str = HELD) -> str:
    outcome = await service.authorize(world.action(await world.session(service), script), world.around)
    assert outcome.request
    return outcome.request


def codes(results: list[Any]) -> Counter[str]:
    """How each of several decisions went."""
    assert all(isinstance(r, KeyturnError) for r in results if isinstance(r, BaseException)), results
    return Counter(r.code if isinstance(r, KeyturnError) else "recorded" for r in results)


@pytest.mark.parametrize("choice", ["approve", "deny"])
def test_a_double_click_is_one_decision(world: World, choice: str) -> None:
    async def story(service: Keyturn) -> None:
        await policed(service, "2 of reviewers")
        request = await held(world, service)
        clicks = [decide(service, request, "riley", choice) for _ in range(8)]
        told = codes(await asyncio.gather(*clicks, return_exceptions=True))
        assert told["recorded"] == 1
        assert set(told) <= {"recorded", "approval.already_given", "request.ended"}
        assert types(service).count("approval.given") == 1
        assert len((await service.request(request)).approvals) == 1

    world.play(story)


def test_of_two_reviewers_at_once_both_count_where_two_are_asked_and_one_where_one_is(world: World) -> None:
    async def story(service: Keyturn) -> None:
        request = await held(world, service)
        both = [decide(service, request, "riley"), decide(service, request, "sam")]
        told = codes(await asyncio.gather(*both, return_exceptions=True))
        assert told == {"recorded": 1, "request.ended": 1}
        await policed(service, "2 of reviewers")
        request = await held(world, service)
        both = [decide(service, request, "riley"), decide(service, request, "sam")]
        told = codes(await asyncio.gather(*both, return_exceptions=True))
        assert told == {"recorded": 2}
        assert (await service.request(request)).state == "approved"
        assert types(service).count("request.ended") == 2

    world.play(story)


def test_of_an_approval_and_a_denial_at_once_nothing_runs_unless_the_approval_was_enough_before(
    world: World,
) -> None:
    async def story(service: Keyturn) -> None:
        await policed(service, "2 of reviewers")
        request = await held(world, service)
        both = [decide(service, request, "riley"), decide(service, request, "sam", "deny")]
        await asyncio.gather(*both, return_exceptions=True)
        assert (await service.request(request)).state == "denied"

    world.play(story)


def test_a_decision_after_the_end_of_its_time_is_refused_and_ends_it(world: World) -> None:
    async def story(service: Keyturn) -> None:
        request = await held(world, service)
        start = service.core.clock()
        service.core.clock = lambda: start + 1_800
        with pytest.raises(KeyturnError) as late:
            await decide(service, request, "riley")
        assert late.value.code == "request.ended"
        assert (await service.request(request)).state == "expired"
        assert types(service)[-1] == "request.ended"

    world.play(story)


def test_a_clock_that_goes_back_revives_nothing(world: World) -> None:
    async def story(service: Keyturn) -> None:
        request, other = await held(world, service), await held(world, service, "rm -r other")
        start = service.core.clock()
        service.core.clock = lambda: start + 1_801
        await service.expire()
        service.core.clock = lambda: start - 86_400
        with pytest.raises(KeyturnError) as refused:
            await decide(service, request, "riley")
        assert refused.value.code == "request.ended"
        with pytest.raises(KeyturnError):
            await service.claim(other, "sha256:" + "0" * 64, "hooks:test@here")

    world.play(story)


def test_a_delegation_is_looked_at_with_the_clock_of_the_decision(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        await service.enrol("eve", name="", groups=[], roles=["member"], os_uids=[], by="dana")
        start = core.clock()
        until = core.now() + 60_000
        await delegations.open_delegation(core, person(service, "riley"), "eve", until=until)
        request = await held(world, service)
        core.clock = lambda: start + 61
        with pytest.raises(KeyturnError) as late:
            await decide(service, request, "eve")
        assert late.value.code == "approver.not_member"
        core.clock = lambda: start + 1
        await decide(service, request, "eve")
        assert (await service.request(request)).state == "approved"

    world.play(story)


def test_whoever_is_removed_in_the_same_moment_no_longer_decides(world: World) -> None:
    """The roster is that of the very place in the log: a decision behind a removal sees it, even within one commit."""

    async def story(service: Keyturn) -> None:
        await policed(service, "2 of reviewers")
        request = await held(world, service)
        view = await service.request(request, person(service, "riley"))
        riley, sam = person(service, "riley"), person(service, "sam")
        given = {"reason": "", "digest": view.digest, "display": view.display, "channel": "test"}
        await service.decide(request, riley, "approve", **given)
        results = await asyncio.gather(
            people.remove(service.core, "riley", by="dana"),
            service.decide(request, sam, "approve", **given),
            service.decide(request, riley, "deny", **given),
            return_exceptions=True,
        )
        assert not isinstance(results[0], BaseException)
        assert (await service.request(request)).state == "waiting", "riley's approval went with riley"
        assert isinstance(results[2], KeyturnError)
        assert results[2].code == "approver.removed"

    world.play(story)


def test_a_token_of_somebody_removed_shows_and_decides_nothing(world: World) -> None:
    async def story(service: Keyturn) -> None:
        assert people.by_token(service.core, world.tokens["riley"]), "negative control"
        await people.remove(service.core, "riley", by="dana")
        assert people.by_token(service.core, world.tokens["riley"]) is None

    world.play(story)


def test_a_group_that_is_emptied_while_a_request_waits_leaves_it_waiting_and_says_so(world: World) -> None:
    async def story(service: Keyturn) -> None:
        request = await held(world, service)
        for name in ("riley", "sam"):
            await people.change(service.core, name, {"groups": ["policy"]}, by="dana")
        view = await service.request(request, person(service, "riley"))
        assert (view.state, view.stages[0].who) == ("waiting", ())
        assert "none of these groups" in view.may_decide
        await people.change(service.core, "sam", {"groups": ["reviewers"]}, by="dana")
        await decide(service, request, "sam")
        assert (await service.request(request)).state == "approved"

    world.play(story)


def test_a_restart_forgets_neither_who_stands_in_nor_what_was_approved_by_it(here: World) -> None:
    request: list[str] = []

    async def before(service: Keyturn) -> None:
        await policed(service, "2 of reviewers")
        await service.enrol("eve", name="", groups=[], roles=["member"], os_uids=[], by="dana")
        until = service.core.now() + 3_600_000
        await delegations.open_delegation(service.core, person(service, "riley"), "eve", until=until)
        request.append(await held(here, service))
        await decide(service, request[0], "eve")

    async def after(service: Keyturn) -> None:
        with pytest.raises(KeyturnError) as refused:
            await decide(service, request[0], "riley")
        assert refused.value.code == "approval.already_given"
        assert service.core.ledger.rebuild().differing == 0
        await decide(service, request[0], "sam")
        assert (await service.request(request[0])).state == "approved"

    here.play(before)
    here.play(after)


def test_a_delegation_taken_back_before_the_end_takes_its_approval_along(here: World) -> None:
    async def story(service: Keyturn) -> None:
        core = service.core
        await policed(service, "2 of reviewers")
        await service.enrol("eve", name="", groups=[], roles=["member"], os_uids=[], by="dana")
        made = await delegations.open_delegation(
            core, person(service, "riley"), "eve", until=core.now() + 3_600_000
        )
        request = await held(here, service)
        await decide(service, request, "eve")
        await delegations.end_delegation(core, person(service, "riley"), made.id)
        await decide(service, request, "sam")
        assert (await service.request(request)).state == "waiting"
        await decide(service, request, "riley")
        assert (await service.request(request)).state == "approved"

    here.play(story)


async def fill(service: Keyturn, request: str, many: int) -> None:
    """*many* copies of a waiting request, as the log would hold them."""
    name = request[-6:]
    row = service.core.ledger.row("request", request) or {}
    kept = {
        k: v
        for k, v in row.items()
        if k not in ("entry", "opened", "session", "state", "approvals", "seen_before")
    }
    for start in range(0, many, 500):
        copies = [
            Draft(
                "request.opened",
                {**kept, "id": f"r_{name}{n:06}", "expires": row["expires"] + n, "action": None},
            )
            for n in range(start, min(start + 500, many))
        ]
        await service.core.ledger.append(copies)


@pytest.mark.slow
def test_with_ten_thousand_waiting_a_look_and_a_decision_take_no_more_steps(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No timing: what is counted are the requests that are worked out and the rows that are read."""
    counted: Counter[str] = Counter()
    state_of = requests.state_of

    def counting(*args: Any) -> Any:
        counted["requests"] += 1
        return state_of(*args)

    async def steps(service: Keyturn, request: str) -> dict[str, tuple[int, int]]:
        taken = {}
        rows, listed = service.core.ledger.row, service.core.ledger.rows

        def one(kind: str, key: str) -> Any:
            counted["rows"] += 1
            return rows(kind, key)

        def several(kind: str, **how: Any) -> Any:
            found = listed(kind, **how)
            counted["rows"] += len(found)
            return found

        monkeypatch.setattr(service.core.ledger, "row", one)
        monkeypatch.setattr(service.core.ledger, "rows", several)
        riley = person(service, "riley")
        for name, look in {
            "list": lambda: service.requests("waiting", riley, 50),
            "one": lambda: service.request(request, riley),
            "next": lambda: service.waiting(50),
            "decide": lambda: decide(service, request, "riley"),
        }.items():
            counted.clear()
            await look()
            taken[name] = (counted["requests"], counted["rows"])
        monkeypatch.undo()
        monkeypatch.setattr(requests, "state_of", counting)
        return taken

    async def story(service: Keyturn) -> None:
        monkeypatch.setattr(requests, "state_of", counting)
        await fill(service, await held(here, service), 50)
        few = await steps(service, await held(here, service, "rm -r few"))
        await fill(service, await held(here, service, "rm -r template"), MANY)
        many = await steps(service, await held(here, service, "rm -r many"))
        assert service.core.ledger.count("request", state="waiting") > MANY
        assert many == few
        assert few["list"][0] == 50
        assert few["next"][0] == 0, "where requests stand is told without working them out"

    here.play(story)
