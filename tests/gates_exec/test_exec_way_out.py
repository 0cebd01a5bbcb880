"""Ways out of the envelope, tried from within by a program that asks the kernel directly. Each gives an error, or nothing to find."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from keyturn.gates.exec.confinement import missing
from keyturn.gates.exec.kernel import support

pytestmark = [
    pytest.mark.skipif(bool(missing(support())), reason=f"no envelope on this kernel: {missing(support())}"),
    pytest.mark.skipif(not os.path.exists("/usr/bin/python3"), reason="there is no system Python"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers here are x86-64's"),
]

RUN = """
import json, os, sys
from keyturn.gates.exec.confinement import builder
from keyturn.gates.exec.envelope import envelope
from keyturn.gates.exec.model import Allow
from keyturn.gates.exec.supervisor import Supervisor
from keyturn.gates.exec.survey import survey
from keyturn.policy.profiles import Profiles
from keyturn.resources import Surroundings
work, name, user = json.loads(sys.argv[1])
profile = Profiles().get(name)
if user:
    os.setgroups([]); os.setgid(user); os.setuid(user)
build = None
if profile is not None:
    build = builder(envelope(profile, survey(profile, (), Surroundings(cwd=work, workspace=work, home="/nowhere"), ())))
supervisor = Supervisor(lambda asked, answer: Allow())
child = supervisor.start(["/usr/bin/python3", "-"], {"PATH": "/usr/bin:/bin"}, work, envelope=build, stdin=0)
code = child.wait()
supervisor.close()
sys.exit(code)
"""

INSIDE = """
import ctypes, errno, fcntl, json, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    code = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments])
    return "went" if code >= 0 else errno.errorcode[ctypes.get_errno()]
def tried(do):
    try:
        do()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "went"
def opened(path, how=os.O_WRONLY):
    return tried(lambda: os.close(os.open(path, how)))
def in_child(do):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if do() == "went" else 1)
    return "went" if os.waitpid(pid, 0)[1] == 0 else "EPERM"
told = {
    "mount": call(165, b"x", b"/tmp", b"tmpfs", 0, b""),
    "bind": call(165, b"/proc", b"/tmp", b"", 4096, b""),
    "remount": call(165, b"", b"/usr", b"", 32 | 4096, b""),
    "umount": call(166, b"/etc", 2),
    "pivot_root": call(155, b"/tmp", b"/tmp"),
    "chroot": call(161, b"/tmp"),
    "open_tree": call(428, -100, b"/", 1),
    "fsopen": call(430, b"tmpfs", 0),
    "mount_setattr": call(442, -100, b"/usr", 0, b"\\0" * 8 + b"\\1" + b"\\0" * 23, 32),
    "unshare user": in_child(lambda: call(272, 0x10000000)),
    "unshare mount": in_child(lambda: call(272, 0x20000)),
    "clone user": in_child(lambda: call(56, 0x10000000 | 17, 0, 0, 0, 0)),
    "setns to the first process": tried(lambda: os.open("/proc/1/ns/mnt", os.O_RDONLY)),
    "setns to the parent": tried(lambda: os.open("/proc/%d/ns/net" % os.getppid(), os.O_RDONLY)),
    "root of the first process": tried(lambda: os.listdir("/proc/1/root/")),
    "root of the supervisor": tried(lambda: os.listdir("/proc/%d/root/" % os.getppid())),
    "memory of the supervisor": opened("/proc/%d/mem" % os.getppid(), os.O_RDWR),
    "descriptors of the supervisor": tried(lambda: os.readlink("/proc/%d/fd/0" % os.getppid())),
    "one of them": opened("/proc/%d/fd/0" % os.getppid(), os.O_RDONLY),
    "its environment": opened("/proc/%d/environ" % os.getppid(), os.O_RDONLY),
    "a handle": call(304, -100, b"\\0" * 16, 0),
    "ptrace": call(101, 16, os.getppid(), 0, 0),
    "process_vm_writev": call(311, os.getppid(), 0, 0, 0, 0, 0),
    "pidfd_getfd": call(438, 0, 0, 0),
    "io_uring": call(425, 8, b"\\0" * 120),
    "keyctl": call(250, 0, -3, 0, 0, 0),
    "bpf": call(321, 0, b"\\0" * 64, 64),
    "perf": call(298, b"\\0" * 128, 0, -1, -1, 0),
    "fanotify": call(300, 0, 0),
    "module": call(175, b"x", 1, b""),
    "signal to the supervisor": tried(lambda: os.kill(os.getppid(), 0)),
    "signal to everybody": tried(lambda: os.kill(-1, 0)),
    "limits of the supervisor": call(302, os.getppid(), 7, 0, b"\\0" * 16),
    "priority of the supervisor": call(141, 0, os.getppid(), 5),
    "core_pattern": opened("/proc/sys/kernel/core_pattern"),
    "modprobe": opened("/proc/sys/kernel/modprobe"),
    "sysrq": opened("/proc/sysrq-trigger"),
    "its own oom score": opened("/proc/self/oom_score_adj"),
    "uid_map": opened("/proc/self/uid_map"),
    "a cgroup": tried(lambda: os.mkdir("/sys/fs/cgroup/keyturn-way-out")),
    "kernel memory": opened("/dev/mem", os.O_RDONLY),
    "a disk": opened("/dev/vda", os.O_RDONLY),
    "a device of one's own": tried(lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(254, 0))),
    "a packet socket": tried(lambda: socket.socket(17, 3, 0)),
    "a raw socket": tried(lambda: socket.socket(2, 3, 1)),
    "vsock": tried(lambda: socket.socket(40, 1, 0)),
    "an interface": tried(lambda: fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh22x", b"lo", 0))),
    "another machine": tried(lambda: socket.socket(2, 2).connect(("192.0.2.1", 9))),
    "docker": tried(lambda: socket.socket(1).connect("/var/run/docker.sock")),
    "the bus": tried(lambda: socket.socket(1).connect("/run/dbus/system_bus_socket")),
    "a user of more": tried(lambda: os.setuid(65533) if os.getuid() == 0 else os.setuid(0)),
    "a group of more": tried(lambda: os.setgroups([0])),
    "the hostname": tried(lambda: socket.sethostname(socket.gethostname())),
    "beside the workspace": tried(lambda: os.listdir("..") == [os.path.basename(os.getcwd())] or os.close(-1)),
}
capabilities = [line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")]
told["capabilities"] = "went" if any(int(one, 16) for one in capabilities) else "none"
for _ in range(64):
    os.chdir("..")
told["the root above the root"] = "went" if os.path.exists("home") or os.path.exists("boot") else "nothing"
print(json.dumps(told))
"""


@pytest.mark.parametrize("user", [0, 65534])
@pytest.mark.parametrize("profile", ["read-only", "workspace"])
def test_no_way_out_is_open(profile: str, user: int) -> None:
    if user and os.getuid():
        pytest.skip("only root can become another account")
    told = _tried(profile, user)
    went = {name for name, how in told.items() if how == "went"}
    # Its own folder is all that there is above it; asking for one's own priority is not a way out.
    assert went == {"beside the workspace"}, told


def test_without_an_envelope_ways_are_open() -> None:
    """The control, never as root: it does what it tries."""
    went = {name for name, how in _tried("", os.getuid() or 65534).items() if how == "went"}
    assert {"unshare user", "clone user", "its own oom score", "the root above the root"} <= went, went


def _tried(profile: str, user: int) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="keyturn-way-out-") as folder:
        work = Path(os.path.realpath(folder)) / "work"
        work.mkdir()
        (work.parent / "beside").mkdir()
        for path in (work.parent, work):
            path.chmod(0o755)
            os.chown(path, user or os.getuid(), -1)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", RUN, json.dumps([str(work), profile, user])],
            input=INSIDE, capture_output=True, text=True, env=environment, timeout=120, check=False, start_new_session=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))
