"""What a client loads is what its agent is: named the same in every checkout, bounded, and each change of it counted once."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from hooks_at_desk import ask, desk_of, edit
from hooks_captured import payload
from hooks_recording import Recording, call
from test_mcp_listing import SERVER

from keyturn.drift.definition import MAX_TEXT, Definition
from keyturn.gates.hooks import places
from keyturn.gates.hooks.definition import captured
from keyturn.gates.hooks.desk import HookDesk
from keyturn.gates.hooks.dialects import dialect_of

ME = os.getuid()


class Place:
    """A home with a work folder in it."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.work = self.home / "src" / "shop"
        self.work.mkdir(parents=True)

    def write(self, name: str, text: str) -> Path:
        path = self.home / name[2:] if name.startswith("~/") else self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def seen(self, client: str = "claude-code", model: str = "") -> Definition:
        return captured(dialect_of(client), str(self.work), str(self.home), ME, model)

    def names(self, client: str = "claude-code") -> list[str]:
        return [part.name for part in self.seen(client).parts]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


FILES = {
    "claude-code": (
        "CLAUDE.md", ".claude/settings.json", ".claude/skills/x/SKILL.md", "~/.claude/commands/a.md", ".mcp.json", "../CLAUDE.md",
    ),
    "codex": ("AGENTS.md", "~/.codex/config.toml", ".codex/rules/default.rules", "../AGENTS.md"),
    "gemini": ("GEMINI.md", ".gemini/settings.json", "~/.gemini/commands/a.toml", ".gemini/.env"),
    "copilot": ("AGENTS.md", ".github/hooks/a.json", "~/.copilot/mcp-config.json"),
    "opencode": ("AGENTS.md", "opencode.json", ".opencode/plugin/a.js"),
}  # fmt: skip


@pytest.mark.parametrize("client", FILES)
def test_every_file_that_a_client_loads_is_a_part_and_an_edit_of_it_is_another_definition(
    client: str, place: Place
) -> None:
    for name in FILES[client]:
        place.write(name, "{}" if name.endswith(".json") else "")
    assert set(FILES[client]) <= set(place.names(client))
    before = place.seen(client)
    for name in FILES[client]:
        file = place.write(name, '{"a": 1}' if name.endswith(".json") else "a = 1\n")
        after = place.seen(client)
        changed = {p.name for p in after.parts} & {
            p.name for p in before.parts if p.digest not in {q.digest for q in after.parts}
        }
        assert after.digest != before.digest, name
        assert changed <= {name}
        file.write_text("{}" if name.endswith(".json") else "")
        assert place.seen(client).digest == before.digest, name  # put back, it is what it was


def test_the_same_content_is_the_same_definition_in_every_checkout(tmp_path: Path) -> None:
    digests = set()
    for number in range(2):
        one = Place(tmp_path / str(number))
        one.write("CLAUDE.md", "See @docs/rules.md and @~/mine.md")
        one.write("docs/rules.md", "be good\n")
        one.write("~/mine.md", "be nice\n")
        digests.add(one.seen().digest)
        assert {"CLAUDE.md", "docs/rules.md", "~/mine.md"} <= set(one.names())
    assert len(digests) == 1


def test_imports_are_followed_five_deep_once_and_not_out_of_code(place: Place) -> None:
    place.write("CLAUDE.md", "@a.md\n`@code.md` and\n```\n@block.md\n```\nmail me@example.md")
    for name, text in (
        ("a.md", "@CLAUDE.md @b.md"),
        ("b.md", "@c.md"),
        ("c.md", "@d.md"),
        ("d.md", "@e.md"),
        ("e.md", "@f.md"),
        ("f.md", ""),
    ):
        place.write(name, text)
    for name in ("code.md", "block.md", "example.md"):
        place.write(name, "")
    assert place.names() == ["CLAUDE.md", "a.md", "b.md", "c.md", "d.md", "e.md"]


def test_what_a_client_writes_for_itself_does_not_count_but_its_servers_do(place: Place) -> None:
    place.write("~/.claude.json", json.dumps({"numStartups": 1}))
    before = place.seen().digest
    place.write("~/.claude.json", json.dumps({"numStartups": 2, "tips": {"a": 1}}))
    assert place.seen().digest == before
    server = {"command": "npx", "args": ["fs"], "env": {"TOKEN": "secret"}}
    project = {
        str(place.work): {"mcpServers": {"own": server}},
        "/elsewhere": {"mcpServers": {"other": server}},
    }
    place.write(
        "~/.claude.json", json.dumps({"numStartups": 3, "mcpServers": {"fs": server}, "projects": project})
    )
    assert place.names() == ["fs (~/.claude.json)", "own (~/.claude.json)"]
    assert place.seen().digest != before
    assert all("secret" not in (part.text or "") for part in place.seen().parts)


def test_permissions_and_hooks_of_the_settings_are_parts_of_their_own(place: Place) -> None:
    hooks = {"Stop": [{"hooks": [{"type": "command", "command": "curl x"}]}]}
    place.write(".claude/settings.json", json.dumps({"permissions": {"allow": ["Bash(ls)"]}, "hooks": hooks}))
    assert [(part.kind, part.name) for part in place.seen().parts] == [
        ("settings", ".claude/settings.json"),
        ("hooks", ".claude/settings.json: hooks"),
        ("permissions", ".claude/settings.json"),
    ]


def test_a_file_that_is_too_large_or_no_text_counts_though_it_is_not_kept(place: Place) -> None:
    file = place.write("CLAUDE.md", "a" * (MAX_TEXT + 1))
    large = place.seen()
    assert large.parts[0].text is None
    file.write_text("a" * MAX_TEXT + "b")
    assert place.seen().digest != large.digest
    file.write_bytes(b"\xff\xfe")
    assert place.seen().parts[0].text is None
    file.write_text("x" * (2 * 1024 * 1024))
    huge = place.seen()
    file.write_text("x" * (2 * 1024 * 1024 + 1))
    assert place.seen().digest != huge.digest


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 5000,
        '{"mcpServers": 3, "hooks": 4, "permissions": []}',
        '{"mcpServers": {"a": {"command": 7}}}',
        "\x00",
    ],
)
def test_a_settings_file_that_is_none_is_still_a_part(text: str, place: Place) -> None:
    for name in (".claude/settings.json", ".mcp.json"):
        place.write(name, text)
    assert {".claude/settings.json", ".mcp.json"} <= set(place.names())


def test_the_model_counts_where_every_event_names_it(place: Place) -> None:
    assert place.seen("codex", "gpt-5.5").digest != place.seen("codex", "gpt-6").digest
    assert place.seen("claude-code", "opus").digest == place.seen("claude-code", "").digest


def prompted(desk: HookDesk, place: Place) -> None:
    said = json.dumps(payload("claude-code", "UserPromptSubmit", str(place.work), prompt="go")).encode()
    ask(desk, call("claude-code", "UserPromptSubmit", said))


@pytest.fixture
def here(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The client works in the place's folder."""
    monkeypatch.setattr(places, "place", lambda *given: places.Place(str(place.home), str(place.work)))
    return place


def test_instructions_that_were_edited_are_told_at_the_next_prompt(here: Place) -> None:
    here.write("CLAUDE.md", "one\n")
    service = Recording()
    desk = desk_of(service)
    prompted(desk, here)
    told = service.opened[0]["described"]
    assert told is not None
    assert service.opened[0]["definition"] == told.digest == here.seen().digest
    prompted(desk, here)
    assert service.defined == []  # the negative control: nothing was edited
    here.write("CLAUDE.md", "two\n")
    prompted(desk, here)
    ((session, described),) = service.defined
    assert (session, described.digest) == ("s_1", here.seen().digest)
    ask(desk, edit(here.work / "x.txt"))
    assert service.actions[-1].attribution.definition == described.digest


def test_tools_of_approved_servers_are_parts_from_the_start_and_asked_for_once_a_session(here: Place) -> None:
    mark = here.home / "mark"
    program = here.write("~/server.py", SERVER)
    configured = {
        "command": sys.executable,
        "args": [str(program), "good", "Reads."],
        "env": {"MARK": str(mark)},
    }
    here.write(".mcp.json", json.dumps({"mcpServers": {"fs": configured}}))
    approved = frozenset((part.name, part.digest) for part in here.seen().parts)
    for allowed, started in (((), 0), ((approved,), 1)):
        service = Recording()
        service.approved = allowed
        desk = desk_of(service)
        prompted(desk, here)
        prompted(desk, here)
        tools = [part.name for part in service.opened[0]["described"].of_kind("tools")]
        assert len(tools) == 3 * started
        assert service.defined == []
        assert (mark.read_text().count("started") if mark.exists() else 0) == started
