"""What a client's files say of servers, permissions and hooks, as parts of their own, so that a change of them is named as one.

The file itself stays a part: what is not understood here still counts. Values of environment variables and headers are not taken:
only their names are. Pure; what can't be read gives nothing.

Source: the clients' own documentation, and runs of them (docs/reference/hooks.md names the versions).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Any

from msgspec import Struct

from keyturn.drift.definition import Kind, Part, value_part

_KINDS: tuple[tuple[str, Kind], ...] = (
    ("*hooks.json", "hooks"),
    ("*/hooks/*.json", "hooks"),
    ("*/plugin/*", "hooks"),
    ("*.mcp.json", "servers"),
    ("*/mcp.json", "servers"),
    ("*mcp-config.json", "servers"),
    ("*/policies/*.toml", "permissions"),
    ("*.rules", "permissions"),
    ("*requirements.toml", "permissions"),
    ("*/tool/*", "tools"),
    ("*/commands/*.toml", "instructions"),
    ("*.md", "instructions"),
    ("*.mdc", "instructions"),
)
"""Which kind a file is, by its name; what matches none is a setting."""

_PERMISSIONS = (
    "permissions", "permission", "tools", "approval_policy", "sandbox_mode", "sandbox_workspace_write", "coreTools",
    "excludeTools", "allowedTools", "security", "sandbox", "enabledMcpjsonServers", "disabledMcpjsonServers",
    "enableAllProjectMcpServers", "disableAllHooks",
)  # fmt: skip
"""Settings of the clients that say what runs without asking."""

_IMPORT = re.compile(r"(?:^|(?<=\s))@((?:~/|\.{0,2}/)?[\w.][\w./~-]*)", re.ASCII)
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)


def kind_of(name: str) -> Kind:
    """Which kind of part the file *name* is."""
    return next((kind for pattern, kind in _KINDS if fnmatch(name, pattern)), "settings")


def imports(text: str) -> tuple[str, ...]:
    """Files that instructions take in with `@path`, as they are written; none inside of code."""
    return tuple(dict.fromkeys(found.rstrip(".") for found in _IMPORT.findall(_CODE.sub(" ", text))))


def derived(name: str, text: str, workspace: str = "") -> tuple[Part, ...]:
    """Servers, permissions and hooks that the settings file *name* configures (in a project's own part: for *workspace*)."""
    body = _read(name, text)
    if body is None:
        return ()
    return tuple(_parts(name, body, workspace))


class Server(Struct, frozen=True):
    """One configured MCP server with what is needed to speak to it: only for who may start it, never recorded.

    `part` is how it counts; `environment` and `headers` have their values; `file` is name and digest of the file that configures it,
    where that counts as a whole.
    """

    part: Part
    file: tuple[str, str] | None = None
    command: tuple[str, ...] = ()
    url: str = ""
    environment: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


def configured(name: str, text: str, workspace: str = "") -> tuple[Server, ...]:
    """The servers that the settings file *name* configures, each with its values."""
    body = _read(name, text)
    return tuple(_servers(name, body, workspace)) if body is not None else ()


def servers_of(part: Part) -> dict[str, Any] | None:
    """What a part of kind `servers` says: `{"transport", "command" | "url", "env", "headers"}`; None for a file."""
    if part.kind != "servers" or part.text is None or "\x1f" in part.name:
        return None
    try:
        value = json.loads(part.text)
    except ValueError:
        return None
    return value if isinstance(value, dict) and "transport" in value else None


def _read(name: str, text: str) -> dict[str, Any] | None:
    try:
        value = tomllib.loads(text) if name.endswith(".toml") else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _parts(name: str, body: Mapping[str, Any], workspace: str) -> Iterator[Part]:
    yield from (server.part for server in _servers(name, body, workspace))
    permissions = {key: body[key] for key in _PERMISSIONS if key in body}
    if permissions:
        yield from _valued("permissions", name, permissions)
    if body.get("hooks"):
        yield from _valued("hooks", f"{name}: hooks", body["hooks"])


def _servers(name: str, body: Mapping[str, Any], workspace: str) -> Iterator[Server]:
    projects = body.get("projects")
    own = projects.get(workspace) if isinstance(projects, dict) and workspace else None
    for source in (body, own if isinstance(own, dict) else {}):
        for key in ("mcpServers", "mcp_servers", "mcp"):
            tables = source.get(key)
            for server, table in sorted(tables.items()) if isinstance(tables, dict) else ():
                if isinstance(table, dict) and (said := _server(table)) is not None:
                    yield Server(
                        part=value_part("servers", f"{server} ({name})", said),
                        command=tuple(said.get("command", ())),
                        url=said.get("url", ""),
                        environment=_values(table, "env" if "env" in table else "environment"),
                        headers=_values(table, "headers"),
                    )


def _valued(kind: Kind, name: str, value: Any) -> Iterator[Part]:
    try:
        yield value_part(kind, name, _plain(value))
    except (ValueError, TypeError):  # what has no canonical form counts as part of its file
        return


def _plain(value: Any) -> Any:
    """*value* with what TOML knows and JSON does not (dates, floats that are no numbers) as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, bool)) or value is None else str(value)


def _server(table: Mapping[str, Any]) -> dict[str, Any] | None:
    """One configured MCP server in one form, whichever client it is of. None for what is no server."""
    command, url = table.get("command"), table.get("url") or table.get("httpUrl")
    argv = command if isinstance(command, list) else [command, *_texts(table.get("args"))] if command else []
    names = {
        key: sorted(map(str, value)) if isinstance(value := table.get(given), dict) else []
        for key, given in (("env", "env" if "env" in table else "environment"), ("headers", "headers"))
    }
    if argv:
        return {"transport": "stdio", "command": [str(word) for word in argv], **names}
    if isinstance(url, str):
        return {"transport": "http", "url": url, **names}
    return None


def _values(table: Mapping[str, Any], key: str) -> dict[str, str]:
    value = table.get(key)
    return {str(name): str(item) for name, item in value.items()} if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


__all__ = ["Server", "configured", "derived", "imports", "kind_of", "servers_of"]
