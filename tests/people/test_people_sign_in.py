"""Signing in at a real OpenID provider: who gets in, as whom, and what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from people_provider import Browser, House, RealProvider, code_of, house

from keyturn.ledger.entries import Draft
from keyturn.service import people

pytestmark = pytest.mark.provider


def link(house: House, person: str, account: str) -> None:
    """As the entry of an approved link has it."""
    old = house.service.core.roster.people[person].accounts
    fields = {"id": person, "accounts": sorted({*old, account}), "by": "test"}
    house.do(house.service.core.ledger.append([Draft("person.changed", fields)]))
    house.service.core.people_changed()


def test_a_linked_account_signs_in_and_the_entry_says_how(keyturn: House, provider: RealProvider) -> None:
    link(keyturn, "dana", f"{provider.issuer}|u-dana")
    browser = Browser(keyturn.url)
    answer = browser.sign_in("u-dana", "/requests?state=all")
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] == "/requests?state=all"
    assert "Sign out" in browser.get("/").text
    opened = keyturn.entries("login.opened")[-1].fields
    assert (opened["person"], opened["how"], opened["acr"], opened["amr"]) == (
        "dana",
        "provider",
        "urn:test:password",
        ["pwd"],
    )
    (keys,) = keyturn.entries("provider.keys")
    assert opened["keys"] == keys.fields["digest"]
    assert keys.fields["jwks"]["keys"][0]["kid"] == "k1"
    assert "d" not in keys.fields["jwks"]["keys"][0]


def test_an_unknown_account_gets_in_nowhere_and_is_recorded_once(
    keyturn: House, provider: RealProvider
) -> None:
    """Its name and mail address are those of somebody here: no claim makes a link."""
    link(keyturn, "dana", f"{provider.issuer}|u-dana")
    for _ in range(2):
        answer = Browser(keyturn.url).sign_in("u-stranger")
        assert (answer.status_code, code_of(answer)) == (403, "account.unknown")
        assert f"{provider.issuer}|u-stranger" in answer.text
    assert len(keyturn.entries("login.refused")) == 1
    assert keyturn.entries("login.opened") == []
    assert Browser(keyturn.url).sign_in("u-dana").status_code == 200  # negative control: the linked one


def test_an_account_of_two_people_opens_nothing(keyturn: House, provider: RealProvider) -> None:
    keyturn.do(keyturn.service.enrol("twin", name="", groups=[], roles=["member"], os_uids=[], by="dana"))
    link(keyturn, "dana", f"{provider.issuer}|u-dana")
    assert Browser(keyturn.url).sign_in("u-dana").status_code == 200
    link(keyturn, "twin", f"{provider.issuer}|u-dana")
    assert code_of(Browser(keyturn.url).sign_in("u-dana")) == "account.unknown"


def test_a_removed_persons_session_and_account_open_nothing_from_that_entry_on(
    keyturn: House, provider: RealProvider
) -> None:
    keyturn.do(
        keyturn.service.enrol("riley", name="", groups=["dba"], roles=["member"], os_uids=[], by="dana")
    )
    link(keyturn, "riley", f"{provider.issuer}|u-riley")
    browser = Browser(keyturn.url)
    assert browser.sign_in("u-riley").status_code == 200
    assert "Sign out" in browser.get("/").text
    keyturn.do(people.remove(keyturn.service.core, "riley", by="dana"))
    assert "Sign out" not in browser.get("/").text
    assert code_of(Browser(keyturn.url).sign_in("u-riley")) == "account.unknown"


def test_groups_come_from_the_table_and_go_with_the_claim(tmp_path: Path, provider: RealProvider) -> None:
    table = {"groups_claim": "groups", "groups": {"idp-dba": "dba", "idp-ops": "ops"}}
    with house(tmp_path, provider.issuer, **table) as keyturn:
        keyturn.do(
            keyturn.service.enrol("riley", name="", groups=["local"], roles=["member"], os_uids=[], by="dana")
        )
        link(keyturn, "riley", f"{provider.issuer}|u-riley")
        assert Browser(keyturn.url).sign_in("u-riley").status_code == 200
        # `idp-everybody` is not in the table, and gives nothing; what people gave stays.
        assert keyturn.service.core.roster.people["riley"].groups == ("dba", "local")
        changed = keyturn.entries("person.changed")[-1].fields
        assert (changed["by"], changed["groups"]) == ("provider", ["dba", "local"])
        provider.people["u-riley"]["groups"] = ["idp-ops", "admins", "local", "policy"]
        provider.write()
        try:
            assert Browser(keyturn.url).sign_in("u-riley").status_code == 200
        finally:
            provider.people["u-riley"]["groups"] = ["idp-dba", "idp-everybody"]
            provider.write()
        assert keyturn.service.core.roster.people["riley"].groups == ("local", "ops")
        before = keyturn.service.core.ledger.size
        provider.people["u-riley"]["groups"] = ["idp-ops"]
        provider.write()
        assert Browser(keyturn.url).sign_in("u-riley").status_code == 200
        assert keyturn.service.core.ledger.size == before + 1  # nothing changed: the session's entry only
        provider.people["u-riley"]["groups"] = ["idp-dba", "idp-everybody"]
        provider.write()


def test_an_administrator_is_made_by_claim_only_where_the_table_says_so(
    tmp_path: Path, provider: RealProvider
) -> None:
    for folder, roles, wanted in (("a", {}, False), ("b", {"idp-dba": "admin"}, True)):
        (tmp_path / folder).mkdir()
        table = {"groups_claim": "groups", "groups": {"idp-dba": "dba"}, "roles": roles}
        with house(tmp_path / folder, provider.issuer, **table) as keyturn:
            keyturn.do(
                keyturn.service.enrol("riley", name="", groups=[], roles=["member"], os_uids=[], by="dana")
            )
            link(keyturn, "riley", f"{provider.issuer}|u-riley")
            assert Browser(keyturn.url).sign_in("u-riley").status_code == 200
            assert ("admin" in keyturn.service.core.roster.people["riley"].roles) is wanted


def test_new_keys_of_the_provider_are_fetched_and_recorded(
    tmp_path: Path, own_provider: RealProvider
) -> None:
    provider = own_provider
    provider.start("k1")
    with house(tmp_path, provider.issuer) as keyturn:
        link(keyturn, "dana", f"{provider.issuer}|u-dana")
        assert Browser(keyturn.url).sign_in("u-dana").status_code == 200
        provider.stop()
        down = Browser(keyturn.url)
        begun = down.begin()  # its description is remembered for a while
        provider.start("k2")
        assert down.finish(begun, down.at_provider(begun["location"], "u-dana")).status_code == 200
        assert Browser(keyturn.url).sign_in("u-dana").status_code == 200
        kids = [e.fields["jwks"]["keys"][0]["kid"] for e in keyturn.entries("provider.keys")]
        assert kids == ["k1", "k2"]
        assert [e.fields["keys"] for e in keyturn.entries("login.opened")] == [
            e.fields["digest"] for e in (keyturn.entries("provider.keys")[i] for i in (0, 1, 1))
        ]


def test_while_the_provider_is_down_sessions_go_on_and_nobody_new_gets_in(
    tmp_path: Path, own_provider: RealProvider
) -> None:
    provider = own_provider
    provider.start()
    with house(tmp_path, provider.issuer) as keyturn:
        link(keyturn, "dana", f"{provider.issuer}|u-dana")
        browser = Browser(keyturn.url)
        assert browser.sign_in("u-dana").status_code == 200
        late = Browser(keyturn.url)
        begun = late.begin()
        given = late.at_provider(begun["location"], "u-dana")
        provider.stop()
        size = keyturn.service.core.ledger.size
        assert "Sign out" in browser.get("/").text
        refused = late.finish(begun, given)
        assert (refused.status_code, code_of(refused)) == (503, "provider.down")
        assert keyturn.service.core.ledger.size == size


def test_signing_out_ends_the_session(keyturn: House, provider: RealProvider) -> None:
    link(keyturn, "dana", f"{provider.issuer}|u-dana")
    browser = Browser(keyturn.url)
    assert browser.sign_in("u-dana").status_code == 200
    cookies = dict(browser.http.cookies)
    assert browser.post("/logout", {}).status_code == 200
    browser.http.cookies.update(cookies)
    assert "Sign out" not in browser.get("/").text
