"""Gemini CLI (seen in 0.61.0): Node, which starts itself again with more memory."""

from __future__ import annotations

from keyturn.gates.exec.clients import Client, Wrapping

_TEXT = (
    r"shopt -u promptvars nullglob extglob nocaseglob dotglob; "
    r"_bgpids_file={temporary}/gemini-shell-[A-Za-z0-9]+/bgpids\.tmp\n"
    r"\(\n  trap 'jobs -p > \"\$_bgpids_file\"' EXIT\n(?P<script>(?s:.+))\n\)\n__code=\$\?\nexit \$__code"
)

CLIENT = Client(
    name="gemini",
    wrapping=Wrapping(("-c",), _TEXT),
    programs=(("{interpreter}", (r"--max-old-space-size=[0-9]+", "{script}", "...")),),
    hook_shell=("-c",),
)
