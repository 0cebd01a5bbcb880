"""People are counted, not accounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.identity import Person, Roster, check_group, is_name
from keyturn.identity.names import InvalidName


def roster(*people: Person) -> Roster:
    return Roster({person.id: person for person in people})


def test_a_shared_account_of_either_kind_is_the_same_person() -> None:
    ana = Person("ana", accounts=("idp|1",), os_uids=(1000,))
    assert ana.same_person_as(Person("x", accounts=("idp|2", "idp|1")))
    assert ana.same_person_as(Person("x", os_uids=(1000,)))
    assert ana.same_person_as(Person("ana"))
    assert not ana.same_person_as(Person("x", accounts=("idp|2",), os_uids=(1001,)))


records = st.lists(
    st.tuples(st.sets(st.sampled_from("123"), max_size=2), st.sets(st.integers(1, 3), max_size=1)),
    min_size=1,
    max_size=7,
)


@given(records)
def test_being_the_same_human_is_what_walking_over_shared_accounts_finds(
    made: list[tuple[set[str], set[int]]],
) -> None:
    people = [
        Person(f"p{i}", accounts=tuple(sorted(accounts)), os_uids=tuple(uids))
        for i, (accounts, uids) in enumerate(made)
    ]
    all_of_them = roster(*people)
    for person in people:
        reached, wider = set[str](), {person.id}
        while wider != reached:
            reached = wider
            wider = {
                p.id for p in people if any(p.same_person_as(all_of_them.people[key]) for key in reached)
            }
        same = {p.id for p in people if all_of_them.same_human(person.id, p.id)}
        assert same == reached
        assert all_of_them.human(person.id) == min(reached)


def test_somebody_enrolled_again_is_the_human_they_were() -> None:
    people = roster(Person("ana", accounts=("idp|1",), removed=True), Person("ana2", accounts=("idp|1",)))
    assert people.same_human("ana", "ana2")
    assert people.get("ana") is None
    assert people.get("ana2") is not None


def test_an_account_of_two_people_names_neither() -> None:
    people = roster(Person("ana", os_uids=(1,)), Person("ben", os_uids=(1, 2)))
    assert people.by_os_uid(1) is None
    assert people.by_os_uid(2) == people.people["ben"]
    assert people.owns_os_uid("ana", 2)  # they are one human by the account they share
    assert not people.owns_os_uid("ana", 3)


def test_removed_people_are_members_of_nothing() -> None:
    people = roster(
        Person("ben", groups=("dba",)),
        Person("ana", groups=("dba",)),
        Person("z", groups=("dba",), removed=True),
    )
    assert [person.id for person in people.members("dba")] == ["ana", "ben"]


def test_a_stranger_is_only_themselves() -> None:
    assert roster().human("zoe") == "zoe"
    assert not roster().same_human("zoe", "ana")


def test_names_are_short_lowercase_and_ascii() -> None:
    for name in ("a", "dana", "d.a_n-a9", "a" * 63):
        assert is_name(name)
    for name in ("", "9a", "-a", "Dana", "a" * 64, "dana ", "dana\n", "dаna", "a/b", "a|b"):
        assert not is_name(name)


def test_administrators_are_a_group_that_nobody_can_be_put_into() -> None:
    boss, posing = Person("ann", roles=("member", "admin")), Person("ben", groups=("admins",))
    roster = Roster({"ann": boss, "ben": posing})
    assert [p.id for p in roster.members("admins")] == ["ann"]
    assert not posing.counts_for("admins")
    with pytest.raises(InvalidName):
        check_group("admins")
    assert check_group("dba") == "dba"  # negative control
    assert not boss.counts_for("dba")  # and being one gives no other group
