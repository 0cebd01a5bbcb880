"""From the fork to the command: what the child does before it is the program at the top of the tree."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import termios
from collections.abc import Callable

from keyturn.gates.exec import kernel, landlock

_WAY = 3
"""The descriptor over which a new child says that it is under the gate."""


def become(
    channel: socket.socket, program: bytes, argv: list[str], env: dict[str, str], cwd: str,
    envelope: Callable[[], None] | None, fds: tuple[int, int, int], terminal: bool,
) -> None:  # fmt: skip
    """In the child: standard descriptors, session, envelope, filter, then the command. Never returns."""
    try:
        kernel.dumpable(True)
        # Out of the way of 0 to 2, which are about to be replaced.
        copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in fds]
        for index, copy in enumerate(copies):
            os.dup2(copy, index)
        way = os.dup2(fcntl.fcntl(channel.fileno(), fcntl.F_DUPFD, 10), _WAY)
        os.closerange(_WAY + 1, min(os.sysconf("SC_OPEN_MAX"), 1 << 20))
        os.set_inheritable(way, False)
        if terminal:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chdir(cwd)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        if envelope is not None:
            _walls(envelope)
        landlock.no_signals_outward()
        listener = kernel.install(program)
        link = socket.socket(fileno=way)
        kernel.send_fd(link, listener)
        os.close(listener)
        os.execvpe(argv[0], argv, env)
    except BaseException as error:
        words = f"{getattr(error, 'strerror', None) or error}"
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        mark = b"W" if isinstance(error, _NoWalls) else b"E"
        try:
            socket.socket(fileno=_WAY).send(mark + os.fsencode(words))
        except OSError:
            os.write(2, os.fsencode(f"keyturn: {argv[0]} can't be started: {words}\n"))
    os._exit(127)  # as shells say of what can't be started


class _NoWalls(Exception):
    """The envelope could not be built."""


def _walls(build: Callable[[], None]) -> None:
    """Build the envelope; what goes wrong with it is told from what goes wrong otherwise."""
    try:
        build()
    except OSError as error:
        raise _NoWalls(error.strerror or str(error)) from error


__all__ = ["become"]
