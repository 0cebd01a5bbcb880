"""Signed notes, checkpoints and proofs: outside vectors, round trips, and everything malformed refused."""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn.ledger import checkpoint, merkle, note, proof
from keyturn.ledger.checkpoint import Checkpoint, Signer
from keyturn.ledger.errors import NoteInvalid, ProofInvalid

VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SIGNED = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
"""The example of the Go module golang.org/x/mod/sumdb/note, whose format the specification wrote down."""
SECRET = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
CHECKPOINT = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
"""The example of c2sp.org/tlog-checkpoint."""

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
ORIGIN = "ledger.example/log"
SIGNER = Signer(ORIGIN, KEY)


def test_the_go_example_verifies_and_signs_to_the_same_bytes() -> None:
    key = note.parse_vkey(VKEY)
    assert str(key) == VKEY
    parsed = note.verify(SIGNED, [key])
    assert parsed.text.endswith("what your problem is.\n")
    private = Ed25519PrivateKey.from_private_bytes(SECRET)
    assert note.verifier_key("PeterNeumann", private) == key
    assert note.sign(parsed.text, "PeterNeumann", private) == SIGNED


def test_the_specification_s_checkpoint_is_read() -> None:
    head = checkpoint.read_unverified(CHECKPOINT)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert head.root == b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    assert note.parse(CHECKPOINT).signatures[0].key_id == bytes.fromhex("033de0ae")


def test_a_changed_text_is_not_believed() -> None:
    key = note.parse_vkey(VKEY)
    note.verify(SIGNED, [key])
    for at in range(SIGNED.index("\n\n")):
        changed = SIGNED[:at] + ("x" if SIGNED[at] != "x" else "y") + SIGNED[at + 1 :]
        with pytest.raises(NoteInvalid):
            note.verify(changed, [key])


def test_signatures_of_unknown_keys_are_ignored_but_not_enough() -> None:
    key = note.verifier_key("a.example", KEY)
    signed = note.sign("text\n", "a.example", KEY)
    cosigned = signed + note.sign("text\n", "b.example", OTHER).rpartition("\n\n")[2]
    assert len(note.verify(cosigned, [key]).signatures) == 2
    with pytest.raises(NoteInvalid, match="No key that was asked for"):
        note.verify(cosigned, [note.verifier_key("c.example", OTHER)])


def test_a_bad_signature_of_a_known_key_rejects_the_note_even_beside_a_good_one() -> None:
    keys = [note.verifier_key("a.example", KEY), note.verifier_key("b.example", OTHER)]
    good = note.sign("text\n", "a.example", KEY)
    bad = note.sign("other\n", "b.example", OTHER).rpartition("\n\n")[2]
    note.verify(good, keys)
    with pytest.raises(NoteInvalid, match=r"b\.example is not over this text"):
        note.verify(good + bad, keys)


def test_sixteen_signatures_are_taken() -> None:
    signed = note.sign("text\n", "a.example", KEY)
    for i in range(15):
        signed += note.sign("text\n", f"w{i}.example", OTHER).rpartition("\n\n")[2]
    assert len(note.verify(signed, [note.verifier_key("a.example", KEY)]).signatures) == 16


def test_the_text_ends_at_the_last_empty_line() -> None:
    text = "one\n\ntwo\n\n\nthree\n"
    assert note.verify(note.sign(text, "a", KEY), [note.verifier_key("a", KEY)]).text == text


LINE = SIGNED.rpartition("\n\n")[2]


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n" + LINE,
        "text\n\n" + LINE[:-1],
        "text\n\n" + LINE.replace("—", "-"),
        "text\n\n" + LINE.replace("— ", "—"),
        "text\n\n" + LINE.replace("PeterNeumann", ""),
        "text\n\n" + LINE.replace("PeterNeumann", "Peter Neumann"),
        "text\n\n" + LINE.replace("PeterNeumann", "Peter\u2003Neumann"),
        "text\n\n" + LINE.replace("PeterNeumann", "Peter+Neumann"),
        "text\n\n" + LINE.replace("=", ""),
        "text\n\n" + LINE.replace("nAM=", "nAN="),
        "text\n\n" + LINE.replace("x08g", "x08 "),
        "text\n\n— a AAAAAA==\n",
        "te\txt\n\n" + LINE,
        "te\rxt\n\n" + LINE,
        "text\n\n" + LINE + "\n",
        "text\n\n" + LINE * 101,
        "x" * 1_000_001 + "\n\n" + LINE,
    ],
)
def test_a_malformed_note_is_refused(malformed: str) -> None:
    with pytest.raises(NoteInvalid):
        note.parse(malformed)


def test_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(NoteInvalid, match="UTF-8"):
        note.parse(b"te\xffxt\n\n" + LINE.encode())
    with pytest.raises(NoteInvalid, match="UTF-8"):
        note.parse("te\ud800xt\n\n" + LINE)


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "PeterNeumann",
        VKEY.replace("c74f20a3", "c74f20a4"),
        VKEY.replace("+ARpc", "+AhpC"),
        VKEY[:-4],
        VKEY.replace("PeterNeumann", ""),
        VKEY.replace("PeterNeumann", "Peter Neumann"),
    ],
)
def test_a_malformed_vkey_is_refused(malformed: str) -> None:
    with pytest.raises(NoteInvalid):
        note.parse_vkey(malformed)


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=400) | st.binary(max_size=400))
def test_any_input_is_a_note_or_refused_in_words(data: str | bytes) -> None:
    try:
        note.parse(data)
    except NoteInvalid:
        pass


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**62), st.binary(min_size=32, max_size=32))
def test_checkpoints_round_trip(size: int, root: bytes) -> None:
    head = Checkpoint(ORIGIN, size, merkle.EMPTY_ROOT if size == 0 else root)
    assert checkpoint.open_checkpoint(SIGNER.sign(head.size, head.root), SIGNER.key) == head


ROOT = b64encode(b"r" * 32).decode()


@pytest.mark.parametrize(
    "malformed",
    [
        f"o\n1\n{ROOT}",
        "o\n1\n",
        f"\n1\n{ROOT}\n",
        f"o\n01\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n+1\n{ROOT}\n",
        f"o\n1 \n{ROOT}\n",
        f"o\n١\n{ROOT}\n",
        f"o\n{10**20}\n{ROOT}\n",
        f"o\n0\n{ROOT}\n",
        f"o\n1\n{ROOT[:-4]}\n",
        f"o\n1\n{ROOT[:-1]}\n",
        f"o\n1\n{ROOT}\n\nextension\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(malformed: str) -> None:
    with pytest.raises(NoteInvalid):
        checkpoint.parse(malformed)


def test_a_checkpoint_of_another_log_under_the_same_key_is_refused() -> None:
    signed = note.sign(Checkpoint("other.example/log", 1, b"r" * 32).text, ORIGIN, KEY)
    with pytest.raises(NoteInvalid, match="is of the log 'other"):
        checkpoint.open_checkpoint(signed, SIGNER.key)


def test_extension_lines_are_kept_and_signed() -> None:
    head = Checkpoint(ORIGIN, 1, b"r" * 32, ("more",))
    assert checkpoint.open_checkpoint(note.sign(head.text, ORIGIN, KEY), SIGNER.key) == head


# Proofs


def proof_text(index: int = 2, size: int = 5, extra: bytes | None = None) -> str:
    hashes = [merkle.leaf_hash(b"leaf %d" % i) for i in range(size)]
    path = merkle.inclusion_path(index, size, lambda h, i: merkle.root_of(hashes[i << h : (i + 1) << h]))
    return proof.Proof(index, tuple(path), SIGNER.sign(size, merkle.root_of(hashes)), extra).text


def test_a_proof_proves_its_entry_and_no_other() -> None:
    assert proof.verify(proof_text(), b"leaf 2", SIGNER.key)[0] == 2
    with pytest.raises(ProofInvalid):
        proof.verify(proof_text(), b"leaf 3", SIGNER.key)
    with pytest.raises(NoteInvalid):
        proof.verify(proof_text(), b"leaf 2", note.verifier_key(ORIGIN, OTHER))


def test_a_proof_in_a_log_of_one_has_no_path() -> None:
    text = proof_text(0, 1)
    assert text.startswith("c2sp.org/tlog-proof@v1\nindex 0\n\nledger.example/log\n1\n")
    assert proof.verify(text, b"leaf 0", SIGNER.key)[1].size == 1


def test_a_proof_s_parts_round_trip() -> None:
    for extra in (None, b"", b"anything"):
        text = proof_text(extra=extra)
        assert proof.parse(text).text == text
        assert proof.parse(text).extra == extra


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tlog-proof@v1", "tlog-proof@v2"),
        ("index 2", "index 02"),
        ("index 2", "index 3"),
        ("index 2", "index"),
        ("index 2", "index -2"),
        ("index 2", "index 2\nindex 2"),
        ("index 2", "extra AAAA\nextra AAAA\nindex 2"),
        ("index 2", "extra A\nindex 2"),
        ("index 2", "index 2\nAAAA"),
        ("\n\nledger", "\nledger"),
    ],
)
def test_a_changed_proof_is_refused(old: str, new: str) -> None:
    text = proof_text()
    assert old in text
    with pytest.raises((ProofInvalid, NoteInvalid)):
        proof.verify(text.replace(old, new, 1), b"leaf 2", SIGNER.key)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_proof_with_any_changed_character_proves_nothing(data: st.DataObject) -> None:
    text = proof_text()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    try:
        index, head = proof.verify(changed, b"leaf 2", SIGNER.key)
    except (ProofInvalid, NoteInvalid):
        return
    assert (index, head.size) == (2, 5)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on PATH")
def test_openssl_accepts_the_checkpoint_s_signature_and_refuses_a_changed_text(tmp_path: Path) -> None:
    parsed = note.parse(SIGNER.sign(7, b"r" * 32))
    (tmp_path / "key.der").write_bytes(
        KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "signature").write_bytes(parsed.signatures[0].signature)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-keyform",
        "DER",
        "-inkey",
        "key.der",
        "-in",
        "text",
        "-sigfile",
        "signature",
    ]
    for text, code in ((parsed.text, 0), (parsed.text.replace("7", "8"), 1)):
        (tmp_path / "text").write_text(text)
        assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == code
