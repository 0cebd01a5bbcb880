"""The seal tells nothing before it is opened and nothing else after; mutations make scripts bad in ways that readers see."""

from __future__ import annotations

import hashlib
import json
import random

from hypothesis import given
from hypothesis import strategies as st

from keyturn.approvals.drill import ACTION, CATALOGUE, Seals, mutations, seal_of

SEALS = Seals(b"k" * 32)
WHATS = (ACTION, *(m.id for m in CATALOGUE))
SCRIPTS = (
    "rm -r build",
    "git push",
    "pip install requests",
    "curl https://files.example.org/a -o a",
    "make test # all",
)


def test_a_seal_opens_to_one_thing_only() -> None:
    for what in WHATS:
        seal = SEALS.seal("r_1", what)
        assert [other for other in WHATS if SEALS.opens("r_1", seal, other)] == [what]
        assert not SEALS.opens("r_2", seal, what)
        assert not Seals(b"x" * 32).opens("r_1", seal, what)


def test_anybody_checks_a_told_nonce_without_our_code() -> None:
    nonce = SEALS.nonce("r_1")
    body = json.dumps(
        {"nonce": nonce, "request": "r_1", "v": 1, "what": "uploads"}, separators=(",", ":"), sort_keys=True
    )
    assert SEALS.seal("r_1", "uploads") == "sha256:" + hashlib.sha256(body.encode()).hexdigest()
    assert seal_of("r_1", ACTION, nonce) != SEALS.seal("r_1", "uploads")


def test_seals_of_drills_and_actions_have_the_same_form() -> None:
    assert {len(SEALS.seal(f"r_{n}", what)) for n in range(50) for what in WHATS} == {71}


def test_the_rate_is_the_rate() -> None:
    chosen = sum(SEALS.chosen(f"r_{n}", 0.1) for n in range(5_000))
    assert 350 < chosen < 650
    assert not any(SEALS.chosen(f"r_{n}", 0.0) for n in range(500))


@given(st.sampled_from(SCRIPTS), st.integers(0, 10_000))
def test_each_mutation_changes_the_script_and_names_no_real_host(script: str, number: int) -> None:
    found = list(mutations(script, random.Random(number)))
    assert len(found) >= 5
    for mutation, made in found:
        assert made != script
        assert mutation.why
        for host in ("internal", "10."):
            made = made.replace(host, "")
        assert "http://" not in made or ".com" not in made


@given(st.text(max_size=80), st.integers(0, 99))
def test_no_text_breaks_a_mutation(script: str, number: int) -> None:
    for _, made in mutations(script, random.Random(number)):
        assert made != script


def test_every_mutation_fits_something() -> None:
    fitting = {m.id for script in SCRIPTS for n in range(20) for m, _ in mutations(script, random.Random(n))}
    assert fitting == {m.id for m in CATALOGUE}
