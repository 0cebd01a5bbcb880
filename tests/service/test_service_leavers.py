"""Whoever leaves takes nothing along: keys, tokens and sessions end in the same append as the person, for good."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from service_world import World
from signing_world import SoftPasskey, SoftSshKey, approvals, ask, decide, enrol, person, sign, signed_policy

from keyturn.evidence.examining import Asked, examine
from keyturn.evidence.testing import TestResult, load_tests
from keyturn.identity import tokens
from keyturn.ledger.entries import Draft
from keyturn.service import callers, credentials, people
from keyturn.service.keyturn import Keyturn

DAY = 24 * 3600


def later(service: Keyturn, seconds: float) -> None:
    """The clocks of the use cases and of the ledger go on."""
    before = service.core.clock

    def clock() -> float:
        return before() + seconds

    service.core.clock = clock
    service.core.ledger._writer._clock = clock


async def holding(service: Keyturn, name: str) -> tuple[list[str], str, str]:
    """*name* with two keys, a token and a web session: the keys, the token, the cookie."""
    keys = [await enrol(service, name, soft) for soft in (SoftSshKey(), SoftPasskey(rp_id="localhost"))]
    wish = credentials.Wish("person", name, form="opaque", scopes=("read",))
    token = (await credentials.issue(service.core, wish, name)).token
    cookie = tokens.cookie_of(await service.logins.redeem(service.logins.link_code(name)))
    assert callers.person_by_token(service.core, token) is not None
    assert service.logins.person(cookie) is not None
    return keys, token, cookie


def leavers_out(service: Keyturn, folder: Path) -> TestResult:
    """What the control test comes to, two days on."""
    now, test = service.core.now(), load_tests()["leavers_out"]
    found = examine(
        service.core.ledger._store, service.core.ledger.vkey, folder, [test], Asked(0, now + 1), now
    )
    return {one.test: one for one in found.results}["leavers_out"]


def test_keys_and_tokens_of_a_leaver_are_revoked_in_the_same_append(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        keys, token, cookie = await holding(service, "riley")
        other = await enrol(service, "sam", SoftSshKey())
        gone = await service.keys("riley")
        await service.revoke_key(gone[0].id, person(service, "riley"), "lost before")
        size = service.core.ledger.size
        removed = await people.remove(service.core, "riley", by="dana")
        assert removed.keys == (keys[1],)  # what was revoked before is not revoked again
        assert len(removed.credentials) == 1
        added = list(service.core.ledger.entries(size))
        assert [one.type for one in added] == ["person.removed", "key.revoked", "credential.revoked"]
        assert len({one.time for one in added}) == 1
        assert {one.fields["by"] for one in added} == {"dana"}
        assert [key.id for key in await service.keys() if key.revoked is None] == [other]
        assert service.logins.person(cookie) is None
        with pytest.raises(callers.CredentialRevoked):
            callers.person_by_token(service.core, token)
        assert service.core.ledger.rebuild(check=True).identical

    World(tmp_path).play(story)


def test_the_control_test_of_leavers_passes_by_itself(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        await holding(service, "riley")
        await people.remove(service.core, "riley", by="dana")
        later(service, 2 * DAY)
        await service.enrol("kim", name="", groups=[], roles=["member"], os_uids=[], by="dana")
        found = leavers_out(service, tmp_path / "tables")
        assert (found.verdict, found.exceptions) == ("pass", 0), found.listed
        assert found.population > 0

    World(tmp_path).play(story)


def test_a_removal_that_left_the_keys_would_fail_it(tmp_path: Path) -> None:
    """The negative control: the same, as it was recorded before removals revoked keys."""

    async def story(service: Keyturn) -> None:
        await holding(service, "riley")
        await service.core.ledger.append([Draft("person.removed", {"id": "riley", "by": "dana"})])
        service.core.people_changed()
        later(service, 2 * DAY)
        await service.enrol("kim", name="", groups=[], roles=["member"], os_uids=[], by="dana")
        found = leavers_out(service, tmp_path / "tables")
        assert found.verdict == "fail"
        assert [one.exception for one in found.listed] == ["2 keys of riley were not revoked in time"]

    World(tmp_path).play(story)


def test_a_signature_of_a_leaver_stays_void_when_they_come_back(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy(people=2))

    async def story(service: Keyturn) -> None:
        soft, other = SoftSshKey(), SoftSshKey()
        await enrol(service, "riley", soft)
        await enrol(service, "sam", other)
        request = await ask(world, service)
        await decide(service, request, "riley", await sign(service, request, "riley", soft))
        assert (await service.request(request)).stages[0].have == 1
        await people.remove(service.core, "riley", by="dana")
        assert (await service.request(request)).stages[0].have == 0
        await service.core.ledger.append(
            [Draft("person.restored", {"id": "riley", "token": "", "by": "scim"})]
        )
        service.core.people_changed()
        assert person(service, "riley").groups  # back, with what they were, and without what they held
        assert (await service.request(request)).stages[0].have == 0
        view = await decide(service, request, "sam", await sign(service, request, "sam", other))
        assert view.state == "waiting"
        assert len(approvals(service, request)) == 2

    world.play(story)


def test_sessions_and_tokens_from_between_two_removals_stay_ended(tmp_path: Path) -> None:
    """Somebody who is deactivated twice: what they opened in between comes back no more than what they had first."""

    async def story(service: Keyturn) -> None:
        async def back() -> None:
            await service.core.ledger.append(
                [Draft("person.restored", {"id": "riley", "token": "", "by": "scim"})]
            )
            service.core.people_changed()

        opened = []
        for _ in range(3):
            _, token, cookie = await holding(service, "riley")
            opened.append((token, cookie))
            await people.remove(service.core, "riley", by="dana")
            await back()
            for token, cookie in opened:
                assert service.logins.person(cookie) is None
                with pytest.raises(callers.CredentialRevoked):
                    callers.person_by_token(service.core, token)
        assert service.core.ledger.rebuild(check=True).identical

    World(tmp_path).play(story)


def test_a_stream_of_changes_ends_with_the_token_that_it_was_asked_with(tmp_path: Path) -> None:
    from keyturn.channels.api.access import opens
    from keyturn.channels.api.routes import _stream

    async def story(service: Keyturn) -> None:
        seen: dict[str, list[str]] = {"riley": [], "sam": []}
        streams = {}

        async def listen(name: str, token: str, ready: asyncio.Event) -> None:
            async for message in _stream(service, lambda: opens(service, token)):
                seen[name].append(str(message.data))
                ready.set()

        for name in seen:
            _, token, _ = await holding(service, name)
            ready = asyncio.Event()
            task = asyncio.create_task(listen(name, token, ready))
            while not ready.is_set():  # the subscription begins with the task's first turn
                await service.core.ledger.append([Draft("clock.jumped", {"clock": 1, "log": 2})])
                await asyncio.sleep(0)
            streams[name] = task
        await people.remove(service.core, "riley", by="dana")
        async with asyncio.timeout(30):
            await streams["riley"]
        assert not any("person.removed" in one for one in seen["riley"])
        assert not streams["sam"].done()  # the negative control: who is still there goes on hearing
        streams["sam"].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await streams["sam"]

    World(tmp_path).play(story)
