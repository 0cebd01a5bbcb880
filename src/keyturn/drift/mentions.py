"""What an agent's instructions name: commands, files, hosts and tools that the words send it to (taxonomy B4). Pure.

Rules kept here:

- A command stands in code: between backticks with at least one argument, or as a line of a block that says it is a shell's. Text with
  a `<placeholder>` or an ellipsis is a pattern, not a command.
- A file is absolute or below `~`, between backticks; a host is that of an address (`https://…`); a tool is named as clients name it
  (`mcp__server__tool`).
- What a sentence forbids, or the heading it stands under ("Never"), is not what the agent is sent to. The same holds for a block of code
  after such a sentence.

At most `MOST` mentions of one definition are looked at, in the order of files and lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Struct

from keyturn.actions import Content, FileEdit, HttpRequest, Shell
from keyturn.drift.definition import Definition
from keyturn.drift.deontic import frame
from keyturn.drift.sentences import sentences

MOST = 200
MAX_TEXT = 200_000
"""Characters of one text that are looked at."""

Kind = Literal["command", "file", "host", "tool"]

_FORBIDS = frozenset(("forbid", "soft_forbid", "negation", "no", "without"))
_NEVER = re.compile(
    r"\b(?:never|don'?ts?|do not|avoid|forbidden|prohibited|disallowed|banned|bad|wrong|not allowed)\b",
    re.IGNORECASE,
)
_FENCE = re.compile(r"\s*(?:```|~~~)\s*([\w+-]*)")
_SHELLS = frozenset(("sh", "bash", "shell", "zsh", "console", "shell-session"))
_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.*)")
_CODE = re.compile(r"(?<!`)`([^`\n]{1,500})`(?!`)")
_NUMBERED = re.compile(r"`x(\d{1,4})`", re.ASCII)
_ADDRESS = re.compile(r"https?://[\w.-]{1,253}(?::\d{1,5})?(?:/[\w./%~+-]{0,300})?", re.IGNORECASE | re.ASCII)
_TOOL = re.compile(
    r"\bmcp__([A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*)__([A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*)\b", re.ASCII
)
_PATH = re.compile(r"(?:~|/[\w.@+-]+)(?:/[\w.@+-]+)+/?", re.ASCII)
_COMMAND = re.compile(r"[\w./~+-]+\s+\S.*", re.ASCII)
_PATTERN = re.compile(r"<[\w .|-]+>|\.\.\.|…|\{\{|\[[A-Za-z]")


class Mention(Struct, frozen=True):
    """One thing that is named. `name` as it stands; `content` is the action that it would be, None for a tool (`server/tool`)."""

    kind: Kind
    name: str
    file: str = ""
    content: Content | None = None


def mentions(texts: Mapping[str, str]) -> tuple[Mention, ...]:
    """What *texts* (file → text) name, each thing once."""
    found: dict[tuple[Kind, str], Mention] = {}
    for file, text in sorted(texts.items()):
        for one in _of(file, text[:MAX_TEXT]):
            found.setdefault((one.kind, one.name), one)
            if len(found) >= MOST:
                return tuple(found.values())
    return tuple(found.values())


def strange_tools(named: Iterable[Mention], definition: Definition) -> tuple[Mention, ...]:
    """The tools among *named* that *definition* does not have. Of a server whose tools nobody listed, any may be one of its own."""
    servers = {_server(part.name.rpartition(" (")[0] or part.name) for part in definition.of_kind("servers")}
    tools: dict[str, set[str]] = {}
    for part in definition.of_kind("tools"):
        server, slash, tool = part.name.partition("/")
        if slash:
            tools.setdefault(_server(server), set()).add(tool)
    return tuple(one for one in named if one.kind == "tool" and not _has(one.name, servers, tools))


def _has(name: str, servers: set[str], tools: Mapping[str, set[str]]) -> bool:
    server, _, tool = name.partition("/")
    if server in tools:
        return tool in tools[server]
    return server in servers


def _server(name: str) -> str:
    """A server's name as it stands in a tool's."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _of(file: str, text: str) -> Iterator[Mention]:
    heading, before = "", ""
    inside = told = False
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if mark is not None:
            inside = not inside
            told = inside and mark[1].lower() in _SHELLS and not _is_forbidden(before, heading)
            continue
        title = None if inside else _HEADING.fullmatch(line)
        if title is not None:
            heading, before = title[2], ""
        elif told:
            yield from _command(file, line.strip().removeprefix("$ "))
        elif not inside and line.strip():
            before = line
            yield from _prose(file, line, heading)


def _prose(file: str, line: str, heading: str) -> Iterator[Mention]:
    codes: list[str] = []

    def number(match: re.Match[str]) -> str:
        codes.append(match[1])
        return f"`x{len(codes) - 1}`"

    for sentence in sentences(
        _CODE.sub(number, line)
    ):  # what stands in code must not take the sentence apart
        if _is_forbidden(sentence.text, heading):
            continue
        own = [codes[int(place)] for place in _NUMBERED.findall(sentence.text) if int(place) < len(codes)]
        for server, tool in _TOOL.findall(" ".join((sentence.text, *own))):
            yield Mention("tool", f"{server}/{tool}", file)
        for address in _ADDRESS.findall(sentence.text):
            yield Mention("host", address.rstrip("."), file, HttpRequest(address.rstrip(".")))
        for code in own:
            yield from _coded(file, code.strip())


def _coded(file: str, code: str) -> Iterator[Mention]:
    if _PATH.fullmatch(code):
        yield Mention("file", code, file, FileEdit(code, "read"))
    else:
        yield from _command(file, code)


def _command(file: str, code: str) -> Iterator[Mention]:
    if _COMMAND.fullmatch(code) and not _PATTERN.search(code) and not code.startswith("#"):
        yield Mention("command", code, file, Shell(code))


def _is_forbidden(text: str, heading: str) -> bool:
    if _NEVER.search(heading):
        return True
    return any(_FORBIDS & set(frame(one).marks) for one in sentences(text))


__all__ = ["MOST", "Kind", "Mention", "mentions", "strange_tools"]
