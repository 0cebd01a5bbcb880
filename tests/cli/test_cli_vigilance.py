"""`keyturn vigilance`, `drill now`, `policy suggest` and `unused`, against a real server."""

from __future__ import annotations

from cli_house import House


def test_a_drill_is_started_decided_and_counted(house: House) -> None:
    real = house.ask()
    assert house.keyturn("drill", "now", by="riley").code != 0
    assert house.keyturn("drill", "now", "--json", by="dana").json == {"opened": True}
    waiting = house.keyturn("requests", "--json", by="riley").json
    assert len(waiting) >= 2
    for one in waiting:
        if one["id"] != real:
            house.keyturn("deny", one["id"], "--reason", "no", by="riley")
    own = house.keyturn("vigilance", "--json", by="riley").json
    assert (own["drills"], own["caught"]) == (1, 1)
    assert "drills caught 1 of 1" in house.keyturn("vigilance", by="riley").out
    assert house.keyturn("vigilance", "--all", by="riley").code != 0
    assert {one["person"] for one in house.keyturn("vigilance", "--all", "--json", by="dana").json} >= {
        "riley"
    }


def test_a_rule_is_suggested_and_proposed(house: House) -> None:
    request = house.ask("rm -r somewhere")
    said = house.keyturn("policy", "suggest", request, by="dana")
    assert '@lifts("delete-more")' in said.out
    assert "it would have run 1" in said.out
    made = house.keyturn(
        "policy", "suggest", request, "--propose", "--note", "daily", "--json", by="dana"
    ).json
    assert (made["subject"], made["state"]) == ("policy", "waiting")
    assert house.keyturn("policy", "suggest", request, "--note", "x", by="dana").code == 2
    assert house.keyturn("policy", "unused", "--json", by="dana").json
