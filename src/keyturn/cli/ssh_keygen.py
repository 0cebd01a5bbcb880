"""Signing with OpenSSH's own `ssh-keygen -Y sign`: a key file, a security key that blinks, or an agent. No private key is read here."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keyturn.approvals import ssh_signature
from keyturn.approvals.ssh_signature import SshPublicKey
from keyturn.errors import ExitCode, KeyturnError

KEYGEN = "ssh-keygen"
AGENT = "ssh-add"
MAX_FILE = 65_536


class NotSigned(KeyturnError):
    """OpenSSH made no signature: no such key, a wrong passphrase, a security key that nobody touched, no ssh-keygen."""

    code = "sign.failed"
    status = 409
    exit_code = ExitCode.REFUSED
    not_done = "Nothing was signed and nothing was changed."
    next_step = (
        "Name the key with --key FILE (its private file, or the .pub of one that your ssh-agent holds)."
    )


def sign(data: bytes, namespace: str, key: Path) -> str:
    """*data* signed in *namespace* with the key file *key*, armored. What OpenSSH asks for is asked on the terminal.

    Raises `NotSigned`.
    """
    program = shutil.which(KEYGEN)
    if program is None:
        raise NotSigned("There is no ssh-keygen.", next_step="Install OpenSSH's client.")
    command = [program, "-Y", "sign", "-n", namespace, "-f", str(key)]
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=False)
    text = done.stdout.decode("ascii", "replace")
    if done.returncode or not text.startswith("-----BEGIN SSH SIGNATURE-----"):
        raise NotSigned(f"ssh-keygen did not sign with {key}.")
    return text


def public_key(file: Path) -> SshPublicKey:
    """The public key of *file*: of a `.pub`, or of a private key that has its `.pub` beside it. Raises `NotSigned`."""
    place = file if file.suffix == ".pub" else file.with_name(file.name + ".pub")
    try:
        text = place.read_bytes()[:MAX_FILE].decode("utf-8", "replace")
        return ssh_signature.parse_public_key(text.strip().partition("\n")[0])
    except OSError as error:
        raise NotSigned(f"{place}: {error.strerror}.") from error
    except ValueError as error:
        raise NotSigned(f"{place} can't be used: {error}.") from error


def known(folder: Path | None = None) -> Iterator[tuple[SshPublicKey, Path | None]]:
    """Keys at hand: those of the usual files with their private file, then those of the agent (without a file)."""
    for file in sorted((folder or Path.home() / ".ssh").glob("*.pub")):
        with contextlib.suppress(NotSigned):
            yield public_key(file), file.with_suffix("") if file.with_suffix("").exists() else file
    program = shutil.which(AGENT)
    if program is None:
        return
    listed = subprocess.run([program, "-L"], capture_output=True, check=False).stdout
    for line in listed.decode("utf-8", "replace").splitlines():
        with contextlib.suppress(ValueError):
            yield ssh_signature.parse_public_key(line), None


@contextlib.contextmanager
def as_file(key: SshPublicKey, file: Path | None) -> Iterator[Path]:
    """A file with which OpenSSH finds *key*: its own, or for a key of the agent one with the public key alone."""
    if file is not None:
        yield file
        return
    import base64

    with tempfile.TemporaryDirectory(prefix="keyturn-key-") as folder:
        place = Path(folder) / "key.pub"
        place.write_text(f"{key.algorithm} {base64.b64encode(key.blob).decode()}\n", encoding="ascii")
        yield place
