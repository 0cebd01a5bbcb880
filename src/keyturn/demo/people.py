"""The reviewer's side: unattended a person who decides by themselves, attended one who is told what waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from keyturn.cli.client import Client
from keyturn.errors import KeyturnError

Tell = Callable[[str], None]

LOOK_SECONDS = 0.2
REASON = "Publishing waits for the release on Monday."


def choose(request: dict[str, Any]) -> tuple[str, str]:
    """What the scripted reviewer decides about a request, and why."""
    script = str(request["content"].get("script", ""))
    if script.startswith("rm "):
        return "approve", "Build output can be made again."
    if script.startswith("git push"):
        return "deny", REASON
    return "deny", "It says something else than it shows."


class Watch(threading.Thread):
    """Looks at what waits until it is told to end. `held` is how many requests it saw."""

    def __init__(self, client: Client, tell: Tell) -> None:
        super().__init__(name="reviewer", daemon=True)
        self._client = client
        self._tell = tell
        self._over = threading.Event()
        self._seen: set[str] = set()
        self.held = 0

    def run(self) -> None:
        """Look, act on what is new, look again."""
        while not self._over.wait(LOOK_SECONDS):
            try:
                for request in self._client.get("/v1/requests"):
                    if request["id"] not in self._seen:
                        self._seen.add(request["id"])
                        self.held += 1
                        self.act(request)
            except KeyturnError as error:
                if not self._over.is_set():
                    self._tell(f"the reviewer could not decide: {error}")

    def act(self, request: dict[str, Any]) -> None:
        """What to do about a request that was not there before."""
        raise AssertionError("a watch is a Reviewer or a Doorbell")

    def end(self) -> None:
        """Stop looking."""
        self._over.set()
        if self.is_alive():
            self.join()


class Reviewer(Watch):
    """Decides every request as soon as it waits."""

    def act(self, request: dict[str, Any]) -> None:
        """Approve or deny it, through the API."""
        choice, reason = choose(request)
        body = {
            "digest": request["digest"],
            "display": request["display"],
            "reason": reason,
            "channel": "demo",
        }
        self._client.post(f"/v1/requests/{request['id']}/{choice}", body)
        self._tell(f"riley {'✓' if choice == 'approve' else '✗'} {choice}: {reason}")


class Doorbell(Watch):
    """Tells whoever sits in front of the terminal that the agent waits for them."""

    def act(self, request: dict[str, Any]) -> None:
        """Name the request, and how to decide it."""
        self._tell("        HELD: the agent waits for you, on the page or in the other terminal:")
        self._tell(f"        keyturn approve {request['id']}")
        self._tell(f"        keyturn deny {request['id']} --reason 'why'")
