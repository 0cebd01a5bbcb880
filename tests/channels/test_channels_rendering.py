"""Every message of every channel, as it was looked at (`golden/`), and what no message may ever do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from channels_notices import CASES, notice, request
from golden_files import compare
from hypothesis import given
from hypothesis import strategies as st
from slack_fake import check

from keyturn.actions import Unread
from keyturn.channels.mail.rendering import html_part, message, plain_part
from keyturn.channels.notices.composing import MOST_APPROVABLE, compose_alarm
from keyturn.channels.notices.wording import exact, lock_screen, one_line
from keyturn.channels.push.channel import payload as push_payload
from keyturn.channels.slack.rendering import blocks, fallback, reason_window
from keyturn.channels.teams.rendering import card
from keyturn.channels.web.reveal import hidden_in
from keyturn.channels.webhooks.channel import payload
from keyturn.policy.decision import Obligations

HOSTILE = st.text(st.characters(), max_size=400) | st.sampled_from(
    [
        "```",
        "<!channel>",
        "@here",
        "\u202e\u2066",
        "<b>&amp;</b>",
        "\x1b[2K\r\n",
        "[x](https://evil.example)",
        "``\u200b`",
    ]
)


GLASS = {
    "id": "b_1",
    "person": "riley",
    "reason": "prod <is> down",
    "reviewers": "security",
    "review_by": 1_763_757_634_000,
}
ALARM = compose_alarm(request(state="approved"), GLASS, "https://keyturn.example/requests/r_1")


def as_json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def slack(name: str) -> str:
    return as_json({"text": fallback(CASES[name]), "blocks": blocks(CASES[name])})


def mail(name: str) -> str:
    """Headers and both parts, without the transfer encoding."""
    made = message(CASES[name], "keyturn@example.com", "riley@example.com")
    parts = [part.get_content().replace("\r\n", "\n") for part in made.iter_parts()]
    headers = "\n".join(f"{name}: {value}" for name, value in made.items() if not name.startswith("Content"))
    return "\n----\n".join([headers, *parts])


def RENDERED() -> Iterator[tuple[str, str]]:  # noqa: N802
    for name in CASES:
        yield f"slack-{name}.json", slack(name)
        yield f"email-{name}.txt", mail(name)
        yield f"teams-{name}.json", as_json(card(CASES[name], buttons=True))
        yield f"webhook-{name}.json", as_json(json.loads(payload(CASES[name], 1_763_671_300)))
        yield f"push-{name}.json", as_json(json.loads(push_payload(CASES[name])))
    yield "slack-alarm.json", as_json({"text": fallback(ALARM), "blocks": blocks(ALARM)})
    yield "email-alarm.txt", plain_part(ALARM)
    yield "teams-workflow.json", as_json(card(CASES["plain"], buttons=False))
    yield "slack-window-approve.json", as_json(reason_window(CASES["plain"], "approve", "{}"))
    yield "slack-window-deny-fence.json", as_json(reason_window(CASES["fence"], "deny", "{}"))


@pytest.mark.parametrize(
    ("name", "text"), list(RENDERED()), ids=lambda value: value if len(value) < 60 else ""
)
def test_a_message_is_as_it_was_looked_at(name: str, text: str) -> None:
    compare(name, text)


# --- Approve -------------------------------------------------------------------------------------------------------


def test_approve_is_offered_for_the_plain_case_and_for_no_other_kind() -> None:
    assert {name for name, case in CASES.items() if case.offer.approve} == {
        "plain",
        "reminded",
        "fence",
        "bound",
    }
    assert all(case.offer.deny == case.waiting for case in CASES.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"obligations": Obligations(assurance="idp")},
        {"obligations": Obligations(assurance="signed+hardware")},
        {"obligations": Obligations(ticket_required=True)},
        {"risk": None},
        {"subject": "policy"},
        {"reading": request().reading.__class__("shell", False, unread=(Unread(0, 1, "x"),))},
        {"text": "rm -r " + "x" * MOST_APPROVABLE},
        {"text": "rm -r \u200bx"},
        {"cwd": "/home/\u202e"},
        {"environment": {"A": "\u0430pp"}},
        {"kind": "http", "content": {"kind": "http", "body": "sha256:0"}},
        {"kind": "file", "content": {"kind": "file", "operation": "write", "diff": ""}},
        {"state": "approved"},
    ],
    ids=str,
)
def test_any_one_reason_takes_approve_away(changes: dict[str, Any]) -> None:
    assert notice().offer.approve  # the control
    offered = notice(request(**changes)).offer
    assert not offered.approve
    assert offered.why_not


@pytest.mark.parametrize("tier", ["high", "critical"])
def test_high_and_critical_risk_is_never_approved_in_a_chat(tier: str) -> None:
    assert not notice(request(tier=tier)).offer.approve


@given(text=HOSTILE, tier=st.sampled_from(["low", "medium", "high", "critical"]))
def test_where_approve_is_offered_the_whole_action_is_in_the_message(text: str, tier: str) -> None:
    made = notice(request(text, tier=tier))
    for rendered in (blocks(made),):
        shown = json.dumps(rendered, ensure_ascii=False)
        if "Approve once" in shown:
            assert json.dumps(text, ensure_ascii=False)[1:-1] in shown


# --- nothing hidden, nothing that a service would read for marks -------------------------------------------------------


@given(text=HOSTILE, sentence=HOSTILE, cwd=HOSTILE, why=HOSTILE)
def test_slack_gets_nothing_that_it_would_read_and_nothing_invisible(
    text: str, sentence: str, cwd: str, why: str
) -> None:
    made = notice(request(text, sentence=sentence, cwd=cwd, ended_why=why, environment={"X": text}))
    rendered = blocks(made)
    check({"blocks": rendered})
    for kind, said in _typed(rendered):
        assert kind in ("plain_text", "text"), kind  # never mrkdwn
        assert not hidden_in(said), said
    assert not re.search(r"[<>]", fallback(made))
    assert "\n" not in fallback(made)


def _typed(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["type"], value["text"]
        for one in value.values():
            yield from _typed(one)
    elif isinstance(value, list):
        for one in value:
            yield from _typed(one)


@given(text=HOSTILE | st.text(max_size=9000), sentence=HOSTILE, cwd=HOSTILE, why=HOSTILE)
def test_a_card_has_no_text_that_teams_reads_as_markdown_and_nothing_invisible(
    text: str, sentence: str, cwd: str, why: str
) -> None:
    made = card(
        notice(request(text, sentence=sentence, cwd=cwd, ended_why=why, environment={"X": text})),
        buttons=True,
    )
    for kind, said in _typed(made):
        assert kind == "TextRun", kind
        assert not hidden_in(said), said
    assert len(json.dumps(made).encode()) < 28_000
    if "Approve once" in json.dumps(made["actions"]):
        whole = "\n".join(item["inlines"][0]["text"] for item in made["body"][2]["items"])
        assert whole == "\n".join(line or " " for line in (text or "(empty)").split("\n"))


class _Tags(HTMLParser):
    """Every tag, attribute and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str | None] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(text=HOSTILE, sentence=HOSTILE, cwd=HOSTILE, why=HOSTILE)
def test_an_email_has_our_tags_only_and_one_link(text: str, sentence: str, cwd: str, why: str) -> None:
    for state in ("waiting", "denied"):
        made = notice(request(text, state=state, sentence=sentence, cwd=cwd, ended_why=why))
        page = _Tags(html_part(made))
        known = {"html", "meta", "title", "body", "h1", "p", "pre", "strong", "b", "br", "ul", "li", "a"}
        assert page.tags <= known, page.tags
        assert page.attributes <= {"lang", "charset", "style", "href"}
        assert page.links == [made.link]
        assert html_part(made).count("://") == plain_part(made).count("://") == 1
        assert not hidden_in("".join(page.texts))
        assert not hidden_in(plain_part(made))
        whole = bytes(message(made, "keyturn@example.com", "riley@example.com"))
        headers = whole.split(b"\r\n\r\n")[0]
        assert {line.split(b":")[0] for line in headers.split(b"\r\n") if line[:1] not in b" \t"} == {
            b"Subject", b"From", b"To", b"Message-ID", b"Auto-Submitted", b"X-Auto-Response-Suppress",
            b"MIME-Version", b"Content-Type",
        }  # fmt: skip


@given(text=st.text(), most=st.integers(30, 200))
def test_a_cut_text_is_within_its_limit_and_says_so(text: str, most: int) -> None:
    shown, missing = exact(text, most)
    assert len(shown) <= most
    assert not hidden_in(shown)
    assert bool(missing) == (shown != exact(text, 10**9)[0])
    line = one_line(text, most)
    assert len(line) <= most
    assert "\n" not in line


@given(text=HOSTILE, sentence=HOSTILE, cwd=HOSTILE)
def test_a_lock_screen_shows_no_word_of_the_action(text: str, sentence: str, cwd: str) -> None:
    """The same words whatever the action says."""
    made = lock_screen(notice(request(text, sentence=sentence, cwd=cwd)))
    assert made == lock_screen(notice())
