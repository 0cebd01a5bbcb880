"""What an agent *is*, as content: client, model, and every part that it loads, each by its own digest (taxonomy C1, C2).

Rules kept here:

- The digest covers client, model, parameters and, for each part, its kind, name and digest: nothing else. Texts, sizes and where
  it was seen are beside it, so what can't be kept (too large, a secret in it) still counts.
- A name says where a part is without saying whose it is: `CLAUDE.md` in the work folder, `../CLAUDE.md` above it, `~/…` in the
  home, `/etc/…` of the machine. So the same content is the same definition in every checkout.
- A tool is a part of its own (`server/tool`): title, description, both schemas and annotations, any of which can be changed
  under people's eyes ("rug pull").

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from msgspec import Struct

from keyturn import canonical

Kind = Literal["instructions", "settings", "hooks", "servers", "permissions", "tools"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are shown."""

MAX_PARTS = 1000
"""Parts that one definition may have; what has more is not recorded."""
MAX_TEXT = 64 * 1024
"""Bytes of one part's text that travel with it."""
MAX_TEXTS = 1024 * 1024
"""Bytes of all texts together: a definition has to fit into one message of the gates' protocol."""

PINNED = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
"""What is pinned of an MCP tool. Source: Model Context Protocol, `Tool`."""


class Part(Struct, frozen=True):
    """One thing that the agent loads. `digest` is `sha256:<hex>` of its bytes; `text` None where those are not told."""

    kind: Kind
    name: str
    digest: str
    size: int = 0
    text: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same part of another definition."""
        return self.kind, self.name


class Definition(Struct, frozen=True):
    """An agent's definition. `place` says where it lives (a work folder; empty for one that lives nowhere in particular).

    `place` is not part of what it is.
    """

    client: str
    model: str = ""
    parameters: Mapping[str, Any] = {}
    parts: tuple[Part, ...] = ()
    place: str = ""

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over what it is."""
        return canonical.digest(
            {
                "v": 2,
                "client": self.client,
                "model": self.model,
                "parameters": dict(self.parameters),
                "parts": sorted([part.kind, part.name, part.digest] for part in self.parts),
            }
        )

    def of_kind(self, kind: Kind) -> tuple[Part, ...]:
        """Its parts of *kind*, by name."""
        return tuple(part for part in self.parts if part.kind == kind)


def ordered(parts: Iterable[Part]) -> tuple[Part, ...]:
    """*parts* as they are recorded: by kind and name, each name once (the first stands)."""
    known: dict[tuple[str, str], Part] = {}
    for part in parts:
        known.setdefault(part.key, part)
    return tuple(sorted(known.values(), key=lambda part: (KINDS.index(part.kind), part.name)))


def fitting(definition: Definition) -> Definition:
    """*definition* without the texts that are too large to travel; its digest is the same."""
    left = MAX_TEXTS
    parts: list[Part] = []
    for part in definition.parts:
        length = len(part.text.encode()) if part.text is not None else 0
        if length > min(left, MAX_TEXT):
            part, length = Part(part.kind, part.name, part.digest, part.size), 0
        left -= length
        parts.append(part)
    return Definition(
        definition.client, definition.model, definition.parameters, tuple(parts), definition.place
    )


def file_part(kind: Kind, name: str, data: bytes) -> Part:
    """The part that a file of these bytes is."""
    try:
        text: str | None = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return Part(kind, name, canonical.digest_bytes(data), len(data), text)


def value_part(kind: Kind, name: str, value: Any) -> Part:
    """The part that a JSON value is: its text is the canonical one."""
    data = canonical.dumps(value)
    return Part(kind, name, canonical.digest_bytes(data), len(data), data.decode())


def tool_part(server: str, tool: Mapping[str, Any]) -> Part:
    """The pin of one MCP tool of *server*, out of its listing. Raises `ValueError` for what is no tool."""
    name = tool.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("a tool without a name")
    return value_part("tools", f"{server}/{name}", {key: tool[key] for key in PINNED if key in tool})


def wrong(definition: Definition) -> str:
    """Why *definition* can't be recorded, in words; empty when it can."""
    if len(definition.parts) > MAX_PARTS:
        return f"It has more than {MAX_PARTS:,} parts."
    keys = {part.key for part in definition.parts}
    if len(keys) != len(definition.parts):
        return "A part occurs twice in it."
    for part in definition.parts:
        if not part.name or len(part.name) > 1000 or not part.name.isprintable():
            return "A part's name is empty, too long, or can't be shown."
        if part.text is not None and canonical.digest_bytes(part.text.encode()) != part.digest:
            return f"The text of {part.name} is not what its digest says."
    return ""
