"""Variables and git settings that clients give to what they start, and that switch something off or change nothing.

Pure. A variable is inert only with a value that is written here: `GIT_PAGER=cat` is, `GIT_PAGER=anything` is not.
Sources: git(1) "ENVIRONMENT VARIABLES", git-config(1), and what the clients set (see the package's docstring).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from keyturn.gates.exec.scope import SYSTEM_FOLDERS

_SETTINGS = {
    r"core\.fsmonitor": "(false)?",
    r"core\.hookspath": "(/dev/null)?",
    r"core\.(askpass|sshcommand|editor)|sequence\.editor|credential\.helper|diff\.external": "",
    r"core\.pager": "cat",
    r"core\.alternaterefscommand": re.escape(
        "f() { git --git-dir=\"$1\" for-each-ref --format='%(objectname)'; }; f"
    ),
    r"core\.(ignorecase|autocrlf|longpaths|symlinks|quotepath)": "true|false",
    r"diff\.autorefreshindex|maintenance\.auto|log\.showsignature|submodule\.recurse": "false",
    r"format\.pretty": "medium",
    r"gc\.auto": "0",
    r"hook\.[a-z0-9-]+\.enabled": "false",
    r"protocol\.(ext|file)\.allow|credential\.interactive": "never",
    r"safe\.barerepository": "explicit",
}
_VARIABLES = {
    "SHELL": r"(/usr)?/bin/(ba|da)?sh",
    "GIT_EDITOR": "true",
    "PAGER|GIT_PAGER": "cat",
    "GIT_CONFIG_GLOBAL|GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_NOSYSTEM|GIT_NO_LAZY_FETCH|GIT_NO_REPLACE_OBJECTS|GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_TERMINAL_PROMPT|GIT_OPTIONAL_LOCKS": "0",
    "GIT_TRACE[A-Z0-9_]*": "0?",
    "GIT_ASKPASS|SSH_ASKPASS|GIT_PROXY_COMMAND|GIT_LITERAL_PATHSPECS|DBUS_SESSION_BUS_ADDRESS": "",
    "GIT_CEILING_DIRECTORIES": r"/[^:\n]*",
    "GIT_SSH_COMMAND": "false",
    "GIT_ALLOW_PROTOCOL": "/",
    "GIT_CONFIG_PARAMETERS": re.escape(
        "'alias.remote-none=version' 'alias.remote-none.command=version' 'alias.remote-/.command=version' "
        "'fetch.bundleURI=' 'help.autocorrect=0'"
    ),
    "NODE_ENV": "production",
    "NODE_CHANNEL_FD": "[0-9]{1,3}",
    "NODE_CHANNEL_SERIALIZATION_MODE": "json|advanced",
    "npm_config_user_agent": r"npm/\S+ node/\S+ \S+ \S+ workspaces/(true|false)",
}
_COUNTED = re.compile(r"GIT_CONFIG_(KEY|VALUE)_([0-9]{1,3})")
MAX_SETTINGS = 200


def active(changed: Mapping[str, str], path: str, own: Callable[[str], bool]) -> dict[str, str]:
    """The variables of *changed* (a removed one is empty) that are not inert.

    *path* is the PATH of the tree's beginning; *own* tells the client's own folders, which may stand at PATH's end.
    """
    rest: dict[str, str] = {}
    counted: dict[str, str] = {}
    for name, value in changed.items():
        if _COUNTED.fullmatch(name) or name == "GIT_CONFIG_COUNT":
            counted[name] = value
        elif not (_known_path(value, path, own) if name == "PATH" else _matches(_VARIABLES, name, value)):
            rest[name] = value
    return rest if _inert_settings(counted) else {**rest, **counted}


def setting(text: str) -> bool:
    """Whether `NAME=VALUE`, as `git -c` takes it, is inert."""
    name, equals, value = text.partition("=")
    return bool(equals) and _matches(_SETTINGS, name.lower(), value)


def _inert_settings(counted: Mapping[str, str]) -> bool:
    if not counted:
        return True
    count = counted.get("GIT_CONFIG_COUNT", "")
    if not count.isdigit() or int(count) > MAX_SETTINGS:
        return False
    pairs = [
        (counted.get(f"GIT_CONFIG_KEY_{n}"), counted.get(f"GIT_CONFIG_VALUE_{n}")) for n in range(int(count))
    ]
    known = all(name and value is not None and setting(f"{name}={value}") for name, value in pairs)
    return known and len(counted) == 2 * len(pairs) + 1


def _known_path(value: str, before: str, own: Callable[[str], bool]) -> bool:
    """Whether PATH names no folder but the system's and those that it named *before*, and then the client's own."""
    folders = value.split(":")
    while folders and own(folders[-1]):
        folders.pop()
    known = {*before.split(":"), *SYSTEM_FOLDERS} - {""}
    return bool(folders) and all(folder in known for folder in folders)


def _matches(table: Mapping[str, str], name: str, value: str) -> bool:
    return any(
        re.fullmatch(names, name) is not None and re.fullmatch(values, value) is not None
        for names, values in table.items()
    )


__all__ = ["active", "setting"]
