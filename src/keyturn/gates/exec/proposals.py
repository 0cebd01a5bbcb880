"""What is asked when a program is about to start: the command line that means the same, and everything that decides what it does.

The program is named by what the kernel will run, never by `argv[0]`, which is the caller's to choose. A variable that
changes what programs do and that is not as it was when the tree was started is put in front, as a shell would have it:
so it is read like one that was written there.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping
from typing import Literal

from keyturn.actions import Action, Attribution, Gate, Shell
from keyturn.gates.exec.model import Exec
from keyturn.gates.exec.scope import Started, behaviour, spoken_name

_DIALECTS: dict[str, Literal["bash", "posix"]] = {
    "bash": "bash",
    "rbash": "bash",
    "sh": "posix",
    "dash": "posix",
}
_OPTIONS_BEFORE = ("-c", "-ec")
"""How a shell is told to run a text and nothing else: with `-l` it reads start files first."""


def proposal(
    seen: Exec,
    baseline: Mapping[str, str],
    attribution: Attribution,
    gate: Gate,
    session: str,
) -> Action:
    """The action that starting *seen* is; *baseline* is the environment that the tree was started with."""
    different = changed_variables(seen.environment, baseline)
    return Action(
        content=_content(seen, different),
        attribution=attribution,
        gate=gate,
        session=session,
        cwd=seen.cwd,
        environment=different,
        executes=files(seen),
    )


def files(seen: Exec) -> dict[str, str]:
    """Path to digest of what the kernel would run: program, interpreter, script."""
    found = {seen.file.path: seen.file.sha256}
    for file in (seen.interpreter, seen.script):
        if file is not None:
            found[file.path] = file.sha256
    return {path: _digest(digest) for path, digest in found.items() if digest}


def _digest(told: str) -> str:
    return told if ":" in told or not told else f"sha256:{told}"


def changed_variables(environment: Mapping[str, str], baseline: Mapping[str, str]) -> dict[str, str]:
    """The variables that change what programs do and differ from *baseline*; one that was removed is empty."""
    now, before = behaviour(environment), behaviour(baseline)
    return {name: now.get(name, "") for name in sorted({*now, *before}) if now.get(name) != before.get(name)}


def started(seen: Exec) -> Started:
    """*seen* as a scope looks at it. A script counts under its own name and digest."""
    file = seen.script or seen.file
    # What lies elsewhere under a system name, through a link, is not what the name says.
    path = seen.path if not _misnamed(seen) else ""
    return Started(path, seen.argv[1:], seen.environment, _digest(file.sha256))


def spoken(seen: Exec) -> str:
    """*seen* as a command line: `shlex.join` of the program's real name and its words."""
    words = (spoken_name(posixpath.normpath(seen.path)), *seen.argv[1:])
    line = " ".join(shlex.quote(word) for word in words)
    return f"exec -a {shlex.quote(seen.argv[0] if seen.argv else '')} {line}" if _misnamed(seen) else line


def _misnamed(seen: Exec) -> bool:
    """Whether `argv[0]` names another program than the path does: some programs obey it (busybox, bash as sh)."""
    said = posixpath.basename(seen.argv[0] if seen.argv else "").removeprefix("-")
    return said != posixpath.basename(seen.path)


def _content(seen: Exec, different: Mapping[str, str]) -> Shell:
    text = script_text(seen)
    if text is not None and not different:
        return Shell(text, _dialect(seen))
    prefix = "".join(f"{name}={shlex.quote(value)} " for name, value in different.items() if _is_name(name))
    others = [f"{name}={value}" for name, value in different.items() if not _is_name(name)]
    through_env = f"{shlex.join(('env', *others))} " if others else ""
    return Shell(prefix + through_env + spoken(seen))


def script_text(seen: Exec) -> str | None:
    """The text that a shell is told to run with `-c` and nothing else, None where it is not that."""
    if _misnamed(seen) or seen.script is not None or _shell(seen) is None:
        return None
    argv = seen.argv
    return (
        argv[2]
        if len(argv) == 3 and argv[1] in _OPTIONS_BEFORE and not argv[2].startswith(("-", "+"))
        else None
    )


def _shell(seen: Exec) -> str | None:
    name = spoken_name(posixpath.normpath(seen.path))
    return name if name in _DIALECTS else None


def _dialect(seen: Exec) -> Literal["bash", "posix"]:
    return _DIALECTS[_shell(seen) or "bash"]


def _is_name(name: str) -> bool:
    return name.isidentifier() and name.isascii()
