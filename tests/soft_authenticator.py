"""Authenticators made of software, for tests: passkeys whose every byte and flag can be set, and SSH keys, security keys included."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from keyturn.approvals import passkey
from keyturn.approvals.proof import NAMESPACE, PasskeyProof, SshProof
from keyturn.identity.keys import EnrolledKey, KeyRecord, from_b64, key_id, to_b64

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
ORIGIN = "https://keyturn.example"
RP_ID = "keyturn.example"
LOG = "log.example/1"
AAGUID = bytes.fromhex("01020304050607080102030405060708")

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


class SoftPasskey:
    """A passkey of one site."""

    def __init__(self, kind: str = "ES256", rp_id: str = RP_ID, flags: int = UP | UV) -> None:
        self.rp_id = rp_id
        self.flags = flags
        self.credential = hashlib.sha256(kind.encode()).digest()[:20]
        self.key = _private(kind)
        self.public = _cose(self.key)

    def client_data(self, kind: str, challenge: bytes, origin: str = ORIGIN, **more: Any) -> bytes:
        """As a browser writes it."""
        data = {"type": kind, "challenge": to_b64(challenge), "origin": origin, "crossOrigin": False, **more}
        return json.dumps(data, separators=(",", ":")).encode()

    def authenticator_data(
        self, flags: int | None = None, rp_id: str | None = None, attested: bytes = b""
    ) -> bytes:
        """RP id hash, flags, counter."""
        site = hashlib.sha256((rp_id or self.rp_id).encode()).digest()
        return site + bytes([self.flags if flags is None else flags]) + struct.pack(">I", 0) + attested

    def sign(self, data: bytes) -> bytes:
        """The key's signature."""
        return _sign(self.key, data)

    def register(
        self, challenge: bytes, origin: str = ORIGIN, flags: int | None = None, vendor: Vendor | None = None
    ) -> dict[str, str]:
        """What `navigator.credentials.create` gives."""
        client = self.client_data("webauthn.create", challenge, origin)
        attested = AAGUID + struct.pack(">H", len(self.credential)) + self.credential + self.public
        data = self.authenticator_data((self.flags if flags is None else flags) | AT, attested=attested)
        statement: dict[str, Any] = {}
        if vendor is not None:
            signed = data + hashlib.sha256(client).digest()
            statement = {"alg": -7, "sig": _sign(vendor.key, signed), "x5c": [vendor.certificate]}
        made = {"fmt": "packed" if vendor else "none", "attStmt": statement, "authData": data}
        return {
            "client_data": to_b64(client),
            "attestation_object": to_b64(cbor2.dumps(made)),
            "credential_id": to_b64(self.credential),
        }

    def enrolled(self, person: str, *, attested: bool = False, log: str = LOG) -> EnrolledKey:
        """As the roster would have it."""
        record = KeyRecord(
            type="passkey", person=person, log=log, rp_id=self.rp_id, public_key=to_b64(self.public),
            credential_id=to_b64(self.credential), aaguid="", random=to_b64(bytes(32)),
        )  # fmt: skip
        return EnrolledKey(key_id(self.public), record, attested, bool(self.flags & BE))

    def prove(self, statement: bytes, **changes: Any) -> PasskeyProof:
        """The proof of *statement*; *changes*: `origin`, `kind`, `challenge`, `flags`, `rp_id`, `more`."""
        challenge = changes.get("challenge", hashlib.sha256(statement).digest())
        client = self.client_data(
            changes.get("kind", "webauthn.get"), challenge, changes.get("origin", ORIGIN), **changes.get("more", {})
        )  # fmt: skip
        data = self.authenticator_data(changes.get("flags"), changes.get("rp_id"))
        signature = self.sign(data + hashlib.sha256(client).digest())
        return PasskeyProof(key_id(self.public), to_b64(client), to_b64(data), to_b64(signature))


class Vendor:
    """A maker of authenticators: a root certificate, and an attestation key under it."""

    def __init__(self) -> None:
        root_key, self.key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = _certificate("root", root_key, "root", root_key, authority=True)
        self.root = root.public_bytes(serialization.Encoding.PEM)
        leaf = _certificate("attestation", self.key, "root", root_key, authority=False)
        self.certificate = leaf.public_bytes(serialization.Encoding.DER)


class SoftSshKey:
    """An SSH key; `sk-` kinds set the flags that a security key would."""

    def __init__(
        self, kind: str = "ssh-ed25519", flags: int = 0x01 | 0x04, application: str = "ssh:"
    ) -> None:
        self.kind, self.flags, self.application = kind, flags, application
        self.key = _private({"ssh-rsa": "RS256"}.get(kind, "EdDSA" if "ed25519" in kind else "ES256"))
        self.blob = self._blob()
        self.line = f"{kind} {base64.b64encode(self.blob).decode()} test"

    def _blob(self) -> bytes:
        public = self.key.public_key()
        parts = [self.kind.encode()]
        if isinstance(public, ed25519.Ed25519PublicKey):
            parts.append(public.public_bytes_raw())
        elif isinstance(public, ec.EllipticCurvePublicKey):
            point = public.public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
            parts += [b"nistp256", point]
        else:
            numbers = public.public_numbers()
            parts += [_mpint(numbers.e), _mpint(numbers.n)]
        if self.kind.startswith("sk-"):
            parts.append(self.application.encode())
        return b"".join(map(_string, parts))

    def sign(self, message: bytes, namespace: str = NAMESPACE, flags: int | None = None) -> str:
        """As `ssh-keygen -Y sign` writes it."""
        parts = (namespace.encode(), b"", b"sha512", hashlib.sha512(message).digest())
        signed = b"SSHSIG" + b"".join(map(_string, parts))
        rest = b""
        if self.kind.startswith("sk-"):
            rest = bytes([self.flags if flags is None else flags]) + struct.pack(">I", 7)
            application = hashlib.sha256(self.application.encode()).digest()
            signed = application + rest + hashlib.sha256(signed).digest()
        algorithm = "rsa-sha2-512" if self.kind == "ssh-rsa" else self.kind
        raw = self._raw(signed)
        blob = _string(algorithm.encode()) + _string(raw) + rest
        whole = b"SSHSIG\0\0\0\1" + b"".join(map(_string, (self.blob, *parts[:3], blob)))
        text = base64.b64encode(whole).decode()
        lines = [text[at : at + 70] for at in range(0, len(text), 70)]
        return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])

    def _raw(self, signed: bytes) -> bytes:
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            r, s = decode_dss_signature(_sign(self.key, signed))
            return _string(_mpint(r)) + _string(_mpint(s))
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(signed, padding.PKCS1v15(), hashes.SHA512())
        return self.key.sign(signed)

    def enrolled(self, person: str, log: str = LOG) -> EnrolledKey:
        """As the roster would have it."""
        record = KeyRecord(
            type="ssh", person=person, log=log, rp_id="", public_key=to_b64(self.blob), credential_id="",
            aaguid="", random=to_b64(bytes(32)),
        )  # fmt: skip
        return EnrolledKey(key_id(self.blob), record)

    def prove(self, statement: bytes, namespace: str = NAMESPACE, flags: int | None = None) -> SshProof:
        """The proof of *statement*."""
        return SshProof(key_id(self.blob), self.sign(statement, namespace, flags))


def register(
    passkey_: SoftPasskey, person: str, random: str, vendor: Vendor | None = None, **more: Any
) -> dict[str, str]:
    """A registration for *person*."""
    challenge = passkey.enrolment_challenge(more.pop("log", LOG), person, passkey_.rp_id, random)
    return passkey_.register(challenge, vendor=vendor, **more)


def _private(kind: str) -> Private:
    if kind == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def _sign(key: Private, data: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(data)


def _cose(key: Private) -> bytes:
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        n = public.public_numbers()
        made = {1: 2, 3: -7, -1: 1, -2: n.x.to_bytes(32, "big"), -3: n.y.to_bytes(32, "big")}
    elif isinstance(public, rsa.RSAPublicKey):
        r = public.public_numbers()
        made = {1: 3, 3: -257, -1: r.n.to_bytes(256, "big"), -2: r.e.to_bytes(3, "big")}
    else:
        made = {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
    return cbor2.dumps(made)


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey, *, authority: bool
) -> x509.Certificate:  # fmt: skip
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    return made.sign(by, hashes.SHA256())


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _mpint(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


__all__ = ["SoftPasskey", "SoftSshKey", "Vendor", "from_b64", "register"]
