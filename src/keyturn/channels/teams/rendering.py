"""A notice as an Adaptive Card. Pure.

Rules kept here:

- Nothing that an agent had a hand in stands in a `TextBlock` or a `FactSet`, which Teams reads as Markdown: it stands in text runs,
  which are literal. (adaptivecards.io: a TextRun does not support Markdown.)
- If not all of the action is in the card, there is no Approve, and the card says how much is missing.
- Only a bot's card has buttons that decide; a card through a webhook leads to the page.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.wording import deadline, exact, facts, kind_of, one_line, standing

MOST_EXACT = 2_500
MOST_LINES = 60
MOST_BYTES = 24_000
"""Of a whole card; Teams takes about 28 KB a message."""
CARD = "application/vnd.microsoft.card.adaptive"

Element = dict[str, Any]


def card(notice: Notice, *, buttons: bool) -> Element:
    """The card. *buttons*: whether it may have some that decide."""
    for lines in (MOST_LINES, 10):
        made = _card(notice, buttons=buttons, most_lines=lines)
        if len(msgspec.json.encode(made)) <= MOST_BYTES:
            break
    return made


def _card(notice: Notice, *, buttons: bool, most_lines: int) -> Element:
    shown, missing = _exact(notice, most_lines)
    body = [
        _run(notice.title, weight="bolder", size="medium"),
        _run(one_line(notice.sentence, 600)),
        {
            "type": "Container",
            "style": "emphasis",
            "items": [_run(line or " ", mono=True, spacing="none") for line in shown.split("\n")],
        },
    ]
    if missing:
        body.append(_run(missing, weight="bolder"))
    body += [_pair(name, value) for name, value in facts(notice)[:20]]
    if notice.waiting:
        body.append(_run("Held because", weight="bolder"))
        body += [_run(f"· {one_line(why, 300)}", spacing="none") for why in notice.why[:6]]
        body += [_run(standing(notice)), _run(deadline(notice), spacing="none")]
        body += _why_not(notice, missing, buttons)
    else:
        body.append(_run(one_line(notice.outcome, 600) or notice.title))
    body.append(_run(f"{kind_of(notice)} · digest {notice.digest.removeprefix('sha256:')[:8]}", small=True))
    decides = buttons and notice.offer.deny
    if decides:
        body.append(
            {
                "type": "Input.Text",
                "id": "reason",
                "isMultiline": True,
                "maxLength": 2000,
                "label": "Why? The agent is told.",
            }
        )
    return {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": body,
        "actions": list(_actions(notice, whole=not missing) if decides else [_open(notice)]),
        "msteams": {"width": "Full"},
    }


def summary(notice: Notice) -> str:
    """One line for notifications and for screens that can't show a card."""
    return one_line(f"{notice.title}: {notice.sentence}", 300)


def attachment(made: Element) -> Element:
    """A card as a message carries it."""
    return {"contentType": CARD, "content": made}


def _exact(notice: Notice, most_lines: int) -> tuple[str, str]:
    lines = (notice.text or "(empty)").split("\n")
    if len(lines) <= most_lines:
        return exact(notice.text or "(empty)", MOST_EXACT)
    shown, _ = exact("\n".join(lines[:most_lines]), MOST_EXACT)
    return (
        shown,
        f"CUT: these are at most the first {most_lines} of {len(lines):,} lines. The rest is on the page only.",
    )


def _why_not(notice: Notice, missing: str, buttons: bool) -> Iterable[Element]:
    if not buttons:
        return
    if notice.offer.why_not:
        yield _run(f"Approve on the page: {notice.offer.why_not}", small=True)
    elif missing:
        yield _run("Approve on the page: the card does not show all of it.", small=True)


def _actions(notice: Notice, *, whole: bool) -> Iterable[Element]:
    if notice.offer.approve and whole:
        yield _decide(notice, "approve", "Approve once", "positive")
    yield _decide(notice, "deny", "Deny", "destructive")
    yield _open(notice)


def _decide(notice: Notice, choice: str, title: str, style: str) -> Element:
    data = {"request": notice.about, "digest": notice.digest, "display": notice.display}
    return {
        "type": "Action.Execute",
        "title": title,
        "verb": f"keyturn_{choice}",
        "style": style,
        "data": data,
    }


def _open(notice: Notice) -> Element:
    return {"type": "Action.OpenUrl", "title": "Open", "url": notice.link}


def _run(
    text: str,
    *,
    weight: str = "default",
    size: str = "default",
    mono: bool = False,
    small: bool = False,
    spacing: str = "default",
) -> Element:
    run: Element = {"type": "TextRun", "text": text, "weight": weight, "size": "small" if small else size}
    if mono:
        run["fontType"] = "monospace"
    return {"type": "RichTextBlock", "inlines": [run], "spacing": spacing}


def _pair(name: str, value: str) -> Element:
    inlines = [
        {"type": "TextRun", "text": f"{name}: ", "weight": "bolder"},
        {"type": "TextRun", "text": value},
    ]
    return {"type": "RichTextBlock", "inlines": inlines, "spacing": "none"}
