"""Controls from the command line and over the API of a real server: run now, recorded, shown, and said in words when something is wrong."""

from __future__ import annotations

import fcntl
import json
import resource
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cli_house import House, furnished, process

from keyturn import policy
from keyturn.errors import ExitCode
from keyturn.policy.folder import read_folder

STARTER = Path(str(policy.__file__)).parent / "starter"
OWN = {
    "controls/ours.toml": b"""id = "house"
title = "House rules"
edition = "2026"
[[control]]
id = "H 1/a"
title = "Nobody is alone"
gist = "Whoever joins was let in by somebody else."
passes = "Every enrolment was approved."
tests = ["never_alone"]
how = "partial"
also = "The contract."
""",
    "controls/queries/never_alone.sql": b"""-- Nobody is alone
-- population: people enrolled in the period
-- exception: there was nobody else to approve it
-- rests on: person
SELECT entry, ts_ms, person AS subject, CASE WHEN alone = 1 THEN 'alone' ELSE '' END AS exception
FROM person, period WHERE event = 'enrolled' AND ts_ms >= since_ms AND ts_ms < until_ms
ORDER BY entry, subject, exception
""",
}


@pytest.fixture(scope="module")
def evidence() -> Iterator[House]:
    """A server whose policy has a control of the house's own, and an auditor; the tests have run once, when somebody asked."""
    with tempfile.TemporaryDirectory(prefix="kt-") as folder:
        with furnished(Path(folder).resolve(), {**read_folder(STARTER), **OWN}) as house:
            added = house.keyturn("person", "add", "ann", "--role", "auditor", "--json")
            (house.tokens / "ann").write_text(added.json["token"] + "\n")
            assert house.keyturn("evidence", "controls").out.startswith("The tests have not run yet.")
            before = house.keyturn("evidence", "controls", "--framework", "house", "--json").json
            assert [one["verdict"] for one in before["controls"]] == ["not-tested"]
            said = house.keyturn("evidence", "test", "--record", "--json", by="riley")
            assert said.json["by"] == "riley"
            yield house


def test_a_run_now_reads_beside_the_server_and_records_nothing(evidence: House) -> None:
    size = len(evidence.keyturn("ledger", "log", "-n", "10000", "--json").out)
    said = evidence.keyturn("evidence", "test", "--json")
    assert said.code == 0
    found = said.json
    results = {one["test"]: one for one in found["results"]}
    assert (results["log_intact"]["verdict"], results["log_intact"]["population"]) == ("pass", 1)
    assert results["kept_elsewhere"]["verdict"] == "not-tested"
    assert {one["framework"] for one in found["controls"]} >= {"soc2", "house"}
    assert all(one["root"] == found["root"] for one in found["results"])
    assert len(evidence.keyturn("ledger", "log", "-n", "10000", "--json").out) == size


def test_the_wall_names_framework_control_verdict_population_and_exceptions(evidence: House) -> None:
    said = evidence.keyturn("evidence", "test", "--framework", "house")
    line = next(line for line in said.out.splitlines() if "H 1/a" in line)
    assert line.split()[2:4] in (["fail", "(tested"], ["pass", "(tested"])
    assert "Nobody is alone" in line
    assert "house" in said.out


def test_a_control_that_failed_is_an_exit_code_for_a_timer(evidence: House) -> None:
    assert evidence.keyturn("evidence", "test", "--control", "house/H 1/a", "--check").code == ExitCode.DRIFT
    assert (
        evidence.keyturn(
            "evidence",
            "test",
            "--control",
            "house/H 1/a",
            "--since",
            "1970-01-01",
            "--until",
            "1970-01-02",
            "--check",
        ).code
        == 0
    )


def test_a_period_without_data_is_no_pass(evidence: House) -> None:
    said = evidence.keyturn(
        "evidence",
        "test",
        "--control",
        "house/H 1/a",
        "--since",
        "2001-01-01",
        "--until",
        "2001-02-01",
        "--json",
    )
    assert [one["verdict"] for one in said.json["controls"]] == ["no-population"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--since", "2026-02-01", "--until", "2026-01-01"), "evidence.period"),
        (("--since", "2026-02-01", "--until", "2026-02-01"), "evidence.period"),
        (("--since", "2999-01-01"), "evidence.period"),
        (("--framework", "soc3"), "evidence.unknown_framework"),
        (("--control", "CC99.9"), "evidence.unknown_control"),
        (("--control", "soc2/CC99.9"), "evidence.unknown_control"),
        (("--head", "/nowhere/at/all"), "cli.file"),
        (("--record", "--since", "1d"), "cli.usage"),
    ],
)
def test_what_can_t_be_tested_is_said_with_its_code(
    evidence: House, arguments: tuple[str, ...], code: str
) -> None:
    said = evidence.keyturn("evidence", "test", *arguments, "--json")
    assert said.code != 0
    assert said.error["code"] == code


def test_a_checkpoint_that_was_kept_is_looked_up(evidence: House, tmp_path: Path) -> None:
    export = tmp_path / "log"
    assert evidence.keyturn("ledger", "export", export).code == 0
    said = evidence.keyturn(
        "evidence", "test", "--head", export / "checkpoint", "--framework", "soc2", "--json"
    )
    kept = next(one for one in said.json["results"] if one["test"] == "kept_elsewhere")
    assert (kept["verdict"], kept["population"]) == ("pass", 1)
    (tmp_path / "other").write_text("no checkpoint at all\n")
    said = evidence.keyturn("evidence", "test", "--head", tmp_path / "other", "--framework", "soc2", "--json")
    assert next(one for one in said.json["results"] if one["test"] == "kept_elsewhere")["verdict"] == "fail"


def test_one_control_is_shown_with_its_text_its_exceptions_and_how_to_do_it_again(evidence: House) -> None:
    said = evidence.keyturn("evidence", "show", "house/H 1/a", by="ann")
    assert said.code == 0
    for words in (
        "Nobody is alone",
        "(tested part)",
        "The contract.",
        "| -- rests on: person",
        "sha256:",
        "--control house/H 1/a",
        "members",
    ):
        assert words in said.out
    assert "alone" in said.out
    assert "gap" in said.out  # no heartbeat was due yet


def test_the_history_is_said_for_the_time_that_was_asked_for(evidence: House) -> None:
    found = evidence.keyturn("evidence", "history", "house/H 1/a", "--since", "2d", "--json", by="ann").json
    assert found["intervals"][-1]["end"] == found["until"]
    assert 2 * 86_400_000 <= found["until"] - found["since"] <= 2 * 86_400_000 + 600_000
    assert {one["state"] for one in found["intervals"]} == {"gap"}
    assert found["operated"] == []
    assert "did not operate effectively" in evidence.keyturn("evidence", "history", "house/H 1/a").out


@pytest.mark.parametrize("name", ["CC6.1", "soc2/", "/"])
def test_a_control_is_named_with_its_framework(evidence: House, name: str) -> None:
    assert evidence.keyturn("evidence", "show", name, "--json").error["code"] == "cli.usage"


def test_an_auditor_reads_and_has_nothing_run(evidence: House) -> None:
    assert evidence.keyturn("evidence", "controls", by="ann").code == 0
    said = evidence.keyturn("evidence", "test", "--record", "--json", by="ann")
    assert said.error["code"] == "auth.reads_only"


@pytest.mark.parametrize("path", ["/v1/controls", "/v1/controls/soc2", "/v1/controls/soc2/CC6.1"])
def test_nobody_reads_without_a_token(evidence: House, path: str) -> None:
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(evidence.server.url + path))
    assert refused.value.code == 401


@pytest.mark.parametrize(
    "query", ["since=-5", "until=-5", "since=9999999999999999999999", "since=5&until=4", "until=0"]
)
def test_a_history_of_any_numbers_is_words_or_nothing(evidence: House, query: str) -> None:
    token = (evidence.tokens / "ann").read_text().strip()
    assert status(f"{evidence.server.url}/v1/controls/soc2/CC6.1?{query}", token) in (200, 400)


def status(url: str, token: str) -> int:
    try:
        with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"})) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_metrics_count_runs_and_what_they_came_to(evidence: House) -> None:
    token = (evidence.home.tokens / "dana").read_text().strip()
    with urlopen(
        Request(evidence.server.url + "/metrics", headers={"Authorization": f"Bearer {token}"})
    ) as answer:
        text = answer.read().decode()
    assert 'keyturn_control_runs_total{result="recorded"} 1.0' in text
    assert 'keyturn_control_tests{verdict="fail"}' in text
    assert "keyturn_control_run_age_seconds -1" not in text


def test_two_runs_at_once_are_said(evidence: House) -> None:
    with (evidence.home.evidence / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert evidence.keyturn("evidence", "test", "--json").error["code"] == "evidence.busy"
        said = evidence.keyturn("evidence", "test", "--record", "--json")
        assert said.error["code"] == "evidence.run_failed"
    assert "Another process" in evidence.keyturn("evidence", "controls").out
    assert evidence.keyturn("evidence", "test", "--record", "--json").code == 0


def test_tables_that_somebody_changed_are_said(evidence: House) -> None:
    assert evidence.keyturn("evidence", "test").code == 0
    database = sqlite3.connect(evidence.home.evidence / "tables.db")
    database.execute("update person set alone = 0")
    database.commit()
    database.close()
    said = evidence.keyturn("evidence", "test", "--framework", "house")
    assert "Tables at hand were not what the log gives" in said.out
    assert "fail" in said.out


def test_a_disk_that_is_full_is_said_and_the_next_run_has_all_of_it(evidence: House) -> None:
    shutil.rmtree(evidence.home.evidence)
    small = 100_000  # bytes that a file may have: the tables have more

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (small, small))

    started = process("evidence", "test", "--json", env=evidence.environment(), preexec_fn=limited)
    out, err = started.communicate(timeout=120)
    assert (started.returncode, out) == (ExitCode.INTERNAL, "")
    assert json.loads(err)["error"]["code"] == "evidence.tables"
    said = evidence.keyturn("evidence", "test", "--json")
    assert said.json["refreshed"]["again"] == "there were none"
    assert next(one for one in said.json["results"] if one["test"] == "never_alone")["population"] > 0
