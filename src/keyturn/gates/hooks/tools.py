"""A client's tools as content: the part of a dialect table that says what each tool name does. Pure.

Tools are described positively. A tool that is not in the table, or is called with a member that nobody has read,
becomes a call of server `unknown:<client>`: no rule for the client's own tools matches it, so it is held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from keyturn.actions import Content, FileEdit, HttpRequest, Shell, ToolCall
from keyturn.gates.hooks.edits import asked
from keyturn.gates.hooks.model import Edit, Proposal, Replacement
from keyturn.gates.hooks.payload import HookMalformed, Payload, joined, search_root, searched

Maker = Callable[[Payload, str, str], tuple[Proposal, ...]]
"""(the tool's input, working directory, the tool's name) → what it would do."""


class Tool(Struct, frozen=True):
    """One tool: the members its input may have, and what it does with them."""

    members: frozenset[str]
    make: Maker


class Named(Struct, frozen=True):
    """An MCP tool: the server's name and the tool's name there."""

    server: str
    tool: str


def one(content: Content, tool: str, edit: Edit | None = None) -> tuple[Proposal, ...]:
    """A call that does one thing."""
    return (Proposal(content, tool, edit),)


def proposed(
    client: str, tools: Mapping[str, Tool], name: str, given: Payload, cwd: str
) -> tuple[tuple[Proposal, ...], str | None]:
    """What calling *name* with *given* would do, and why it is unknown (None when it is known)."""
    tool = tools.get(name)
    if tool is None:
        return unknown_call(client, name, given), f"{name} is not a tool that is known of {client}."
    extra = sorted(set(given.members) - tool.members)
    if extra:
        why = f"{name} was called with {', '.join(extra)[:100]}, which nobody has read."
        return unknown_call(client, name, given), why
    return tool.make(given, cwd, name), None


def unknown_call(client: str, name: str, given: Payload) -> tuple[Proposal, ...]:
    """The call as a tool of server `unknown:<client>`."""
    return one(ToolCall(tool=name, arguments=given.members, server=f"unknown:{client}"), name)


def mcp_call(named: Named, given: Payload, name: str) -> tuple[Proposal, ...]:
    """A call of an MCP tool. A server can't take the name of a client's own tools, which have a colon."""
    if ":" in named.server or not named.server or not named.tool:
        raise HookMalformed(f"{name!r} names no MCP server and tool.")
    return one(ToolCall(tool=named.tool, arguments=given.members, server=named.server), name)


def mcp_name(name: str, prefix: str = "mcp__", given: str | None = None) -> Named | None:
    """Server and tool of `mcp__server__tool`; *given* is the server's name where the client says it apart."""
    if not name.startswith(prefix):
        return None
    rest = name[len(prefix) :]
    if given and rest.startswith(given + "__"):
        return Named(given, rest[len(given) + 2 :])
    server, _, tool = rest.partition("__")
    return Named(server, tool)


# --- what tools do, in a form that several clients share ------------------------------------------


def own(client: str, *members: str) -> Tool:
    """A tool of the client itself, which policy knows as `client:<client>` and the tool's name."""

    def make(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
        return one(ToolCall(tool=tool, arguments=given.members, server=f"client:{client}"), tool)

    return Tool(frozenset(members), make)


def shell(script: str, *others: str) -> Tool:
    """A command line in member *script*."""

    def make(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
        return one(Shell(given.text(script)), tool)

    return Tool(frozenset((script, *others)), make)


def read(path: str, *others: str, optional: bool = False) -> Tool:
    """Reads the file or folder in member *path*; *optional*: without it, the working directory."""

    def make(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
        named = (given.maybe(path) or ".") if optional else given.word(path)
        return one(FileEdit(joined(cwd, named), "read"), tool)

    return Tool(frozenset((path, *others)), make)


def search(pattern: str, folder: str, *others: str, glob: bool) -> Tool:
    """Searches names (*glob*) or contents below a folder. A glob pattern may itself start with folders, or be absolute."""

    def make(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
        root = joined(cwd, given.maybe(folder) or ".")
        wanted = given.text(pattern)
        path = search_root(root, wanted) if glob else searched(root, given)
        return one(FileEdit(path, "read", diff=f"{tool}: {wanted}"), tool)

    return Tool(frozenset((pattern, folder, *others)), make)


def write(path: str, text: str, *others: str) -> Tool:
    """Writes a whole file."""

    def make(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
        return edited(joined(cwd, given.word(path)), "write", Edit(text=given.text(text)), tool)

    return Tool(frozenset((path, text, *others)), make)


def replace_text(path: str, old: str, new: str, every: str, *others: str) -> Tool:
    """Replaces text in a file; an empty *old* creates it."""

    def make(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
        change = Replacement(given.text(old), given.text(new), given.flag(every))
        operation = "edit" if change.old else "write"
        return edited(joined(cwd, given.word(path)), operation, Edit(replacements=(change,)), tool)

    return Tool(frozenset((path, old, new, every, *others)), make)


def edited(path: str, operation: str, edit: Edit, tool: str) -> tuple[Proposal, ...]:
    """A change of one file, as asked for."""
    return one(FileEdit(path, operation, diff=asked(edit)), tool, edit)  # type: ignore[arg-type]


def fetch(url: str, *others: str) -> Tool:
    """Fetches the page at member *url*."""

    def make(given: Payload, cwd: str, tool: str) -> tuple[Proposal, ...]:
        return one(HttpRequest(given.word(url)), tool)

    return Tool(frozenset((url, *others)), make)
