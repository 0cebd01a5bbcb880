"""Which files are made of labelled data, when they have to be gone, and what counts as gone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import Effect, Reading, Step
from keyturn.drift.retention import Artefact, covers, gone, is_overdue, made
from keyturn.policy import Policy
from keyturn.policy.drift.retention import Retention
from keyturn.policy.folder import STARTER, read_folder

RULES = {
    "customers": Retention("customers", ("customer",), 3600),
    "far": Retention("far", ("pii",), 60, "session"),
}
NOW = 1_000_000


def reading(*effects: Effect) -> Reading:
    return Reading("shell", True, (Step("x", effects=effects),))


SOURCE = Effect("reads", "/data/customers.csv", "outside", ("customer",))
COPY = Effect("writes", "/tmp/copy.csv", "temporary")


def test_a_file_written_by_an_action_that_reads_labelled_data_gets_a_clock() -> None:
    assert made(reading(SOURCE, COPY), RULES, (), (), NOW) == (
        Artefact("/tmp/copy.csv", "customers", ("customer",), NOW + 3_600_000),
    )
    assert made(reading(COPY), RULES, (), (), NOW) == ()  # negative control: nothing labelled came in
    assert made(reading(SOURCE), RULES, (), (), NOW) == ()
    device = Effect("writes", "/dev/null", "device")
    assert made(reading(SOURCE, device), RULES, (), (), NOW) == ()


def test_a_connection_to_a_labelled_host_counts_as_reading() -> None:
    host = Effect("connects", "db.prod", "network", ("customer",))
    assert [one.path for one in made(reading(host, COPY), RULES, (), (), NOW)] == ["/tmp/copy.csv"]


def test_within_a_session_it_reaches_later_actions_only_where_the_rule_says_so() -> None:
    assert [one.rule for one in made(reading(COPY), RULES, (), ("pii", "customer"), NOW)] == ["far"]


def test_a_copy_of_a_copy_does_not_live_longer() -> None:
    kept = Artefact("/tmp/copy.csv", "customers", ("customer",), NOW + 5)
    again = made(
        reading(Effect("reads", "/tmp/copy.csv", "temporary"), Effect("writes", "/srv/b", "outside")),
        RULES,
        (kept,),
        (),
        NOW,
    )
    assert again == (Artefact("/srv/b", "customers", ("customer",), NOW + 5, "/tmp/copy.csv"),)


def test_of_very_many_files_their_folders_are_kept() -> None:
    many = [Effect("writes", f"/tmp/out/{n}.csv", "temporary") for n in range(500)]
    assert [one.path for one in made(reading(SOURCE, *many), RULES, (), (), NOW)] == ["/tmp/out"]


def test_deleting_the_file_a_folder_above_it_or_its_pattern_is_deleting_it() -> None:
    kept = ("/tmp/a/b.csv",)
    for path in ("/tmp/a/b.csv", "/tmp/a", "/tmp/a/", "/", "/tmp/a/*.csv", "/tmp/a/b*"):
        assert gone(reading(Effect("deletes", path, "temporary")), kept) == kept, path
    for path in ("/tmp/a/b", "/tmp/ab", "/tmp/*/x", "/tmp/a/c*", "/tmp/a/b.csv.old"):
        assert gone(reading(Effect("deletes", path, "temporary")), kept) == (), path
    assert gone(reading(Effect("writes", "/tmp/a/b.csv", "temporary")), kept) == ()


names = st.text("ab*?[", min_size=1, max_size=4)


@given(st.lists(names, min_size=1, max_size=4), st.integers(0, 4))
def test_whatever_the_names_a_folder_covers_all_below_it_and_nothing_beside(
    parts: list[str], depth: int
) -> None:
    path = "/" + "/".join(parts)
    above = "/" + "/".join(parts[:depth])
    assert covers(above, path)
    assert not covers(path + "/deeper", path)


@given(st.integers(0, 10**13), st.integers(0, 10**13))
def test_it_is_overdue_from_its_end_on_but_not_under_a_hold(due: int, now: int) -> None:
    assert is_overdue(due, now, False) == (now >= due)
    assert not is_overdue(due, now, True)


def test_the_section_is_read_and_its_mistakes_are_told() -> None:
    files = read_folder(STARTER)
    text = '[retention.customer-data]\nlabels = ["production"]\nkeep = "24h"\nafter = "session"\nbecause = "notice"\n'
    policy = Policy.parse({**files, "drift.toml": text.encode()})
    assert policy.drift.retention["customer-data"] == Retention(
        "customer-data", ("production",), 86_400, "session", "notice"
    )
