"""What a client's hook says and what it is answered, before any dialect."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from keyturn.actions import Content

Moment = Literal[
    "session-start", "session-end", "instruction", "proposal", "result", "configuration", "other"
]


class HookCall(Struct, frozen=True):
    """What the hook client sends: which client and event called it, where, and the exact standard input.

    `ppid` is the hook's parent (the agent client or its shell), `cwd` the hook's working directory.
    """

    client: str
    event: str
    cwd: str
    ppid: int
    stdin: bytes


class Replacement(Struct, frozen=True):
    """Replace `old` by `new`: once, or `every` time it occurs. An empty `old` means: the file is created as `new`."""

    old: str
    new: str
    every: bool = False


class Hunk(Struct, frozen=True):
    """One hunk of a patch: lines before and after, below the first line equal to `anchor` (if any).

    `at_end` says that the hunk must match at the end of the file.
    """

    old: tuple[str, ...]
    new: tuple[str, ...]
    anchor: str = ""
    at_end: bool = False


class Edit(Struct, frozen=True):
    """What is to be done to a file's bytes: exactly one of the three is set.

    `text` is the whole new content · `replacements` are done one after another · `hunks` are a patch.
    """

    text: str | None = None
    replacements: tuple[Replacement, ...] = ()
    hunks: tuple[Hunk, ...] = ()


class Proposal(Struct, frozen=True):
    """One call's content, as the client is about to execute it. `tool` is the client's own name for the tool.

    `edit` is the intended change of a `FileEdit`, from which the desk works out digests and diff.
    """

    content: Content
    tool: str
    edit: Edit | None = None


class HookEvent(Struct, frozen=True):
    """A parsed hook call. `proposals` has more than one item when one call does several things (a patch over files).

    `unknown` is set (with why) when the tool or event is not one the dialect knows: it is then held.
    `again`: the client asks a second time, about a call that its gate may have allowed already.
    `arguments` is the client's own tool input, kept so that a rewrite changes the script and nothing else.
    """

    moment: Moment
    client_session: str
    cwd: str = "/"
    proposals: tuple[Proposal, ...] = ()
    call: str | None = None
    instruction: str | None = None
    reasoning: str | None = None
    transcript: str | None = None
    model: str = ""
    agent_version: str = ""
    subagent: str | None = None
    result: dict[str, Any] | None = None
    unknown: str | None = None
    event: str = ""
    again: bool = False
    arguments: dict[str, Any] | None = None


class HookVerdict(Struct, frozen=True):
    """What is to be said to the client. `canonical` replaces the script where the client can rewrite its input."""

    allow: bool
    words: str = ""
    canonical: str | None = None


class HookAnswer(Struct, frozen=True):
    """What the hook process does: bytes to stdout and stderr, and its exit status."""

    stdout: bytes = b""
    stderr: bytes = b""
    status: int = 0
