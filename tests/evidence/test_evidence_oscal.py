"""OSCAL that the reference implementation takes, and that calls nothing satisfied which did not pass."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import trestle.core.validator_factory as validators
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from outcomes import report
from pydantic import ValidationError
from trestle.common.err import TrestleError
from trestle.core.base_model import OscalBaseModel
from trestle.oscal.assessment_results import AssessmentResults
from trestle.oscal.component import ComponentDefinition

from keyturn.evidence import catalogue, oscal
from keyturn.evidence.report import model

FRAMEWORKS = sorted(catalogue.load().frameworks)


def results(name: str, figures: Any = 0, proofs: tuple[int, ...] = (), **changes: object) -> dict[str, Any]:
    return json.loads(oscal.assessment_results(*report(name, figures, **changes), proofs))


def taken(document: dict[str, Any], folder: Path) -> OscalBaseModel:
    """The document as compliance-trestle reads it, strictly. Raises what it raises."""
    file = folder / "document.json"
    file.write_text(json.dumps(document))
    kind = AssessmentResults if "assessment-results" in document else ComponentDefinition
    read = kind.oscal_read(file)
    for one in validators.validator_factory.get_all():
        assert one.model_is_valid(read, True, folder), one.error_msg()
    return read


def findings(document: dict[str, Any]) -> list[dict[str, Any]]:
    (result,) = document["assessment-results"]["results"]
    return result["findings"]


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_trestle_takes_the_results_and_the_component_of_every_framework(name: str, tmp_path: Path) -> None:
    read = taken(results(name, 3), tmp_path)
    assert len(read.results[0].findings) == len(catalogue.load().framework(name).controls)
    shown, framework = report(name, 3)
    component = json.loads(oscal.component_definition(shown.frame, framework))
    assert len(
        taken(component, tmp_path).components[0].control_implementations[0].implemented_requirements
    ) == len(framework.controls)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda result: result["findings"][0]["target"]["status"].update(state="passed"),
        lambda result: result["observations"][0].pop("methods"),
        lambda result: result["observations"][0].pop("collected"),
        lambda result: result.pop("reviewed-controls"),
        lambda result: result["findings"][0].update(uuid="not-one"),
        lambda result: result["findings"][0].update(surprise=1),
        lambda result: result["observations"][0]["props"][0].update(value=" blank"),
        lambda result: result["findings"][1].update(uuid=result["findings"][0]["uuid"]),
    ],
)
def test_trestle_refuses_what_is_wrong(spoil: Any, tmp_path: Path) -> None:
    """The negative control of the test above."""
    document = results("soc2", 3)
    taken(document, tmp_path)
    spoil(document["assessment-results"]["results"][0])
    with pytest.raises((TrestleError, ValidationError, AssertionError)):
        taken(document, tmp_path)


@given(st.sampled_from(FRAMEWORKS), st.integers(1, 10_000))
def test_satisfied_is_what_passed_and_nothing_else(name: str, seed: int) -> None:
    shown, _ = report(name, seed)
    verdicts = {one.result.control: one.result.verdict for one in shown.controls}
    document = results(name, seed)
    for one in findings(document):
        said = {prop["name"]: prop["value"] for prop in one["props"]}
        assert (one["target"]["status"]["state"] == "satisfied") == (verdicts[said["control"]] == "pass")
        assert said["verdict"] == verdicts[said["control"]]


@pytest.mark.parametrize(
    ("figures", "reason"), [((0, 0, 0), "other"), ((5, 0, 1), "other"), ((5, 1, 0), "fail")]
)
def test_what_nothing_was_tested_for_is_not_satisfied(figures: tuple[int, int, int], reason: str) -> None:
    (one,) = [
        one
        for one in findings(results("soc2", {"findings_judged": figures}))
        if one["title"].startswith("CC7.3")
    ]
    assert one["target"]["status"]["state"] == "not-satisfied"
    assert one["target"]["status"]["reason"] == reason
    assert one["target"]["status"]["remarks"]
    (one,) = [one for one in findings(results("soc2", {})) if one["title"].startswith("CC7.3")]
    assert one["target"]["status"] == {"state": "satisfied", "reason": "pass"}


def test_a_partial_control_is_satisfied_in_its_tested_part_alone_and_says_so() -> None:
    for one in findings(results("eu-ai-act", {})):
        assert one["target"]["target-id"].endswith("_obj.keyturn")
        assert one["target"]["implementation-status"]["state"] == "partial"
        assert "A person has to add" in one["remarks"]


def test_nist_controls_have_nists_ids_and_all_ids_are_apart() -> None:
    (result,) = results("nist-800-53", 0)["assessment-results"]["results"]
    (chosen,) = result["reviewed-controls"]["control-selections"]
    ids = [one["control-id"] for one in chosen["include-controls"]]
    assert {"ac-3.2", "au-10", "cm-5.4"} <= set(ids)
    for name in FRAMEWORKS:
        (result,) = results(name)["assessment-results"]["results"]
        ids = [
            one["control-id"]
            for one in result["reviewed-controls"]["control-selections"][0]["include-controls"]
        ]
        assert len(set(ids)) == len(ids)


def test_ids_that_would_be_written_alike_are_told_apart() -> None:
    shown, framework = report("soc2")
    twins = type(framework)(
        framework.id,
        framework.title,
        framework.edition,
        tuple(type(one)(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "id": name})
              for one, name in zip(framework.controls, ("A (1)", "A/1", "A-1"), strict=False)),
    )  # fmt: skip
    definition = json.loads(oscal.component_definition(shown.frame, twins))
    (implemented,) = definition["component-definition"]["components"][0]["control-implementations"]
    assert len({one["control-id"] for one in implemented["implemented-requirements"]}) == 3


def test_exceptions_refer_to_their_proofs_where_the_pack_has_them() -> None:
    (result,) = results("soc2", {"no_self_approval": (12, 3, 0)}, (1000, 1002))["assessment-results"][
        "results"
    ]
    (one,) = [one for one in result["observations"] if _said(one, "test") == "no_self_approval"]
    hrefs = [evidence.get("href") for evidence in one["relevant-evidence"]]
    assert "../queries/no_self_approval.sql" in hrefs
    assert hrefs[-3:] == ["../proofs/1000.tlog-proof", None, "../proofs/1002.tlog-proof"]
    assert (_said(one, "population"), _said(one, "exceptions"), _said(one, "verdict")) == ("12", "3", "fail")
    assert len(result["risks"]) == 1


def test_a_threshold_that_the_house_set_is_told_beside_the_result() -> None:
    shown, framework = report("soc2", {})
    test = shown.tests["breakglass_reviewed"]
    milder = model.Tested(test.test, replace(test.result, settings={"breakglass_review_h": 9000.0}))
    changed = replace(shown, tests={**shown.tests, "breakglass_reviewed": milder})
    for one, words in ((shown, None), (changed, "breakglass_review_h is 9000, by default 72")):
        (result,) = json.loads(oscal.assessment_results(one, framework))["assessment-results"]["results"]
        (found,) = [one for one in result["observations"] if _said(one, "test") == "breakglass_reviewed"]
        assert (words or "") in found.get("remarks", "")
        assert ("remarks" in found) == bool(words)


def _said(one: dict[str, Any], name: str) -> str:
    return next(prop["value"] for prop in one["props"] if prop["name"] == name)


def test_names_follow_from_content_and_the_same_gives_the_same_bytes() -> None:
    first = oscal.assessment_results(*report("soc2", 3))
    assert first == oscal.assessment_results(*report("soc2", 3))
    uuids = set(re.findall(rb'"uuid":"([0-9a-f-]{36})"', first))
    assert all(one[14:15] == b"5" for one in uuids)
    others = oscal.assessment_results(*report("soc2", 3, size=90_114))
    assert uuids.isdisjoint(re.findall(rb'"uuid":"([0-9a-f-]{36})"', others))


@given(st.text(max_size=30))
def test_no_word_of_the_log_makes_it_invalid(words: str) -> None:
    (result,) = results("owasp-agentic", 7, origin=f"log {words}")["assessment-results"]["results"]
    for prop in result["props"]:
        assert re.fullmatch(r"\S(.*\S)?", prop["value"])
