"""The home's own small certificate authority: the gates' listener, and client certificates of gates on other machines (mTLS).

Rules kept here (RFC 5280, RFC 8705):

- The authority's key signs nothing but these: one level, no intermediate (`pathlen` 0), ECDSA P-256, which every TLS library speaks.
- A client certificate is over a key that the gate made itself: its private half never leaves the gate's machine. The request
  has to be signed with that key (proof of possession, RFC 2986), and nothing in the request but the key is taken over.
- A client certificate is for TLS clients only, a server's for servers only (`extendedKeyUsage`).
- What a certificate opens is in the ledger under its fingerprint; its own dates only make it end sooner.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError, Malformed
from keyturn.service.genesis import write_private

AUTHORITY_DAYS = 3650
SERVER_DAYS = 397
"""The listener's certificate is made anew at each start of the server."""
EARLY = datetime.timedelta(minutes=5)
"""How much earlier than now a certificate begins: clocks of two machines differ."""
MIN_RSA = 2048


class AuthorityBroken(KeyturnError):
    """The home's certificate authority can't be read."""

    code = "authority.broken"
    status = 503
    exit_code = ExitCode.INTERNAL
    not_done = "The gates' listener did not start and no certificate was issued."
    next_step = "Restore keys/ca.key and keys/ca.pem from a copy; without one, remove both: every gate then needs a new certificate."


class Certificate(Struct, frozen=True):
    """A certificate (PEM) and its fingerprint as tokens and entries name it: base64url of SHA-256 over the DER."""

    pem: str
    fingerprint: str


class Authority:
    """The key and certificate in *key* and *certificate*; made when neither is there. Raises `AuthorityBroken`."""

    def __init__(self, key: Path, certificate: Path, origin: str) -> None:
        if not key.exists() and not certificate.exists():
            _make(key, certificate, origin)
        try:
            loaded = serialization.load_pem_private_key(key.read_bytes(), None)
            self.certificate = x509.load_pem_x509_certificate(certificate.read_bytes())
        except (OSError, ValueError, UnsupportedAlgorithm) as error:
            raise AuthorityBroken(
                f"{key.name} or {certificate.name} in {key.parent} can't be read."
            ) from error
        if (
            not isinstance(loaded, ec.EllipticCurvePrivateKey)
            or loaded.public_key() != self.certificate.public_key()
        ):
            raise AuthorityBroken(f"{key.name} is not the key of {certificate.name}.")
        self._key = loaded

    @property
    def pem(self) -> str:
        """The authority's certificate: what gates trust."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def for_client(self, request: str, name: str, until_ms: int, now_ms: int) -> Certificate:
        """A client certificate for the gate *name* over the key in *request* (PKCS #10, PEM). Raises `Malformed`."""
        key = _requested(request)
        uri = x509.UniformResourceIdentifier(f"keyturn:gate:{name}")
        made = self._certificate(
            key, name, [uri], ExtendedKeyUsageOID.CLIENT_AUTH, _moment(now_ms), _moment(until_ms)
        )
        return Certificate(made.public_bytes(serialization.Encoding.PEM).decode(), fingerprint_of(made))

    def for_server(self, names: Sequence[str], now_ms: int) -> bytes:
        """A fresh key and certificate for the listener under *names* (host names, addresses), one PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [_general(name) for name in names]
        begin = _moment(now_ms)
        end = begin + datetime.timedelta(days=SERVER_DAYS)
        made = self._certificate(
            key.public_key(), names[0], alternatives, ExtendedKeyUsageOID.SERVER_AUTH, begin, end
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private + made.public_bytes(serialization.Encoding.PEM)

    def _certificate(
        self,
        key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey,
        name: str,
        alternatives: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        begin: datetime.datetime,
        end: datetime.datetime,
    ) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin - EARLY)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )


def fingerprint_of(certificate: x509.Certificate | bytes) -> str:
    """base64url(SHA-256(DER)), as in RFC 8705 §3.1."""
    der = (
        certificate
        if isinstance(certificate, bytes)
        else certificate.public_bytes(serialization.Encoding.DER)
    )
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def secret_of(fingerprint: str) -> str:
    """Under which a certificate's credential is found."""
    return f"x5t#S256:{fingerprint}"


def _make(key: Path, certificate: Path, origin: str) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Keyturn gates of {origin}"[:64])])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    write_private(certificate, made.public_bytes(serialization.Encoding.PEM))
    write_private(
        key,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs, crl_sign=signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _requested(request: str) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey:
    """The key that *request* asks a certificate for, if whoever made it has the private half."""
    try:
        asked = x509.load_pem_x509_csr(request.encode("ascii", "replace"))
        genuine = asked.is_signature_valid
        key = asked.public_key()
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise Malformed("`csr` is no certificate request (PKCS #10, PEM).") from error
    if not genuine:
        raise Malformed("The certificate request is not signed with its own key.")
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return key
    raise Malformed("A gate's key is ECDSA P-256 or P-384, Ed25519, or RSA of at least 2048 bits.")


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _moment(ms: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC)
