"""What a confined command may touch: `envelope.toml`, and the two profiles that every policy has without one.

default      the profile of every `keyturn run` of a command; "" confines only what asks for it
mask         names of labels of resources.toml: what has them is hidden
[profile.NAME]
read         paths that may be read, beside the system's folders; `.` is the workspace, `~/` the home
write        paths that may be changed
protect      paths below those that stay as they are; what isn't there can't be made
network      true: the machine's network; false: a loopback of its own and nothing else
connect      TCP ports that may be connected to, where there is network; none named: all
execute      "system": only programs in the system's folders; "anywhere"
programs     if any are named, only these programs start
environment  variables that are passed on, beside those that say who, where and in which language
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from keyturn.policy.folder import Table
from keyturn.policy.problems import Problem, nearest

FILE = "envelope.toml"

PROTECTED = (
    ".git/config", ".git/config.worktree", ".git/hooks/", ".github/", ".gitlab-ci.yml", ".circleci/",
    ".husky/", ".vscode/", ".idea/", ".devcontainer/", ".claude/", ".codex/", ".gemini/", ".cursor/", ".opencode/",
    ".keyturn/", ".mcp.json", ".envrc", ".pre-commit-config.yaml",
)  # fmt: skip
"""What configures tools so that they run something: repositories' own settings and hooks, CI, editors, agents."""

TOOLS = (
    "~/.gitconfig", "~/.config/git/config", "~/.config/git/ignore", "~/.config/git/attributes",
    "~/.local/bin", "~/.local/lib", "~/.local/share/uv", "~/.local/share/pnpm", "~/.pyenv", "~/.rbenv", "~/.nvm",
    "~/.volta", "~/.asdf", "~/.bun/bin", "~/.deno/bin", "~/.cargo/bin", "~/.rustup", "~/.sdkman", "~/go/bin", "~/sdk",
)  # fmt: skip
"""Where people install programs for themselves."""


class Profile(Struct, frozen=True):
    """One profile; the fields are those of envelope.toml."""

    name: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    network: bool = False
    connect: tuple[int, ...] = ()
    execute: Literal["system", "anywhere"] = "system"
    programs: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


class Profiles(Struct, frozen=True):
    """A policy's profiles. `default` is the name of one, or empty; `mask` names labels."""

    default: str = ""
    mask: tuple[str, ...] = ("secret", "private-key")
    profiles: tuple[Profile, ...] = ()

    def get(self, name: str) -> Profile | None:
        """The profile *name*, the policy's own before the built-in one."""
        return next((one for one in (*self.profiles, *BUILT_IN) if one.name == name), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all, sorted."""
        return tuple(sorted({one.name for one in (*self.profiles, *BUILT_IN)}))


BUILT_IN = (
    Profile("read-only", read=(".", *TOOLS)),
    Profile("workspace", read=TOOLS, write=(".",), protect=PROTECTED, execute="anywhere"),
)

NO_PROFILES = Profiles()

_KEYS = ("read", "write", "protect", "network", "connect", "execute", "programs", "environment")


def read_profiles(data: bytes) -> tuple[Profiles, list[Problem]]:
    """envelope.toml: the profiles, and what is wrong with it."""
    table = Table(FILE, data)
    table.known_keys(table.body, ("default", "mask", "profile"))
    sections = table.body.get("profile", {})
    if not isinstance(sections, dict):
        table.wrong("profile", "[profile.NAME] is a table")
        sections = {}
    for name, body in sections.items():
        if not isinstance(body, dict):
            table.wrong(name, f"[profile.{name}] is a table")
    found = tuple(_profile(table, name, body) for name, body in sections.items() if isinstance(body, dict))
    default = table.body.get("default", "")
    mask = table.texts(table.body, "mask") if "mask" in table.body else Profiles().mask
    told = Profiles(default if isinstance(default, str) else "", mask, found)
    if default != "" and (not isinstance(default, str) or told.get(default) is None):
        table.wrong("default", f"there is no profile {default}", nearest(str(default), told.names))
    return told, table.problems


def _profile(table: Table, name: str, body: dict[str, Any]) -> Profile:
    where = f"[profile.{name}]"
    table.known_keys(body, _KEYS, where)
    paths = {key: table.texts(body, key) for key in ("read", "write", "protect")}
    for key, listed in paths.items():
        for path in listed:
            if not _is_path(path, inside=key == "protect"):
                table.wrong(
                    key, f"{path} in {where} is no path that {key} can name", "`.`, `./x`, `~/x` or `/x`"
                )
    network = body.get("network", False)
    if not isinstance(network, bool):
        table.wrong("network", "network is true or false")
    connect = body.get("connect", [])
    if not isinstance(connect, list) or not all(type(port) is int and 0 < port < 65_536 for port in connect):
        table.wrong("connect", "connect is a list of port numbers")
        connect = []
    if connect and network is not True:
        table.wrong("connect", "connect says which ports of the machine's network: it needs network = true")
    execute = body.get("execute", "system")
    if execute not in ("system", "anywhere"):
        table.wrong(
            "execute", 'execute is "system" or "anywhere"', nearest(str(execute), ("system", "anywhere"))
        )
        execute = "system"
    return Profile(
        name=name,
        network=network is True,
        connect=tuple(connect),
        execute=execute,
        programs=table.texts(body, "programs"),
        environment=table.texts(body, "environment"),
        **paths,
    )


def _is_path(path: str, *, inside: bool) -> bool:
    """Whether it says where it is: from the root, the home or the workspace; *inside*: relative to what may be written."""
    parts = path.rstrip("/").split("/")
    if ".." in parts or "\0" in path:
        return False
    return (
        not path.startswith(("/", "~")) if inside else path.startswith(("/", "~/")) or parts[0] in (".", "~")
    )


__all__ = ["BUILT_IN", "FILE", "NO_PROFILES", "PROTECTED", "TOOLS", "Profile", "Profiles", "read_profiles"]
