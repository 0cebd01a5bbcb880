"""Credentials of gates and people's scoped tokens, over the API of a running server: each attack with its legitimate twin."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from server_process import GateClient, Process
from test_server_api import Api

from keyturn.actions import Action, Agent, Attribution, Gate, Shell, Text
from keyturn.gates import protocol as wire
from keyturn.service.model import Receipt


@pytest.fixture
def dana(server: Process) -> Api:
    return Api(server, (server.home.tokens / "dana").read_text().strip())


@pytest.fixture
def riley(server: Process, dana: Api) -> Api:
    made = dana.call("POST", "/v1/people", {"id": "riley", "groups": ["reviewers", "policy"]})[1]
    return Api(server, made["token"])


def code(answer: tuple[int, Any]) -> str:
    return str(answer[1]["error"]["code"]) if isinstance(answer[1], dict) and "error" in answer[1] else ""


def asks(api: Api, **session: Any) -> tuple[int, Any]:
    return api.call("POST", "/v1/sessions", {"agent": "bot", **session})


# --- people's tokens ----------------------------------------------------------------------------------------------


def held(server: Process, riley: Api, command: str) -> tuple[str, dict[str, str]]:
    asked = GateClient(server.home).authorize(command).outcome
    assert asked is not None
    view = riley.call("GET", f"/v1/requests/{asked.request}")[1]
    return view["id"], {"digest": view["digest"], "display": view["display"], "reason": "read it"}


def scoped(riley: Api, server: Process, *scopes: str, **body: Any) -> Api:
    status, made = riley.call("POST", "/v1/tokens", {"scopes": scopes, **body})
    assert status == 201, made
    return Api(server, made["token"])


@pytest.mark.parametrize(
    ("scope", "may"),
    [("read", set()), ("deny", {"deny"}), ("approve", {"approve"}), ("delegate", set()), ("manage", set())],
)
def test_a_scoped_token_does_what_its_scopes_say_and_nothing_else(
    server: Process, riley: Api, scope: str, may: set[str]
) -> None:
    own = scoped(riley, server, scope)
    for verb in ("approve", "deny"):
        request, digests = held(server, riley, f"rm -r {verb}")
        got = own.call("POST", f"/v1/requests/{request}/{verb}", {**digests, "reason": "because"})
        assert (got[0] == 200) is (verb in may), got
        if verb not in may:
            assert code(got) == "credential.scope"
            whole = riley.call("POST", f"/v1/requests/{request}/{verb}", {**digests, "reason": "because"})
            assert whole[0] == 200, "the token of her enrolment may"
    reads = own.call("GET", "/v1/requests")[0]
    assert reads == (403 if scope == "delegate" else 200)
    for path, body in (
        ("/v1/tokens", {"scopes": ["read"]}),
        ("/v1/login", {}),
        ("/v1/people/riley/token", {}),
    ):
        assert (own.call("POST", path, body)[0] == 201) is (scope == "manage"), path


def test_a_token_gives_no_token_that_may_more_or_lasts_longer(server: Process, riley: Api) -> None:
    own = scoped(riley, server, "manage", "read", seconds=3600)
    assert code(own.call("POST", "/v1/tokens", {"scopes": ["approve"]})) == "credential.scope"
    child = own.call("POST", "/v1/tokens", {"scopes": ["read"], "seconds": 86_400})[1]["credential"]
    mine = {one["id"]: one for one in riley.call("GET", "/v1/tokens")[1]}
    assert child["expires"] <= mine[child["parent"]]["expires"]
    # And it ends with the one that it was made from.
    read = Api(server, own.call("POST", "/v1/tokens", {"scopes": ["read"]})[1]["token"])
    assert read.call("GET", "/v1/me")[0] == 200
    assert riley.call("POST", f"/v1/tokens/{child['parent']}/revoke", {"why": "lost"})[0] == 200
    assert code(read.call("GET", "/v1/me")) == "credential.revoked"


def test_tokens_end_with_the_token_of_the_enrolment_and_with_the_person(
    server: Process, dana: Api, riley: Api
) -> None:
    own = scoped(riley, server, "read")
    assert own.call("GET", "/v1/me")[0] == 200
    riley.token = riley.call("POST", "/v1/people/riley/token")[1]["token"]
    assert code(own.call("GET", "/v1/me")) == "credential.revoked"
    again = scoped(riley, server, "read")
    assert again.call("GET", "/v1/me")[0] == 200
    dana.call("POST", "/v1/people/riley/remove")
    assert again.call("GET", "/v1/me")[0] == 401


def test_nobody_revokes_or_lists_what_is_somebody_elses(server: Process, dana: Api, riley: Api) -> None:
    kim = Api(server, dana.call("POST", "/v1/people", {"id": "kim"})[1]["token"])
    made = riley.call("POST", "/v1/tokens", {"scopes": ["read"]})[1]["credential"]["id"]
    assert kim.call("GET", "/v1/tokens")[1] == []
    assert code(kim.call("POST", f"/v1/tokens/{made}/revoke", {})) == "auth.forbidden"
    assert riley.call("POST", f"/v1/tokens/{made}/revoke", {})[1]["state"] == "revoked"


def test_an_expired_token_opens_nothing(server: Process, riley: Api) -> None:
    """One of a second: it is asked with until it is over, which needs no clock of ours."""
    own = scoped(riley, server, "read", seconds=1)
    got = own.call("GET", "/v1/me")
    while got[0] == 200:
        got = own.call("GET", "/v1/me")
    assert code(got) == "credential.expired"


# --- gates --------------------------------------------------------------------------------------------------------


def test_rotation_has_a_grace_and_revocation_has_none(server: Process, dana: Api) -> None:
    made = dana.call("POST", "/v1/gates", {"name": "ci"})[1]
    old = Api(server, made["token"])
    assert asks(old)[0] == 201
    status, new = dana.call("POST", f"/v1/credentials/{made['credential']}/rotate", {})
    assert status == 201
    assert asks(old)[0] == asks(Api(server, new["token"]))[0] == 201, "both, for a minute"
    assert code(dana.call("POST", f"/v1/credentials/{made['credential']}/rotate", {})) == "credential.ended"
    status, newer = dana.call("POST", f"/v1/credentials/{new['credential']['id']}/rotate", {"grace": 0})
    assert code(asks(Api(server, new["token"]))) == "credential.revoked"
    assert asks(Api(server, newer["token"]))[0] == 201
    assert (
        dana.call("POST", f"/v1/credentials/{newer['credential']['id']}/revoke", {"why": "leaked"})[0] == 200
    )
    assert code(asks(Api(server, newer["token"]))) == "credential.revoked"
    states = {one["id"]: one["state"] for one in dana.call("GET", "/v1/credentials")[1]}
    assert states[newer["credential"]["id"]] == states[new["credential"]["id"]] == "revoked"


def test_a_gate_renews_within_its_life_and_its_sessions_go_on(server: Process, dana: Api) -> None:
    gate = Api(server, dana.call("POST", "/v1/gates", {"name": "ci"})[1]["token"])
    session = asks(gate)[1]["id"]
    status, new = gate.call("POST", "/v1/credentials/renew", {"grace": 0})
    assert status == 201, new
    assert new["credential"]["by"] == "gate:ci"
    renewed = Api(server, new["token"])
    assert renewed.call("POST", f"/v1/sessions/{session}/instructions", {"text": "go on"})[0] == 201
    assert code(gate.call("POST", "/v1/credentials/renew", {})) == "credential.revoked", (
        "the old one can't any more"
    )


def test_a_removed_gate_has_no_credential_left(server: Process, dana: Api) -> None:
    gate = Api(server, dana.call("POST", "/v1/gates", {"name": "ci"})[1]["token"])
    second = Api(server, dana.call("POST", "/v1/credentials", {"gate": "ci"})[1]["token"])
    assert asks(gate)[0] == asks(second)[0] == 201
    dana.call("POST", "/v1/gates/ci/remove")
    assert code(asks(gate)) == code(asks(second)) == "credential.revoked"
    assert code(dana.call("POST", "/v1/credentials", {"gate": "ci"})) == "gate.unknown"


def test_only_administrators_issue_and_the_secret_is_nowhere(server: Process, dana: Api, riley: Api) -> None:
    assert code(riley.call("POST", "/v1/credentials", {"agent": "x"})) == "auth.forbidden"
    made = dana.call("POST", "/v1/gates", {"name": "ci"})[1]
    token = riley.call("POST", "/v1/tokens", {"scopes": ["read"]})[1]["token"]
    everything = json.dumps(dana.call("GET", "/v1/ledger/entries?limit=1000")[1]) + json.dumps(
        dana.call("GET", "/v1/credentials")[1]
    )
    kept = b"".join(path.read_bytes() for path in server.home.root.rglob("*") if path.is_file())
    for secret in (made["token"], made["token"].split(".")[2], token):
        assert secret not in everything
        assert secret.encode() not in kept
    assert made["credential"] in everything, "negative control"


def test_a_credential_decides_nothing_whatever_its_holder_is(server: Process, dana: Api, riley: Api) -> None:
    """Promise 6: the same call with a person's token is the negative control."""
    request, digests = held(server, riley, "rm -r build")
    gate = Api(server, dana.call("POST", "/v1/gates", {"name": "ci"})[1]["token"])
    agent = Api(
        server, dana.call("POST", "/v1/credentials", {"agent": "bot", "scopes": ["shell"]})[1]["token"]
    )
    for caller in (gate, agent):
        for verb in ("approve", "deny"):
            assert code(caller.call("POST", f"/v1/requests/{request}/{verb}", digests)) == "auth.forbidden"
        for path, body in (
            ("/v1/tokens", {"scopes": ["approve"]}),
            ("/v1/login", {}),
            ("/v1/credentials", {"agent": "y"}),
        ):
            assert code(caller.call("POST", path, body)) == "auth.forbidden"
    assert riley.call("POST", f"/v1/requests/{request}/approve", digests)[0] == 200


def test_a_gate_speaks_only_in_sessions_that_it_opened(server: Process, dana: Api, riley: Api) -> None:
    one, two = (
        Api(server, dana.call("POST", "/v1/gates", {"name": name})[1]["token"]) for name in ("one", "two")
    )
    session = asks(one)[1]["id"]
    action = msgspec.to_builtins(Action(Shell("rm -r x"), Attribution(Agent("bot")), Gate("two"), session))
    assert code(two.call("POST", "/v1/actions", {"action": action})) == "session.unknown"
    asked = one.call("POST", "/v1/actions", {"action": action})[1]
    claim = {"digest": asked["digest"]}
    receipt = {"action": asked["action"], "permit": None, "outcome": "done"}
    assert code(two.call("POST", f"/v1/requests/{asked['request']}/claim", claim)) == "auth.forbidden"
    assert code(two.call("GET", f"/v1/requests/{asked['request']}/wait?timeout=0")) == "auth.forbidden"
    assert code(two.call("POST", "/v1/receipts", receipt)) == "auth.forbidden"
    assert one.call("POST", "/v1/receipts", receipt)[0] == 201, "negative control"
    # A process on the local socket that gives itself the gate's name does not get into its sessions either.
    local = GateClient(server.home, "one")
    for message in (
        wire.Instruct(1, session, Text("obey", "human")),
        wire.CloseSession(2, session),
        wire.Claim(3, asked["request"], asked["digest"], "one"),
        wire.Withdraw(4, asked["request"], "never mind"),
        wire.Report(5, Receipt(asked["action"], None, "done")),
        wire.Standing(6, session, "/"),
    ):
        answer = local.ask(message)
        assert answer.error is not None
        assert answer.error["code"] == "session.unknown", message


def test_after_many_wrong_tokens_the_answer_is_to_wait_and_a_good_one_still_opens(
    server: Process, riley: Api
) -> None:
    """Over loopback, which is shared: an agent's process must not lock the reviewers out."""
    codes = [code(Api(server, "ktp_" + f"{n:043d}").call("GET", "/v1/me")) for n in range(25)]
    assert codes[0] == "auth.unknown"
    assert codes[-1] == "auth.too_many"
    assert riley.call("GET", "/v1/me")[0] == 200


def test_a_hold_of_a_proven_agent_names_the_people_behind_it(server: Process, dana: Api, riley: Api) -> None:
    """The agent's own credential: its owner, and who issued it, stand behind what it asks."""
    made = dana.call("POST", "/v1/credentials", {"agent": "bot", "owner": "riley", "scopes": ["shell"]})[1]
    agent = Api(server, made["token"])
    session = asks(agent)[1]
    assert session["gate"] == "agent:bot"
    action = Action(
        Shell("rm -r x"),
        Attribution(Agent("somebody-else", owner="dana")),
        Gate("fake", "enforced"),
        session["id"],
    )
    asked = agent.call("POST", "/v1/actions", {"action": msgspec.to_builtins(action)})[1]
    view = riley.call("GET", f"/v1/requests/{asked['request']}")[1]
    assert view["attribution"]["agent"]["name"] == "bot"
    assert view["attribution"]["agent"]["owner"] == "riley"
    assert view["assurance"] == "advisory"
    digests = {"digest": view["digest"], "display": view["display"], "reason": "read it"}
    refused = [
        code(api.call("POST", f"/v1/requests/{asked['request']}/approve", digests)) for api in (dana, riley)
    ]
    assert refused == ["approver.party", "approver.owner"], (
        "who issued it and who owns it stand behind it (promise 6)"
    )
    opened = next(
        entry
        for entry in dana.call("GET", "/v1/ledger/entries?limit=1000")[1]
        if entry["type"] == "request.opened" and entry["fields"]["id"] == asked["request"]
    )
    assert opened["fields"]["parties"] == ["dana", "riley"]
    read = Action(Shell("ls"), Attribution(Agent("bot")), Gate("x"), session["id"])
    edit = {**msgspec.to_builtins(read), "content": {"kind": "http", "url": "https://example.org/"}}
    assert code(agent.call("POST", "/v1/actions", {"action": edit})) == "credential.scope"
    assert agent.call("POST", "/v1/actions", {"action": msgspec.to_builtins(read)})[0] == 200, (
        "negative control"
    )
