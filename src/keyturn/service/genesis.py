"""The beginning of a home: keys, the first entry, the first person, the first policy.

These entries have nobody to approve them: there is nobody yet. They are marked `genesis`, and an auditor
finds them at the indices 0 to 2, or to 3 where the first person brought a key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyturn import canonical
from keyturn.errors import ExitCode, KeyturnError
from keyturn.home import Home
from keyturn.identity import tokens
from keyturn.ledger import Ledger
from keyturn.ledger.entries import Draft
from keyturn.policy import Policy
from keyturn.randomness import fresh

FORMAT = 1
"""Version of the entry format."""


class HomeExists(KeyturnError):
    """There is a home already."""

    code = "home.exists"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Use it, or name another with --home or KEYTURN_HOME."


class HomeMissing(KeyturnError):
    """There is no home here."""

    code = "home.missing"
    status = 503
    exit_code = ExitCode.USAGE
    next_step = "Run `keyturn init`, or name the home with --home or KEYTURN_HOME."


class HomeUnwritable(KeyturnError):
    """The home can't be written."""

    code = "home.unwritable"
    status = 503
    exit_code = ExitCode.INTERNAL
    not_done = "Nothing was changed and nothing ran."
    next_step = "Check the folder's owner, mode, and whether its disk is full or read-only."


def make_folders(home: Home) -> None:
    """All folders of a home, readable by their owner alone. Raises `HomeUnwritable`."""
    try:
        for folder in (home.root, home.keys, home.tokens, home.run, home.installed):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HomeUnwritable(f"{error.filename or home.root}: {error.strerror}.") from error


def write_private(path: Path, data: bytes) -> None:
    """Write *data* so that only the owner can ever read it. Raises `HomeUnwritable`."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise HomeUnwritable(f"{path}: {error.strerror}.") from error


def make_key(path: Path) -> Ed25519PrivateKey:
    """A new Ed25519 key, PKCS #8 PEM, mode 0600."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_private(path, pem)
    return key


def read_key(path: Path) -> Ed25519PrivateKey:
    """The key at *path*. Raises `HomeMissing`."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError) as error:
        raise HomeMissing(f"{path} can't be read as a key.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise HomeMissing(f"{path} is not an Ed25519 key.")
    return key


def redaction_key(home: Home) -> bytes:
    """The home's redaction key: 32 random bytes, made when they are not there. Raises `HomeUnwritable`, `HomeMissing`."""
    if not home.redaction_key.exists():
        write_private(home.redaction_key, fresh(32).hex().encode() + b"\n")
    try:
        key = bytes.fromhex(home.redaction_key.read_text("ascii").strip())
    except (OSError, ValueError) as error:
        raise HomeMissing(f"{home.redaction_key} can't be read as a key.") from error
    if len(key) != 32:
        raise HomeMissing(f"{home.redaction_key} is not a key of 32 bytes.")
    return key


def public_hex(key: Ed25519PrivateKey) -> str:
    """The raw public key as hexadecimal text."""
    return key.public_key().public_bytes_raw().hex()


def first_entries(
    ledger: Ledger,
    *,
    origin: str,
    log_key: Ed25519PrivateKey,
    permit_key: Ed25519PrivateKey,
    person: Mapping[str, Any],
    policy_files: Mapping[str, bytes],
    key: Mapping[str, Any] | None = None,
) -> str:
    """Write the first entries in one commit; gives the first person's token. *key*: fields of their `key.enrolled`, if they have one."""
    token = tokens.new_token("ktp")
    opened = {
        "format": FORMAT,
        "origin": origin,
        "log_key": public_hex(log_key),
        "permit_key": public_hex(permit_key),
    }
    first = {**person, "token": tokens.hash_token(token), "accounts": [], "by": "genesis"}
    ledger.append_sync(
        [
            Draft("log.opened", opened, once="log.opened"),
            Draft("person.enrolled", first, once=f"person.enrolled:{person['id']}"),
            published(Policy.parse(policy_files), policy_files, by="genesis", request=None),
            *([Draft("key.enrolled", dict(key), once=f"key.enrolled:{key['id']}")] if key else []),
        ]
    )
    return token


def published(policy: Policy, files: Mapping[str, bytes], *, by: str, request: str | None) -> Draft:
    """The entry that puts a policy version into effect, with its files beside it."""
    blobs = {canonical.digest_bytes(data): data for data in files.values()}
    fields = {
        "digest": policy.digest,
        "mode": policy.mode,
        "files": {path: canonical.digest_bytes(data) for path, data in sorted(files.items())},
        "by": by,
        "request": request,
        "genesis": by == "genesis",
        "oncall": sorted(policy.requirements.oncall),
    }
    return Draft("policy.published", fields, blobs=blobs)
