"""The supervisor of one process tree: every exec in it waits until `decide` has answered.

Rules kept here:

- What was decided on is what runs. After the kernel has loaded the program and before its first instruction, words,
  variables and file are compared with what was read (`loaded`); anything else is killed. Plain "continue" would
  lose that race against another thread of the caller (seccomp_unotify(2), "NOTES").
- Whatever goes wrong is a no: memory that can't be read, a file that is missing or too large, a caller that is traced, a
  `decide` that fails. If the supervisor ends, the kernel answers ENOSYS to every exec of the tree.
- A held exec waits by itself; others go on being answered.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from keyturn.gates.exec import aimed, kernel, stops, tracee
from keyturn.gates.exec.files import Files, Unreadable
from keyturn.gates.exec.filter import TABLES, filter_program
from keyturn.gates.exec.kernel import support
from keyturn.gates.exec.loaded import Loaded
from keyturn.gates.exec.model import Allow, Deny, Exec, Verdict
from keyturn.gates.exec.repeated import Repeated
from keyturn.gates.exec.saying import ready, say
from keyturn.gates.exec.starting import become
from keyturn.gates.exec.tree import descendants, kill_all, parents, reap_orphans

Answer = Callable[[Verdict], None]
Decide = Callable[[Exec, Answer], Verdict | None]
MAX_WAITING = 4_096
"""Most execs that wait for an answer at once; a further one is refused."""


class NotSupervised(OSError):
    """The tree could not be put under the gate, so nothing was started."""


class NotConfined(NotSupervised):
    """The envelope that was asked for could not be built, so nothing was started."""


class Child:
    """The command at the top of the tree."""

    def __init__(self, pid: int, gone: int, supervisor: Supervisor) -> None:
        self.pid = pid
        self._gone = gone
        weakref.finalize(self, os.close, gone)  # not earlier: another thread may be waiting for it
        self._supervisor = supervisor
        self._status: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """The exit code if it ended (128 + N for signal N), else None.

        It is only waited for once it is gone: waiting earlier would take from the supervisor's thread the stop at
        the end of an exec, whichever thread of the process it is (ptrace(2), waitpid(2), "__WNOTHREAD").
        """
        with self._lock:
            if self._status is None and ready(self._gone, select.POLLIN):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._take(status)
            return self._status

    def wait(self) -> int:
        """Wait for its end; the exit code."""
        ready(self._gone, select.POLLIN, None)
        while (code := self.poll()) is None:
            os.sched_yield()
        return code

    def kill_tree(self) -> int:
        """End every process of the tree, also those that left it; returns how many. No exec is answered any more."""
        return self._supervisor.kill_tree()

    def _take(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._status = code if code >= 0 else 128 - code


class Supervisor:
    """Supervises trees started with `start`. `decide` is called in the supervisor's own thread and must be quick.

    It answers with a verdict at once, or with None and later, from any thread, through the given function.
    `only_continue` leaves out the comparison, for tests that show what it is for.
    """

    def __init__(
        self,
        decide: Decide,
        *,
        only_continue: bool = False,
        killed: Callable[[Exec, str], None] | None = None,
    ) -> None:
        self._decide = decide
        self._verified = not only_continue
        self._killed = killed or (lambda _exec, _why: None)
        self._repeated = Repeated(Files())
        self._loaded = Loaded()
        self._listeners: dict[int, kernel.Listener] = {}
        self._waiting: dict[tuple[int, int], tracee.Asked] = {}
        self._answers: deque[tuple[tuple[int, int], Verdict]] = deque()
        self._stopped = False
        self._started: list[int] = []
        self._others = frozenset(pid for pid, (parent, _) in parents().items() if parent == os.getpid())
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        for end in (self._wake, self._woken):
            weakref.finalize(self, os.close, end)  # not earlier: an answer may still be under way
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        self._thread: threading.Thread | None = None

    # --- starting -----------------------------------------------------------------------------------

    def start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        *,
        envelope: Callable[[], None] | None = None,
        stdin: int = 0,
        stdout: int = 1,
        stderr: int = 2,
        terminal: bool = False,
    ) -> Child:
        """Start *argv* (its first word a path, or looked up along PATH of *env*) under the gate.

        *envelope* is called in the child before the filter. With *terminal*, *stdin* becomes the child's controlling
        terminal. Raises `NotSupervised` or `NotConfined`, saying why; then nothing was started.
        """
        kernel.adopt_orphans()
        kernel.dumpable(False)  # the tree runs as the same account, and may not read or trace the supervisor
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        program = filter_program(os.getpid(), os.getpgrp(), scoped=kernel.landlock_abi() >= 6)
        pid = os.fork()
        if pid == 0:
            become(theirs, program, list(argv), dict(env), cwd, envelope, (stdin, stdout, stderr), terminal)
        theirs.close()
        with ours:
            said, fds, _, _ = socket.recv_fds(ours, 4_096, 1)
        if said[:1] != b"L" or not fds:
            os.waitpid(pid, 0)
            kind = NotConfined if said[:1] == b"W" else NotSupervised
            words = os.fsdecode(said[1:]) or "the command ended before it was supervised"
            raise kind(errno.EPERM, words)
        os.set_inheritable(fds[0], False)
        listener = kernel.Listener(fds[0])
        self._listeners[listener.fd] = listener
        self._poll.register(listener.fd, select.POLLIN)
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="exec gate", daemon=True)
            self._thread.start()
        else:
            self._nudge()
        self._started.append(pid)
        return Child(pid, os.pidfd_open(pid), self)

    def kill_tree(self) -> int:
        """See `Child.kill_tree`."""
        self._stopped = True
        self._nudge()
        ended = kill_all(self._alive)
        reap_orphans(os.getpid(), frozenset(self._started))
        return len(ended)

    def orphans(self, known: dict[int, tuple[int, str]]) -> set[int]:
        """Out of all processes: those of the tree that lost their parent and came to us."""
        own, kept = os.getpid(), self._others | set(self._started)
        return {pid for pid, (parent, _) in known.items() if parent == own and pid not in kept}

    def _alive(self) -> set[int]:
        """The tree's living processes: what is below the commands started, and orphans that came to us."""
        own = os.getpid()
        known = parents()
        tops = set(self._started)
        adopted = {pid for pid, (parent, _) in known.items() if parent == own and pid not in self._others}
        found: set[int] = set()
        for top in tops | adopted:
            if top in known and known[top][1] not in ("Z", "X"):
                found.add(top)
            found |= descendants(top, known)
        return found

    def close(self) -> None:
        """Stop answering: the kernel then answers ENOSYS to every exec of the tree."""
        self._stopped = True
        self._nudge()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        for fd in list(self._listeners):
            self._forget(fd)

    # --- serving ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        kernel.short_slices()
        while not self._stopped:
            for fd, events in self._poll.poll():
                if fd == self._wake:
                    self._drain()
                elif events & select.POLLIN:
                    self._notified(self._listeners[fd])
                elif events & (select.POLLHUP | select.POLLERR):
                    self._forget(fd)
        for fd in list(self._listeners):
            self._forget(fd)

    def _notified(self, listener: kernel.Listener) -> None:
        notification = listener.receive()
        if notification is None:
            return
        key = (listener.fd, notification[0])
        if notification[3] not in TABLES[notification[4]].execs:
            ours = aimed.names_supervisor(notification[1], notification[6])
            listener.answer(key[1], errno.EPERM if ours else 0, go_on=not ours)
            return
        try:
            asked = self._repeated.read(notification)
        except Unreadable as problem:
            if listener.valid(key[1]):
                if problem.words:
                    say(notification[1], problem.words)
                listener.answer(key[1], problem.error)
            return
        except Exception as fault:  # a fault of the gate's own is a no, too
            say(notification[1], f"the gate failed ({type(fault).__name__})")
            listener.answer(key[1], errno.EPERM)
            return
        if not listener.valid(key[1]):
            return  # what was read may have been another process's
        if len(self._waiting) >= MAX_WAITING:
            self._finish(key, asked, Deny("too many programs wait for an answer"))
            return
        self._waiting[key] = asked
        try:
            verdict = self._decide(asked.exec, lambda late: self._late(key, late))
        except Exception as fault:
            verdict = Deny(f"the decision failed ({type(fault).__name__})")
        if verdict is not None and self._waiting.pop(key, None) is not None:
            self._answer(listener, key[1], asked, verdict)  # that it is still there was seen a moment ago

    def _late(self, key: tuple[int, int], verdict: Verdict) -> None:
        self._answers.append((key, verdict))
        self._nudge()

    def _nudge(self) -> None:
        try:
            os.write(self._woken, b"x")
        except BlockingIOError:
            pass  # it is full, so it will be read

    def _drain(self) -> None:
        try:
            os.read(self._wake, 4_096)
        except BlockingIOError:
            pass
        while self._answers:
            key, verdict = self._answers.popleft()
            asked = self._waiting.pop(key, None)
            if asked is not None:
                self._finish(key, asked, verdict)

    def _forget(self, fd: int) -> None:
        listener = self._listeners.pop(fd, None)
        if listener is None:
            return
        self._poll.unregister(fd)
        for key in [key for key in self._waiting if key[0] == fd]:
            del self._waiting[key]
        os.close(fd)

    # --- answering ----------------------------------------------------------------------------------

    def _finish(self, key: tuple[int, int], asked: tracee.Asked, verdict: Verdict) -> None:
        listener = self._listeners.get(key[0])
        if listener is not None and listener.valid(key[1]):
            self._answer(listener, key[1], asked, verdict)

    def _answer(self, listener: kernel.Listener, number: int, asked: tracee.Asked, verdict: Verdict) -> None:
        if not isinstance(verdict, Allow):
            if verdict.words:
                say(asked.exec.pid, verdict.words)
            listener.answer(number, errno.EPERM)
        elif self._verified:
            self._run_verified(listener, number, asked)
        else:
            listener.answer(number, go_on=True)

    def _run_verified(self, listener: kernel.Listener, number: int, asked: tracee.Asked) -> None:
        thread, process = asked.exec.pid, asked.exec.tgid
        try:
            kernel.seize(thread)
        except OSError as error:
            say(thread, f"what it runs can't be checked ({error.strerror}); a traced process runs nothing")
            listener.answer(number, errno.EPERM)
            return
        if not listener.answer(number, go_on=True):
            stops.let_go(thread)
            return
        stopped = stops.first(thread, process)
        if stopped is None:
            return
        pid, status = stopped
        if status >> 16 != kernel.EVENT_EXEC:
            kernel.detach(pid)  # the exec failed, and the caller goes on with the kernel's own error
            return
        why = self._loaded.mismatch(asked)
        if why:
            say(process, f"killed before it began: {why} while it waited")
            os.kill(process, signal.SIGKILL)
            stops.collect(process)
            self._killed(asked.exec, why)
            return
        kernel.detach(process)


__all__ = ["Answer", "Child", "Decide", "NotConfined", "NotSupervised", "Supervisor", "say", "support"]
