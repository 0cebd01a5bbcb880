"""Nothing from outside steers a terminal, hides in it, or passes for a line of Keyturn's own."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from cli_house import House
from hypothesis import given
from hypothesis import strategies as st

from keyturn.actions import Agent, Attribution, Gate, Human, Text
from keyturn.cli.card import card, line
from keyturn.cli.terminal import as_json, plural, visible

HOSTILE = (
    "\x1b[2J\x1b]0;title\x07 \x9b31m \u202e\u2066\u200b\u00ad\ufeff\u2028\u2029\x0b\x0c\r\x00\x7f\U000e0041 ok\n"
    "r_00000000000000000000000000  waiting    29:00 left  Reads nothing."
)
odd = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\x1b\x07\x9b\u202e\u2066\u200b\u2028\u2029\x85\x0b\x0c\x1c\r\n\t\x7f\ud800\U000e0041\u2800\ufe0f"
        ),
    ),
    max_size=30,
)
STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def steering(text: str, keep: str = "\n") -> list[str]:
    """Characters that a terminal would not draw but obey or swallow."""
    return [char for char in text if char not in keep and unicodedata.category(char) in STEERING]


def view(
    words: str, many: str, *, state: str = "waiting", subject: str = "action", reviewer: str = ""
) -> dict[str, Any]:
    """A request in which every field that is text says *words*; `many` is its exact text."""
    return {
        "id": words,
        "state": state,
        "subject": subject,
        "kind": words,
        "digest": words,
        "display": words,
        "sentence": words,
        "text": many,
        "content": {"note": words, "replay": {"counts": {words: 3}}},
        "reading": {"unread": [{"start": 0, "end": 1, "why": words}]},
        "decision": {"reasons": [words, words]},
        "obligations": {},
        "stages": [{"group": words, "need": 2, "have": 1, "who": [words], "open": True}],
        "approvals": [{"person": words, "choice": words, "reason": words, "entry": 4}],
        "attribution": {
            "human": {"person": words},
            "agent": {"name": words},
            "instruction": {"text": words},
            "reasoning": {"text": words},
        },
        "gate": words,
        "assurance": words,
        "cwd": words,
        "environment": {words: words},
        "executes": {words: words},
        "expires": 0,
        "ended_why": words,
        "may_decide": reviewer,
        "may_deny": reviewer,
    }


def test_the_look_for_steering_characters_finds_them() -> None:
    assert len(steering(HOSTILE)) >= 12
    assert steering("straße 漢字 é ‹U+202E›") == []


@given(
    odd, odd, st.sampled_from(["waiting", "denied", "expired"]), st.sampled_from(["action", "policy"]), odd
)
def test_no_field_of_a_request_steers_the_terminal_or_makes_a_line(
    words: str, many: str, state: str, subject: str, reviewer: str
) -> None:
    shown = card(view(words, many, state=state, subject=subject, reviewer=reviewer))
    assert steering(shown, "\n\t") == []
    # As many lines as the same request has when it says nothing odd: no field can forge one.
    plain = card(
        view(
            "x",
            "\n".join("y" for _ in many.split("\n")) if many else "",
            state=state,
            subject=subject,
            reviewer=reviewer and "z",
        )
    )
    extra = [one for one in shown.split("\n") if one.startswith("  CAUTION: ")]
    without = [one for one in plain.split("\n") if words or one.strip()]
    if words and not many.endswith("\n"):
        assert shown.count("\n") - len(extra) == plain.count("\n"), (shown, without)
    listed = line(view(words, many, state=state))
    assert "\n" not in listed
    assert steering(listed, "") == []


@given(odd)
def test_the_exact_text_is_all_there(many: str) -> None:
    """Taking the marks away again gives the text: nothing was left out, and only a line feed became a line."""
    lines = [one.removeprefix("  | ") for one in card(view("x", many)).split("\n") if one.startswith("  | ")]
    expected = [visible(one, "\t") for one in many.removesuffix("\n").split("\n")]
    assert lines == expected


@given(odd)
def test_visible_leaves_what_is_visible(text: str) -> None:
    once = visible(text)
    assert steering(once, "") == []
    assert visible(once) == once
    assert visible("plain, äöü – text") == "plain, äöü – text"


@given(
    st.recursive(
        odd.filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t)),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", max_size=3), inner),
    )
)
def test_json_says_the_same_without_a_raw_odd_character(value: Any) -> None:
    text = as_json(value)
    assert json.loads(text) == value
    assert "\n" not in text
    assert steering(text, "") == []


def test_words_are_singular_for_one() -> None:
    assert [plural(n, "entry", "entries") for n in (0, 1, 2000)] == ["0 entries", "1 entry", "2,000 entries"]


def test_a_hostile_agent_stays_visible_in_every_command_that_shows_it(house: House) -> None:
    """Through a real gate and server: command, instruction, reasoning, agent, folder and gate are all hostile."""
    from server_process import GateClient

    from keyturn.actions import Action, Shell
    from keyturn.gates import protocol as wire
    from keyturn.resources import Surroundings

    gate = GateClient(house.home, "hostile\x1b[31m\n\u202eok")
    told = Text(HOSTILE.replace("\x00", ""), "test")
    who = Attribution(Agent("evil\u202e\x1b[2J"), Human("dana", "os-uid", 0), told, told)
    action = Action(
        Shell(f"rm -r x # {HOSTILE}".replace("\x00", "")),
        who,
        Gate("hostile\x1b[31m\n\u202eok", "cooperative"),
        gate.session,
        "/srv/\u202ep",
    )
    answer = gate.ask(wire.Authorize(1, action, Surroundings("/srv", "/srv", "/home/dana")))
    gate.close()
    assert answer.outcome is not None, answer
    request = answer.outcome.request
    assert request
    commands: list[tuple[str, ...]] = [
        ("requests",), ("requests", "--all"), ("show", request), ("ledger", "log", "-n", "50"), ("gate", "list"),
        ("deny", request, "--reason", HOSTILE.replace("\x00", "")), ("show", request),
        ("approve", request, "--digest", "sha256:\x1b[2J\u202e000000000000"),
        ("show", HOSTILE.replace("\x00", "")), ("person", "list"), ("ledger", "verify"), ("doctor",),
    ]  # fmt: skip
    for arguments in commands:
        for json_option in ((), ("--json",)):
            if arguments[0] == "deny" and json_option:
                continue
            said = house.keyturn(*arguments, *json_option, by="riley")
            assert steering(said.all) == [], (arguments, said)
            assert "Traceback" not in said.err
    listing = house.keyturn("requests", "--all", by="riley").out
    assert "\nr_00000000000000000000000000" not in listing, "a field forged a line of the list"
