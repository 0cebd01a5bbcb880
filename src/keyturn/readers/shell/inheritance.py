"""Which variables a script does not set: those come from whoever started the client, not from the agent.

A script runs in a shell of its own (`Surroundings.fresh`), so a variable that it doesn't set has the value that
a person's environment gives it, if any. Its value is unknown, but it is not the agent's word; it is taken not to hold
a word that begins with a dash. Nothing else is taken of it: as a path it lies in the zone `unknown`. Where an agent's
earlier command can set variables for later ones, nothing counts as inherited.

Told from the text alone and conservatively: a name that stands anywhere without a `$` before it may be set there.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"(\$\{?[#!]?)?([A-Za-z_][A-Za-z0-9_]*)")
_SETS_ANY = re.compile(
    r"\b(?:eval|source)\b|(?:^|[\s;&|(])\.\s"
    r"|\b(?:read|export|declare|typeset|local|readonly|mapfile|readarray|getopts|unset|let)\b[^;&|\n]*[$`*?{\[]"
    r"|-v\s*[\"']?[$`{]"
)
"""Commands that may set a variable whose name is made at run time."""
_FOLDER = re.compile(
    r"((?:^|(?<![<>])[;&|(\n]|\b(?:do|then|else|sudo)[ \t])[ \t]*(?:find|du|ls)[ \t]+)\.(?=\s)"
)
"""Where a dot is the folder that a command looks into, not the command that reads a file: `find . -type f`."""
_SETS_POSITIONAL = re.compile(r"\b(?:set|shift|function|getopts)\b|\(\s*\)")
_SETS_DEFAULT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*):?=")
SET_UNNAMED = (
    "REPLY",
    "MAPFILE",
    "OPTARG",
    "OPTIND",
    "BASH_REMATCH",
    "COPROC",
    "DIRSTACK",
    "PIPESTATUS",
    "BASH_ARGV",
)
"""Variables that builtins and conditions set without naming them."""
POSITIONAL = frozenset("123456789@*")


def names_set(script: str) -> frozenset[str] | None:
    """The names that *script* may set; the digits, `@` and `*` stand for its arguments. None if it may set any."""
    if "\\" in script and re.search(r"\$'", script):
        return None  # a name may be spelled with escapes
    if _SETS_ANY.search(_FOLDER.sub(r"\1/", script)):
        return None
    own = set(SET_UNNAMED) | set(_SETS_DEFAULT.findall(script))
    own |= {match.group(2) for match in _NAME.finditer(script) if not match.group(1)}
    if _SETS_POSITIONAL.search(script):
        own |= POSITIONAL
    return frozenset(own)


def within(outer: frozenset[str] | None, script: str) -> frozenset[str] | None:
    """The names that may be set for *script*, which a script with the names *outer* runs with arguments of its own."""
    inner = names_set(script)
    return None if outer is None or inner is None else outer | inner | POSITIONAL


__all__ = ["POSITIONAL", "names_set", "within"]
