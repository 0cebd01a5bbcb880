"""A real Keyturn server for the agents' tests: a home, two people, and what the ledger says afterwards."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from keyturn.cli.client import Client
from keyturn.home import Home

PATIENCE = 240.0


class KeyturnServer:
    """`keyturn serve` on a home of its own. Dana owns the agents; Erin reviews."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.log = root.parent / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.command("init", "--person", "dana")

    def command(self, *words: str, environment: dict[str, str] | None = None, cwd: Path | None = None) -> str:
        """`keyturn …`: its standard output. Raises when it fails."""
        ran = self.tried(*words, environment=environment, cwd=cwd)
        assert ran.returncode == 0, f"keyturn {' '.join(words)}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def tried(
        self, *words: str, environment: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`keyturn …`, whatever it ends with."""
        variables = {**(environment or os.environ), "KEYTURN_HOME": str(self.home.root)}
        command = [sys.executable, "-m", "keyturn", *words]
        return subprocess.run(command, env=variables, cwd=cwd, capture_output=True, text=True, check=False)

    def start(self) -> None:
        """Start it, and enrol Erin when she isn't there yet."""
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "keyturn", "serve", "--port", "0"],
                env={**os.environ, "KEYTURN_HOME": str(self.home.root)},
                stdout=sink,
                stderr=sink,
            )
        self._until(lambda: self.home.server.exists() or self._process.poll() is not None)  # type: ignore[union-attr]
        assert self.home.server.exists(), self.log.read_text()
        if not (self.home.tokens / "erin").exists():
            made = self.of("dana").post("/v1/people", {"id": "erin", "groups": ["reviewers"]})
            (self.home.tokens / "erin").write_text(made["token"])

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(120)
            self._process = None

    def of(self, person: str) -> Client:
        """The API as *person*."""
        return Client(self.home, (self.home.tokens / person).read_text().strip())

    def waiting(self) -> dict[str, Any]:
        """The one request that waits, once it is there."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = self.of("erin").get("/v1/requests?only=waiting")
            return bool(found)

        self._until(there)
        assert len(found) == 1, found
        return found[0]

    def waiting_after(self, earlier: dict[str, Any]) -> dict[str, Any]:
        """The next request that waits once *earlier* was decided."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            waiting = self.of("erin").get("/v1/requests?only=waiting")
            found[:] = [one for one in waiting if one["id"] != earlier["id"]]
            return bool(found)

        self._until(there)
        return found[0]

    def approve(self, request: dict[str, Any]) -> None:
        """Erin approves what she was shown."""
        self._decide("approve", request, "looks right")

    def deny(self, request: dict[str, Any], reason: str) -> None:
        """Erin denies it."""
        self._decide("deny", request, reason)

    def _decide(self, choice: str, request: dict[str, Any], reason: str) -> None:
        body = {
            "reason": reason,
            "digest": request["digest"],
            "display": request["display"],
            "channel": "cli",
        }
        self.of("erin").post(f"/v1/requests/{request['id']}/{choice}", body)

    @property
    def size(self) -> int:
        """How many entries the ledger has (at most 1,000 are counted)."""
        return len(self.of("dana").get("/v1/ledger/entries?limit=1000"))

    def entries(self, kind: str, start: int = 0) -> list[dict[str, Any]]:
        """The disclosed fields of all entries of *kind* from *start* on."""
        found = []
        for entry in self.of("dana").get(f"/v1/ledger/entries?limit=1000&start={start}"):
            if entry["type"] == kind:
                fields = [_disclosed(disclosure) for disclosure in entry["disclosures"]]
                found.append(dict(fields) | {"session": entry["session"]})
        return found

    def verify(self) -> str:
        """`keyturn ledger verify`; raises when it is damaged."""
        return self.command("ledger", "verify")

    def _until(self, true: Any) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.05)


def _disclosed(disclosure: str) -> tuple[str, Any]:
    padded = disclosure + "=" * (-len(disclosure) % 4)
    _, name, value = json.loads(base64.urlsafe_b64decode(padded))
    return name, value
