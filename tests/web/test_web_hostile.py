"""Hostile content in any field of a request, an entry or a session: nothing runs, nothing hides."""

from __future__ import annotations

import html as entities
import html.parser
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace
from web_memory import HERE, MemoryWeb, app, view

from keyturn.actions import Effect, Reading, Step, Unread
from keyturn.channels.web import rendering
from keyturn.channels.web.exact import Span, exact
from keyturn.channels.web.reveal import hidden, hidden_in, marked, mixed_words, plain
from keyturn.policy.decision import Decision, RuleHit
from keyturn.policy.risk import Line, Risk
from keyturn.service.key_views import KeyView
from keyturn.service.model import (
    ApprovalView,
    Conditions,
    Drill,
    EscalatedView,
    RequestView,
    SessionView,
    StageView,
)

EVIL = (
    'start\u202e\u200e\u200b\x1b[31m\x00\U000e0041<img src=x onerror=alert(1)><button hx-post="/x" hx-trigger=load>'
    "'\"><script>alert(1)</script>```{{7*7}}{% raw %}\r\nend\u00a0\ufeff\u2066"
)
INVISIBLE = re.compile(
    r"[\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\u00a0\u1680\U000e0000-\U000e0fff\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
ALLOWED_TAGS = frozenset({
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "img", "span", "nav", "div", "p", "button", "main",
    "article", "h1", "h2", "h3", "section", "pre", "code", "i", "ol", "ul", "li", "dl", "dt", "dd", "details", "summary", "blockquote",
    "aside", "label", "input", "strong", "time", "noscript", "kbd", "dialog", "select", "option", "fieldset", "legend",
    "table", "thead", "tbody", "tr", "th", "td", "svg", "polyline",
})  # fmt: skip


class Tags(html.parser.HTMLParser):
    """Collects what a browser would build."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def check(page: str) -> None:
    """The promise: only our own elements and attributes, and no invisible character left."""
    found = INVISIBLE.search(page)
    assert found is None, (
        f"U+{ord(found.group()):04X} reached the page near {page[max(0, found.start() - 80) : found.end()]!r}"
    )
    parser = Tags()
    parser.feed(page)
    for tag, attributes in parser.tags:
        assert tag in ALLOWED_TAGS, tag
        assert not any(name.startswith(("on", "hx-", "style")) for name in attributes), (tag, attributes)
        assert tag != "script" or (attributes.get("src") or "").startswith("/assets/")
        if tag == "img":
            assert (attributes.get("src") or "").startswith("/assets/")
    assert "49" not in page.split("{{7*7}}")[0][-3:]


def hostile(evil: str) -> RequestView:
    """A request with *evil* in every text field there is."""
    size = len(evil.encode("utf-8", "surrogatepass"))
    return view(
        1,
        kind=evil,
        risk=Risk(evil, 100, (Line(evil, 100, evil),), evil),  # type: ignore[arg-type]
        shape=evil,
        parties=(evil,),
        glass=evil,
        comment=evil,
        comment_by=evil,
        drill=Drill(evil, evil, evil, True, 1),
        conditions=Conditions(
            window=evil,
            closed=evil,
            frozen=evil,
            ticket=True,
            reference=evil,
            escalate_at=1,
            escalate_to=evil,
            escalated=(EscalatedView(evil, 1),),
        ),
        digest=evil,
        display=evil,
        sentence=evil,
        text=evil,
        content={"kind": evil, evil: [evil, {evil: evil}]},
        reading=Reading(
            evil,
            False,
            (
                Step(
                    evil,
                    (evil, evil),
                    evil,
                    (evil,),
                    (Effect("deletes", evil, evil, (evil,)),),
                    False,
                    (0, size),
                ),
            ),
            (Unread(0, 3, evil), Unread(4, size + 9, evil)),
            evil,
            evil + "x",
        ),
        decision=Decision(
            "hold", evil, rules=(RuleHit(evil, "hold", 0, evil, 3, (1, size), evil),), reasons=(evil,)
        ),
        stages=(StageView(evil, 2, 1, (evil, "dana"), True, {evil: evil}), StageView(evil, 1, 0, (), False)),
        approvals=(
            ApprovalView(
                evil,
                "approve",
                evil,
                1_763_671_234_000,
                evil,
                0,
                1,
                assurance=evil,
                key=evil,
                void=evil,
                on_behalf_of=(evil,),
            ),
        ),
        attribution={
            "agent": {"name": evil, "client": evil, "version": evil, "model": evil, "owner": evil},
            "human": {"person": evil, "how": evil, "os_uid": 1},
            "instruction": {"text": evil, "source": evil},
            "reasoning": {"text": evil, "source": evil},
            "definition": evil,
            "parents": [evil, evil],
        },
        session=evil,
        gate=evil,
        assurance=evil,
        cwd=evil,
        environment={evil: evil},
        executes={evil: evil},
        ended_why=evil,
    )


def everything_hostile(evil: str) -> MemoryWeb:
    web = MemoryWeb()
    web.service.open(hostile(evil))
    safe = evil.encode("utf-8", "replace").decode()  # a leaf is canonical JSON, which has no surrogates
    web.ledger.append(
        "request.ended", {"request": "r_00001", "state": safe, "why": safe, safe: {safe: [safe]}}, "s_x"
    )
    web.ledger.append(
        "action.decided", {"verdict": safe, "sentence": safe, "list": [safe], "empty": None}, "s_x"
    )
    key = KeyView(evil, evil, evil, evil, evil, evil, evil, True, True, True, 1, 1, evil)
    web.service.held = [key, replace(key, revoked=1, revoked_by=evil, why=evil)]
    web.views["s_x"] = SessionView("s_x", evil, evil, evil, evil, 1_763_671_234_000, 2)
    return web


PATHS = ("/", "/requests?state=all", "/requests/r_00001", "/requests/r_00001/hex", "/fragments/row/r_00001", "/fragments/rows",
         "/fragments/standing/r_00001", "/ledger", "/ledger/2", "/ledger/3", "/sessions/s_x", "/alike/r_00001", "/reviewing",
         "/requests/r_00001/always", "/rules/unused", "/you", "/coverage", "/coverage/v_1",
         "/configuration", "/configuration/prod")  # fmt: skip


def open_pages(web: MemoryWeb) -> dict[str, str]:

    pages = {}
    with TestClient(app(web), base_url=HERE) as client:
        client.post("/login", json={"code": web.code("dana")}, headers={"origin": HERE})
        for path in PATHS:
            answer = client.get(path, headers={"accept": "text/html"})
            assert answer.status_code == 200, (path, answer.text[-500:])
            pages[path] = answer.text
    return pages


def test_hostile_text_in_every_field_neither_runs_nor_hides() -> None:
    pages = open_pages(everything_hostile(EVIL))
    for page in pages.values():
        check(page)
    assert pages["/requests/r_00001"].count("U+202E") >= 30  # shown, not dropped
    assert "alert(1)&lt;/script&gt;" in pages["/requests/r_00001"]


def test_the_check_itself_can_fail() -> None:
    """Negative control: a template without our finalize and escaping is caught."""
    for bad in ("a\u202eb", "<img src=x onerror=alert(1)>", "<b>bold</b>", "<script>1</script>", "a\x1bb"):
        with pytest.raises(AssertionError):
            check(f"<p>{bad}</p>")


def test_every_text_field_of_a_request_is_covered_by_the_hostile_request() -> None:
    """A field added to `RequestView` later must be added to `hostile`, too."""
    ours = {
        "id",
        "state",
        "subject",
        "obligations",
        "opened",
        "expires",
        "entry",
        "ended",
        "may_decide",
        "may_deny",
        "seen_before",
        "alike",
        "grant_most",
        "needs",
        "withheld",
    }
    plain_view, evil_view = view(1), hostile(EVIL)
    for field in msgspec.structs.fields(RequestView):
        if field.name not in ours:
            assert getattr(evil_view, field.name) != getattr(plain_view, field.name), field.name


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_any_text_in_every_field_neither_runs_nor_hides(text: str) -> None:
    for page in open_pages(everything_hostile(text)).values():
        check(page)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(codec=None)))
def test_what_is_shown_has_no_hidden_character(text: str) -> None:
    for shown in (plain(text), re.sub(r"<[^>]+>", "", str(marked(text)))):
        assert not [c for c in shown if hidden(c) and c not in "\n\t"]


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.characters(codec=None), max_size=200),
    st.lists(st.tuples(st.integers(-3, 400), st.integers(-3, 400))),
)
def test_marking_never_loses_or_adds_a_character(text: str, spans: list[tuple[int, int]]) -> None:
    shown = exact(text, [Span(a, b, "hit") for a, b in spans])
    restored = "".join(
        chr(int(token, 16)) if token else entities.unescape(re.sub(r"<[^>]+>", "", other))
        for token, other in re.findall(
            r'<span class="tok">U\+([0-9A-F]+)</span>|((?:(?!<span class="tok">)[\s\S])+)', str(shown.html)
        )
    )
    assert restored == text
    assert shown.parts == str(shown.html).count('class="seen"')


def test_spans_are_bytes_and_grow_to_whole_characters() -> None:
    shown = str(exact("é—x", [Span(1, 3, "hit")]).html)  # é is bytes 0-2, — is 2-5
    assert '<span class="hit">é—</span>x' in shown


def test_a_long_text_has_reading_marks_down_to_its_end() -> None:
    lines = exact("\n".join(f"echo {n}" for n in range(500)))
    one = exact("x" * 50_000)
    assert lines.long
    assert lines.parts >= 500 // 24
    assert one.long
    assert one.parts >= 20
    for shown in (lines, one):
        assert str(shown.html).rstrip("\n").replace("</span>", "").endswith('<i class="seen"></i>')


NO_SHAPE = "\u202e \u200b \u200d \ufeff \x1b \x00 \r \u00a0 \u3000 \u3164 \u2800 \U000e0041 \ufe0f \x85 \u034f \ud800 \ue000"


@pytest.mark.parametrize("char", NO_SHAPE.split(" "))
def test_characters_without_a_shape_become_tokens(char: str) -> None:
    assert plain(f"a{char}b") == f"a‹U+{ord(char):04X}›b"
    assert hidden_in(f"a{char}b")[0].count == 1


@pytest.mark.parametrize(
    "text",
    ["naïve café", "日本語", "Ελληνικά", "Привет, мир", "اردو", "हिन्दी", "e\u0301", "😀 ok", "tab\there"],
)
def test_ordinary_writing_stays_readable(text: str) -> None:
    assert plain(text, keep="\n\t") == text
    assert not mixed_words(text)


def test_stacked_marks_become_tokens() -> None:
    assert "U+0301" in plain("a" + "\u0301" * 6)
    assert "U+0338" in plain("\u0338/etc")


def test_letters_that_pose_as_latin_are_named() -> None:
    assert mixed_words("curl https://раypal.com")[0].letters[0].startswith("р is U+0440 CYRILLIC")
    assert mixed_words("сору file")[0].word == "сору"
    assert mixed_words("rm ｅｔｃ")
    assert not mixed_words("paypal.com")


def test_no_template_switches_escaping_off() -> None:
    for template in (rendering._HERE / "templates").glob("*.html"):
        text = template.read_text()
        assert "|safe" not in text.replace(" ", ""), template
        assert "autoescape" not in text, template
        assert not re.search(r"\s[\w-]+=\{\{", text), f"{template}: an attribute without quotes"


def test_the_raw_text_is_the_bytes_and_can_not_act_as_a_page(
    client: TestClient[Litestar], web: MemoryWeb
) -> None:

    web.service.open(view(2, text=EVIL))
    client.post("/login", json={"code": web.code("dana")}, headers={"origin": HERE})
    answer = client.get("/requests/r_00002/raw")
    assert answer.content == EVIL.encode()
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
