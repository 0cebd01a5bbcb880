"""Requirements: what is written is what is asked, merging never weakens, and what can't be read is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requirement_texts import arrivals, met, requirements

from keyturn.requirement import (
    MAX_STAGES,
    InvalidRequirement,
    Requirement,
    Stage,
    TooManyPeople,
    merge,
    one_more,
    parse_requirement,
    strictest,
)


def test_stages_run_together_or_in_order() -> None:
    together = parse_requirement("2 of dba, 1 of security")
    assert together.stages == (Stage(2, "dba", 0), Stage(1, "security", 0))
    in_order = (Stage(2, "dba", 0), Stage(1, "security", 1))
    assert parse_requirement("2 of dba then 1 of security").stages == in_order
    assert parse_requirement(" 2 of  dba , then 1 of security ").stages == in_order
    assert parse_requirement("1 of a, 1 of b then 1 of c").layers == (
        (Stage(1, "a"), Stage(1, "b")),
        (Stage(1, "c", 1),),
    )


@given(requirements(max_need=99, max_stages=8))
@example(parse_requirement("1 of a|b|c, 2 of a then 3 of c|a"))
def test_a_requirement_reads_back_as_written(requirement: Requirement) -> None:
    assert parse_requirement(str(requirement)) == requirement


@pytest.mark.parametrize(
    "text, column",
    [
        ("1 of dba|", 10),
        ("1 of |dba", 6),
        ("1 of dba||security", 10),
        ("1 of dba|dba", 10),
        ("1 of dba|of", 10),
        ("1 of dba|2", 10),
        ("1 of dba, 2 of dba", 11),
        ("1 of dba|web then 1 of a, 1 of web|dba, 1 of dba|web", 41),
        ("1 of " + "|".join("abcdefghi"), 22),
        ("", 1),
        ("   ", 4),
        ("dba", 1),
        ("0 of dba", 1),
        ("-1 of dba", 1),
        ("100 of dba", 1),
        ("02 of dba", 1),
        ("٢ of dba", 1),
        ("1.5 of dba", 1),
        ("2 off dba", 3),
        ("2 OF dba", 3),
        ("2 of", 5),
        ("2 of ,", 6),
        ("2 of DBA", 6),
        ("2 of dba;", 6),
        ("2 of then", 6),
        ("2 of dba,", 10),
        ("2 of dba 1 of security", 10),
        ("2 of dba then", 14),
        ("2 of dba then then 1 of a", 15),
        ("2 of dba,, 1 of a", 10),
        ("then 2 of dba", 1),
        ("2 of dba or 1 of cto", 10),
        ("2 of dbа", 6),  # a Cyrillic letter
    ],
)
def test_what_cant_be_read_is_refused_with_its_place(text: str, column: int) -> None:
    with pytest.raises(InvalidRequirement) as refused:
        parse_requirement(text)
    assert refused.value.code == "requirement.invalid"
    assert refused.value.details["column"] == column
    lines = refused.value.caret.split("\n")
    assert len(lines) == 2
    assert lines[1].index("^") == column - 1


@given(st.text(alphabet="12 of,then dba|\t\n", max_size=40))
@example("1 of a" * 2000)
@example(",".join(["1 of a"] * (MAX_STAGES + 1)))
def test_any_text_is_read_or_refused_never_anything_else(text: str) -> None:
    try:
        requirement = parse_requirement(text)
    except InvalidRequirement:
        return
    assert parse_requirement(str(requirement)) == requirement


@settings(max_examples=600)
@given(requirements(), requirements(), arrivals)
def test_who_meets_the_merged_requirement_meets_both(
    a: Requirement, b: Requirement, people: list[tuple[str, ...]]
) -> None:
    if met(merge(a, b), people):
        assert met(a, people)
        assert met(b, people)


@given(requirements(), requirements(), st.randoms(use_true_random=False))
def test_the_people_who_just_meet_the_merged_requirement_meet_both(
    a: Requirement, b: Requirement, random: object
) -> None:
    """As above, with people of one group each who come exactly as they are asked."""
    people = [
        (random.choice(stage.groups),)  # type: ignore[attr-defined]
        for layer in merge(a, b).layers
        for stage in layer
        for _ in range(stage.need)
    ]
    assert met(merge(a, b), people)
    assert met(a, people)
    assert met(b, people)


def test_the_checks_above_can_fail() -> None:
    """Negative control: a weaker requirement is met where a stronger is not."""
    assert met(parse_requirement("1 of dba|web"), [("web",)])
    assert not met(parse_requirement("1 of dba"), [("web",)])
    assert not met(parse_requirement("1 of dba then 1 of web"), [("web",), ("dba",)])
    assert not met(parse_requirement("1 of dba, 1 of dba|web"), [("dba",)])


@given(requirements(), requirements())
def test_merging_asks_for_at_least_as_many_people_in_at_least_as_many_steps(
    a: Requirement, b: Requirement
) -> None:
    merged = merge(a, b)
    for side in (a, b):
        assert merged.people >= side.people
        assert len(merged.layers) >= len(side.layers)


@given(requirements(), requirements())
def test_merging_does_not_depend_on_the_side(a: Requirement, b: Requirement) -> None:
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), a) == merge(a, b)


@given(st.lists(requirements(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_the_strictest_of_many_does_not_depend_on_their_order(
    many: list[Requirement], random: object
) -> None:
    shuffled = list(many)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert strictest(shuffled) == strictest(many)


@pytest.mark.parametrize(
    "a, b, merged",
    [
        ("1 of dba", "2 of dba", "2 of dba"),
        ("2 of dba", "1 of dba, 1 of security", "2 of dba, 1 of security"),
        ("2 of dba then 1 of security", "1 of security", "2 of dba then 1 of security"),
        ("1 of dba then 1 of security", "2 of security", "1 of dba, 1 of security then 1 of security"),
        ("1 of dba then 1 of security", "1 of web", "1 of dba, 1 of web then 1 of security"),
        ("1 of a then 1 of b", "1 of b then 1 of a", "1 of a, 1 of b then 1 of a, 1 of b"),
        ("1 of dba", "1 of security|dba", "1 of dba"),
        ("2 of dba", "1 of dba|security", "2 of dba"),
        ("1 of dba", "2 of dba|security", "1 of dba, 1 of dba|security"),
        ("1 of dba, 1 of security", "2 of dba|security", "1 of dba, 1 of security"),
        ("1 of a|b", "1 of b|c", "1 of a|b, 1 of b|c"),
        ("1 of a|b|c", "1 of a|b", "1 of a|b"),
        ("1 of dba then 1 of leads", "1 of leads|web", "1 of dba then 1 of leads"),
        ("1 of dba then 1 of leads", "2 of leads|web", "1 of dba, 1 of leads|web then 1 of leads"),
    ],
)
def test_merged_requirements_are_no_stricter_than_they_have_to_be(a: str, b: str, merged: str) -> None:
    assert str(merge(parse_requirement(a), parse_requirement(b))) == merged


def test_a_merge_beyond_what_can_be_written_is_refused_not_cut() -> None:
    assert one_more(parse_requirement("99 of dba")).people == 100
    many = [parse_requirement(", ".join(f"1 of g{i}-{j}" for j in range(MAX_STAGES))) for i in range(2)]
    with pytest.raises(TooManyPeople):
        strictest(many)
