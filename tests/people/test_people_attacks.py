"""What an attacker between Keyturn, a browser and a provider can try. Each attack has its honest twin beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from people_hostile import HostileProvider
from people_provider import Browser, House, code_of, house

from keyturn.ledger.entries import Draft


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileProvider]:
    provider = HostileProvider()
    yield provider
    provider.stop()


@pytest.fixture
def keyturn(tmp_path: Path, hostile: HostileProvider) -> Iterator[House]:
    hostile.claims, hostile.forge, hostile.metadata, hostile.fetched = {}, hostile.signed, {}, 0
    hostile.codes.clear()
    with house(tmp_path, hostile.issuer) as opened:
        link(opened, f"{hostile.issuer}|u-dana")
        yield opened


def link(keyturn: House, *accounts: str) -> None:
    fields = {"id": "dana", "accounts": sorted(accounts), "by": "test"}
    keyturn.do(keyturn.service.core.ledger.append([Draft("person.changed", fields)]))
    keyturn.service.core.people_changed()


def go(browser: Browser, hostile: HostileProvider, **given: str) -> Any:
    """Begin, and come back as if the provider had sent us; *given* replaces parts of the way back."""
    begun = browser.begin()
    asked = parse_qs(urlsplit(begun["location"]).query)
    hostile.nonce = asked["nonce"][0]
    assert asked["code_challenge_method"] == ["S256"]
    return browser.finish(begun, {"state": begun["state"], "code": "c", **given})


def test_the_honest_way_works(keyturn: House, hostile: HostileProvider) -> None:
    """The negative control of everything below."""
    assert go(Browser(keyturn.url), hostile).status_code == 200
    sent = hostile.codes[-1]
    assert len(sent["code_verifier"][0]) >= 43
    assert sent["redirect_uri"] == [f"{keyturn.url}/login/provider/callback"]


now = lambda: int(time.time())  # noqa: E731
ALTERED: dict[str, tuple[Callable[[HostileProvider], dict[str, Any]], str]] = {
    "another nonce": (lambda p: {"nonce": "x" * 43}, "nonce"),
    "no nonce": (lambda p: {"nonce": None}, "nonce"),
    "another audience": (lambda p: {"aud": "other"}, "audience"),
    "two audiences": (lambda p: {"aud": ["keyturn", "other"]}, "audience"),
    "another authorized party": (lambda p: {"azp": "other"}, "audience"),
    "another issuer": (lambda p: {"iss": p.issuer + "/"}, "issuer"),
    "expired": (lambda p: {"iat": now() - 300, "exp": now() - 61}, "expired"),
    "no expiry": (lambda p: {"exp": None}, "times"),
    "expiry as text": (lambda p: {"exp": "9999999999"}, "times"),
    "from the future": (lambda p: {"iat": now() + 90, "exp": now() + 300}, "future"),
    "not yet valid": (lambda p: {"nbf": now() + 90}, "future"),
    "issued long ago": (lambda p: {"iat": now() - 7200}, "old"),
    "no subject": (lambda p: {"sub": None}, "subject"),
    "a subject that is no text": (lambda p: {"sub": 7}, "subject"),
    "a subject with a line break": (lambda p: {"sub": "u-dana\n"}, "subject"),
}


@pytest.mark.parametrize("attack", ALTERED)
def test_a_token_that_is_not_the_answer_opens_nothing(
    keyturn: House, hostile: HostileProvider, attack: str
) -> None:
    make, why = ALTERED[attack]
    hostile.claims = make(hostile)
    answer = go(Browser(keyturn.url), hostile)
    assert (answer.status_code, code_of(answer)) == (401, "provider.token")
    assert answer.json()["error"]["details"]["why"] == why
    assert keyturn.entries("login.opened") == []


CLOCKS: dict[str, Callable[[], dict[str, int]]] = {
    "expired within the skew": lambda: {"iat": now() - 300, "exp": now() - 30},
    "issued a little ahead of us": lambda: {"iat": now() + 30, "exp": now() + 300},
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_clocks_may_differ_by_the_configured_skew(
    keyturn: House, hostile: HostileProvider, clock: str
) -> None:
    hostile.claims = CLOCKS[clock]()
    assert go(Browser(keyturn.url), hostile).status_code == 200


FORGED: dict[str, tuple[Callable[[HostileProvider, dict[str, Any]], str], str, str]] = {
    "no signature": (lambda p, c: p.unsigned(c), "provider.token", "algorithm"),
    "the public key as a secret": (lambda p, c: p.confused(c), "provider.token", "algorithm"),
    "another key under the known name": (lambda p, c: p.signed(c, p.other), "provider.token", "signature"),
    "an unknown key": (lambda p, c: p.signed(c, p.unknown, kid="k9"), "provider.token_key", "key"),
    "its own key inside": (
        lambda p, c: p.signed(c, p.unknown, kid="k9", jwk=p.unknown.as_dict(private=False)),  # type: ignore[arg-type]
        "provider.token_key",
        "key",
    ),
    "claims changed after signing": (lambda p, c: _swapped(p, c), "provider.token", "signature"),
    "no token at all": (lambda p, c: "hello", "provider.token", "form"),
    "a very long token": (lambda p, c: "a" * 40_000 + ".b.c", "provider.token", "form"),
}


def _swapped(provider: HostileProvider, claims: dict[str, Any]) -> str:
    good, other = provider.signed(claims), provider.signed({**claims, "sub": "u-riley"})
    return ".".join((good.split(".")[0], other.split(".")[1], good.split(".")[2]))


@pytest.mark.parametrize("attack", FORGED)
def test_a_token_that_the_provider_did_not_sign_opens_nothing(
    keyturn: House, hostile: HostileProvider, attack: str
) -> None:
    forge, code, why = FORGED[attack]
    hostile.forge = lambda claims: forge(hostile, claims)
    answer = go(Browser(keyturn.url), hostile)
    assert (answer.status_code, code_of(answer)) == (401, code)
    assert answer.json()["error"]["details"]["why"] == why
    hostile.forge = hostile.signed
    assert go(Browser(keyturn.url), hostile).status_code == 200


def test_unknown_keys_do_not_make_keyturn_hammer_the_provider(
    keyturn: House, hostile: HostileProvider
) -> None:
    hostile.forge = lambda claims: hostile.signed(claims, hostile.unknown, kid="k9")
    for _ in range(5):
        assert code_of(go(Browser(keyturn.url), hostile)) == "provider.token_key"
    assert hostile.fetched == 2  # once at first, once for the unknown key; then not for half a minute
    assert len(keyturn.entries("provider.keys")) == 0  # none was used for anything


def test_a_state_that_was_not_ours_or_was_used_ends_nothing(keyturn: House, hostile: HostileProvider) -> None:
    assert code_of(go(Browser(keyturn.url), hostile, state="x" * 43)) == "provider.flow"
    browser = Browser(keyturn.url)
    begun = browser.begin()
    hostile.nonce = parse_qs(urlsplit(begun["location"]).query)["nonce"][0]
    assert browser.finish(begun, {"state": begun["state"], "code": "c"}).status_code == 200
    replayed = browser.finish(begun, {"state": begun["state"], "code": "c"})
    assert (replayed.status_code, code_of(replayed)) == (401, "provider.flow")
    assert len(keyturn.entries("login.opened")) == 1


def test_another_browser_can_not_end_a_journey(keyturn: House, hostile: HostileProvider) -> None:
    """Sign-in forgery: the attacker's own code and state, in the victim's browser, which lacks the journey's key."""
    attacker, victim = Browser(keyturn.url), Browser(keyturn.url)
    begun = attacker.begin()
    hostile.nonce = parse_qs(urlsplit(begun["location"]).query)["nonce"][0]
    way = {"state": begun["state"], "code": "c"}
    assert code_of(victim.finish({**begun, "key": ""}, way)) == "provider.flow"
    assert code_of(victim.finish(victim.begin(), way)) == "provider.flow"
    assert attacker.finish(begun, way).status_code == 200  # the refused tries did not use it up


def test_an_answer_of_another_provider_is_a_mix_up(keyturn: House, hostile: HostileProvider) -> None:
    assert code_of(go(Browser(keyturn.url), hostile, iss="https://evil.example")) == "provider.flow"
    assert hostile.codes == []  # the code did not go anywhere
    assert go(Browser(keyturn.url), hostile, iss=hostile.issuer).status_code == 200


def test_a_provider_that_promises_its_name_must_give_it(tmp_path: Path, hostile: HostileProvider) -> None:
    hostile.claims, hostile.forge = {}, hostile.signed
    hostile.metadata = {"authorization_response_iss_parameter_supported": True}
    with house(tmp_path, hostile.issuer) as keyturn:
        link(keyturn, f"{hostile.issuer}|u-dana")
        assert code_of(go(Browser(keyturn.url), hostile)) == "provider.flow"
        assert go(Browser(keyturn.url), hostile, iss=hostile.issuer).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "requests",
        "/a\nb",
        "/ä",
    ],
)
def test_nobody_is_sent_to_another_place_afterwards(keyturn: House, address: str) -> None:
    answer = Browser(keyturn.url).post("/login/provider", {"next": address})
    assert (answer.status_code, code_of(answer)) == (400, "provider.next")
    assert Browser(keyturn.url).post("/login/provider", {"next": "/requests/r1?x=//evil"}).status_code == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
    ],
)
def test_a_description_that_is_not_the_providers_is_not_followed(
    tmp_path: Path, hostile: HostileProvider, metadata: dict[str, Any]
) -> None:
    hostile.metadata = metadata
    with house(tmp_path, hostile.issuer) as keyturn:
        answer = Browser(keyturn.url).post("/login/provider", {"next": "/"})
        assert (answer.status_code, code_of(answer)) == (503, "provider.down")
        hostile.metadata = {}
        assert Browser(keyturn.url).post("/login/provider", {"next": "/"}).status_code == 200


def test_a_journey_begins_and_ends_on_our_own_page_only(keyturn: House, hostile: HostileProvider) -> None:
    browser = Browser(keyturn.url)
    for path, body in (
        ("/login/provider", {"next": "/"}),
        ("/login/provider/finish", {"state": "s", "key": "k", "code": "c"}),
    ):
        answer = browser.post(path, body, origin="https://evil.example")
        assert (answer.status_code, code_of(answer)) == (403, "web.origin")
    opened = browser.get("/login/provider/callback?code=abc&state=def&error=access_denied%3Cscript%3E")
    assert "abc" not in opened.text
    assert "<script>" not in opened.text.replace('<script type="module"', "")
    assert keyturn.entries("login.opened") == []


def logout_claims(hostile: HostileProvider, **changes: Any) -> dict[str, Any]:
    event = {"http://schemas.openid.net/event/backchannel-logout": {}}
    given = {
        "iss": hostile.issuer,
        "aud": "keyturn",
        "sub": "u-dana",
        "iat": now(),
        "jti": "1",
        "events": event,
        **changes,
    }
    return {k: v for k, v in given.items() if v is not None}


def test_the_provider_ends_the_sessions_that_it_opened_and_nobody_else_does(
    keyturn: House, hostile: HostileProvider
) -> None:
    one, two = Browser(keyturn.url), Browser(keyturn.url)
    hostile.claims = {"sid": "s1"}
    assert go(one, hostile).status_code == 200
    hostile.claims = {"sid": "s2"}
    assert go(two, hostile).status_code == 200

    def logout(token: str) -> int:
        return one.http.post(keyturn.url + "/login/provider/logout", data={"logout_token": token}).status_code

    wrong = [
        hostile.signed(logout_claims(hostile), hostile.other),
        hostile.unsigned(logout_claims(hostile)),
        hostile.signed(logout_claims(hostile, events=None)),
        hostile.signed(logout_claims(hostile, nonce="n")),
        hostile.signed(logout_claims(hostile, aud="other")),
        hostile.signed(logout_claims(hostile, iat=now() - 7200)),
        hostile.signed(logout_claims(hostile, sub=None)),
    ]
    assert [logout(token) for token in wrong] == [401] * len(wrong)
    assert logout(hostile.signed(logout_claims(hostile, sub="u-riley"))) == 200
    assert "Sign out" in one.get("/").text
    assert logout(hostile.signed(logout_claims(hostile, sid="s1"))) == 200
    assert "Sign out" not in one.get("/").text
    assert "Sign out" in two.get("/").text
    assert logout(hostile.signed(logout_claims(hostile))) == 200
    assert "Sign out" not in two.get("/").text
    assert [e.fields["by"] for e in keyturn.entries("login.closed")] == ["provider", "provider"]
