"""Token exchange (RFC 8693): an agent's token out of a person's, narrower only; who acts for whom is proven to the approvers."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from server_process import Process
from test_server_api import Api

from keyturn.actions import Action, Agent, Attribution, Gate, Human, Shell
from keyturn.channels.api.exchange import ACCESS_TOKEN, GRANT
from keyturn.identity.credentials import MAX_DEPTH


@pytest.fixture
def dana(server: Process) -> Api:
    return Api(server, (server.home.tokens / "dana").read_text().strip())


@pytest.fixture
def riley(server: Process, dana: Api) -> Api:
    made = dana.call("POST", "/v1/people", {"id": "riley", "groups": ["reviewers", "policy"]})[1]
    return Api(server, made["token"])


def exchanged(server: Process, subject: str, **form: Any) -> tuple[int, Any]:
    """The answer of the token endpoint, as any OAuth client would ask it."""
    fields = {"grant_type": GRANT, "subject_token": subject, "subject_token_type": ACCESS_TOKEN, **form}
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=120)
    body = urlencode({name: value for name, value in fields.items() if value is not None})
    connection.request("POST", "/v1/token", body, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def held(api: Api, session: str, command: str = "rm -r x", human: str = "riley") -> Any:
    who = Attribution(Agent("x"), Human(human, "os-uid"))
    action = Action(Shell(command), who, Gate("x"), session)
    return api.call("POST", "/v1/actions", {"action": msgspec.to_builtins(action)})[1]


def test_an_agent_acts_for_the_person_whose_token_was_exchanged(
    server: Process, dana: Api, riley: Api
) -> None:
    status, made = exchanged(server, riley.token, agent="coder", scope="shell", expires_in="600")
    assert status == 200, made
    assert (made["token_type"], made["issued_token_type"], made["scope"]) == ("Bearer", ACCESS_TOKEN, "shell")
    assert 0 < made["expires_in"] <= 600
    agent = Api(server, made["access_token"])
    session = agent.call("POST", "/v1/sessions", {"agent": "ignored", "human": "dana"})[1]
    assert (session["human"], session["agent"]) == ("riley", "coder")
    asked = held(agent, session["id"], human="dana")
    view = dana.call("GET", f"/v1/requests/{asked['request']}")[1]
    assert view["attribution"]["human"] == {"person": "riley", "how": "token", "os_uid": None}
    digests = {"digest": view["digest"], "display": view["display"], "reason": "read it"}
    status, said = riley.call("POST", f"/v1/requests/{asked['request']}/approve", digests)
    assert (status, said["error"]["code"]) == (403, "approver.initiator"), "promise 6"
    # Negative control: somebody else with the same group may.
    sam = Api(server, dana.call("POST", "/v1/people", {"id": "sam", "groups": ["reviewers"]})[1]["token"])
    assert sam.call("POST", f"/v1/requests/{asked['request']}/approve", digests)[0] == 200


def test_a_gate_proves_for_whom_its_agent_acts_by_the_agents_token(
    server: Process, dana: Api, riley: Api
) -> None:
    gate = Api(server, dana.call("POST", "/v1/gates", {"name": "ci"})[1]["token"])
    agent = exchanged(server, riley.token, agent="coder")[1]
    session = gate.call(
        "POST", "/v1/sessions", {"agent": "x", "human": "dana", "token": agent["access_token"]}
    )[1]
    assert (session["human"], session["gate"]) == ("riley", "ci")
    asked = held(gate, session["id"], human="dana")
    assert dana.call("GET", f"/v1/requests/{asked['request']}")[1]["attribution"]["human"]["how"] == "token"
    # Negative control: without the token it is the gate's word, and says so.
    other = gate.call("POST", "/v1/sessions", {"agent": "x", "human": "dana"})[1]
    asked = held(gate, other["id"], human="dana")
    assert (
        dana.call("GET", f"/v1/requests/{asked['request']}")[1]["attribution"]["human"]["how"] == "declared"
    )
    # The session lives no longer than what proved its human.
    assert riley.call("POST", f"/v1/credentials/{agent['credential']}/revoke", {})[0] == 200
    assert held(gate, session["id"])["error"]["code"] == "credential.revoked"


def test_each_exchange_narrows_and_the_chain_has_an_end(server: Process, riley: Api) -> None:
    token, ends = riley.token, 10**12
    scopes = ["shell file tool http", "shell file", "shell file", "shell", "shell"]
    for depth, scope in enumerate(scopes):
        status, made = exchanged(
            server, token, agent=f"agent{depth}", scope=scope, expires_in=str(3600 - depth)
        )
        assert status == 200, made
        assert made["expires_in"] <= ends
        token, ends = made["access_token"], made["expires_in"]
    wider = exchanged(server, token, agent="more", scope="http")
    assert (wider[0], wider[1]["error"], wider[1]["code"]) == (400, "invalid_scope", "credential.scope") or (
        wider[1]["code"] == "credential.too_deep"
    )
    deep = exchanged(server, token, agent="more", scope="shell")
    assert len(scopes) == MAX_DEPTH
    assert (deep[1]["error"], deep[1]["code"]) == ("unauthorized_client", "credential.too_deep")
    session = Api(server, token).call("POST", "/v1/sessions", {"agent": "x"})[1]
    asked = held(Api(server, token), session["id"])
    who = riley.call("GET", f"/v1/requests/{asked['request']}")[1]["attribution"]
    assert who["parents"] == [f"agent:agent{n}" for n in (3, 2, 1, 0)]
    assert who["human"]["person"] == "riley"


def test_narrower_scopes_are_refused_when_they_grow_and_lifetimes_are_cut(
    server: Process, riley: Api
) -> None:
    first = exchanged(server, riley.token, agent="planner", scope="shell", expires_in="60")[1]
    wider = exchanged(server, first["access_token"], agent="worker", scope="shell file")
    assert (wider[0], wider[1]["error"]) == (400, "invalid_scope")
    longer = exchanged(server, first["access_token"], agent="worker", scope="shell", expires_in="86400")[1]
    assert longer["expires_in"] <= 60
    # And what was exchanged is not renewed: it would outlive what it was made from.
    _, said = Api(server, longer["access_token"]).call("POST", "/v1/credentials/renew", {})
    assert said["error"]["code"] == "credential.not_rotatable"


def test_revoking_a_person_or_a_parent_ends_all_below(server: Process, dana: Api, riley: Api) -> None:
    first = exchanged(server, riley.token, agent="planner")[1]
    second = Api(server, exchanged(server, first["access_token"], agent="worker")[1]["access_token"])
    assert second.call("POST", "/v1/sessions", {"agent": "x"})[0] == 201
    assert riley.call("POST", f"/v1/credentials/{first['credential']}/revoke", {"why": "done"})[0] == 200
    assert second.call("POST", "/v1/sessions", {"agent": "x"})[1]["error"]["code"] == "credential.revoked"
    again = Api(server, exchanged(server, riley.token, agent="planner")[1]["access_token"])
    assert again.call("POST", "/v1/sessions", {"agent": "x"})[0] == 201
    dana.call("POST", "/v1/people/riley/remove")
    assert again.call("POST", "/v1/sessions", {"agent": "x"})[1]["error"]["code"] == "credential.revoked"


def test_an_administrator_can_not_take_up_a_token_that_acts_for_somebody_else(
    server: Process, dana: Api, riley: Api
) -> None:
    """Who could would shift who counts as having asked, and then approve."""
    made = exchanged(server, riley.token, agent="planner")[1]["credential"]
    assert dana.call("POST", f"/v1/credentials/{made}/rotate", {})[1]["error"]["code"] == "auth.forbidden"
    assert dana.call("POST", f"/v1/credentials/{made}/revoke", {})[0] == 200, "ending it she may"


@pytest.mark.parametrize(
    "way", ["rotated", "rotated, in the session of before", "issued, in another's session"]
)
def test_who_takes_up_an_agents_token_stands_behind_what_is_asked_with_it(
    server: Process, dana: Api, riley: Api, way: str
) -> None:
    """An administrator who rotates an agent's token, or issues one of the same name, has it: asking with it is asking themselves."""
    sam = Api(server, dana.call("POST", "/v1/people", {"id": "sam", "groups": ["reviewers"]})[1]["token"])
    kim = {"id": "kim", "groups": ["reviewers"], "roles": ["member", "admin"]}
    admin = Api(server, dana.call("POST", "/v1/people", kim)[1]["token"])
    made = dana.call("POST", "/v1/credentials", {"agent": "planner", "owner": "riley", "scopes": ["shell"]})[
        1
    ]
    opening = {"agent": "x", "client_session": "the same work"}
    before = Api(server, made["token"]).call("POST", "/v1/sessions", opening)[1]["id"]
    if way.startswith("rotated"):
        new = admin.call("POST", f"/v1/credentials/{made['credential']['id']}/rotate", {})
    else:
        new = admin.call("POST", "/v1/credentials", {"agent": "planner", "owner": "kim", "scopes": ["shell"]})
    agent = Api(server, new[1]["token"])
    if way != "rotated":
        assert held(agent, before)["error"]["code"] == "session.unknown"
    session = agent.call("POST", "/v1/sessions", opening)[1]["id"]
    assert session != before
    request = held(agent, session)["request"]
    view = admin.call("GET", f"/v1/requests/{request}")[1]
    digests = {"digest": view["digest"], "display": view["display"], "reason": "read it"}
    status, said = admin.call("POST", f"/v1/requests/{request}/approve", digests)
    assert (status, said["error"]["code"]) in ((403, "approver.party"), (403, "approver.owner"))
    # Negative control: somebody who never had the token may.
    assert sam.call("POST", f"/v1/requests/{request}/approve", digests)[0] == 200


def test_a_renewed_token_still_speaks_for_its_sessions(server: Process, dana: Api) -> None:
    made = dana.call("POST", "/v1/credentials", {"agent": "planner", "owner": "dana", "scopes": ["shell"]})[1]
    first, opening = Api(server, made["token"]), {"agent": "x", "client_session": "the same work"}
    session = first.call("POST", "/v1/sessions", opening)[1]["id"]
    new = Api(server, first.call("POST", "/v1/credentials/renew", {})[1]["token"])
    assert new.call("POST", "/v1/sessions", opening)[1]["id"] == session
    assert "request" in held(new, session)


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"agent": None}, "invalid_request"),
        ({"agent": "No Name"}, "invalid_request"),
        ({"scope": "approve"}, "invalid_request"),
        ({"expires_in": "0"}, "invalid_request"),
        ({"expires_in": "-5"}, "invalid_request"),
        ({"audience": "https://elsewhere.example"}, "invalid_request"),
        ({"surprise": "1"}, "invalid_request"),
        ({"subject_token": "ktp_" + "A" * 43}, "invalid_grant"),
        ({"subject_token": "a.b.c"}, "invalid_grant"),
    ],
)
def test_what_is_no_exchange_gets_the_errors_of_rfc_6749(
    server: Process, riley: Api, form: dict[str, Any], error: str
) -> None:
    status, said = exchanged(server, riley.token, **{"agent": "coder", **form})
    assert (status in (400, 401), said["error"]) == (True, error), said
    assert exchanged(server, riley.token, agent="coder")[0] == 200, "negative control"


def test_who_may_not_delegate_gives_no_agent_a_token(server: Process, dana: Api, riley: Api) -> None:
    reader = riley.call("POST", "/v1/tokens", {"scopes": ["read", "approve"]})[1]["token"]
    assert exchanged(server, reader, agent="coder")[1]["error"] == "invalid_scope"
    delegating = riley.call("POST", "/v1/tokens", {"scopes": ["delegate"], "seconds": 60})[1]["token"]
    made = exchanged(server, delegating, agent="coder")[1]
    assert made["expires_in"] <= 60, "no longer than the token that it was made from"
    gate = dana.call("POST", "/v1/gates", {"name": "ci"})[1]["token"]
    assert exchanged(server, gate, agent="coder")[1]["error"] == "unauthorized_client"
    auditor = dana.call("POST", "/v1/people", {"id": "ann", "roles": ["auditor"]})[1]["token"]
    assert exchanged(server, auditor, agent="coder")[0] == 400, "who only reads has no agent act for them"


def test_the_agents_own_token_names_it_and_adds_who_owns_it(server: Process, dana: Api, riley: Api) -> None:
    own = dana.call("POST", "/v1/credentials", {"agent": "coder", "scopes": ["shell"]})[1]["token"]
    made = exchanged(server, riley.token, actor_token=own, actor_token_type=ACCESS_TOKEN)[1]
    listed = {one["id"]: one for one in dana.call("GET", "/v1/credentials")[1]}[made["credential"]]
    assert (listed["name"], listed["person"], listed["chain"]) == ("coder", "riley", ["dana", "riley"])
