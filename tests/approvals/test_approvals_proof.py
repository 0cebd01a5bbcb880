"""Promise 8: only the person's own key makes a proof, and only over exactly this statement; every alteration is refused.

Each attack stands beside its legitimate twin, so a check that was switched off would be seen to matter.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import sshsig
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from keyturn.approvals import Statement, make_statement, passkey, ssh_signature, statement_bytes
from keyturn.approvals.passkey import Registered
from keyturn.approvals.proof import PasskeyProof, SshProof, Verified, verify
from keyturn.approvals.proof_errors import ProofRefused
from keyturn.identity.keys import EnrolledKey, from_b64, to_b64
from soft_authenticator import BE, BS, ORIGIN, UP, UV, SoftPasskey, SoftSshKey, Vendor, register

STATEMENT = make_statement(
    log="log.example/1", request="r_1", digest="sha256:a", display="sha256:b", decision="approve", person="ana",
    reason="needed", policy="sha256:c", nonce="n_1234567890",
)  # fmt: skip
BYTES = statement_bytes(STATEMENT)
KINDS = ("ES256", "EdDSA", "RS256")
SSH_KINDS = ssh_signature.ALGORITHMS

PASSKEYS = {kind: SoftPasskey(kind) for kind in KINDS}
SSH_KEYS = {kind: SoftSshKey(kind) for kind in SSH_KINDS}
PROOFS = {kind: soft.prove(BYTES) for kind, soft in PASSKEYS.items()}
SIGNATURES = {kind: soft.sign(BYTES) for kind, soft in SSH_KEYS.items()}
"""Made once: ECDSA signatures differ each time, and a failing example must be the same when it is tried again."""
VENDOR = Vendor()


def check(
    proof: PasskeyProof | SshProof,
    key: EnrolledKey | None,
    statement: bytes = BYTES,
    person: str = "ana",
    origins: tuple[str, ...] = (ORIGIN,),
) -> str:
    """The level, or the refusal's code."""
    found = verify(statement, proof, key, person=person, origins=origins)
    return found.level if isinstance(found, Verified) else found.code


@pytest.mark.parametrize("kind", KINDS)
def test_a_passkey_signs_and_only_attestation_makes_it_hardware(kind: str) -> None:
    soft = PASSKEYS[kind]
    proof = soft.prove(BYTES)
    assert check(proof, soft.enrolled("ana")) == "signed"
    assert check(proof, soft.enrolled("ana", attested=True)) == "signed+hardware"


@pytest.mark.parametrize("kind", SSH_KINDS)
def test_an_ssh_key_signs_and_only_a_security_key_that_verified_its_user_is_hardware(kind: str) -> None:
    soft = SSH_KEYS[kind]
    level = "signed+hardware" if kind.startswith("sk-") else "signed"
    assert check(soft.prove(BYTES), soft.enrolled("ana")) == level
    if kind.startswith("sk-"):
        assert check(soft.prove(BYTES, flags=UP), soft.enrolled("ana")) == "signed"
        assert check(soft.prove(BYTES, flags=0), soft.enrolled("ana")) == "proof.nobody_present"
        assert check(soft.prove(BYTES, flags=UV), soft.enrolled("ana")) == "proof.nobody_present"


PASSKEY_ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "another statement": ({"challenge": b"x" * 32}, "proof.other_statement"),
    "another origin": ({"origin": "https://evil.example"}, "proof.wrong_origin"),
    "another port": ({"origin": f"{ORIGIN}:9999"}, "proof.wrong_origin"),
    "plain http": ({"origin": "http://keyturn.example"}, "proof.wrong_origin"),
    "a frame": ({"more": {"crossOrigin": True}}, "proof.wrong_origin"),
    "another top page": ({"more": {"topOrigin": "https://evil.example"}}, "proof.wrong_origin"),
    "another site": ({"rp_id": "evil.example"}, "proof.wrong_site"),
    "user not verified": ({"flags": UP}, "proof.user_unverified"),
    "nobody there": ({"flags": UV}, "proof.nobody_present"),
    "a registration's data": ({"kind": "webauthn.create"}, "proof.malformed"),
    "a payment": ({"kind": "payment.get"}, "proof.malformed"),
    "a copy of a key bound to a device": ({"flags": UP | UV | BE}, "proof.bad_signature"),
    "backed up without being able to": ({"flags": UP | UV | BS}, "proof.bad_signature"),
}


@pytest.mark.parametrize("attack", PASSKEY_ATTACKS)
def test_what_a_passkey_signed_elsewhere_or_otherwise_is_no_approval(attack: str) -> None:
    changes, code = PASSKEY_ATTACKS[attack]
    soft = PASSKEYS["ES256"]
    assert check(soft.prove(BYTES, **changes), soft.enrolled("ana")) == code
    assert check(soft.prove(BYTES), soft.enrolled("ana")) == "signed"  # its legitimate twin


def test_a_key_that_may_be_copied_is_never_hardware() -> None:
    soft = SoftPasskey("ES256", flags=UP | UV | BE)
    assert check(soft.prove(BYTES), soft.enrolled("ana", attested=True)) == "signed"


def test_a_key_counts_only_for_its_person_while_it_is_not_revoked() -> None:
    soft, other = PASSKEYS["ES256"], PASSKEYS["EdDSA"]
    proof, key = soft.prove(BYTES), soft.enrolled("ana")
    assert check(proof, None) == "key.unknown"
    assert check(proof, other.enrolled("ana")) == "key.unknown"
    assert check(proof, soft.enrolled("bob")) == "key.other_person"
    assert check(proof, key, person="bob") == "key.other_person"
    assert check(proof, replace(key, revoked=True)) == "key.revoked"
    assert check(proof, key) == "signed"


def test_proofs_and_keys_of_two_kinds_dont_mix() -> None:
    soft, ssh = PASSKEYS["ES256"], SSH_KEYS["ssh-ed25519"]
    as_ssh = SshProof(soft.enrolled("ana").id, ssh.sign(BYTES))
    as_passkey = replace(soft.prove(BYTES), key=ssh.enrolled("ana").id)
    assert check(as_ssh, soft.enrolled("ana")) == "proof.other_key"
    assert check(as_passkey, ssh.enrolled("ana")) == "proof.other_key"


def test_an_ssh_signature_made_for_something_else_or_by_somebody_else_is_refused() -> None:
    soft, other = SSH_KEYS["ssh-ed25519"], SoftSshKey("ssh-ed25519")
    key = soft.enrolled("ana")
    assert check(soft.prove(BYTES, namespace="git"), key) == "proof.wrong_namespace"
    assert check(soft.prove(BYTES, namespace="file"), key) == "proof.wrong_namespace"
    assert check(SshProof(key.id, other.sign(BYTES)), key) == "proof.other_key"
    assert check(soft.prove(BYTES + b" "), key) == "proof.bad_signature"
    assert check(SshProof(key.id, "no signature"), key) == "proof.malformed"
    assert check(soft.prove(BYTES), key) == "signed"


@pytest.mark.parametrize("field", list(Statement.__struct_fields__))
@pytest.mark.parametrize("kind", ["ES256", "sk-ssh-ed25519@openssh.com"])
def test_a_signature_is_for_every_field_of_its_statement(field: str, kind: str) -> None:
    value = getattr(STATEMENT, field)
    changed = replace(STATEMENT, **{field: value + 1 if isinstance(value, int) else value + "x"})
    soft: Any = PASSKEYS.get(kind) or SSH_KEYS[kind]
    person = changed.person
    found = check(soft.prove(BYTES), soft.enrolled(person), statement_bytes(changed), person)
    assert found in ("proof.other_statement", "proof.bad_signature")


@given(st.data())
@settings(max_examples=300)
def test_no_altered_byte_of_a_passkeys_proof_passes(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(KINDS))
    proof, key = PROOFS[kind], PASSKEYS[kind].enrolled("ana")
    name = data.draw(st.sampled_from(("client_data", "authenticator_data", "signature")))
    raw = bytearray(from_b64(getattr(proof, name)))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    altered = replace(proof, **{name: to_b64(bytes(raw))})
    assert check(altered, key).startswith("proof.")
    longer = replace(proof, **{name: to_b64(bytes(raw) + data.draw(st.binary(max_size=3)))})
    assert check(longer, key).startswith("proof.")


@given(st.data())
@settings(max_examples=300)
def test_no_altered_byte_of_an_ssh_signature_passes(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(SSH_KINDS))
    key = SSH_KEYS[kind].enrolled("ana")
    raw = bytearray(_unarmored(SIGNATURES[kind]))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    assert check(SshProof(key.id, _armored(bytes(raw))), key).startswith("proof.")
    cut = data.draw(st.integers(0, len(raw) - 1))
    assert check(SshProof(key.id, _armored(bytes(raw[:cut]))), key).startswith("proof.")


@given(st.text(max_size=300), st.binary(max_size=300))
def test_rubbish_is_refused_in_words(text: str, blob: bytes) -> None:
    soft, ssh = PASSKEYS["ES256"], SSH_KEYS["ssh-ed25519"]
    key = soft.enrolled("ana")
    for proof in (PasskeyProof(key.id, text, text, text), PasskeyProof(key.id, *[to_b64(blob)] * 3)):
        assert check(proof, key) == "proof.malformed"
    for armored in (text, _armored(blob)):
        found = verify(
            BYTES, SshProof(ssh.enrolled("ana").id, armored), ssh.enrolled("ana"), person="ana", origins=()
        )
        assert isinstance(found, ProofRefused)
    for read in (ssh_signature.parse_public_key, ssh_signature.parse_signature):
        with pytest.raises(ValueError, match=r".+"):
            read(text)


def test_client_data_with_a_repeated_member_is_refused() -> None:
    soft = PASSKEYS["ES256"]
    proof = soft.prove(BYTES)
    client = from_b64(proof.client_data)
    doubled = client[:-1] + b',"origin":"https://keyturn.example"}'
    assert json.loads(doubled)["origin"] == ORIGIN
    assert check(replace(proof, client_data=to_b64(doubled)), soft.enrolled("ana")) == "proof.malformed"


# --- enrolment of passkeys


def registration(soft: SoftPasskey, made: dict[str, str], **changes: Any) -> Registered | ProofRefused:
    challenge = passkey.enrolment_challenge("log.example/1", "ana", soft.rp_id, "cmFuZG9t")
    given: dict[str, Any] = {
        "challenge": challenge,
        "client_data": from_b64(made["client_data"]),
        "attestation_object": from_b64(made["attestation_object"]),
        "credential_id": made["credential_id"],
        "rp_id": soft.rp_id,
        "origins": (ORIGIN,),
    }
    return passkey.check_registration(**{**given, **changes})


@pytest.mark.parametrize("kind", KINDS)
def test_a_registration_gives_the_key_that_was_made(kind: str) -> None:
    soft = SoftPasskey(kind)
    made = registration(soft, register(soft, "ana", "cmFuZG9t"))
    assert isinstance(made, Registered)
    assert (made.public_key, made.credential_id) == (soft.public, soft.credential)
    assert not made.attested_by


def test_a_registration_for_another_person_site_or_moment_is_refused() -> None:
    soft = SoftPasskey()
    for made, code in (
        (register(soft, "bob", "cmFuZG9t"), "proof.other_statement"),
        (register(soft, "ana", "b3RoZXI"), "proof.other_statement"),
        (register(soft, "ana", "cmFuZG9t", origin="https://evil.example"), "proof.wrong_origin"),
        (register(soft, "ana", "cmFuZG9t", flags=UP), "proof.user_unverified"),
        (register(soft, "ana", "cmFuZG9t", flags=UV), "proof.nobody_present"),
    ):
        found = registration(soft, made)
        assert isinstance(found, ProofRefused)
        assert found.code == code
    assert isinstance(registration(soft, register(soft, "ana", "cmFuZG9t")), Registered)


def test_attestation_counts_under_the_houses_own_roots_only() -> None:
    soft, stranger = SoftPasskey(), Vendor()
    made = register(soft, "ana", "cmFuZG9t", VENDOR)
    known = registration(soft, made, roots=(stranger.root, VENDOR.root))
    assert isinstance(known, Registered)
    assert known.attested_by
    for roots in ((), (stranger.root,)):
        found = registration(soft, made, roots=roots)
        assert isinstance(found, Registered)
        assert not found.attested_by
    unattested = registration(soft, register(soft, "ana", "cmFuZG9t"), roots=(VENDOR.root,))
    assert isinstance(unattested, Registered)
    assert not unattested.attested_by


def test_an_attested_key_that_may_be_copied_is_not_taken_for_hardware() -> None:
    soft = SoftPasskey(flags=UP | UV | BE)
    found = registration(soft, register(soft, "ana", "cmFuZG9t", VENDOR), roots=(VENDOR.root,))
    assert isinstance(found, Registered)
    assert found.backup
    assert not found.attested_by


@given(st.binary(max_size=400))
def test_no_attestation_object_makes_anything_but_words(blob: bytes) -> None:
    soft = PASSKEYS["ES256"]
    found = registration(soft, register(soft, "ana", "cmFuZG9t"), attestation_object=blob)
    assert isinstance(found, ProofRefused)


# --- the same signatures, judged by OpenSSH itself


@pytest.mark.parametrize("kind", SSH_KINDS)
def test_openssh_agrees_about_our_keys_and_signatures(kind: str, tmp_path: Path) -> None:
    soft = SSH_KEYS[kind]
    (tmp_path / "allowed").write_text(f"ana {soft.line}\n")
    (tmp_path / "sig").write_text(soft.sign(BYTES))
    assert _openssh(tmp_path, "approval@keyturn", BYTES)
    assert not _openssh(tmp_path, "git", BYTES)
    assert not _openssh(tmp_path, "approval@keyturn", BYTES + b"x")


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ssh-rsa"])
def test_sshsig_agrees_about_the_kinds_that_it_knows(kind: str) -> None:
    soft = SSH_KEYS[kind]
    known = sshsig.check_signature(BYTES, SIGNATURES[kind], "approval@keyturn")
    assert known.openssh_str().split()[1] in soft.line
    with pytest.raises(sshsig.InvalidSignature):
        sshsig.check_signature(BYTES + b"x", SIGNATURES[kind], "approval@keyturn")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_what_ssh_keygen_signs_is_accepted(kind: str, tmp_path: Path) -> None:
    keygen = shutil.which("ssh-keygen") or pytest.skip("no ssh-keygen: install openssh-client")
    file = tmp_path / "id"
    subprocess.run([keygen, "-q", "-t", kind, "-N", "", "-f", file], check=True)
    public = ssh_signature.parse_public_key((tmp_path / "id.pub").read_text())
    signed = subprocess.run(
        [keygen, "-Y", "sign", "-n", "approval@keyturn", "-f", file], input=BYTES, capture_output=True, check=True
    )  # fmt: skip
    soft = SoftSshKey()
    record = replace(soft.enrolled("ana").record, public_key=to_b64(public.blob))
    key = EnrolledKey("k_1", record)
    assert check(SshProof("k_1", signed.stdout.decode()), key) == "signed"
    listed = subprocess.run([keygen, "-lf", tmp_path / "id.pub"], capture_output=True, check=True).stdout
    assert public.fingerprint in listed.decode()


@pytest.mark.parametrize(
    "line",
    [
        "", "ssh-ed25519", "ssh-dss AAAA x", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        "ssh-ed25519-cert-v01@openssh.com AAAA x", "ssh-ed25519 !!!! x", "ecdsa-sha2-nistp384 AAAA",
    ],
)  # fmt: skip
def test_other_keys_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ssh_signature.parse_public_key(line)


def test_a_key_that_says_one_type_and_holds_another_is_refused() -> None:
    with pytest.raises(ValueError, match="says"):
        ssh_signature.parse_public_key(SSH_KEYS["ssh-ed25519"].line.replace("ssh-ed25519", "ssh-rsa"))


def _openssh(folder: Path, namespace: str, message: bytes) -> bool:
    keygen = shutil.which("ssh-keygen") or pytest.skip("no ssh-keygen: install openssh-client")
    command = [keygen, "-Y", "verify", "-f", folder / "allowed", "-I", "ana", "-n", namespace, "-s", folder / "sig"]  # fmt: skip
    return subprocess.run(command, input=message, capture_output=True).returncode == 0


def _unarmored(text: str) -> bytes:
    import base64

    return base64.b64decode("".join(text.strip().splitlines()[1:-1]))


def _armored(raw: bytes) -> str:
    import base64

    body = base64.b64encode(raw).decode()
    return f"-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n"
