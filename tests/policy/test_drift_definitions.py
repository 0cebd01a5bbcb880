"""`[definitions]` of drift.toml: read with its mistakes, and only ever stricter."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import Effect, Reading, Step
from keyturn.policy.decision import Decision, Obligations
from keyturn.policy.drift import read_drift
from keyturn.policy.drift.definitions import DefinitionRules, only_reads, under

STRICTNESS = {"run": 0, "hold": 1, "refuse": 2}
STATES = ("approved", "unknown", "changed")
ANSWERS = ("run", "tighten", "hold")
DEFAULT = Obligations("1 of reviewers")


def reading(*verbs: str, complete: bool = True) -> Reading:
    steps = tuple(Step("x", complete=complete, effects=(Effect(verb, "y", "workspace"),)) for verb in verbs)  # type: ignore[arg-type]
    return Reading("shell", complete, steps)


def test_the_section_is_read_with_its_defaults() -> None:
    rules, problems = read_drift(
        b'[definitions]\nunknown = "tighten"\napprove = "2 of reviewers"\nlist_tools = true\n'
    )
    assert problems == []
    assert rules.definitions == DefinitionRules("tighten", "hold", "2 of reviewers", True)
    assert rules.definitions.list_tools_every == 600
    assert read_drift(b'[definitions]\nlist_tools_every = "never"\n')[0].definitions.list_tools_every == 0
    assert read_drift(b"")[0].definitions == DefinitionRules("run", "hold", "1 of reviewers", False)


@pytest.mark.parametrize(
    "line",
    [
        'unknown = "stop"',
        "changed = 3",
        'approve = "some people"',
        'list_tools = "yes"',
        'list_tools_every = "5s"',
        'list_tools_every = "soon"',
        'unknwon = "run"',
    ],
)
def test_a_mistake_is_told(line: str) -> None:
    assert len(read_drift(f"[definitions]\n{line}\n".encode())[1]) == 1


@given(
    state=st.sampled_from(STATES),
    unknown=st.sampled_from(ANSWERS),
    changed=st.sampled_from(ANSWERS),
    would=st.sampled_from(("run", "hold", "refuse")),
    mode=st.sampled_from(("enforce", "observe")),
    verbs=st.lists(st.sampled_from(("reads", "writes", "executes")), max_size=3),
    complete=st.booleans(),
)
def test_a_decision_is_never_milder_for_what_people_know(
    state: str, unknown: str, changed: str, would: str, mode: str, verbs: list[str], complete: bool
) -> None:
    verdict = "run" if mode == "observe" and would == "hold" else would
    before = Decision(verdict, "sha256:x", mode, would, obligations=Obligations("2 of dba"))  # type: ignore[arg-type]
    rules = DefinitionRules(unknown, changed)  # type: ignore[arg-type]
    after = under(before, state, rules, reading(*verbs, complete=complete), DEFAULT)  # type: ignore[arg-type]
    assert STRICTNESS[after.would] >= STRICTNESS[before.would]
    assert STRICTNESS[after.verdict] >= STRICTNESS[before.verdict]
    if state == "approved" or would == "refuse":
        assert after == before
    if would == "hold":
        assert after.obligations == before.obligations  # whom it asks is not replaced
    answer = rules.answer(state)  # type: ignore[arg-type]
    if would == "run":
        reads = complete and bool(verbs) and set(verbs) == {"reads"}
        stricter = answer == "hold" or (answer == "tighten" and not reads)
        assert (after.would == "hold") == stricter
        assert bool(after.reasons) == stricter


def test_what_was_not_understood_does_more_than_read() -> None:
    assert only_reads(reading("reads"))
    for other in (reading("reads", "writes"), reading("reads", complete=False), reading()):
        assert not only_reads(other)
    assert not any(
        only_reads(reading(*verbs)) for verbs in itertools.product(("reads",), ("executes", "connects"))
    )
