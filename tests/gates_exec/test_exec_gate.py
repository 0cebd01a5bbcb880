"""Promise 10 and the exec gate's own: every exec of the tree is seen, and what was decided on is what runs."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from exec_world import compiled, needs_compiler, needs_gate, run, scripted, told

pytestmark = needs_gate

PYTHON = sys.executable


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A program that leaves a mark when it runs, and is refused in these tests."""
    helper = tmp_path / "helper"
    helper.write_text(f"#!/bin/sh\necho ran >> {tmp_path}/mark\n")
    helper.chmod(0o755)
    return helper


def left(helper: Path) -> bool:
    return (helper.parent / "mark").exists()


WAYS = {
    "a shell": "sh -c ./helper",
    "a script's interpreter": "sh -c 'exec ./helper'",
    "env": "env -i ./helper",
    "setsid": "setsid -w ./helper",
    "double fork": "mkfifo done; ( ( { ./helper; echo > done; } & ) & ); read x < done",
    "nohup": "nohup ./helper >/dev/null",
    "xargs": "echo | xargs ./helper",
    "find": "find helper -exec ./{} ';'",
    "a symbolic link": "ln -s helper other; ./other",
    "its own /proc": "exec 9<helper; /proc/self/fd/9",
    "/dev/fd": "exec 9<helper; /dev/fd/9",
}


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_program_does_not_run(way: str, mark: Path) -> None:
    script = WAYS[way]
    refused = run(["sh", "-c", script], mark.parent, refuse=("helper", "/fd/9", "/other"))
    assert not left(mark), (way, refused.argvs)
    assert "keyturn: not this one" in refused.said


@pytest.mark.parametrize("way", WAYS)
def test_the_same_program_runs_when_it_is_allowed(way: str, mark: Path) -> None:
    """Negative control: each way does run it."""
    run(["sh", "-c", WAYS[way]], mark.parent)
    assert left(mark)


def test_the_exit_code_and_output_are_the_commands(tmp_path: Path) -> None:
    outcome = run(["sh", "-c", "echo out; exit 37"], tmp_path)
    assert (outcome.code, outcome.out) == (37, "out\n")


def test_a_missing_program_is_missing(tmp_path: Path) -> None:
    assert run(["sh", "-c", "./nothing"], tmp_path).code == 127


def test_variables_that_change_what_runs_are_seen(tmp_path: Path) -> None:
    outcome = run(["env", "LD_PRELOAD=/nowhere/x.so", "true"], tmp_path)
    assert outcome.preloads == ["", "/nowhere/x.so"]


def test_vfork_and_threads_are_seen(mark: Path) -> None:
    script = (
        "import subprocess, threading\n"
        "def go():\n"
        "    try: subprocess.run(['./helper'])\n"
        "    except PermissionError: pass\n"
        "ts = [threading.Thread(target=go) for _ in range(8)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\n"
    )
    refused = run([PYTHON, "-c", script], mark.parent, refuse=("helper",))
    assert not left(mark)
    assert sum("helper" in path for path in refused.paths) == 8
    run([PYTHON, "-c", script], mark.parent)
    assert left(mark)


def test_a_thread_that_is_not_the_leader_may_exec(tmp_path: Path) -> None:
    script = "import os, threading\nt = threading.Thread(target=lambda: os.execv('/bin/echo', ['echo', 'hi']))\nt.start(); t.join()"
    assert run([PYTHON, "-c", script], tmp_path).out == "hi\n"


def test_memfd_and_fexecve_are_seen(tmp_path: Path) -> None:
    script = (
        "import os\n"
        "fd = os.memfd_create('x'); os.write(fd, open('/bin/echo', 'rb').read())\n"
        "os.execve(fd, ['echo', 'from memory'], {})\n"
    )
    allowed = run([PYTHON, "-c", script], tmp_path)
    assert allowed.out == "from memory\n"
    refused = run([PYTHON, "-c", script], tmp_path, refuse=("/fd/",))
    assert (refused.out, refused.code) == ("", 1)


def test_proc_self_exe_is_the_callers_own(tmp_path: Path) -> None:
    script = "import os; os.execv('/proc/self/exe', ['python', '-c', 'print(1)'])"
    outcome = run([PYTHON, "-c", script], tmp_path)
    assert outcome.out == "1\n"
    assert outcome.paths[-1].startswith("/proc/")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the 32-bit entry is x86's")
def test_the_32_bit_entry_is_seen(mark: Path) -> None:
    (mark.parent / "old").write_bytes(_old_program(b"./helper\0"))
    (mark.parent / "old").chmod(0o755)
    direct = subprocess.run(["./old"], cwd=mark.parent, check=False)
    if direct.returncode < 0 or not left(mark):
        pytest.skip("this kernel runs no 32-bit programs")
    (mark.parent / "mark").unlink()
    refused = run(["./old"], mark.parent, refuse=("helper",))
    assert not left(mark)
    assert any("helper" in path for path in refused.paths)


def _old_program(path: bytes) -> bytes:
    """A 32-bit ELF file that calls execve(path, [path], NULL) through `int 0x80`, then exit(1)."""
    base, header = 0x08048000, 52 + 32
    code_size = 32
    data = base + header + code_size
    array = data + len(path)
    code = b"\xbb" + struct.pack("<I", data) + b"\xb9" + struct.pack("<I", array) + b"\x31\xd2"
    code += b"\xb8" + struct.pack("<I", 11) + b"\xcd\x80\xbb\x01\0\0\0\xb8\x01\0\0\0\xcd\x80"
    code = code.ljust(code_size, b"\x90")
    body = code + path + struct.pack("<II", data, 0)
    size = header + len(body)
    elf = b"\x7fELF\x01\x01\x01" + bytes(9)
    elf += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + header, 52, 0, 0, 52, 32, 1, 0, 0, 0)
    elf += struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 7, 0x1000)
    return elf + body


RACE = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static char path[64]; static char *argv[3]; static char word[64]; static volatile int go = 1;
static void *flip(void *_) {
  while (go) {
    strcpy(path, "/bin/true"); strcpy(word, "a"); __asm__ volatile("" ::: "memory");
    strcpy(path, "/bin/echo"); strcpy(word, "PWNED"); __asm__ volatile("" ::: "memory");
  }
  return 0;
}
int main(int n, char **v) {
  for (int i = 0; i < atoi(v[1]); i++) {
    pid_t child = fork();
    if (!child) {
      pthread_t t; strcpy(path, "/bin/true"); strcpy(word, "a");
      argv[0] = path; argv[1] = word;
      pthread_create(&t, 0, flip, 0);
      usleep(200);
      execv(path, argv);
      _exit(9);
    }
    waitpid(child, 0, 0);
  }
}
"""


@needs_compiler
def test_a_thread_that_swaps_the_words_while_it_waits_gains_nothing(tmp_path: Path) -> None:
    """The negative control is the same race against "continue" alone, which loses it."""
    compiled(RACE, tmp_path, "race", "-pthread", "-static")
    kept = run(["./race", "800"], tmp_path, refuse=("echo",), refuse_words=("PWNED",))
    assert "PWNED" not in kept.out
    lost = (
        run(["./race", "800"], tmp_path, refuse=("echo",), refuse_words=("PWNED",), only_continue=True)
        for _ in range(20)
    )
    assert any("PWNED" in one.out for one in lost), "the race was not tried hard enough to show anything"


THREAD = "max(map(int, os.listdir(f'/proc/{os.getppid()}/task')))"
ATTACKS = {
    "kill": "import os; os.kill({pid}, 9)",
    "kill by group": "import os; os.killpg(os.getpgid({pid}), 9)",
    "kill of its group by nought": "os.kill(0, 9)",
    "kill of everything": "os.kill(-1, 9)",
    "kill of a thread of its own": "os.kill({thread}, 9)",
    "tkill": "import ctypes, sys; sys.exit(-ctypes.CDLL(None).syscall(200, {thread}, 9))",
    "tgkill": "import ctypes, sys; sys.exit(-ctypes.CDLL(None).syscall(234, {pid}, {thread}, 9))",
    "limits of a thread": "import resource; resource.prlimit({thread}, resource.RLIMIT_NOFILE, (3, 3))",
    "SIGSTOP": "import os, signal; os.kill({pid}, signal.SIGSTOP)",
    "pidfd": "import os, signal; signal.pidfd_send_signal(os.pidfd_open({pid}), 9)",
    "pidfd of /proc": "import os, signal; signal.pidfd_send_signal(os.open('/proc/{pid}', os.O_RDONLY), 9)",
    "its memory": "open('/proc/{pid}/mem', 'rb+').read(1)",
    "ptrace": "import ctypes; assert ctypes.CDLL(None).ptrace(16, {pid}, 0, 0) == 0",
    "limits": "import resource; resource.prlimit({pid}, resource.RLIMIT_NOFILE, (3, 3))",
    "signals of a descriptor": (
        "import fcntl, os; r, w = os.pipe(); fcntl.fcntl(r, fcntl.F_SETOWN, {pid}); fcntl.fcntl(r, 10, 9);"
        "fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK); os.write(w, b'x')"
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("landlock", [True, False], ids=["Landlock", "no Landlock"])
@pytest.mark.parametrize("user", [None, 65534])
def test_the_tree_can_not_touch_the_supervisor(
    attack: str, user: int | None, landlock: bool, tmp_path: Path
) -> None:
    if user is not None and os.getuid() != 0:
        pytest.skip("only root can become another user")
    code = "import os\nos.setpgid(0, os.getpgid(os.getppid()))\n"
    code += ATTACKS[attack].replace("{pid}", "os.getppid()").replace("{thread}", THREAD)
    outcome = run(["/usr/bin/python3", "-c", code], Path("/"), user=user, landlock=landlock, timeout=120)
    if landlock and attack == "kill of its group by nought":
        assert outcome.code == 137  # the kernel keeps it inside the tree, where it ends the caller
    else:
        assert outcome.code == 1, outcome.said  # it failed, and the supervisor lived to tell


def test_the_attacks_work_where_there_is_no_gate() -> None:
    """Negative control: without the gate a child can kill its parent."""
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import os; os.kill(os.getppid(), 9)']); print('alive')"
    done = subprocess.run([PYTHON, "-c", parent], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-9, "")


def test_without_landlock_and_without_a_look_a_threads_id_reaches_the_supervisor() -> None:
    """Negative control for the look at each signal."""
    code = "import os\n" + ATTACKS["kill of a thread of its own"].replace("{thread}", THREAD)
    with pytest.raises(AssertionError, match="the supervisor died: -9"):
        run(["/usr/bin/python3", "-c", code], Path("/"), landlock=False, looks=False, timeout=120)


def test_without_landlock_the_tree_still_signals_its_own(tmp_path: Path) -> None:
    script = "sleep 100 & kill $! && wait $!; echo $?"
    assert run(["sh", "-c", script], tmp_path, landlock=False, timeout=120).out == "143\n"


@pytest.mark.parametrize(
    "number",
    [425, 101, 310, 0x40000208, 0x40000221],
    ids=["io_uring_setup", "ptrace", "process_vm_readv", "execve of x32", "execveat of x32"],
)
def test_ways_around_the_filter_are_closed(number: int, tmp_path: Path) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("numbers of x86-64")
    code = f"import ctypes, sys; l = ctypes.CDLL(None, use_errno=True); l.syscall({number}, 0, 0, 0, 0, 0, 0); sys.exit(ctypes.get_errno())"
    assert run([PYTHON, "-c", code], tmp_path).code in (1, 38)  # EPERM, ENOSYS


def test_a_dead_supervisor_means_that_nothing_runs(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "from keyturn.gates.exec.supervisor import Supervisor\n"
        "from keyturn.gates.exec.model import Allow\n"
        "s = Supervisor(lambda e, a: Allow())\n"
        f"s.start([{PYTHON!r}, '-c', '''import os, sys\\nprint(\"up\", flush=True)\\nsys.stdin.readline()\\n"
        'try: os.execv("/bin/echo", ["echo", "ran"])\\nexcept OSError as e: print(e.errno, flush=True)\'\'\'], dict(os.environ), \'/\')\n'
        "sys.stdin.read()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [PYTHON, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert told(process.stdout) == "up\n"
    process.kill()
    process.wait()
    process.stdin.write("\n")
    process.stdin.flush()
    assert told(process.stdout) == "38\n"  # ENOSYS


def test_held_execs_do_not_keep_others_waiting(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading\n"
        "from keyturn.gates.exec.supervisor import Supervisor\n"
        "from keyturn.gates.exec.model import Allow, Deny\n"
        "held = []\n"
        "r, w = os.pipe()\n"
        "def decide(e, answer):\n"
        "    if e.argv[-1:] == ('held',): held.append(answer); os.write(w, b'\\n'); return None\n"
        "    if e.argv[-1:] == ('go',): held[0](Allow())\n"
        "    return Allow()\n"
        "s = Supervisor(decide)\n"
        "script = '/bin/echo held & read asked; /bin/echo other; /bin/echo go; wait'\n"
        "c = s.start(['sh', '-c', script], dict(os.environ), '/', stdin=r)\n"
        "sys.exit(c.wait())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [PYTHON, "-c", code], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert sorted(done.stdout.split()) == ["go", "held", "other"]
    assert done.stdout.split()[0] == "other"


def test_a_tree_that_scattered_is_killed_whole(tmp_path: Path) -> None:
    stays = "sh -c 'echo up; kill -STOP $$'"
    script = f"setsid {stays} & (setsid {stays} &); {stays}"
    code = (
        "import os, subprocess, sys, time\n"
        "from keyturn.gates.exec.supervisor import Supervisor\n"
        "from keyturn.gates.exec.model import Allow\n"
        "s = Supervisor(lambda e, a: Allow())\n"
        "r, w = os.pipe()\n"
        f"c = s.start(['sh', '-c', {script!r}], dict(os.environ), '/', stdout=w)\n"
        "os.close(w); up = open(r); [up.readline() for _ in range(3)]\n"
        "n = c.kill_tree()\n"
        "print(n >= 3, c.wait() > 0, s._alive())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [PYTHON, "-c", code], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert done.stdout.strip() == "True True set()", done.stderr


def test_an_ordinary_user_is_supervised_too(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("this run is an ordinary user's already")
    outcome = run(["sh", "-c", "/bin/echo yes; /usr/bin/id"], Path("/"), user=65534, refuse=("/id",))
    assert outcome.out == "yes\n"


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("used_up", [True, False], ids=["none left", "enough"])
def test_descriptors_used_up_mean_no(used_up: bool, known: bool) -> None:
    """With no descriptor left to look with, the supervisor says no; with some again, it goes on.

    Also to an exec that was allowed a moment ago. The negative control is the same with descriptors left.
    """
    code = (
        "import os, sys\n"
        "from keyturn.gates.exec.supervisor import Supervisor\n"
        "from keyturn.gates.exec.model import Allow\n"
        "s = Supervisor(lambda e, a: Allow())\n"
        "r, w = os.pipe(); os.set_inheritable(r, True)\n"
        "o, p = os.pipe(); said = open(o)\n"
        f"known = {'/bin/echo one;' if known else ''!r}\n"
        "script = known + 'echo up >&2; read x; /bin/echo one; echo tried >&2; read x; /bin/echo two'\n"
        "c = s.start(['sh', '-c', script], dict(os.environ), '/', stdin=r, stderr=p)\n"
        "os.close(p); said.readline()\n"
        "full = []\n"
        "try:\n"
        f"    while {used_up}: full.append(os.dup(r))\n"
        "except OSError: pass\n"
        "os.write(w, b'\\n')\n"
        "while said.readline() != 'tried\\n': pass\n"
        "[os.close(fd) for fd in full]\n"
        "os.write(w, b'\\n')\n"
        "sys.exit(c.wait())\n"
    )
    done = scripted(code, before=("sh", "-c", 'ulimit -n 64; exec "$@"', "sh"))
    expected = ("one\n" if known else "") + ("" if used_up else "one\n") + "two\n"
    assert done.stdout == expected, (done.stdout, done.stderr)
