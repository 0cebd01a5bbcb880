# ruff: noqa: UP031
"""Asks whether a program may start, then becomes it. Only the standard library: it is started in place of every program.

Started under a program's name, from a folder that is first in PATH; or as `shim.py -- PATH ARGV0 [ARG...]`.
"""

import json
import os
import socket
import sys

DENIED = 126


def main() -> int:
    """Ask; on a yes this process becomes the program and doesn't return."""
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))
    if sys.argv[1:2] == ["--"]:
        path, argv = sys.argv[2], sys.argv[3:]
    else:
        path, argv = "", [os.path.basename(sys.argv[0]), *sys.argv[1:]]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(os.path.join(folder, ".ask"))
            question = {"argv": argv, "path": path, "cwd": os.getcwd(), "environment": dict(os.environ)}
            line.sendall(json.dumps({**question, "pid": os.getpid()}).encode() + b"\n")
            answer = json.loads(line.makefile("rb").readline() or b"{}")
    except (OSError, ValueError):
        answer = {"words": "keyturn: nobody answers, so it was not started."}
    if answer.get("path"):
        try:
            os.execv(answer["path"], argv)
        except OSError as error:
            sys.stderr.write("%s: %s\n" % (argv[0], error.strerror))
            return 127 if isinstance(error, FileNotFoundError) else DENIED
    sys.stderr.write(str(answer.get("words") or "keyturn: no.") + "\n")
    return int(answer.get("code", DENIED))


if __name__ == "__main__":
    sys.exit(main())
