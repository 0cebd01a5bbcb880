"""News of the queue, from the server's event stream: a call for each change that could alter what waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

from keyturn.cli.client import Client
from keyturn.errors import KeyturnError

AGAIN = 2.0
"""Seconds until a lost connection is tried again."""


class Feed:
    """Listens in a thread of its own until `stop`. *changed* and *lost* (with words) are called in that thread."""

    def __init__(self, client: Client, changed: Callable[[], None], lost: Callable[[str], None]) -> None:
        self._client, self._changed, self._lost = client, changed, lost
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="review feed", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; the thread ends with the process at the latest."""
        self._ended.set()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                # The stream is open before the first look, so nothing lands between the two.
                for change in self._client.events(opened=self._changed):
                    if self._ended.is_set():
                        return
                    if change.get("request"):
                        self._changed()
                words = "The server ended the connection."
            except KeyturnError as error:
                words = error.happened
            if not self._ended.is_set():
                self._lost(words)
            self._ended.wait(AGAIN)
