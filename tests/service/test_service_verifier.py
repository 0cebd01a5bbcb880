"""An outside program of the standard library alone verifies signed approvals from an export, and catches whatever was altered."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk, jws
from msgspec.structs import replace
from service_world import GATE, World
from signing_world import (
    SoftPasskey,
    SoftSshKey,
    approve,
    ask,
    decide,
    enrol,
    person,
    sign,
    signed_policy,
    ssh_offer,
)

from keyturn import canonical
from keyturn.actions import Agent, Human
from keyturn.drift.definition import Definition, file_part
from keyturn.evidence import approvals, verify_approvals
from keyturn.identity.keys import key_id, to_b64
from keyturn.ledger import Ledger
from keyturn.ledger.entries import Draft
from keyturn.ledger.export import export
from keyturn.service import defining, genesis, keys, people
from keyturn.service.keys import ProviderWord
from keyturn.service.keyturn import Keyturn
from keyturn.service.projections import fold
from keyturn.store import open_store

SCRIPT = Path(verify_approvals.__file__)
Edit = Callable[[list[Draft]], None]


def verified(folder: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and verdict of the program, run as an auditor would: isolated, without site-packages."""
    command = [sys.executable, "-I", "-S", str(SCRIPT), str(folder), "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 7), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A log with every kind of key, signed approvals and denials, a click, a revocation, a used permit."""
    world = World(tmp_path_factory.mktemp("w"), policy=signed_policy(people=2))

    async def story(service: Keyturn) -> None:
        await people.change(service.core, "sam", {"roles": ["member", "admin"]}, by="dana")
        softs: dict[str, Any] = {
            "dana": SoftSshKey(), "riley": SoftPasskey(rp_id="localhost"), "sam": SoftSshKey("sk-ssh-ed25519@openssh.com"),
        }  # fmt: skip
        await enrol(service, "dana", softs["dana"], by="sam")
        for name, soft in (
            ("riley", softs["riley"]), ("sam", softs["sam"]), ("riley", SoftPasskey("RS256", "localhost")),
            ("riley", SoftPasskey("EdDSA", "localhost")), ("riley", SoftSshKey("ssh-rsa")),
            ("riley", SoftSshKey("ecdsa-sha2-nistp256")),
        ):  # fmt: skip
            await _enrol_signed(service, name, soft, softs["dana"])
        first = await ask(world, service)
        await decide(service, first, "riley", await sign(service, first, "riley", softs["riley"]))
        view = await decide(service, first, "sam", await sign(service, first, "sam", softs["sam"]))
        await service.claim(first, view.digest, view.gate, consume=True)
        second = await ask(world, service, "rm -r dist")
        denied = await sign(service, second, "riley", softs["riley"], "deny", reason="nö")
        await decide(service, second, "riley", denied, "deny")
        third = await ask(world, service, "rm -r out")
        await decide(service, third, "riley", await sign(service, third, "riley", softs["riley"]))
        await service.revoke_key(key_id(softs["riley"].public), person(service, "riley"), "lost")

    world.play(story)
    return world


async def _enrol_signed(service: Keyturn, name: str, soft: Any, by: SoftSshKey) -> None:
    from signing_world import PORT, passkey_offer, ssh_offer

    service.core.port = PORT
    offer = (ssh_offer if isinstance(soft, SoftSshKey) else passkey_offer)(service, name, soft)
    view = await service.enrol_key(person(service, name), offer)
    await decide(service, view.id, "dana", await sign(service, view.id, "dana", by))


def drafts_of(world: World) -> list[Draft]:
    """The log's entries as they could be written again."""
    store = open_store(str(world.home.ledger), writer=False)
    try:
        from keyturn.ledger import leaf

        entries = [leaf.read(stored) for stored in store.entries()]
        blobs = dict(store.blobs())
    finally:
        store.close()
    made = []
    for entry in entries:
        fields = {name: _whole(value, blobs) for name, value in entry.fields.items()}
        made.append(Draft(entry.type, fields, session=entry.session, blobs=blobs if entry.index == 0 else {}))
    return made


def _whole(value: Any, blobs: dict[str, bytes]) -> Any:
    is_blob = isinstance(value, dict) and value.keys() == {"blob", "size"}
    return json.loads(blobs[value["blob"]]) if is_blob else value


def rewritten(world: World, folder: Path, edit: Edit) -> Path:
    """The log written anew by somebody who holds its key, with *edit* made: the strongest operator there is. Gives an export."""
    drafts = drafts_of(world)
    edit(drafts)
    key = genesis.read_key(world.home.log_key)
    origin = (world.home.keys / "origin").read_text().strip()
    store = open_store(str(folder / "forged.db"))
    ledger = Ledger.open(store, key, origin, fold)
    try:
        for draft in drafts:
            if draft.type != "session.closed":
                ledger.append_sync([draft])
        export(store, folder / "out", str(ledger.key) if hasattr(ledger, "key") else _vkey(world))
    finally:
        ledger.close()
    return folder / "out"


def _vkey(world: World) -> str:
    from keyturn.cli.ledger import log_vkey

    return log_vkey(world.home)


def exported(world: World, folder: Path) -> Path:
    store = open_store(str(world.home.ledger), writer=False)
    try:
        export(store, folder / "out", _vkey(world))
    finally:
        store.close()
    return folder / "out"


def find(drafts: list[Draft], kind: str, number: int = 0, **fields: Any) -> int:
    """The place of the *number*th entry of *kind* with these fields."""
    return [
        at
        for at, one in enumerate(drafts)
        if one.type == kind and all(one.fields.get(name) == value for name, value in fields.items())
    ][number]


def test_the_whole_export_holds(recorded: World, tmp_path: Path) -> None:
    folder = exported(recorded, tmp_path)
    code, verdict = verified(folder)
    assert verdict["problems"] == []
    assert (code, verdict["unchecked"]) == (0, [])
    counts = verdict["counts"]
    assert counts["keys"] == 7
    assert counts["keys approved by click"] == 1
    assert counts["keys approved by signature"] == 6
    assert counts["approvals signed"] == 4 + 6
    assert counts["approved requests that asked for signatures"] == 1 + 6
    assert verified(folder, "--key", _vkey(recorded))[0] == 0


def test_a_log_written_anew_without_a_change_holds(recorded: World, tmp_path: Path) -> None:
    """The negative control of all the forgeries below: rewriting itself is not what is caught."""
    code, verdict = verified(rewritten(recorded, tmp_path, lambda drafts: None))
    assert verdict["problems"] == []
    assert code == 0


SIGNED = {"choice": "approve", "person": "riley", "assurance": "signed"}


def _field(kind: str, name: str, value: Any, **which: Any) -> Edit:
    def edit(drafts: list[Draft]) -> None:
        at = find(drafts, kind, **which)
        old = drafts[at].fields[name]
        drafts[at].fields[name] = value(old) if callable(value) else value

    return edit


def _drop(kind: str, **which: Any) -> Edit:
    def edit(drafts: list[Draft]) -> None:
        del drafts[find(drafts, kind, **which)]

    return edit


def _later_revocation_earlier(drafts: list[Draft]) -> None:
    revoked = drafts.pop(find(drafts, "key.revoked"))
    drafts.insert(find(drafts, "approval.given", **SIGNED), revoked)


def _unsigned(drafts: list[Draft]) -> None:
    """The proof is taken away and the approval said to be a click."""
    fields = drafts[find(drafts, "approval.given", **SIGNED)].fields
    for name in ("proof", "key", "how", "shown"):
        del fields[name]
    fields["assurance"] = "click"


def _copied(drafts: list[Draft]) -> None:
    """A signature given for one request is put under another."""
    first = drafts[find(drafts, "approval.given", 0, **SIGNED)].fields
    other = drafts[find(drafts, "approval.given", 1, **SIGNED)].fields
    for name in ("proof", "nonce", "statement", "reason_digest"):
        other[name] = first[name]


def _again(drafts: list[Draft]) -> None:
    """The same decision stands there twice."""
    at = find(drafts, "approval.given", **SIGNED)
    drafts.insert(at + 1, replace(drafts[at], fields=dict(drafts[at].fields)))


def _other_bytes(drafts: list[Draft]) -> None:
    """What ran is exchanged everywhere, the digest is left."""
    at = find(drafts, "approval.given", **SIGNED)
    request = drafts[at].fields["request"]
    opened = drafts[find(drafts, "request.opened", id=request)].fields
    decided = drafts[find(drafts, "action.decided", id=opened["action"])].fields
    for content in (opened["content"], decided["action"]["content"], drafts[at].fields["shown"]["content"]):
        content["script"] = "rm -r /srv"


def _self_made_key(drafts: list[Draft]) -> None:
    """The operator enrols a key of their own as riley's, and signs with it."""
    soft = SoftSshKey()
    at = find(drafts, "approval.given", **SIGNED)
    from keyturn.service.keys import ENROLMENT_NAMESPACE, record_bytes, ssh_record

    record = ssh_record(drafts[0].fields["origin"], "riley", soft.line, to_b64(bytes(32)))
    from msgspec import to_builtins

    from keyturn.identity.keys import commitment

    fields = {
        "id": key_id(soft.blob), "person": "riley", "name": "", "record": to_builtins(record),
        "commitment": commitment(record), "backup": False, "attested_by": "", "format": "",
        "evidence": {"signature": soft.sign(record_bytes(record), ENROLMENT_NAMESPACE)}, "provider": None,
        "genesis": True, "request": "",
    }  # fmt: skip
    approval = drafts[at].fields
    statement = {
        "v": 1, "log": drafts[0].fields["origin"], "request": approval["request"], "digest": approval["digest"],
        "display": approval["display"], "decision": "approve", "person": "riley", "reason": approval["reason_digest"],
        "policy": approval["policy"], "nonce": approval["nonce"], "grant": approval["grant"],
    }  # fmt: skip
    signed = soft.sign(b"keyturn/approval/v1\n" + canonical.dumps(statement))
    approval.update(key=fields["id"], proof={"type": "ssh", "key": fields["id"], "signature": signed})
    drafts.insert(at, Draft("key.enrolled", fields))


def _attested(drafts: list[Draft]) -> None:
    """A key is said to be in hardware afterwards; what was approved had no such thing."""
    drafts[find(drafts, "key.enrolled", person="riley")].fields["attested_by"] = "00" * 32


def _clicked_key(drafts: list[Draft]) -> None:
    """The signature under an enrolment is taken away."""
    enrolled = drafts[find(drafts, "key.enrolled", person="riley")].fields
    fields = drafts[find(drafts, "approval.given", request=enrolled["request"])].fields
    for name in ("proof", "key", "how", "shown"):
        del fields[name]
    fields["assurance"] = "click"


def _self_approved(drafts: list[Draft]) -> None:
    """Sam's key, approved by Sam."""
    enrolled = drafts[find(drafts, "key.enrolled", person="dana")].fields
    drafts[find(drafts, "approval.given", request=enrolled["request"])].fields["person"] = "dana"


FORGERIES: dict[str, tuple[Edit, str]] = {
    "another reason": (_field("approval.given", "reason", "fine", **SIGNED), "reason was exchanged"),
    "another person": (_field("approval.given", "person", "dana", **SIGNED), "another one than its fields"),
    "a denial made an approval": (_field("approval.given", "choice", "approve", choice="deny"), "another one than its fields"),
    "another action digest": (_field("approval.given", "digest", "sha256:" + "0" * 64, **SIGNED), "another one"),
    "another display": (_field("approval.given", "display", "sha256:" + "0" * 64, **SIGNED), "another one"),
    "a longer grant": (_field("approval.given", "grant", "600s", **SIGNED), "another one"),
    "a ticket that was not named": (
        lambda drafts: drafts[find(drafts, "approval.given", **SIGNED)].fields.update(ticket_named="CHG-1"), "another one",
    ),
    "somebody to stand in for": (
        lambda drafts: drafts[find(drafts, "approval.given", **SIGNED)].fields.update(behalf="sam"), "another one",
    ),
    "another policy": (_field("approval.given", "policy", "sha256:" + "0" * 64, **SIGNED), "another one"),
    "something else shown": (
        _field("approval.given", "shown", lambda old: {**old, "sentence": "Reads a file."}, **SIGNED), "shown was exchanged",
    ),
    "other bytes under the digest": (_other_bytes, "shown was exchanged"),
    "another request text": (
        _field("request.opened", "sentence", "Reads.", subject="action"), "that was shown is not the request's",
    ),
    "a higher level": (_field("approval.given", "assurance", "signed+hardware", **SIGNED), "and is signed"),
    "a lost signature": (_unsigned, "without the signature of riley"),
    "a signature of another request": (_copied, "its nonce was used"),
    "the same decision twice": (_again, "its nonce was used"),
    "an altered signature": (
        _field("approval.given", "proof", lambda old: {**old, "signature": old["signature"][:-8] + "AAAAAAAA"}, **SIGNED),
        "",
    ),
    "a key revoked before": (_later_revocation_earlier, "revoked before"),
    "a key that was never enrolled": (_drop("key.enrolled", person="riley"), "not enrolled before"),
    "a key that the operator made": (_self_made_key, "nobody approved"),
    "a key of another person": (_field("key.enrolled", "person", "sam", person="riley"), "another person's"),
    "another commitment": (_field("key.enrolled", "commitment", "A" * 43, person="riley"), "not the one that was committed"),
    "an attestation made up": (_attested, "another key"),
    "an enrolment by click": (_clicked_key, "by click although"),
    "an enrolment by oneself": (_self_approved, "could not approve"),
    "no approval of a key": (_drop("approval.given", person="sam"), "nobody approved"),
    "an unknown action": (_drop("action.decided"), "not recorded before"),
    "somebody who was removed": (
        lambda drafts: drafts.insert(
            find(drafts, "approval.given", **SIGNED), Draft("person.removed", {"id": "riley", "by": "dana"})
        ),
        "was removed",
    ),
    "a permit used twice": (
        lambda drafts: drafts.append(replace(drafts[find(drafts, "permit.consumed")], session=None)), "used twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_what_an_operator_with_the_logs_key_forges_is_caught(
    recorded: World, tmp_path: Path, name: str
) -> None:
    edit, words = FORGERIES[name]
    code, verdict = verified(rewritten(recorded, tmp_path, edit))
    assert code == 7
    assert any(words in problem[2] for problem in verdict["problems"]), verdict["problems"]


def test_keyturns_own_verification_checks_signatures_too(recorded: World, tmp_path: Path) -> None:
    folder = exported(recorded, tmp_path)
    store = open_store(str(recorded.home.ledger), writer=False)
    try:
        for verdict in (approvals.check_folder(folder), approvals.check_store(store)):
            assert verdict.hold, verdict.problems
            assert verdict.counts["approvals signed"] == 10
    finally:
        store.close()
    (tmp_path / "forged").mkdir()
    forged = rewritten(recorded, tmp_path / "forged", _unsigned)
    assert not approvals.check_folder(forged).hold


def test_a_signed_approval_of_a_definition_holds_for_exactly_the_text_that_was_shown(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        await people.change(service.core, "sam", {"roles": ["member", "admin"]}, by="dana")
        await enrol(service, "riley", soft, by="sam")
        described = Definition(
            "claude-code", parts=(file_part("instructions", "CLAUDE.md", b"Read only.\n"),), place="/shop"
        )
        agent = Agent("claude-code", "claude-code", "2.1")
        human = Human("dana", "os-uid", 1000)
        await service.open_session(agent=agent, human=human, gate=GATE, cwd="/shop", described=described)
        asked = await defining.propose(
            service.core,
            described.digest,
            person(service, "dana"),
            "as reviewed",
            effects=["reads:workspace"],
        )
        await decide(service, asked.id, "riley", await sign(service, asked.id, "riley", soft))

    world.play(story)
    (tmp_path / "true").mkdir()
    code, verdict = verified(exported(world, tmp_path / "true"))
    assert (code, verdict["problems"]) == (0, [])
    assert verdict["counts"]["approvals signed"] == 1

    def other(content: dict[str, Any]) -> dict[str, Any]:
        return {**content, "text": content["text"].replace("reads:workspace", "writes:anything")}

    (tmp_path / "forged").mkdir()
    forged = rewritten(
        world, tmp_path / "forged", _field("request.opened", "content", other, subject="definition")
    )
    assert verified(forged)[0] == 7


def test_damage_of_the_export_is_caught(recorded: World, tmp_path: Path) -> None:
    whole = exported(recorded, tmp_path)
    for number, (name, change) in enumerate(
        {
            "checkpoint": lambda b: b[:-6] + b"AAAA=\n",
            "tile/entries/000.p/*": lambda b: b.replace(
                b'"type":"approval.given"', b'"type":"approval.giveN"', 1
            ),
            "tile/disclosures/000.p/*": lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:],
            "blobs/sha256/*": lambda b: b + b" ",
        }.items()
    ):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(whole, copy)
        for file in sorted(copy.glob(name)):
            file.write_bytes(change(file.read_bytes()))
        assert subprocess.run([sys.executable, "-I", "-S", SCRIPT, copy], capture_output=True).returncode in (
            2,
            7,
        ), name
    assert verified(whole)[0] == 0


def test_another_logs_key_is_refused(recorded: World, tmp_path: Path) -> None:
    from keyturn.ledger.checkpoint import Signer

    origin = (recorded.home.keys / "origin").read_text().strip()
    other = str(Signer(origin, Ed25519PrivateKey.generate()).key)
    code, verdict = verified(exported(recorded, tmp_path), "--key", other)
    assert code == 7
    assert "not signed" in verdict["problems"][0][2]


def test_a_command_line_that_is_wrong_says_how(tmp_path: Path) -> None:
    for arguments in ((), ("a", "b"), ("--key",), (str(tmp_path),)):
        done = subprocess.run(
            [sys.executable, "-I", "-S", SCRIPT, *arguments], capture_output=True, text=True
        )
        assert done.returncode == 2
        assert done.stderr
        assert "Traceback" not in done.stderr


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_providers_token_over_a_key_is_checked_with_the_key_set_of_the_log(
    tmp_path: Path, algorithm: str
) -> None:
    world = World(tmp_path)
    kind = {"RS256": ("RSA", 2048), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}[algorithm]
    key = jwk.generate_key(*kind, {"kid": "one"}, private=True)  # type: ignore[arg-type]
    jwks = {"keys": [key.as_dict(private=False)]}
    issuer, set_digest = "https://idp.example", canonical.digest(jwks)

    async def story(service: Keyturn) -> None:
        soft = SoftSshKey()
        offer = ssh_offer(service, "riley", soft)
        committed = keys.committed(service.core, person(service, "riley"), offer)
        claims = json.dumps({"iss": issuer, "sub": "123", "nonce": committed}).encode()
        token = jws.serialize_compact({"alg": algorithm, "kid": "one"}, claims, key, [algorithm])
        fields = {"issuer": issuer, "digest": set_digest, "jwks": jwks}
        await service.core.ledger.append([Draft("provider.keys", fields)])
        word = ProviderWord(token, f"{issuer}|123", set_digest)
        view = await keys.enrol(service.core, person(service, "riley"), offer, word, provider=True)
        await approve(service, view, "dana")

    world.play(story)
    code, verdict = verified(exported(world, tmp_path))
    assert (code, verdict["problems"], verdict["unchecked"]) == (0, [], [])
    assert verdict["counts"]["keys vouched for by a provider"] == 1

    def forged(drafts: list[Draft]) -> None:
        at = find(drafts, "key.enrolled")
        head, body, signature = drafts[at].fields["provider"]["id_token"].split(".")
        other = signature[:8] + ("A" if signature[8] != "A" else "B") + signature[9:]
        for where in (drafts[at].fields, drafts[find(drafts, "request.opened")].fields["content"]["key"]):
            where["provider"]["id_token"] = f"{head}.{body}.{other}"

    (tmp_path / "forged").mkdir()
    code, verdict = verified(rewritten(world, tmp_path / "forged", forged))
    assert code == 7
    assert "did not sign" in verdict["problems"][0][2]


@given(_JSON)
def test_its_canonical_json_is_ours(value: Any) -> None:
    try:
        expected = canonical.dumps(value)
    except canonical.NotCanonical:
        return
    assert verify_approvals.jcs(value) == expected


@given(st.binary(max_size=200), st.integers(0, 63))
def test_its_ed25519_agrees_with_cryptographys(message: bytes, at: int) -> None:
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify_approvals.ed25519(public, signature, message)
    altered = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
    assert not verify_approvals.ed25519(public, altered, message)
    assert not verify_approvals.ed25519(public, signature, message + b"x")
