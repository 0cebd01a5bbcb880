"""SCIM: an independent client's conformance checks, and what provisioning means for who may approve."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from people_provider import Browser, House, house
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from keyturn.approvals.errors import ApproverNotMember, ApproverRemoved
from keyturn.channels.scim import application
from keyturn.errors import KeyturnError
from keyturn.identity import tokens
from keyturn.service import people, scim
from keyturn.service.people_settings import ScimSettings
from keyturn.service.projections import fold

ISSUER = "https://id.example"


class Client:
    """The provider's side."""

    def __init__(self, keyturn: House, token: str) -> None:
        self.http = httpx2.Client(
            base_url=f"{keyturn.url}/scim/v2", headers={"authorization": f"Bearer {token}"}, timeout=120
        )

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        given = {"content-type": "application/scim+json", **headers}
        return self.http.request(
            method, f"{self.http.base_url}{path}".replace("v2//", "v2/"), json=body, headers=given
        )

    def user(self, name: str, **more: Any) -> dict[str, Any]:
        body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, **more}
        answer = self.call("POST", "/Users", body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def group(self, name: str, *members: str) -> dict[str, Any]:
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name,
            "members": [{"value": member} for member in members],
        }  # fmt: skip
        answer = self.call("POST", "/Groups", body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def patch(self, path: str, *operations: dict[str, Any]) -> httpx2.Response:
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}
        return self.call("PATCH", path, body)


@pytest.fixture
def keyturn(tmp_path: Path) -> Iterator[House]:
    settings = ScimSettings(issuer=ISSUER, groups={"Reviewers": "reviewers", "DBA": "dba"})
    with house(tmp_path, ISSUER, scim=settings) as opened:
        yield opened


@pytest.fixture
def client(keyturn: House) -> Client:
    dana = keyturn.service.core.roster.people["dana"]
    made = keyturn.do(scim.issue_token(keyturn.service.core, dana))
    assert made.request is None
    assert keyturn.entries("scim.token")[-1].fields["alone"] is True
    return Client(keyturn, made.token)


def roster(keyturn: House) -> dict[str, Any]:
    return dict(keyturn.service.core.roster.people)


async def decide(keyturn: House, view: Any, who: str) -> Any:
    person = keyturn.service.core.roster.people[who]
    return await keyturn.service.decide(
        view.id, person, "approve", reason="", digest=view.digest, display=view.display, channel="test"
    )


def test_an_independent_client_finds_nothing_wrong(keyturn: House, client: Client) -> None:
    results = check_server(SyncSCIMClient(client.http))
    wrong = [f"{r.title}: {r.reason}" for r in results if r.status in (Status.ERROR, Status.CRITICAL)]
    assert wrong == []
    assert len([r for r in results if r.status == Status.SUCCESS]) > 40


def test_a_person_removed_at_the_provider_can_not_approve_a_moment_later(
    keyturn: House, client: Client
) -> None:
    user = client.user("Riley@example.test", externalId="u-1", displayName="Riley", active=True)
    client.group("Reviewers", user["id"])
    riley = roster(keyturn)["riley"]
    assert (riley.groups, riley.accounts, riley.name) == (("reviewers",), (f"{ISSUER}|u-1",), "Riley")
    view, other = keyturn.hold("rm -r build"), keyturn.hold("rm -r dist")
    assert keyturn.do(decide(keyturn, view, "riley")).state == "approved"  # negative control

    async def sign_in() -> str:
        return tokens.cookie_of(
            await keyturn.service.logins.redeem(keyturn.service.logins.link_code("riley"))
        )

    token = keyturn.do(people.new_token(keyturn.service.core, "riley", by="riley"))
    cookie = keyturn.do(sign_in())
    assert keyturn.service.logins.person(cookie) is not None
    # As Entra ID writes it, and as others do.
    done = client.patch(f"/Users/{user['id']}", {"op": "Replace", "path": "active", "value": False})
    assert (done.status_code, done.json()["active"]) == (200, False)
    assert keyturn.service.logins.person(cookie) is None
    assert people.by_token(keyturn.service.core, token) is None
    with pytest.raises(ApproverRemoved):
        keyturn.do(decide(keyturn, other, "riley"))
    assert keyturn.do(keyturn.service.request(other.id)).stages[0].who == ()
    # Back again: on the roster, without the old token and the old session.
    client.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": True}})
    assert not roster(keyturn)["riley"].removed
    assert keyturn.service.logins.person(cookie) is None
    assert people.by_token(keyturn.service.core, token) is None
    assert keyturn.do(decide(keyturn, other, "riley")).state == "approved"
    kinds = [e.type for e in keyturn.entries() if e.type.startswith(("person.", "scim."))]
    assert kinds.count("person.removed") == kinds.count("person.restored") == 1


@pytest.mark.parametrize("more", [{"roles": ["member", "admin"]}, {"groups": ["policy"]}])
def test_the_client_gives_nobody_an_account_who_has_more_than_it_can_give(
    keyturn: House, client: Client, more: dict[str, Any]
) -> None:
    """Else whoever has the client's token would sign in as an administrator, under an account of their own."""
    user = client.user("riley", externalId="u-1")
    keyturn.do(people.change(keyturn.service.core, "riley", more, by="dana"))
    other = {"op": "replace", "value": {"externalId": "u-mallory"}}
    assert client.patch(f"/Users/{user['id']}", other).status_code == 400
    assert roster(keyturn)["riley"].accounts == (f"{ISSUER}|u-1",)
    # Negative control: of somebody who has only what it gives, the account is the client's to change.
    sam = client.user("sam", externalId="u-2")
    client.group("Reviewers", sam["id"])
    assert client.patch(f"/Users/{sam['id']}", {**other, "value": {"externalId": "u-3"}}).status_code == 200
    assert roster(keyturn)["sam"].accounts == (f"{ISSUER}|u-3",)


def test_whom_an_administrator_removed_does_not_come_back_with_the_next_change(
    keyturn: House, client: Client
) -> None:
    user = client.user("riley", externalId="u-1", active=True)
    client.group("Reviewers", user["id"])
    keyturn.do(people.remove(keyturn.service.core, "riley", by="dana"))
    renamed = {"op": "replace", "value": {"displayName": "Riley R.", "active": True}}
    assert client.patch(f"/Users/{user['id']}", renamed).status_code in (200, 204)
    body = {**user, "externalId": "u-1", "displayName": "Riley"}
    assert client.call("PUT", f"/Users/{user['id']}", body).status_code == 200
    assert roster(keyturn)["riley"].removed
    # Negative control: who is set inactive there, and active again, is back.
    for active in (False, True):
        client.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": active}})
    assert not roster(keyturn)["riley"].removed


def test_deleting_a_user_removes_the_person_and_who_comes_back_is_the_same_human(
    keyturn: House, client: Client
) -> None:
    user = client.user("riley", externalId="u-1")
    assert client.call("DELETE", f"/Users/{user['id']}").status_code == 204
    assert client.call("GET", f"/Users/{user['id']}").status_code == 404
    assert roster(keyturn)["riley"].removed
    again = client.user("riley.moss", externalId="u-1")
    assert again["id"] != user["id"]
    assert not roster(keyturn)["riley"].removed  # the account says who it is, not the name
    assert "riley.moss" not in roster(keyturn)


def test_a_user_does_not_become_somebody_by_having_their_name(keyturn: House, client: Client) -> None:
    """Dana is an administrator here. A user called dana with another account is somebody else."""
    client.user("dana@example.test", externalId="u-9")
    assert roster(keyturn)["dana"].accounts == ()
    assert (roster(keyturn)["dana-2"].roles, roster(keyturn)["dana-2"].groups) == (("member",), ())
    keyturn.link("dana", f"{ISSUER}|u-dana")
    client.user("someone", externalId="u-dana")  # negative control: the account does make it her
    assert "someone" not in roster(keyturn)


def test_only_named_groups_count_and_none_gives_a_role(keyturn: House, client: Client) -> None:
    user = client.user("riley", externalId="u-1")
    for name in ("admins", "policy", "reviewers", "DBA"):
        client.group(name, user["id"])
    riley = roster(keyturn)["riley"]
    assert (riley.groups, riley.roles) == (("dba",), ("member",))


def test_membership_comes_and_goes_in_every_way_of_saying_it(keyturn: House, client: Client) -> None:
    one, two = client.user("riley", externalId="u-1"), client.user("sam", externalId="u-2")
    group = client.group("DBA", one["id"])
    path = f"/Groups/{group['id']}"

    def members() -> list[str]:
        return sorted(p.id for p in roster(keyturn).values() if "dba" in p.groups and not p.removed)

    assert members() == ["riley"]
    client.patch(path, {"op": "add", "path": "members", "value": [{"value": two["id"]}]})
    assert members() == ["riley", "sam"]
    client.patch(path, {"op": "remove", "path": f'members[value eq "{one["id"]}"]'})
    assert members() == ["sam"]
    client.patch(path, {"op": "Remove", "path": "members"})
    assert members() == []
    body = {**group, "members": [{"value": one["id"]}]}
    assert client.call("PUT", path, body).status_code == 200
    assert members() == ["riley"]
    client.patch(path, {"op": "replace", "value": {"displayName": "Others"}})
    assert members() == []
    client.patch(path, {"op": "replace", "value": {"displayName": "DBA"}})
    assert members() == ["riley"]
    assert client.call("DELETE", f"/Users/{one['id']}").status_code == 204
    assert client.call("GET", path).json().get("members") in (None, [])
    client.patch(path, {"op": "add", "path": "members", "value": [{"value": two["id"]}]})
    assert client.call("DELETE", path).status_code == 204
    assert members() == []


def test_a_group_emptied_while_a_request_waits_leaves_nobody_who_may_decide(
    keyturn: House, client: Client
) -> None:
    user = client.user("riley", externalId="u-1")
    group = client.group("Reviewers", user["id"])
    view = keyturn.hold()
    client.patch(f"/Groups/{group['id']}", {"op": "remove", "path": "members"})
    with pytest.raises(ApproverNotMember):
        keyturn.do(decide(keyturn, view, "riley"))
    client.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": [{"value": user["id"]}]})
    assert keyturn.do(decide(keyturn, view, "riley")).state == "approved"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('userName eq "RILEY"', ["riley"]),
        ('externalId eq "u-2"', ["sam"]),
        ("active eq false", ["kim"]),
        ('userName sw "s" or displayName co "Moss"', ["riley", "sam"]),
        ("not (active eq true)", ["kim"]),
        ('userName eq "nobody"', []),
    ],
)
def test_filters_find_what_they_say(keyturn: House, client: Client, query: str, names: list[str]) -> None:
    client.user("riley", externalId="u-1", displayName="Riley Moss", active=True)
    client.user("sam", externalId="u-2", active=True)
    client.user("kim", externalId="u-3", active=False)
    found = client.http.get("/Users", params={"filter": query}).json()
    assert sorted(one["userName"] for one in found["Resources"]) == names
    page = client.http.get("/Users", params={"startIndex": 2, "count": 1, "sortBy": "userName"}).json()
    assert (page["totalResults"], page["itemsPerPage"], page["Resources"][0]["userName"]) == (3, 1, "riley")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/Users?filter=userName%20xx%20%22a%22", None, 400),
        ("GET", "/Users?filter=shoeSize%20eq%204", None, 400),
        ("GET", "/Users/u_none", None, 404),
        ("PUT", "/Users/u_none", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "x"}, 404),
        ("DELETE", "/Groups/g_none", None, 404),
        ("POST", "/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]}, 400),
        ("POST", "/Users", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "x" * 300}, 400),
        ("POST", "/Users", [], 400),
        ("POST", "/Groups", {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "G",
                             "members": [{"value": "u_none"}]}, 400),
        ("POST", "/Bulk", {}, 404),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_scims_words(
    keyturn: House, client: Client, method: str, path: str, body: Any, status: int
) -> None:
    size = keyturn.service.core.ledger.size
    answer = client.call(method, path, body)
    assert answer.status_code == status, answer.text
    assert "Traceback" not in answer.text
    assert keyturn.service.core.ledger.size == size


def test_a_write_of_an_old_version_is_refused(keyturn: House, client: Client) -> None:
    user = client.user("riley")
    old = user["meta"]["version"]
    assert (
        client.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"displayName": "R"}}).status_code
        == 200
    )
    body = {**user, "displayName": "S"}
    assert client.call("PUT", f"/Users/{user['id']}", body, **{"if-match": old}).status_code == 412
    new = client.call("GET", f"/Users/{user['id']}").headers["etag"]
    assert client.call("PUT", f"/Users/{user['id']}", body, **{"if-match": new}).status_code == 200


def test_the_same_name_twice_is_a_conflict(keyturn: House, client: Client) -> None:
    client.user("riley")
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "RILEY"}
    answer = client.call("POST", "/Users", body)
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")


def test_nobody_but_the_client_gets_in_and_its_token_opens_nothing_else(
    keyturn: House, client: Client
) -> None:
    """Every SCIM address, with no token, a person's, and the client's old one."""
    person = keyturn.enrol("kim", groups=("reviewers",), roles=("member", "admin"))
    spec = (
        "/Users",
        "/Groups",
        "/Users/x",
        "/Groups/x",
        "/Users/.search",
        "/ServiceProviderConfig",
        "/Schemas",
        "/ResourceTypes",
    )
    for token in ("none", person, "ktd_" + "A" * 43):
        other = Client(keyturn, token)
        for path in spec:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                assert other.call(method, path, {}).status_code in (401, 403, 405, 429), (method, path)
    mine = client.http.headers["authorization"]
    for path in ("/v1/me", "/v1/people", "/v1/requests"):
        assert httpx2.get(keyturn.url + path, headers={"authorization": mine}).status_code in (401, 403, 429)


def test_every_write_leaves_an_entry_and_reading_leaves_none(keyturn: House, client: Client) -> None:
    user, group = client.user("riley"), client.group("G")
    writes = {
        (method, route.path.replace("{id:str}", "{id}"))
        for route in application(keyturn.service, 1 << 20).routes
        for method in route.methods
        if method not in ("GET", "HEAD", "OPTIONS")
        and "{rest" not in route.path  # that one refuses everything
    }
    kinds = {"Users": user, "Groups": group}
    assert writes - {("POST", "/scim/v2/.search")} == {
        (method, f"/scim/v2/{kind}{rest}")
        for kind in kinds
        for method, rest in (
            ("POST", ""),
            ("POST", "/.search"),
            ("PUT", "/{id}"),
            ("PATCH", "/{id}"),
            ("DELETE", "/{id}"),
        )
    }
    for kind, made in kinds.items():
        size = keyturn.service.core.ledger.size
        for path in (
            f"/{kind}",
            f"/{kind}/{made['id']}",
            "/Schemas",
            "/ResourceTypes",
            "/ServiceProviderConfig",
        ):
            assert client.call("GET", path).status_code == 200
        client.call(
            "POST", f"/{kind}/.search", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}
        )
        assert keyturn.service.core.ledger.size == size
        name = "userName" if kind == "Users" else "displayName"
        changed = {"op": "replace", "value": {name: f"{made[name]}x"}}
        path = f"/{kind}/{made['id']}"
        for method, body in (("PUT", made), ("PATCH", changed), ("DELETE", None)):
            done = client.patch(path, changed) if method == "PATCH" else client.call(method, path, body)
            assert done.status_code in (200, 204), done.text
            assert keyturn.service.core.ledger.size > size
            size = keyturn.service.core.ledger.size


def test_the_clients_token_is_power_and_takes_two_administrators(keyturn: House) -> None:
    keyturn.enrol("alex", roles=("member", "admin"))
    core = keyturn.service.core
    made = keyturn.do(scim.issue_token(core, core.roster.people["dana"]))
    assert made.request is not None
    assert Client(keyturn, made.token).call("GET", "/Users").status_code == 401
    with pytest.raises(KeyturnError):
        keyturn.do(decide(keyturn, made.request, "dana"))
    assert keyturn.do(decide(keyturn, made.request, "alex")).state == "approved"
    assert Client(keyturn, made.token).call("GET", "/Users").status_code == 200
    keyturn.do(scim.revoke_token(core, core.roster.people["dana"]))
    assert Client(keyturn, made.token).call("GET", "/Users").status_code == 401


def test_rebuilding_from_the_log_gives_the_same_rows(keyturn: House, client: Client) -> None:
    user = client.user("riley", externalId="u-1")
    group = client.group("DBA", user["id"])
    client.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": False}})
    client.patch(f"/Groups/{group['id']}", {"op": "replace", "value": {"displayName": "Reviewers"}})
    client.call("DELETE", f"/Users/{user['id']}")

    class Rows(dict[Any, Any]):
        def row(self, kind: str, key: str) -> Any:
            return self.get((kind, key))

    rows = Rows()
    for entry in keyturn.service.core.ledger.entries():
        for made in fold(entry, rows):
            rows[made.kind, made.key] = made.body
    ours = {k: v for k, v in rows.items() if k[0].startswith(("scim", "person")) and v is not None}
    for (kind, key), body in ours.items():
        assert keyturn.service.core.ledger.row(kind, key) == body, (kind, key)
    assert Browser(keyturn.url).get("/login").status_code == 200


def test_who_has_no_scim_client_pays_nothing_for_it(keyturn: House) -> None:
    """The library is loaded for the first request after a client got its token, not before; strangers don't have it loaded."""
    program = "import sys, keyturn.app, keyturn.server; print('scim2_models' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"False\n"
    )
    stranger = Client(keyturn, "ktd_" + "A" * 43)
    answer = stranger.call("GET", "/Users")
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/scim+json")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "No SCIM client has a token here." in answer.json()["detail"]
    # The negative control: with a client there is an answer.
    dana = keyturn.service.core.roster.people["dana"]
    token = keyturn.do(scim.issue_token(keyturn.service.core, dana))
    assert Client(keyturn, token.token).call("GET", "/Users").status_code == 200
