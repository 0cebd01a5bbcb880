"""Keyturn's entries in files that belong to others: put in, taken out, everything else left as it is. Pure.

A file that can't be parsed is refused: what can't be read can't be kept.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

from keyturn.errors import ExitCode, KeyturnError

BEGIN = "# keyturn: begin (written by `keyturn hook install`)\n"
END = "# keyturn: end\n"


class UnreadableSettings(KeyturnError):
    """A client's settings file is not what that client could read itself."""

    code = "hooks.unreadable_settings"
    status = 409
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Mend the file (or move it away), then run the command again."


def _loaded(data: bytes | None, path: str) -> dict[str, Any]:
    if data is None or not data.strip():
        return {}
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnreadableSettings(f"{path} is no JSON: {error}.") from error
    if not isinstance(value, dict):
        raise UnreadableSettings(f"{path} holds no JSON object.")
    return value


def dumped(value: dict[str, Any], like: bytes | None = None) -> bytes:
    """*value* as JSON, indented as *like* is."""
    found = re.search(rb'\n([ \t]+)"', like or b"")
    indent = found.group(1).decode() if found else "  "
    return (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode()


def with_hooks(data: bytes | None, groups: dict[str, dict[str, Any]], mark: str, path: str) -> bytes:
    """The settings with one group of handlers for each event beside those of others; earlier ones of *mark* go."""
    rest = None if data is None else without_hooks(data, mark, path)
    settings = _loaded(rest, path)
    hooks = settings.setdefault("hooks", {})
    for event, group in groups.items():
        others = hooks.setdefault(event, [])
        if not isinstance(others, list):
            raise UnreadableSettings(f"{path}: hooks of {event} are no list.")
        others.append(group)
    return dumped(settings, data)


def without_hooks(data: bytes, mark: str, path: str) -> bytes | None:
    """The settings without handlers that name *mark*; None when nothing else was in them."""
    settings = _loaded(data, path)
    hooks = settings.get("hooks", {})
    if not isinstance(hooks, dict):
        raise UnreadableSettings(f"{path}: `hooks` is no object.")
    found = False
    for event, groups in list(hooks.items()):
        if not isinstance(groups, list):
            continue
        kept = [rest for group in groups if (rest := _group_without(group, mark)) is not None]
        if kept != groups:
            found = True
            hooks[event] = kept
            if not kept:
                del hooks[event]
    if not found:
        return data
    if not hooks:
        settings.pop("hooks", None)
    return dumped(settings, data) if settings else None


def _group_without(group: Any, mark: str) -> Any:
    if not isinstance(group, dict) or not isinstance(group.get("hooks"), list):
        return group
    kept = [handler for handler in group["hooks"] if not is_ours(handler, mark)]
    if len(kept) == len(group["hooks"]):
        return group
    return {**group, "hooks": kept} if kept else None


def is_ours(handler: Any, mark: str) -> bool:
    """Whether a handler runs Keyturn's hook process."""
    if not isinstance(handler, dict):
        return False
    words = [handler.get("command"), *(handler.get("args") or ())]
    return any(isinstance(word, str) and mark in word for word in words)


def with_members(data: bytes | None, members: dict[str, Any], path: str) -> bytes:
    """The settings with top-level *members* set."""
    settings = _loaded(data, path)
    return dumped({**settings, **members}, data)


def without_members(data: bytes, members: dict[str, Any], before: bytes | None, path: str) -> bytes | None:
    """The settings with *members* as they were in *before*, where they still are as Keyturn set them."""
    settings = _loaded(data, path)
    original = _loaded(before, path)
    for name, value in members.items():
        if settings.get(name) == value:
            settings.pop(name)
            if name in original:
                settings[name] = original[name]
    return dumped(settings, data) if settings else None


# --- TOML -----------------------------------------------------------------------------------------


def with_blocks(data: bytes | None, head: str, tail: str, path: str) -> bytes:
    """The TOML file with Keyturn's blocks: *head* above everything, *tail* below. Raises `UnreadableSettings`."""
    rest = (without_blocks(data) if data is not None else None) or b""
    check_toml(rest, path)
    parts = [_framed(head), rest.decode("utf-8")]
    if parts[1] and not parts[1].endswith("\n"):
        parts[1] += "\n"
    whole = ("".join(parts) + _framed(tail)).encode()
    check_toml(whole, f"{path} with Keyturn's part in it")
    return whole


def _framed(text: str) -> str:
    return BEGIN + text + END if text else ""


def without_blocks(data: bytes) -> bytes | None:
    """The TOML file without Keyturn's blocks; None when nothing else was in it."""
    rest = re.sub(
        re.escape(BEGIN) + r"(?s:.*?)" + re.escape(END), "", data.decode("utf-8", "surrogateescape")
    )
    return rest.encode("utf-8", "surrogateescape") if rest.strip() else None


def check_toml(data: bytes, path: str) -> dict[str, Any]:
    """The file's content. Raises `UnreadableSettings`."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except ValueError as error:
        raise UnreadableSettings(f"{path} is no TOML: {error}.") from error


def quoted(text: str) -> str:
    """*text* as a TOML basic string (TOML 1.0): JSON's, but that DEL is escaped and nothing beyond ASCII is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def codex_requirements(folder: str, handlers: dict[str, dict[str, Any]]) -> tuple[str, str]:
    """Head and tail of Codex' managed requirements: no hooks but these, and these for everybody."""
    lines = ["[features]\nhooks = true\n[hooks]\n", f"managed_dir = {quoted(folder)}\n"]
    for event, handler in handlers.items():
        lines.append(f"[[hooks.{event}]]\n[[hooks.{event}.hooks]]\n")
        lines.append(
            'type = "command"\n' + f"command = {quoted(handler['command'])}\ntimeout = {handler['timeout']}\n"
        )
    return "allow_managed_hooks_only = true\n", "".join(lines)


def codex_trust(hashes: dict[str, str]) -> str:
    """Codex' record that somebody looked at these hooks: key → hash of what they looked at."""
    return "".join(
        f"[hooks.state.{quoted(key)}]\ntrusted_hash = {quoted(digest)}\n" for key, digest in hashes.items()
    )
