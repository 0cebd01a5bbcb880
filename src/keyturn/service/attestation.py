"""Root certificates of makers of authenticators: the folder `attestation` of a home, one PEM certificate a file."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from keyturn.errors import ExitCode, KeyturnError


class RootsUnreadable(KeyturnError):
    """A file in the folder `attestation` is not one PEM certificate."""

    code = "home.attestation"
    exit_code = ExitCode.USAGE
    not_done = "Keyturn did not start."
    next_step = "Put one PEM certificate into each file there, or take the file away."


def read_roots(folder: Path) -> tuple[bytes, ...]:
    """The certificates in *folder*, in order of their names; none when there is no folder. Raises `RootsUnreadable`."""
    found = []
    for file in sorted(folder.glob("*.pem")) if folder.is_dir() else ():
        try:
            data = file.read_bytes()
            if len(x509.load_pem_x509_certificates(data)) != 1:
                raise ValueError("not one certificate")
        except (OSError, ValueError) as error:
            raise RootsUnreadable(f"{file} can't be used: {error}.") from error
        found.append(data)
    return tuple(found)
