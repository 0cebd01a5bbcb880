"""A hook's standard input as typed values. Everything that is not what a client sends is `HookMalformed`."""

from __future__ import annotations

import posixpath
import unicodedata
from typing import Any

import msgspec

from keyturn.errors import Malformed
from keyturn.gates.hooks.model import HookCall

MAX_WORDS = 100_000
"""Longest instruction or reasoning kept, in characters; the rest is cut and said to be cut."""


class HookMalformed(Malformed):
    """The client's hook said something that its dialect does not know."""

    code = "hooks.malformed"
    next_step = "Check the client's version against docs/reference/hooks.md, then run `keyturn hook status`."


class Payload:
    """A JSON object, read member by member. A member that is there with another type is refused, never coerced."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = members

    @classmethod
    def of(cls, call: HookCall) -> Payload:
        """The object in *call*'s standard input. Raises `HookMalformed`."""
        try:
            value = msgspec.json.decode(call.stdin)
        except (msgspec.DecodeError, RecursionError, ValueError) as error:
            raise HookMalformed(f"The hook {call.event} of {call.client} sent no JSON ({error}).") from error
        if not isinstance(value, dict):
            raise HookMalformed(f"The hook {call.event} of {call.client} sent JSON that is not an object.")
        return cls(value)

    def text(self, name: str) -> str:
        """A member that must be there."""
        value = self.members.get(name)
        if not isinstance(value, str):
            raise HookMalformed(f"The member {name!r} is not text.")
        return value

    def word(self, name: str) -> str:
        """A member that must be there and not be empty."""
        value = self.text(name)
        if not value:
            raise HookMalformed(f"The member {name!r} is empty.")
        return value

    def maybe(self, name: str) -> str | None:
        """A member that may be absent or null."""
        return None if self.members.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """A boolean; absent is false."""
        value = self.members.get(name)
        if value is not None and not isinstance(value, bool):
            raise HookMalformed(f"The member {name!r} is neither true nor false.")
        return bool(value)

    def object(self, name: str) -> Payload:
        """An object that must be there."""
        value = self.members.get(name)
        if not isinstance(value, dict):
            raise HookMalformed(f"The member {name!r} is not an object.")
        return Payload(value)

    def objects(self, name: str) -> list[Payload]:
        """A list of objects that must be there."""
        value = self.members.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise HookMalformed(f"The member {name!r} is not a list of objects.")
        return [Payload(item) for item in value]

    def only(self, *names: str) -> None:
        """Refuse members beside *names*: an option that nobody has read may change what the tool does."""
        extra = sorted(set(self.members) - set(names))
        if extra:
            raise HookMalformed(f"The tool's input has members that are not known: {', '.join(extra)[:200]}.")


def joined(cwd: str, path: str) -> str:
    """*path* as the client resolves it: absolute and normalised, relative ones below *cwd*. Purely textual.

    Clients differ in what they do to a name before they open it (`~`, outer blanks, Unicode normalisation), so a
    name that any of these would change is refused: it must not be read as one file and opened as another.
    """
    if "\0" in path:
        raise HookMalformed("A path has a NUL byte.")
    if path.startswith("~") or path != path.strip() or not unicodedata.is_normalized("NFC", path):
        raise HookMalformed(f"The path {path[:200]!r} can be understood in two ways; write it out in full.")
    whole = posixpath.normpath(posixpath.join(cwd or "/", path))
    return "/" + whole.lstrip("/")


def search_root(cwd: str, pattern: str) -> str:
    """The folder below which a glob *pattern* can match: its leading parts without wildcards."""
    parts: list[str] = []
    for part in pattern.split("/")[:-1]:
        if any(mark in part for mark in "*?[{"):
            break
        parts.append(part)
    tail = pattern.split("/")[len(parts) :]
    if ".." in tail or any(".." in part for part in tail):
        return "/"
    return joined(cwd, "/".join(parts) or ("/" if pattern.startswith("/") else "."))


def searched(root: str, given: Payload) -> str:
    """What a search of contents below *root* reads, as a pattern: `root/**`, or `root/**/NAMES` where it asks for names.

    Asking for names also opens hidden and ignored files to a search (ripgrep's guide, *Manual filtering: globs*).
    """
    names = [name for member in _NAMES_WANTED for name in _texts(given.members.get(member))]
    if len(names) > 1:
        raise HookMalformed("The search asks for names in more than one way.")
    wanted = "".join(f"/{name.lstrip('!/')}" for name in names if not name.startswith("!"))
    if "/../" in wanted + "/":
        raise HookMalformed("The search asks for names above its folder.")
    return root.rstrip("/") + "/**" + wanted


_NAMES_WANTED = ("glob", "include", "include_pattern")


def _texts(value: Any) -> list[str]:
    if value in (None, "", []):
        return []
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in found):
        raise HookMalformed("The names that a search asks for are neither text nor a list of texts.")
    return found


def cut(text: str) -> str:
    """*text*, or its beginning when it is longer than `MAX_WORDS`."""
    return text if len(text) <= MAX_WORDS else text[:MAX_WORDS] + "… (cut)"
