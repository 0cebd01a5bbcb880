"""Fetching what a reviewer sees, and sending what they decide. Whatever fails comes back as words; nothing is believed before its entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from keyturn.cli.client import Client, segment
from keyturn.cli.terminal import visible
from keyturn.errors import KeyturnError

PAGE = 500
"""Requests that one look fetches: the most urgent ones."""

Row = dict[str, Any]


class Answer(Struct, frozen=True):
    """What a reviewer said beside their choice."""

    reason: str = ""
    typed: str = ""
    ticket: str = ""


class Desk:
    """A reviewer's way to the server. Who *signs* sees what this program worked out itself, and signs that; *key* names the SSH key."""

    def __init__(self, client: Client, *, signs: bool = False, key: Path | None = None) -> None:
        self.client = client
        self.signs = signs
        self._key = key
        self._handed: Row = {}

    def waiting(self) -> list[Row]:
        """What waits. Raises `KeyturnError`."""
        found: list[Row] = self.client.get(f"/v1/requests?limit={PAGE}")
        return found

    def view(self, request: str) -> Row:
        """One request, whole; for who signs everything in it comes from the document that they would sign. Raises `KeyturnError`."""
        found: Row = self.client.get(f"/v1/requests/{segment(request)}")
        if not self.signs or found["state"] != "waiting" or found["may_decide"]:
            return found
        from keyturn.cli import signing

        handed = signing.handed_out(self.client, found, "approve", "")
        shown = signing.checked(request, found, handed)
        self._handed = {request: handed}
        return shown

    def decide(self, view: Row, choice: str, answer: Answer, *, signed: bool = False) -> str:
        """Decide exactly what *view* shows; the words for the reviewer. Raises `KeyturnError`: then nothing was decided, or
        it says that this is not known.
        """
        body = {
            "digest": view["digest"],
            "display": view["display"],
            "reason": answer.reason,
            "channel": "cli",
        }
        body |= {"typed": answer.typed} if answer.typed else {}
        body |= {"ticket": answer.ticket} if answer.ticket else {}
        if signed and choice == "approve":
            from keyturn.cli import signing

            handed = self._handed[view["id"]]
            body |= signing.proof(self.client, view, handed, answer.reason, "", answer.ticket, self._key)
        return outcome(self.client.post(f"/v1/requests/{segment(view['id'])}/{choice}", body), choice)


def outcome(after: Row, choice: str) -> str:
    """What became of it, with the entry's number."""
    if after.get("drill"):
        return f"{visible(after['ended_why'])} Entry {after['drill']['entry']}."
    entry = after["approvals"][-1]["entry"]
    done = "Approved" if choice == "approve" else "Denied"
    if after["state"] != "waiting":
        return f"{done}: entry {entry}. {visible(after['id'])} is {after['state']}."
    missing = [
        f"{s['need'] - s['have']} of {visible(s['group'].replace('|', ' or '))}"
        for s in after["stages"]
        if s["have"] < s["need"]
    ]
    return f"{done}: entry {entry}. {visible(after['id'])} still waits for {', '.join(missing)}."


def failure(error: KeyturnError) -> str:
    """An error as one line."""
    return visible(f"{error.happened} {error.not_done}")
