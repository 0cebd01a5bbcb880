"""A manifest of MCP servers or tools: what `tools/list` answers, or a client's `mcpServers`.

A tool is its name, title, description, schemas and annotations (MCP 2025-11-25, "Tool"); a server what starts it or where it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyturn import canonical
from keyturn.drift.configuration.reading import (
    Configuration,
    ConfigurationMalformed,
    Hiding,
    counted,
    fields,
    parsed,
    table,
)

_WHAT = "manifest of MCP servers or tools"
_OF_TOOL = ("title", "description", "inputSchema", "outputSchema", "annotations")


def read(data: bytes, hiding: Hiding) -> Configuration:
    """The manifest *data*. Raises `ConfigurationMalformed`, `TooLarge`."""
    body: Any = parsed(data, _WHAT)
    if isinstance(body, Mapping) and isinstance(body.get("result"), Mapping):
        body = body["result"]
    state: dict[str, dict[str, Any]] = {}
    if isinstance(body, list):
        _tools(body, "", state, hiding)
    else:
        listed = table(body, _WHAT)
        if isinstance(listed.get("tools"), list):
            _tools(listed["tools"], "", state, hiding)
        for key in ("mcpServers", "servers"):
            for name, server in (
                (listed.get(key) or {}).items() if isinstance(listed.get(key), Mapping) else ()
            ):
                _server(str(name), table(server, _WHAT), state, hiding)
    if not state:
        raise ConfigurationMalformed("This is no manifest of MCP: it has neither `tools` nor `mcpServers`.")
    return Configuration(counted(state))


def _server(name: str, server: Mapping[str, Any], state: dict[str, dict[str, Any]], hiding: Hiding) -> None:
    own = {key: value for key, value in server.items() if key not in ("tools", "env", "headers")}
    for key in ("env", "headers"):  # what a server is given there is a secret more often than not
        if isinstance(server.get(key), Mapping):
            own[key] = {str(variable): hiding.value(value) for variable, value in server[key].items()}
    state[f"server {name}"] = fields(own, hiding) or {"empty": True}
    if isinstance(server.get("tools"), list):
        _tools(server["tools"], name, state, hiding)


def _tools(tools: list[Any], server: str, state: dict[str, dict[str, Any]], hiding: Hiding) -> None:
    for tool in tools:
        one = table(tool, _WHAT)
        name = one.get("name")
        if not isinstance(name, str) or not name:
            raise ConfigurationMalformed("A tool of the manifest has no name.")
        key = f"tool {server + '/' if server else ''}{name}"
        if key in state:
            raise ConfigurationMalformed(f"The {key} is there twice.")
        known = fields({part: one[part] for part in _OF_TOOL if part in one}, hiding)
        whole = canonical.digest(hiding.taken({part: one.get(part) for part in _OF_TOOL}))
        state[key] = {**known, "pin": whole}
