"""The API of a running server: who may do what, and what bad input gets. No traceback, nothing half done, nothing run."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from server_process import GateClient, Process

from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell, Text
from keyturn.drift.definition import Definition
from keyturn.gates import protocol as wire
from keyturn.identity.keys import key_id
from keyturn.resources import Surroundings
from keyturn.service.keys import ENROLMENT_NAMESPACE, record_bytes, ssh_record
from keyturn.service.model import Proposed, Receipt
from soft_authenticator import SoftSshKey


class Api:
    """Raw HTTP over TCP, as any program would speak it."""

    def __init__(self, server: Process, token: str = "") -> None:
        self._address = server.url.removeprefix("http://")
        self.token = token

    def call(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
        """Status and decoded body (text when it is no JSON)."""
        connection = http.client.HTTPConnection(self._address, timeout=120)
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode()


@pytest.fixture
def dana(server: Process) -> Api:
    return Api(server, (server.home.tokens / "dana").read_text().strip())


@pytest.fixture
def riley(server: Process, dana: Api) -> Api:
    status, made = dana.call("POST", "/v1/people", {"id": "riley", "groups": ["reviewers", "policy"]})
    assert status == 201, made
    return Api(server, made["token"])


@pytest.fixture
def gate(server: Process, dana: Api) -> Api:
    status, made = dana.call("POST", "/v1/gates", {"name": "ci"})
    assert status == 201, made
    return Api(server, made["token"])


def test_an_agent_and_a_gate_have_no_verb_that_decides(server: Process, gate: Api, riley: Api) -> None:
    held = GateClient(server.home).authorize("rm -r build").outcome
    assert held is not None
    assert held.request
    view = riley.call("GET", f"/v1/requests/{held.request}")[1]
    body = {"digest": view["digest"], "display": view["display"]}
    for caller in (gate, Api(server), Api(server, "ktp_" + "A" * 43)):
        status, said = caller.call("POST", f"/v1/requests/{held.request}/approve", body)
        assert status in (401, 403), said
    # No message of the gates' protocol decides either.
    names = {kind.__struct_config__.tag for kind in wire.Ask.__args__}
    assert names.isdisjoint({"approve", "deny", "decide"})
    # Negative control: the same call by somebody who may.
    assert riley.call("POST", f"/v1/requests/{held.request}/approve", body)[0] == 200


def test_nobody_approves_what_their_own_agent_asks(server: Process, dana: Api, riley: Api) -> None:
    held = GateClient(server.home).authorize("rm -r build").outcome
    assert held is not None
    view = dana.call("GET", f"/v1/requests/{held.request}")[1]
    assert view["may_decide"]
    body = {"digest": view["digest"], "display": view["display"]}
    status, said = dana.call("POST", f"/v1/requests/{held.request}/approve", body)
    assert (status, said["error"]["code"]) == (403, "approver.initiator")
    # An administrator can't lend themselves a second pair of eyes either: same account, same person.
    import os

    made = dana.call(
        "POST", "/v1/people", {"id": "dana2", "groups": ["reviewers"], "os_uids": [os.getuid()]}
    )[1]
    status, said = Api(server, made["token"]).call("POST", f"/v1/requests/{held.request}/approve", body)
    assert (status, said["error"]["code"]) == (403, "approver.initiator")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"action": 1}', 400),
        (b'{"a":' * 50_000, 400),
        (b'{"action": "' + b"x" * 3_000_000 + b'"}', 413),
    ],
)
def test_malformed_and_oversized_bodies_get_words(gate: Api, raw: bytes, status: int) -> None:
    got, said = gate.call("POST", "/v1/actions", raw=raw)
    assert got == status
    assert set(said["error"]) >= {"code", "happened", "not_done", "next"}
    assert "Traceback" not in json.dumps(said)


def test_an_unknown_kind_of_action_is_named_and_not_guessed_at(server: Process, gate: Api) -> None:
    session = gate.call("POST", "/v1/sessions", {"agent": "ci"})[1]["id"]
    action = msgspec.to_builtins(Action(Shell("ls"), Attribution(Agent("ci")), Gate("ci"), session))
    assert gate.call("POST", "/v1/actions", {"action": action})[0] == 200
    action["content"] = {"kind": "telepathy", "thought": "rm -rf /"}
    status, said = gate.call("POST", "/v1/actions", {"action": action})
    assert (status, said["error"]["code"]) == (400, "input.malformed")
    assert "telepathy" in said["error"]["happened"]


@pytest.mark.parametrize(
    "script",
    [
        "ls \0 -la",
        "ls \udcff",
        "ls " + "a" * 1_000_000,
        "$(" * 10_000 + ")" * 10_000,
        "ls \u202e",
        "((" * 5_000,
    ],
)
def test_odd_commands_never_run_unheld(server: Process, script: str) -> None:
    client = GateClient(server.home)
    try:
        answer = client.authorize(script)
    except UnicodeEncodeError:
        return  # a lone surrogate has no UTF-8, so no frame can carry it
    if answer.outcome is None:
        assert answer.error is not None
        assert answer.error["code"] in ("input.too_large", "input.malformed", "input.not_canonical")
    else:
        assert answer.outcome.verdict == "hold"
        assert not answer.outcome.decision.complete
    assert GateClient(server.home).authorize("ls").outcome.verdict == "run"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "body", [b"", b"X", b"M", b"M\xc1", b"H", b"Hno fields", b"M" + msgspec.msgpack.encode({"type": "x"})]
)
def test_frames_that_are_none_get_words_and_the_connection_lives(server: Process, body: bytes) -> None:
    client = GateClient(server.home)
    answer = client.exchange(body)
    assert b"Nothing ran" in answer
    assert client.authorize("ls").outcome.verdict == "run"  # type: ignore[union-attr]


def test_a_frame_over_the_limit_is_refused_before_it_is_read(server: Process) -> None:
    import socket
    import struct

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as gate:
        gate.connect(str(server.home.gate_socket))
        gate.sendall(struct.pack(">I", wire.MAX_FRAME + 1) + b"M")
        (size,) = struct.unpack(">I", gate.recv(4, socket.MSG_WAITALL))
        assert b"input.too_large" in gate.recv(size, socket.MSG_WAITALL)
        assert gate.recv(1) == b""


def test_every_route_that_changes_something_leaves_an_entry(
    server: Process, dana: Api, riley: Api, gate: Api
) -> None:
    """Promise 7: the routes are enumerated from the API's own description; a new one without a story here fails."""
    status, openapi = dana.call("GET", "/v1/openapi.json")
    assert status == 200
    writes = {
        (method.upper(), path)
        for path, methods in openapi["paths"].items()
        for method in methods
        if method in ("post", "put", "patch", "delete")
    }
    session = gate.call("POST", "/v1/sessions", {"agent": "ci", "human": "dana"})[1]["id"]
    who = Attribution(Agent("ci"), Human("dana", "declared"))
    action = msgspec.to_builtins(Action(Shell("ls"), who, Gate("ci"), session))
    held = {**action, "content": {"kind": "shell", "script": "rm -r build"}}
    ask = gate.call("POST", "/v1/actions", {"action": held})[1]
    ask2 = gate.call(
        "POST", "/v1/actions", {"action": {**held, "content": {"kind": "shell", "script": "rm -r b2"}}}
    )[1]
    view = riley.call("GET", f"/v1/requests/{ask['request']}")[1]
    digests = {"digest": view["digest"], "display": view["display"], "reason": "known to be safe"}
    view2 = riley.call("GET", f"/v1/requests/{ask2['request']}")[1]
    digests2 = {"digest": view2["digest"], "display": view2["display"], "reason": "not this one"}
    permit = gate.call("POST", "/v1/actions", {"action": action})[1]
    files = {**dana.call("GET", "/v1/policy")[1]["files"], "README.md": "Changed.\n"}
    mine = GateClient(server.home).authorize("rm -r mine").outcome
    assert mine is not None
    soft, revoked = SoftSshKey(), SoftSshKey()
    asked = riley.call("POST", "/v1/keys", _offer(server, "riley", revoked))[1]
    digests3 = {"digest": asked["digest"], "display": asked["display"]}
    assert dana.call("POST", f"/v1/requests/{asked['id']}/approve", digests3)[0] == 200
    key = key_id(revoked.blob)
    until = {"to": "dana", "until": int(time.time() * 1000) + 3_600_000}
    handed = riley.call("POST", "/v1/delegations", until)[1]
    issued = dana.call("POST", "/v1/credentials", {"agent": "helper"})[1]
    renewable = dana.call("POST", "/v1/gates", {"name": "renewing"})[1]["token"]
    mine_too = riley.call("POST", "/v1/tokens", {"scopes": ["read"]})[1]["credential"]["id"]
    always = dana.call("GET", f"/v1/requests/{mine.request}/always")[1]
    finding, hold, ended = drifted(dana, gate)
    stories: dict[tuple[str, str], tuple[Api, str, Any]] = {
        ("POST", "/v1/configurations/seen"): (dana, "/v1/configurations/seen", seen("s3:ListBucket")),
        ("POST", "/v1/configurations/propose"): (
            dana,
            "/v1/configurations/propose",
            {**seen("s3:PutObject"), "why": "uploads"},
        ),
        ("POST", "/v1/findings/{finding}/viewed"): (riley, f"/v1/findings/{finding}/viewed", None),
        ("POST", "/v1/findings/{finding}/{verb}"): (
            riley,
            f"/v1/findings/{finding}/acknowledge",
            {"reason": "looking"},
        ),
        ("POST", "/v1/legal-holds"): (
            dana,
            "/v1/legal-holds",
            {"scope": "label", "of": "customer", "why": "case 2"},
        ),
        ("POST", "/v1/legal-holds/{hold}/lift"): (
            dana,
            f"/v1/legal-holds/{hold}/lift",
            {"why": "over"},
        ),
        ("POST", "/v1/erasures"): (
            dana,
            "/v1/erasures",
            {"scope": "session", "of": ended, "why": "a mistake"},
        ),
        ("POST", "/v1/reconciliations/{source}"): (
            dana,
            "/v1/reconciliations/jsonl?target=orders",
            {"time": "2026-01-01T00:00:00Z", "statement": "select 1"},
        ),
        ("POST", "/v1/drills"): (dana, "/v1/drills", {}),
        ("POST", "/v1/requests/{request_id}/always"): (
            dana,
            f"/v1/requests/{mine.request}/always",
            {"digest": always["digest"]},
        ),
        ("POST", "/v1/policy/unused"): (dana, "/v1/policy/unused", {"days": 1}),
        ("POST", "/v1/keys"): (riley, "/v1/keys", _offer(server, "riley", soft)),
        ("POST", "/v1/keys/{key}/revoke"): (riley, f"/v1/keys/{key}/revoke", {"why": "lost"}),
        ("POST", "/v1/grants/{grant}/revoke"): (
            riley,
            f"/v1/grants/{granted(riley, gate, held)}/revoke",
            {"reason": "enough"},
        ),
        ("POST", "/v1/plans/{plan}/revoke"): (
            riley,
            f"/v1/plans/{planned(riley, gate, held)}/revoke",
            {"reason": "enough"},
        ),
        ("POST", "/v1/plans"): (gate, "/v1/plans", {"steps": [{"action": action}]}),
        ("POST", "/v1/actions"): (gate, "/v1/actions", {"action": action}),
        ("POST", "/v1/sessions"): (gate, "/v1/sessions", {"agent": "ci"}),
        ("POST", "/v1/sessions/{session}/instructions"): (
            gate,
            f"/v1/sessions/{session}/instructions",
            {"text": "go"},
        ),
        ("POST", "/v1/permits/consume"): (
            gate,
            "/v1/permits/consume",
            {"token": permit["permit"]["token"], "digest": permit["digest"]},
        ),
        ("POST", "/v1/receipts"): (
            gate,
            "/v1/receipts",
            {"action": permit["action"], "permit": None, "outcome": "done"},
        ),
        ("POST", "/v1/probes"): (dana, "/v1/probes", {"gate": "ci", "client": "x", "stopped": True}),
        ("POST", "/v1/requests/{request_id}/approve"): (
            riley,
            f"/v1/requests/{ask['request']}/approve",
            {**digests, "reason": "looked at"},
        ),
        ("POST", "/v1/requests/{request_id}/claim"): (
            gate,
            f"/v1/requests/{ask['request']}/claim",
            {"digest": ask["digest"]},
        ),
        ("POST", "/v1/requests/{request_id}/deny"): (riley, f"/v1/requests/{ask2['request']}/deny", digests2),
        ("POST", "/v1/requests/{request_id}/withdraw"): (dana, f"/v1/requests/{mine.request}/withdraw", {}),
        ("POST", "/v1/delegations"): (
            riley,
            "/v1/delegations",
            until,
        ),
        ("POST", "/v1/delegations/{delegation}/end"): (
            riley,
            f"/v1/delegations/{handed['id']}/end",
            None,
        ),
        ("POST", "/v1/people"): (dana, "/v1/people", {"id": "kim"}),
        ("PATCH", "/v1/people/{person}"): (dana, "/v1/people/kim", {"groups": ["dba"]}),
        ("POST", "/v1/people/{person}/accounts/link"): (
            dana,
            "/v1/people/kim/accounts/link",
            {"account": "https://id.example|7"},
        ),
        ("POST", "/v1/people/{person}/accounts/unlink"): (
            dana,
            "/v1/people/kim/accounts/unlink",
            {"account": "https://id.example|7"},
        ),
        ("POST", "/v1/scim/token"): (dana, "/v1/scim/token", {}),
        ("POST", "/v1/scim/revoke"): (dana, "/v1/scim/revoke", {}),
        ("POST", "/v1/people/{person}/remove"): (dana, "/v1/people/kim/remove", {}),
        ("POST", "/v1/people/{person}/token"): (dana, "/v1/people/dana/token", {}),
        ("POST", "/v1/gates"): (dana, "/v1/gates", {"name": "other"}),
        ("POST", "/v1/gates/{gate}/remove"): (dana, "/v1/gates/other/remove", {}),
        ("POST", "/v1/credentials"): (dana, "/v1/credentials", {"agent": "coder", "scopes": ["shell"]}),
        ("POST", "/v1/credentials/{credential}/rotate"): (
            dana,
            f"/v1/credentials/{issued['credential']['id']}/rotate",
            {},
        ),
        ("POST", "/v1/credentials/{credential}/revoke"): (
            dana,
            f"/v1/credentials/{issued['credential']['id']}/revoke",
            {},
        ),
        ("POST", "/v1/credentials/renew"): (Api(server, renewable), "/v1/credentials/renew", {}),
        ("POST", "/v1/tokens"): (riley, "/v1/tokens", {"scopes": ["read"]}),
        ("POST", "/v1/tokens/{credential}/revoke"): (riley, f"/v1/tokens/{mine_too}/revoke", {}),
        ("POST", "/v1/policies"): (dana, "/v1/policies", {"files": files}),
        ("POST", "/v1/sessions/{session}/stop"): (
            riley,
            f"/v1/sessions/{session}/stop",
            {"reason": "enough"},
        ),
        ("POST", "/v1/evidence/packs"): (
            dana,
            "/v1/evidence/packs",
            {"framework": "soc2", "since": 1_700_000_000_000},
        ),
        ("POST", "/v1/controls/test"): (dana, "/v1/controls/test", None),
        ("POST", "/v1/sessions/{session}/close"): (gate, f"/v1/sessions/{session}/close", {}),
    }
    # A code in memory; redeeming it is an entry. A statement is worked out and forgotten; signing it is an entry.
    needs_more = {  # a section of the policy, a definition, another administrator: their stories are in tests/service
        ("POST", "/v1/access/review"),
        ("POST", "/v1/artefacts/{artefact}/gone"),
        ("POST", "/v1/baselines/{agent}"),
        ("POST", "/v1/definitions/{name}/propose"),
        ("POST", "/v1/definitions/{name}/withdraw"),
        ("POST", "/v1/responses/{response}/lift"),
        ("POST", "/v1/requests/{request_id}/breakglass"),
        ("POST", "/v1/breakglass/{glass}/review"),
    }
    makes_nothing = {
        ("POST", "/v1/login"),
        ("POST", "/v1/evidence/packs/{pack}/build"),  # a file that follows from an entry
        ("POST", "/v1/requests/{request_id}/statement"),
        ("POST", "/v1/requests/{request_id}/breakglass/statement"),
    }
    form = {("POST", "/v1/token")}  # its stories, form-encoded, are tests/server/test_server_exchange.py
    assert writes - makes_nothing - form - needs_more == set(stories)
    for story, (caller, path, body) in stories.items():
        before = size(riley)
        status, said = caller.call(story[0], path, body)
        assert status in (200, 201), (story, said)
        if story == ("POST", "/v1/people/{person}/token"):
            dana.token = said["token"]
        assert size(riley) > before, story


def seen(*actions: str) -> dict[str, Any]:
    """The body that says what a role may do."""
    statement = [{"Effect": "Allow", "Action": actions, "Resource": "*"}]
    return {"source": "iam", "target": "account", "content": json.dumps({"role": {"Statement": statement}})}


def drifted(dana: Api, gate: Api) -> tuple[str, str, str]:
    """A finding, a legal hold, and a session that has ended with an instruction in it."""
    for action in ("s3:GetObject", "iam:PassRole"):
        assert dana.call("POST", "/v1/configurations/seen", seen(action))[0] == 201
    found = next(
        one for one in dana.call("GET", "/v1/findings")[1] if one["kind"] == "configuration.unexplained"
    )
    hold = dana.call("POST", "/v1/legal-holds", {"scope": "label", "of": "x", "why": "case 1"})[1]
    session = gate.call("POST", "/v1/sessions", {"agent": "ci"})[1]["id"]
    assert gate.call("POST", f"/v1/sessions/{session}/instructions", {"text": "go"})[0] in (200, 201)
    assert gate.call("POST", f"/v1/sessions/{session}/close", {})[0] in (200, 201)
    return str(found["id"]), str(hold["id"]), str(session)


def _offer(server: Process, person: str, soft: SoftSshKey) -> dict[str, Any]:
    """What somebody sends to offer an SSH key that they hold."""
    origin, random = (server.home.keys / "origin").read_text().strip(), "A" * 43
    record = ssh_record(origin, person, soft.line, random)
    signature = soft.sign(record_bytes(record), ENROLMENT_NAMESPACE)
    return {"type": "ssh", "public_key": soft.line, "random": random, "signature": signature}


def granted(riley: Api, gate: Api, held: dict[str, Any]) -> str:
    """A grant that *riley* gave for an action at *gate*."""
    content = {"kind": "shell", "script": "rm -r again"}
    ask = gate.call("POST", "/v1/actions", {"action": {**held, "content": content}})[1]
    view = riley.call("GET", f"/v1/requests/{ask['request']}")[1]
    body = {
        "digest": view["digest"],
        "display": view["display"],
        "grant": "600s",
        "reason": "known to be safe",
    }
    status, after = riley.call("POST", f"/v1/requests/{ask['request']}/approve", body)
    assert status == 200, after
    assert after["approvals"][0]["grant"] == "600s"
    (grant,) = riley.call("GET", "/v1/grants")[1]
    assert grant["request"] == ask["request"]
    return str(grant["id"])


def planned(riley: Api, gate: Api, held: dict[str, Any]) -> str:
    """A plan that *riley* approved, in a session of its own at *gate*."""
    session = gate.call("POST", "/v1/sessions", {"agent": "ci", "human": "dana"})[1]["id"]
    scripts = ("rm -r first", "ls", "rm -r second")
    steps = [
        {"action": {**held, "session": session, "content": {"kind": "shell", "script": one}}}
        for one in scripts
    ]
    answer = gate.call("POST", "/v1/plans", {"steps": steps, "why": "clean", "seconds": 600})[1]
    assert answer["verdict"] == "hold", answer
    view = riley.call("GET", f"/v1/requests/{answer['request']}")[1]
    body = {"digest": view["digest"], "display": view["display"], "reason": "looked at all of it"}
    status, after = riley.call("POST", f"/v1/requests/{answer['request']}/approve", body)
    assert (status, after["state"]) == (200, "approved"), after
    (plan,) = riley.call("GET", "/v1/plans")[1]
    assert riley.call("GET", f"/v1/plans/{plan['id']}")[1]["next"] == 1
    ran = gate.call("POST", "/v1/actions", {"action": steps[0]["action"], "consume": True})[1]
    assert (ran["verdict"], ran["grant"]) == ("run", plan["id"]), ran
    return str(plan["id"])


def test_no_token_but_a_person_s_revokes_or_lists_plans_and_none_proposes_one(
    server: Process, gate: Api, riley: Api
) -> None:
    assert gate.call("GET", "/v1/plans")[0] == 403
    assert gate.call("POST", "/v1/plans/pl_none/revoke", {"reason": "x"})[0] == 403
    assert riley.call("POST", "/v1/plans", {"steps": []})[0] == 403


def test_a_gate_plans_in_its_own_sessions_only(server: Process, dana: Api, gate: Api) -> None:
    other = Api(server, dana.call("POST", "/v1/gates", {"name": "planner"})[1]["token"])
    session = gate.call("POST", "/v1/sessions", {"agent": "ci", "human": "dana"})[1]["id"]
    who = Attribution(Agent("ci"), Human("dana", "declared"))
    action = msgspec.to_builtins(Action(Shell("rm -r x"), who, Gate("ci"), session))
    refused = other.call("POST", "/v1/plans", {"steps": [{"action": action}]})[1]
    assert refused["error"]["code"] == "session.unknown"
    assert gate.call("POST", "/v1/plans", {"steps": [{"action": action}]})[1]["verdict"] == "hold", "control"


def test_no_token_but_a_person_s_revokes_or_lists_grants(server: Process, gate: Api) -> None:
    assert gate.call("GET", "/v1/grants")[0] == 403
    assert gate.call("POST", "/v1/grants/g_none/revoke", {"reason": "x"})[0] == 403


def size(api: Api) -> int:
    """Entries in the log, as its checkpoint says."""
    return int(api.call("GET", "/v1/ledger/checkpoint")[1].splitlines()[1])


def test_reading_changes_nothing(server: Process, dana: Api, riley: Api) -> None:
    openapi = dana.call("GET", "/v1/openapi.json")[1]
    before = size(riley)
    for path, methods in openapi["paths"].items():
        if "get" in methods and not path.endswith(("/events", "/wait")):
            filled = path.replace("{index}", "1").replace("{request_id}", "r_none")
            assert dana.call("GET", filled)[0] in (200, 404), path
    assert size(riley) == before


def test_a_second_server_on_the_same_home_is_refused(server: Process) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "keyturn", "serve", "--home", str(server.home.root), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode != 0
    assert "store.in_use" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert GateClient(server.home).authorize("ls").outcome.verdict == "run"  # type: ignore[union-attr]


def test_the_hook_of_a_dead_server_denies(server: Process, tmp_path: Path) -> None:
    """Promise 10, with the live server as negative control."""
    from keyturn.gates.hooks import client

    command = [
        sys.executable,
        "-I",
        "-S",
        client.__file__,
        "claude-code",
        "PreToolUse",
        str(server.home.gate_socket),
    ]
    call = {"session_id": "s", "cwd": str(tmp_path), "hook_event_name": "PreToolUse", "tool_name": "Bash"}
    body = json.dumps({**call, "tool_input": {"command": "ls"}, "tool_use_id": "t1"}).encode()
    alive = subprocess.run(command, input=body, capture_output=True, cwd=tmp_path, check=False)
    assert b'"allow"' in alive.stdout, alive
    server.stop()
    dead = subprocess.run(command, input=body, capture_output=True, cwd=tmp_path, check=False)
    assert dead.returncode == 2
    assert b"nothing ran" in dead.stderr
    assert b"allow" not in dead.stdout


def test_the_health_addresses_answer_without_a_token(server: Process) -> None:
    api = Api(server)
    assert api.call("GET", "/livez")[0] == 200
    assert api.call("GET", "/readyz")[0] == 200
    status, text = api.call("GET", "/metrics")
    assert status == 200
    assert "keyturn_ledger_entries" in text


def test_surroundings_can_not_be_used_to_make_keyturns_own_files_harmless(server: Process) -> None:
    """The gate says where the workspace is; the server adds its own home to what is protected."""
    client = GateClient(server.home)
    who = Attribution(Agent("test-agent"))
    action = Action(Shell(f"cat {server.home.log_key}"), who, client.gate, client.session, "/")
    answer = client.ask(wire.Authorize(9, action, Surroundings("/", "/", "/")))
    assert answer.outcome is not None
    assert answer.outcome.verdict == "refuse"


def test_a_process_on_the_socket_can_not_say_whose_agent_it_is(server: Process, dana: Api) -> None:
    """An agent that names somebody else as its human would make its own human an eligible approver."""
    client = GateClient(server.home)
    for human in (None, Human("riley", "declared")):
        action = Action(
            Shell("rm -r x"), Attribution(Agent("a"), human), client.gate, client.session, "/srv/project"
        )
        answer = client.ask(
            wire.Authorize(9, action, Surroundings("/srv/project", "/srv/project", "/home/dana"))
        )
        assert answer.outcome is not None
        view = dana.call("GET", f"/v1/requests/{answer.outcome.request}")[1]
        assert view["attribution"]["human"]["person"] == "dana"
        assert view["may_decide"]


def test_a_process_on_the_socket_can_not_raise_its_own_assurance(server: Process) -> None:
    client = GateClient(server.home)
    gate = Gate("test", "credentialed")
    action = Action(Shell("ls"), Attribution(Agent("a")), gate, client.session, "/srv/project")
    answer = client.ask(wire.Authorize(9, action, Surroundings("/srv/project", "/srv/project", "/home/dana")))
    assert answer.error is not None
    assert answer.error["code"] == "input.malformed"


def test_every_message_of_a_gate_that_changes_something_leaves_an_entry(server: Process, riley: Api) -> None:
    """Promise 7 on the socket: a new message without a story here fails."""
    client = GateClient(server.home)
    held = client.authorize("rm -r build").outcome
    other = client.authorize("rm -r other").outcome
    allowed = client.authorize("ls").outcome
    assert held is not None
    assert other is not None
    assert allowed is not None
    assert allowed.permit is not None
    view = riley.call("GET", f"/v1/requests/{held.request}")[1]
    body = {"digest": view["digest"], "display": view["display"], "reason": "known to be safe"}
    assert riley.call("POST", f"/v1/requests/{held.request}/approve", body)[0] == 200
    action = Action(Shell("ls"), Attribution(Agent("a")), client.gate, client.session, "/srv/project")
    name = client.gate.name
    stories: dict[type[Any], wire.Ask] = {
        wire.Authorize: wire.Authorize(1, action, Surroundings("/srv/project", "/srv/project", "/home/dana")),
        wire.ProposePlan: wire.ProposePlan(9, (Proposed(action),)),
        wire.Claim: wire.Claim(2, held.request or "", held.digest, name),
        wire.Consume: wire.Consume(3, allowed.permit.token, allowed.digest, name),
        wire.Report: wire.Report(4, Receipt(allowed.action, allowed.permit.id, "done")),
        wire.OpenSession: wire.OpenSession(5, Agent("b"), client.gate, "/"),
        wire.Instruct: wire.Instruct(6, client.session, Text("go on", "test")),
        wire.Define: wire.Define(10, client.session, Definition("a-client", "a-model")),
        wire.Withdraw: wire.Withdraw(7, other.request or "", "not needed"),
        wire.CloseSession: wire.CloseSession(8, client.session),
    }
    asks_only = {wire.Wait, wire.WaitStop, wire.WaitRevoked, wire.Standing, wire.Confine}
    needs_a_hook = {wire.Begin}  # its story is tests/service/test_service_starting.py
    assert set(wire.Ask.__args__) - asks_only - needs_a_hook == set(stories)
    for kind, message in stories.items():
        before = size(riley)
        answer = client.ask(message)
        assert answer.error is None, (kind, answer.error)
        assert size(riley) > before, kind


def test_a_remote_gate_gives_its_word_and_no_more(server: Process, dana: Api, gate: Api) -> None:
    session = gate.call("POST", "/v1/sessions", {"agent": "ci", "human": "dana"})[1]["id"]
    who = Attribution(Agent("ci"), Human("dana", "os-uid", 0))
    action = msgspec.to_builtins(Action(Shell("rm -r x"), who, Gate("ci", "credentialed"), session))
    asked = gate.call("POST", "/v1/actions", {"action": action})[1]
    view = dana.call("GET", f"/v1/requests/{asked['request']}")[1]
    assert view["attribution"]["human"] == {"person": "dana", "how": "declared", "os_uid": None}
    assert view["assurance"] == "advisory"
    action["attribution"]["human"]["person"] = "nobody"
    assert gate.call("POST", "/v1/actions", {"action": action})[1]["error"]["code"] == "person.unknown"
    other = Api(server, dana.call("POST", "/v1/gates", {"name": "other"})[1]["token"])
    for path, body in (("close", {}), ("instructions", {"text": "obey"})):
        refused = other.call("POST", f"/v1/sessions/{session}/{path}", body)[1]
        assert refused["error"]["code"] == "session.unknown"
        assert gate.call("POST", f"/v1/sessions/{session}/{path}", body)[0] in (200, 201, 409)


def test_a_gate_waits_for_its_own_requests_only(server: Process, gate: Api, riley: Api) -> None:
    """What another gate's agent asks is none of its business."""
    held = GateClient(server.home).authorize("rm -r build").outcome
    assert held is not None
    assert held.request
    assert gate.call("GET", f"/v1/requests/{held.request}/wait?timeout=0")[0] == 403
    assert riley.call("GET", f"/v1/requests/{held.request}/wait?timeout=0")[0] == 200, "negative control"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/requests/r/wait?timeout=nan", 400),
        ("/v1/requests/r/wait?timeout=-1", 404),
        ("/v1/ledger/entries/99999999999999999999999", 404),
        ("/v1/ledger/entries/-1", 404),
        ("/v1/ledger/entries/99999999999999999999999/proof", 404),
        ("/v1/ledger/entries?start=-5&limit=-1", 200),
        ("/v1/ledger/entries?start=99999999999999999999999", 200),
        ("/v1/requests?only=all&limit=-5", 200),
    ],
)
def test_numbers_beyond_all_bounds_get_words(server: Process, dana: Api, path: str, status: int) -> None:
    got, body = dana.call("GET", path)
    assert got == status, body
    assert status != 200 or len(body) <= 1


def test_a_negative_limit_is_not_everything(server: Process, dana: Api) -> None:
    for word in ("rm -r build", "rm -r dist", "rm -r out"):
        assert GateClient(server.home).authorize(word).outcome is not None
    assert len(dana.call("GET", "/v1/requests?limit=-5")[1]) == 1
    assert len(dana.call("GET", "/v1/requests?limit=2")[1]) == 2


def test_a_gate_enrolled_again_has_one_token_and_a_removed_one_has_none(server: Process, dana: Api) -> None:
    def answered(token: str) -> int:
        return Api(server, token).call("GET", "/v1/ledger/checkpoint")[0]

    first = dana.call("POST", "/v1/gates", {"name": "ci"})[1]["token"]
    assert answered(first) == 200
    second = dana.call("POST", "/v1/gates", {"name": "ci"})[1]["token"]
    assert (answered(first), answered(second)) == (401, 200)
    dana.call("POST", "/v1/gates/ci/remove")
    assert (answered(first), answered(second)) == (401, 401)


def test_an_auditor_reads_and_no_route_that_changes_something_works_for_them(
    server: Process, dana: Api, riley: Api
) -> None:
    """The routes are enumerated from the API's own description, so a new one is tried here, too.

    Asking for evidence is what auditors are there for; without what to ask for it is refused to everybody.
    """
    made = dana.call(
        "POST", "/v1/people", {"id": "ada", "groups": ["reviewers", "policy"], "roles": ["auditor", "admin"]}
    )[1]
    ada = Api(server, made["token"])
    held = GateClient(server.home).authorize("rm -r build").outcome
    assert held is not None
    view = ada.call("GET", f"/v1/requests/{held.request}")[1]
    assert view["may_decide"]
    tried = 0
    for path, methods in dana.call("GET", "/v1/openapi.json")[1]["paths"].items():
        for method in set(methods) & {"post", "put", "patch", "delete"}:
            filled = (
                path.replace("{request_id}", str(held.request))
                .replace("{session}", "s_1")
                .replace("{person}", "riley")
            )
            before = size(riley)
            status, said = ada.call(
                method.upper(), filled.replace("{", "").replace("}", ""), _bodies(view).get(path, {})
            )
            # Some refuse the empty body before they look who asks; none of them does anything.
            assert status in (400, 401, 403, 404) or path == "/v1/login", (path, said)
            assert size(riley) == before, path
            tried += status == 403 and said["error"]["code"] == "auth.reads_only"
    assert tried >= 12
    body = _bodies(view)["/v1/requests/{request_id}/approve"]
    assert riley.call("POST", f"/v1/requests/{held.request}/approve", body)[0] == 200  # negative control


def _bodies(view: dict[str, Any]) -> dict[str, Any]:
    """Bodies that a route would take, so that what is refused is the person."""
    digests = {"digest": view["digest"], "display": view["display"]}
    return {
        "/v1/requests/{request_id}/approve": digests,
        "/v1/requests/{request_id}/deny": digests,
        "/v1/people": {"id": "eve"},
        "/v1/people/{person}/accounts/link": {"account": "https://id.example|7"},
        "/v1/people/{person}/accounts/unlink": {"account": "https://id.example|7"},
        "/v1/policies": {"files": {}},
        "/v1/gates": {"name": "g"},
        "/v1/sessions/{session}/stop": {"reason": "enough"},
        "/v1/probes": {"gate": "g", "client": "c", "stopped": True},
    }
