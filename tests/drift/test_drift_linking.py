"""Observed changes are explained by what people approved, field by field, and by nothing else."""

from __future__ import annotations

import pytest
from benchmarks.bench_linking import BAD, judged
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from keyturn.drift.explaining import Approved, Lineage, Observed, explain, explain_action, explain_behaviour
from keyturn.drift.patches import (
    OBJECT,
    Normal,
    applied,
    between,
    flat,
    normalised,
    outside,
    pairs,
    state_digest,
)

CHANGE = Approved(
    id="r_1", target="prod", patch={"app": {"replicas": 3, "image": "v2"}}, opens=100, closes=200, actor="ada", approvers=("olga",),
    reason="release", time=50,
)  # fmt: skip


def grade(patch, time=150, changes=(CHANGE,), **more) -> str:  # type: ignore[no-untyped-def]
    return explain(Observed("prod", patch, time, since=time, **more), changes).explanation.grade


def test_no_bad_change_is_explained_and_nearly_every_good_one_is() -> None:
    figures = judged(seed=11, good=400, share=0.25)
    right, wrong = figures["content (Keyturn)"]
    assert right >= 0.98
    assert wrong == dict.fromkeys(BAD, 0)
    # the negative control: linking by time and object, as tools for drift do, explains what nobody approved
    assert sum(figures["object and time window"][1].values()) > 20


def test_the_approved_content_in_its_window_is_proven_with_who_and_why() -> None:
    linked = explain(Observed("prod", {"app": {"replicas": 3, "image": "v2"}}, 150), [CHANGE])
    found = linked.explanation
    assert (found.grade, found.change, found.actor, found.approvers, found.reason) == (
        "PROVEN",
        "r_1",
        "ada",
        ("olga",),
        "release",
    )
    assert found.outcome == "Everything that was approved was seen."
    assert linked.used == {"r_1": (("app", "image"), ("app", "replicas"))}
    half = explain(Observed("prod", {"app": {"replicas": 3}}, 150), [CHANGE]).explanation
    assert (half.grade, half.outcome) == ("PROVEN", "1 of 2 approved fields were seen.")


@pytest.mark.parametrize(
    ("patch", "time", "words"),
    [
        (
            {"app": {"replicas": 30, "image": "v2"}},
            150,
            "not approved: app replicas = 30 (approved: app replicas = 3)",
        ),
        ({"app": {"replicas": 3, "image": "v2", "host": True}}, 150, "not approved: app host = True"),
        ({"app": {"replicas": 3, "image": "v2"}}, 250, "its window closed at 1970-01-01 00:00:00 UTC"),
        ({"app": {"replicas": 3, "image": "v2"}}, 50, "its window opens only at 1970-01-01 00:00:00 UTC"),
        ({"app": {"replicas": True}}, 150, "not approved: app replicas = True (approved: app replicas = 3)"),
    ],
)
def test_switched_extra_and_late_are_candidates_with_what_differs(patch, time, words) -> None:  # type: ignore[no-untyped-def]
    found = explain(Observed("prod", patch, time, since=time, tag="r_1"), [CHANGE]).explanation
    assert found.grade == "CANDIDATE"
    assert words in found.residual


def test_a_replay_was_used_before() -> None:
    used = replace(CHANGE, used={("app", "replicas"): 1, ("app", "image"): 1})
    assert grade({"app": {"replicas": 3}}, changes=[used]) == "CANDIDATE"
    assert grade({"app": {"replicas": 3}}, changes=[replace(used, max_uses=2)]) == "PROVEN"


def test_time_alone_explains_nothing_and_none_says_what_was_searched() -> None:
    found = explain(
        Observed("prod", {"other": {"x": 1}}, 150), [CHANGE, replace(CHANGE, id="r_2", target="test")]
    ).explanation
    assert found.grade == "NONE"
    assert found.searched.startswith("Searched 1 approved changes of prod")
    assert (
        grade({"app": {"labels": 1}}) == "CANDIDATE"
    )  # same object and time: somebody may look, nothing is closed


def test_who_carries_a_tag_is_explained_by_that_change_only() -> None:
    other = replace(CHANGE, id="r_2", patch={"app": {"image": "v9"}})
    assert grade({"app": {"image": "v9"}}, changes=[CHANGE, other]) == "PROVEN"
    assert grade({"app": {"image": "v9"}}, changes=[CHANGE, other], tag="r_1") == "CANDIDATE"


def test_two_approved_changes_seen_at_once_explain_it_together() -> None:
    other = replace(CHANGE, id="r_2", patch={"db": {"size": 5}})
    linked = explain(
        Observed("prod", {"app": {"replicas": 3, "image": "v2"}, "db": {"size": 5}}, 150), [CHANGE, other]
    )
    assert linked.explanation.grade == "PROVEN"
    assert set(linked.used) == {"r_1", "r_2"}


def test_what_was_seen_only_after_the_window_may_have_happened_in_it_if_nobody_looked_meanwhile() -> None:
    patch = {"app": {"replicas": 3}}
    assert explain(Observed("prod", patch, 900, since=150), [CHANGE]).explanation.grade == "PROVEN"
    assert explain(Observed("prod", patch, 900, since=201), [CHANGE]).explanation.grade == "CANDIDATE"


def test_defaults_of_the_control_plane_say_nothing_but_only_as_defaults() -> None:
    normal = Normal(volatile=("status.*",), defaults=(("policy", ("Always",)),))
    seen = {"app": {"replicas": 3, "policy": "Always", "status.ready": 3}}
    assert explain(Observed("prod", seen, 150), [CHANGE], normal).explanation.grade == "PROVEN"
    seen["app"]["policy"] = "Never"
    assert explain(Observed("prod", seen, 150), [CHANGE], normal).explanation.grade == "CANDIDATE"
    assert between({"a": {"policy": "Never"}}, {"a": {"policy": "Always"}}, normal) == {
        "a": {"policy": "Always"}
    }


def test_behaviour_is_bound_to_a_version_that_an_approved_change_brought_and_declared() -> None:
    change = replace(CHANGE, versions=("d1", "d2"), effects=("writes:production",))
    seen = {"d1": (0, 400), "d2": (31, 300)}
    assert explain_behaviour(["writes:production"], seen, [change]).grade == "VERSION-BOUND"
    assert explain_behaviour(["writes:production", "deletes:home"], seen, [change]).residual == (
        "it did not declare deletes:home",
    )
    assert (
        explain_behaviour(["writes:production"], {"d1": (9, 400), "d2": (31, 300)}, [change]).grade == "NONE"
    )
    assert explain_behaviour(["writes:production"], seen, []).searched.startswith(
        "Searched 0 approved changes"
    )


def test_an_action_is_explained_by_its_own_lineage() -> None:
    ran = Lineage(
        "a_1",
        "sha256:1",
        "sha256:1",
        "hold",
        by="approval",
        reference="r_9",
        approvers=("olga",),
        reason="fix",
    )
    assert explain_action(ran).grade == "PROVEN"
    assert explain_action(replace(ran, ran="sha256:2")).grade == "CANDIDATE"
    assert explain_action(replace(ran, by="")).grade == "NONE"
    assert explain_action(replace(ran, decided="")).searched == "The log has no decision on a_1."
    assert explain_action(replace(ran, permits=2)).residual == ("2 permits were used",)


SCALARS = st.one_of(st.integers(-5, 5), st.booleans(), st.sampled_from(["a", "b", ""]))
STATES = st.dictionaries(
    st.sampled_from("xyz"),
    st.dictionaries(st.sampled_from(["f", "g.h", "i[j]"]), SCALARS, max_size=3),
    max_size=3,
)


@given(STATES, STATES)
def test_a_patch_makes_the_one_of_the_other(before, after) -> None:  # type: ignore[no-untyped-def]
    assert state_digest(applied(before, between(before, after))) == state_digest(after)
    assert between(after, after) == {}


@given(STATES, STATES, STATES)
def test_only_a_contained_patch_is_proven(before, after, other) -> None:  # type: ignore[no-untyped-def]
    seen, approved = between(before, after), between(before, other)
    change = replace(CHANGE, patch=approved)
    found = explain(Observed("prod", seen, 150), [change]).explanation
    assert (found.grade == "PROVEN") == (not outside(seen, approved))


@given(STATES, STATES)
def test_normalising_twice_is_normalising_once(before, after) -> None:  # type: ignore[no-untyped-def]
    normal = Normal(volatile=("g.*",), defaults=(("f", (0, "")),))
    once = normalised(between(before, after), normal)
    assert normalised(once, normal) == once
    assert len(pairs(once)) <= len(pairs(between(before, after)))


def test_lists_of_named_tables_are_keyed_by_name() -> None:
    one = flat({"containers": [{"name": "app", "image": "v1"}]})
    two = flat({"containers": [{"name": "side", "image": "s"}, {"name": "app", "image": "v1"}]})
    patch = between({"d": one}, {"d": two})["d"]
    assert patch == {"containers[side].image": "s", "containers[side].name": "side"}
    assert flat({"a": None, "b": [], "c": {}}) == {}
    assert between({}, {"d": {}}) == {"d": {OBJECT: True}}
