"""Fingerprints: what a statement does, without what changes from run to run. Two that do the same in the same form share one.

    sql:SELECT * FROM T WHERE ID = ?     literals, parameters, comments and the spelling of keywords left out; code that is given
                                         as a text (DO, function bodies) by its digest
    command:["ls","-l","/tmp"]           the words as they reached the program, that one by its name
    script:ls -l /tmp                    what a shell was given with -c
    http:GET api.example.com/v1/users    method, host and path; no query
    aws:s3:PutObject                     service and operation
    kubernetes:delete:pods               verb and resource

They are only compared with each other: one on the target's side, one on ours. Every function is total.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

MAX_SQL = 262_144
"""Characters of a statement that are taken apart. A longer one is known by its digest."""

MAX_WORDS = 65_536
"""Characters of a command's words in a fingerprint. A longer command is known by its digest."""

_FOLDED = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_KEBAB = re.compile(r"-+([A-Za-z0-9]?)")
_AWS_VALUED = (
    "--region", "--profile", "--output", "--endpoint-url", "--query", "--color", "--ca-bundle", "--cli-read-timeout",
    "--cli-connect-timeout", "--cli-binary-format",
)  # fmt: skip
"""Options of every `aws` command that take a value (AWS CLI, "Global Options")."""
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh")


def sql(text: str) -> str:
    """The fingerprint of an SQL statement: its tokens as sqlglot has them; its words where it has none. Empty for no statement."""
    text = text.strip().rstrip(";").rstrip()
    if not text:
        return ""
    if len(text) > MAX_SQL:
        return f"sql:{_digest(text)}"
    return _sql(text)


def statement_words(text: str) -> tuple[str, ...]:
    """The first word of each statement in *text*, upper case: a target logs each of them, beside the whole text."""
    return _taken_apart(text)[1] if len(text) <= MAX_SQL else ("?",)


def _sql(text: str) -> str:
    return _taken_apart(text)[0]


@cache
def _tokenizer() -> Callable[[], Any]:
    """PostgreSQL's words as sqlglot has them, but without what it leaves whole (`PREPARE …`) since it could not parse it."""
    from sqlglot.dialects.postgres import Postgres

    return type("Words", (Postgres.Tokenizer,), {"COMMANDS": set(), "COMMAND_PREFIX_TOKENS": set()})


@lru_cache(maxsize=8_192)
def _taken_apart(text: str) -> tuple[str, tuple[str, ...]]:
    from sqlglot.errors import TokenError

    try:
        tokens = _tokenizer()().tokenize(text)
    except (TokenError, ValueError, RecursionError):
        return "sql:" + " ".join(text.split()), tuple(text.split()[:1])
    words: list[str] = []
    firsts: list[str] = []
    begins = True
    for token in tokens:
        name = token.token_type.name
        if name == "SEMICOLON":
            begins = True
        elif begins:
            begins = False
            firsts.append(token.text.upper())
        if name == "NUMBER" or name.endswith("STRING") or name == "PLACEHOLDER":
            if words and words[-1] in ("$", ":"):
                words.pop()  # $1 and :1 are parameters
            if words[-2:] == ["?", ","]:
                words.pop()  # IN (1, 2, 3) is IN (?), however many there are
                continue
            code = name == "HEREDOC_STRING" or firsts[-1:] == ["DO"]
            words.append(f"?{_digest(token.text)[7:23]}" if code else "?")
        elif name == "IDENTIFIER":
            plain = _FOLDED.fullmatch(token.text) is not None
            words.append(token.text.upper() if plain else json.dumps(token.text))
        else:
            words.append(token.text.upper())
    return "sql:" + " ".join(words), tuple(firsts)


def command(argv: Sequence[str]) -> str:
    """The fingerprint of a program that was started with *argv*; of a shell's `-c`, that of its script."""
    if not argv:
        return ""
    program = posixpath.basename(argv[0])
    if program in _SHELLS and len(argv) >= 3 and argv[1] in ("-c", "-lc"):
        return script(argv[2])
    text = json.dumps([program, *argv[1:]], ensure_ascii=False, separators=(",", ":"))
    return f"command:{text if len(text) <= MAX_WORDS else _digest(text)}"


def script(text: str) -> str:
    """The fingerprint of what a shell is given with `-c`."""
    text = text.strip()
    return f"script:{text if len(text) <= MAX_WORDS else _digest(text)}" if text else ""


def http(method: str, url: str) -> str:
    """The fingerprint of a request: method, host and path."""
    try:
        parts = urlsplit(url)
        where = f"{(parts.hostname or '').lower()}{parts.path or '/'}"
    except ValueError:
        where = url.partition("?")[0]
    return f"http:{method.upper()} {where}"


def aws(service: str, operation: str) -> str:
    """The fingerprint of a call of AWS' API: `s3`, `PutObject`."""
    return f"aws:{service.partition('.')[0]}:{operation}"


def aws_command(argv: Sequence[str]) -> str:
    """The fingerprint of the call that `aws SERVICE OPERATION …` makes; empty where the command makes several (`aws s3 cp`)."""
    words: list[str] = []
    valued = False
    for word in argv[1:]:
        if not valued and not word.startswith("-"):
            words.append(word)
        valued = not valued and word in _AWS_VALUED
    if len(words) < 2 or words[0] in ("s3", "configure", "sso"):
        return ""
    service = {"s3api": "s3"}.get(words[0], words[0])
    return aws(service, _KEBAB.sub(lambda match: match[1].upper(), "-" + words[1]))


def kubernetes(verb: str, resource: str) -> str:
    """The fingerprint of a request to a Kubernetes API server."""
    return f"kubernetes:{verb}:{resource}"


def language(fingerprint: str) -> str:
    """`sql`, `command`, `http` and so on."""
    return fingerprint.partition(":")[0]


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


__all__ = [
    "aws",
    "aws_command",
    "command",
    "http",
    "kubernetes",
    "language",
    "script",
    "sql",
    "statement_words",
]
