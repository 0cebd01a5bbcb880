"""`keyturn sink`, and sinks of a real server: killed in between, they go on where they stood."""

import json
import os
import time
from pathlib import Path

import pytest
from cli_house import environment, keyturn
from server_process import GateClient, Process

from keyturn.cli.init import create
from keyturn.errors import ExitCode
from keyturn.home import Home

SINK = '\n[[sink]]\nname = "day"\nkind = "files"\nto = "out"\nbegin = "start"\n'


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    create(made, "dana", "Dana", "enforce")
    file = made.root / "keyturn.toml"
    file.write_text((file.read_text() if file.exists() else "") + SINK)
    return made


def indexes(home: Home) -> list[int]:
    """What was sent; a line that is only begun was not."""
    texts = [path.read_text() for path in sorted((home.root / "out").glob("*.jsonl"))]
    lines = [line for text in texts for line in text[: text.rfind("\n") + 1].splitlines()]
    return [json.loads(line)["metadata"]["sequence"] for line in lines]


def until(home: Home, index: int) -> list[int]:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        found = indexes(home)
        if found and found[-1] >= index:
            return found
        time.sleep(0.02)  # another process writes files
    raise AssertionError(f"entry {index} did not come: {indexes(home)}")


def said(home: Home, *arguments: object) -> object:
    out = keyturn("sink", *arguments, "--home", home.root, "--json")
    assert out.code == 0, out.all
    return out.json


def test_a_server_sends_every_entry_and_goes_on_after_it_was_killed(home: Home) -> None:
    server = Process(home, environ=environment()).start()
    try:
        gate = GateClient(home)
        gate.authorize("ls")
        gate.close()
        until(home, 4)
    finally:
        server.kill()
    server = Process(home, environ=environment()).start()
    try:
        gate = GateClient(home)
        gate.authorize("ls")
        gate.close()
        size = 0
        for _ in range(2):
            size = keyturn("ledger", "verify", "--home", home.root, "--json").json["size"]
        found = until(home, size - 1)
        while said(home, "list")[0]["behind"]:  # type: ignore[index]
            os.sched_yield()  # sent, but not yet noted
    finally:
        server.stop()
    assert sorted(set(found)) == list(range(len(set(found))))
    (state,) = said(home, "list")  # type: ignore[misc]
    assert (state["state"], state["behind"]) == ("level", 0)


def test_a_sink_is_tried_and_moved_and_one_of_another_log_is_told(home: Home) -> None:
    (state,) = said(home, "list")  # type: ignore[misc]
    assert state["state"] == "new"
    assert said(home, "test", "day")["sent"].endswith(":0")  # type: ignore[index]
    assert indexes(home) == [0]
    (home.root / "sinks").mkdir()
    (home.root / "sinks" / "day.json").write_text('{"origin":"other.example/log","next":3}')
    (state,) = said(home, "list")  # type: ignore[misc]
    assert state["state"] == "broken"
    assert "keyturn sink move" in state["words"]
    assert said(home, "move", "day", "--to", 1) == {"name": "day", "next": 1}
    server = Process(home, environ=environment()).start()
    try:
        assert until(home, 1)[:2] == [0, 1]  # 0 was the trial
    finally:
        server.stop()


def test_what_can_not_be_is_refused_in_words(home: Home) -> None:
    for arguments in (("test", "nobody"), ("move", "nobody", "--to", 0), ("move", "day", "--to", 10_000)):
        out = keyturn("sink", *arguments, "--home", home.root)
        assert out.code == ExitCode.USAGE
        assert "sink" in out.err or "entries" in out.err


def test_the_list_stands_in_columns_whatever_a_sink_is_called_and_a_line_fits_a_terminal(home: Home) -> None:
    long = "lake-of-security"
    with (home.root / "keyturn.toml").open("a") as file:
        file.write(f'\n[[sink]]\nname = "{long}"\nkind = "parquet"\nto = "lake"\n')
    out = keyturn("sink", "list", "--home", home.root)
    assert out.code == 0, out.all
    lines = out.out.splitlines()
    assert [line.split()[0] for line in lines] == ["day", long]
    assert len({line.index("has not begun") for line in lines}) == 1
    assert max(map(len, lines)) <= 80
