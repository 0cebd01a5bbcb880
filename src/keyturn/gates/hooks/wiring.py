"""What has to be written, and where, so that a client asks Keyturn: files, and the commands in them. Pure.

A command that a shell runs turns every failure of the hook process (a crash, a signal, no interpreter) into exit
status 2 with words; a client that runs it without a shell (Claude Code) is told `onFailure: block` instead.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from keyturn.errors import ExitCode, KeyturnError
from keyturn.gates.hooks import merging
from keyturn.gates.hooks.dialects import Dialect, Hooked, dialect_of

Scope = Literal["user", "project", "managed"]

CLIENT_FILE = "keyturn_hook.py"
"""Name under which the hook client is copied; it marks Keyturn's entries among others."""
MANAGED_FOLDER = "/usr/local/lib/keyturn"
_ANSWER_MARGIN = 15
"""Seconds before the client's own limit at which the hook process gives up by itself, with words."""


class NotManageable(KeyturnError):
    """The client has no system-wide configuration that Keyturn can write."""

    code = "hooks.not_manageable"
    status = 400
    exit_code = ExitCode.USAGE
    not_done = "Nothing was changed."
    next_step = "Install it for the user, and read what that can't stop."


class Target(Struct, frozen=True):
    """One file to write. `add` gives its new bytes from the present ones (None: no file), `remove` takes Keyturn's part out.

    `remove` is given the present bytes and those before the installation; it gives None for a file that may go.
    """

    path: str
    add: Callable[[bytes | None], bytes]
    remove: Callable[[bytes, bytes | None], bytes | None]
    mode: int = 0o644


class Wire(Struct, frozen=True):
    """The hook process of one installation: interpreter, client file and socket, all absolute."""

    python: str
    script: str
    socket: str

    def words(self, dialect: Dialect, hooked: Hooked) -> list[str]:
        """The hook process for one event, as words. It gives up before the client does."""
        seconds = max(1, hooked.timeout - min(_ANSWER_MARGIN, hooked.timeout // 2))
        return [self.python, "-I", "-S", self.script, dialect.name, hooked.event, self.socket, str(seconds)]

    def line(self, dialect: Dialect, hooked: Hooked) -> str:
        """The same as a command line for any shell, failing closed where the event is a gate."""
        command = shlex.join(self.words(dialect, hooked))
        if not hooked.gate:
            return command
        said = "keyturn: the hook did not end well, nothing ran [gate.unreachable]"
        # Some clients believe what is on standard output whatever the exit status: only a good end may say anything.
        script = (
            f'out=$({command}); case $? in 0) [ -z "$out" ] || printf "%s\\n" "$out"; exit 0;; '
            f'2) exit 2;; *) echo "{said}" >&2; exit 2;; esac'
        )
        return f"/bin/sh -c {shlex.quote(script)}"


def targets(client: str, scope: Scope, home: str, cwd: str, wire: Wire) -> tuple[Target, ...]:
    """The files of an installation, in the order in which they are written. Raises `NotManageable`, `UnknownClient`."""
    dialect = dialect_of(client)
    base = {"user": home, "project": cwd, "managed": ""}[scope]
    return _RECIPES[client](dialect, scope, base, wire)


def _claude(dialect: Dialect, scope: Scope, base: str, wire: Wire) -> tuple[Target, ...]:
    path = {
        "user": f"{base}/.claude/settings.json",
        "project": f"{base}/.claude/settings.local.json",
        "managed": "/etc/claude-code/managed-settings.json",
    }[scope]

    def handler(hooked: Hooked) -> dict[str, Any]:
        program, *arguments = wire.words(dialect, hooked)
        said = {"type": "command", "command": program, "args": arguments, "timeout": hooked.timeout}
        return {**said, "onFailure": "block"} if hooked.gate else said

    # Only under managed settings: no hook but these, and no commands inside skills, which no hook is shown.
    managed = {"allowManagedHooksOnly": True, "disableSkillShellExecution": True}
    return (_settings(dialect, path, handler, managed if scope == "managed" else {}),)


def _codex(dialect: Dialect, scope: Scope, base: str, wire: Wire) -> tuple[Target, ...]:
    def handler(hooked: Hooked) -> dict[str, Any]:
        return {"type": "command", "command": wire.line(dialect, hooked), "timeout": hooked.timeout}

    if scope == "managed":
        text = merging.codex_requirements(
            posixpath.dirname(wire.script), {hooked.event: handler(hooked) for hooked in dialect.events}
        )
        return (_block("/etc/codex/requirements.toml", *text),)
    return (_settings(dialect, f"{base}/.codex/hooks.json", handler, {}),)


def _gemini(dialect: Dialect, scope: Scope, base: str, wire: Wire) -> tuple[Target, ...]:
    path = "/etc/gemini-cli/settings.json" if scope == "managed" else f"{base}/.gemini/settings.json"

    def handler(hooked: Hooked) -> dict[str, Any]:
        command = wire.line(dialect, hooked)
        return {"type": "command", "name": "keyturn", "command": command, "timeout": hooked.timeout * 1000}

    return (_settings(dialect, path, handler, {}),)


def _copilot(dialect: Dialect, scope: Scope, base: str, wire: Wire) -> tuple[Target, ...]:
    from keyturn.gates.hooks.dialects import copilot

    if scope == "managed":
        raise NotManageable("Copilot CLI has no system-wide hooks that an agent's user can't change.")
    path = f"{base}/{copilot.HOOKS_FILE}" if scope == "user" else f"{base}/.github/hooks/keyturn.json"
    lines = {hooked.event: wire.line(dialect, hooked) for hooked in dialect.events}
    return (_own(path, merging.dumped(copilot.hooks_file(lines))),)


def _opencode(dialect: Dialect, scope: Scope, base: str, wire: Wire) -> tuple[Target, ...]:
    from keyturn.gates.hooks.dialects import opencode

    folder = {"user": f"{base}/.config/opencode", "project": f"{base}/.opencode", "managed": "/etc/opencode"}[
        scope
    ]
    deny: dict[str, Any] = {"permission": opencode.DENY_ALL}
    plugin = f"{folder}/plugin/keyturn.js"
    config = f"{base}/opencode.json" if scope == "project" else f"{folder}/opencode.json"
    return (
        _own(plugin, opencode.plugin(wire.socket).encode()),
        Target(
            config,
            add=lambda before: merging.with_members(before, deny, config),
            remove=lambda now, before: merging.without_members(now, deny, before, config),
        ),
    )


_RECIPES: dict[str, Callable[[Dialect, Scope, str, Wire], tuple[Target, ...]]] = {
    "claude-code": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "copilot": _copilot,
    "opencode": _opencode,
}


def _settings(
    dialect: Dialect, path: str, handler: Callable[[Hooked], dict[str, Any]], members: dict[str, Any]
) -> Target:
    """A JSON file of `{"hooks": {EVENT: [{"matcher"?, "hooks": [HANDLER]}]}}` that Keyturn shares with others."""
    groups = {
        hooked.event: {**({"matcher": hooked.matcher} if hooked.matcher else {}), "hooks": [handler(hooked)]}
        for hooked in dialect.events
    }

    def add(before: bytes | None) -> bytes:
        shared = merging.with_members(before, members, path) if members else before
        return merging.with_hooks(shared, groups, CLIENT_FILE, path)

    def remove(now: bytes, before: bytes | None) -> bytes | None:
        rest = merging.without_hooks(now, CLIENT_FILE, path)
        if rest is not None and members:
            return merging.without_members(rest, members, before, path)
        return rest

    return Target(path, add, remove)


def _own(path: str, text: bytes) -> Target:
    """A file that is Keyturn's alone."""
    return Target(path, lambda before: text, lambda now, before: before)


def _block(path: str, head: str, tail: str) -> Target:
    """A TOML file into which Keyturn puts marked blocks: one above everything (top-level keys), one below (tables)."""
    return Target(
        path,
        lambda before: merging.with_blocks(before, head, tail, path),
        lambda now, before: merging.without_blocks(now),
    )
