"""The report as one HTML file: no script, nothing from outside, made to be printed on A4. The same report gives the same bytes."""

from __future__ import annotations

from functools import cache
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from keyturn.evidence.history import Interval, Span, operated
from keyturn.evidence.report import charts
from keyturn.evidence.report.limits import ALWAYS
from keyturn.evidence.report.model import Assessed, Report, Tested

SHOWN = 4
"""Exceptions of one test that the report lists; the register in the pack lists all."""
WORDS = charts.WORDS
ORDER = ("fail", "not-tested", "no-population", "pass")


class Page(Struct, frozen=True):
    """One control as its page shows it."""

    one: Assessed
    anchor: str
    tests: tuple[Tested, ...]
    population: int
    exceptions: int
    untested: int
    good: tuple[Span, ...]
    gaps: tuple[Interval, ...]


def html(report: Report) -> bytes:
    """The report of a pack."""
    frame = report.frame
    pages = tuple(_page(report, one, place) for place, one in enumerate(report.controls))
    counts = {word: sum(one.result.verdict == word for one in report.controls) for word in reversed(ORDER)}
    text = (
        _environment()
        .get_template("report.html")
        .render(
            r=report,
            f=frame,
            pages=pages,
            counts=counts,
            always=ALWAYS,
            shown=SHOWN,
            words=WORDS,
            css=Markup(_file("report.css")),  # noqa: S704 — our own style sheet
            legend=Markup(charts.legend()),  # noqa: S704 — our own charts escape what they are given
            presence=Markup(charts.presence(report.alive, frame.since, frame.until)),  # noqa: S704
            strip=lambda history, dated=True: Markup(  # noqa: S704
                charts.timeline(history, frame.since, frame.until, dated=dated)
            ),
            bars=lambda days: Markup(charts.bars(days, frame.since, frame.until, told=False)),  # noqa: S704
            minute=charts.minute,
            date=charts.date,
        )
    )
    return text.encode()


def _page(report: Report, one: Assessed, place: int) -> Page:
    tests = tuple(report.tests[name] for name in one.result.tests if name in report.tests)
    return Page(
        one,
        f"control-{place + 1}",
        tests,
        sum(each.result.population for each in tests),
        sum(each.result.exceptions for each in tests),
        sum(each.result.untested for each in tests),
        operated(one.history),
        tuple(each for each in one.history if each.state == "gap"),
    )


def _file(name: str) -> str:
    return resources.files("keyturn.evidence.report").joinpath("templates", name).read_text("utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FunctionLoader(_file),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["n"] = lambda number: f"{number:,}"
    made.filters["plain"] = lambda number: f"{number:g}"
    return made
