"""SSH public keys and `ssh-keygen -Y` signatures. Pure.

Rules kept here:

- A signature is over `SSHSIG`, namespace, reserved, hash name and hash of the message; the namespace keeps a signature that was
  made for git or for files from being an approval. Source: PROTOCOL.sshsig of OpenSSH 9.
- Security keys (`sk-`) sign the hash of their application, a byte of flags, a counter and the hash of the message: bit 0
  of the flags says that somebody touched the key, bit 2 that it checked who (PIN, fingerprint). Source: PROTOCOL.u2f of OpenSSH 9.
- Every length is read exactly; bytes left over are refused. Certificates, DSA, other curves and short RSA keys are refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from msgspec import Struct

MAX_KEY_BYTES = 2048
MAX_SIGNATURE = 8192
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
TOUCHED, VERIFIED = 0x01, 0x04

ED25519, ECDSA, RSA = "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"
SK_ED25519, SK_ECDSA = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"
ALGORITHMS = (ED25519, SK_ED25519, ECDSA, SK_ECDSA, RSA)

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


class SshPublicKey(Struct, frozen=True):
    """An SSH public key: its algorithm, wire form and, for a security key, the application that it signs for."""

    algorithm: str
    blob: bytes
    public: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    application: str = ""

    @property
    def security_key(self) -> bool:
        """Whether the key's type is one of hardware security keys (`sk-`)."""
        return self.algorithm in (SK_ED25519, SK_ECDSA)

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as `ssh-keygen -l` shows it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).rstrip(b"=").decode()


class SshSignature(Struct, frozen=True):
    """What `ssh-keygen -Y sign` wrote: not verified yet."""

    key: bytes
    namespace: str
    hash: str
    blob: bytes
    reserved: bytes = b""


def parse_public_key(line: str) -> SshPublicKey:
    """The key of a line as in `id_ed25519.pub`. Raises ValueError that says what is wrong."""
    words = line.split(None, 2)
    if len(words) < 2:
        raise ValueError("it is not a line like `ssh-ed25519 AAAA… comment`")
    if words[0] not in ALGORITHMS:
        raise ValueError(f"keys of type {words[0][:60]!r} are not accepted; use {', '.join(ALGORITHMS)}")
    try:
        blob = base64.b64decode(words[1].encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("its second word is not base64") from error
    key = read_public_key(blob)
    if key.algorithm != words[0]:
        raise ValueError(f"it says {words[0]} and holds {key.algorithm}")
    return key


def read_public_key(blob: bytes) -> SshPublicKey:
    """The key whose wire form *blob* is. Raises ValueError."""
    if len(blob) > MAX_KEY_BYTES:
        raise ValueError("it is too long for a key")
    reader = _Reader(blob)
    algorithm = reader.text()
    try:
        public, application = _public(algorithm, reader)
    except UnsupportedAlgorithm as error:
        raise ValueError("its algorithm is not supported here") from error
    reader.end()
    return SshPublicKey(algorithm, blob, public, application)


def _public(
    algorithm: str, reader: _Reader
) -> tuple[ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey, str]:
    if algorithm in (ED25519, SK_ED25519):
        edwards = ed25519.Ed25519PublicKey.from_public_bytes(reader.string())
        return edwards, reader.text() if algorithm == SK_ED25519 else ""
    if algorithm in (ECDSA, SK_ECDSA):
        if reader.text() != "nistp256":
            raise ValueError("its curve is not nistp256")
        point = reader.string()
        if len(point) != 65 or point[0] != 4:
            raise ValueError("its point is not uncompressed")
        curve = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        return curve, reader.text() if algorithm == SK_ECDSA else ""
    if algorithm == RSA:
        e, n = reader.number(), reader.number()
        if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS or e < 3 or e > 2**32 or not e % 2:
            raise ValueError(f"RSA keys have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits here")
        return rsa.RSAPublicNumbers(e, n).public_key(), ""
    raise ValueError(f"keys of type {algorithm[:60]!r} are not accepted; use {', '.join(ALGORITHMS)}")


def parse_signature(armored: str) -> SshSignature:
    """An armored signature taken apart. Raises ValueError."""
    lines = armored.strip().splitlines()
    if len(armored) > MAX_SIGNATURE or len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise ValueError("it is not what `ssh-keygen -Y sign` writes")
    try:
        raw = base64.b64decode("".join(lines[1:-1]).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("it is not base64") from error
    reader = _Reader(raw)
    if reader.take(6) != b"SSHSIG" or reader.take(4) != b"\0\0\0\1":
        raise ValueError("it is not version 1 of SSHSIG")
    key, namespace, reserved = reader.string(), reader.text(), reader.string()
    found = SshSignature(key, namespace, reader.text(), reader.string(), reserved)
    reader.end()
    if found.hash not in ("sha256", "sha512"):
        raise ValueError(f"its hash is {found.hash[:20]!r}")
    return found


def check_signature(signature: SshSignature, key: SshPublicKey, message: bytes) -> int:
    """The flags of a security key, 0 for others, if *signature* is *key*'s over *message*.

    Raises `InvalidSignature` when it is not, ValueError when it has not the form.
    """
    digest = hashlib.new(signature.hash, message).digest()
    signed = b"SSHSIG" + b"".join(
        _string(part)
        for part in (signature.namespace.encode(), signature.reserved, signature.hash.encode(), digest)
    )
    reader = _Reader(signature.blob)
    algorithm, raw = reader.text(), reader.string()
    flags = 0
    if key.security_key:
        rest = reader.take(5)
        flags = rest[0]
        application = hashlib.sha256(key.application.encode()).digest()
        signed = application + rest + hashlib.sha256(signed).digest()
    reader.end()
    _check(algorithm, raw, key, signed)
    return flags


def _check(algorithm: str, raw: bytes, key: SshPublicKey, signed: bytes) -> None:
    public = key.public
    if isinstance(public, rsa.RSAPublicKey):
        if algorithm not in ("rsa-sha2-256", "rsa-sha2-512"):
            raise ValueError(f"RSA signatures of type {algorithm[:40]!r} are not accepted")
        kind = hashes.SHA512() if algorithm == "rsa-sha2-512" else hashes.SHA256()
        public.verify(raw, signed, padding.PKCS1v15(), kind)
        return
    if algorithm != key.algorithm:
        raise ValueError(f"it is of type {algorithm[:40]!r}, the key of {key.algorithm!r}")
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(raw, signed)
        return
    parts = _Reader(raw)
    r, s = parts.number(), parts.number()
    parts.end()
    if r <= 0 or s <= 0:
        raise InvalidSignature
    public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class _Reader:
    """The wire form of RFC 4251 §5, read exactly."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise ValueError("it ends too early")
        self._at += size
        return found

    def string(self) -> bytes:
        return self.take(int.from_bytes(self.take(4), "big"))

    def text(self) -> str:
        try:
            return self.string().decode("ascii")
        except UnicodeDecodeError as error:
            raise ValueError("a name in it is not ASCII") from error

    def number(self) -> int:
        data = self.string()
        if data and (data[0] & 0x80 or (data[0] == 0 and (len(data) == 1 or not data[1] & 0x80))):
            raise ValueError("a number in it is negative or has needless zeros")
        return int.from_bytes(data, "big")

    def end(self) -> None:
        if self._at != len(self._data):
            raise ValueError("it has bytes left over")


__all__ = [
    "SshPublicKey", "SshSignature", "check_signature", "parse_public_key", "parse_signature", "read_public_key",
]  # fmt: skip
