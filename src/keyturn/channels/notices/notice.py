"""`Notice`: what a message about a request says, before any channel gives it its own form."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Phase = Literal["opened", "reminded", "changed", "ended", "alarm", "finding", "test"]
"""Why a message is sent: somebody new may decide · time is running out · others decided in part · it ended ·
break-glass was used · something was found that should not be, or its state changed · somebody tries the channel out."""


class Line(Struct, frozen=True):
    """One named fact: `Agent`, `claude-code`."""

    name: str
    text: str


class Offer(Struct, frozen=True):
    """Whether a request may be decided in a chat. `why_not` says why Approve is not there; empty when it is."""

    deny: bool
    approve: bool
    why_not: str = ""


class Notice(Struct, frozen=True):
    """All texts are as they were recorded: each channel reveals what is invisible and escapes for its own form.

    `text` are the exact bytes that would run, `beside` what else the approval is for (folder, variables, files), `tier` the
    risk tier (empty when none was worked out), `key` tells messages
    about the same request apart, `effects` the verbs alone, which a lock screen may show. `shown` tells two
    states of the same request apart. Times are milliseconds since 1970.
    """

    about: str
    phase: Phase
    key: str
    title: str
    sentence: str
    kind: str
    tier: str
    text: str
    beside: tuple[Line, ...]
    who: tuple[Line, ...]
    why: tuple[str, ...]
    stages: tuple[str, ...]
    effects: tuple[str, ...]
    state: str
    outcome: str
    opened: int
    expires: int
    digest: str
    display: str
    link: str
    offer: Offer
    reason_required: bool
    shown: str
    agent: str = ""

    @property
    def waiting(self) -> bool:
        """Whether people can still decide."""
        return self.state == "waiting"
