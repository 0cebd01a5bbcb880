"""Which variables a script may set, and what setting them would do to programs that run later.

A plain variable of the script's own is harmless unless programs or the shell obey its name (`PATH`, `LD_*`, `GIT_*`,
`BASH_ENV`, …): setting such a name is an effect, `configures` of zone `code`. A few names change how the rest of the
script itself is read; those are not understood. A plain assignment changes the environment, too, if the name is
there already, so it is judged like one that programs can see.
"""

from __future__ import annotations

import re

from keyturn.actions import Effect
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

_SAFE_VALUE = re.compile(r"[A-Za-z0-9_.@:,+-]{0,64}")

CHANGES_READING = words(
    "HOME PWD OLDPWD CDPATH GLOBIGNORE SHELLOPTS BASHOPTS POSIXLY_CORRECT BASH_ALIASES BASH_CMDS BASH_COMPAT DIRSTACK "
    "EXECIGNORE FUNCNEST histchars BASH_ARGV0 RANDOM SRANDOM SECONDS LINENO BASHPID HISTCMD EPOCHSECONDS "
    "EPOCHREALTIME BASH_SUBSHELL UID EUID PPID GROUPS FUNCNAME PIPESTATUS OPTIND COMP_WORDBREAKS"
)
"""Names that decide what later words, folders or commands mean, or that evaluate what they are given (bash(1))."""

_OBEYED = re.compile(
    r"_?(?:LD_|DYLD_|GCONV_|GIT_|PYTHON|PIP_|UV_|CONDA|VIRTUAL_ENV|POETRY_|PYTEST_|NODE_|NPM_|npm_|YARN_|PNPM_|COREPACK_"
    r"|DENO_|BUN_|ELECTRON_|RUBY|GEM_|BUNDLE_|PERL|JAVA|JDK_|JAVA_|M2_|MAVEN_|GRADLE_|ANT_|KOTLIN_|SCALA_|SBT_|CARGO_"
    r"|RUST|CGO_|GO(?:FLAGS|PATH|ROOT|BIN|PROXY|ENV|PRIVATE|TOOLCHAIN|DEBUG|SUMDB|NOSUMDB|INSECURE|WORK|TMPDIR)"
    r"|MAKE|CMAKE|CTEST_|NINJA_|CCACHE|DISTCC|BAZEL|BASH|ZDOTDIR|FPATH|SSH_|GPG_|GNUPG|PINENTRY|DOCKER_|COMPOSE_|BUILDKIT"
    r"|CONTAINER|PODMAN|KUBE|HELM_|AWS_|AZURE_|ARM_|GOOGLE_|GCLOUD_|CLOUDSDK_|TF_|ANSIBLE_|VAULT_|CONSUL_|PG[A-Z]|PSQL|MYSQL_|MYCLI"
    r"|REDIS|SQLITE|LESS|MAN(?:PAGER|PATH|OPT|ROFFOPT|WIDTH)|GROFF|TROFF|GREP_|RIPGREP_|FZF_|BAT_|ACK|AG_|TAR_|TAPE|GZIP|BZIP|XZ_|ZSTD_"
    r"|ZIP|UNZIP|RSYNC_|CURL_|WGET|FTP_|SSL|OPENSSL|REQUESTS_|XDG_|DBUS_|WAYLAND_|XAUTH|SYSTEMD_|SUDO_|DOTNET_|MSBUILD|NUGET_"
    r"|CORECLR|COMPLUS_|PHP|COMPOSER_|LUA_|TCL|R_|JULIA_|ERL|ELIXIR|HEX_|MIX_|GHC|CABAL|STACK_|EMACS|VIM|NVIM|TERMINFO|TERMCAP|NLS"
    r"|LOC(?:PATH|ALEDIR|ALDOMAIN)|RES_|HOSTALIASES|MALLOC_|GLIBC_|ASAN_|LSAN_|UBSAN_|TSAN_|LLVM|GCC_|GDB|STRACE|VALGRIND|QT_|GTK|GDK_"
    r"|GIO_|GST_|PKG_|ACLOCAL|AUTO(?:CONF|MAKE|M4TE)|LIBTOOL|DEB|DPKG|APT_|RPM|BREW|HOMEBREW|NIX|GUIX|SNAP|FLATPAK|CHEF|PUPPET|SALT|VAGRANT"
    r"|PACKER|CLAUDE|ANTHROPIC|OPENAI|CODEX|GEMINI|CURSOR|COPILOT|KEYTURN|GITHUB_|GITLAB_|GH_|GLAB_|HG|SVN_|CVS|BZR|DIRENV|ASDF|MISE|RBENV"
    r"|PYENV|NVM|SDKMAN|FORCE_UNSAFE|HIST|COMP_|PROMPT|TIMEFORMAT|PS[0-4]).*"
)
"""Families of names that well-known programs, interpreters, the dynamic linker or the shell obey (their manual pages)."""

_OBEYED_NAMES = words(
    "PATH ENV CC CXX CPP LD AR AS NM RANLIB STRIP FC F77 AWK SED LEX YACC PAGER EDITOR VISUAL BROWSER SHELL TERM "
    "TMPDIR TMP TEMP TEMPDIR USER LOGNAME MAIL MAILPATH MAILCHECK INPUTRC FCEDIT FIGNORE OPTERR DISPLAY HOSTNAME HOSTTYPE "
    "CFLAGS CXXFLAGS CPPFLAGS LDFLAGS LDLIBS LIBS LIBRARY_PATH CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH OBJC_INCLUDE_PATH "
    "COMPILER_PATH CLASSPATH INFOPATH PROMPT READNULLCMD NULLCMD TMOUT IGNOREEOF TZDIR LANGSPEC CHILD_MAX EXINIT NEXINIT "
    "SELINUX_INIT SYSTEMROOT COMSPEC VERSION_CONTROL SIMPLE_BACKUP_SUFFIX POSIX_ME_HARDER BLOCKSIZE BLOCK_SIZE COLORTERM "
    "http_proxy https_proxy ftp_proxy all_proxy no_proxy rsync_proxy auto_resume path fpath cdpath manpath module_path "
    "prompt watch psvar fignore mailpath argv status"
)
"""Single names of the same kind, and the arrays that zsh ties to its own (zshparam(1))."""

_OBEYED_ENDINGS = re.compile(
    r".*(?:PAGER|EDITOR|BROWSER|SHELL|ASKPASS|PROXY|OPTIONS|_OPTS|_OPTS_FILE|OPT|FLAGS|COMMAND|_CMD|_CONFIG|_CONFIG_FILE|RC|_RCFILE"
    r"|_HOME|_ROOT|PATH|PRELOAD|WRAPPER|_ARGS|_PLUGINS?|_HOOKS?|_SCRIPT|_EXEC|_AGENT|_SOCK|_HOST|_ENDPOINT|_URL|_REGISTRY)"
)
"""How names end that programs look for in their environment; asked of variables that programs are given to see."""


def value_of(assignment: Assignment) -> str | None:
    """The value, if it is known, else None."""
    if assignment.value is None:
        return None
    parts = assignment.value.parts
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.value for part in parts if isinstance(part, Text))
    return None


def variable_problem(name: str) -> str | None:
    """Why a script that sets *name* is not understood, or None."""
    if name in CHANGES_READING:
        return f"The variable {name} may change what the rest of the script means"
    return None


def variable_effect(name: str, value: str | None, visible: bool) -> Effect | None:
    """What setting *name* to *value* (None: only known at run time) does; *visible* if programs are given it."""
    if name in EXACT and value in EXACT[name]:
        return None
    usual = value is not None and _SAFE_VALUE.fullmatch(value) and ".." not in value
    if name in SAFE_ENVIRONMENT:
        obeyed = not usual
    else:
        obeyed = name in _OBEYED_NAMES or bool(_OBEYED.fullmatch(name))
        seen = name == "IFS" or name in CHANGES_READING or bool(_OBEYED_ENDINGS.fullmatch(name))
        obeyed = obeyed or (visible and seen)
    return Effect("configures", f"${name}", "code") if obeyed else None


_SECRET = re.compile(r"TOKEN|SECRET|PASSW|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIAL", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a variable is called as those are that hold credentials."""
    return bool(_SECRET.search(name))
