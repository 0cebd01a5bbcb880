"""Tickets: an approval that needs an approved change is recorded only with one that its source says counts, here and now."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from outside_servers import Handler, Outside, certificate, outside
from service_world import HELD, World, decide, person, types

from keyturn import canonical
from keyturn.approvals.errors import DecisionRefused
from keyturn.policy import STARTER, read_folder
from keyturn.service.conditions import sources
from keyturn.service.conditions.errors import (
    NotNow,
    PermitNotNow,
    TicketMissing,
    TicketRefused,
    TicketSourceFailed,
)
from keyturn.service.conditions.sources import CredentialsInvalid
from keyturn.service.keyturn import Keyturn

ASKS = "[default]\nwithin = '7d'\nticket = 'required'\n"
GATE = "hooks:test@here"


def iso(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


def world_of(folder: Path, section: str) -> World:
    return World(folder, policy={**read_folder(STARTER), "requirements.toml": (ASKS + section).encode()})


async def held(world: World, service: Keyturn, text: str = HELD) -> Any:
    session = await world.session(service)
    return await service.authorize(world.action(session, text), world.around)


def play(world: World, story: Callable[[Keyturn, Any], Awaitable[None]]) -> None:
    async def told(service: Keyturn) -> None:
        await story(service, await held(world, service))

    world.play(told)


# --- a file ----------------------------------------------------------------------------------------------------


def write_file(world: World, **changes: Any) -> bytes:
    given = {
        "id": "CHG-1",
        "state": "approved",
        "from": iso(-60),
        "until": iso(60),
        "targets": ["local"],
        **changes,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in given.items() if value is not None]
    text = "[[ticket]]\n" + "\n".join(lines) + "\n"
    (world.home.root / "changes.toml").write_text(text)
    return text.encode()


FILE = "[tickets]\nsource = 'file'\npath = 'changes.toml'\n"


def test_an_approved_change_in_its_time_is_recorded_with_the_digest_of_what_the_source_said(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path, FILE)
    text = write_file(world)

    async def story(service: Keyturn, outcome: Any) -> None:
        view = await decide(service, outcome.request, "riley", ticket="CHG-1")
        assert view.state == "approved"
        entry = service.core.ledger.entry(view.approvals[0].entry)
        assert entry is not None
        recorded = entry.fields["ticket"]
        assert (recorded["reference"], recorded["states"], recorded["covers"]) == (
            "CHG-1",
            ["approved"],
            ["local"],
        )
        assert recorded["answer"] == canonical.digest_bytes(text)
        claimed = await service.claim(outcome.request, outcome.digest, GATE)
        assert await service.consume(claimed.permit.token, outcome.digest, GATE)
        assert not service.core.ledger.rebuild(check=True).differing

    play(world, story)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "draft"}, "CHG-1 is draft, not approved"),
        ({"state": None}, "CHG-1 is nothing, not approved"),
        ({"from": iso(10)}, "which is not now"),
        ({"until": iso(-1)}, "which is not now"),
        ({"until": None}, "does not say from when until when"),
        ({"until": "soon"}, "does not say from when until when"),
        ({"targets": ["db-1"]}, "covers db-1, not local"),
        ({"targets": None}, "covers nothing by name"),
        ({"id": "CHG-2"}, "There is no CHG-1"),
    ],
)
def test_a_change_that_is_not_approved_not_now_or_not_for_this_does_not_count(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    world = world_of(tmp_path, FILE)
    write_file(world, **changes)

    async def story(service: Keyturn, outcome: Any) -> None:
        with pytest.raises(TicketRefused, match=words):
            await decide(service, outcome.request, "riley", ticket="CHG-1")
        assert "approval.given" not in types(service)
        assert (await decide(service, outcome.request, "riley", "deny")).state == "denied"

    play(world, story)


def test_without_a_reference_nothing_is_approved_and_a_denial_needs_none(tmp_path: Path) -> None:
    world = world_of(tmp_path, FILE)

    async def story(service: Keyturn, outcome: Any) -> None:
        view = await service.request(outcome.request, person(service, "riley"))
        assert (view.conditions.ticket, view.conditions.reference) == (True, "")
        with pytest.raises(TicketMissing):
            await decide(service, outcome.request, "riley")
        with pytest.raises(TicketSourceFailed, match=r"changes\.toml can't be read"):
            await decide(service, outcome.request, "riley", ticket="CHG-1")
        assert (await decide(service, outcome.request, "riley", "deny")).state == "denied"

    play(world, story)


def test_where_policy_names_no_source_nothing_can_be_approved(tmp_path: Path) -> None:
    async def story(service: Keyturn, outcome: Any) -> None:
        with pytest.raises(TicketSourceFailed, match="names no source"):
            await decide(service, outcome.request, "riley", ticket="CHG-1")

    play(world_of(tmp_path, ""), story)


@pytest.mark.parametrize(
    "reference", ["../../etc/passwd", "CHG-1?x=", "CHG 1", "CHG-1/../CHG-2", "-x", "é", "a" * 65]
)
def test_a_reference_leads_nowhere_else(tmp_path: Path, reference: str) -> None:
    world = world_of(tmp_path, FILE)
    write_file(world)

    async def story(service: Keyturn, outcome: Any) -> None:
        with pytest.raises(TicketRefused, match="no reference"):
            await decide(service, outcome.request, "riley", ticket=reference)

    play(world, story)


def test_a_change_whose_time_is_over_permits_nothing_any_more(tmp_path: Path) -> None:
    """Approved within the change's time, claimed and used behind it: refused both times."""
    world = world_of(tmp_path, FILE)
    write_file(world)

    async def story(service: Keyturn, outcome: Any) -> None:
        other = await held(world, service, "rm -r dist")
        for one in (outcome, other):
            await decide(service, one.request, "riley", ticket="CHG-1")
        claimed = await service.claim(other.request, other.digest, GATE)
        later = time.time() + 3600
        service.core.clock = lambda: later
        service.core.settings = service.core.settings.__class__(claim_seconds=86_400)
        with pytest.raises(NotNow, match="CHG-1"):
            await service.claim(outcome.request, outcome.digest, GATE)
        action = service.core.ledger.row("action", other.action)
        service.core.ledger.row("action", other.action)["permit"]["expires"] += 0
        assert action is not None
        from keyturn.service.conditions.moments import require_usable

        with pytest.raises(PermitNotNow, match="CHG-1"):
            require_usable(service.core, service.core.ledger, action)
        assert claimed.permit is not None

    play(world, story)


def test_the_second_approver_need_not_name_it_again_and_it_is_looked_up_again(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        policy={
            **read_folder(STARTER),
            "requirements.toml": ("[default]\napprove='2 of reviewers'\nticket='required'\n" + FILE).encode(),
        },
    )
    write_file(world)

    async def story(service: Keyturn, outcome: Any) -> None:
        await decide(service, outcome.request, "riley", ticket="CHG-1")
        assert (await service.request(outcome.request, None)).conditions.reference == "CHG-1"
        write_file(world, state="withdrawn")
        with pytest.raises(TicketRefused, match="withdrawn"):
            await decide(service, outcome.request, "sam")
        write_file(world)
        assert (await decide(service, outcome.request, "sam")).state == "approved"

    play(world, story)


def test_a_reference_in_what_the_human_asked_for_is_suggested(tmp_path: Path) -> None:
    world = world_of(tmp_path, FILE)
    write_file(world)

    async def story(service: Keyturn) -> None:
        from msgspec.structs import replace

        from keyturn.actions import Text

        session = await world.session(service)
        action = world.action(session, HELD)
        told = replace(action.attribution, instruction=Text("tidy up for CHG-1 please", "hook"))
        outcome = await service.authorize(replace(action, attribution=told), world.around)
        assert outcome.request is not None
        assert (await service.request(outcome.request, None)).conditions.reference == "CHG-1"
        assert (await decide(service, outcome.request, "riley")).state == "approved"

    world.play(story)


# --- Jira and GitHub -------------------------------------------------------------------------------------------


def jira(**changes: Any) -> dict[str, Any]:
    fields = {"status": {"name": "Approved"}, "labels": ["local"], "begin": iso(-5), "end": iso(5)}
    return {"key": "CHG-1", "fields": {**fields, **changes}}


def jira_section(url: str, more: str = "") -> str:
    return f"[tickets]\nsource='jira'\nurl='{url}'\nfrom_field='begin'\nuntil_field='end'\n{more}"


def github(**changes: Any) -> dict[str, Any]:
    body = f"Please.\n\nWindow: {iso(-5)} / {iso(5)}\n"
    labels = [{"name": "approved"}, {"name": "local"}]
    return {"number": 12, "state": "open", "labels": labels, "body": body, **changes}


def test_jira_is_asked_with_its_credential_and_believed_in_what_it_says(tmp_path: Path) -> None:
    with outside(time.time) as server:
        world = world_of(tmp_path, jira_section(server.url, "credential='jira'\n"))
        file = world.home.root / "sources.toml"
        file.write_text(f"[jira]\norigin = '{server.url}'\nuser = 'keyturn'\ntoken = 'secret'\n")
        file.chmod(0o600)
        server.answer = lambda handler: handler.say(jira())

        async def story(service: Keyturn, outcome: Any) -> None:
            for wrong in (
                {"status": {"name": "Open"}},
                {"labels": ["other"]},
                {"end": iso(-1)},
                {"begin": None},
            ):
                server.answer = lambda handler, wrong=wrong: handler.say(jira(**wrong))
                with pytest.raises(TicketRefused):
                    await decide(service, outcome.request, "riley", ticket="CHG-1")
            server.answer = lambda handler: handler.say({**jira(), "key": "CHG-9"})
            with pytest.raises(TicketSourceFailed, match="another issue"):
                await decide(service, outcome.request, "riley", ticket="CHG-1")
            server.answer = lambda handler: handler.say(jira())
            assert (await decide(service, outcome.request, "riley", ticket="CHG-1")).state == "approved"
            path, headers = server.asked[-1]
            assert path == "/rest/api/2/issue/CHG-1?fields=status,labels,begin,end"
            assert headers["Authorization"] == "Basic a2V5dHVybjpzZWNyZXQ="
            kept = b"".join(canonical.dumps(entry.fields) for entry in service.core.ledger.entries())
            assert b"keyturn:secret" not in kept
            assert b'"secret"' not in kept
            assert b"a2V5dHVybjpzZWNyZXQ" not in kept

        play(world, story)


def test_github_counts_open_issues_with_the_label_and_a_window_line(tmp_path: Path) -> None:
    with outside(time.time) as server:
        section = f"[tickets]\nsource='github'\nurl='{server.url}'\nrepository='acme/changes'\n"

        async def story(service: Keyturn, outcome: Any) -> None:
            for wrong in (
                {"state": "closed"},
                {"labels": [{"name": "local"}]},
                {"body": "no window"},
                {"labels": [{"name": "approved"}]},
            ):
                server.answer = lambda handler, wrong=wrong: handler.say(github(**wrong))
                with pytest.raises(TicketRefused):
                    await decide(service, outcome.request, "riley", ticket="#12")
            server.answer = lambda handler: handler.say({}, 404)
            with pytest.raises(TicketRefused, match="There is no #12"):
                await decide(service, outcome.request, "riley", ticket="#12")
            server.answer = lambda handler: handler.say(github())
            assert (await decide(service, outcome.request, "riley", ticket="#12")).state == "approved"
            assert server.asked[-1][0] == "/repos/acme/changes/issues/12"

        play(world_of(tmp_path, section), story)


# --- sources that misbehave ------------------------------------------------------------------------------------


def flood(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    block = b"x" * 65_536
    with contextlib.suppress(OSError):
        for _ in range(800):  # 50 MiB
            handler.wfile.write(block)


def slow_drip(server: Outside) -> Callable[[Handler], None]:
    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not server.over.wait(0.05):
                handler.wfile.write(b" ")
                handler.wfile.flush()

    return answer


MISBEHAVING: dict[str, tuple[Callable[[Outside], Callable[[Handler], None]], str]] = {
    "says nothing": (lambda s: s.hang, "no whole answer"),
    "drips": (slow_drip, "no whole answer"),
    "floods": (lambda s: flood, "more than"),
    "garbage": (lambda s: lambda h: h.say(b"\x00\xff{"), "not JSON"),
    "deep": (lambda s: lambda h: h.say(b"[" * 500_000), "not JSON"),
    "another shape": (lambda s: lambda h: h.say([1, 2]), "no issue of Jira"),
    "compressed": (
        lambda s: lambda h: h.say(gzip.compress(b"{}" * 1000), Content_Encoding="gzip"),
        "compressed",
    ),
    "an error": (lambda s: lambda h: h.say({}, 503), "status 503"),
    "a login page": (lambda s: lambda h: h.say({}, 401), "status 401"),
    "a redirect": (lambda s: lambda h: h.say(b"", 302, Location=f"{s.url}/elsewhere"), "redirect"),
}


@pytest.mark.parametrize("how", MISBEHAVING)
def test_a_source_that_misbehaves_stops_approvals_and_no_denial(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words = MISBEHAVING[how]
    monkeypatch.setattr(sources, "SECONDS", 3.0 if words == "no whole answer" else 60.0)
    with outside(time.time) as server:
        server.answer = make(server)

        async def story(service: Keyturn, outcome: Any) -> None:
            with pytest.raises(TicketSourceFailed, match=words):
                await decide(service, outcome.request, "riley", ticket="CHG-1")
            assert len(server.asked) == 1, "nothing was followed or tried again"
            assert "approval.given" not in types(service)
            server.answer = lambda handler: handler.say(jira())
            monkeypatch.setattr(sources, "SECONDS", 60.0)
            await decide(
                service, outcome.request, "riley", ticket="CHG-1"
            )  # it answers again: the negative control

        play(world_of(tmp_path, jira_section(server.url)), story)


def test_while_a_source_says_nothing_others_decide_and_agents_are_answered(tmp_path: Path) -> None:
    with outside(time.time) as server:
        server.answer = server.hang
        world = world_of(tmp_path, jira_section(server.url))

        async def story(service: Keyturn, outcome: Any) -> None:
            waiting = asyncio.create_task(decide(service, outcome.request, "riley", ticket="CHG-1"))
            await asyncio.to_thread(server.was_asked.wait)
            assert (await held(world, service, "ls")).verdict == "run"
            assert (await decide(service, outcome.request, "sam", "deny")).state == "denied"
            server.over.set()
            with pytest.raises(DecisionRefused):
                await waiting

        play(world, story)


def test_a_source_that_is_gone_stops_approvals(tmp_path: Path) -> None:
    with outside(time.time) as server:
        url = server.url

    async def story(service: Keyturn, outcome: Any) -> None:
        with pytest.raises(TicketSourceFailed, match="can't be asked"):
            await decide(service, outcome.request, "riley", ticket="CHG-1")

    play(world_of(tmp_path, jira_section(url)), story)


def test_a_source_with_another_clock_is_not_believed(tmp_path: Path) -> None:
    with outside(lambda: time.time() - 3600) as server:
        server.answer = lambda handler: handler.say(jira())

        async def story(service: Keyturn, outcome: Any) -> None:
            with pytest.raises(TicketSourceFailed, match=r"the clock of 127\.0\.0\.1"):
                await decide(service, outcome.request, "riley", ticket="CHG-1")
            server.clock = time.time
            assert (await decide(service, outcome.request, "riley", ticket="CHG-1")).state == "approved"

        play(world_of(tmp_path, jira_section(server.url)), story)


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_it_is_named(tmp_path: Path) -> None:
    pair = certificate(tmp_path)
    with outside(time.time, tls=pair) as server:
        server.answer = lambda handler: handler.say(jira())
        world = world_of(tmp_path, jira_section(server.url, "credential='jira'\n"))
        file = world.home.root / "sources.toml"

        async def story(service: Keyturn, outcome: Any) -> None:
            file.write_text(f"[jira]\norigin = '{server.url}'\ntoken = 't'\n")
            file.chmod(0o600)
            with pytest.raises(TicketSourceFailed, match="can't be asked"):
                await decide(service, outcome.request, "riley", ticket="CHG-1")
            assert server.asked == [], "the token went nowhere"
            file.write_text(f"[jira]\norigin = '{server.url}'\ntoken = 't'\nca = '{pair[0]}'\n")
            assert (await decide(service, outcome.request, "riley", ticket="CHG-1")).state == "approved"

        play(world, story)


def test_a_credential_is_sent_to_its_own_origin_only(tmp_path: Path) -> None:
    """Whoever writes policy can't have the secret sent to a server of theirs."""
    with outside(time.time) as server:
        server.answer = lambda handler: handler.say(jira())
        world = world_of(tmp_path, jira_section(server.url, "credential='jira'\n"))
        file = world.home.root / "sources.toml"

        async def story(service: Keyturn, outcome: Any) -> None:
            for text, words in (
                ("[jira]\norigin = 'https://jira.example.com'\ntoken = 't'\n", "not for"),
                ("[other]\norigin = 'https://jira.example.com'\n", "no section"),
                ("[jira]\norigin = 5\n", "can't be used"),
            ):
                file.write_text(text)
                file.chmod(0o600)
                with pytest.raises(CredentialsInvalid, match=words):
                    await decide(service, outcome.request, "riley", ticket="CHG-1")
            file.write_text(f"[jira]\norigin = '{server.url}'\ntoken = 't'\n")
            file.chmod(0o644)
            with pytest.raises(CredentialsInvalid, match="Others than its owner"):
                await decide(service, outcome.request, "riley", ticket="CHG-1")
            assert server.asked == []
            file.chmod(0o600)
            assert (await decide(service, outcome.request, "riley", ticket="CHG-1")).state == "approved"

        play(world, story)


def test_who_may_not_approve_makes_nobody_be_asked(tmp_path: Path) -> None:
    with outside(time.time) as server:
        server.answer = lambda handler: handler.say(jira())

        async def story(service: Keyturn, outcome: Any) -> None:
            with pytest.raises(DecisionRefused, match="asked for this"):
                await decide(service, outcome.request, "dana", ticket="CHG-1")
            assert server.asked == []

        play(world_of(tmp_path, jira_section(server.url)), story)
