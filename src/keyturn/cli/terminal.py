"""Words for a terminal. Nothing that came from outside may steer it, hide in it, or pass for a line of Keyturn's own.

Rules kept here:

- `visible` is for one value inside a line: every character without a shape of its own, line ends included, is shown
  by its number. Whatever an agent, a gate or a file supplied goes through it.
- `say` is for whole lines, and shows all such characters but line ends and tabs: the net below `visible`.
- JSON has the same characters escaped, which changes no value: a script reads what was recorded, a terminal shows it.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any

import click

JSON_WANTED: ContextVar[bool] = ContextVar("json_wanted", default=False)
"""Whether the command that runs was asked for JSON; errors then are JSON, too."""

_ORDINARY = re.compile(r"[ -~äöüÄÖÜß…–—·→×≥≤✓✗»«‹›’“”]*\Z")
"""Text that needs no look at Unicode's tables. Keyturn's own words are of these characters."""
_PLAIN = re.compile(r"[ -~\n]*\Z")
_ODD = re.compile(r"[^ -~\n]")


def visible(text: str, keep: str = "") -> str:
    """*text* with every character that has no shape of its own as ‹U+XXXX›; those in *keep* stay."""
    if _ORDINARY.match(text):
        return text
    from keyturn.channels.web.reveal import plain  # costs the pages' imports, so only odd text pays for it

    return plain(text, keep)


def noted(words: str) -> str:
    """*words*, in which an agent's may be, as one line of Keyturn's own: nothing in them steers a terminal or begins a line."""
    return visible(f"keyturn: {words.removeprefix('keyturn: ')}")


def say(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """One or more lines on standard output, or with *err* on standard error."""
    lines = (visible(line, "\t") for line in text.split("\n"))
    click.echo("\n".join(lines), err=err, nl=nl)


def say_json(value: Any, *, err: bool = False) -> None:
    """*value* as one line of JSON."""
    click.echo(as_json(value), err=err)


def as_json(value: Any) -> str:
    """*value* as one line of JSON without a raw character that could steer a terminal."""
    import msgspec

    return escaped(msgspec.json.encode(value).decode())


def escaped(json: str) -> str:
    """The same JSON with `\\uXXXX` for every character that has no shape of its own."""
    return json if _PLAIN.match(json) else _ODD.sub(_escape, json)


def _escape(found: re.Match[str]) -> str:
    char = found.group()
    if char.isprintable():
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def plural(count: int, one: str, many: str = "") -> str:
    """`1 entry`, `2,000 entries`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
