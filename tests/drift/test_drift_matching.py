"""Matching: every event is in exactly one place, what was allowed explains as much as it was allowed, and no more."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from keyturn.drift import coverage
from keyturn.drift.expected import Expected, Span, statements
from keyturn.drift.fingerprints import aws_command, command, http, sql
from keyturn.drift.matching import LATE_MS, Frame, Outcome, compare
from keyturn.drift.observed import Observed
from keyturn.drift.pairing import paired, skew
from keyturn.drift.tags import Tags

TAGS = Tags(b"key")
DB, MINUTE, DAY = "db", 60_000, 86_400_000
START = 1_795_946_400_000
SESSION = "s_" + "0" * 26
LOOK = sql("select 1 from t")


def id_of(number: int) -> str:
    return f"a_{number:026d}"


def action(number: int, at: int, said: tuple[str, ...] = (LOOK,), **more: Any) -> Expected:
    return Expected(id_of(number), SESSION, START + at, more.pop("target", DB), said, **more)


def event(at: int, tag: str = "", said: str = LOOK, who: str = "agent") -> Observed:
    return Observed(START + at, who, said, "raw", tag=tag, index=at)


def judged(
    events: list[Observed], actions: list[Expected], spans: tuple[Span, ...] = (), **frame: Any
) -> Outcome:
    used = frame.pop("used", ())
    given = {"target": DB, "since": START - DAY, "until": START + DAY, **frame}
    return compare(events, actions, {one.id: one for one in spans}, TAGS, Frame(**given), used)


def tag(number: int, target: str = DB) -> str:
    return TAGS.tag(id_of(number), target)


@given(st.data())
def test_every_event_is_in_exactly_one_place_and_actions_explain_no_more_than_they_are(
    data: st.DataObject,
) -> None:
    words = [LOOK, sql("delete from t"), command(["ls"]), ""]
    times = st.integers(0, 20_000)
    count = data.draw(st.integers(0, 12))
    said = st.lists(st.sampled_from(words[:3]), max_size=2).map(tuple)
    actions = [
        action(
            n,
            data.draw(times),
            data.draw(said),
            allowed=data.draw(st.booleans()),
            open=data.draw(st.booleans()),
        )
        for n in range(count)
    ]
    tags = st.one_of(
        st.just(""), st.builds(tag, st.integers(0, 14)), st.just(TAGS.tag(SESSION)), st.just("kt1.a_b.c")
    )
    events = [
        replace(event(data.draw(times), data.draw(tags), data.draw(st.sampled_from(words))), index=n)
        for n in range(data.draw(st.integers(0, 25)))
    ]
    frame = {"tagging": data.draw(st.sampled_from(["auto", "required", "none"]))}
    spans = (Span(SESSION, START),) if data.draw(st.booleans()) else ()
    found = judged(events, actions, spans, **frame)
    parts = (
        found.tagged + found.in_session + found.matched + found.within + len(found.bypasses) + found.surpluses
    )
    assert found.events == parts
    assert found.events + found.others + found.outside == len(events)
    closed = [one for one in actions if one.allowed and not one.open]
    if not any(one.open for one in actions):
        most = sum(max(1, len(one.statements)) for one in closed)
        unsaid = sum(1 for one in events if not one.fingerprint)
        assert found.tagged + found.matched <= most
        assert found.accounted <= most + unsaid
    assert all(one.action in {a.id for a in closed} for one in found.missing)
    assert found == judged(
        list(reversed(events)), actions, spans, **frame
    )  # the order of the lines says nothing
    coverage.drifts(found, "pgaudit", DB, START)


@given(
    st.lists(st.integers(0, 300), max_size=9), st.lists(st.integers(0, 300), max_size=9), st.integers(0, 60)
)
def test_the_pairs_are_as_many_as_there_can_be(events: list[int], actions: list[int], reach: int) -> None:
    events, actions = sorted(events), sorted(actions)
    pairs = paired(events, actions, reach)
    assert all(abs(events[one] - actions[other]) <= reach for one, other in pairs)
    assert len({one for one, _ in pairs}) == len({other for _, other in pairs}) == len(pairs)
    assert len(pairs) == most_pairs(events, actions, reach)


def most_pairs(events: list[int], actions: list[int], reach: int) -> int:
    """The same by augmenting paths: a largest matching of any bipartite graph."""
    held: dict[int, int] = {}

    def place(one: int, seen: set[int]) -> bool:
        for other, at in enumerate(actions):
            if abs(events[one] - at) <= reach and other not in seen:
                seen.add(other)
                if other not in held or place(held[other], seen):
                    held[other] = one
                    return True
        return False

    return sum(place(one, set()) for one in range(len(events)))


@given(st.integers(-9_000, 9_000), st.lists(st.integers(0, 200_000), min_size=20, max_size=60, unique=True))
def test_the_skew_is_found_from_pairs_alone(shift: int, times: list[int]) -> None:
    mine = {LOOK: sorted(times)}
    theirs = {LOOK: sorted(at + shift for at in times)}
    found = skew(theirs, mine)
    assert found is not None
    assert abs(found - shift) <= 30 or _crowded(times)


def _crowded(times: list[int]) -> bool:
    """Whether some other distance lies between as many of them: then the times alone don't tell."""
    apart = Counter((b - a) // 10 for a in times for b in times if a != b)
    return bool(apart) and max(apart.values()) * 3 >= len(times) - 1


def test_a_copy_of_something_allowed_is_left_over_and_none_of_the_lines_is_accused() -> None:
    found = judged([event(0), event(40), event(80)], [action(1, 10), action(2, 50)], tagging="none")
    assert (found.matched, found.surpluses, found.bypasses) == (2, 1, ())
    surplus = found.surplus[0]
    assert (surplus.count, surplus.earliest, surplus.latest) == (1, START, START + 80)
    words = coverage.drifts(found, "pgaudit", DB, START)[0]
    assert words.kind == "bypass.surplus"
    assert "1 surplus execution of SELECT ? FROM T" in words.observed
    assert (
        judged([event(0), event(40)], [action(1, 10), action(2, 50)], tagging="none").drift is False
    )  # the control


def test_where_agents_tag_their_account_without_a_tag_is_a_bypass_and_others_are_not() -> None:
    events = [event(0, tag(1)), event(5), event(6, who="backup")]
    found = judged(events, [action(1, 0)])
    assert (found.tagged, found.others, [one.kind for one in found.bypasses]) == (1, 1, ["untagged"])
    found = judged(events, [action(1, 0)], principals=("agent", "backup"))
    assert len(found.bypasses) == 2


def test_a_tag_counts_once_for_its_statement_in_its_time_on_its_target() -> None:
    once = [action(1, 0, ended=START + 100), action(2, 0)]
    why = {
        "used before": [event(0, tag(1)), event(50, tag(1))],
        "says something else": [event(0, tag(1), sql("drop table t"))],
        "long before or after": [event(0, tag(2)), event(30_000, tag(1))],
        "not made here": [event(0, tag(1, "other"))],
        "no action of that time": [event(0, tag(9))],
    }
    for words, events in why.items():
        found = judged(events, once)
        assert [words in one.why for one in found.bypasses] == [True], words
    refused = judged([event(0, tag(1))], [replace(once[0], allowed=False)])
    assert "never let go" in refused.bypasses[0].why
    elsewhere = judged([event(0, tag(1))], [replace(once[0], target="db2")])
    assert "which is about db2" in elsewhere.bypasses[0].why
    assert judged([event(0, tag(1)), event(9, tag(2))], once).bypasses == ()  # the control


def test_an_earlier_run_is_remembered_as_long_as_a_line_may_come() -> None:
    first = judged([event(0, tag(1))], [action(1, 0)], until=START + 10)
    assert [one.action for one in first.used] == [id_of(1)]
    again = judged([event(20, tag(1))], [action(1, 0)], since=START + 10, used=first.used)
    assert "used before" in again.bypasses[0].why
    late = judged([event(0, tag(1))], [action(1, 0)], until=START + LATE_MS + MINUTE)
    assert late.used == ()  # from then on its time is over, whoever remembers


def test_a_sessions_tag_counts_in_its_session_and_for_what_is_known_to_be_said_there() -> None:
    mine = TAGS.tag(SESSION)
    said = [action(1, 0, target="local"), action(2, 10, (sql("select 2"),), target="local")]
    open_one = [*said, action(3, 0, (), target="local", open=True)]
    span = (Span(SESSION, START - 5, START + 1_000),)
    found = judged([event(0, mine), event(20, mine)], said, span)
    assert (found.in_session, len(found.bypasses)) == (1, 1)
    assert "nobody was asked for it" in found.bypasses[0].why
    assert judged([event(0, mine), event(20, mine)], open_one, span).in_session == 2
    outside = judged([event(20 * MINUTE, mine)], said, span)
    assert "outside that session's time" in outside.bypasses[0].why
    unknown = judged([event(0, mine)], said)
    assert "no session of that time" in unknown.bypasses[0].why
    traced = (replace(span[0], trace=TAGS.trace(SESSION)),)
    assert judged([event(0, TAGS.trace(SESSION))], said, traced).in_session == 1


def test_what_was_allowed_and_left_no_line_is_told_where_a_line_was_due() -> None:
    begun = sql("begin")
    actions = [
        action(1, 10_000), action(2, 10_000, failed=True), action(3, 10_000, (begun,)), action(4, 10_000, open=True),
        action(5, 10_000, target="other"), action(6, 10_000, (command(["ls"]),)), action(7, DAY),
    ]  # fmt: skip
    found = judged([], actions)
    assert [one.action for one in found.missing] == [id_of(1)]
    assert [one.kind for one in coverage.drifts(found, "pgaudit", DB, START)] == ["action.not_in_target"]
    assert judged([event(10_000)], actions[:1], tagging="none").missing == ()  # the control


def test_a_program_that_an_allowed_one_started_is_neither_covered_nor_a_bypass() -> None:
    make = action(1, 0, (command(["make"]),), target="local", open=True, account="1001", ended=START + 60_000)
    compiler, elsewhere = (
        event(100, said=command(["cc1"]), who="1001"),
        event(100, said=command(["cc1"]), who="1002"),
    )
    found = judged(
        [event(0, said=command(["make"]), who="1001"), compiler, elsewhere], [make], tagging="none"
    )
    assert (found.matched, found.within, found.surpluses) == (1, 1, 1)
    assert found.coverage == 1 / 3


def test_the_same_statement_in_other_words_has_the_same_fingerprint_and_another_has_not() -> None:
    assert sql("select  a from T where id = 7;") == sql("SELECT A -- why\nFROM t WHERE ID=$1")
    assert sql("select * from t where id in (1, 2, 3)") == sql("select * from t where id in (9)")
    assert sql('select "A" from t') != sql("select a from t")
    assert sql("do $$ begin a(); end $$") != sql("do $$ begin b(); end $$")
    assert sql("select 'unterminated") == sql("select  'unterminated")
    assert sql("prepare p as select 1") != sql("prepare p as delete from t")
    assert sql(" ; ") == sql("") == ""
    assert http("get", "https://API.example.com/v1?x=1") == http("GET", "https://api.example.com/v1")
    assert aws_command(["aws", "s3api", "put-object", "--bucket", "b"]) == "aws:s3:PutObject"
    assert (
        aws_command(["aws", "--region", "x", "iam", "create-user", "--no-cli-pager"]) == "aws:iam:CreateUser"
    )
    assert aws_command(["aws", "--region", "x", "s3", "cp"]) == ""
    assert command(["/bin/bash", "-c", "ls -l "]) == "script:ls -l"


@given(st.text(max_size=200))
def test_a_fingerprint_is_made_of_any_text_and_is_the_same_again(text: str) -> None:
    assert sql(text) == sql(text)
    assert "\x00" in text or "'" in text or sql(f" {text} ; ") == sql(text)
    http("GET", text)
    command([text, text])


def test_what_an_action_says_is_known_from_its_words_and_open_where_it_may_say_more() -> None:
    reach = [{"verb": "connects"}, {"verb": "executes"}]

    def shell(
        *argv: str, effects: list[dict[str, str]] = reach, complete: bool = True
    ) -> tuple[list[str], bool]:
        step = {"argv": argv, "effects": effects, "complete": complete}
        said, more = statements({"kind": "shell", "script": " ".join(argv)}, [step])
        return [one for one in said if one.startswith("sql:")], more

    assert shell("psql", "-c", "select 1", "-qAtc", "select 2; select 3") == (
        [sql("select 1"), *[sql("select 2; select 3")] * 2],
        False,
    )
    assert shell("psql", "--command=select 1", "-d", "-c") == ([sql("select 1")], False)
    assert shell("psql", "-c", "select 1", "-f", "x.sql")[1]
    assert shell("psql", "-c", "\\dt")[1]
    assert shell("psql", "-c", "do $$ $$")[1]
    assert shell("psql")[1]
    assert shell("python3", "x.py") == ([], True)
    assert shell("ls", effects=[{"verb": "reads"}]) == ([], False)
    assert shell("ls", effects=[], complete=False)[1]
    tool = {"kind": "tool", "tool": "query", "arguments": {"sql": "select 1"}}
    assert statements(tool, []) == ((sql("select 1"),), False)
    assert statements({**tool, "arguments": {"path": "x"}}, []) == ((), True)
    assert statements({"kind": "http", "method": "POST", "url": "https://h/x"}, []) == (
        ("http:POST h/x",),
        False,
    )
    assert statements({"kind": "file", "path": "/x"}, []) == ((), False)
