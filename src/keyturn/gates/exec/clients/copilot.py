"""GitHub Copilot CLI (seen in 1.0.102): a loader in Node that goes on to a program of the client's own."""

from __future__ import annotations

from keyturn.gates.exec.clients import Child, Client, Own, Wrapping

_LOGIN = (
    r"printf %s '__copilot_login_env_snapshot_[0-9a-f_]+'; if ! command env -0 2>/dev/null; then for __copilot_k in "
    r"\$\(compgen -e\); do printf '%s=%s\\0' \"\$__copilot_k\" \"\$\{!__copilot_k\}\"; done; fi"
)

CLIENT = Client(
    name="copilot",
    wrapping=Wrapping(("--norc", "--noprofile", "-c"), "(?P<script>(?s:.+))", whole_paths=True),
    programs=(
        (r"{package}/@github/copilot-linux-[a-z0-9]+/copilot", ("...",)),
        (r"{package}/@github/copilot-linux-[a-z0-9]+/copilot", ("--binary-version",)),
    ),
    hook_shell=("--norc", "--noprofile", "-c"),
    folders=(r"{home}/\.cache/copilot/pkg/linux-[a-z0-9]+/[0-9.]+/ripgrep/bin/linux-[a-z0-9]+",),
    own=(
        Own("bash", ("-l", "-c", _LOGIN), (Child("id", ("-u",)), Child("env", ("-0",)))),
        Own("pgrep", ("-P", "[0-9]+")),
    ),
)
