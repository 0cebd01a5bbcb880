"""Paths -> effects: where a path lies, what it is, and whether writing there changes how people or agents work.

Purely textual (`keyturn.resources`); a path that isn't known until run time lies in zone `unknown`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from msgspec.structs import replace

from keyturn.actions import Effect, Verb
from keyturn.resources import Surroundings, absolute, inside, path_labels, zone

CONFIGURING_NAMES = (
    "AGENTS.md", "AGENTS.override.md", "CLAUDE.md", "CLAUDE.local.md", "GEMINI.md", ".mcp.json", "mcp.json",
    "opencode.json", "opencode.jsonc", ".cursorrules", ".windsurfrules", ".clinerules", ".gitlab-ci.yml",
    "Jenkinsfile", ".travis.yml", "azure-pipelines.yml", "bitbucket-pipelines.yml", ".drone.yml",
    ".pre-commit-config.yaml", ".gitmodules", ".gitattributes", ".envrc", ".bashrc", ".bash_profile", ".bash_login",
    ".bash_logout", ".profile", ".zshrc", ".zshenv", ".zprofile", ".zlogin", ".gitconfig", ".npmrc", ".pypirc",
    ".pip", "pip.conf", ".inputrc", ".vimrc", ".exrc", ".tmux.conf", ".netrc", "crontab", "authorized_keys",
    "copilot-instructions.md", ".curlrc", ".wgetrc", ".yarnrc", ".yarnrc.yml", ".pythonrc", "sitecustomize.py",
    "usercustomize.py", ".goosehints", ".aider.conf.yml", "mise.toml", ".mise.toml", ".tool-versions", "lefthook.yml",
    ".lefthook.yml", ".pre-commit-config.yml", "appveyor.yml", ".appveyor.yml", "cloudbuild.yaml", "buildspec.yml",
    ".woodpecker.yml", "renovate.json", "CODEOWNERS", ".devcontainer.json", ".bazelrc", ".gdbinit", ".lldbinit", ".psqlrc",
    ".irbrc", ".pdbrc", ".Rprofile", ".Renviron", ".screenrc", ".ideavimrc", ".nvimrc", ".nvim.lua", ".emacs",
    ".dir-locals.el", ".ackrc", ".ripgreprc", ".jq", ".mailcap",
    "HEAD",  # a folder with HEAD, objects and refs is a git repository whose `config` git obeys
)  # fmt: skip
"""File names that programs obey wherever they lie."""

_SMALL_NAMES = frozenset(name.casefold() for name in CONFIGURING_NAMES if name != "HEAD")

KINDS = ("*.py",)
"""Patterns for all files of a kind, which say no more of a file than that it is code of the workspace."""

CONFIGURING_FOLDERS = (
    ".git", ".githooks", ".husky", ".claude", ".codex", ".gemini", ".opencode", ".copilot", ".cursor", ".vscode",
    ".zed", ".windsurf", ".roo", ".continue", ".kiro", ".agents", ".amp", ".direnv", ".vim", ".woodpecker", ".semaphore",
    ".idea", ".circleci", ".buildkite", ".ssh", ".gnupg", ".config", ".cargo", ".devcontainer", ".keyturn",
)  # fmt: skip
"""Folder names whose whole content programs obey: hooks, agents, editors, CI, keys."""

CONFIGURING_PAIRS = (
    (".github", "workflows"),
    (".github", "hooks"),
    (".github", "actions"),
    (".github", "instructions"),
    (".github", "prompts"),
    (".github", "agents"),
    (".forgejo", "workflows"),
    (".gitea", "workflows"),
)


_SPLITS = re.compile(r"""[\s"'\\](?:/|\.\.|-[^\s"'\\])|\\0?57|\|\s*$""")
"""A name that programs which split lines into words (xargs) would take for two, the second one leading elsewhere or an option,
that tar would take for another, or that perl would take for a command, as it ends with a bar."""

_BLANKS = re.compile(r"""[\s"'\\]+""")


def _splits_badly(path: str, wild: bool) -> bool:
    """Whether *path*, split into words, is more than names of ordinary files of the working folder."""
    if _SPLITS.search(path):
        return True
    words = _BLANKS.split(path)[1:]
    return any((_may_configure(word, all_of_a_folder=False) if wild else _configures(word)) for word in words)


def path_effects(
    verb: Verb, path: str, around: Surroundings, wild: bool = False, ordinary: bool = False
) -> list[Effect]:
    """The effects of doing *verb* to *path* (absolute or relative to `around.cwd`).

    With *wild*, `*`, `?` and `[…]` in *path* are patterns; a pattern's zone is that of its fixed folder. *ordinary*: none of
    the names is one that programs obey.
    """
    whole = absolute(path, around)
    if not wild:
        where, labels = _zone(verb, whole, around), path_labels(whole, around)
        configures = _configures(whole)
    else:
        folder = fixed_folder(path, around)
        where = zone(folder, around) if folder and not _too_high(folder, whole, around) else "unknown"
        labels = _wild_labels(whole, around)
        whole_folder = verb == "deletes" and folder != around.workspace
        configures = not ordinary and _may_configure(whole, whole_folder)
        configures = configures or (
            verb == "deletes" and any(may_lie_above(whole, own) for own in around.protected)
        )
    configures = configures or _splits_badly(path, wild)
    effects = [Effect(verb, whole, where, labels)]
    if verb in ("writes", "deletes") and (configures or where == "keyturn"):
        effects.append(Effect("configures", whole, where, labels))
    return effects + led(verb, whole, around)


def _zone(verb: Verb, path: str, around: Surroundings) -> str:
    """The zone of *path*. Where a folder goes, or moves, all below it does, too.

    What Keyturn's files lie in is Keyturn's; what the workspace or the home lies in is not temporary, wherever it is.
    """
    where = zone(path, around)
    if verb != "deletes":
        return where
    if any(inside(own, path) for own in around.protected):
        return "keyturn"
    above = any(folder != path and inside(folder, path) for folder in (around.workspace, around.home))
    return "outside" if where == "temporary" and above else where


def may_lie_above(pattern: str, own: str) -> bool:
    """Whether the absolute *pattern* may name *own*, an absolute path, or a folder that it lies in."""
    return _may_name_above(pattern.split("/")[1:], own.split("/")[1:])


def _may_name_above(parts: list[str], own: list[str]) -> bool:
    for at, (part, name) in enumerate(zip(parts, own, strict=False)):
        if "**" in part:  # as find(1) goes through folders, hidden ones as well
            return any(names_meet(parts[-1], below) for below in own[at:])
        if not may_match(part, name):
            return False
    return len(parts) <= len(own)


_GOES_ON = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")


def begun_effects(path: str, around: Surroundings) -> list[Effect]:
    """The effects of writing files whose names begin with *path* and go on in small letters and digits (split(1))."""
    known = path_effects("writes", path + "aa", around)
    last = path.rsplit("/", 1)[-1]
    narrowed = tuple(
        replace(label, paths=tuple(name for name in label.paths if _may_go_on(last, name)))
        for label in around.labels
    )
    whole, *_ = path_effects("writes", path + "*", replace(around, labels=narrowed), wild=True)
    labels = tuple(sorted({*whole.labels, *(label for effect in known for label in effect.labels)}))
    obeyed = any(effect.verb == "configures" for effect in known) or any(
        may_match(last + "*", name) and _may_go_on(last, name)
        for name in (*CONFIGURING_NAMES, *CONFIGURING_FOLDERS)
    )
    verbs: tuple[Verb, ...] = ("writes", "configures") if obeyed else ("writes",)
    return [replace(whole, verb=verb, labels=labels) for verb in verbs]


def _may_go_on(beginning: str, pattern: str) -> bool:
    """Whether a name may fit *pattern* that is *beginning* and then small letters and digits only."""
    literal = set(pattern.rsplit("/", 1)[-1]) - set("*?[]")
    return literal <= _GOES_ON | set(beginning)


def led(verb: Verb, named: str, around: Surroundings) -> list[Effect]:
    """The further effects where the gate saw that *named* leads elsewhere through symbolic links."""
    effects: list[Effect] = []
    for real in (real for given, real in around.links if given == named):
        where, labels = _zone(verb, real, around), path_labels(real, around)
        effects.append(Effect(verb, real, where, labels))
        if verb in ("writes", "deletes") and (_configures(real) or where == "keyturn"):
            effects.append(Effect("configures", real, where, labels))
    return effects


def sure(path: str, folder: str | None, around: Surroundings) -> bool:
    """Whether the names in *path* (relative to *folder*) tell where it lies although it may have `..` in it.

    `x/..` is the folder of x only if x is no symbolic link. The work folders of `around` are known to be none, nor are
    the folders above them; of any other folder only the disk can tell.
    """
    if ".." not in path:
        return True
    whole = path if path.startswith("/") or folder is None else f"{folder}/{path}"
    known = [name for name in (around.cwd, around.workspace) if name]
    stack: list[str] = []
    for name in whole.split("/"):
        if name == ".." and stack:
            popped = "/" + "/".join(stack)
            if not any(inside(real, popped) for real in known):
                return False
            stack.pop()
        elif name not in ("", ".", ".."):
            stack.append(name)
    return True


def climbing(verb: Verb, path: str, folder: str, around: Surroundings) -> list[Effect]:
    """The further effect of a *path* that is not `sure`: told as it is written, so that who knows the disk can follow it.

    Only folders of the workspace and temporary ones are taken to be what they are called.
    """
    whole = path if path.startswith("/") else f"{folder}/{path}"
    stack: list[str] = []
    where = zone(absolute(whole, around), around)
    for name in whole.split("/"):
        if name == ".." and stack:
            popped = "/" + "/".join(stack)
            stack.pop()
            above = any(inside(real, popped) for real in (around.cwd, around.workspace) if real)
            if not above and zone(popped, around) not in ("workspace", "temporary"):
                where = "unknown"
        elif name not in ("", ".", ".."):
            stack.append(name)
    return [Effect(verb, whole, where, path_labels(whole, around)), *led(verb, whole, around)]


def _too_high(folder: str, pattern: str, around: Surroundings) -> bool:
    """Whether a *pattern* whose fixed part is *folder* may name something in another zone than the folder's."""
    if folder == "/" or any(inside(own, folder) for own in (around.home, *around.protected)):
        return not inside(folder, around.workspace)
    if folder == "/proc":
        name = pattern.rsplit("/", 1)[-1]
        return zone(f"/proc/self/{name}", around) == "unknown" or _is_wild(name)
    if folder.startswith(("/proc/", "/dev/fd")):
        return True
    return _names_parent(pattern.rsplit("/", 1)[-1])


def _names_parent(part: str) -> bool:
    """Whether a shell older than bash 5.2 takes *part* for `..`, too."""
    return (
        _is_wild(part)
        and part.startswith((".", "["))
        and not part.startswith((".[!.]", ".[^.]"))
        and may_match(part, "..")
    )


def unknown_path(verb: Verb, shown: str) -> list[Effect]:
    """The effect of doing *verb* to a path that only the running shell knows, shown as *shown*."""
    return [Effect(verb, shown, "unknown")]


def fixed_folder(pattern: str, around: Surroundings) -> str | None:
    """The absolute folder that every match of *pattern* lies in, or None if `..` follows a wildcard."""
    parts = pattern.split("/")
    at = next((i for i, part in enumerate(parts) if _is_wild(part)), len(parts))
    if ".." in parts[at:]:
        return None
    # `[.]*` and `.*` may match `..` itself, so what follows such a component is not held by the folder.
    if any(part.startswith((".", "[")) and _is_wild(part) for part in parts[at:-1]):
        return None
    fixed = "/".join(parts[:at])
    if not fixed and pattern.startswith("/"):
        fixed = "/"
    return absolute(fixed or ".", around)


def _is_wild(part: str) -> bool:
    return any(character in part for character in "*?[")


def _configures(path: str) -> bool:
    # Some file systems don't tell capitals from small letters, so `.GIT/hooks` may be git's.
    if path.endswith("/HEAD"):
        return True
    parts = path.casefold().split("/")
    if parts[-1] in _SMALL_NAMES or any(part in CONFIGURING_FOLDERS for part in parts):
        return True
    pairs = list(pairwise(parts))
    return any(pair in pairs for pair in CONFIGURING_PAIRS)


def _may_configure(pattern: str, all_of_a_folder: bool) -> bool:
    """Whether *pattern* may name something configuring; with *all_of_a_folder* a lone `*` is not taken to."""
    skipped = ("*", "**", *KINDS) if all_of_a_folder else ("**", *KINDS)
    parts = [part for part in pattern.split("/") if part and part not in skipped]
    names = (*CONFIGURING_NAMES, *CONFIGURING_FOLDERS)
    if any(may_match(part, name) for part in parts for name in names):
        return True
    pairs = list(pairwise(parts))
    return any(may_match(a, x) and may_match(b, y) for a, b in pairs for x, y in CONFIGURING_PAIRS)


_PUBLIC = (
    "/usr/share/", "/usr/include/", "/usr/src/", "/usr/ports/", "/usr/lib/", "/usr/bin/", "/boot/config-", "/boot/System.map-",
    "/boot/vmlinuz-", "/lib/modules/",
)  # fmt: skip
"""Beginnings of names that every user of a machine may read and that packages put there: a file there is called `*.pem`
because it is a certificate that all trust."""


def _wild_labels(pattern: str, around: Surroundings) -> tuple[str, ...]:
    """Labels of what *pattern* may name. A lone `*` names a folder's content and carries the folder's labels."""
    found = set(path_labels(pattern, around))
    public = pattern.startswith(_PUBLIC)
    components = [part for part in pattern.split("/") if part]
    for label in around.labels:
        for written in label.paths:
            if public and "/" not in written:
                continue
            wanted = around.home + written[1:] if written.startswith("~/") else written
            if _pattern_meets(components, wanted):
                found.add(label.name)
    return tuple(sorted(found))


def search_labels(pattern: str, around: Surroundings) -> tuple[str, ...]:
    """Labels of what a search for the names in *pattern*'s last part would open, hidden files included.

    There a `*` also matches a leading dot, and `{a,b}` is either.
    """
    folder, _, last = pattern.rpartition("/")
    if last == "**":
        return ()
    hidden = [
        (w, label.name) for label in around.labels for w in label.paths if w.startswith(".") and "/" not in w
    ]
    found: set[str] = set()
    for name in _alternatives(last):
        found.update(path_labels(f"{folder}/{name}", around))
        if _is_wild(name):
            found.update(label for written, label in hidden if names_meet(name, written))
    return tuple(sorted(found))


def _alternatives(name: str) -> list[str]:
    """*name* once for each choice in its braces; what is nested or too many counts as anything."""
    names = [name]
    while any("{" in one for one in names):
        one = next(one for one in names if "{" in one)
        before, _, rest = one.partition("{")
        inside_braces, closed, after = rest.partition("}")
        if not closed or "{" in inside_braces or len(names) > MAX_CHOICES:
            return ["*"]
        at = names.index(one)
        names[at : at + 1] = [before + choice + after for choice in inside_braces.split(",")]
    return names


MAX_CHOICES = 64
"""Most names that one search pattern is taken apart into."""


def _pattern_meets(components: list[str], wanted: str) -> bool:
    """Whether a path that the components match may also match the label pattern *wanted* (errs towards yes)."""
    pieces = [piece for piece in wanted.split("/") if piece and piece != "**"]
    if not pieces:
        return False
    if "/" not in wanted:
        return any(_is_wild(part) and set(part) != {"*"} and may_match(part, wanted) for part in components)
    if wanted.startswith("/") and not _beginnings_meet(components, wanted.split("/")[1:]):
        return False
    spans = range(len(components) - len(pieces) + 1)
    return any(
        all(may_match(part, piece) for part, piece in zip(components[at:], pieces, strict=False))
        and not all(set(part) == {"*"} for part in components[at : at + len(pieces)])
        for at in spans
    )


def _beginnings_meet(components: list[str], pieces: list[str]) -> bool:
    """Whether both may name one path as far as their first `**`: an absolute pattern begins at the disk's root."""
    for part, piece in zip(components, pieces, strict=False):
        if "**" in (part, piece):
            return True
        if not may_match(part, piece):
            return False
    return True


@lru_cache(maxsize=16_384)
def may_match(left: str, right: str) -> bool:
    """Whether some file name matches both shell patterns. A bracket expression with a range counts as any character."""
    if (right.startswith(".") and left[:1] in ("*", "?")) or (
        left.startswith(".") and right[:1] in ("*", "?")
    ):
        return False  # bash without dotglob: a leading dot is only matched by a dot
    return _meet(_tokens(left), _tokens(right))


def names_meet(left: str, right: str) -> bool:
    """Like `may_match`, but a wildcard also matches a leading dot, as in find(1) and fnmatch(3) without FNM_PERIOD."""
    return _meet(_tokens(left), _tokens(right))


_LETTERS = re.compile(r"\[([A-Za-z0-9]+)\]")
"""A bracket expression that is a plain list of characters."""

Token = str | frozenset[str]


def _tokens(pattern: str) -> tuple[Token, ...]:
    tokens: list[Token] = []
    at = 0
    while at < len(pattern):
        close = pattern.find("]", at + 2)
        if listed := _LETTERS.match(pattern, at):
            tokens.append(frozenset(listed.group(1)))
            at = listed.end()
        elif pattern[at] == "[" and close > 0:
            tokens.append("?")
            at = close + 1
        else:
            tokens.append(pattern[at])
            at += 1
    return tuple(tokens)


def _agree(a: Token, b: Token) -> bool:
    """Whether one character can be both."""
    if a == "*" or b == "*":
        return False
    if a == "?" or b == "?":
        return True
    if isinstance(a, str):
        return a == b if isinstance(b, str) else a in b
    return b in a if isinstance(b, str) else bool(a & b)


def _meet(left: tuple[Token, ...], right: tuple[Token, ...]) -> bool:
    """Whether two patterns of `*`, `?` and characters have a common match: O(len × len)."""
    reach = [[False] * (len(right) + 1) for _ in range(len(left) + 1)]
    reach[0][0] = True
    for i in range(len(left) + 1):
        for j in range(len(right) + 1):
            if not reach[i][j]:
                continue
            a = left[i] if i < len(left) else ""
            b = right[j] if j < len(right) else ""
            if a == "*":
                reach[i + 1][j] = True
                if b:
                    reach[i][j + 1] = True
            if b == "*":
                reach[i][j + 1] = True
                if a:
                    reach[i + 1][j] = True
            if a and b and _agree(a, b):
                reach[i + 1][j + 1] = True
    return reach[len(left)][len(right)]


__all__ = [
    "CONFIGURING_FOLDERS", "CONFIGURING_NAMES", "KINDS", "begun_effects", "climbing", "fixed_folder", "may_lie_above",
    "may_match", "names_meet", "path_effects", "search_labels", "sure", "unknown_path",
]  # fmt: skip
