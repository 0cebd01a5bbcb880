"""`keyturn definition`: told over the gates' socket, compared, asked for, approved by somebody else, taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from cli_house import House

from keyturn.actions import Agent, Gate
from keyturn.drift.definition import Definition, file_part
from keyturn.errors import ExitCode
from keyturn.gates.connection import Connection, RemoteService

GATE = Gate("hooks:shop@here", "cooperative")


def defined(text: str) -> Definition:
    return Definition(
        "claude-code", parts=(file_part("instructions", "CLAUDE.md", text.encode()),), place="/home/dana/shop"
    )


def told(house: House, agent: str, *described: Definition) -> str:
    """A session of *agent*, defined as each of *described* in turn; its id."""

    async def story() -> str:
        line = Connection(house.home.gate_socket)
        service = RemoteService(line)
        view = await service.open_session(
            agent=Agent(agent, "claude-code"), human=None, gate=GATE, cwd="/", described=described[0]
        )
        for one in described[1:]:
            await service.define(view.id, one)
        await line.close()
        return view.id

    return asyncio.run(story())


def test_a_definition_is_read_approved_compared_and_taken_back(house: House) -> None:
    one, two = defined("Only read files. \x1b[2J\n"), defined("Push when useful.\n")
    told(house, "shop-agent", one)
    (seen,) = house.keyturn("definition", "list", "--agent", "shop-agent", "--json").json
    assert (seen["digest"], seen["state"]) == (one.digest, "unknown")
    asked = house.keyturn("definition", "propose", "shop-agent", "--why", "as reviewed", "--json")
    assert asked.code == ExitCode.DONE, asked.err
    request = asked.json["id"]
    assert "\x1b" not in house.keyturn("show", request, by="riley").out
    assert (
        house.keyturn("approve", request, "--digest", house.digest(request), by="dana").code
        == ExitCode.REFUSED
    )
    assert (
        house.keyturn(
            "approve", request, "--digest", house.digest(request), "--reason", "fine", by="riley"
        ).code
        == 0
    )
    assert house.keyturn("definition", "diff", "shop-agent").code == ExitCode.DONE
    shown = house.keyturn("definition", "show", one.digest[7:19]).out
    assert "approved" in shown
    assert "by riley: fine (asked by dana: as reviewed" in shown

    told(house, "shop-agent", one, two)
    different = house.keyturn("definition", "diff", "shop-agent")
    assert different.code == ExitCode.DRIFT
    assert "+Push when useful." in different.out
    assert "\x1b" not in different.out
    as_json = house.keyturn("definition", "diff", two.digest, "--before", one.digest, "--json").json
    assert [part["name"] for part in as_json["parts"]] == ["CLAUDE.md"]
    (waits,) = [
        one for one in house.keyturn("definition", "list", "--json").json if one["digest"] == two.digest
    ]
    assert waits["state"] == "changed"
    assert waits["request"]  # nobody had to propose it

    assert (
        house.keyturn("definition", "withdraw", one.digest, "--why", "it leaks", by="riley").code
        == ExitCode.DONE
    )
    assert "taken back" in house.keyturn("definition", "show", one.digest).out
    again = house.keyturn("definition", "withdraw", one.digest, "--why", "it leaks", "--json", by="riley")
    assert again.error["code"] == "definition.not_approved"


def test_what_is_not_there_is_told(house: House) -> None:
    for words in (("show", "nobody"), ("diff", "sha256:" + "0" * 64), ("propose", "nobody", "--why", "x")):
        said = house.keyturn("definition", *words, "--json")
        assert said.code == ExitCode.USAGE
        assert said.error["code"] == "definition.unknown"


def test_tools_are_listed_where_nothing_is_approved_by_saying_so(house: House, tmp_path: Path) -> None:
    (tmp_path / ".mcp.json").write_text('{"mcpServers": {"fs": {"command": "/no/such/program"}}}')
    said = house.keyturn("definition", "list-tools", "claude-code", "--cwd", tmp_path)
    assert said.code == ExitCode.DONE, said.err
    assert "not started" in said.out
    assert (
        house.keyturn("definition", "list-tools", "nobody", "--json").error["code"] == "hooks.unknown_client"
    )
