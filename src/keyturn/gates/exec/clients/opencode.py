"""opencode (seen in 1.18.33): asks git much, and keeps copies of the work folder in a git folder of its own."""

from __future__ import annotations

from keyturn.gates.exec.clients import Client, Wrapping

CLIENT = Client(
    name="opencode",
    wrapping=Wrapping(("-c",), "(?P<script>(?s:.+))"),
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
