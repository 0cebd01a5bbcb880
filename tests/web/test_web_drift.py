"""The pages of drift: an agent's course is drawn on the server, leads to the entries, and nothing an agent is called can break out."""

from __future__ import annotations

import re
from typing import Any

from litestar.testing import TestClient
from web_memory import MemoryWeb

from keyturn.channels.web.drift import HEIGHT, TOP, chart, height
from keyturn.drift.finding import Since
from keyturn.drift.powers import Powers, Step
from keyturn.service.baselines import BaselineView
from keyturn.service.behaviour_views import AgentDrift, Course, Group, Point
from keyturn.service.findings import FindingView

HOSTILE = 'coder"><script>x</script>\u202e'
DAY = 86_400_000


def point(number: int, evidence: float, alarms: tuple[str, ...] = ()) -> Point:
    values = {
        "sensitive": evidence,
        "order": 0.4,
        "novel": 0.1,
        "evidence": evidence / 3,
        "volume": 1.0,
        "hours": 7.0,
        "p": 0.5,
    }
    time = 1_763_000_000_000 + number * DAY // 20
    return Point(
        f"s_{number}", 1, 100 + number, time, 12, 1, number % 2 == 0, {**values, "alarms": alarms}, {}
    )


def course(agent: str = "coder", *, measured: bool = True) -> Course:
    points = tuple(point(n, 1.2**n, ("sensitive",) if n == 59 else ()) for n in range(60))
    line = AgentDrift(
        agent, agent if measured else "", 460, points[-1].time, 60, dict(points[-1].evidence), 4_620.0, 60.0, ((159, "sensitive"),), 1, True
    )  # fmt: skip
    pinned = BaselineView(
        agent, "r_1", "sha256:d", "sha256:p", 400, 5_200, 1_762_000_000_000, 1_763_000_000_000, 77.0, 0.009, 0.021, 0.04, 0.06, 3,
        0.018, 1_763_000_000_000, 41, "r_1", "sam", ("riley",), "It settled down.", "Agent  coder\n  5,200  shell ls <b>",
    )  # fmt: skip
    finding = FindingView(
        "f_1", "behaviour.sensitive", f"{agent} does more that is sensitive.", {"agent": agent}, points[-1].time, 160,
        severity="high", since=Since(points[40].time, points[44].time), entries=(120, 121), cause="shell cat reads:workspace+secret",
    )  # fmt: skip
    groups = (
        Group("sensitive actions", 0.009, 0.083, 0.021),
        Group("sessions as surprising as one in ten", 0.1, 0.12),
    )
    step = Step("connects:network", "s_8", 108, points[8].time)
    grown = Powers(("reads:secret",), 40, "s_9", 1, True, 1, (), (step,))
    if not measured:
        bare = tuple(Point(one.session, 1, one.entry, one.time, 3, 0, False, {}, {}) for one in points)
        return Course(line, None, bare, (), (), (), 30.0)
    return Course(
        line, pinned, points, groups, (Group("shell cat <i>", 0.0, 0.2),), (finding,), 30.0, powers=grown
    )


def test_the_fleet_and_one_agent_are_shown_to_people_only(web: MemoryWeb, client: TestClient[Any]) -> None:
    web.courses = {"coder": course()}
    assert client.get("/drift").status_code == 401
    assert client.get("/drift/coder").status_code == 401


def test_the_fleet_names_agents_with_their_evidence(web: MemoryWeb, dana: TestClient[Any]) -> None:
    web.courses = {"coder": course(), "fresh": course("fresh", measured=False)}
    page = dana.get("/drift").text
    assert "1 open finding" in page
    assert "one can be proposed" in page
    assert 'href="/drift/coder"' in page


def test_a_course_is_drawn_and_each_session_leads_to_its_entry(web: MemoryWeb, dana: TestClient[Any]) -> None:
    web.courses = {"coder": course()}
    page = dana.get("/drift/coder").text
    assert page.count('class="session"') == 60
    assert 'href="/ledger/159"' in page
    assert page.count('class="alarm-mark"') == 1
    assert page.count("<polyline") == 4
    assert "▲ 8.3 %" in page
    assert "one false alarm in 30 days on average" in page
    assert "approved by riley" in page
    assert "Hours of the week: 7 of the same" in page
    assert "Until its first baseline it used 1 power" in page
    assert "connects:network" in page
    assert "NONE" in page
    assert "<script>" not in page
    assert " style=" not in page  # the policy of the page allows no inline style
    assert dana.get("/drift/coder?last=50").text.count('class="session"') == 50
    assert dana.get("/drift/coder?last=nonsense").status_code == 200
    assert dana.get("/drift/nobody").status_code == 404


def test_an_agent_without_a_baseline_has_no_picture_and_says_what_to_do(
    web: MemoryWeb, dana: TestClient[Any]
) -> None:
    web.courses = {"fresh": course("fresh", measured=False)}
    page = dana.get("/drift/fresh").text
    assert "<polyline" not in page
    assert "keyturn baseline propose" in page


def test_what_an_agent_is_called_stays_text(web: MemoryWeb, dana: TestClient[Any]) -> None:
    web.courses = {HOSTILE: course(HOSTILE)}
    page = dana.get("/drift").text
    assert "<script>x" not in page
    assert "\u202e" not in page
    address = re.search(r'href="(/drift/coder[^"]*)"', page)
    assert address is not None
    shown = dana.get(address[1]).text
    assert "<script>x" not in shown
    assert "<i>" not in shown
    assert "\u202e" not in shown


def test_evidence_is_drawn_by_powers_of_ten() -> None:
    assert height(0.0, 4) == height(1.0, 4) > height(10.0, 4) > height(10_000.0, 4) == TOP
    assert height(1e300, 4) == TOP
    low, middle, high = (height(value, 4) for value in (1.0, 100.0, 10_000.0))
    assert abs((low - middle) - (middle - high)) < 0.2
    drawn = chart(course().points, 4_620.0)
    assert drawn is not None
    assert drawn.threshold is not None
    assert TOP < drawn.threshold < HEIGHT
    assert chart((), 1.0) is None
