"""Decisions of level `idp`: the provider's fresh word over this very statement, or nothing is recorded."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from people_hostile import HostileProvider
from people_provider import Browser, House, RealProvider, code_of, house

from keyturn import policy as policies
from keyturn.approvals.errors import AssuranceTooLow
from keyturn.approvals.proof import IdpProof
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.approvals.statement import make_statement, statement_bytes
from keyturn.service import people

RULE = """
@id("idp-removals")
@hold
@approve("1 of reviewers")
@assurance("idp")
@within("30m")
@because("Removing needs the provider's word.")
permit(principal, action, resource)
when { context.program == "rm" };
"""


def idp_policy() -> dict[str, bytes]:
    return {**policies.read_folder(policies.STARTER), "rules/idp.cedar": RULE.encode()}


@pytest.fixture
def keyturn(tmp_path: Path, provider: RealProvider) -> Iterator[House]:
    with house(tmp_path, provider.issuer, policy=idp_policy()) as opened:
        opened.enrol("riley", f"{provider.issuer}|u-riley", groups=("reviewers",))
        yield opened


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[HostileProvider]:
    provider = HostileProvider()
    yield provider
    provider.stop()


def wanted(view: Any, choice: str = "approve", **changes: Any) -> dict[str, Any]:
    return {
        "choice": choice,
        "digest": view.digest,
        "display": view.display,
        "reason": "looked at it",
        **changes,
    }


def riley(keyturn: House) -> Browser:
    browser = Browser(keyturn.url)
    assert browser.sign_in("u-riley").status_code == 200
    return browser


def decide(keyturn: House, browser: Browser, view: Any, login: str = "u-riley", **changes: Any) -> Any:
    """On the request's page, to the provider, and back."""
    begun = browser.post(f"/requests/{view.id}/decision/provider", wanted(view, **changes))
    if begun.status_code != 200:
        return begun
    return browser.finish(begun.json(), browser.at_provider(begun.json()["location"], login))


@pytest.mark.provider
def test_the_providers_word_completes_a_decision_and_can_be_checked_years_later(
    keyturn: House, provider: RealProvider
) -> None:
    view = keyturn.hold()
    browser = riley(keyturn)
    click = browser.post(f"/requests/{view.id}/decision", wanted(view))
    assert code_of(click) == AssuranceTooLow.code  # negative control: without the provider it is not enough
    # With all that the page sends of how the decision was made.
    answer = decide(keyturn, browser, view, ticket="", typed="", dwell_ms=4321, opened=[])
    assert answer.status_code == 200, answer.text
    assert (answer.status_code, answer.json()["next"]) == (200, f"/requests/{view.id}#outcome")
    (given,) = [e.fields for e in keyturn.entries("approval.given")]
    assert (given["assurance"], given["person"], given["reason"]) == ("idp", "riley", "looked at it")
    assert keyturn.do(keyturn.service.request(view.id)).state == "approved"
    core = keyturn.service.core
    proof = core.full(given["proof"])
    keys = [e.fields for e in keyturn.entries("provider.keys") if e.fields["digest"] == proof["keys"]]
    verified_without_keyturns_code(proof["id_token"], core.full(keys[0]["jwks"]), given, core.origin)


def verified_without_keyturns_code(token: str, jwks: dict[str, Any], given: dict[str, Any], log: str) -> None:
    """What an outside verifier does: RSA signature, then the nonce against the statement made anew from the entry."""
    head, body, signature = token.split(".")

    def raw(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    key = next(k for k in jwks["keys"] if k["kid"] == json.loads(raw(head))["kid"])
    numbers = rsa.RSAPublicNumbers(int.from_bytes(raw(key["e"])), int.from_bytes(raw(key["n"])))
    numbers.public_key().verify(
        raw(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
    )
    statement = make_statement(
        log=log, request=given["request"], digest=given["digest"], display=given["display"], decision=given["choice"],
        person=given["person"], reason=given["reason"], policy=given["policy"], nonce=given["nonce"], grant=given["grant"],
        ticket=given.get("ticket", ""),
    )  # fmt: skip
    digest = hashlib.sha256(statement_bytes(statement)).digest()
    assert json.loads(raw(body))["nonce"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.mark.provider
def test_somebody_elses_account_at_the_provider_is_no_word_of_mine(keyturn: House) -> None:
    view = keyturn.hold()
    browser = riley(keyturn)
    other = Browser(keyturn.url)
    begun = browser.post(f"/requests/{view.id}/decision/provider", wanted(view)).json()
    refused = browser.finish(begun, other.at_provider(begun["location"], "u-dana"))
    assert (refused.status_code, code_of(refused)) == (403, "account.of_another")
    assert keyturn.entries("approval.given") == []
    assert decide(keyturn, browser, view).status_code == 200


@pytest.mark.provider
def test_another_session_can_not_bring_my_decision_home(keyturn: House) -> None:
    view = keyturn.hold()
    browser, thief = riley(keyturn), Browser(keyturn.url)
    begun = browser.post(f"/requests/{view.id}/decision/provider", wanted(view)).json()
    given = browser.at_provider(begun["location"], "u-riley")
    assert code_of(thief.finish(begun, given)) == "provider.flow"
    assert keyturn.entries("approval.given") == []


@pytest.mark.provider
def test_who_was_removed_on_the_way_decides_nothing(keyturn: House) -> None:
    view = keyturn.hold()
    browser = riley(keyturn)
    begun = browser.post(f"/requests/{view.id}/decision/provider", wanted(view)).json()
    given = browser.at_provider(begun["location"], "u-riley")
    keyturn.do(people.remove(keyturn.service.core, "riley", by="dana"))
    assert code_of(browser.finish(begun, given)) == "provider.flow"
    assert keyturn.entries("approval.given") == []


@pytest.mark.provider
def test_who_asked_is_not_even_sent_to_the_provider(keyturn: House, provider: RealProvider) -> None:
    keyturn.link("dana", f"{provider.issuer}|u-dana")
    view = keyturn.hold()
    browser = Browser(keyturn.url)
    assert browser.sign_in("u-dana").status_code == 200
    assert code_of(decide(keyturn, browser, view, "u-dana")) == "approver.initiator"


@pytest.mark.provider
def test_while_the_provider_is_down_approvals_wait_and_denials_do_not(
    tmp_path: Path, own_provider: RealProvider
) -> None:
    own_provider.start()
    with house(tmp_path, own_provider.issuer, policy=idp_policy()) as keyturn:
        keyturn.enrol("riley", f"{own_provider.issuer}|u-riley", groups=("reviewers",))
        view = keyturn.hold()
        browser = riley(keyturn)
        begun = browser.post(f"/requests/{view.id}/decision/provider", wanted(view)).json()
        given = browser.at_provider(begun["location"], "u-riley")
        own_provider.stop()
        size = keyturn.service.core.ledger.size
        waits = browser.finish(begun, given)
        assert (waits.status_code, code_of(waits)) == (503, "provider.down")
        assert keyturn.service.core.ledger.size == size
        assert keyturn.do(keyturn.service.request(view.id)).state == "waiting"
        denied = browser.post(f"/requests/{view.id}/decision", wanted(view, "deny"))
        assert denied.status_code == 200
        assert keyturn.do(keyturn.service.request(view.id)).state == "denied"


@pytest.mark.provider
def test_the_configured_context_is_demanded_of_a_decision(tmp_path: Path, provider: RealProvider) -> None:
    settings = {"policy": idp_policy(), "decision_acr": ("urn:test:hardware",)}
    with house(tmp_path, provider.issuer, **settings) as keyturn:
        keyturn.enrol("riley", f"{provider.issuer}|u-riley", groups=("reviewers",))
        keyturn.enrol("sam", f"{provider.issuer}|u-dana", groups=("reviewers",))
        view = keyturn.hold()
        sam = Browser(keyturn.url)
        assert sam.sign_in("u-dana").status_code == 200  # a password is enough to sign in
        refused = decide(keyturn, sam, view, "u-dana")
        assert (code_of(refused), refused.json()["error"]["details"]["why"]) == ("provider.token", "acr")
        assert decide(keyturn, riley(keyturn), view).status_code == 200


def signed_in(keyturn: House, hostile: HostileProvider) -> Browser:
    browser = Browser(keyturn.url)
    hostile.claims = {"sub": "u-riley"}
    begun = browser.begin()
    hostile.nonce = parse_qs(urlsplit(begun["location"]).query)["nonce"][0]
    assert browser.finish(begun, {"state": begun["state"], "code": "c"}).status_code == 200
    return browser


STALE: dict[str, tuple[dict[str, Any], str]] = {
    "signed in there an hour ago": ({"auth_time": -3600}, "stale"),
    "does not say when": ({"auth_time": None}, "auth_time"),
    "signed in there tomorrow": ({"auth_time": 86_400}, "stale"),
    "a nonce of something else": ({"nonce": "x" * 43}, "nonce"),
}


@pytest.mark.parametrize("attack", STALE)
def test_a_word_that_is_not_fresh_or_not_over_this_is_none(
    tmp_path: Path, hostile: HostileProvider, attack: str
) -> None:
    with house(tmp_path, hostile.issuer, policy=idp_policy()) as keyturn:
        keyturn.enrol("riley", f"{hostile.issuer}|u-riley", groups=("reviewers",))
        browser, view = signed_in(keyturn, hostile), keyturn.hold()
        changes, why = STALE[attack]
        asked = {"sub": "u-riley", **changes}
        if isinstance(asked.get("auth_time"), int):
            asked["auth_time"] += int(time.time())
        for claims, expected in ((asked, (401, why)), ({"sub": "u-riley"}, (200, None))):
            begun = browser.post(f"/requests/{view.id}/decision/provider", wanted(view)).json()
            query = parse_qs(urlsplit(begun["location"]).query)
            assert (query["prompt"], query["max_age"]) == (["login"], ["0"])
            hostile.nonce, hostile.claims = query["nonce"][0], claims
            answer = browser.finish(begun, {"state": begun["state"], "code": "c"})
            got = answer.json()["error"]["details"]["why"] if answer.status_code != 200 else None
            assert (answer.status_code, got) == expected
        assert len(keyturn.entries("approval.given")) == 1


def test_a_word_over_one_decision_is_none_over_another(tmp_path: Path, hostile: HostileProvider) -> None:
    """The token of an approval, presented with other requests, reasons, people and key sets."""
    with house(tmp_path, hostile.issuer, policy=idp_policy()) as keyturn:
        for name in ("riley", "sam"):
            keyturn.enrol(name, f"{hostile.issuer}|u-{name}", groups=("reviewers",))
        signed_in(keyturn, hostile)
        first, second = keyturn.hold("rm -r build"), keyturn.hold("rm -r dist")
        service = keyturn.service
        person = service.core.roster.people["riley"]

        async def statement(view: Any, reason: str) -> Any:
            return await service.statement(
                view.id, person, "approve", reason=reason, digest=view.digest, display=view.display
            )

        made = keyturn.do(statement(first, "fine"))
        nonce = made.statement["nonce"]
        hostile.nonce = made.challenge
        hostile.claims = {"sub": "u-riley"}
        token = hostile.signed(hostile.made())
        keys = service.core.ledger.row("provider", hostile.issuer)["digest"]

        async def decide(
            view: Any, who: str = "riley", reason: str = "fine", keys: str = keys, nonce: str = nonce
        ) -> Any:
            return await service.decide(
                view.id, service.core.roster.people[who], "approve", reason=reason, digest=view.digest, display=view.display,
                channel="test", proof=IdpProof(token, keys), statement_nonce=nonce,
            )  # fmt: skip

        attacks: list[tuple[Any, str]] = [
            (decide(second), "nonce"),
            (decide(first, reason="other"), "nonce"),
            (decide(first, who="sam"), "nonce"),
            (decide(first, nonce="n_0000000000000000"), "nonce"),
            (decide(first, keys="sha256:" + "0" * 64), "keys"),
            (decide(first, keys=""), "keys"),
        ]
        for attempt, why in attacks:
            with pytest.raises(ProofRefused) as refused:
                keyturn.do(attempt)
            assert refused.value.details["why"] == why
        keyturn.link("riley", f"{hostile.issuer}|u-other")
        with pytest.raises(ProofRefused) as refused:
            keyturn.do(decide(first))
        assert refused.value.code == "proof.other_account"
        keyturn.link("riley", f"{hostile.issuer}|u-riley")
        assert keyturn.entries("approval.given") == []
        assert keyturn.do(decide(first)).approvals[0].assurance == "idp"  # negative control


def test_a_key_is_enrolled_with_the_providers_word_over_its_record(
    tmp_path: Path, hostile: HostileProvider
) -> None:
    from keyturn.identity.keys import to_b64
    from keyturn.service.keys import ENROLMENT_NAMESPACE, KeyUnwitnessed, SshOffer, record_bytes, ssh_record
    from soft_authenticator import SoftSshKey

    with house(tmp_path, hostile.issuer) as keyturn:
        keyturn.enrol("riley", f"{hostile.issuer}|u-riley")
        browser, service = signed_in(keyturn, hostile), keyturn.service
        person = service.core.roster.people["riley"]

        def offer(soft: Any) -> SshOffer:
            random = to_b64(bytes(32))
            record = ssh_record(service.core.origin, "riley", soft.line, random)
            return SshOffer(soft.line, random, soft.sign(record_bytes(record), ENROLMENT_NAMESPACE), "laptop")

        mine, swapped = offer(SoftSshKey()), offer(SoftSshKey())
        with pytest.raises(KeyUnwitnessed) as asked:
            keyturn.do(service.enrol_key(person, mine))
        commitment = asked.value.details["commitment"]
        begun = browser.post("/login/provider/prove", {"commitment": commitment, "next": "/you"}).json()
        assert parse_qs(urlsplit(begun["location"]).query)["nonce"] == [commitment]
        hostile.nonce = commitment
        done = browser.finish(begun, {"state": begun["state"], "code": "c"})
        assert done.json()["next"] == "/you"
        with pytest.raises(KeyUnwitnessed):  # the word is over the other key
            keyturn.do(service.enrol_key(person, swapped))
        view = keyturn.do(service.enrol_key(person, mine))
        assert view.content["key"]["provider"]["account"] == f"{hostile.issuer}|u-riley"
        assert view.state == "waiting"
        with pytest.raises(KeyUnwitnessed):  # and is used once
            keyturn.do(service.enrol_key(person, mine))
