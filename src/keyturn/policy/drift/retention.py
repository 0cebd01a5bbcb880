"""`[retention.NAME]`: how long what agents make of labelled data may be kept.

[retention.customer-data]
labels = ["customer"]       # of resources.toml: what was read
keep = "24h"                # a file written from it has to be gone by then
after = "action"            # what counts as made of it: files written by the action that read it; or "session": by any later one
because = "the privacy notice, section 4"
folders = ["/srv/agents/cache"]   # all that lies there is made of it, too: caches, work folders, vector stores
scan = "1h"                 # how often they are looked through; "never" for not at all
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keyturn.policy.requirements.part import Part

LEAST_SCAN = 60
REACHES = ("action", "session")


class Retention(Struct, frozen=True):
    """One rule. `keep` in seconds. `after`: how far labelled data reaches, within one action or all the session from there on.

    `folders` are absolute; they are looked through every `scan` seconds, 0 for never.
    """

    name: str
    labels: tuple[str, ...]
    keep: int
    after: Literal["action", "session"] = "action"
    because: str = ""
    folders: tuple[str, ...] = ()
    scan: int = 3600


def read_retention(part: Part) -> dict[str, Retention]:
    """All of them by name."""
    found = {}
    for one in part.named():
        one.known("labels", "keep", "after", "because", "folders", "scan")
        labels = one.texts("labels")
        if not labels and not isinstance(one.body.get("labels"), list):
            one.wrong(one.name, f"[{one.heading}] has labels", 'labels = ["customer"]')
        one.required("keep", 'keep = "24h"')
        reach = one.choice("after", REACHES, "action")
        found[one.name] = Retention(
            one.name,
            labels,
            one.seconds("keep", 0),
            "session" if reach == "session" else "action",
            one.text("because"),
            _folders(one),
            _scan(one),
        )
    return found


def _folders(part: Part) -> tuple[str, ...]:
    found = part.texts("folders")
    for folder in found:
        if not folder.startswith("/") or not folder.strip("/") or ".." in folder.split("/"):
            part.wrong(
                folder, "a folder is absolute, and not the whole disk", 'folders = ["/srv/agents/cache"]'
            )
    return tuple(folder.rstrip("/") for folder in found)


def _scan(part: Part) -> int:
    if part.body.get("scan") == "never":
        return 0
    every = part.seconds("scan", 3600)
    if every < LEAST_SCAN:
        part.wrong("scan", "folders are looked through once a minute at most", 'scan = "1h"')
        return 3600
    return every
