"""Installing and uninstalling: files of others are kept, and what was there comes back byte for byte."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.gates.hooks import codex_trust, merging
from keyturn.gates.hooks.dialects import dialect_of
from keyturn.gates.hooks.install import NotInstallable, NotInstalled, Place, install, status, uninstall
from keyturn.gates.hooks.merging import UnreadableSettings
from keyturn.gates.hooks.wiring import CLIENT_FILE, NotManageable

PYTHON = "/usr/bin/python3"
SETTINGS = {
    "claude-code": ".claude/settings.json",
    "codex": ".codex/hooks.json",
    "gemini": ".gemini/settings.json",
}
CLIENTS = ("claude-code", "codex", "gemini", "copilot", "opencode")


@pytest.fixture(autouse=True)
def no_codex(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Codex to be asked for its hashes, unless a test brings one."""
    monkeypatch.setattr(codex_trust, "hashes", lambda cwd, home, program="codex": None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    return Place(str(tmp_path / "home"), str(tmp_path / "work"), str(tmp_path / "kt"), str(tmp_path / "root"))


def wire(client: str, place: Place, scope: Any = "user", socket: str = "/run/gate.sock") -> Any:
    return install(client, scope, place, socket=socket, python=PYTHON)


def tree(root: str) -> dict[str, bytes | None]:
    found = sorted(Path(root).rglob("*"))
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in found}


def hooks_in(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())["hooks"]
    return found


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scope", ["user", "project"])
def test_uninstalling_leaves_nothing_behind(client: str, scope: str, place: Place) -> None:
    before = tree(place.home), tree(place.cwd)
    assert wire(client, place, scope).changes
    assert (tree(place.home), tree(place.cwd)) != before
    done = uninstall(client, scope, place)  # type: ignore[arg-type]
    assert all(change.exact for change in done.changes)
    assert (tree(place.home), tree(place.cwd)) == before


OTHERS = (
    b'{\n\t"model": "x",\n\t"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "other"}]}]}}'
)


@pytest.mark.parametrize("client", SETTINGS)
def test_settings_of_others_are_kept_and_come_back_byte_for_byte(client: str, place: Place) -> None:
    path = Path(place.home) / SETTINGS[client]
    path.parent.mkdir()
    path.write_bytes(OTHERS)
    path.chmod(0o640)
    done = wire(client, place)
    assert "+" in done.changes[0].diff
    settings = json.loads(path.read_text())
    assert settings["model"] == "x"
    assert settings["hooks"]["PreToolUse"][0]["hooks"][0]["command"] == "other"
    for hooked in dialect_of(client).events:
        assert any(CLIENT_FILE in json.dumps(group) for group in settings["hooks"][hooked.event])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    uninstall(client, "user", place)
    assert path.read_bytes() == OTHERS
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("client", CLIENTS)
def test_installing_twice_changes_nothing(client: str, place: Place) -> None:
    wire(client, place)
    once = tree(place.home)
    assert wire(client, place).changes == ()
    assert tree(place.home) == once


@pytest.mark.parametrize("client", ["claude-code", "codex", "gemini"])
def test_installing_again_with_another_socket_replaces_the_old_entries(client: str, place: Place) -> None:
    path = Path(place.home) / SETTINGS[client]
    path.parent.mkdir()
    path.write_bytes(OTHERS)
    wire(client, place)
    wire(client, place, socket="/elsewhere.sock")
    assert "/run/gate.sock" not in path.read_text()
    for hooked in dialect_of(client).events:
        groups = hooks_in(path)[hooked.event]
        assert sum(CLIENT_FILE in json.dumps(group) for group in groups) == 1
    uninstall(client, "user", place)
    assert path.read_bytes() == OTHERS


def test_what_others_changed_meanwhile_is_kept_and_said(place: Place) -> None:
    path = Path(place.home) / ".claude/settings.json"
    path.parent.mkdir()
    path.write_bytes(OTHERS)
    wire("claude-code", place)
    settings = json.loads(path.read_text())
    settings["theme"] = "dark"
    path.write_text(json.dumps(settings))
    assert status("claude-code", "user", place).changed == (str(path),)
    (change,) = uninstall("claude-code", "user", place).changes
    assert not change.exact
    assert json.loads(path.read_text()) == {**json.loads(OTHERS), "theme": "dark"}


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b"// words\n{}", b"\xff", b'{"hooks": []}', b'{"hooks": {"PreToolUse": 1}}']
)
def test_settings_that_cant_be_parsed_are_refused_and_left_alone(data: bytes, place: Place) -> None:
    path = Path(place.home) / ".claude/settings.json"
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(UnreadableSettings):
        wire("claude-code", place)
    assert path.read_bytes() == data
    assert not status("claude-code", "user", place).installed


def test_a_linked_settings_file_stays_a_link(place: Place, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    path = Path(place.home) / ".claude/settings.json"
    path.parent.mkdir()
    path.symlink_to(real)
    wire("claude-code", place)
    assert path.is_symlink()
    assert CLIENT_FILE in real.read_text()
    uninstall("claude-code", "user", place)
    assert path.is_symlink()
    assert real.read_text() == "{}"


def test_two_homes_and_two_projects_do_not_share_an_installation(place: Place, tmp_path: Path) -> None:
    other = Place(str(tmp_path), place.cwd, place.keyturn)
    wire("claude-code", place)
    wire("claude-code", other)
    assert (tmp_path / ".claude/settings.json").exists()
    uninstall("claude-code", "user", place)
    assert not (Path(place.home) / ".claude").exists()
    assert (tmp_path / ".claude/settings.json").exists()


def test_uninstalling_what_was_not_installed_is_said(place: Place) -> None:
    with pytest.raises(NotInstalled):
        uninstall("gemini", "user", place)


def test_a_home_that_cant_be_written_is_said(place: Place) -> None:
    (Path(place.home) / ".gemini").write_text("a file where a folder should be")
    with pytest.raises(NotInstallable):
        wire("gemini", place)


# --- failing closed is written down ---------------------------------------------------------------


def test_claude_code_gates_block_on_failure_and_notices_do_not(place: Place) -> None:
    wire("claude-code", place)
    hooks = hooks_in(Path(place.home) / ".claude/settings.json")
    for hooked in dialect_of("claude-code").events:
        (handler,) = hooks[hooked.event][0]["hooks"]
        assert handler.get("onFailure") == ("block" if hooked.gate else None)
        assert handler["timeout"] == hooked.timeout
        assert float(handler["args"][-1]) < hooked.timeout, "the hook gives up before the client does"


def test_gemini_timeouts_are_milliseconds(place: Place) -> None:
    wire("gemini", place)
    hooks = hooks_in(Path(place.home) / ".gemini/settings.json")
    assert hooks["BeforeTool"][0]["hooks"][0]["timeout"] == 3_600_000
    assert hooks["BeforeTool"][0]["matcher"] == "*"


def test_the_hook_runs_a_copy_that_policy_protects(place: Place) -> None:
    wire("codex", place)
    script = Path(place.keyturn) / "hooks" / CLIENT_FILE
    assert str(script) in (Path(place.home) / ".codex/hooks.json").read_text()
    assert stat.S_IMODE(script.stat().st_mode) == 0o500
    script.chmod(0o700)
    script.write_text("print('yes')")
    assert str(script) in status("codex", "user", place).changed
    wire("codex", place)
    assert status("codex", "user", place).changed == ()


# --- managed --------------------------------------------------------------------------------------


def test_managed_hooks_of_claude_code_are_the_only_ones(place: Place) -> None:
    wire("claude-code", place, "managed")
    path = Path(place.root) / "etc/claude-code/managed-settings.json"
    settings = json.loads(path.read_text())
    assert settings["allowManagedHooksOnly"] is True
    assert settings["disableSkillShellExecution"] is True
    assert f"{place.root}/usr/local/lib/keyturn/{CLIENT_FILE}" in path.read_text()
    uninstall("claude-code", "managed", place)
    assert not (Path(place.root) / "etc").exists()


def test_managed_members_of_others_come_back(place: Place) -> None:
    path = Path(place.root) / "etc/claude-code/managed-settings.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"allowManagedHooksOnly": false}')
    wire("claude-code", place, "managed")
    path.write_bytes(merging.with_members(path.read_bytes(), {"theme": "dark"}, "x"))
    uninstall("claude-code", "managed", place)
    assert json.loads(path.read_text()) == {"allowManagedHooksOnly": False, "theme": "dark"}


def test_managed_requirements_of_codex_are_toml_that_keeps_what_was_there(place: Place) -> None:
    path = Path(place.root) / "etc/codex/requirements.toml"
    path.parent.mkdir(parents=True)
    before = b'# ours\nallowed_approval_policies = ["never"]\n[rules]\nx = 1\n'
    path.write_bytes(before)
    wire("codex", place, "managed")
    written = tomllib.loads(path.read_text())
    assert written["allow_managed_hooks_only"] is True
    assert written["allowed_approval_policies"] == ["never"]
    (gate,) = written["hooks"]["PreToolUse"][0]["hooks"]
    assert CLIENT_FILE in gate["command"]
    assert gate["timeout"] == 3600
    assert wire("codex", place, "managed").changes == ()
    uninstall("codex", "managed", place)
    assert path.read_bytes() == before


def test_requirements_that_can_not_hold_ours_are_refused(place: Place) -> None:
    path = Path(place.root) / "etc/codex/requirements.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[features]\nhooks = false\n")
    with pytest.raises(UnreadableSettings):
        wire("codex", place, "managed")
    assert path.read_text() == "[features]\nhooks = false\n"


def test_copilot_has_no_managed_hooks_and_says_so(place: Place) -> None:
    with pytest.raises(NotManageable):
        wire("copilot", place, "managed")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write managed hooks")
def test_managed_hooks_are_written_by_root_only(place: Place) -> None:
    with pytest.raises(NotInstallable, match="root"):
        install("codex", "managed", Place(place.home, place.cwd, place.keyturn), socket="/s", python=PYTHON)


# --- Codex' trust ---------------------------------------------------------------------------------


def test_codex_hooks_are_trusted_and_the_trust_goes_with_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Path(place.home) / ".codex/config.toml"
    config.parent.mkdir()
    config.write_bytes(b'model = "x"')
    key = f"{place.home}/.codex/hooks.json:pre_tool_use:0:0"
    monkeypatch.setattr(codex_trust, "hashes", lambda cwd, home: {key: "sha256:aa"})
    done = wire("codex", place)
    assert done.left == ()
    written = tomllib.loads(config.read_text())
    assert written == {"model": "x", "hooks": {"state": {key: {"trusted_hash": "sha256:aa"}}}}
    assert status("codex", "user", place).left == ()
    uninstall("codex", "user", place)
    assert config.read_bytes() == b'model = "x"'


def test_without_codex_the_step_that_is_left_is_said(place: Place) -> None:
    assert any("/hooks" in left for left in wire("codex", place).left)
    assert status("codex", "user", place).left


# --- merging --------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)
GROUPS = {"PreToolUse": {"hooks": [{"type": "command", "command": f"python {CLIENT_FILE}"}]}}


@given(st.dictionaries(st.text(max_size=6).filter(lambda name: name != "hooks"), JSON, max_size=4))
def test_whatever_others_say_is_the_same_after_putting_ours_in_and_out(settings: dict[str, Any]) -> None:
    data = json.dumps(settings).encode()
    mixed = merging.with_hooks(data, GROUPS, CLIENT_FILE, "x")
    assert {name: value for name, value in json.loads(mixed).items() if name != "hooks"} == settings
    rest = merging.without_hooks(mixed, CLIENT_FILE, "x")
    assert (json.loads(rest) if rest else {}) == settings
    assert merging.with_hooks(mixed, GROUPS, CLIENT_FILE, "x") == mixed


@given(st.text(max_size=60), st.text(max_size=20))
def test_quoted_text_is_that_text_in_toml(text: str, key: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in text + key):
        return
    assert tomllib.loads(f"x = {merging.quoted(text)}") == {"x": text}
    assert tomllib.loads(merging.codex_trust({key: text}))["hooks"]["state"] == {key: {"trusted_hash": text}}
