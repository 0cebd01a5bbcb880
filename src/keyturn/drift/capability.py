"""What an agent may do more (or less) under another definition, in words: permissions, tools, MCP servers, hooks, model.

Pure, over plain values: `delta(before, after)` takes two definitions as dictionaries and gives one line for each change.

Rules kept here:

- A permission that another one covers is no gain: `Bash(git:*)` was there, `Bash(git push:*)` comes → nothing more.
- Losing a `deny` or an `ask` is a gain, losing an `allow` is none.
- What runs by itself (a hook, an MCP server) counts as a gain when it is new or changed: its command is code that nobody has looked at.
- Losing a hook is a gain, too: it may have been the one that asks.
- A tool that says something else than before (name, description, schema, annotations) is changed, whatever it says ("rug pull").
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

Effect = Literal["more", "less", "changed"]

ORDER: dict[Effect, int] = {"more": 0, "changed": 1, "less": 2}
MOST = 400
"""Lines of a delta; further ones are counted."""


class Capability(Struct, frozen=True):
    """One change: `effect` more, less, or changed (neither is sure), `what` it is about, and the sentence for people."""

    effect: Effect
    what: str
    words: str


class CapabilityDelta(Struct, frozen=True):
    """Lines, those that let it do more first. `more` counts them, before `MOST` were cut off."""

    lines: tuple[Capability, ...]
    more: int
    less: int
    changed: int

    @property
    def expands(self) -> bool:
        """Whether it may do more, or something changed of which nobody can be sure."""
        return bool(self.more or self.changed)


def delta(before: Mapping[str, Any], after: Mapping[str, Any]) -> CapabilityDelta:
    """What *after* may do that *before* may not, and the reverse.

    Each is a dictionary with any of `permissions` ({allow, ask, deny: [pattern]; mode: text; directories: [path]}), `tools` ([name] or
    [{name, title, description, inputSchema, outputSchema, annotations}], or name → such a table or its digest), `servers` (name →
    {command, args, env, url, type, headers} or a digest), `hooks` (event → [command or table]), `model` (text), `parameters`
    (name → value). What is missing is empty.
    """
    lines = [
        *_permissions(_table(before.get("permissions")), _table(after.get("permissions"))),
        *_tools(_named(before.get("tools")), _named(after.get("tools"))),
        *_servers(_table(before.get("servers")), _table(after.get("servers"))),
        *_hooks(_table(before.get("hooks")), _table(after.get("hooks"))),
        *_model(before, after),
    ]
    lines.sort(key=lambda line: ORDER[line.effect])
    counts = {effect: sum(line.effect == effect for line in lines) for effect in ORDER}
    return CapabilityDelta(tuple(lines[:MOST]), counts["more"], counts["less"], counts["changed"])


# --- permissions ---------------------------------------------------------------------------------

_MODES = {
    "plan": 0,
    "default": 1,
    "ask": 1,
    "acceptEdits": 2,
    "auto": 3,
    "dontAsk": 3,
    "bypassPermissions": 4,
    "yolo": 4,
    "never": 4,
    "danger-full-access": 4,
}
"""Permission modes of agents' clients, by how little they ask."""


def _permissions(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Capability]:
    allow, allowed = _texts(new.get("allow")), _texts(old.get("allow"))
    ask, asked = _texts(new.get("ask")), _texts(old.get("ask"))
    deny, denied = _texts(new.get("deny")), _texts(old.get("deny"))
    for one in _fresh(allow, allowed):
        was = (
            " (it had to ask before)"
            if _covers(asked, one)
            else " (it was denied before)"
            if _covers(denied, one)
            else ""
        )
        yield Capability("more", one, f"may now {_verb(one)}{was}")
    for one in _fresh(allowed, allow):
        kept = " without being asked" if _covers(ask, one) else ""
        yield Capability("less", one, f"may no longer {_verb(one)}{kept}")
    for one in _fresh(denied, deny):
        yield Capability("more", one, f"is no longer kept from what `{one}` denied")
    for one in _fresh(deny, denied):
        yield Capability("less", one, f"is now denied `{one}`")
    for one in _fresh(asked, ask):
        if not _covers(deny, one):
            yield Capability("more", one, f"no longer has to ask for `{one}`")
    for one in _fresh(ask, asked):
        yield Capability("less", one, f"now has to ask for `{one}`")
    for path in _fresh(_texts(new.get("directories")), _texts(old.get("directories"))):
        yield Capability("more", path, f"may now work in `{path}`, too")
    for path in _fresh(_texts(old.get("directories")), _texts(new.get("directories"))):
        yield Capability("less", path, f"may no longer work in `{path}`")
    before, after = str(old.get("mode") or "default"), str(new.get("mode") or "default")
    if before != after:
        known = before in _MODES and after in _MODES
        effect: Effect = "changed" if not known else "more" if _MODES[after] > _MODES[before] else "less"
        yield Capability(effect, after, f"its permission mode is now `{after}` (was `{before}`)")


def _fresh(those: Sequence[str], beside: Sequence[str]) -> list[str]:
    """Those that none of *beside* covers."""
    return [one for one in dict.fromkeys(those) if not _covers(beside, one)]


def _covers(patterns: Sequence[str], wanted: str) -> bool:
    return any(covers(pattern, wanted) for pattern in patterns)


_RULE = re.compile(r"([\w-]+)(?:\((.*)\))?", re.DOTALL)


def covers(pattern: str, wanted: str) -> bool:
    """Whether the permission *pattern* (`Bash(git:*)`, `Edit(src/**)`, `mcp__x`) allows all that *wanted* allows. Errs towards no."""
    if pattern == wanted or pattern == "*":
        return True
    left, right = _RULE.fullmatch(pattern), _RULE.fullmatch(wanted)
    if left is None or right is None:
        return False
    if left[1] != right[1]:
        return left[2] is None and left[1].startswith("mcp__") and right[1].startswith(left[1] + "__")
    if left[2] in (None, "", "*", ":*"):
        return True
    if right[2] in (None, "", "*", ":*"):
        return False
    outer, inner = left[2], right[2]
    if outer.endswith(":*"):
        start = outer[:-2]
        exact = inner.removesuffix(":*")
        return (exact == start or exact.startswith(start + " ")) and not re.search(r"[;&|`$<>\n]", exact)
    if outer.endswith("/**"):
        return inner.startswith(outer[:-2]) and ".." not in inner
    return (
        not any(char in inner for char in "*?[")
        and ".." not in inner
        and "*" in outer
        and fnmatch.fnmatchcase(inner, outer)
        and "/" not in inner
    )


def _verb(pattern: str) -> str:
    match = _RULE.fullmatch(pattern)
    name, inner = (match[1], match[2]) if match else (pattern, None)
    verbs = {
        "Bash": "run",
        "Edit": "edit",
        "Write": "write",
        "Read": "read",
        "WebFetch": "fetch",
        "MultiEdit": "edit",
        "NotebookEdit": "edit",
    }
    if name == "Bash" and inner in (None, "", "*", ":*"):
        return f"run any command (`{pattern}`)"
    if name in verbs and inner is None:
        return f"{verbs[name]} anything (`{pattern}`)"
    return f"{verbs.get(name, 'use')} `{pattern}`"


# --- tools, servers, hooks, model ----------------------------------------------------------------

_READ_ONLY = "readOnlyHint"


def _tools(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Capability]:
    for name in sorted(new.keys() - old.keys()):
        yield Capability("more", name, f"has a new tool `{name}`{_destructive(new[name])}")
    for name in sorted(old.keys() - new.keys()):
        yield Capability("less", name, f"lost the tool `{name}`")
    for name in sorted(new.keys() & old.keys()):
        before, after = old[name], new[name]
        if before == after:
            continue
        if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
            yield Capability("changed", name, f"the tool `{name}` is another one than before")
            continue
        parts = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        yield Capability(
            "changed",
            name,
            f"the tool `{name}` changed in {', '.join(map(_part, parts))}{_loosened(before, after)}",
        )


def _part(name: str) -> str:
    return {
        "inputSchema": "what it takes",
        "outputSchema": "what it gives",
        "description": "its description",
        "annotations": "its annotations",
    }.get(name, f"`{name}`")


def _destructive(tool: Any) -> str:
    notes = tool.get("annotations") if isinstance(tool, Mapping) else None
    if isinstance(notes, Mapping) and notes.get("destructiveHint"):
        return ", which says of itself that it destroys"
    return (
        ", which says of itself that it only reads"
        if isinstance(notes, Mapping) and notes.get(_READ_ONLY)
        else ""
    )


def _loosened(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    old, new = before.get("annotations") or {}, after.get("annotations") or {}
    if (
        isinstance(old, Mapping)
        and isinstance(new, Mapping)
        and old.get(_READ_ONLY)
        and not new.get(_READ_ONLY)
    ):
        return "; it no longer says that it only reads"
    left, right = before.get("inputSchema"), after.get("inputSchema")
    names = [
        set(schema.get("properties") or ()) if isinstance(schema, Mapping) else set()
        for schema in (left, right)
    ]
    gained = sorted(names[1] - names[0])
    return f"; it now takes {', '.join(f'`{name}`' for name in gained[:6])}, too" if gained else ""


def _servers(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Capability]:
    for name in sorted(new.keys() - old.keys()):
        yield Capability("more", name, f"a new server `{name}` {_starts(new[name])}")
    for name in sorted(old.keys() - new.keys()):
        yield Capability("less", name, f"the server `{name}` is gone")
    for name in sorted(new.keys() & old.keys()):
        if old[name] != new[name]:
            before, after = _starts(old[name]), _starts(new[name])
            said = (
                f"now {after} (was: {before})"
                if before != after
                else f"has other settings{_settings(old[name], new[name])}"
            )
            yield Capability("changed", name, f"the server `{name}` {said}")


def _settings(before: Any, after: Any) -> str:
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return ""
    names = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    return f" ({', '.join(names)})"


def _starts(server: Any) -> str:
    if not isinstance(server, Mapping):
        return "is known by its digest only"
    if server.get("command"):
        command = server["command"]
        words = [*command] if isinstance(command, list | tuple) else [str(command)]
        return f"starts `{' '.join(map(str, [*words, *(server.get('args') or ())]))}`"
    address = server.get("url") or server.get("httpUrl") or server.get("serverUrl")
    return f"is reached at {address}" if address else "has neither a command nor an address"


def _hooks(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Capability]:
    for event in sorted({*old, *new}):
        before, after = _commands(old.get(event)), _commands(new.get(event))
        for command in [one for one in after if one not in before]:
            yield Capability("more", event, f"runs `{command}` by itself at {event}")
        for command in [one for one in before if one not in after]:
            yield Capability(
                "more", event, f"no longer runs `{command}` at {event}, which may have kept it from something"
            )


def _commands(value: Any) -> list[str]:
    """The commands of a hook's setting, however deep they lie; anything else as its JSON."""
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        if isinstance(value.get("command"), str):
            matcher = value.get("matcher")
            return [f"{value['command']}" + (f" (for {matcher})" if matcher else "")]
        if isinstance(value.get("hooks"), list):
            suffix = f" (for {value['matcher']})" if value.get("matcher") else ""
            return [one + suffix for inner in value["hooks"] for one in _commands(inner)]
        return [json.dumps(value, sort_keys=True, default=str)]
    if isinstance(value, Sequence):
        return [one for inner in value for one in _commands(inner)]
    return [str(value)]


def _model(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Capability]:
    before, after = str(old.get("model") or ""), str(new.get("model") or "")
    if before != after:
        yield Capability(
            "changed", "model", f"runs on the model `{after or 'unknown'}` (was `{before or 'unknown'}`)"
        )
    left, right = _table(old.get("parameters")), _table(new.get("parameters"))
    for name in sorted({*left, *right}):
        if left.get(name) != right.get(name):
            yield Capability(
                "changed", name, f"its parameter `{name}` is now `{right.get(name)}` (was `{left.get(name)}`)"
            )


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list | tuple | set | frozenset) else []


def _named(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(name): one for name, one in value.items()}
    named: dict[str, Any] = {}
    for one in value if isinstance(value, list | tuple) else ():
        if isinstance(one, Mapping):
            named[str(one.get("name", ""))] = {key: part for key, part in one.items() if key != "name"}
        else:
            named[str(one)] = {}
    return named


__all__ = ["Capability", "CapabilityDelta", "covers", "delta"]
