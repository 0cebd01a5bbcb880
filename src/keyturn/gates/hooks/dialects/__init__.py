"""One dialect table per client: how it calls its hooks and what it understands as *no*.

No deny dialect is common to two clients, and hooks fail open almost everywhere by default; so each line of a
table is proven against the real client (`tests/agents/`). Parsing and rendering are pure: bytes in, structs out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Literal

from msgspec import Struct

from keyturn.actions import Assurance
from keyturn.errors import KeyturnError
from keyturn.gates.hooks.model import HookAnswer, HookCall, HookEvent, HookVerdict

LONGEST_WAIT = 3600
"""Seconds that a client is told to wait for its gate. Above the 30 minutes after which a request expires."""


class UnknownClient(KeyturnError):
    """No dialect has that name."""

    code = "hooks.unknown_client"
    status = 400
    exit_code = 2
    not_done = "Nothing ran and nothing was changed."
    next_step = "Use one of: claude-code, codex, gemini, copilot, opencode."


class Hooked(Struct, frozen=True):
    """One event that Keyturn subscribes to at a client.

    `gate`: whether something happens after it, so that no answer must mean no. `timeout` in seconds, whatever
    the client's unit. `matcher` is the client's own filter; empty means all.
    """

    event: str
    gate: bool = False
    timeout: int = 30
    matcher: str = ""


class Dialect(Struct, frozen=True):
    """How one client speaks.

    `parse` raises a `KeyturnError` for anything that is not what the client sends; `render` says a verdict in the
    client's words. `unit` is that of the client's timeouts. `grants`: Keyturn's *allow* can be the only grant, so
    that a gate that says nothing ends as a denial. `can_rewrite`: the script that was read can replace the one
    proposed. `max_wait`: seconds the client waits for an answer. `holes`: what this client does without asking.
    `reasoning` finds the stated reasoning for a call among the last records of the client's transcript: None means
    that the call isn't there yet, an empty text that it is there and nothing was said;
    `transcript` says where that lies when the hook doesn't (given the event and the user's home).
    `loads` are the files that make the agent what it is, as glob patterns below the work folder or `~/`. Of `configures` only
    servers, permissions and hooks count: the client writes into them all the time. `above` are instructions that it looks for in
    every folder above, too; `imports`: its instructions take in others with `@path`. `tells_model`: every event names the model.
    `wiring` are the files and folders whose change would unhook the gate: policy knows them as Keyturn's own.
    `fresh_shell`: each command gets a shell of its own, so what one sets is not there for the next.
    `in_process`: the client itself asks, not a process that it starts. `asks_again`: it asks twice about some calls.
    """

    name: str
    title: str
    events: tuple[Hooked, ...]
    parse: Callable[[HookCall], HookEvent]
    render: Callable[[HookEvent, HookVerdict], HookAnswer]
    unit: Literal["seconds", "milliseconds"] = "seconds"
    can_rewrite: bool = False
    fresh_shell: bool = False
    grants: bool = False
    max_wait: float = LONGEST_WAIT
    holes: tuple[str, ...] = ()
    assurance: Assurance = "cooperative"
    reasoning: Callable[[Sequence[dict[str, Any]], HookEvent], str | None] | None = None
    transcript: Callable[[HookEvent, str], str | None] | None = None
    loads: tuple[str, ...] = ()
    configures: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    imports: bool = False
    tells_model: bool = False
    wiring: tuple[str, ...] = ()
    in_process: bool = False
    asks_again: bool = False

    def is_gate(self, event: str) -> bool:
        """Whether silence at *event* must mean no. An event that is not in the table is a gate."""
        return all(hooked.gate for hooked in self.events if hooked.event == event)


_MODULES = {
    "claude-code": "claude_code",
    "codex": "codex",
    "gemini": "gemini",
    "copilot": "copilot",
    "opencode": "opencode",
}


class _Dialects(Mapping[str, Dialect]):
    """All dialects by name; each is imported when it is first asked for."""

    def __getitem__(self, name: str) -> Dialect:
        return import_module(f"{__name__}.{_MODULES[name]}").DIALECT  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)

    def __contains__(self, name: object) -> bool:
        return name in _MODULES


DIALECTS: Mapping[str, Dialect] = _Dialects()
"""`claude-code`, `codex`, `gemini`, `copilot`, `opencode`."""


def dialect_of(client: str) -> Dialect:
    """The dialect named *client*. Raises `UnknownClient`."""
    if client not in DIALECTS:
        raise UnknownClient(f"There is no client named {client[:40]!r}.")
    return DIALECTS[client]
