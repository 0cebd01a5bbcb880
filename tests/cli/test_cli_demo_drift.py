"""The drift story: every way in which it leaves policy is found, with the explanation that is true, and the log verifies."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_house import in_process_of_its_own

from keyturn.errors import ExitCode
from keyturn.ledger.verify import verify

TRUTH = {
    "coffee": ("data access", "rate.exceeded", "NONE"),
    "ratchet": ("change management", "ratchet.surface", "CANDIDATE"),
    "prompt": ("change management", "ratchet.instructions", "CANDIDATE"),
    "accounts": ("logging and attribution", "attribution.collapsed", "NONE"),
    "alone": ("separation of duties", "sod.self_executed", "NONE"),
    "secret": ("credentials", "secret.written", "NONE"),
    "lunch": ("change management", "configuration.unexplained", "CANDIDATE"),
    "bucket": ("data access", "configuration.unexplained", "NONE"),
    "iam": ("change management", "configuration.unexplained", "CANDIDATE"),
    "cached": ("retention", "retention.overdue", "NONE"),
}


@pytest.mark.slow
def test_each_drift_of_the_story_is_found_with_its_true_explanation(folder: Path) -> None:
    scratch = folder / "tmp"
    scratch.mkdir()
    said = in_process_of_its_own(
        "demo",
        "--story",
        "drift",
        "--unattended",
        "--json",
        "--export",
        folder / "log",
        env={"TMPDIR": str(scratch)},
    )
    assert said.code == ExitCode.DONE, said
    found = {one["chapter"]: (one["area"], *one["kinds"], *one["grades"]) for one in said.json["found"]}
    assert found == TRUTH
    assert "200 times in the last" in said.err
    assert "riley: “release 2”" in said.err.replace("approved by ", "")
    assert "Traceback" not in said.err
    assert list(scratch.iterdir()) == []
    verdict = verify(folder / "log")
    assert (verdict.intact, verdict.entries) == (True, said.json["entries"])
