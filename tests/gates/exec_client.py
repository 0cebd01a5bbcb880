"""A program that starts things as Claude Code does: it asks the hooks it is wired with, then starts what it likes.

    claude --settings FILE PLAN

`PLAN` is a file with one JSON list a line: `["ask", SCRIPT]` asks the hook and stops on a no, `["deaf", SCRIPT]` doesn't
care what it answers, `["snapshot", NAME]` has a shell write a snapshot, `["run", SCRIPT]` starts the script in its
wrapping, `["start", WORDS…]` starts a program, `["text", TEXT]` a shell with that text, `["set", NAME, VALUE]` sets a
variable for what is started, `["append", NAME, TEXT]` changes a snapshot, `["write", FILE, TEXT]` a file,
`["adopt"]` makes the client the parent of what its commands leave behind, `["wait"]` waits for that,
`["until", FILE]` for that, `["tty"]` says whether it is in front of a terminal.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

SNAPSHOTS = Path(os.environ["HOME"]) / ".claude" / "shell-snapshots"
WRITER = """SNAPSHOT_FILE={path}
      # No user config file to source
      echo "# Snapshot file" >| "$SNAPSHOT_FILE"
      # Exit silently on success, only report errors
      if [ ! -f "$SNAPSHOT_FILE" ]; then
        echo "Error: Snapshot file was not created at $SNAPSHOT_FILE" >&2
        exit 1
      fi
    """


def hook(event: str) -> list[str]:
    settings = json.loads(Path(sys.argv[sys.argv.index("--settings") + 1]).read_text())
    handler = settings["hooks"][event][0]["hooks"][0]
    return [handler["command"], *handler["args"]]


def asked(script: str, call: str) -> bool:
    given = {"session_id": f"client-{os.getpid()}", "cwd": str(Path.cwd()), "hook_event_name": "PreToolUse"}
    given |= {"tool_name": "Bash", "tool_input": {"command": script}, "tool_use_id": call}
    done = subprocess.run(hook("PreToolUse"), input=json.dumps(given).encode(), check=False)
    return done.returncode == 0


def snapshot(name: str) -> Path:
    return SNAPSHOTS / f"snapshot-bash-{name}.sh"


def quoted(script: str) -> str:
    return "'" + script.replace("'", "'\"'\"'") + "'"


def wrapped(script: str, name: str = "1-a") -> str:
    cwd = Path(os.environ.get("TMPDIR", "/tmp")) / "claude-0a1b-cwd"
    before = (
        f"source {snapshot(name)} 2>/dev/null || true && \\builtin shopt -u extglob 2>/dev/null || true && "
    )
    return f"{before}eval {quoted(script)} < /dev/null && pwd -P >| {cwd}"


def shell(*words: str) -> None:
    code = subprocess.run(["/bin/bash", *words], check=False).returncode
    print(f"ended {code}", flush=True)


def main() -> None:
    SNAPSHOTS.mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(Path(sys.argv[-1]).read_text().splitlines()):
        verb, *rest = json.loads(line)
        if verb in ("ask", "deaf"):
            if not asked(rest[0], f"call-{number}") and verb == "ask":
                print("said no", flush=True)
                return
        elif verb == "snapshot":
            shell("-c", "-l", WRITER.format(path=snapshot(rest[0])))
        elif verb == "append":
            with snapshot(rest[0]).open("a") as out:
                out.write(rest[1])
        elif verb == "adopt":
            os.environ["CLIENT_PID"] = str(os.getpid())
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
        elif verb == "until":
            while not Path(rest[0]).exists():
                os.sched_yield()
        elif verb == "tty":
            front = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
            print("in front of its terminal" if front else "not in front", flush=True)
        elif verb == "wait":
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.wait()
        elif verb == "write":
            Path(rest[0]).write_text(rest[1])
        elif verb == "run":
            shell("-c", wrapped(*rest))
        elif verb == "text":
            shell("-c", rest[0].replace("WRAPPED", wrapped("echo RAN >> proof.txt")))
        elif verb == "set":
            os.environ[rest[0]] = rest[1]
        elif verb == "start":
            try:
                print(f"ended {subprocess.run(rest, check=False).returncode}", flush=True)
            except PermissionError:
                print("not started", flush=True)


if __name__ == "__main__":
    main()
