"""Promise 8: what needs a signature is decided by the person's own key over this very statement, checked when it is recorded.

Each attack stands beside its legitimate twin.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from service_world import World
from signing_world import (
    UP,
    UV,
    SoftPasskey,
    SoftSshKey,
    Vendor,
    approvals,
    approve,
    ask,
    decide,
    enrol,
    person,
    sign,
    signed_policy,
)

from keyturn.approvals.errors import (
    AlreadyGiven,
    ApproverNotMember,
    ApproverRemoved,
    AssuranceTooLow,
    OtherBytes,
    ReasonMissing,
    RequestEnded,
)
from keyturn.approvals.proof import IdpProof
from keyturn.approvals.proof_errors import (
    KeyOfAnother,
    KeyRevoked,
    ProofBadSignature,
    ProofRefused,
    ProofReplayed,
)
from keyturn.approvals.statement import display_digest
from keyturn.canonical import digest
from keyturn.service import people
from keyturn.service.keyturn import Keyturn

KINDS: dict[str, Any] = {
    "passkey": lambda: SoftPasskey(rp_id="localhost"),
    "passkey, Ed25519": lambda: SoftPasskey("EdDSA", "localhost"),
    "passkey, RSA": lambda: SoftPasskey("RS256", "localhost"),
    "ssh": SoftSshKey,
    "ssh ecdsa": lambda: SoftSshKey("ecdsa-sha2-nistp256"),
    "ssh rsa": lambda: SoftSshKey("ssh-rsa"),
    "security key": lambda: SoftSshKey("sk-ssh-ed25519@openssh.com"),
    "security key, ecdsa": lambda: SoftSshKey("sk-ecdsa-sha2-nistp256@openssh.com"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_decides_and_the_entry_carries_all_to_check_it(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        soft = KINDS[kind]()
        key = await enrol(service, "riley", soft)
        request = await ask(world, service)
        given = await sign(service, request, "riley", soft)
        view = await decide(service, request, "riley", given)
        assert view.state == "approved"
        assert view.approvals[0].key == key
        level = "signed+hardware" if kind.startswith("security key") else "signed"
        assert view.approvals[0].assurance == level
        (entry,) = approvals(service, request)
        full = service.core.full
        assert full(entry["proof"])["type"] in ("passkey", "ssh")
        assert display_digest(full(entry["shown"])) == entry["display"]
        assert entry["key"] == key

    world.play(story)


def test_a_click_where_a_signature_is_needed_is_refused_in_words(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        request = await ask(world, service)
        view = await service.request(request, person(service, "riley"))
        with pytest.raises(AssuranceTooLow, match="signed"):
            await approve(service, view, "riley")
        assert (await service.request(request)).state == "waiting"
        denied = await service.decide(
            request,
            person(service, "riley"),
            "deny",
            reason="no",
            digest=view.digest,
            display=view.display,
            channel="t",
        )
        assert denied.state == "denied"  # stopping is never harder than letting go

    world.play(story)


def test_hardware_is_asked_for_and_only_hardware_gives_it(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy("signed+hardware"))

    async def story(service: Keyturn) -> None:
        vendor = Vendor()
        service.core.attestation_roots = (vendor.root,)
        plain, attested = SoftPasskey(rp_id="localhost"), SoftPasskey(rp_id="localhost")
        security = SoftSshKey("sk-ssh-ed25519@openssh.com")
        await enrol(service, "riley", plain)
        await enrol(service, "riley", attested, vendor=vendor)
        await enrol(service, "riley", security)
        first = await ask(world, service)
        for soft, how in ((plain, {}), (security, {"flags": UP})):
            with pytest.raises(AssuranceTooLow):
                await decide(service, first, "riley", await sign(service, first, "riley", soft, **how))
        assert (
            await decide(service, first, "riley", await sign(service, first, "riley", attested))
        ).state == "approved"
        second = await ask(world, service, "rm -r dist")
        assert (
            await decide(service, second, "riley", await sign(service, second, "riley", security))
        ).state == "approved"

    world.play(story)


def test_what_may_be_clicked_may_be_signed(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        await enrol(service, "riley", soft)
        request = await ask(world, service)
        denied = await decide(
            service, request, "riley", await sign(service, request, "riley", soft, "deny"), "deny"
        )
        assert (denied.state, denied.approvals[0].assurance) == ("denied", "signed")

    world.play(story)


def test_nothing_can_be_exchanged_between_signing_and_deciding(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        await enrol(service, "riley", soft)
        request = await ask(world, service)
        other = await ask(world, service, "rm -r dist")
        given = await sign(service, request, "riley", soft)
        for change in ({"reason": "something else"}, {"statement_nonce": "n_" + "0" * 30}):
            with pytest.raises(ProofBadSignature):
                await decide(service, request, "riley", {**given, **change})
        with pytest.raises(ProofBadSignature):  # a denial's signature is no approval's
            await decide(service, request, "riley", given, "deny")
        view = await service.request(other)
        with pytest.raises(ProofBadSignature):  # a signature for another request
            await decide(service, other, "riley", {**given, "digest": view.digest, "display": view.display})
        with pytest.raises(OtherBytes):
            await decide(service, request, "riley", {**given, "display": view.display})
        with pytest.raises(ProofRefused):
            await decide(service, request, "riley", {**given, "statement_nonce": "short"})
        assert (await service.request(request)).state == "waiting"
        assert (await decide(service, request, "riley", given)).state == "approved"

    world.play(story)


def test_a_signature_of_somebody_else_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        mine, theirs = SoftSshKey(), SoftSshKey()
        await enrol(service, "riley", mine)
        await enrol(service, "sam", theirs)
        request = await ask(world, service)
        given = await sign(service, request, "sam", theirs)
        with pytest.raises(KeyOfAnother):
            await decide(service, request, "riley", given)
        forged = replace(given["proof"], key=(await sign(service, request, "riley", mine))["proof"].key)
        with pytest.raises(ProofRefused):
            await decide(service, request, "riley", {**given, "proof": forged})
        with pytest.raises(ProofRefused, match="identity provider"):
            await decide(service, request, "riley", {**given, "proof": IdpProof("a.b.c")})
        assert (await decide(service, request, "sam", given)).state == "approved"

    world.play(story)


def test_a_second_submission_of_one_signature_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy(people=2))

    async def story(service: Keyturn) -> None:
        soft, other = SoftSshKey(), SoftSshKey()
        await enrol(service, "riley", soft)
        await enrol(service, "sam", other)
        request = await ask(world, service)
        given = await sign(service, request, "riley", soft)
        both = await asyncio.gather(
            decide(service, request, "riley", given),
            decide(service, request, "riley", given),
            return_exceptions=True,
        )
        refused = [one for one in both if isinstance(one, BaseException)]
        assert [type(one) for one in refused] == [ProofReplayed]
        with pytest.raises(AlreadyGiven):  # nor does a fresh signature of the same person count again
            await sign(service, request, "riley", soft)
        last = await sign(service, request, "sam", other)
        assert (await decide(service, request, "sam", last)).state == "approved"
        for again in (given, last):
            with pytest.raises(RequestEnded):
                await decide(service, request, "riley", again)
        assert len(approvals(service, request)) == 2

    world.play(story)


def test_a_key_revoked_between_statement_and_decision_signs_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        soft, spare = SoftSshKey(), SoftSshKey()
        key = await enrol(service, "riley", soft)
        await enrol(service, "riley", spare)
        request = await ask(world, service)
        given = await sign(service, request, "riley", soft)
        await service.revoke_key(key, person(service, "riley"), "stolen")
        with pytest.raises(KeyRevoked):
            await decide(service, request, "riley", given)
        twin = await sign(service, request, "riley", spare)
        assert (await decide(service, request, "riley", twin)).state == "approved"

    world.play(story)


def test_a_revocation_takes_back_what_waits_but_not_what_was_decided(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy(people=2))

    async def story(service: Keyturn) -> None:
        soft, spare, other = SoftSshKey(), SoftSshKey(), SoftSshKey()
        key = await enrol(service, "riley", soft)
        await enrol(service, "riley", spare)
        await enrol(service, "sam", other)
        decided, waits = await ask(world, service), await ask(world, service, "rm -r dist")
        for request in (decided, waits):
            await decide(service, request, "riley", await sign(service, request, "riley", soft))
        await decide(service, decided, "sam", await sign(service, decided, "sam", other))
        await service.revoke_key(key, person(service, "riley"), "stolen")

        assert (await service.request(decided)).state == "approved"
        view = await service.request(waits)
        assert view.stages[0].have == 0
        assert "revoked" in view.approvals[0].void
        after = await decide(service, waits, "sam", await sign(service, waits, "sam", other))
        assert after.state == "waiting"  # with the void signature it would be approved
        again = await decide(service, waits, "riley", await sign(service, waits, "riley", spare))
        assert again.state == "approved"
        assert service.core.ledger.rebuild(check=True).identical

    world.play(story)


def test_somebody_removed_or_out_of_the_group_signs_in_vain(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        soft, other = SoftSshKey(), SoftSshKey()
        await enrol(service, "riley", soft)
        await enrol(service, "sam", other)
        request = await ask(world, service)
        mine, theirs = person(service, "riley"), person(service, "sam")
        given, second = (
            await sign(service, request, "riley", soft),
            await sign(service, request, "sam", other),
        )
        await people.remove(service.core, "riley", by="dana")
        await people.change(service.core, "sam", {"groups": []}, by="dana")
        with pytest.raises(ApproverRemoved):
            await service.decide(request, mine, "approve", **given)
        with pytest.raises(ApproverNotMember):
            await service.decide(request, theirs, "approve", **second)
        await people.change(service.core, "sam", {"groups": ["reviewers"]}, by="dana")
        assert (await service.decide(request, theirs, "approve", **second)).state == "approved"

    world.play(story)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"origin": "https://evil.example"}, "proof.wrong_origin"),
        ({"origin": "http://localhost:1"}, "proof.wrong_origin"),
        ({"rp_id": "evil.example"}, "proof.wrong_site"),
        ({"flags": UP}, "proof.user_unverified"),
        ({"flags": UV}, "proof.nobody_present"),
        ({"challenge": b"0" * 32}, "proof.other_statement"),
    ],
)
def test_a_passkey_used_elsewhere_or_by_nobody_decides_nothing(
    tmp_path: Path, how: dict[str, Any], code: str
) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        soft = SoftPasskey(rp_id="localhost")
        await enrol(service, "riley", soft)
        request = await ask(world, service)
        with pytest.raises(ProofRefused) as refused:
            await decide(service, request, "riley", await sign(service, request, "riley", soft, **how))
        assert refused.value.code == code
        assert approvals(service, request) == []
        assert (
            await decide(service, request, "riley", await sign(service, request, "riley", soft))
        ).state == "approved"

    world.play(story)


def test_an_ssh_signature_of_another_namespace_decides_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        await enrol(service, "riley", soft)
        request = await ask(world, service)
        with pytest.raises(ProofRefused) as refused:
            await decide(
                service, request, "riley", await sign(service, request, "riley", soft, namespace="git")
            )
        assert refused.value.code == "proof.wrong_namespace"
        assert (
            await decide(service, request, "riley", await sign(service, request, "riley", soft))
        ).state == "approved"

    world.play(story)


def test_a_signature_without_the_reason_that_policy_wants_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        await enrol(service, "riley", soft)
        request = await ask(world, service)
        with pytest.raises(ReasonMissing):
            await decide(service, request, "riley", await sign(service, request, "riley", soft, reason=" "))

    world.play(story)


def test_a_statement_comes_with_everything_that_its_digests_cover(tmp_path: Path) -> None:
    world = World(tmp_path, policy=signed_policy())

    async def story(service: Keyturn) -> None:
        request = await ask(world, service)
        riley = person(service, "riley")
        view = await service.request(request, riley)
        asked = {"reason": "because", "digest": view.digest, "display": view.display}
        handed = await service.statement(request, riley, "approve", **asked)
        assert digest(handed.act) == view.digest == handed.statement["digest"]
        assert display_digest(handed.document) == view.display
        assert handed.document["content"] == handed.act["content"]
        assert "because" not in str(handed.statement)
        with pytest.raises(OtherBytes):
            await service.statement(request, riley, "approve", **{**asked, "display": "sha256:00"})
        size = service.core.ledger.size
        assert (await service.statement(request, riley, "approve", **asked)).statement != handed.statement
        assert service.core.ledger.size == size

    world.play(story)
