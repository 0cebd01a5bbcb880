"""Claude Code (seen in 2.1.329).

Before its first command it writes a *snapshot* of the user's shell (functions, aliases, options) by a shell of its own,
and reads it in before each command. It is handed to that shell with `-c -l`, as nothing else is that this client starts:
commands of settings (hooks, status line, servers) come with `-c` alone, those of its agent in the wrapping below.
"""

from __future__ import annotations

from keyturn.gates.exec.clients import Child, Client, Own, StandIn, Wrapping

_SNAPSHOT = r"{home}/\.claude/shell-snapshots/snapshot-bash-[0-9]+-[a-z0-9]+\.sh"
_UNSET = (
    r"\{ \\builtin unalias -- '[a-z_]+'; \\builtin unset -f -- '[a-z_]+'; \} >/dev/null 2>&1 \|\| true && "
)
_TEXT = (
    rf"source (?P<snapshot>{_SNAPSHOT}) 2>/dev/null \|\| true && "
    r"(?:\\builtin shopt -u extglob 2>/dev/null \|\| true && )?"
    rf"(?:{_UNSET})*"
    r"eval (?P<script>(?s:.+?))(?: < /dev/null)? && pwd -P >\| {temporary}/claude-[0-9a-f]{4}-cwd"
)
_WRITING = (
    rf"SNAPSHOT_FILE=(?P<path>{_SNAPSHOT})\n(?s:.*)\n\s*# Exit silently on success, only report errors\n"
    r"\s*if \[ ! -f \"\$SNAPSHOT_FILE\" \]; then\n\s*echo \"Error: Snapshot file was not created at \$SNAPSHOT_FILE\" >&2\n"
    r"\s*exit 1\n\s*fi\s*"
)
_CALLED = ("-G", "--ignore-files", "--hidden", "-I", "--encoding=UTF-8", *(
    f"--exclude-dir={name}" for name in (".git", ".svn", ".hg", ".bzr", ".jj", ".sl")
))  # fmt: skip

CLIENT = Client(
    name="claude-code",
    wrapping=Wrapping(("-c",), _TEXT, quoted=True, snapshot="snapshot"),
    own=(
        Own("bash", ("-c", "env"), (Child("env"),)),
        Own("ps", ("-o", r"[a-z=,]+", "-p", "[0-9]+")),
    ),
    stand_ins=(
        StandIn("bfs", ("-S", "dfs", "-regextype", "findutils-default"), "find"),
        StandIn("ugrep", _CALLED, "grep"),
        StandIn("rg", (), "rg"),
    ),
    snapshot=(("-c", "-l"), _WRITING),
    snapshot_children=(
        Child("id", ("-u",)),
        Child("cat"),
        Child("awk", ('$2 == "on" || $1 == "monitor" {print "set -o " $1}',)),
        Child("sed", ("-e", "1001,$d", "-e", "s/^alias -- /alias /", "-e", "s/^alias /alias -- /")),
    ),
)
