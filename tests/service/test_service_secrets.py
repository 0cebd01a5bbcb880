"""Promise 9: secrets never enter. What is recorded has none, and what runs is still exactly what was approved."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from service_world import ALLOWED, GATE, HELD, World, decide, person
from signing_world import SoftSshKey, ask, enrol, sign, signed_policy
from signing_world import decide as signed

from keyturn import canonical, readers
from keyturn.actions import Action, Agent, Attribution, FileEdit, Shell, Text, ToolCall, action_digest
from keyturn.approvals import permit as permits
from keyturn.approvals.errors import SecretInReason
from keyturn.cli.ledger import log_vkey
from keyturn.evidence import verify_approvals
from keyturn.ledger.export import export
from keyturn.policy.folder import STARTER, read_folder
from keyturn.redaction.marker import OPEN
from keyturn.service import capturing, configurations, legal_holds, redacting, requests, signing
from keyturn.service.errors import NotClaimable
from keyturn.service.keyturn import Keyturn
from keyturn.service.model import Outcome, Receipt
from keyturn.store import open_store

TOKEN, OTHER = "ghp_" + "aB3dE5gH7jK9" * 3, "ghp_" + "zY8xW6vU4tS2" * 3
SECRET = f"rm -r build && echo {TOKEN}"


def _files(folder: Path) -> bytes:
    return b"\n".join(
        path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_socket()
    )


async def _ask(
    world: World, service: Keyturn, session: str, script: str, **changes: Any
) -> tuple[Action, Outcome]:
    action = world.action(session, script, **changes)
    return action, await service.authorize(action, world.around)


def _act(service: Keyturn, action: Action) -> str:
    return action_digest(action, service.core.policy.digest)


def test_an_action_with_a_secret_is_shown_without_it_approved_and_run_as_it_was(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        action, outcome = await _ask(world, service, session, SECRET)
        assert (outcome.verdict, outcome.digest) == ("hold", _act(service, action))
        view = await decide(service, str(outcome.request), "riley", reason="needed")
        assert view.state == "approved"
        assert TOKEN not in json.dumps(msgspec.to_builtins(view))
        assert OPEN in view.text
        assert view.digest != outcome.digest
        claimed = await service.claim(str(outcome.request), outcome.digest, GATE.name)
        assert claimed.permit is not None
        assert claimed.canonical is not None
        assert TOKEN in claimed.canonical
        assert claimed.permit.digest == outcome.digest
        await service.consume(claimed.permit.token, outcome.digest, GATE.name)
        await service.report(
            Receipt(
                outcome.action, claimed.permit.id, "done", ran=outcome.digest, output="sha256:" + "1" * 64
            )
        )
        receipt = [e for e in service.core.ledger.entries() if e.type == "action.receipt"][-1].fields
        assert receipt["ran"] == view.digest
        assert receipt["output"].startswith("hmac-sha256:")
        everything = json.dumps([entry.fields for entry in service.core.ledger.entries()])
        assert TOKEN not in everything
        assert outcome.digest not in everything

    world.play(story)


def test_without_redaction_the_same_secret_is_in_the_ledger(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn.redaction.redactor.hits", lambda text: ())

    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        _, outcome = await _ask(world, service, session, SECRET)
        assert TOKEN in json.dumps([entry.fields for entry in service.core.ledger.entries()])
        assert (await service.request(str(outcome.request))).digest == outcome.digest

    world.play(story)


def test_an_approval_is_for_one_secret_and_no_other(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        _, outcome = await _ask(world, service, session, SECRET)
        view = await decide(service, str(outcome.request), "riley", reason="needed")
        other = world.action(session, SECRET.replace(TOKEN, OTHER))
        for digest in (_act(service, other), view.digest, "sha256:" + "0" * 64):
            with pytest.raises(permits.PermitOtherBytes):
                await service.claim(str(outcome.request), digest, GATE.name)
        _, asked = await _ask(world, service, session, SECRET.replace(TOKEN, OTHER))
        assert asked.request != outcome.request
        marker = view.text.split("echo ")[1].strip()
        _, pasted = await _ask(world, service, session, f"rm -r build && echo {marker}")
        assert pasted.verdict == "hold"
        assert pasted.request not in (outcome.request, asked.request)
        shown = await service.request(str(pasted.request))
        assert marker not in shown.text

    world.play(story)


def test_the_same_secret_asked_again_is_the_same_request(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        _, first = await _ask(world, service, session, SECRET)
        _, again = await _ask(world, service, session, SECRET)
        assert (again.request, again.digest) == (first.request, first.digest)
        await decide(service, str(first.request), "riley", reason="needed", grant="600s session")
        _, run = await _ask(world, service, session, SECRET)
        assert run.verdict == "run"
        assert run.canonical is not None
        assert TOKEN in run.canonical
        _, granted = await _ask(world, service, session, SECRET)
        assert granted.verdict == "run"
        assert granted.grant

    world.play(story)


def test_after_a_restart_what_was_approved_runs_when_it_is_asked_for_again(world: World) -> None:
    async def before(service: Keyturn) -> tuple[str, Outcome]:
        session = await world.session(service)
        _, outcome = await _ask(world, service, session, SECRET)
        await decide(service, str(outcome.request), "riley", reason="needed")
        return session, outcome

    async def after(service: Keyturn) -> None:
        with pytest.raises(NotClaimable, match="in nobody's memory"):
            await service.claim(str(outcome.request), outcome.digest, GATE.name)
        _, run = await _ask(world, service, session, SECRET)
        assert run.verdict == "run"
        assert run.canonical is not None
        assert TOKEN in run.canonical

    session, outcome = world.play(before)
    world.play(after)


def test_an_action_without_secrets_is_recorded_byte_for_byte(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        for script in (ALLOWED, HELD, "export PASSWORD=$DB_PASSWORD && rm -r build"):
            action, outcome = await _ask(world, service, session, script)
            decided = [e for e in service.core.ledger.entries() if e.type == "action.decided"][-1].fields
            assert decided["digest"] == outcome.digest == _act(service, action)
            assert decided["action"]["content"]["script"] == script
            assert "sealed" not in decided
            assert "sealed" not in decided["action"]

    world.play(story)


def test_the_auditors_program_verifies_what_was_signed_over_a_redacted_action(tmp_path: Path) -> None:
    world, soft = World(tmp_path, policy=signed_policy()), SoftSshKey()

    async def story(service: Keyturn) -> None:
        await enrol(service, "riley", soft)
        request = await ask(world, service, SECRET)
        view = await signed(service, request, "riley", await sign(service, request, "riley", soft))
        assert view.state == "approved"
        act = signing.act_of(service.core, requests.required(service.core, request))
        assert act["sealed"].startswith("hmac-sha256:")
        assert canonical.digest(act) == view.digest

    world.play(story)
    store = open_store(str(world.home.ledger), writer=False)
    try:
        export(store, tmp_path / "out", log_vkey(world.home))
    finally:
        store.close()
    command = [sys.executable, "-I", "-S", verify_approvals.__file__, str(tmp_path / "out"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["counts"]["approvals signed"] == 1
    assert TOKEN.encode() not in _files(tmp_path / "out")


def test_reasons_notes_and_every_other_word_are_recorded_without_secrets(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service, f"run {TOKEN}")
        await service.instruct(session, Text(f"use the token {TOKEN}", "hook:UserPromptSubmit"))
        _, outcome = await _ask(world, service, session, HELD)
        await decide(service, str(outcome.request), "riley", "deny", reason=f"never with {TOKEN}")
        _, second = await _ask(world, service, session, HELD + "/a")
        await service.withdraw(str(second.request), f"no {TOKEN}", "agent")
        _, third = await _ask(world, service, session, ALLOWED)
        await service.report(Receipt(third.action, None, "failed", note=f"it said {TOKEN}"))
        await service.stop_session(session, person(service, "riley"), f"leaks {TOKEN}")
        everything = json.dumps([entry.fields for entry in service.core.ledger.entries()])
        assert TOKEN not in everything
        assert everything.count("secret:github-token") >= 5

    world.play(story)
    assert world.settings.store or TOKEN.encode() not in _files(world.home.root)


def test_why_people_ask_for_a_change_is_recorded_without_secrets(world: World) -> None:
    async def story(service: Keyturn) -> None:
        core, why = service.core, f"the key was {TOKEN}"
        dana = msgspec.structs.replace(person(service, "dana"), roles=("admin",))
        await configurations.propose(core, "files", b'{"/etc/motd": {"mode": "0644"}}', "web", dana, why)
        hold = await legal_holds.place(core, "agent", "claude-code", why, dana)
        await legal_holds.lift(core, hold.id, why, dana)
        files = read_folder(STARTER)
        files["resources.toml"] += b"\n# another version\n"
        await service.propose_policy(files, dana, why)
        asked = [e.fields for e in core.ledger.entries() if e.type == "request.opened"]
        assert len(asked) == 3
        assert TOKEN not in json.dumps([entry.fields for entry in core.ledger.entries()])
        assert all(OPEN in json.dumps(core.full(one["content"]), ensure_ascii=False) for one in asked)

    world.play(story)
    assert world.settings.store or TOKEN.encode() not in _files(world.home.root)


def test_what_is_signed_is_never_changed_so_a_secret_in_it_is_refused(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        _, outcome = await _ask(world, service, session, HELD)
        riley, view = person(service, "riley"), await service.request(str(outcome.request))
        with pytest.raises(SecretInReason):
            await service.statement(
                view.id, riley, "approve", reason=f"with {TOKEN}", digest=view.digest, display=view.display
            )

    world.play(story)


def test_tools_edits_and_variables_are_captured_by_their_names(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        tool = ToolCall("deploy", {"password": "sunflower", "args": ["--token", TOKEN], "count": 3}, "server")
        edit = FileEdit(
            f"{world.work}/.env",
            "create",
            None,
            "sha256:" + "2" * 64,
            "@@ -0,0 +1 @@\n+DB_PASSWORD=sunflower\n",
        )
        for content, changes in (
            (tool, {}),
            (edit, {}),
            (HELD, {"environment": {"DB_PASSWORD": "sunflower"}}),
        ):
            action = world.action(session, content, **changes)  # type: ignore[arg-type]
            await service.authorize(action, world.around)
        everything = json.dumps([entry.fields for entry in service.core.ledger.entries()])
        assert "sunflower" not in everything
        assert TOKEN not in everything
        assert "sha256:" + "2" * 64 not in everything

    world.play(story)


@pytest.mark.parametrize(
    ("script", "changes"),
    [
        ("ls", {"target": f"https://bot:{TOKEN}@example.com/repo"}),
        ("ls", {"executes": {f"/project/{TOKEN}": "sha256:" + "3" * 64}}),
        (f"A={TOKEN[:4]}; cat ${{A}}{TOKEN[4:]}", {}),  # only the shell puts it together
        (f"A={TOKEN[:4]}; rm -r ${{A}}{TOKEN[4:]}", {}),
    ],
)
def test_a_secret_beside_the_content_or_in_pieces_is_not_recorded(
    world: World, script: str, changes: dict[str, Any]
) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        action, outcome = await _ask(world, service, session, script, **changes)
        assert outcome.digest == _act(service, action)  # what the gate runs is what it asked for
        if outcome.verdict == "hold":
            assert (await decide(service, str(outcome.request), "riley", reason="needed")).state == "approved"
            claimed = await service.claim(str(outcome.request), outcome.digest, GATE.name)
            assert OPEN not in str(claimed.canonical)
        fields = [entry.fields for entry in service.core.ledger.entries()]
        everything = json.dumps(fields, ensure_ascii=False)
        assert TOKEN not in everything
        assert OPEN in everything
        plain = await service.authorize(world.action(session, "ls"), world.around)  # the negative control
        entry = [e for e in service.core.ledger.entries() if e.type == "action.decided"][-1]
        assert (plain.verdict, entry.fields["digest"]) == ("run", plain.digest)

    world.play(story)


@pytest.mark.parametrize(
    "changes",
    [
        {"content": f"ls {TOKEN}"},
        {"cwd": f"/project/{TOKEN}"},
        {"environment": {"A": TOKEN}},
        {"target": TOKEN},
        {"executes": {f"/project/{TOKEN}": "sha256:" + "3" * 64}},
        {"call": TOKEN},
        {"attribution": Attribution(Agent("coder", version=TOKEN))},
        {"attribution": Attribution(Agent("coder"), instruction=Text("tidy up", TOKEN))},
        {"attribution": Attribution(Agent("coder"), reasoning=Text(TOKEN, "transcript"))},
        {"attribution": Attribution(Agent("coder"), parents=("s_1", TOKEN))},
    ],
)
def test_that_the_rest_was_seen_without_a_secret_lets_none_through(
    world: World, changes: dict[str, Any]
) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        clean = world.action(session, "ls")
        for _ in range(2):  # it is known from then on
            seen = capturing.captured(service.core, clean)
            assert seen.recorded is seen.raw is clean
        given = {"content": "ls", **changes}
        action = world.action(session, **given)
        for _ in range(2):
            taken = capturing.captured(service.core, action)
            assert TOKEN not in json.dumps(msgspec.to_builtins(taken.recorded), ensure_ascii=False)
            assert OPEN in json.dumps(msgspec.to_builtins(taken.recorded), ensure_ascii=False)

    world.play(story)


def test_no_text_with_a_secret_is_kept_in_mind() -> None:
    redaction = redacting.Redaction(b"k" * 32)
    for _ in range(2):
        assert TOKEN not in redaction.text(f"push with {TOKEN}")
        assert redaction.text("push without") == "push without"
        capturing.Capture(redaction, Action(Shell(SECRET), Attribution(Agent("coder")), GATE, "s"))
    kept = repr([vars(redaction), *map(_slots, (redaction.clear, redaction.clear_actions))])
    assert TOKEN not in kept
    assert "push without" in kept  # the negative control: what is clear is kept as it is


def _slots(one: redacting.Clear[Any]) -> list[Any]:
    return [getattr(one, name) for name in one.__slots__]


def test_what_comes_again_stays_in_mind_and_what_does_not_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redacting, "REMEMBERED", 8)
    clear: redacting.Clear[str] = redacting.Clear()
    for number in range(100):
        clear.add(f"text {number}")
        clear.add("again")
        assert clear.has("again")
    assert clear.has("text 99")
    assert not clear.has("text 0")
    clear.add("x" * (redacting.MOST_REMEMBERED + 1))
    assert not clear.has("x" * (redacting.MOST_REMEMBERED + 1))


def test_a_reading_without_secrets_is_shown_as_the_very_same(world: World) -> None:
    async def story(service: Keyturn) -> None:
        action = world.action(await world.session(service), "git log --oneline -n 5 | head -2")
        reading = readers.read(action.content, world.around)
        for _ in range(2):
            capture = capturing.captured(service.core, action)
            assert capture.reading(reading) is reading  # so that what was worked out of it is found again
        other = capturing.captured(service.core, world.action("s", f"A={TOKEN[:4]}; cat ${{A}}{TOKEN[4:]}"))
        pieces = readers.read(other.raw.content, world.around)
        assert other.reading(pieces) is not pieces
        assert other.reading(pieces) is other.reading(pieces)

    world.play(story)


def test_a_secret_in_an_action_is_a_fact_for_policy_and_a_finding(world: World) -> None:
    async def story(service: Keyturn) -> None:
        session = await world.session(service)
        _, run = await _ask(world, service, session, f"grep {TOKEN} notes.txt")
        _, held = await _ask(world, service, session, f"echo {TOKEN} > notes.txt")
        assert held.verdict == "hold"
        assert any("secret" in hit.rule for hit in held.decision.rules)
        decided = [e for e in service.core.ledger.entries() if e.type == "action.decided"]
        assert decided[-1].fields["facts"]["secrets"] == ["github-token"]
        found = [e.fields for e in service.core.ledger.entries() if e.type == "finding.opened"]
        assert [one["kind"] for one in found] == ["secret.in_action", "secret.written"]
        assert found[0]["subject"]["secret"] == found[1]["subject"]["secret"]
        assert run.verdict == "run"

    world.play(story)


def test_every_word_of_an_entry_passes_the_ledgers_own_capture(world: World) -> None:
    async def story(service: Keyturn) -> None:
        from keyturn.ledger.entries import Draft

        await service.core.ledger.append(
            [Draft("probe.result", {"gate": "g", "client": "c", "stopped": True, "how": f"x {TOKEN}"})]
        )
        last = list(service.core.ledger.entries())[-1].fields
        assert TOKEN not in last["how"]

    world.play(story)
    assert {"action.decided"} == redacting.CAPTURED, "whatever is not scanned by the ledger is captured whole"
