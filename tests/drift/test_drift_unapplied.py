"""An approved change is told of once, after its window, and only for what is neither accounted for nor there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keyturn.drift.explaining import Approved
from keyturn.drift.patches import OBJECT, PLAIN, Normal, Scalar, applied, pairs
from keyturn.drift.unapplied import unapplied

PATCH: dict[str, dict[str, Scalar | None]] = {"web": {"image": "v2", "replicas": 3}, "old": {OBJECT: None}}
STATE: dict[str, dict[str, Scalar]] = {"web": {"image": "v1", "replicas": 1}, "old": {"image": "v0"}}
_FIELD = st.sampled_from(["image", "replicas", "host"])
_FIELDS = st.dictionaries(_FIELD, st.one_of(st.integers(0, 3), st.sampled_from(["v1", "v2"])), min_size=1)
_PATCHES = st.dictionaries(st.sampled_from(["web", "api"]), _FIELDS, min_size=1)


def missing(
    change: Approved, state: dict[str, dict[str, Scalar]], at: int = 20, before: int = 5
) -> list[str]:
    return [one.observed for one in unapplied([change], state, PLAIN, at, before, 7)]


def test_only_the_first_look_after_the_window_says_it() -> None:
    change = Approved("r_1", "prod", PATCH, 0, 10)
    assert missing(change, STATE) == ["0 of 3 fields"]
    assert missing(change, STATE, at=10) == []  # the window is open
    assert missing(change, STATE, at=20, before=15) == []  # an earlier look said it


def test_what_was_accounted_for_or_stands_is_not_missing() -> None:
    used = {("web", "image"): 1, ("web", "replicas"): 1, ("old", OBJECT): 1}
    assert missing(Approved("r_1", "prod", PATCH, 0, 10, used=used), STATE) == []
    assert missing(Approved("r_1", "prod", PATCH, 0, 10), {"web": {"image": "v2", "replicas": 3}}) == []
    assert missing(Approved("r_1", "prod", PATCH, 0, 10), {"web": {"image": "v2", "replicas": 1}}) == [
        "2 of 3 fields"
    ]
    true = Approved("r_1", "prod", {"web": {"on": True}}, 0, 10)
    assert missing(true, {"web": {"on": 1}}) == ["0 of 1 fields"]


def test_what_the_control_plane_writes_is_not_waited_for() -> None:
    change = Approved("r_1", "prod", {"web": {"etag": "x"}}, 0, 10)
    assert unapplied([change], STATE, Normal(volatile=("etag",)), 20, 5, 7) == []
    assert len(unapplied([change], STATE, PLAIN, 20, 5, 7)) == 1


@given(_PATCHES, _PATCHES)
def test_a_change_that_was_made_is_never_told_and_one_of_which_nothing_is_there_always(
    before: dict[str, dict[str, Scalar]], patch: dict[str, dict[str, Scalar | None]]
) -> None:
    change = Approved("r_1", "prod", patch, 0, 10)
    assert missing(change, applied(before, patch)) == []
    assert missing(change, {}) == [f"0 of {len(pairs(patch))} fields"]
