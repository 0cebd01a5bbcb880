"""Nobody but Keyturn's own page writes, nobody but its own host reads, and nothing else runs in it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from web_memory import HERE, MemoryWeb, app

from keyturn.channels.web.guard import cookie_name, own_host
from keyturn.channels.web.rendering import ASSETS, ASSETS_DIGEST
from keyturn.identity.tokens import cookie_of

Client = TestClient[Litestar]

PAGES = (
    "/configuration",
    "/configuration/prod",
    "/", "/requests", "/requests?state=all", "/requests?state=denied", "/requests/r_00001", "/requests/r_00001/hex",
    "/ledger", "/ledger/1", "/about", "/findings", "/findings/f_1", "/findings/lag",
    "/credentials", "/login?code=x", "/nowhere", "/requests/none",
    "/ledger/999", "/sessions/none",
)  # fmt: skip


def signed(web: MemoryWeb, client: Client) -> dict[str, str]:
    """Headers of a decision as the page sends it."""
    cookie = client.cookies[cookie_name("127.0.0.1:8765")]
    return {"origin": HERE, "X-Keyturn-CSRF": web.keys[cookie]}


def decision(web: MemoryWeb, **changes: Any) -> dict[str, Any]:
    r = web.service.views["r_00001"]
    return {"choice": "approve", "digest": r.digest, "display": r.display, "reason": "fine", **changes}


@pytest.mark.parametrize("path", PAGES)
def test_every_page_carries_the_strict_headers(dana: Client, path: str) -> None:
    headers = dana.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_has_inline_script_style_or_foreign_address(dana: Client, path: str) -> None:
    text = dana.get(path).text
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', text)


def test_a_decision_from_the_page_is_recorded(web: MemoryWeb, dana: Client) -> None:
    answer = dana.post("/requests/r_00001/decision", json=decision(web), headers=signed(web, dana))
    assert answer.status_code == 200
    entry = web.ledger.entry(answer.json()["entry"])
    assert entry is not None
    assert entry.type == "approval.given"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"X-Keyturn-CSRF": ""}, "web.csrf"),
        ({"X-Keyturn-CSRF": "another session's"}, "web.csrf"),
        ({"X-Keyturn-CSRF": "ü"}, "web.csrf"),
        ({"origin": "https://evil.example"}, "web.origin"),
        ({"origin": "http://127.0.0.1:9999"}, "web.origin"),
        ({"origin": "null"}, "web.origin"),
        ({"origin": ""}, "web.origin"),
        ({"content-type": "text/plain"}, "web.not_json"),
        ({"content-type": "application/x-www-form-urlencoded"}, "web.not_json"),
    ],
)
def test_a_write_that_is_not_from_our_page_changes_nothing(
    web: MemoryWeb, dana: Client, changed: dict[str, str], code: str
) -> None:
    headers = {**signed(web, dana), **changed}
    size = web.ledger.size
    encoded = {k: v.encode() for k, v in headers.items()}
    answer = dana.post("/requests/r_00001/decision", json=decision(web), headers=encoded)  # type: ignore[arg-type]
    assert answer.json()["error"]["code"] == code
    assert web.ledger.size == size
    assert web.service.decisions == 0


def test_without_a_session_nothing_is_shown_and_nothing_decided(web: MemoryWeb, client: Client) -> None:
    for path in (
        "/",
        "/requests/r_00001",
        "/requests/r_00001/raw",
        "/fragments/row/r_00001",
        "/events",
        "/ledger/1/proof",
    ):
        answer = client.get(path, headers={"accept": "application/json"})
        assert answer.status_code == 401, path
        assert "rm -rf" not in answer.text
    headers = {"origin": HERE, "X-Keyturn-CSRF": "guess", "cookie": f"keyturn_8765={cookie_of('guess')}"}
    assert client.post("/requests/r_00001/decision", json=decision(web), headers=headers).status_code == 401
    assert web.service.decisions == 0


def test_a_program_that_was_sent_the_cookie_can_not_decide_with_it(web: MemoryWeb, dana: Client) -> None:
    """A development server on another port of this host gets the cookie of whoever opens its page (RFC 6265 §8.5)."""
    stolen = dana.cookies[cookie_name("127.0.0.1:8765")]
    pages = [dana.get(path).text for path in PAGES]
    assert not any(web.keys[stolen] in page for page in pages), "no page that the cookie opens holds the key"
    for guess in (stolen, cookie_of(stolen), "", stolen.removeprefix("kts_")):
        headers = {"origin": HERE, "X-Keyturn-CSRF": guess}
        answer = dana.post("/requests/r_00001/decision", json=decision(web), headers=headers)
        assert answer.json()["error"]["code"] == "web.csrf"
    assert web.service.decisions == 0
    answer = dana.post("/requests/r_00001/decision", json=decision(web), headers=signed(web, dana))
    assert answer.status_code == 200, "negative control: the page itself decides"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8765", "", "10.0.0.5:8765"]
)
def test_another_host_name_is_refused_before_any_page(dana: Client, host: str) -> None:
    answer = dana.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "rm -rf" not in answer.text
    assert answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:80", "127.0.0.1:1", "127.9.9.9", "[::1]:8765", "[::1]"]
)
def test_loopback_names_are_ours(host: str) -> None:
    assert own_host(host, ())


def test_a_configured_host_is_ours() -> None:
    web = MemoryWeb(hosts=("Keyturn.corp.example",))
    with TestClient(app(web), base_url="http://keyturn.corp.example") as client:
        assert client.get("/login").status_code == 200
        assert client.get("/login", headers={"host": "other.corp.example"}).status_code == 421


def test_opening_a_login_link_uses_nothing_up(web: MemoryWeb, client: Client) -> None:
    code = web.code("dana")
    for _ in range(3):
        assert client.get(f"/login?code={code}").status_code == 200
    answer = client.post("/login", json={"code": code}, headers={"origin": HERE})
    key = web.keys[client.cookies[cookie_name("127.0.0.1:8765")]]
    assert answer.json() == {"person": "dana", "key": key, "next": "/"}
    again = client.post("/login", json={"code": code}, headers={"origin": HERE})
    assert again.status_code == 409


def test_a_browser_is_told_apart_by_a_cookie_that_stays_and_opens_nothing(
    client: TestClient[Any], web: MemoryWeb
) -> None:
    def sign_in() -> list[str]:
        answer = client.post("/login", json={"code": web.code("dana")}, headers={"origin": HERE})
        return [one for one in answer.headers.get_list("set-cookie") if "_device=" in one]

    (first,) = sign_in()
    assert "HttpOnly" in first
    assert "SameSite=strict" in first or "SameSite=Strict" in first
    assert sign_in() == []  # it has one
    name, _, value = first.partition(";")[0].partition("=")
    client.cookies.clear()
    client.cookies.set(name, value)
    assert client.get("/requests").status_code == 401


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(
    web: MemoryWeb, client: Client
) -> None:
    answer = client.post("/login", json={"code": web.code("dana")}, headers={"origin": HERE})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/" in cookie
    assert "; secure" not in cookie  # plain http on loopback; negative control of the next lines
    tls = client.post("/login", json={"code": web.code("dana")}, headers={"origin": "https://127.0.0.1:8765"})
    assert "; secure" in tls.headers["set-cookie"].lower()


def test_signing_out_ends_the_session(web: MemoryWeb, dana: Client) -> None:
    headers = signed(web, dana)
    cookie = {"cookie": f"keyturn_8765={dana.cookies['keyturn_8765']}"}
    assert dana.get("/", headers=cookie).status_code == 200
    assert dana.post("/logout", json={}, headers=headers).status_code == 200
    assert dana.get("/", headers=cookie).status_code == 401


def test_no_get_changes_state(web: MemoryWeb, dana: Client) -> None:
    """Every registered GET address is opened; the ledger, the requests, the sessions stay as they were."""
    before = (web.ledger.size, dict(web.service.views), dict(web.cookies), dict(web.codes))
    application = dana.app
    opened = 0
    for route in application.routes:
        methods = getattr(route, "methods", ())
        if "GET" not in methods or route.path == "/events":
            continue
        path = route.path_format
        for name, value in (
            ("{request_id}", "r_00001"), ("{ids}", "r_00001"), ("{index}", "1"), ("{session}", "s_1"),
            ("{digest}", ASSETS_DIGEST), ("{name}", "page.css"), ("{finding}", "f_1"), ("{agent}", "coder"), ("{id}", "v_1"),
            ("{target}", "prod"), ("{framework}", "soc2"), ("{control}", "CC8.1"), ("{pack}", "e_1"),
        ):  # fmt: skip
            path = path.replace(name, value)
        assert "{" not in path
        dana.get(path)
        opened += 1
    assert opened >= 12
    assert (web.ledger.size, dict(web.service.views), dict(web.cookies), dict(web.codes)) == before
    assert web.found.looks == [], "a finding that was fetched was not looked at"


def test_every_write_address_is_known_and_guarded(dana: Client) -> None:
    writes = {
        (route.path_format, method)
        for route in dana.app.routes
        for method in getattr(route, "methods", ())
        if method not in ("GET", "HEAD", "OPTIONS")
    }
    assert writes == {
        ("/evidence/packs", "POST"),
        ("/evidence/packs/{pack}/build", "POST"),
        ("/alike/decision", "POST"),
        ("/artefacts/{artefact}/gone", "POST"),
        ("/access/review", "POST"),
        ("/credentials/{credential}/revoke", "POST"),
        ("/findings/{finding}/viewed", "POST"),
        ("/findings/{finding}/{verb}", "POST"),
        ("/responses/{response}/lift", "POST"),
        ("/login", "POST"),
        ("/login/provider", "POST"),
        ("/login/provider/finish", "POST"),
        ("/login/provider/link", "POST"),
        ("/login/provider/prove", "POST"),
        ("/requests/{request_id}/decision/provider", "POST"),
        ("/login/provider/logout", "POST"),  # the provider calls it; what it may end says its signed token
        ("/logout", "POST"),
        ("/requests/{request_id}/always", "POST"),
        ("/requests/{request_id}/decision", "POST"),
        ("/requests/{request_id}/statement", "POST"),
        ("/requests/{request_id}/breakglass", "POST"),
        ("/requests/{request_id}/breakglass/statement", "POST"),
        ("/breakglass/{glass}/review", "POST"),
        ("/grants/{grant}/revoke", "POST"),
        ("/plans/{plan}/revoke", "POST"),
        ("/you/delegations", "POST"),
        ("/you/delegations/{delegation}/end", "POST"),
        ("/you/keys", "POST"),
        ("/you/told", "POST"),
        ("/you/browsers", "POST"),
        ("/you/browsers/{identity}/end", "POST"),
        ("/you/keys/options", "POST"),
        ("/you/keys/{key}/revoke", "POST"),
        ("/sessions/{session}/stop", "POST"),
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"choice":"approve"}',
        b'{"choice":"maybe","digest":"a","display":"b"}',
        b"\xff",
        b"null",
    ],
)
def test_malformed_bodies_are_answered_in_words(web: MemoryWeb, dana: Client, body: bytes) -> None:
    headers = {**signed(web, dana), "content-type": "application/json"}
    answer = dana.post("/requests/r_00001/decision", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "input.malformed"
    assert "Traceback" not in answer.text


def test_a_large_body_is_refused(web: MemoryWeb, dana: Client) -> None:
    answer = dana.post(
        "/requests/r_00001/decision", json=decision(web, reason="x" * 70_000), headers=signed(web, dana)
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "input.too_large"


def test_an_unrecorded_decision_says_so(web: MemoryWeb, dana: Client) -> None:
    web.service.fail_next = True
    answer = dana.post("/requests/r_00001/decision", json=decision(web), headers=signed(web, dana))
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert "Nothing was recorded" in error["not_done"]
    assert "disk full" not in answer.text


def test_a_decision_over_other_digests_is_not_taken(web: MemoryWeb, dana: Client) -> None:
    for changed in ({"digest": "sha256:00"}, {"display": "sha256:00"}):
        answer = dana.post(
            "/requests/r_00001/decision", json=decision(web, **changed), headers=signed(web, dana)
        )
        assert answer.status_code == 409
    assert web.service.views["r_00001"].state == "waiting"


@pytest.mark.parametrize(
    "path",
    ["/nowhere", "/requests/a/b/c", "/ledger/-1", "/ledger/x", "/requests?state=odd", "/assets/0/page.css"],
)
def test_unknown_addresses_get_words(dana: Client, path: str) -> None:
    answer = dana.get(path)
    assert answer.status_code in (400, 404)
    assert "<h1>" in answer.text
    script = dana.get(path, headers={"accept": "application/json"})
    assert script.json()["error"]["next"]


def test_the_wrong_method_gets_words(dana: Client) -> None:
    answer = dana.get("/logout", headers={"accept": "application/json"})
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "web.method"


def test_assets_are_cached_for_ever_and_pages_never(dana: Client) -> None:
    for name in ASSETS:
        answer = dana.get(f"/assets/{ASSETS_DIGEST}/{name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-security-policy"]


def test_a_link_from_another_site_gets_one_more_step(client: Client) -> None:
    answer = client.get("/requests/r_00001", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 401
    assert "One more step" in answer.text
    direct = client.get("/requests/r_00001", headers={"sec-fetch-site": "none"})
    assert "One more step" not in direct.text
