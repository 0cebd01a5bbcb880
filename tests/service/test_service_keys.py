"""Promise 8: a key speaks for one person, another administrator vouched for it, and once revoked it speaks for nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from service_world import World
from signing_world import (
    ORIGIN,
    PORT,
    UV,
    SoftPasskey,
    SoftSshKey,
    Vendor,
    approve,
    commitment,
    decide,
    enrol,
    passkey_offer,
    person,
    sign,
    ssh_offer,
)

from keyturn.approvals.errors import AssuranceTooLow, NotEligible
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.identity.keys import KeyRecord, from_b64
from keyturn.service import keys, people
from keyturn.service.errors import Forbidden
from keyturn.service.keys import KeyExists, KeyUnacceptable, KeyUnwitnessed, ProviderWord, UnknownKey
from keyturn.service.keyturn import Keyturn


def test_a_key_is_enrolled_by_another_administrator_and_its_entry_says_all(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        view = await service.enrol_key(person(service, "riley"), ssh_offer(service, "riley", soft))
        assert view.subject == "key"
        assert "riley" in view.text
        assert "SHA256:" in view.text
        assert await service.keys() == []  # not before somebody else approved it
        await approve(service, view, "dana")
        (key,) = await service.keys()
        assert (key.person, key.type, key.algorithm) == ("riley", "ssh", "ssh-ed25519")
        entry = service.core.ledger.entry(key.entry)
        assert entry is not None
        fields = entry.fields
        record = KeyRecord(**fields["record"])
        assert fields["commitment"] == commitment(record)
        assert from_b64(record.public_key) == soft.blob
        assert fields["evidence"]["signature"].startswith("-----BEGIN SSH SIGNATURE")
        assert fields["request"] == view.id
        assert not fields["genesis"]

    World(tmp_path).play(story)


def test_nobody_approves_their_own_key_not_even_the_only_administrator(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        view = await service.enrol_key(person(service, "dana"), ssh_offer(service, "dana", SoftSshKey()))
        with pytest.raises(NotEligible):
            await approve(service, view, "dana")
        with pytest.raises(
            NotEligible
        ):  # an administrator has to be sure whose it is: a reviewer is not asked
            await approve(service, view, "riley")
        assert await service.keys() == []
        await people.change(service.core, "sam", {"roles": ["member", "admin"]}, by="dana")
        await approve(service, view, "sam")
        assert len(await service.keys()) == 1

    World(tmp_path).play(story)


def test_once_an_administrator_has_a_key_others_keys_need_their_signature(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        await people.change(service.core, "sam", {"roles": ["member", "admin"]}, by="dana")
        first, own = SoftSshKey(), SoftSshKey()
        await enrol(service, "dana", first, by="sam")
        view = await service.enrol_key(person(service, "riley"), ssh_offer(service, "riley", own))
        assert view.obligations.assurance == "signed"
        for other in ("dana", "sam"):
            with pytest.raises(AssuranceTooLow):
                await approve(service, view, other)
        await decide(service, view.id, "dana", await sign(service, view.id, "dana", first))
        assert [key.person for key in await service.keys()] == ["dana", "riley"]

    World(tmp_path).play(story)


def test_a_key_asked_for_before_needs_a_signature_once_there_can_be_one(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        await people.change(service.core, "sam", {"roles": ["member", "admin"]}, by="dana")
        own, theirs = SoftSshKey(), SoftSshKey()
        early = await service.enrol_key(person(service, "sam"), ssh_offer(service, "sam", theirs))
        assert early.needs == "click"
        await enrol(service, "dana", own, by="sam")
        assert (await service.request(early.id)).needs == "signed"
        with pytest.raises(AssuranceTooLow):
            await approve(service, early, "dana")
        await decide(service, early.id, "dana", await sign(service, early.id, "dana", own))
        assert [key.person for key in await service.keys()] == ["dana", "sam"]

    World(tmp_path).play(story)


def test_a_key_is_enrolled_once_for_one_person_for_ever(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        early = await service.enrol_key(person(service, "sam"), ssh_offer(service, "sam", soft))
        key = await enrol(service, "riley", soft)
        for name in ("riley", "sam"):
            with pytest.raises(KeyExists):
                await service.enrol_key(person(service, name), ssh_offer(service, name, soft))
        with pytest.raises(KeyExists):  # asked for before, decided afterwards
            await approve(service, early, "dana")
        await service.revoke_key(key, person(service, "riley"), "lost")
        with pytest.raises(KeyExists):
            await service.enrol_key(person(service, "riley"), ssh_offer(service, "riley", soft))

    World(tmp_path).play(story)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"signature": "x"}, "proof.malformed"),
        ({"random": "AAAA"}, "key.unacceptable"),
        ({"public_key": "ssh-dss AAAA"}, "key.unacceptable"),
        ({"name": "x" * 81}, "key.unacceptable"),
        ({"public_key": SoftSshKey().line}, "proof.other_key"),
        ({"random": "A" * 43}, "proof.bad_signature"),
    ],
)
def test_an_offer_that_was_altered_is_refused(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        with pytest.raises((ProofRefused, KeyUnacceptable)) as refused:
            await service.enrol_key(person(service, "riley"), ssh_offer(service, "riley", soft, **change))
        assert refused.value.code == code
        with pytest.raises(ProofRefused):  # a record that names somebody else
            await service.enrol_key(person(service, "sam"), ssh_offer(service, "riley", soft))
        await service.enrol_key(person(service, "riley"), ssh_offer(service, "riley", soft))

    World(tmp_path).play(story)


def test_a_passkey_is_enrolled_from_our_own_page_only(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        service.core.port = PORT
        riley, soft = person(service, "riley"), SoftPasskey(rp_id="localhost")
        for origin in (
            "http://127.0.0.1:8765", "http://localhost:9999", "https://evil.example", f"{ORIGIN}@evil",
        ):  # fmt: skip
            with pytest.raises(KeyUnacceptable):
                await service.begin_key(riley, origin)
        offer = passkey_offer(service, "riley", soft)
        with pytest.raises(ProofRefused):
            await service.enrol_key(person(service, "sam"), offer)
        service.core.port = 9999
        with pytest.raises(ProofRefused, match="page of"):
            await service.enrol_key(riley, offer)
        service.core.port = PORT
        view = await service.enrol_key(riley, offer)
        assert "passkey of localhost" in view.text
        assert "in hardware   not shown" in view.text

    World(tmp_path).play(story)


def test_only_an_attestation_under_the_houses_root_is_told_as_hardware(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        vendor = Vendor()
        service.core.attestation_roots = (Vendor().root,)
        await enrol(service, "riley", SoftPasskey(rp_id="localhost"), vendor=vendor)
        service.core.attestation_roots = (vendor.root,)
        await enrol(service, "sam", SoftPasskey(rp_id="localhost"), vendor=vendor)
        await enrol(service, "sam", SoftPasskey("EdDSA", "localhost"))
        assert [key.attested for key in await service.keys()] == [False, True, False]

    World(tmp_path).play(story)


def test_where_a_provider_is_set_up_its_word_is_needed_and_recorded(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        offer, riley = ssh_offer(service, "riley", soft), person(service, "riley")
        with pytest.raises(KeyUnwitnessed) as refused:
            await keys.enrol(service.core, riley, offer, None, provider=True)
        record = keys.ssh_record(service.core.origin, "riley", soft.line, offer.random)
        assert refused.value.details["commitment"] == commitment(record)
        word = ProviderWord("aaa.bbb.ccc", "https://idp.example|123", "sha256:00")
        view = await keys.enrol(service.core, riley, offer, word, provider=True)
        assert "https://idp.example|123" in view.text
        await approve(service, view, "dana")
        entry = service.core.ledger.entry((await service.keys())[0].entry)
        assert entry is not None
        assert entry.fields["provider"]["id_token"] == "aaa.bbb.ccc"

    World(tmp_path).play(story)


def test_a_key_is_revoked_by_its_person_or_an_administrator_once(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        key, other = await enrol(service, "riley", SoftSshKey()), await enrol(service, "sam", SoftSshKey())
        with pytest.raises(Forbidden):
            await service.revoke_key(key, person(service, "sam"), "spite")
        with pytest.raises(UnknownKey):
            await service.revoke_key("k_0", person(service, "sam"), "")
        await service.revoke_key(key, person(service, "riley"), "lost my laptop")
        size = service.core.ledger.size
        again = await service.revoke_key(key, person(service, "dana"), "again")
        assert service.core.ledger.size == size
        assert (again.revoked_by, again.why) == ("riley", "lost my laptop")
        assert (await service.revoke_key(other, person(service, "dana"), "left")).revoked is not None

    World(tmp_path).play(story)


def test_there_is_an_end_of_keys(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        for _ in range(keys.MAX_KEYS):
            await enrol(service, "riley", SoftSshKey())
        with pytest.raises(KeyUnacceptable):
            await enrol(service, "riley", SoftSshKey())

    World(tmp_path).play(story)


def test_a_passkey_that_did_not_verify_its_user_is_not_enrolled(tmp_path: Path) -> None:
    async def story(service: Keyturn) -> None:
        service.core.port = PORT
        for flags, code in ((0x01, "proof.user_unverified"), (UV, "proof.nobody_present")):
            soft = SoftPasskey(rp_id="localhost", flags=flags)
            with pytest.raises(ProofRefused) as refused:
                await service.enrol_key(person(service, "riley"), passkey_offer(service, "riley", soft))
            assert refused.value.code == code

    World(tmp_path).play(story)
