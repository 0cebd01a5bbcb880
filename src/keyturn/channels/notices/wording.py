"""Words that several channels share. Pure; what they give is revealed, and still has to be escaped for the channel's own form."""

from __future__ import annotations

import re

from keyturn.channels.notices.notice import Notice
from keyturn.channels.web.reveal import plain
from keyturn.channels.web.wording import duration, moment, size

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
"""Names that mean nothing to any service that reads marks in a text."""
KINDS = {
    "shell": "command",
    "sql": "query",
    "file": "file change",
    "tool": "tool call",
    "http": "web request",
    "finding": "finding",
}


def one_line(text: str, most: int) -> str:
    """*text* on one line, hidden characters shown, at most *most* characters."""
    shown = plain(" ".join(text.split(" ")).replace("\n", " ⏎ ").replace("\t", " "))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def exact(text: str, most: int) -> tuple[str, str]:
    """The first *most* characters of *text* as they may be shown, and words about what is missing (empty if nothing is)."""
    if len(text) <= most:
        shown = plain(text, keep="\n\t")
        if len(shown) <= most:
            return shown, ""
    kept = text[:most]
    while len(shown := plain(kept, keep="\n\t")) > most:
        kept = kept[: max(0, len(kept) - max(1, (len(shown) - most) // 8))]
    whole, part = (len(t.encode("utf-8", "surrogatepass")) for t in (text, kept))
    return shown, f"CUT: these are the first {size(part)} of {size(whole)}. The rest is on the page only."


def kind_of(notice: Notice) -> str:
    """`command`, `policy change`."""
    return KINDS.get(notice.kind, f"{notice.kind} change")


def deadline(notice: Notice) -> str:
    """When it is over, and what happens then."""
    return f"Until {moment(notice.expires)} ({_within(notice)} after it was asked), then it is refused."


def standing(notice: Notice) -> str:
    """`0 of 1 reviewers`."""
    return "Approvals: " + ("; ".join(notice.stages) or "none needed")


def facts(notice: Notice, most: int = 300) -> list[tuple[str, str]]:
    """Named facts, one line each: who stands behind it, and what else the approval is for."""
    return [(one_line(line.name, 120), one_line(line.text, most)) for line in (*notice.who, *notice.beside)]


def lock_screen(notice: Notice) -> tuple[str, str]:
    """Title and text that anybody may read over a shoulder: tier, agent and verbs, no word of the action."""
    if notice.phase == "alarm":
        return "Break-glass was used", "Somebody released a held request alone. It has to be reviewed."
    if notice.phase == "finding":
        return (
            f"{notice.tier.capitalize()} finding",
            f"Something was observed that should not be. It is {notice.state}.",
        )
    title = f"{notice.tier.capitalize()} risk" if notice.tier else "Approval wanted"
    agent = notice.agent if _NAME.fullmatch(notice.agent) else "An agent"
    verbs = list(notice.effects)
    wish = ", ".join(verbs[:-1]) + (" and " if verbs[:-1] else "") + verbs[-1] if verbs else "do something"
    if notice.kind in KINDS:
        return f"{title}: {KINDS[notice.kind]}", f"{agent} wants to {wish}. {_left(notice)}"
    return f"{title}: {one_line(notice.kind, 30)} change", f"Somebody proposed a change. {_left(notice)}"


def _left(notice: Notice) -> str:
    return f"Refused after {_within(notice)} without an answer."


def _within(notice: Notice) -> str:
    """How long people have, from asking to the end; entries' times and deadlines are worked out some milliseconds apart."""
    return duration(notice.expires - notice.opened + 999)
