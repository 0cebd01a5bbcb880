"""What auditors read of a running server is in its log; over pages and API alike, and before it is shown."""

from server_process import Process
from test_server_api import Api


def viewed(api: Api) -> list[tuple[str, str, str]]:
    found = api.call("GET", "/v1/ledger/entries?limit=1000")[1]
    entries = found["entries"] if isinstance(found, dict) else found
    return [
        (one["fields"]["by"], one["fields"]["what"], one["fields"]["of"])
        for one in entries
        if one["type"] == "evidence.viewed"
    ]


def test_what_an_auditor_asks_for_is_recorded_once_and_what_others_ask_for_is_not(server: Process) -> None:
    dana = Api(server, (server.home.tokens / "dana").read_text().strip())
    token = dana.call("POST", "/v1/people", {"id": "ada", "roles": ["auditor"]})[1]["token"]
    ada = Api(server, token)
    for _ in range(2):
        assert ada.call("GET", "/v1/ledger/entries/2")[0] == 200
    assert ada.call("GET", "/v1/requests")[0] == 200
    assert ada.call("GET", "/v1/openapi.json")[0] == 200
    assert dana.call("GET", "/v1/ledger/entries/2")[0] == 200
    assert Api(server, "ktp_" + "A" * 43).call("GET", "/v1/ledger/entries/2")[0] == 401
    assert sorted(viewed(dana)) == [("ada", "entry", "2"), ("ada", "requests", "")]
