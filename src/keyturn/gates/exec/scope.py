"""What a decided command may start without being asked for again: pure, no process is looked at here.

Rules kept here:

- A command that was allowed opens a *scope* for its process and what descends from it. The scope holds the programs
  that the command's reading names, with the words it names them with, and nothing else.
- A word that the shell fills in when it runs (a variable, a pattern) was decided on unfilled: such a program is
  predicted by its name, a program whose words are all known only with exactly those words.
- A program outside the system's folders is predicted only with the content that was digested for the decision.
- A command whose reading runs code opens a *wide* scope: what policy would merely hold is part of running that code.
  What policy refuses stays refused, and what leaves the process tree is always asked for (`leaves`).
- A variable that changes what programs do (`behaviour`) must be as it was when the scope was opened.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from msgspec import Struct

from keyturn.actions import Reading, Step

SYSTEM_FOLDERS = (
    "/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/lib", "/usr/libexec",
    "/lib", "/usr/lib64", "/lib64",
)  # fmt: skip
"""Where a program's name says what it is: an ordinary user can't put one there, and policy guards the folders as system."""

_BY_NAME = frozenset(("/usr/bin", "/bin", "/usr/sbin", "/sbin"))

_COMPILER = ("cc1", "cc1plus", "as", "collect2", "ld", "ld.bfd", "ld.gold", "lto1", "lto-wrapper", "f951")
_PAGERS = ("less", "more", "pager")

KNOWN_CHILDREN: dict[str, tuple[str, ...]] = {
    "cc": _COMPILER,
    "gcc": _COMPILER,
    "g++": _COMPILER,
    "c++": _COMPILER,
    "c99": _COMPILER,
    "git": ("git", *_PAGERS),
    "man": ("man", "preconv", "tbl", "eqn", "groff", "nroff", "troff", "grotty", "col", "manpath", *_PAGERS),
    "zcat": ("gzip",),
    "gunzip": ("gzip",),
    "zgrep": ("grep", "gzip", "sed", "cat"),
    "lesspipe": ("basename", "dirname"),
    "egrep": ("grep",),
    "fgrep": ("grep",),
    "ldd": ("ld-linux-x86-64.so.2", "ld-linux.so.2"),
}
"""Helpers that a program starts by itself, from the system's folders only. Sources: gcc(1) -print-prog-name, man-db's
man(1), git(1) --exec-path, and the text of the shell scripts zcat(1), gunzip(1), zgrep(1), egrep(1), ldd(1)."""

_SYMLINKED = re.compile(r"(?P<name>[a-z+]+?)(?:-[0-9.]+)?$")

_LEAVING = frozenset(
    (
        "sudo", "su", "doas", "pkexec", "runuser", "setpriv", "newgrp", "sg", "login", "machinectl", "chroot",
        "docker", "podman", "nerdctl", "ctr", "crictl", "lxc", "lxc-attach", "kubectl", "oc", "helm",
        "systemctl", "systemd-run", "service", "initctl", "busctl", "dbus-send", "gdbus", "loginctl",
        "at", "batch", "crontab", "tmux", "screen", "dtach", "abduco", "ssh", "scp", "sftp", "rsh", "mosh", "slogin",
        "nsenter", "unshare", "bwrap", "keyturn", "socat", "emacsclient", "gdb", "strace", "ltrace",
    )
)  # fmt: skip
"""Programs that have work done by a process outside the tree, by another machine, or as another user; and those that
trace or that a gate can't follow. In a wide scope, too, they are asked for."""

_BEHAVIOUR_PREFIXES = (
    "LD_", "DYLD_", "GIT_", "PYTHON", "PERL", "RUBY", "NODE_", "BASH_FUNC_", "LESS", "MAN", "npm_config_", "NPM_CONFIG_",
    "PIP_", "UV_", "CARGO", "RUST", "GO", "DOCKER_", "AWS_", "KUBE", "JAVA_", "JDK_", "MAVEN_", "GRADLE_", "RSYNC_",
    "XDG_", "FZF_", "PROMPT", "SUDO_", "SSH_", "LUA_", "PHP", "R_", "COMPOSER_", "TF_",
)  # fmt: skip
_BEHAVIOUR_NAMES = frozenset(
    (
        "PATH", "HOME", "ENV", "BASH_ENV", "SHELL", "SHELLOPTS", "BASHOPTS", "PS4", "IFS", "CDPATH", "ZDOTDIR", "FPATH",
        "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "HOSTALIASES", "RES_OPTIONS", "MALLOC_CONF",
        "PAGER", "EDITOR", "VISUAL", "BROWSER", "FCEDIT", "SYSTEMD_PAGER", "BAT_PAGER", "GH_PAGER", "DELTA_PAGER",
        "MAKEFLAGS", "MFLAGS", "MAKEFILES", "GNUMAKEFLAGS", "CC", "CXX", "CPP", "LD", "AS", "AR", "CFLAGS", "CXXFLAGS",
        "CPPFLAGS", "LDFLAGS", "GCC_EXEC_PREFIX", "COMPILER_PATH", "LIBRARY_PATH", "CPATH", "TAR_OPTIONS", "TAPE",
        "GZIP", "XZ_OPT", "ZIPOPT", "UNZIP", "GREP_OPTIONS", "RIPGREP_CONFIG_PATH", "CURL_HOME", "WGETRC", "SYSTEM_WGETRC",
        "TERMINFO", "TERMINFO_DIRS", "TERMCAP", "INPUTRC", "OPENSSL_CONF", "OPENSSL_ENGINES", "SSLKEYLOGFILE",
        "_JAVA_OPTIONS", "CLASSPATH", "TCLLIBPATH", "AWKPATH", "AWKLIBPATH", "POSIXLY_CORRECT", "VIMINIT", "EXINIT", "VIM",
        "VIMRUNTIME", "EMACSLOADPATH", "PGHOST", "PGSERVICEFILE", "PSQLRC", "PSQL_EDITOR", "MYSQL_HOME", "SQLITE_HISTORY",
        "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "RSH", "CVS_RSH",
        "DBUS_SESSION_BUS_ADDRESS", "TMPDIR", "HG", "HGRCPATH", "HGEDITOR", "SVN_EDITOR", "SVN_SSH", "EDITRC",
    )
)  # fmt: skip


class Child(Struct, frozen=True):
    """A program that may be started: `program` is a name in the system's folders, or a whole path.

    `words` are its words after the name, None when any will do; `digest` is what the file must be, where it is a path.
    """

    program: str
    words: tuple[str, ...] | None = None
    digest: str = ""


class Started(Struct, frozen=True):
    """A program that is being started, as far as a scope looks at it. `digest` is of the program, or of its script."""

    path: str
    words: tuple[str, ...]
    environment: dict[str, str]
    digest: str = ""


class Scope(Struct, frozen=True):
    """What one decided command may start.

    `within` is the allowed action that runs code and to which all that is started here belongs (a wide scope), else empty.
    """

    children: frozenset[Child] = frozenset()
    within: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    def predicts(self, started: Started) -> bool:
        """Whether *started* was decided on together with the command that opened this scope."""
        if tuple(sorted(behaviour(started.environment).items())) != self.environment:
            return False
        name = system_name(started.path)
        for child in self.children:
            if child.words is not None and child.words != started.words:
                continue
            if name is not None and child.program == name:
                return True
            if child.program == started.path and child.digest and child.digest == started.digest:
                return True
        return False


def opened(
    action: str,
    reading: Reading,
    cwd: str,
    executes: Mapping[str, str],
    environment: Mapping[str, str],
    above: Scope | None = None,
) -> Scope:
    """The scope of the command with *reading*, allowed as *action* in *cwd* with the files that it *executes* digested.

    What is started in the wide scope *above* it stays part of that.
    """
    children: set[Child] = set()
    for step in reading.steps:
        if step.argv:
            children.update(_of_step(step, cwd, executes))
    runs_code = reading.complete and any(
        effect.verb == "executes" for step in reading.steps for effect in step.effects
    )
    within = (above.within if above else "") or (action if runs_code else "")
    return Scope(frozenset(children), within, tuple(sorted(behaviour(environment).items())))


def _of_step(step: Step, cwd: str, executes: Mapping[str, str]) -> set[Child]:
    word, rest = step.argv[0], step.argv[1:]
    words = None if any(_filled_in(one) for one in rest) else rest
    name = word if "/" not in word else system_name(posixpath.normpath(posixpath.join(cwd, word)))
    if name is None:
        path = posixpath.normpath(posixpath.join(cwd, word))
        return {Child(path, words, executes[path])} if path in executes else set()
    return {Child(name, words), *(Child(child) for child in helpers(name))}


def helpers(program: str) -> tuple[str, ...]:
    """What *program* starts by itself, whatever its version's suffix."""
    match = _SYMLINKED.fullmatch(program)
    return KNOWN_CHILDREN.get(match["name"] if match else program, ())


def _filled_in(word: str) -> bool:
    """Whether the shell, or the program that starts it, fills *word* in: a variable, a pattern, `find`'s braces."""
    return any(mark in word for mark in "$*?[{`~")


def system_name(path: str) -> str | None:
    """The name of the program at absolute *path*, when it lies in one of the system's folders; else None."""
    folder, name = posixpath.split(path)
    inside = any(folder == one or folder.startswith(one + "/") for one in SYSTEM_FOLDERS)
    return name if inside and ".." not in path.split("/") else None


def spoken_name(path: str) -> str:
    """How a command line names the program at *path*: by its name where every PATH finds it, else by its path."""
    folder, name = posixpath.split(path)
    return name if folder in _BY_NAME else path


def leaves(*paths: str) -> bool:
    """Whether a program, under one of its *paths*, has work done outside the process tree."""
    return any(posixpath.basename(path) in _LEAVING for path in paths)


def behaviour(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of *environment* that change what programs do, beside what they are told."""
    return {
        name: value
        for name, value in environment.items()
        if name in _BEHAVIOUR_NAMES or name.startswith(_BEHAVIOUR_PREFIXES)
    }


__all__ = [
    "Child",
    "Scope",
    "Started",
    "behaviour",
    "helpers",
    "leaves",
    "opened",
    "spoken_name",
    "system_name",
]
