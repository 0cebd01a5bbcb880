"""Ways around the rules that a review found, over the API of a running server: each with its legitimate twin."""

from __future__ import annotations

import json

from server_process import GateClient, Process
from test_server_api import Api


def test_an_auditor_learns_nothing_of_the_content_by_asking_for_its_rule(server: Process) -> None:
    dana = Api(server, (server.home.tokens / "dana").read_text().strip())
    made = dana.call("POST", "/v1/people", {"id": "ada", "roles": ["auditor"]})[1]
    ada = Api(server, made["token"])
    asked = GateClient(server.home).authorize("rm -r very-private-folder").outcome
    assert asked is not None
    status, said = ada.call("GET", f"/v1/requests/{asked.request}/always")
    assert (status, said["error"]["code"]) == (403, "auth.not_disclosed")
    # Negative control: others are shown the rule, which has the command in it.
    status, found = dana.call("GET", f"/v1/requests/{asked.request}/always")
    assert status == 200
    assert "very-private-folder" in json.dumps(found)
