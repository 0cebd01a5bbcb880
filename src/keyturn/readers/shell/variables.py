"""Which variables a script may set: a name changes what later programs do far more often than it looks.

Described positively: what is not listed here is not understood (`PATH`, `LD_*`, `GIT_*`, `BASH_ENV`, …).
"""

from __future__ import annotations

import re

from keyturn.readers.shell.syntax import Assignment, Text
from keyturn.readers.shell.wordlist import words

SAFE_ENVIRONMENT = words(
    "LANG LANGUAGE LC_ALL LC_CTYPE LC_COLLATE LC_MESSAGES LC_NUMERIC LC_TIME TZ CI NO_COLOR FORCE_COLOR CLICOLOR "
    "CLICOLOR_FORCE DEBUG VERBOSE COLUMNS LINES PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONHASHSEED "
    "PYTHONUTF8 RUST_BACKTRACE GIT_TERMINAL_PROMPT GIT_OPTIONAL_LOCKS DEBIAN_FRONTEND "
    "NEXT_TELEMETRY_DISABLED"
)
"""Variables whose value can only change language, colour or how much is said."""

EXACT = {"PAGER": ("cat", ""), "GIT_PAGER": ("cat", ""), "MANPAGER": ("cat",), "TERM": ("dumb", "xterm", "xterm-256color"),
         "NODE_ENV": ("test", "development", "production")}  # fmt: skip
"""Variables that name programs or files, with the only values that are understood."""

SAFE_NAMES = words(
    "DIR FILE FILES NAME OUT OUTPUT SRC DEST DST COUNT TOTAL N I J K X Y Z A B C VERSION BRANCH TAG COMMIT SHA DATE "
    "TODAY NOW RESULT STATUS LINE URL HOST PORT ID PID"
)
"""Upper-case names that scripts use for themselves and that no described program obeys."""

_SAFE_VALUE = re.compile(r"[A-Za-z0-9_.@:,+-]{0,64}")
_OWN_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OBEYED_LOWER_CASE = words(
    "http_proxy https_proxy ftp_proxy all_proxy no_proxy rsync_proxy histchars auto_resume path "
    "fpath cdpath manpath module_path prompt"
)


def value_of(assignment: Assignment) -> str | None:
    """The value, if it is known, else None."""
    parts = assignment.value.parts
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.value for part in parts if isinstance(part, Text))
    return None


def environment_problem(assignment: Assignment) -> str | None:
    """Why an assignment that a program can see is not understood, or None."""
    name, value = assignment.name, value_of(assignment)
    if assignment.append:
        return f"Appending to the variable {name}"
    if name in EXACT and value in EXACT[name]:
        return None
    if name not in SAFE_ENVIRONMENT:
        return f"The variable {name} may change what programs do"
    if value is None or not _SAFE_VALUE.fullmatch(value) or ".." in value:
        return f"The variable {name} has an unusual value"
    return None


def own_problem(assignment: Assignment) -> str | None:
    """Why a plain `name=value` of the script's own is not understood, or None.

    A plain assignment changes the environment, too, if the name is there already; so only names that
    nobody puts there are understood.
    """
    return name_problem(assignment.name) and environment_problem(assignment)


def name_problem(name: str) -> str | None:
    """Why a variable of the script's own can't be called *name*, or None."""
    lower = _OWN_NAME.fullmatch(name) and name not in _OBEYED_LOWER_CASE and not name.startswith("npm_")
    if lower or name in SAFE_NAMES:
        return None
    return f"The variable {name} may change what programs do"


_SECRET = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a variable is called as those are that hold credentials."""
    return bool(_SECRET.search(name))
