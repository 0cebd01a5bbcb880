"""The report: what it must say, that it says the same each time, and that no word of the log becomes markup."""

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_sample import NASTY, SINCE, UNTIL, sample

from keyturn.evidence.history import DAY_MS, Interval, State
from keyturn.evidence.report import charts
from keyturn.evidence.report import pdf as printer
from keyturn.evidence.report.html import html
from keyturn.evidence.report.limits import ALWAYS, limits
from keyturn.evidence.report.pdf import pdf
from keyturn.evidence.testing import Day

STATES: tuple[State, ...] = ("pass", "fail", "not-tested", "no-population", "gap")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "action"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            assert not name.startswith("on")
            assert name != "style"


def parsed(page: bytes) -> Tags:
    tags = Tags()
    tags.feed(page.decode())
    return tags


def test_a_page_of_a_control_has_population_test_result_exceptions_and_how_to_do_it_again() -> None:
    page = html(sample()).decode()
    article = page[page.index('<article class="sheet control" id="control-1">') :]
    article = article[: article.index("</article>")]
    for words in (
        "CC8.1",
        "fail",
        "Population",
        "12,403",
        "90,113",
        "Exception is",
        "<b>11</b>",
        "late_h = 24 (hours until it is late)",
        "#1000",
    ):
        assert words in article
    assert "queries/same_bytes.sql" in article
    assert "7 more in <code>exceptions.csv</code>" in article
    assert "Perform it again" in article


def test_no_word_of_the_log_becomes_markup_and_nothing_is_loaded() -> None:
    page = html(sample(by=NASTY, auditor=NASTY, origin=NASTY))
    tags = parsed(page)
    assert "script" not in tags.tags
    assert all(link.startswith("#") for link in tags.links)
    assert {link[1:] for link in tags.links} <= set(tags.ids)
    assert not [one for one in tags.ids if tags.ids.count(one) > 1 and not one.startswith("k")]
    assert NASTY.encode() not in page
    # negative control: unescaped, the same words would be a script
    assert "script" in parsed(page.replace(b"&lt;script&gt;", b"<script>")).tags


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_same_report_gives_the_same_bytes_in_another_process(seed: str, tmp_path: Path) -> None:
    code = (
        "import sys;sys.path.insert(0,sys.argv[1]);from report_sample import sample;"
        "from keyturn.evidence.report.html import html;sys.stdout.buffer.write(html(sample()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        capture_output=True, check=True, cwd=tmp_path,
        env={"PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo", "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert run.stdout == html(sample())


def test_what_has_no_result_and_what_is_tested_in_part_stands_in_the_limits() -> None:
    text = limits(sample(recorded=False))
    assert all(claim in text for claim, _ in ALWAYS)
    assert "CC4.1" in text
    assert "CC7.4 Respond to incidents: also needs the incident plan" in text
    assert "made from an exported log" in text
    assert "made from an exported log" not in limits(sample())
    assert "withheld" in text


@given(
    st.lists(st.tuples(st.integers(0, 89), st.sampled_from(STATES)), max_size=8),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 10**9), st.integers(0, 50)), max_size=30),
)
def test_charts_are_xml_within_their_frame_and_tell_their_figures(
    marks: list[tuple[int, State]], days: list[tuple[int, int, int]]
) -> None:
    edges = sorted({day for day, _ in marks} | {0, 90})
    states = dict(marks)
    history = [
        Interval(SINCE + a * DAY_MS, SINCE + b * DAY_MS, states.get(a, "pass"), NASTY)
        for a, b in pairwise(edges)
    ]
    counted = {day: Day(SINCE + day * DAY_MS, members + wrong, wrong) for day, members, wrong in days}
    until = SINCE + 401 * DAY_MS
    for text in (
        charts.timeline(history, SINCE, UNTIL),
        charts.bars(counted.values(), SINCE, until),
        charts.legend(),
    ):
        root = ElementTree.fromstring(text)
        wide, high = (float(one) for one in root.attrib["viewBox"].split()[2:])
        for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
            x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
            assert -0.01 <= x <= x + w <= wide + 1
            assert -0.01 <= y <= y + h <= high + 0.01
    total = sum(one.population for one in counted.values())
    assert f"{total:,} members" in charts.bars(counted.values(), SINCE, until)


def test_the_pdf_has_the_report_on_a4_and_the_same_bytes_each_time() -> None:
    page = html(sample())
    try:
        made = pdf(page)
    except Exception as error:
        if getattr(error, "code", "") == "evidence.no_pdf":
            pytest.skip(f"no printer here: {error}")
        raise
    assert made.startswith(b"%PDF-")
    assert made == pdf(page)
    boxes = set(re.findall(rb"/MediaBox ?\[([^\]]+)\]", made)) or {b"compressed"}
    assert boxes


def test_each_chart_is_printed_as_an_image_that_says_what_it_shows() -> None:
    page = html(sample()).replace(b"<title>Legend:", b'<title>"Legend":')
    charts_of = re.findall(rb"<svg .*?</svg>", page, re.DOTALL)
    shown = printer._CHART.sub(printer._as_image, page)
    images = re.findall(
        rb'<img class="k-chart" alt="([^"]+)" src="data:image/svg\+xml;base64,([^"]+)">', shown
    )
    assert b"<svg" not in shown
    assert [base64.b64decode(data) for _, data in images] == charts_of != []
    assert images[0][0].startswith((b"&quot;Legend&quot;:", b"pass", b"gap"))
    assert any(b"&quot;Legend&quot;" in told for told, _ in images)
    assert re.sub(rb"<img class=\"k-chart\"[^>]*>", b"", shown) == re.sub(rb"(?s)<svg .*?</svg>", b"", page)


def test_a_report_that_refers_to_a_file_is_printed_without_it(tmp_path: Path) -> None:
    """The negative control: a square that the page brings along is printed, one that lies in a file is not."""
    square = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="#f00"/></svg>'
    (tmp_path / "square.svg").write_bytes(square)
    try:
        empty, brought, outside = (
            pdf(b"<p>x</p>" + more)
            for more in (b"", square, b'<img src="%s">' % (tmp_path / "square.svg").as_uri().encode())
        )
    except printer.NoPrinter as error:
        pytest.skip(f"no printer here: {error}")
    assert len(brought) > len(empty) + 100
    assert len(outside) < len(empty) + 100


def test_a_history_of_many_pieces_makes_no_endless_chart_and_hides_no_failure() -> None:
    step = 30 * 60_000
    states = ["pass", "gap"] * 2160
    states[2001] = "fail"
    pieces = [
        Interval(SINCE + at * step, SINCE + (at + 1) * step, state, "why")  # type: ignore[arg-type]
        for at, state in enumerate(states)
    ]
    drawn = charts.timeline(pieces, SINCE, UNTIL)
    assert len(drawn) < 60_000
    assert 'class="k-fail"' in drawn
    assert 'class="k-fail"' not in charts.timeline(
        [one for one in pieces if one.state != "fail"], SINCE, UNTIL
    )
