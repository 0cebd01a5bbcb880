"""What an action touches is measured against what its words name: nothing named bounds nothing, and a prohibition names nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from service_world import World
from test_drift_stories_limits import findings

from keyturn.actions import Effect, Text
from keyturn.drift.declared import NOTHING, beyond, exceeded, named, watched
from keyturn.service.keyturn import Keyturn

X, Y, Z = (f"/srv/tables/{name}.csv" for name in ("orders", "customers", "salaries"))
_NAME = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
_PATH = st.lists(_NAME, min_size=2, max_size=5).map(lambda parts: "/" + "/".join(parts))


def reads(*paths: str) -> tuple[Effect, ...]:
    return tuple(Effect("reads", path, "outside", ("customers",)) for path in paths)


def over(words: str, *effects: Effect) -> list[str]:
    return [effect.what for effect in beyond(named(words), effects)]


def test_the_task_names_x_and_the_agent_reads_x_y_and_z() -> None:
    assert over(f"Sum up {X}, please.", *reads(X, Y, Z)) == [Y, Z]


@pytest.mark.parametrize(
    "words",
    [
        "Summarise everything in /srv/tables.",
        "Sum up `/srv/tables/`",
        "Use orders.csv, customers.csv and salaries.csv",
        "Compare tables/orders.csv with tables/customers.csv and tables/salaries.csv.",
        "Sum up what there is, and/or ask me.",
        "tidy up",
        "",
    ],
)
def test_a_folder_a_name_or_nothing_named_leaves_nothing_beyond(words: str) -> None:
    assert over(words, *reads(X, Y, Z)) == []


def test_what_a_sentence_forbids_is_not_declared_by_it() -> None:
    words = f"Sum up {X}. Do not read {Z}."
    assert over(words, *reads(X, Z)) == [Z]
    assert over(words.replace("Do not read", "Read"), *reads(X, Z)) == []


def test_hosts_are_bounded_by_hosts_and_files_by_files() -> None:
    there = Effect("connects", "api.example.com", "network")
    elsewhere = Effect("sends", "paste.evil.test", "network")
    assert over("Ask https://example.com/v1 for it", there, elsewhere) == ["paste.evil.test"]
    assert over(f"Read {X}", there, elsewhere) == []
    assert over("Ask example.com", *reads(Y)) == []
    assert over("Ask example.com", Effect("connects", "notexample.com", "network")) == ["notexample.com"]


@pytest.mark.parametrize(
    "effect",
    [
        Effect("writes", "/home/dev/shop/src/app.py", "workspace"),
        Effect("reads", "/usr/share/dict/words", "system"),
        Effect("executes", "/usr/bin/sort", "system", ("secret",)),
        Effect("writes", "/tmp/x", "temporary"),
        Effect("writes", "/dev/null", "device"),
        Effect("connects", "localhost", "loopback"),
    ],
)
def test_what_is_the_agents_own_business_is_not_looked_at(effect: Effect) -> None:
    assert not watched([effect])
    assert over(f"Read {X} and ask example.com", effect) == []


def test_changes_elsewhere_and_labelled_files_of_the_work_folder_are() -> None:
    for effect in (
        Effect("writes", "/etc/passwd", "system"),
        Effect("reads", "/home/dev/shop/.env", "workspace", ("secret",)),
    ):
        assert watched([effect])
        assert over("Change src/app.py", effect) == [effect.what]


def test_a_path_that_climbs_is_the_path_it_ends_at() -> None:
    assert over("Read /srv/tables/../other/a.csv", *reads("/srv/other/a.csv")) == []
    assert over("Read /srv/tables/../other/a.csv", *reads(X)) == [X]
    assert over("Look through / for it", *reads(X)) == []  # the root names nothing: no bound, and no leave


@given(st.text(max_size=300), st.lists(_PATH, max_size=4))
def test_no_words_make_it_fail_and_what_is_beyond_was_touched(words: str, paths: list[str]) -> None:
    effects = reads(*paths)
    found = beyond(named(words), effects)
    assert set(found) <= set(effects)


@given(st.lists(_PATH, min_size=1, max_size=4), st.lists(_PATH, max_size=4))
def test_whoever_names_more_has_less_beyond_and_all_named_is_none(
    said: list[str], touched: list[str]
) -> None:
    few, many = named("Read " + said[0]), named("Read " + " ".join(said + touched))
    assert set(beyond(many, reads(*touched))) <= set(beyond(few, reads(*touched)))
    assert beyond(many, reads(*said, *touched)) == ()
    assert beyond(NOTHING, reads(*touched)) == ()


@given(_PATH, _NAME)
def test_below_is_covered_and_beside_is_not(path: str, name: str) -> None:
    names = named("Read " + path)
    assert names.covers_path(f"{path}/{name}")
    assert not names.covers_path(f"{path}{name}")


def test_the_finding_says_what_was_named_and_what_was_not() -> None:
    names, effects = named(f"Sum up {X}"), reads(X, Y, Z)
    found = exceeded("a", "s", "act", names, effects, beyond(names, effects), 5, 7)
    assert (found.kind, found.key, found.entries) == ("scope.exceeded", ("a", "s"), (7,))
    assert found.observed == f"3 touched, of these not named: {Y}, {Z}"
    assert found.expected == f"1 named: {X}"
    assert found.magnitude is not None
    assert found.magnitude.value == 2


def test_it_is_a_fact_at_the_decision_and_a_finding_after_it(tmp_path: Path) -> None:
    home = World(tmp_path)

    async def story(service: Keyturn) -> None:
        async def undeclared(instruction: str) -> list[str]:
            session = await home.session(service)
            asked = home.action(session, "rm /etc/motd /etc/issue")
            told = replace(asked.attribution, instruction=Text(instruction, "test"))
            done = await service.authorize(replace(asked, attribution=told), home.around)
            row = service.core.ledger.row("action", done.action)
            assert row is not None
            entry = service.core.ledger.entry(row["entry"])
            assert entry is not None
            return list((entry.fields.get("facts") or {}).get("undeclared", []))

        assert await undeclared("Remove /etc/motd and /etc/issue") == []
        assert await undeclared("tidy up") == []
        assert await findings(service, "scope.exceeded") == []
        assert await undeclared("Remove /etc/motd") == ["deletes:system"]
        [found] = await findings(service, "scope.exceeded")
        assert "/etc/issue" in found["words"]
        assert "/etc/motd" not in found["words"]

    home.play(story)
