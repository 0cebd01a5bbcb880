"""A notice as Slack's blocks. Pure.

Rules kept here:

- Nothing that an agent had a hand in is ever in a text that Slack reads for marks: it stands in `plain_text` or in the literal
  texts of `rich_text`, where no fence can be closed, nobody mentioned and no link made. The one text that Slack does
  read, the fallback of notifications, is escaped as docs.slack.dev/messaging/formatting-message-text says.
- If not all of the action is in the message, there is no Approve, and the message says how much is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.wording import deadline, exact, facts, kind_of, one_line, standing

MOST_SENTENCE = 600
MOST_EXACT = 2_800
"""Characters of the action in one message; a text object may have 3,000."""
MOST_HEADER = 150

DENY, APPROVE, OPEN = "keyturn_deny", "keyturn_approve", "keyturn_open"
REASON = "keyturn_reason"

Block = dict[str, Any]


class Pressed(Struct, frozen=True):
    """What a button carries: the request, and the digests of what its message showed."""

    request: str
    digest: str
    display: str
    choice: str = "deny"


def fallback(notice: Notice) -> str:
    """One line for notifications."""
    line = f"{notice.title}: {one_line(notice.sentence, MOST_SENTENCE)}"
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def blocks(notice: Notice) -> list[Block]:
    """The message."""
    shown, missing = exact(notice.text or "(empty)", MOST_EXACT)
    made = [_header(notice.title), _plain(one_line(notice.sentence, MOST_SENTENCE)), _literal(shown)]
    if missing:
        made.append(_plain(missing))
    made.append(_facts(notice))
    if notice.waiting:
        made += [_why(notice), _context([standing(notice), deadline(notice), *_small(notice)])]
        if notice.offer.why_not:
            made.append(_context([f"Approve on the page: {notice.offer.why_not}"]))
        elif missing:
            made.append(_context(["Approve on the page: the message does not show all of it."]))
    else:
        made.append(_context([one_line(notice.outcome, 600) or notice.title, *_small(notice)]))
    made.append(_buttons(notice, whole=not missing))
    return made


def reason_window(notice: Notice, choice: str, state: str) -> Block:
    """The window in which a person decides: the action again, and a field for the reason. *state* comes back with it."""
    approve = choice == "approve"
    shown, missing = exact(notice.text or "(empty)", MOST_EXACT)
    required = approve and notice.reason_required
    return {
        "type": "modal",
        "callback_id": REASON,
        "private_metadata": state,
        "title": _text("Approve once" if approve else "Deny"),
        "submit": _text("Approve once" if approve else "Deny"),
        "close": _text("Back"),
        "blocks": [
            _plain(one_line(notice.sentence, MOST_SENTENCE)),
            _literal(shown),
            *([_plain(missing)] if missing else []),
            {
                "type": "input",
                "block_id": REASON,
                "optional": not required,
                "label": _text("Why? The agent is told." + ("" if required else " (optional)")),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "max_length": 2000,
                },
            },
        ],
    }


def words_window(title: str, lines: Iterable[str]) -> Block:
    """A window that only says something."""
    return {
        "type": "modal",
        "title": _text(title[:24]),
        "close": _text("Close"),
        "blocks": [_plain(line[:2900]) for line in lines],
    }


# --- parts ---------------------------------------------------------------------------------------------------------


def _text(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _header(text: str) -> Block:
    return {"type": "header", "text": _text(text[:MOST_HEADER])}


def _plain(text: str) -> Block:
    return {"type": "section", "text": _text(text)}


def _literal(text: str) -> Block:
    element = {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [element]}


def _facts(notice: Notice) -> Block:
    lines: list[Block] = []
    for name, value in facts(notice):
        lines.append({"type": "text", "text": f"{name}: ", "style": {"bold": True}})
        lines.append({"type": "text", "text": f"{value}\n"})
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": lines}]}


def _why(notice: Notice) -> Block:
    heading = {"type": "text", "text": "Held because", "style": {"bold": True}}
    items = [
        {"type": "rich_text_section", "elements": [{"type": "text", "text": one_line(why, 300)}]}
        for why in notice.why[:6]
    ]
    return {
        "type": "rich_text",
        "elements": [
            {"type": "rich_text_section", "elements": [heading]},
            {"type": "rich_text_list", "style": "bullet", "elements": items},
        ],
    }


def _context(lines: Iterable[str]) -> Block:
    return {"type": "context", "elements": [_text(line) for line in lines]}


def _small(notice: Notice) -> list[str]:
    return [f"{kind_of(notice)} · digest {notice.digest.removeprefix('sha256:')[:8]}"]


def _buttons(notice: Notice, *, whole: bool) -> Block:
    made: list[Block] = []
    if notice.offer.approve and whole:
        made.append(_button(notice, "approve", "Approve once", "primary"))
    if notice.offer.deny:
        made.append(_button(notice, "deny", "Deny", "danger"))
    made.append({"type": "button", "action_id": OPEN, "text": _text("Open"), "url": notice.link})
    return {"type": "actions", "elements": made}


def _button(notice: Notice, choice: str, label: str, style: str) -> Block:
    pressed = Pressed(notice.about, notice.digest, notice.display, choice)
    return {
        "type": "button",
        "action_id": APPROVE if choice == "approve" else DENY,
        "text": _text(label),
        "style": style,
        "value": msgspec.json.encode(pressed).decode(),
    }
