"""Catalogues of controls: strict, in words, and no house can put something weaker in the place of what Keyturn tests."""

from __future__ import annotations

import time
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from outcomes import report

from keyturn.evidence import catalogue, house_tests
from keyturn.evidence.catalogue import VERIFIED, check, load
from keyturn.evidence.errors import CatalogueMalformed, ControlUnknown, FrameworkUnknown, UnknownQuery
from keyturn.evidence.house_tests import problems_of, unportable
from keyturn.evidence.limits import load_limits
from keyturn.evidence.testing import load_tests
from keyturn.policy.problems import Problem

NIGHT = b"""-- Nothing is decided at night
-- population: actions decided in the period
-- exception: it was decided before six in the morning (UTC)
-- rests on: action
-- settings: first_h=6 (the first hour of the day)
SELECT action.entry, action.ts_ms, action.agent AS subject,
  CASE WHEN action.ts_ms % 86400000 < 3600000 * (SELECT value FROM setting WHERE name = 'first_h')
    THEN 'decided at night' ELSE '' END AS exception
FROM action, period
WHERE action.ts_ms >= since_ms AND action.ts_ms < until_ms
ORDER BY 1, 3, 4
"""

CONTROL = """
[[control]]
id = "{id}"
title = "Nights"
gist = "Nothing is decided at night."
passes = "Every action was decided after six."
tests = [{tests}]
how = "automatic"
"""


def own(text: str = "", query: bytes | None = NIGHT, name: str = "nights") -> dict[str, bytes]:
    """A policy's files with one catalogue and one test."""
    files = {"controls/ours.toml": text.encode()} if text else {}
    if query is not None:
        files[f"controls/queries/{name}.sql"] = query
    return files


def house(*controls: str, head: str = 'id = "ours"\ntitle = "Ours"\nedition = "2026"\n') -> str:
    return head + "".join(controls)


def control(name: str = "N.1", tests: str = '"nights"', **changes: str) -> str:
    text = CONTROL.format(id=name, tests=tests)
    for key, value in changes.items():
        lines = [line for line in text.splitlines() if not line.startswith(f"{key} =")]
        text = "\n".join([*lines, f"{key} = {value}" if value else "", ""])
    return text


def refused(files: dict[str, bytes]) -> CatalogueMalformed:
    with pytest.raises(CatalogueMalformed) as caught:
        load(files)
    return caught.value


def problems(files: dict[str, bytes]) -> tuple[Problem, ...]:
    """Whatever is wrong with the files; anything but words about them is an error of this test."""
    try:
        load(files)
    except CatalogueMalformed as error:
        return error.problems
    return ()


# --- what comes with Keyturn -----------------------------------------------------------------------------------------


def test_every_framework_of_the_promise_is_there_with_more_than_seventy_controls_in_all() -> None:
    found = load()
    assert set(found.frameworks) >= {
        "soc2", "iso27001", "hipaa", "pci-dss", "nist-800-53", "fedramp-20x", "eu-ai-act", "iso42001", "nist-ai-rmf",
        "owasp-agentic", "aiuc-1",
    }  # fmt: skip
    assert sum(1 for _ in found.controls()) >= 100
    assert [one.id for one in found.framework("owasp-agentic").controls] == [
        f"ASI{n:02}" for n in range(1, 11)
    ]


def test_every_control_says_what_a_person_adds_or_that_nothing_is() -> None:
    for one in load().controls():
        assert (one.how == "partial") == bool(one.also), (one.framework, one.id)
        assert set(one.optional) < set(one.tests), (one.framework, one.id)
        assert one.passes.endswith(".")
        assert one.gist.endswith(".")


PROMISED = {
    "soc2": "CC4.1 CC5.2 CC6.1 CC6.2 CC6.3 CC6.6 CC6.7 CC6.8 CC7.1 CC7.2 CC7.3 CC7.4 CC7.5 CC8.1 PI1.4",
    "iso27001": "A.5.3 A.5.15 A.5.16 A.5.17 A.5.18 A.5.28 A.5.33 A.5.34 A.8.2 A.8.3 A.8.5 A.8.9 A.8.10 A.8.15 A.8.16 A.8.17 A.8.18 "
    "A.8.24 A.8.31 A.8.32",
    "nist-800-53": "AC-2(4) AC-3 AC-3(2) AC-5 AC-6 AC-6(9) AC-6(10) AU-2 AU-3 AU-3(1) AU-5 AU-6 AU-7 AU-8 AU-9 AU-9(2) AU-9(3) AU-9(5) "
    "AU-10 AU-11 AU-12 AU-12(1) AU-12(3) CM-3 CM-3(1) CM-3(2) CM-5 CM-5(1) CM-5(4) IA-2(1) IA-2(8) PS-4 SI-7",
    "hipaa": "164.308(a)(1)(ii)(D) 164.312(a)(2)(i) 164.312(a)(2)(ii) 164.312(b) 164.312(c)(1) 164.312(d) 164.316(b)(2)(i)",
    "pci-dss": "6.5.1 6.5.4 7.2.5 8.6.1 10.2.1 10.2.1.2 10.2.1.6 10.2.2 10.3.2 10.3.3 10.3.4 10.4.1.1 10.5.1 10.6.1 10.7.2",
    "fedramp-20x": "KSI-AFR-PVA KSI-CMT-LMC KSI-CMT-VTD KSI-IAM-ELP KSI-IAM-JIT KSI-IAM-MFA KSI-IAM-SNU KSI-IAM-SUS KSI-MLA-ALA "
    "KSI-MLA-LET KSI-MLA-OSM KSI-MLA-RVL KSI-SVC-VRI",
    "iso42001": "A.6.2.6 A.6.2.8 A.9.2",
    "aiuc-1": "D003.1 D003.2 D003.3 D003.4 D003.5",
}  # fmt: skip


@pytest.mark.parametrize("framework", PROMISED)
def test_each_control_that_was_asked_for_is_there(framework: str) -> None:
    assert set(PROMISED[framework].split()) <= {one.id for one in load().framework(framework).controls}


def test_an_exception_of_a_test_fails_the_controls_it_is_for_and_no_other() -> None:
    for framework in load().frameworks.values():
        for test in {name for one in framework.controls for name in one.tests}:
            shown, _ = report(framework.id, {test: (5, 1, 0)})
            failed = {one.result.control for one in shown.controls if one.result.verdict == "fail"}
            assert failed == {one.id for one in framework.controls if test in one.tests}
            assert {one.result.verdict for one in shown.controls} <= {"fail", "pass"}


def test_nothing_to_test_is_a_pass_for_no_control() -> None:
    for framework in load().frameworks.values():
        nothing = {name: (0, 0, 0) for one in framework.controls for name in one.tests}
        shown, _ = report(framework.id, nothing)
        assert {one.result.verdict for one in shown.controls} == {"no-population"}


def test_every_test_that_a_control_names_is_there_and_every_test_is_of_use() -> None:
    named = {test for one in load().controls() for test in one.tests}
    assert named == {*load_tests(), *VERIFIED}


def test_what_comes_with_keyturn_keeps_to_what_is_asked_of_a_houses_tests() -> None:
    assert [*problems_of(load_tests().values())] == []
    assert [*unportable(load_tests().values())] == []


def test_both_tests_that_are_no_queries_are_used() -> None:
    assert {"log_intact", "kept_elsewhere"} == set(VERIFIED)
    for name in VERIFIED:
        assert load().using(name)


def test_the_dates_of_the_ai_act_are_those_of_the_amending_regulation() -> None:
    for one in load().framework("eu-ai-act").controls:
        assert "2 December 2027" in one.applies
        assert "2026/1744" in one.applies
        assert "2026 " not in one.applies.replace("(EU) 2026/", "")


def test_dual_authorisation_is_in_no_baseline_and_every_baseline_is_within_the_next() -> None:
    found = {one.id: one.baselines for one in load().framework("nist-800-53").controls}
    assert [found[name] for name in ("AC-3(2)", "CM-5(4)", "AU-9(5)")] == [(), (), ()]
    assert found["AU-10"] == ("high",)
    for levels in found.values():
        assert levels in ((), ("high",), ("moderate", "high"), ("low", "moderate", "high"))


def test_what_cannot_be_shown_is_said() -> None:
    limits = load_limits()
    assert len({one.id for one in limits}) == len(limits) >= 15
    assert {one.kind for one in limits} == {"outside", "residual"}
    assert all(one.says.endswith(".") and one.shown_by.endswith(".") for one in limits)


# --- a house's own ---------------------------------------------------------------------------------------------------


def test_a_house_adds_a_framework_a_test_and_a_threshold() -> None:
    settings = "[settings]\nfirst_h = 5\n"
    found = load(own(house(settings, control())))
    assert found.control("ours", "N.1").source == "controls/ours.toml"
    assert found.control("ours", "N.1").tests == ("nights",)
    assert found.tests["nights"].values(found.settings) == {"first_h": 5.0}
    assert "ours" not in load().frameworks


def test_a_house_adds_to_a_framework_that_is_there() -> None:
    before = load().framework("soc2")
    after = load(own(house(control("CC9.9"), head='id = "soc2"\n'))).framework("soc2")
    assert after.controls[:-1] == before.controls
    assert (after.title, after.controls[-1].id, after.controls[-1].source) == (
        before.title, "CC9.9", "controls/ours.toml",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words", "shown"),
    [
        (house(control(), 'surprise = 1\n'), "no surprise", 'surprise = 1'),
        (house(control(tests='"nigths"')), "there is no test 'nigths'", 'nigths'),
        (house(control(), control()), "there is a control N.1 already, in controls/ours.toml", 'id = "N.1"'),
        (house(control(tests="")), "it would never be tested", 'tests = []'),
        (house(control(optional='["nights"]')), "must find something to test", 'optional ='),
        (house(control(optional='["two_people"]')), "two_people is not among the tests", 'optional ='),
        (house(control(how='"sometimes"')), 'how is "automatic" or "partial"', 'how ='),
        (house(control(how='"partial"')), "says what a person has to add", 'how ='),
        (house(control(also='"A signature."')), "is partial", 'also ='),
        (house(control(title="")), "title is missing", '[[control]]'),
        (house(control(baselines='["lowest"]')), "baselines are", 'lowest'),
        (house(control(gist='"two\\nlines"')), "a text of one line", 'gist ='),
        (house(control("bad\\nid")), "a control has an id", 'id = "bad'),
        (house(control(), head='id = "Ours"\ntitle = "x"\nedition = "y"\n'), "the id of a framework", 'id = "Ours"'),
        (house(control(), head='id = "ours"\n'), "title is missing", 'id = "ours"'),
        (house(control("X.1"), head='id = "soc2"\ntitle = "Ours now"\n'), "is there already, with its title", 'title = "Ours now"'),
        (house("[settings]\nfirst_g = 1\n"), "no test takes a setting first_g", 'first_g = 1'),
        (house("[settings]\nfirst_h = -1\n"), "a number, and not negative", 'first_h ='),
        (house("[settings]\nfirst_h = nan\n"), "a number, and not negative", 'first_h ='),
        (house("control = 3\n"), "controls are written [[control]]", 'control = 3'),
        ('id = "ours"\ntitle = "Ours"\nedition = "1"\n', "has no controls", 'id = "ours"'),
        ("id = ours\n", "not TOML", 'id = ours'),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_its_place(text: str, words: str, shown: str) -> None:
    problem = refused(own(text)).problems[0]
    assert words in problem.message
    assert problem.file == "controls/ours.toml"
    assert shown in text.split("\n")[problem.line - 1]


def test_a_control_that_is_there_is_not_replaced() -> None:
    """Otherwise a house could call CC8.1 passed for a test of its own that always does."""
    error = refused(own(house(control("CC8.1"), head='id = "soc2"\n')))
    assert "CC8.1 already, among those that come with Keyturn" in error.happened
    assert load().control("soc2", "CC8.1").source == ""


def test_a_test_that_is_there_is_not_replaced() -> None:
    for name in ("log_intact", *list(load_tests())[:3]):
        error = refused(own("", NIGHT, name))
        assert "a policy can't take its place" in error.happened
        assert error.problems[0].file == f"controls/queries/{name}.sql"


def test_an_unknown_test_has_a_code_of_its_own_and_a_near_name() -> None:
    with pytest.raises(UnknownQuery) as caught:
        load(own(house(control(tests='"nigths"'))))
    assert caught.value.code == "evidence.unknown_query"
    assert "nights" in caught.value.problems[0].suggestion
    assert refused(own(house(control(how='"x"')))).code == "evidence.catalogue_malformed"


def test_all_mistakes_are_told_at_once() -> None:
    files = own(house(control(tests='"nigths"', how='"x"'))) | {"controls/more.toml": b"id = 1"}
    assert len(refused(files).problems) == 3


def test_unknown_frameworks_and_controls_are_named_with_the_nearest() -> None:
    found = load()
    with pytest.raises(FrameworkUnknown, match="soc2"):
        found.framework("soc-2")
    with pytest.raises(ControlUnknown, match=r"CC8\.1"):
        found.control("soc2", "CC8.11")


# --- a house's own tests: they run in the server and on the auditor's machine ----------------------------------------


SELECT = b"SELECT action.entry, action.ts_ms"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (NIGHT.replace(b"FROM action, period", b"FROM nowhere, period"), "no such table"),
        (NIGHT.replace(b"AS exception", b"AS wrong"), "its columns are entry, ts_ms, subject, wrong"),
        (NIGHT.replace(SELECT, b"SELECT action.ts_ms AS entry, 1"), "its columns are"),
        (NIGHT.replace(b"ORDER BY", b"AND action.nowhere = 1 ORDER BY"), "no such column"),
        (NIGHT[: NIGHT.index(b"SELECT")] + b"DELETE FROM action", "only reads"),
        (NIGHT[: NIGHT.index(b"SELECT")] + b"ATTACH '/tmp/x' AS other", "only reads"),
        (NIGHT[: NIGHT.index(b"SELECT")] + b"PRAGMA writable_schema = 1", "only reads"),
        (NIGHT + b"; DROP TABLE action", "one statement"),
        (NIGHT.replace(b"ELSE ''", b"ELSE load_extension('x')"), "load_extension"),
        (NIGHT.replace(b"ELSE ''", b"ELSE random()"), "random"),
        (NIGHT.replace(b"ELSE ''", b"ELSE readfile('/etc/passwd')"), "readfile"),
        (NIGHT.replace(b"FROM action", b"FROM sqlite_schema, action"), "sqlite_"),
        (NIGHT.replace(b"FROM action", b"FROM '/etc/passwd.csv', action"), "no such table"),
        (NIGHT.replace(b"rests on: action", b"rests on: actions"), "no such table"),
        (NIGHT.replace(b"-- population: actions decided in the period\n", b""), "population"),
        (b"SELECT 1", "first line"),
        (b"-- caf\xe9\n", "not UTF-8"),
        (b"-- t\n-- population: p\n-- exception: e\n-- rests on: action\nWITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
         b" SELECT i AS entry, i AS ts_ms, '' AS subject, '' AS exception FROM n", "it can't be run"),
    ],
)  # fmt: skip
def test_a_test_that_could_do_anything_else_is_refused(query: bytes, words: str) -> None:
    load(own("", NIGHT))  # negative control: the same without the change
    error = refused(own("", query))
    assert words in error.happened, error.happened
    assert error.problems[0].file == "controls/queries/nights.sql"


def test_a_test_names_all_tables_it_reads() -> None:
    """What is withheld in a table that it reads and does not name would count as fine."""
    joined = NIGHT.replace(
        b"FROM action, period", b"FROM action JOIN receipt ON receipt.action = action.action, period"
    )
    assert "it reads receipt" in refused(own("", joined)).happened
    load(own("", joined.replace(b"rests on: action", b"rests on: action receipt")))


def test_a_test_runs_in_duckdb_too() -> None:
    """Anybody does it again by hand over a pack; `glob(x, y)` is a function in SQLite and a table in DuckDB."""
    check(own("", NIGHT))
    only_sqlite = NIGHT.replace(b"ELSE ''", b"ELSE substr(action.agent, glob('a*', action.agent) * 0, 0)")
    load(own("", only_sqlite))
    with pytest.raises(CatalogueMalformed, match="DuckDB can't run it"):
        check(own("", only_sqlite))


ENDLESS = b"""-- Endless
-- population: p
-- exception: e
-- rests on: action
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i > 0)
SELECT entry, ts_ms, agent AS subject, '' AS exception FROM action WHERE (SELECT max(i) FROM n) < 0
UNION ALL SELECT 0, 0, '', CASE WHEN (SELECT max(i) FROM n) < 0 THEN '' ELSE 'x' END
"""


def test_tests_that_do_not_end_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house_tests, "SECONDS", 1.0)
    files = {f"controls/queries/endless{n}.sql": ENDLESS for n in range(20)}
    start = time.process_time()
    error = refused(files)
    assert time.process_time() - start < 10
    assert "takes longer than" in error.problems[0].message
    assert "it was not looked at" in error.problems[-1].message


def test_as_many_tests_as_there_may_be_are_looked_at_in_time() -> None:
    files = {f"controls/queries/night{n}.sql": NIGHT for n in range(200)}
    start = time.process_time()
    check(files)
    assert time.process_time() - start < 20
    assert "at most 200 tests" in refused({**files, "controls/queries/more.sql": NIGHT}).happened


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    for path in ("controls/x.toml", "controls/queries/x.sql"):
        assert {problem.file for problem in problems({path: data})} <= {path}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
        lambda x: st.lists(x, max_size=3),
        max_leaves=5,
    )
)
def test_no_value_in_a_control_breaks_the_reading(value: object) -> None:
    body = tomllib.loads(house(control()))
    keys = ("id", "title", "gist", "tests", "optional", "how", "also", "applies", "baselines")
    for key in keys:
        shown = _toml(value)
        if shown is None:
            continue
        lines = [f"{name} = {_toml(one)}" for name, one in body["control"][0].items() if name != key]
        text = house("[[control]]\n", "\n".join([*lines, f"{key} = {shown}"]))
        problems(own(text))


def _toml(value: object) -> str | None:
    """A value as TOML, None where there is no such thing."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(c):08x}" for c in value if not 0xD800 <= ord(c) <= 0xDFFF) + '"'
    if isinstance(value, list):
        inner = [_toml(one) for one in value]
        return None if None in inner else "[" + ", ".join(str(one) for one in inner) + "]"
    return str(value)


def test_the_module_names_its_own_folders() -> None:
    assert (catalogue.FOLDER, catalogue.QUERIES) == ("controls/", "controls/queries/")
