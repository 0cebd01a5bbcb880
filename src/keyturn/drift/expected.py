"""What an allowed action should leave in a target's own log: the fingerprints of its statements, as far as its content tells them.

Rules kept here:

- What can't be told is `open`: a program that connects, sends or runs code may say anything to a target, any number of times. An
  action that is not open says all its statements, each of them once.
- By pgaudit's reckoning a text of several statements is logged once for each of them, whole.
- A tool call with the argument `sql`, `query` or `statement` is one SQL statement; a request is one HTTP request; `psql -c` and
  `mysql -e` are their SQL; `aws SERVICE OPERATION` is that call, and open, since the program asks for the next page by itself.
- Every simple command of a script is a program that starts, with the words that the shell reader found; and so is the shell that
  is given the script.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from keyturn.drift import fingerprints

SQL_ARGUMENTS = ("sql", "query", "statement")
"""A tool's arguments that hold SQL."""

EXACT = ("sql", "http")
"""Languages in which an allowed action that is not open leaves a line of each of its statements in the target's log."""

_HIDDEN = ("DO", "CALL", "EXECUTE", "PREPARE")
"""Statements of SQL that may be logged as what they run."""

QUIET = (
    "BEGIN", "START", "COMMIT", "ROLLBACK", "END", "ABORT", "SAVEPOINT", "RELEASE", "SET", "RESET", "SHOW", "DISCARD",
    "DEALLOCATE", "FETCH", "MOVE", "CLOSE", "DECLARE", "LOCK", "LISTEN", "UNLISTEN", "NOTIFY", "CHECKPOINT", "VACUUM", "ANALYZE",
    "EXPLAIN", "LOAD", "CLUSTER",
)  # fmt: skip
"""Statements of SQL that a target's log may well leave out (pgaudit's class MISC): that there is no line of them says nothing."""

_REACHES = ("connects", "sends", "executes", "configures", "grants")
_SQL_PROGRAMS = {"psql": ("-c", "--command"), "mysql": ("-e", "--execute"), "mariadb": ("-e", "--execute")}
_VALUED = {"psql": "cdfFhLopPRTUv", "mysql": "DehPSu", "mariadb": "DehPSu"}
"""Their one-letter options that take a value."""


class Expected(Struct, frozen=True):
    """An action of the ledger. `time` is when it was let go, `ended` when its receipt came (0: not known), milliseconds since 1970.

    `allowed`: its permit was used, or it ran with its decision. `account` is the number of the operating-system account behind it.
    """

    id: str
    session: str
    time: int
    target: str
    statements: tuple[str, ...] = ()
    open: bool = False
    ended: int = 0
    entry: int = 0
    allowed: bool = True
    failed: bool = False
    account: str = ""


class Span(Struct, frozen=True):
    """A session's time; `closed` 0 while it is open. `trace` is its trace id."""

    id: str
    opened: int
    closed: int = 0
    trace: str = ""


def statements(
    content: Mapping[str, Any], steps: Iterable[Mapping[str, Any]]
) -> tuple[tuple[str, ...], bool]:
    """(fingerprints in order, whether there may be others) of an action's *content* and the *steps* of its reading, as recorded."""
    kind = content.get("kind")
    if kind == "tool":
        arguments = content.get("arguments") or {}
        texts = [text for name in SQL_ARGUMENTS if isinstance(text := arguments.get(name), str)]
        found, told = said_in_sql(texts)
        return tuple(found), not told
    if kind == "http":
        return (fingerprints.http(str(content.get("method", "GET")), str(content.get("url", ""))),), False
    if kind != "shell":
        return (), False
    found, more = [fingerprints.script(str(content.get("script", "")))], False
    for step in steps:
        argv = [str(word) for word in step.get("argv") or ()]
        found.append(fingerprints.command(argv))
        said, told = _said(argv)
        found += said
        more |= not told and any(effect.get("verb") in _REACHES for effect in step.get("effects") or ())
        more |= not step.get("complete", True)
    return tuple(filter(None, found)), more


def _said(argv: Sequence[str]) -> tuple[list[str], bool]:
    """(what a program says to a target by its own words, whether that is all it says)."""
    program = argv[0].rpartition("/")[2] if argv else ""
    if program == "aws":
        call = fingerprints.aws_command(argv)
        return ([call] if call else []), False
    if program in _SQL_PROGRAMS:
        return _sql(argv[1:], *_SQL_PROGRAMS[program], _VALUED[program])
    return [], False


def _sql(words: Sequence[str], short: str, long: str, valued: str) -> tuple[list[str], bool]:
    found: list[str] = []
    told, place = True, 0
    while place < len(words):
        word, following = words[place], words[place + 1] if place + 1 < len(words) else ""
        place += 1
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            told &= name != "--file"
            if name == long:
                place += not equals
                found.append(value if equals else following)
            continue
        if not word.startswith("-") or len(word) < 2:
            continue
        letters = word[1:]
        for at, letter in enumerate(letters):
            if letter not in valued:
                continue
            glued = letters[at + 1 :]
            place += not glued
            told &= (short, letter) != ("-c", "f")  # psql -f reads statements from a file
            if f"-{letter}" == short:
                found.append(glued or following)
            break
    if any(text.lstrip().startswith("\\") for text in found):
        told = False  # psql's own commands ask the server whatever they need
    said, all_of_it = said_in_sql(found)
    return said, told and all_of_it


def said_in_sql(texts: Iterable[str]) -> tuple[list[str], bool]:
    """(fingerprints, whether that is all): of a text with several statements each is logged with the whole text (pgaudit)."""
    found: list[str] = []
    told = True
    for text in texts:
        words = fingerprints.statement_words(text)
        told &= not set(words) & set(_HIDDEN)
        found += [fingerprints.sql(text)] * len(words)
    return [one for one in found if one], told and bool(found)


__all__ = ["EXACT", "QUIET", "Expected", "Span", "statements"]
