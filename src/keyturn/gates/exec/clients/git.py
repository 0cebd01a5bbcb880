"""What a client asks git: questions that git answers out of its own files, and starts nothing for. Pure.

A client could read those files itself, so such a question is its own. Only words that are described are a question:
options that write a file or name another repository's programs are not, and what git starts for one all the same (a filter,
a monitor, a helper for the network) is asked for by itself. Source: the manual pages named like the subcommands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from keyturn.gates.exec.clients.inert import setting

_FLAGS = ("--no-optional-locks", "--no-pager", "--literal-pathspecs", "--bare")
_VALUES = ("-C", "--git-dir", "--work-tree")

_SAFE = re.compile(
    r"-[A-NP-Za-np-z0-9][A-Za-z0-9]*|--(?!o$|o=|ou|ext|exe|textc|filt|upl)[a-z][a-z-]*(?:=.*)?|--|[^-].*|",
    re.DOTALL,
)
"""A word of a question: not `-o`, `-O`, `--output` or what runs a program, nor the beginning of one of their names."""

_READING = frozenset(
    (
        "rev-parse", "rev-list", "ls-files", "ls-tree", "cat-file", "for-each-ref", "show-ref", "merge-base", "name-rev",
        "check-ignore", "check-attr", "check-ref-format", "diff-files", "diff-index", "diff-tree", "diff", "log", "show",
        "status", "describe", "blame", "shortlog", "count-objects", "version",
    )
)  # fmt: skip
"""Subcommands that only tell, whatever their safe words are (`status` may refresh the index)."""

_FORMS: tuple[tuple[str, ...], ...] = (
    ("--version",),
    ("--exec-path",),
    ("remote",),
    ("remote", "-v|--verbose"),
    ("remote", "get-url", "[^-].*"),
    ("remote", "get-url", "--all|--push", "[^-].*"),
    ("config", "[A-Za-z][^=]*"),
    ("symbolic-ref", "[^-].*"),
    ("symbolic-ref", "--short|-q|--quiet", "[^-].*"),
    ("symbolic-ref", "--quiet|-q", "--short", "[^-].*"),
    ("branch", "--show-current|-a|-r|-v|-vv|--all|--list"),
    ("branch", "--list", r"--format=.*|[^-].*"),
    ("branch", "-a|-r|--all", r"--format=.*"),
    ("worktree", "list"),
    ("worktree", "list", "--porcelain"),
    ("worktree", "list", "--porcelain", "-z"),
    ("stash", "list"),
    ("tag", "-l|--list"),
)
"""Subcommands that also write, in the forms in which they only tell."""

_CONFIG_SCOPES = (
    "--local", "--global", "--system", "--worktree", "--includes", "--no-includes", "-z", "--null", "--show-origin",
    "--show-scope", "--type=bool", "--type=path", "--bool",
)  # fmt: skip
_CONFIG_READS = ("--get", "--get-all", "--get-regexp", "--list", "-l", "--name-only")


def parted(words: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    """(the folder of `--git-dir`, empty without one; the subcommand and its words); None for an option that is not inert."""
    folder, at = "", 0
    while at < len(words):
        word, value = words[at], words[at + 1] if at + 1 < len(words) else ""
        if word in _FLAGS:
            at += 1
        elif word in _VALUES or (word == "-c" and setting(value)):
            folder = value if word == "--git-dir" else folder
            at += 2
        else:
            break
    rest = tuple(words[at:])
    return None if rest[:1] == ("-c",) else (folder, rest)


def question(words: Sequence[str]) -> bool:
    """Whether the subcommand with its words only asks."""
    if not words:
        return False
    if words[0] in _READING:
        return all(_SAFE.fullmatch(word) for word in words[1:])
    return _config(words) or any(_is(form, words) for form in _FORMS)


def _config(words: Sequence[str]) -> bool:
    options = [word for word in words[1:] if word.startswith("-")]
    known = all(word in _CONFIG_SCOPES or word in _CONFIG_READS for word in options)
    return words[0] == "config" and known and any(word in _CONFIG_READS for word in options)


def _is(form: Sequence[str], words: Sequence[str]) -> bool:
    return len(form) == len(words) and all(
        re.fullmatch(pattern, word, re.DOTALL) for pattern, word in zip(form, words, strict=True)
    )


__all__ = ["parted", "question"]
