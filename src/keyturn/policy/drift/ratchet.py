"""`[ratchet]`: how far what an agent changes may move away from what it changed at first, in small steps.

[ratchet]
alarm = 2                    # ranks beyond the original, after two steps: a finding (0: never)
block = 3                    # ranks beyond it, after two steps: refused, whoever would approve it (0: never)
decision = "refuse"          # or "hold": then people of `approve` decide
approve = "2 of security"
known = ["/etc/nginx"]       # folders that belong to agents' work here
powers = 3                   # kinds of power beyond those an agent used at first: a finding (0: never)

Ranks (`drift.surface`): its own work, temporary files, what others keep, configuration of the system, programs of the system, what gives
power. Without the section no ranks are measured; `powers` (`drift.powers`) holds with and without it.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from keyturn.policy import obligations
from keyturn.policy.requirements.part import Part


class Ratchet(Struct, frozen=True):
    """`alarm` and `block` are distances in ranks; both 0: none is measured. `powers`: see `drift.powers`."""

    alarm: int = 0
    block: int = 0
    decision: Literal["refuse", "hold"] = "refuse"
    approve: str = ""
    known: tuple[str, ...] = ()
    powers: int = 3

    @property
    def on(self) -> bool:
        """Whether ranks are measured."""
        return bool(self.alarm or self.block)


NO_RATCHET = Ratchet()
LARGEST = 5
MOST_POWERS = 50


def read_ratchet(part: Part) -> Ratchet:
    """The section."""
    part.known("alarm", "block", "decision", "approve", "known", "powers")
    known = part.texts("known")
    for folder in known:
        if not folder.startswith("/") or folder == "/" or ".." in folder.split("/"):
            part.wrong(folder, "a known folder is absolute, and not the whole disk", 'known = ["/etc/nginx"]')
    approve = part.text("approve")
    try:
        approve = obligations.requirement_text(approve) if approve else ""
    except ValueError as error:
        part.wrong("approve", str(error))
    return Ratchet(
        alarm=_distance(part, "alarm", 2),
        block=_distance(part, "block", 3),
        decision="hold" if part.choice("decision", ("refuse", "hold"), "refuse") == "hold" else "refuse",
        approve=approve,
        known=tuple(folder.rstrip("/") for folder in known),
        powers=_powers(part),
    )


def _powers(part: Part) -> int:
    value = part.body.get("powers", 3)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_POWERS:
        part.wrong("powers", f"a number of powers is 0 to {MOST_POWERS}", "powers = 3")
        return 3
    return value


def _distance(part: Part, key: str, default: int) -> int:
    value = part.body.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST:
        part.wrong(key, f"a distance is 0 to {LARGEST}", f"{key} = {default}")
        return default
    return value
