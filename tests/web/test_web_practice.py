"""The page about practice: before the first look it says so; then every rule is there, and what stands out, whatever it is called."""

from __future__ import annotations

from typing import Any

from litestar.testing import TestClient
from web_memory import MemoryWeb

from keyturn.drift.clauses import Covered
from keyturn.drift.finding import Drift
from keyturn.drift.practice import Practice, RuleUse, Unasked


def test_the_use_of_rules_is_shown_to_people_only(web: MemoryWeb, client: TestClient[Any]) -> None:
    assert client.get("/practice").status_code == 401


def test_every_rule_is_shown_with_its_use(web: MemoryWeb, dana: TestClient[Any]) -> None:
    assert "Nobody has looked yet." in dana.get("/practice").text
    uses = (
        RuleUse("rare", "hold", 1, 1, 0, 1, None, 0, 0, 0),
        RuleUse("busy<b>", "hold", 1_200, 900, 850, 50, 3.25, 700, 0, 0),
    )
    found = Drift("rule.always_approved", ("busy",), "busy<script> is always approved.\u202e")
    web.practised = (1, Practice("sha256:p", 30, uses, ("busy<b>",), (found,)))
    page = dana.get("/practice").text
    assert page.index("busy&lt;b&gt;") < page.index("rare")  # the busiest first
    assert "1,200" in page
    assert "people would be asked about" not in page
    web.practised = (1, Practice("p", 30, uses, (), (), Unasked(150, 50), Unasked(1, 99)))
    later = dana.get("/practice").text
    assert (
        "150 of 200 actions that people would be asked about (75 %); in the first 30 days 1 of 100 (1 %)"
        in later
    )
    both = Covered(3, ("export",), 2, ("wipe<i>",), 3, ("deleting",))
    web.practised = (1, Practice("p", 30, uses, (), (), covered=both))
    covers = dana.get("/practice").text
    assert "2 of 3 clauses of the written policy are enforced (67%)." in covers
    assert "Without a clause: wipe&lt;i&gt;." in covers
    assert "No case tries: deleting." in covers
    assert "clauses of the written policy" not in later
    assert "3.2 s" in page
    assert "<script> is always" not in page
    assert "U+202E" in page
