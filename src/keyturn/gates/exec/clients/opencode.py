"""opencode (seen in 1.18.33): asks git much, and keeps copies of the work folder in a git folder of its own."""

from __future__ import annotations

from keyturn.gates.exec.clients import Client, Wrapping

_COMMIT = "[0-9a-f]{40}"
_SINCE = (_COMMIT, "--", r"\.")
_BETWEEN = (_COMMIT, _COMMIT, "--", r"\.")

CLIENT = Client(
    name="opencode",
    wrapping=Wrapping(("-c",), "(?P<script>(?s:.+))"),
    git=(
        ("rev-parse", "--(?:show-toplevel|git-dir|git-common-dir)"),
        ("rev-parse", "--path-format=absolute", "--git-common-dir"),
        ("rev-parse", "--path-format=absolute", "--git-path", "info/exclude"),
        ("rev-list", "--max-parents=0", "HEAD"),
        ("remote",),
        ("remote", "get-url", "origin"),
        ("symbolic-ref", "--quiet", "--short", "HEAD"),
        ("for-each-ref", r"--format=%\(refname:short\)", "refs/heads"),
        ("config", r"init\.defaultBranch"),
        ("ls-files", "--full-name", "--others", "--exclude-standard", "-z", "--", r"\."),
        ("check-ignore", "--no-index", "--stdin", "-z"),
        ("cat-file", "--batch"),
        ("diff-files", "--name-only", "-z", "--", r"\."),
        ("diff", "--cached", "--no-ext-diff", "--name-only", *_SINCE),
        ("diff", "--no-ext-diff", "--name-status", "--no-renames", *_BETWEEN),
        ("diff", "--no-ext-diff", "--no-renames", "--numstat", *_BETWEEN),
    ),
    git_writes=(
        ("config", r"core\.(?:autocrlf|longpaths|symlinks|fsmonitor|untrackedCache)", "true|false"),
        ("config", r"feature\.manyFiles|index\.threads", "true|false"),
        ("config", r"index\.version", "4"),
        ("init",),
        ("add", "--all", "--sparse", "--pathspec-from-file=-", "--pathspec-file-nul"),
        ("write-tree",),
    ),
    git_folder=r"{home}/\.local/share/opencode/snapshot/[a-z0-9]+/[0-9a-f]{40}",
)
