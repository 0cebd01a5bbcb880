"""What a step speaks to, from its words alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn import readers
from keyturn.actions import Content, HttpRequest, Shell, Step, ToolCall
from keyturn.drift.targets import CLIENTS, target_of, targets
from keyturn.resources import Surroundings

AROUND = Surroundings(cwd="/w", workspace="/w", home="/home/u")


def of(content: Content | str, target: str = "local") -> list[str]:
    reading = readers.read(Shell(content) if isinstance(content, str) else content, AROUND)
    return [str(one) for one in targets(reading, target) if one is not None]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("psql -h db1 -d orders -c 'select 1'", "database db1/orders"),
        ("psql -hDB1. -U me orders", "database db1/orders"),
        ("psql postgres://me@db1:5432/orders -c 'select 1'", "database db1/orders"),
        ("psql 'host=db1 dbname=orders user=me'", "database db1/orders"),
        ("psql --host=db1 --dbname orders", "database db1/orders"),
        ("psql -d orders", "database orders"),
        ("psql -h localhost orders", "database orders"),
        ("psql -h /var/run/postgresql orders", "database orders"),
        ("psql postgres://db1:6432/orders", "database db1:6432/orders"),
        ("psql -c 'select 1'", "database default"),
        ("mysql -uroot -psecret shop", "database shop"),
        ("mysql -h h -D shop -e 'select 1'", "database h/shop"),
        ("sqlite3 a.db 'select 1'", "database /w/a.db"),
        ("sqlite3 ./a.db 'select 2'", "database /w/a.db"),
        ("ssh -p 22 me@Prod-1 ls", "host prod-1"),
        ("scp f.txt h:/tmp", "host h"),
        ("kubectl --context prod get pods", "cluster prod"),
        ("kubectl get pods", "cluster default"),
        ("curl https://api.x.com/y", "host api.x.com"),
        ("sudo -u postgres psql shop", "database shop"),
    ],
)
def test_one_target_has_one_name_however_it_is_written(command: str, found: str) -> None:
    assert of(command) == [found]


def test_a_tool_is_its_servers_and_one_that_takes_sql_is_a_database() -> None:
    assert of(ToolCall("query", {"sql": "select 1"}, server="orders")) == ["database orders"]
    assert of(ToolCall("query", {"query": "who am I"}, server="search")) == ["server search"]
    assert of(HttpRequest("https://api.x.com/y?z=1", "POST")) == ["host api.x.com"]


def test_the_gates_own_target_wins_and_what_stays_here_has_none() -> None:
    assert of("psql -d orders", target="warehouse") == ["database warehouse"]
    assert of("ls -l") == []


@settings(max_examples=40)
@given(st.sampled_from(sorted(CLIENTS)), st.lists(st.text("-hd:/=@.ab 1", max_size=9), max_size=6))
def test_any_words_give_one_target_and_the_same_one_again(program: str, words: list[str]) -> None:
    step = Step(program, (program, *words))
    found = target_of(step)
    assert found is not None
    assert found.name
    assert found == target_of(step)
