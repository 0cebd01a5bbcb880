"""A notice as an email: plain text, and the same as HTML. Pure.

Rules kept here:

- The only link leads to the request's page, and opening it decides nothing: mail scanners open every link. That is also why an
  address in the action is written as none (`https[:]//…`): nobody's scanner may do what an agent only asked for.
- All messages about one request are one thread: the first one's id is named by the others (RFC 5322 §3.6.4).
- Everything is revealed, the HTML escaped, and no header takes a line break.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP

from markupsafe import Markup, escape

from keyturn.channels.notices.notice import Notice
from keyturn.channels.notices.wording import deadline, exact, facts, kind_of, one_line, standing

MOST_EXACT = 8_000
MOST_SUBJECT = 120

_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
    '<body style="font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:0 auto;padding:16px">{body}</body></html>'
)
_EXACT = "background:#f2f2f2;color:#111;padding:12px;white-space:pre-wrap;overflow-wrap:anywhere"


def _inert(text: str) -> str:
    """*text* with nothing that a mail program or scanner takes for an address to open."""
    return text.replace("://", "[:]//").replace("www.", "www[.]")


def subject(notice: Notice) -> str:
    """One line; the same words begin every message of the thread."""
    return _inert(one_line(f"[Keyturn] {notice.title}: {notice.sentence}", MOST_SUBJECT))


def message_id(notice: Notice, to: str, domain: str, key: str = "") -> str:
    """The same for every try of one message, so that a mailbox can tell a copy; `opened` names the first of the thread."""
    known = f"{notice.about}\x1f{to}\x1f{key or notice.key}".encode("utf-8", "surrogatepass")
    return f"<{hashlib.sha256(known).hexdigest()[:32]}@{domain}>"


def message(notice: Notice, sender: str, to: str) -> EmailMessage:
    """The whole message. Raises `ValueError` for an address that is none."""
    domain = sender.rpartition("@")[2].strip("<> ") or "keyturn.invalid"
    made = EmailMessage(policy=SMTP)
    made["Subject"] = subject(notice)
    made["From"] = sender
    made["To"] = to
    made["Message-ID"] = message_id(notice, to, domain)
    if notice.key != "opened":
        first = message_id(notice, to, domain, "opened")
        made["In-Reply-To"] = first
        made["References"] = first
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
    made["X-Auto-Response-Suppress"] = "All"
    made.set_content(plain_part(notice), cte="quoted-printable")
    made.add_alternative(html_part(notice), subtype="html", cte="quoted-printable")
    return made


def plain_part(notice: Notice) -> str:
    """The message as text."""
    return "\n".join(_lines(notice)) + "\n"


def _lines(notice: Notice) -> Iterator[str]:
    shown, missing = exact(notice.text or "(empty)", MOST_EXACT)
    yield notice.title
    yield ""
    yield _inert(one_line(notice.sentence, 600))
    yield ""
    yield from (f"    {line}" for line in _inert(shown).split("\n"))
    if missing:
        yield missing
    yield ""
    yield from (_inert(f"{name}: {value}") for name, value in facts(notice))
    if notice.waiting:
        yield ""
        yield "Held because:"
        yield from (f"  - {_inert(one_line(why, 300))}" for why in notice.why[:6])
        yield ""
        yield standing(notice)
        yield deadline(notice)
        yield ""
        yield f"Approve or deny on its page: {notice.link}"
    else:
        yield ""
        yield _inert(one_line(notice.outcome, 600)) or notice.title
        yield f"Its page: {notice.link}"
    yield ""
    yield f"{kind_of(notice)}, digest {notice.digest}"


def html_part(notice: Notice) -> str:
    """The message as HTML, without anything that is loaded from elsewhere."""
    shown, missing = exact(notice.text or "(empty)", MOST_EXACT)
    parts = [
        Markup("<h1 style='font-size:20px'>{}</h1>").format(notice.title),
        Markup("<p>{}</p>").format(_inert(one_line(notice.sentence, 600))),
        Markup("<pre style='{}'>{}</pre>").format(_EXACT, _inert(shown)),
        Markup("<p><strong>{}</strong></p>").format(missing) if missing else Markup(),
        Markup("<p>{}</p>").format(
            Markup("<br>").join(
                Markup("<b>{}:</b> {}").format(_inert(name), _inert(value)) for name, value in facts(notice)
            )
        ),
    ]
    if notice.waiting:
        why = Markup().join(
            Markup("<li>{}</li>").format(_inert(one_line(one, 300))) for one in notice.why[:6]
        )
        parts += [
            Markup("<p><b>Held because</b></p><ul>{}</ul>").format(why),
            Markup("<p>{}<br>{}</p>").format(standing(notice), deadline(notice)),
            Markup("<p><a href='{}'>Approve or deny on its page</a></p>").format(notice.link),
        ]
    else:
        parts += [
            Markup("<p>{}</p>").format(_inert(one_line(notice.outcome, 600)) or notice.title),
            Markup("<p><a href='{}'>Its page</a></p>").format(notice.link),
        ]
    parts.append(Markup("<p style='font-size:13px'>{}, digest {}</p>").format(kind_of(notice), notice.digest))
    return _PAGE.format(title=escape(notice.title), body=Markup("\n").join(parts))
