"""`keyturn run` and `keyturn reconcile` on a real PostgreSQL: an agent's psql is told from the same account past Keyturn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from drift_postgres import Audited, installed

sys.path.insert(0, str(Path(__file__).parents[1] / "gates"))

from test_exec_run import KEYTURN, House

from keyturn.gates.exec.kernel import support

RULES = b"""
@id("database") @because("its own log is compared")
permit(principal, action == Action::"shell", resource);
"""
POLICY = {
    "policy.toml": b'name = "tried"\nmode = "enforce"\n',
    "rules/main.cedar": RULES,
    "drift.toml": b'[coverage.shop]\nsource = "pgaudit"\nprincipals = ["agent_rw"]\n',
}


@pytest.fixture
def house(tmp_path: Path, postgres_audited: Audited) -> Iterator[House]:
    if not support().user_notification or not support().verified:
        pytest.skip("the kernel gives no seccomp user notification here")
    postgres_audited.emptied()
    one = House(tmp_path, POLICY)
    yield one
    one.stop()


def test_an_agents_psql_is_told_from_the_same_account_past_keyturn(
    house: House, tmp_path: Path, postgres_audited: Audited
) -> None:
    psql = str((installed() or Path()) / "psql")
    words = (psql, "-X", "-h", str(postgres_audited.folder), "-U", "agent_rw", "-d", "shop", "-c")
    said = "select total from orders where id = 7"

    def agent(text: str) -> str:
        ran = house.keyturn("run", "--json", "--", *words, text, PGAPPNAME="my-own-name")
        return str(json.loads(ran.strip().splitlines()[-1])["session"])

    def past(text: str, **variables: str) -> None:
        plain = {**os.environ, **variables}
        subprocess.run([*words, text], env=plain, check=True, capture_output=True)

    session = agent(said)
    agent("update orders set total = 2 where id = 8")
    past(said)  # byte for byte the same
    tag = house.keyturn("reconcile", "tag", session).strip()
    past("delete from orders where id = 9", PGAPPNAME=tag)  # with the session's own tag, which is no secret
    past("select 1", PGAPPNAME=tag[:-1] + ("0" if tag[-1] != "0" else "1"))
    log = tmp_path / "server.csv"
    postgres_audited.settled()
    log.write_bytes(postgres_audited.csv.read_bytes())
    assert log.read_bytes().count(b"AUDIT: ") == 5
    done = subprocess.run(
        [*KEYTURN, "reconcile", "pgaudit", str(log), "--json"],
        env=house.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 8, done.stderr
    found = json.loads(done.stdout)
    assert found["target"] == "shop"
    assert (found["counts"]["in_session"], found["counts"]["bypasses"]) == (2, 3)
    why = sorted(one["why"].partition(",")[2].strip() or one["why"] for one in found["bypasses"])
    assert why == [
        "in which nobody was asked for it",
        "its tag was not made here for this target",
        "under a credential of agents, on a target where they tag",
    ]
    assert "delete" not in json.dumps(found["bypasses"])  # forms are kept, no values
    kinds = {one["kind"] for one in json.loads(house.keyturn("findings", "list", "--json"))}
    assert {"bypass.unknown_tag", "bypass.untagged"} <= kinds
    again = subprocess.run(
        [*KEYTURN, "reconcile", "pgaudit", str(log)],
        env=house.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert again.returncode == 0, again.stderr + again.stdout
    assert "5 events lie before this run's beginning" in again.stdout


def test_what_can_not_be_compared_is_said(house: House, tmp_path: Path) -> None:
    junk = tmp_path / "junk.log"
    junk.write_bytes(b"\x00\xff nothing\n")

    def asked(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            [*KEYTURN, "reconcile", *words],
            env=house.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    for words, code, text in (
        (("pgaudit", str(junk)), 2, "[reconcile.nothing]"),
        (("auditd", str(junk)), 2, "[reconcile.target]"),
        (("pgaudit", str(junk), "--since", "yesterday"), 2, "[reconcile.moment]"),
        (("tag", "a_none", "--target", "x"), 2, "There is no action"),
    ):
        got, said = asked(*words)
        assert text in said, said
        assert got == code, (words, said)
