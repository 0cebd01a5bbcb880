"""What the engine hands to Cedar is exactly what the schema promises to rules."""

from __future__ import annotations

from pathlib import Path

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_building import FACTS, facts, policy, reading, readings, step

from keyturn.actions import Step
from keyturn.policy import context, vocabulary
from keyturn.policy.obligations import ASSURANCES
from keyturn.policy.rules import schema
from keyturn.resources import ZONES


@settings(deadline=None, max_examples=40)
@given(readings(), facts, st.sampled_from(vocabulary.KINDS))
def test_every_context_fits_the_schema_so_no_rule_is_ever_skipped(proposed, known, kind):
    for one in proposed.steps:
        values = (
            context.facts_part(known)
            | {"whole": context.whole(proposed.steps)}
            | context.step_part(kind, one, proposed)
        )
        asked = context.request(kind, values, known)
        everything = cedarpy.PolicySet.from_str("permit(principal, action, resource);")
        entities = context.entities(known.agent, known.client, known.definition_known)
        answer = cedarpy.is_authorized(asked, everything, entities, schema())
        assert answer.allowed, answer.diagnostics.errors
        del values["words"]
        broken = cedarpy.is_authorized(context.request(kind, values, known), everything, entities, schema())
        assert not broken.allowed  # negative control: the schema does object


@pytest.mark.parametrize("kind", vocabulary.KINDS)
def test_every_attribute_of_the_vocabulary_is_in_the_schema_and_back(kind):
    values = (
        context.facts_part(FACTS)
        | {"whole": context.whole(())}
        | context.step_part(kind, step(), reading(step()))
    )
    assert set(values) == {*vocabulary.CONTEXT, *vocabulary.CONTEXT_OF_KIND[kind]}
    assert set(values["whole"]) == set(vocabulary.WHOLE)


def test_attributes_of_each_kind_come_from_the_reading():
    rules = """
    @id("t") @because("one tool") permit(principal, action == Action::"tool", resource)
    when { context.server == "github" && context.tool == "get/issue" && context.arguments == ["a.b=1"] };
    @id("h") @because("one page") permit(principal, action == Action::"http", resource)
    when { context.method == "GET" && context.host == "example.org" && context.path == "/a/b" };
    @id("f") @because("one file") permit(principal, action == Action::"file", resource)
    when { context.operation == "read" && context.path == "/workspace/file0" };
    """
    tried = policy(rules)
    tool = Step("github/get/issue", ("github/get/issue", "a.b=1"))
    page = step("GET", "connects:network")
    page = Step("GET", ("GET", "https://example.org/a/b?q=1"), effects=page.effects)
    assert tried.decide("tool", reading(tool, kind="tool"), FACTS).verdict == "run"
    assert tried.decide("http", reading(page, kind="http"), FACTS).verdict == "run"
    assert tried.decide("file", reading(step("read", "reads:workspace"), kind="file"), FACTS).verdict == "run"


@pytest.mark.parametrize(
    ("path", "sweeping"),
    [
        ("/", True), ("/*", True), ("/usr", True), ("/usr/", True), ("/home", True), ("/home/dana", True),
        ("/home/dana/*", True), ("/home/dana/.*", True), ("/home/*", True), ("/root", True), ("/Users/dana", True),
        ("/home/dana/project", False), ("/usr/local", False), ("/data", False), ("", False), ("example.org", False),
        ("/home/dana/project/*", False), ("//", True),
    ],
)  # fmt: skip
def test_whole_homes_and_top_folders_are_sweeping(path, sweeping):
    assert context.is_sweeping(path) is sweeping


def test_every_word_rules_can_use_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "policy.md").read_text("utf-8")
    words = {
        *vocabulary.attribute_names(), *vocabulary.VERBS, *vocabulary.KINDS, *vocabulary.MISSING,
        *vocabulary.READER_LABELS, *vocabulary.operations(), *ZONES, *ASSURANCES,
        *(f"@{name}" for name in vocabulary.ANNOTATIONS),
    }  # fmt: skip
    assert {word for word in words if word not in page} == set()
    assert "no-such-word" not in page  # negative control
