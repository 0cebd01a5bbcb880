"""The queue of `keyturn review` as values: order, selection, gestures, held-down keys; and its full screen under tmux."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from cli_house import House, environment, keyturn
from hypothesis import given
from hypothesis import strategies as st
from review_tmux import TMUX, pane
from textual.widgets import Static

from keyturn.cli.client import Client
from keyturn.cli.reviewing.gesture import gesture
from keyturn.cli.reviewing.guard import PAUSE, KeyGuard
from keyturn.cli.reviewing.queue import TIERS, Queue, chosen, moved, refreshed, tier
from keyturn.errors import ExitCode

rows = st.lists(
    st.builds(
        lambda number, name, expires, state: {
            "id": f"r{number}", "state": state, "expires": expires, "sentence": "", **({"risk": {"tier": name}} if name else {}),
        },
        st.integers(0, 30), st.sampled_from((*TIERS, "")), st.integers(0, 5), st.sampled_from(("waiting", "waiting", "denied")),
    ),
    max_size=12, unique_by=lambda row: row["id"],
)  # fmt: skip


@given(rows)
def test_the_most_dangerous_come_first_and_ended_ones_not_at_all(found: list[dict[str, Any]]) -> None:
    queue = refreshed(Queue(), found)
    assert {row["id"] for row in queue.rows} == {row["id"] for row in found if row["state"] == "waiting"}
    ranks = [TIERS.index(tier(row)) for row in queue.rows if tier(row) in TIERS]
    assert ranks == sorted(ranks)
    assert sum(queue.counts.values()) == len(queue.rows)


@given(rows, rows, st.integers(-3, 15))
def test_what_is_selected_stays_so_while_it_waits(
    before: list[dict[str, Any]], after: list[dict[str, Any]], step: int
) -> None:
    queue = moved(refreshed(Queue(), before), step)
    later = refreshed(queue, after)
    waiting = {row["id"] for row in after if row["state"] == "waiting"}
    if queue.selected in waiting:
        assert later.selected == queue.selected
    else:
        assert (later.selected in waiting) if waiting else (later == Queue())
    assert (later.current or {"id": ""})["id"] == later.selected


def test_the_selection_goes_on_to_the_next_one_when_its_own_ends() -> None:
    found = [{"id": f"r{n}", "state": "waiting", "expires": n, "sentence": ""} for n in range(4)]
    queue = chosen(refreshed(Queue(), found), "r1")
    assert refreshed(queue, [row for row in found if row["id"] != "r1"]).selected == "r2"
    assert refreshed(queue, [found[0]]).selected == "r0"
    assert chosen(queue, "r9") == queue


def test_a_key_that_is_held_down_counts_once() -> None:
    guard = KeyGuard()
    times = [0.0, 0.5, 0.53, 0.56, 0.6, 1.2]
    assert [guard.fresh("a", at) for at in times] == [True, False, False, False, False, False]
    assert guard.fresh("d", 1.21)
    assert guard.fresh("a", 1.2 + PAUSE)


def view(rated: str = "medium", **more: Any) -> dict[str, Any]:
    return {
        "id": "r_abcdef", "state": "waiting", "may_decide": "", "may_deny": "", "obligations": {},
        "risk": {"tier": rated, "target": "orders"}, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rated", "reason", "typed"),
    [("low", False, ""), ("medium", False, ""), ("high", True, ""), ("critical", True, "orders")],
)
def test_each_tier_takes_its_own_gesture(rated: str, reason: bool, typed: str) -> None:
    asked = gesture(view(rated), "approve")
    assert (asked.reason, asked.typed, asked.refused) == (reason, typed, "")
    denied = gesture(view(rated), "deny")  # stopping is never harder than letting go
    assert (denied.reason, denied.typed) == (False, "")


def test_a_signature_stands_for_the_typed_name_and_who_may_not_is_told_why() -> None:
    signed = gesture(view("critical", obligations={"assurance": "signed+hardware"}), "approve")
    assert (signed.signed, signed.typed) == (True, "")
    assert (
        gesture(view(may_decide="You asked for this action."), "approve").refused
        == "You asked for this action."
    )
    assert gesture(view(state="denied"), "deny").refused == "This request is denied."


def test_without_a_terminal_it_lists_for_scripts_and_decides_nothing(house: House) -> None:
    request = house.ask()
    listed = house.keyturn("review", "--json", by="riley")
    assert request in [row["id"] for row in listed.json]
    said = house.keyturn("review", by="riley")
    assert said.code == ExitCode.USAGE
    assert "[review.no_terminal]" in said.err
    assert house.keyturn("show", request, "--json", by="riley").json["state"] == "waiting"


# --- on a screen -----------------------------------------------------------------------------------------------

needs_tmux = pytest.mark.skipif(TMUX is None, reason="tmux is not installed")


def screen(test: Any) -> Any:
    """A test on a real screen."""
    return pytest.mark.terminal(needs_tmux(test))


def seat(house: House, by: str = "riley") -> dict[str, str]:
    """The environment of a reviewer."""
    told = environment(**house.environment(by))
    return {k: v for k, v in told.items() if k.startswith("KEYTURN_") or k == "LC_ALL"}


def state(house: House, request: str) -> str:
    return str(house.keyturn("show", request, "--json", by="riley").json["state"])


@screen
def test_one_key_approves_what_is_medium_and_only_what_was_shown_whole(
    own_house: House, folder: Path
) -> None:
    short = own_house.ask("rm -r build")
    long = own_house.ask("cat > x.py <<'E'\n" + "\n".join(f"print({n})" for n in range(90)) + "\nE\nrm -r x")
    with pane(folder, "review", env=seat(own_house)) as seen:
        seen.until("2 waiting", "live", "| rm -r build")
        until_decidable(seen, f"{short} is approved")
        seen.until("1 waiting", "Approved: entry")
        assert state(own_house, short) == "approved"
        seen.until("| print(3)")
        seen.type("d")
        seen.until("Deny this")
        seen.type("Escape")
        seen.until("Nothing was decided.")
        seen.type("b")
        until_decidable(seen, "Read to the end first")
        assert state(own_house, long) == "waiting"
        while "| print(89)" not in seen.screen:
            seen.type("space")
        seen.type("space", "space")
        until_decidable(seen, f"{long} is approved")
        seen.until("Nothing is waiting.")
        seen.type("q")
        assert seen.code() == 0


def until_decidable(seen: Any, words: str) -> None:
    """Press `a` until the screen says *words*: a press too close to the one before counts as the same, held down."""
    for _ in range(20):
        time.sleep(PAUSE + 0.1)  # what is tested is what a person does who waits and then presses
        seen.type("a")
        with contextlib.suppress(AssertionError):
            seen.until(words, seconds=20)
            return
    raise AssertionError(seen.screen)


def test_a_key_held_down_does_not_decide_the_next_one(own_house: House) -> None:
    from keyturn.cli.reviewing.deciding import Desk
    from keyturn.cli.reviewing.screen import Review

    first, second = own_house.ask("rm -r one"), own_house.ask("rm -r two")
    token = (own_house.tokens / "riley").read_text().strip()
    clock = [100.0]
    app = Review(Desk(Client(own_house.home, token)), clock=lambda: clock[0])

    async def held() -> None:
        async with app.run_test(size=(120, 40)) as pilot:

            async def shown(words: str) -> None:
                while words not in str(app.query_one("#card", Static).render()):
                    await pilot.pause(0.02)

            async def repeated(seconds: float) -> None:
                for _ in range(int(seconds / 0.03)):
                    clock[0] += 0.03
                    await pilot.press("a")

            await shown("| rm -r one")
            clock[0] += 1
            await pilot.press("a")
            await shown("| rm -r two")
            await repeated(5)
            await pilot.pause()
            assert state(own_house, first) == "approved"
            assert state(own_house, second) == "waiting"
            clock[0] += PAUSE + 0.01
            await pilot.press("a")  # let go and pressed again: now it counts
            await shown("Nothing is waiting.")
            assert state(own_house, second) == "approved"

    asyncio.run(held())


@screen
def test_what_lands_is_shown_and_what_others_decide_leaves(own_house: House, folder: Path) -> None:
    with pane(folder, "review", env=seat(own_house)) as seen:
        seen.until("0 waiting", "live", "Nothing is waiting.")
        request = own_house.ask("git push --force origin main")
        seen.until("1 waiting (1 high)", "git push --force")
        until_decidable(seen, "Approve exactly this")
        seen.type("Enter")
        seen.until("It needs a reason.")
        own_house.keyturn("deny", request, by="robin")
        seen.write("seen with the team")
        seen.type("Enter")
        seen.until("Nothing is waiting.", "This request was denied")
        assert state(own_house, request) == "denied"
        seen.type("q")
        assert seen.code() == 0


@screen
def test_who_asked_is_told_why_they_can_not_and_nothing_steers_the_screen(
    own_house: House, folder: Path
) -> None:
    request = own_house.ask("rm -r build # \x1b[2J [red]x[/red] \u202egnp")
    with pane(folder, "review", env=seat(own_house, "dana")) as seen:
        shown = seen.until("1 waiting", "live", "‹U+202E›gnp")
        assert "[red]x[/red]" in shown
        until_decidable(seen, "You can't approve: You asked for this action")
        seen.type("q")
    assert state(own_house, request) == "waiting"


@screen
def test_a_lost_server_is_said_and_nothing_is_believed(own_house: House, folder: Path) -> None:
    own_house.ask("rm -r build")
    with pane(folder, "review", env=seat(own_house)) as seen:
        seen.until("1 waiting", "live", "| rm -r build")
        own_house.server.kill()
        seen.until("reconnecting, this may be stale")
        until_decidable(seen, "Nothing ran and nothing was changed.")
        own_house.server.start()
        seen.until("live")
        seen.type("q")
        assert seen.code() == 0


@screen
def test_line_by_line_it_does_the_same(own_house: House, folder: Path) -> None:
    first, second = own_house.ask("rm -r one"), own_house.ask("rm -r two")
    with pane(folder, "review", "--plain", env=seat(own_house), size=(100, 80)) as seen:
        seen.until("2 requests waiting", "| rm -r one", "[q]uit")
        seen.write("a\n")
        seen.until(f"{first} is approved", "1 request waiting", "| rm -r two")
        seen.write("d\n")
        seen.until("Why")
        seen.write("not now\n")
        seen.until(f"{second} is denied")
        assert seen.code() == 0
    assert (state(own_house, first), state(own_house, second)) == ("approved", "denied")


def test_a_wrong_token_is_said_before_the_screen_is_taken(own_house: House, folder: Path) -> None:
    told = {"KEYTURN_HOME": str(own_house.home.root), "KEYTURN_TOKEN_FILE": str(folder / "none")}
    said = keyturn("review", "--json", env=told)
    assert said.code == ExitCode.USAGE
    assert json.loads(said.err)["error"]["code"] == "auth.no_token"
    assert os.listdir(folder) == []
