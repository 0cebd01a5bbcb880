"""How each client is started by `keyturn run`: driven over its protocol, or as a child with its hooks wired for this run.

Pure but for `write`, which puts a run's files into its own folder; that folder is gone when the run is over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.hooks.dialects import opencode
from keyturn.gates.hooks.wiring import Wire, targets

Mode = Literal["driven", "hooked", "installed"]

PROTOCOLS = {"gemini": "acp", "copilot": "acp", "codex": "codex-app-server", "opencode": "opencode-server"}
"""Clients that can be driven, and how."""

_PROGRAMS = {
    "claude": "claude-code", "claude-code": "claude-code", "codex": "codex", "gemini": "gemini",
    "gemini-cli": "gemini", "copilot": "copilot", "opencode": "opencode", "opencode-ai": "opencode",
}  # fmt: skip
_RUNNERS = ("npx", "bunx", "pnpx", "node", "bun", "env")

_GRANTING: dict[str, tuple[str, ...]] = {
    "claude-code": (
        "--dangerously-skip-permissions",
        "--allow-dangerously-skip-permissions",
        "--bare",
        "--safe-mode",
    ),
    "codex": ("--dangerously-bypass-approvals-and-sandbox", "--yolo", "--approve-for-me"),
    "gemini": (),
    "copilot": ("--allow-all-tools", "--allow-all", "--yolo", "--autopilot"),
    "opencode": ("--auto", "--pure"),
}
_GRANTING_WHEN_DRIVEN: dict[str, tuple[str, ...]] = {
    "gemini": ("--yolo", "-y", "--approval-mode", "--allowed-tools"),
    "copilot": ("--allow-tool", "--allow-all-paths", "--allow-all-urls"),
}
"""Options with which a client acts without asking, or skips its hooks."""

_ONLY_INSTALLED = {
    "codex": "Codex runs only hooks that it was told to trust, so they can't be wired for one run.",
    "gemini": "Gemini takes settings for one run only from files that root owns, so hooks can't be wired for one run.",
}

_CODEX_WITHOUT = ("--disable", "hooks", "--disable", "unified_exec_tty")
"""Hooks would ask twice. Without a terminal a command's input is closed, so nothing can be typed into it unasked."""

ASKS_TWICE = ("gemini", "copilot")
"""Clients that can't be told to leave installed hooks out: with those installed, they are not driven as well."""


class NoGate(KeyturnError):
    """No gate can be wired into that command, so a run would only look guarded."""

    code = "run.no_gate"
    status = 400
    exit_code = ExitCode.RUN_REFUSED
    not_done = "Nothing was started."
    next_step = (
        "Run one of: claude, codex, gemini, copilot, opencode; or name what the command is with --client."
    )


class SelfGranting(KeyturnError):
    """The command has an option with which the client acts without asking."""

    code = "run.self_granting"
    status = 400
    exit_code = ExitCode.RUN_USAGE
    not_done = "Nothing was started."
    next_step = "Leave the option out: Keyturn's answer is the only grant that is needed."


class HooksMissing(KeyturnError):
    """The client can be guarded only by hooks that are not installed."""

    code = "run.hooks_missing"
    status = 409
    exit_code = ExitCode.RUN_REFUSED
    not_done = "Nothing was started."


class Launch(Struct, frozen=True):
    """What to start: words, changes of the environment (None removes), and files to write first (path → bytes).

    `wire`: what the run's own hooks start, None where they are installed or none are needed.
    """

    mode: Mode
    argv: tuple[str, ...]
    environment: dict[str, str | None] = {}
    files: dict[str, bytes] = {}
    wire: Wire | None = None


def client_of(command: Sequence[str]) -> str | None:
    """Which client *command* starts, by the name of its program; None when it is none that is known."""
    words = [word for word in command if not word.startswith("-") and "=" not in word]
    for word in words[:2] if words and _base(words[0]) in _RUNNERS else words[:1]:
        if (found := _PROGRAMS.get(_base(word))) is not None:
            return found
    return None


def _base(word: str) -> str:
    name = word.rsplit("/", 1)[-1].partition("@")[0] if not word.startswith("@") else word.partition("/")[2]
    return name.partition("@")[0].removesuffix(".js").removesuffix(".mjs")


def check_options(client: str, command: Sequence[str], *, driven: bool) -> None:
    """Raises `SelfGranting` for an option with which the client would not ask."""
    names = _GRANTING[client] + (_GRANTING_WHEN_DRIVEN.get(client, ()) if driven else ())
    for word in command[1:]:
        if word.partition("=")[0] in names:
            raise SelfGranting(f"With {word.partition('=')[0]} {client} acts without asking.")


def driven(client: str, command: Sequence[str], port: int, environment: Mapping[str, str]) -> Launch:
    """The client as a protocol server; Codex and opencode without hooks and plugins, or they would ask twice."""
    argv = tuple(command)
    if client in ("gemini", "copilot"):
        return Launch("driven", (*argv, "--acp"), {"COPILOT_ALLOW_ALL": None})
    if client == "codex":
        return Launch("driven", (*argv, *_CODEX_WITHOUT, "app-server"))
    serve = ("serve", "--hostname", "127.0.0.1", "--port", str(port))
    config = {**_content_of(environment), "permission": {"*": "ask"}}
    return Launch(
        "driven",
        (*argv, *serve),
        {"OPENCODE_CONFIG_CONTENT": json.dumps(config), "OPENCODE_PURE": "1", "OPENCODE_PERMISSION": None},
    )


def prompted(client: str, command: Sequence[str], prompt: str | None) -> tuple[str, ...]:
    """The command with *prompt* as the client takes it when nobody is at the keyboard."""
    if prompt is None:
        return tuple(command)
    if client == "codex":
        return (*command, "exec", prompt)
    if client == "opencode":
        return (*command, "run", prompt)
    return (*command, "-p", prompt)


def hooked(
    client: str, argv: Sequence[str], folder: str, wire: Wire, environment: Mapping[str, str]
) -> Launch:
    """The client as a child, its hooks wired by files in *folder*. Raises `HooksMissing` where that can't be done."""
    if client in _ONLY_INSTALLED:
        raise HooksMissing(
            _ONLY_INSTALLED[client],
            next_step=f"Give the instruction with --prompt (Keyturn then drives {client}), or run `keyturn hook install {client}`.",
        )
    target = targets(client, "user", folder, folder, wire)[0]
    if client == "claude-code":
        path = f"{folder}/claude-settings.json"
        return Launch("hooked", (argv[0], "--settings", path, *argv[1:]), {}, {path: target.add(None)})
    if client == "copilot":
        about = {
            "name": "keyturn",
            "version": "1.0.0",
            "description": "Keyturn's gate",
            "hooks": "hooks.json",
        }
        plugin = f"{folder}/copilot"
        files = {f"{plugin}/plugin.json": _json(about), f"{plugin}/hooks.json": target.add(None)}
        words = (argv[0], "--plugin-dir", plugin, *argv[1:])
        return Launch("hooked", words, {"COPILOT_ALLOW_ALL": None}, files)
    path = f"{folder}/keyturn.js"
    config = {**_content_of(environment), "permission": opencode.DENY_ALL}
    config["plugin"] = [*config.get("plugin", []), f"file://{path}"]
    content = {
        "OPENCODE_CONFIG_CONTENT": json.dumps(config),
        "OPENCODE_PERMISSION": None,
        "OPENCODE_PURE": None,
    }
    return Launch("hooked", tuple(argv), content, {path: opencode.plugin(wire.socket).encode()})


def write(launch: Launch) -> None:
    """Write the launch's files, readable by their owner only."""
    for name, data in launch.files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)


def _content_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """opencode's configuration in the environment, if there is one."""
    try:
        value = json.loads(environment.get("OPENCODE_CONFIG_CONTENT") or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
