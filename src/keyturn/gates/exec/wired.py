"""A known client in the tree: which of its starts are its own, and which are commands that its hook allowed.

Rules kept here:

- Only a process that is the client itself, or a child of it that is still running the client's program, starts what is the
  client's own. A process that runs a command is not the client, and neither is anything below it, whoever adopts it.
- What is the client's own is listed word for word (`clients/`), with variables that are inert or as they were (`inert`).
  What such a helper starts itself is listed, too; a hook of git's or a filter is not, and so it is asked for.
- A command is taken out of its wrapping only where the wrapping is exactly the known one. The file that it reads in first
  must have been written by the client's own shell under this gate, and be what it was when it was first read in.
"""

from __future__ import annotations

import posixpath
import re
import shutil
from collections.abc import Callable, Sequence
from typing import Literal

from msgspec import Struct

from keyturn.gates.exec import family
from keyturn.gates.exec.clients import Child, Client, git
from keyturn.gates.exec.clients.inert import active
from keyturn.gates.exec.hooked import Hooks
from keyturn.gates.exec.model import Exec, FileIdentity
from keyturn.gates.exec.proposals import changed_variables, started
from keyturn.gates.exec.scope import Started, spoken_name, system_name
from keyturn.gates.hooks.contents import MAX_TEXT, looked_at

_BARE = re.compile(r"[A-Za-z0-9_./@%+=:,-]+")
_WHOLE_PATH = re.compile(r"command '(?P<path>/[A-Za-z0-9_./@%+=:,-]+)'(?P<rest>(?: (?s:.*))?)")
_QUOTED = re.compile(r"'(?:[^']|'\"'\"')*'")


class Around(Struct, frozen=True):
    """Where a client runs. `temporary` is its folder of temporary files, `baseline` the environment of its start."""

    home: str
    temporary: str
    baseline: dict[str, str]
    uid: int
    hooks: Hooks | None = None


class Command(Struct, frozen=True):
    """A command out of its wrapping, as the client's hook was asked about it."""

    script: str
    dialect: Literal["bash", "posix"] = "bash"
    others: tuple[str, ...] = ()
    """The same command in the words that the client was given, where it put a program's whole path in their place."""


class _Member(Struct, frozen=True):
    """A process of the client's: the client itself (`helper` is None), or a helper with what it may start."""

    serial: str
    helper: tuple[Child, ...] | None = None
    hooks: bool = False


class Wired:
    """The client's side of one tree. `serial` tells a process from others that had its id, empty when it is gone."""

    def __init__(self, client: Client, around: Around, serial: Callable[[int], str]) -> None:
        self.client = client
        self._around = around
        self._serial = serial
        self._path = around.baseline.get("PATH", "")
        self._members: dict[int, _Member] = {}
        self._names: dict[str, str] = {}
        self._first: tuple[str, ...] = ()
        self._images: set[tuple[int, int, str]] = set()
        self._snapshots: dict[str, str] = {}

    # --- the client's own ------------------------------------------------------------------------------

    def first(self, seen: Exec) -> None:
        """The client itself starts."""
        script = seen.script
        package = posixpath.realpath(script.path if script else seen.path)
        at = package.rfind("/node_modules/")
        self._names = {
            "{home}": self._around.home,
            "{temporary}": self._around.temporary,
            "{package}": package[: at + len("/node_modules")] if at >= 0 else posixpath.dirname(package),
            "{script}": seen.path if script else "",
        }
        self._first = seen.argv[1:]
        if script is None:
            self._images.add(_identity(seen.file))
        self._members[seen.tgid] = _Member(self._serial(seen.tgid))

    def interpreter(self, seen: Exec) -> bool:
        """Whether `env`, from the client's first line, goes on to the interpreter that the person's own PATH finds."""
        script, name = self._names.get("{script}", ""), posixpath.basename(seen.path)
        member = self._members.get(seen.tgid)
        if (
            "{interpreter}" in self._names
            or not script
            or member is None
            or (member.serial, member.helper) != (self._serial(seen.tgid), None)
            or seen.argv != (name, script, *self._first)
            or shutil.which(name, path=self._path) != seen.path
            or self._active(self._changed(seen))
        ):
            return False
        self._names["{interpreter}"] = seen.path
        return True

    def owns(self, seen: Exec, commanded: Callable[[int], bool]) -> bool:
        """Whether this start is the client's own. *commanded* tells of a process that a decision was made for."""
        above = self._above(seen, commanded)
        if above is None:
            return False
        if above.helper is not None:
            return self._of_helper(seen, above)
        changed = self._changed(seen)
        folder = self._git_folder(changed)
        if self._active(changed):
            return False
        member = self._itself(seen) or self._hook(seen) or self._writer(seen) or self._listed(seen, folder)
        if member is None:
            return False
        self._keep(seen.tgid, member)
        return True

    def starts(self, seen: Exec, commanded: Callable[[int], bool]) -> bool:
        """Whether it is the client itself that starts *seen*."""
        above = self._above(seen, commanded)
        return above is not None and above.helper is None

    def _above(self, seen: Exec, commanded: Callable[[int], bool]) -> _Member | None:
        """Whose start it is: the client's, if nothing was started in between, or a helper's."""
        for steps, (pid, serial) in enumerate(family.above(seen.tgid)):
            if commanded(pid):
                return None
            member = self._members.get(pid)
            if member is not None and member.serial == serial:
                forked = steps == 0 or (steps == 1 and family.same_program(seen.tgid, pid))
                return member if member.helper is not None or forked else None
        return None

    def _of_helper(self, seen: Exec, above: _Member) -> bool:
        name, words = system_name(seen.path), seen.argv[1:]
        if above.hooks and self._around.hooks is not None:
            shell = name == "sh" and words in self._around.hooks.inner
            return shell or self._around.hooks.asks(seen.path, words)
        return not _misnamed(seen) and any(
            name == one.program and words == one.words for one in above.helper or ()
        )

    def _itself(self, seen: Exec) -> _Member | None:
        """Another process of the client's own program."""
        if _identity(seen.file) in self._images and seen.script is None:
            called = posixpath.basename(seen.argv[0] if seen.argv else "")
            if any(one.called == called and one.program == "rg" for one in self.client.stand_ins):
                return _Member(self._serial(seen.tgid), ())
        for path, words in self.client.programs:
            whole = [one if one != "..." else None for one in words]
            if self._matches((path,), (seen.path,)) and self._words_of_first(whole, seen.argv[1:]):
                self._images.add(_identity(seen.file))
                return _Member(self._serial(seen.tgid))
        return None

    def _words_of_first(self, pattern: Sequence[str | None], words: tuple[str, ...]) -> bool:
        if pattern and pattern[-1] is None:
            head = [one for one in pattern if one is not None]
            return words[len(head) :] == self._first and self._matches(head, words[: len(head)])
        return self._matches([one for one in pattern if one is not None], words)

    def _hook(self, seen: Exec) -> _Member | None:
        hooks, words = self._around.hooks, seen.argv[1:]
        if hooks is None:
            return None
        before = self.client.hook_shell
        through = (
            bool(before)
            and system_name(seen.path) in ("bash", "sh")
            and len(words) == len(before) + 1
            and words[:-1] == before
            and words[-1] in hooks.lines
        )
        if through or (not _misnamed(seen) and hooks.asks(seen.path, words)):
            return _Member(self._serial(seen.tgid), (), hooks=True)
        return None

    def _writer(self, seen: Exec) -> _Member | None:
        """The shell that writes the snapshot, whose path is from here on known."""
        if self.client.snapshot is None or system_name(seen.path) != "bash":
            return None
        before, pattern = self.client.snapshot
        words = seen.argv[1:]
        if len(words) != len(before) + 1 or words[:-1] != before:
            return None
        found = re.fullmatch(self._filled(pattern), words[-1])
        if found is None or found["path"] in self._snapshots:
            return None
        self._snapshots[found["path"]] = ""
        return _Member(self._serial(seen.tgid), self.client.snapshot_children)

    def _changed(self, seen: Exec) -> dict[str, str]:
        return changed_variables(seen.environment, self._around.baseline)

    def _active(self, changed: dict[str, str]) -> dict[str, str]:
        """The variables of *changed* that are neither inert nor of the client's own folders."""
        return active(
            changed, self._path, lambda one: any(self._matches((p,), (one,)) for p in self.client.folders)
        )

    def _git_folder(self, changed: dict[str, str]) -> str:
        """The client's own git folder, where *changed* names it; that is no variable of anybody else's then."""
        folder = changed.get("GIT_DIR", "")
        if not folder or not self._own_folder(folder):
            return ""
        del changed["GIT_DIR"]
        changed.pop("GIT_WORK_TREE", None)
        return folder

    def _own_folder(self, folder: str) -> bool:
        return bool(self.client.git_folder) and self._matches((self.client.git_folder,), (folder,))

    def _listed(self, seen: Exec, folder: str) -> _Member | None:
        name, words = system_name(seen.path), seen.argv[1:]
        if name is None or _misnamed(seen):
            return None
        if name == "git" and self._git(words, folder):
            return _Member(self._serial(seen.tgid), ())
        for own in self.client.own:
            if own.program == name and self._matches(own.words, words):
                return _Member(self._serial(seen.tgid), own.children)
        return None

    def _git(self, words: tuple[str, ...], folder: str) -> bool:
        found = git.parted(words)
        if found is None:
            return False
        folder, rest = found[0] or folder, found[1]
        return git.question(rest) or (
            self._own_folder(folder) and any(self._matches(one, rest) for one in self.client.git_writes)
        )

    # --- commands ----------------------------------------------------------------------------------------

    def command(self, seen: Exec, commanded: Callable[[int], bool]) -> Command | None:
        """The command that the client starts with *seen*, out of its wrapping; None where it is not exactly that."""
        above, wrapping = self._above(seen, commanded), self.client.wrapping
        if above is None or above.helper is not None or system_name(seen.path) != "bash" or _misnamed(seen):
            return None
        if self._active(self._changed(seen)):
            return None
        words = seen.argv[1:]
        if len(words) != len(wrapping.before) + 1 or words[:-1] != wrapping.before:
            return None
        found = re.fullmatch(self._filled(wrapping.text), words[-1])
        if found is None or (wrapping.snapshot and not self._unchanged(found[wrapping.snapshot])):
            return None
        script = _unquoted(found["script"]) if wrapping.quoted else found["script"]
        others = _in_other_words(script, seen.cwd) if wrapping.whole_paths else ()
        return Command(script, others=others) if script else None

    def _unchanged(self, path: str) -> bool:
        """Whether the snapshot at *path* is the client's own, as it was when a command first read it in."""
        before = self._snapshots.get(path)
        if before is None:
            return False
        file, _ = looked_at(path, self._around.uid, MAX_TEXT)
        if file.digest and not before:
            self._snapshots[path] = before = file.digest
        return bool(file.digest) and file.digest == before

    def started(self, seen: Exec) -> Started:
        """*seen* as a scope looks at it: the client's own program, where it stands in for a system's, is that one."""
        if seen.script is None and _identity(seen.file) in self._images:
            called, words = seen.argv[0] if seen.argv else "", seen.argv[1:]
            for one in self.client.stand_ins:
                if one.called == called and words[: len(one.before)] == one.before:
                    return Started(f"/usr/bin/{one.program}", words[len(one.before) :], seen.environment)
        return started(seen)

    def baseline(self, seen: Exec) -> dict[str, str]:
        """The variables that *seen* is compared with: what the client itself sets, and is inert, is no difference."""
        before, changed = self._around.baseline, self._changed(seen)
        kept = self._active(changed)
        same = {
            name: seen.environment[name] for name in changed if name not in kept and name in seen.environment
        }
        gone = {name for name in changed if name not in kept and name not in seen.environment}
        return {name: value for name, value in {**before, **same}.items() if name not in gone}

    # --- what both use --------------------------------------------------------------------------------------

    def _keep(self, tgid: int, member: _Member) -> None:
        self._members[tgid] = member
        if len(self._members) > 4_096:
            self._members = {
                pid: one for pid, one in self._members.items() if one.serial == self._serial(pid)
            }

    def _filled(self, pattern: str) -> str:
        for name, value in self._names.items():
            pattern = pattern.replace(name, re.escape(value))
        return pattern

    def _matches(self, patterns: Sequence[str], words: Sequence[str]) -> bool:
        return len(patterns) == len(words) and all(
            re.fullmatch(self._filled(pattern), word) is not None
            for pattern, word in zip(patterns, words, strict=True)
        )


def _in_other_words(script: str, folder: str) -> tuple[str, ...]:
    """What `command '/whole/path' words` may have been before: that path relative to *folder*, or a system program's name.

    A name with a slash is no function's and no alias's, so `command` changes nothing for it; of the others, only names that the
    system's folders have are told.
    """
    found = _WHOLE_PATH.fullmatch(script)
    if found is None or posixpath.normpath(found["path"]) != found["path"]:
        return ()
    path, rest = found["path"], found["rest"]
    names = [path]
    if path.startswith(f"{folder}/"):
        inside = path.removeprefix(f"{folder}/")
        names += [f"./{inside}", inside] if "/" in inside else [f"./{inside}"]
    name = spoken_name(path)
    if name != path:
        names.append(name)
    return tuple(one + rest for one in names)


def _identity(file: FileIdentity) -> tuple[int, int, str]:
    return (file.device, file.inode, file.sha256)


def _misnamed(seen: Exec) -> bool:
    return not seen.argv or posixpath.basename(seen.argv[0]) != posixpath.basename(seen.path)


def _unquoted(word: str) -> str:
    """The text that one word stands for, empty when it is not quoted in the client's one way: '…' with '"'"' for a quote."""
    if _BARE.fullmatch(word):
        return word
    return word[1:-1].replace("'\"'\"'", "'") if _QUOTED.fullmatch(word) else ""


__all__ = ["Around", "Command", "Wired"]
