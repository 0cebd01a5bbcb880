"""`python -m keyturn.cli.apart COMMAND`: a command of `keyturn` as a server runs it. It ends when the server does, however that ends.

Standard input is a pipe whose other end the server alone holds, and writes nothing to: its end is the server's. Nobody would wait for
what goes on after that, and the server that comes next would begin it a second time beside it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from keyturn.cli import main


def _end_with_the_server() -> None:
    """Wait for the end of standard input; then end this process, and those that it started."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_server, name="server", daemon=True).start()
    main()
