"""`[retention.NAME]`: how long what agents make of labelled data may be kept.

[retention.customer-data]
labels = ["customer"]       # of resources.toml: what was read
keep = "24h"                # a file written from it has to be gone by then
after = "action"            # what counts as made of it: files written by the action that read it; or "session": by any later one
because = "the privacy notice, section 4"
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keyturn.policy.requirements.part import Part

REACHES = ("action", "session")


class Retention(Struct, frozen=True):
    """One rule. `keep` in seconds. `after`: how far labelled data reaches, within one action or all the session from there on."""

    name: str
    labels: tuple[str, ...]
    keep: int
    after: Literal["action", "session"] = "action"
    because: str = ""


def read_retention(part: Part) -> dict[str, Retention]:
    """All of them by name."""
    found = {}
    for one in part.named():
        one.known("labels", "keep", "after", "because")
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
        )
    return found
