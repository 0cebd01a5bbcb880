"""The people of an unattended demonstration: a reviewer who looks at what waits and decides, through the API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from keyturn.cli.client import Client
from keyturn.errors import KeyturnError

REASON = "Publishing waits for the release on Monday."


def choose(request: dict[str, Any]) -> tuple[str, str]:
    """What the scripted reviewer decides about a request, and why."""
    script = str(request["content"].get("script", ""))
    if script.startswith("rm "):
        return "approve", "Build output can be made again."
    if script.startswith("git push"):
        return "deny", REASON
    return "deny", "It says something else than it shows."


class Reviewer(threading.Thread):
    """Decides every request as soon as it waits, until told to stop."""

    def __init__(self, client: Client, tell: Callable[[str], None]) -> None:
        super().__init__(name="reviewer", daemon=True)
        self._client = client
        self._tell = tell
        self._over = threading.Event()

    def run(self) -> None:
        """Look, decide, look again."""
        while not self._over.wait(0.2):
            try:
                for request in self._client.get("/v1/requests"):
                    self._decide(request)
            except KeyturnError as error:
                self._tell(f"the reviewer could not decide: {error}")

    def _decide(self, request: dict[str, Any]) -> None:
        choice, reason = choose(request)
        body = {
            "digest": request["digest"],
            "display": request["display"],
            "reason": reason,
            "channel": "demo",
        }
        self._client.post(f"/v1/requests/{request['id']}/{choice}", body)
        self._tell(f"riley: {choice} — {reason}")

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        self.join()
