"""Rows of the evidence tables: of any entry, with any fields, each follows from that entry alone and has the form that is declared."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.evidence.program import rows as program
from keyturn.evidence.program.rows import (
    LONGEST,
    MAKERS,
    MAY_HIDE,
    NAMES,
    NEEDED,
    PASSING,
    SOURCES,
    TABLES,
    needed,
    rows,
)
from keyturn.evidence.withholding import WITHHELD, is_open
from keyturn.ledger.entries import ENTRY_TYPES
from keyturn.ledger.erasable import ERASABLE
from keyturn.requirement import parse_requirement

KINDS = {"INTEGER": int, "REAL": float, "TEXT": str}
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted({n for names in NEEDED.values() for n in names})), inner, max_size=4)
    ),
    max_leaves=8,
)  # fmt: skip


def header(kind: str, count: int) -> tuple[int, int, str, str, int, int]:
    return (7, 1_700_000_000_000, kind, "s_1", 3, count)


@given(st.sampled_from(sorted(MAKERS)), st.data())
def test_rows_of_any_fields_have_the_declared_form_and_no_error(kind: str, data: st.DataObject) -> None:
    names = st.sampled_from(
        [*NEEDED.get(kind, ("id",)), "permit", "action", "reading", "counts", "placed", "results"]
    )
    fields = data.draw(st.dictionaries(names, VALUES, max_size=6))
    for table, values in rows(header(kind, len(fields)), fields):
        columns = TABLES[table]
        assert len(values) == len(columns)
        assert values[:2] == (7, 1_700_000_000_000)
        for value, (_, form, _) in zip(values, columns, strict=True):
            assert (value is None and form != "TEXT") or type(value) is KINDS[form]


@pytest.mark.parametrize("kind", sorted(NEEDED))
def test_each_needed_field_that_is_withheld_gives_a_blind_row(kind: str) -> None:
    made = [values[2:] for table, values in rows(header(kind, 99), {}) if table == "blind"]
    assert made == [(kind, ""), *((kind, name) for name in NEEDED[kind])]
    whole = dict.fromkeys(NEEDED[kind], "x")
    assert not blind(kind, len(whole), whole)


def blind(kind: str, count: int, fields: dict[str, object]) -> list[object]:
    """Names in the blind rows of an entry with *count* fields."""
    return [values[3] for table, values in rows(header(kind, count), fields) if table == "blind"]


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_a_field_that_no_rule_withholds_and_nobody_can_erase_is_missed(kind: str) -> None:
    whole = dict.fromkeys((*NEEDED.get(kind, ()), *MAY_HIDE.get(kind, ()), "proof", "optional"), "x")
    whole |= {"subject": "action"} if kind == "request.opened" else {}
    less = {name: value for name, value in whole.items() if name not in MAY_HIDE.get(kind, ())}
    count = len(whole)
    assert not blind(kind, count, whole)
    assert set(blind(kind, count, less)) <= set(NEEDED.get(kind, ()))
    for fields in (whole, less):
        assert "" in blind(kind, count, {name: "x" for name in fields if name != "optional"})


@pytest.mark.parametrize(("subject", "missed"), [("action", False), ("plan", False), ("roster", True)])
def test_a_request_for_a_change_has_no_field_that_only_actions_have(subject: str, missed: bool) -> None:
    names = {*NEEDED["request.opened"], *MAY_HIDE["request.opened"]} - {"environment", "risk"}
    fields = {**dict.fromkeys(names, "x"), "subject": subject}
    assert ("" in blind("request.opened", len(fields) + 1, fields)) is missed


def test_what_may_be_hidden_is_what_is_withheld_from_auditors_or_erasable() -> None:
    for kind in MAKERS:
        erasable = set(ERASABLE.get(kind, ()))
        named = set(MAY_HIDE.get(kind, ()))
        assert erasable <= named <= erasable | (set() if is_open(kind) else WITHHELD), kind
    assert PASSING == ("action.decided",)


def test_two_agents_with_endless_names_are_two_and_have_names() -> None:
    """Or an agent that calls itself something long enough would be in no test that counts or names agents."""
    named = []
    for name in ("a" * LONGEST, "a" * (LONGEST + 1), "a" * (LONGEST + 2)):
        made = dict(rows(header("session.opened", 1), {"agent": {"name": name}})[1:])["session"]
        named.append(made[[column[0] for column in TABLES["session"]].index("agent")])
    assert named[0] == "a" * LONGEST
    assert len(set(named)) == 3
    assert all(0 < len(one) <= LONGEST for one in named)


def test_types_and_tables_are_those_that_are_recorded() -> None:
    assert MAKERS.keys() <= ENTRY_TYPES.keys()
    assert NEEDED.keys() <= ENTRY_TYPES.keys()
    assert {table for table, kinds in SOURCES.items() if not kinds} == {"event", "blind"}
    assert all(len(set(names)) == len(names) for names in NAMES.values())


def test_makers_give_rows_of_the_tables_that_are_said_to_come_from_their_types() -> None:
    lists = {"placed": [["dana", 0]], "results": [{"test": "t"}]}
    for kind in MAKERS:
        for table, _ in rows(header(kind, 0), lists):
            assert table in ("event", "blind") or kind in SOURCES[table]


@pytest.mark.parametrize("text", ["1 of reviewers", "2 of dba, 1 of security", "2 of dba then 1 of leads"])
def test_people_of_a_requirement_are_counted_as_policy_counts_them(text: str) -> None:
    try:
        expected = sum(stage.need for stage in parse_requirement(text).stages)
    except Exception:
        pytest.skip("not a requirement of this version")
    assert needed(text) == expected


def test_the_module_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import json,sys,importlib.util as u;"
        f"s=u.spec_from_file_location('rows',{program.__file__!r});m=u.module_from_spec(s);s.loader.exec_module(m);"
        "print(json.dumps(m.rows((0,1,'session.closed','s',2,1),{'count':2})))"
    )
    run = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)[1] == ["closed", [0, 1, "closed", "s", 2, ""]]
