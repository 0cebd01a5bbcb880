"""The envelope's walls one by one: Landlock, the calls taken away, the private view. Each beside its control."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from exec_world import needs_gate

from keyturn.gates.exec import kernel, landlock
from keyturn.gates.exec.namespaces import Place

pytestmark = needs_gate

needs_view = pytest.mark.skipif(
    not kernel.support().namespaces, reason="this kernel gives this account no user namespaces"
)
needs_landlock = pytest.mark.skipif(not kernel.landlock_abi(), reason="this kernel has no Landlock")

BEHIND = """
import ctypes, json, os, socket, sys
wanted = json.loads(sys.argv[1])
from keyturn.gates.exec import calls, kernel, landlock, namespaces
if wanted["abi"] is not None:
    kernel.landlock_abi = lambda: wanted["abi"]
if wanted["user"]:
    os.setgroups([]); os.setgid(wanted["user"]); os.setuid(wanted["user"])
if wanted["places"] is not None:
    places = [namespaces.Place(**place) for place in wanted["places"]]
    namespaces.enter(places, wanted["cwd"], network=wanted["network"])
else:
    os.chdir(wanted["cwd"])
if wanted["rules"] is not None:
    ports = landlock.Ports(connect=tuple(wanted["connect"])) if wanted["connect"] is not None else None
    landlock.restrict([landlock.Rule(*rule) for rule in wanted["rules"]], ports)
if wanted["calls"]:
    calls.take_away(calls.program(executable_memory=False))
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    code = libc.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return 0 if code >= 0 else ctypes.get_errno()
def tried(what):
    try:
        value = eval(what, {"os": os, "socket": socket, "call": call, "ctypes": ctypes})
        return value if isinstance(value, (int, str, list)) else 0
    except OSError as error:
        return -error.errno
print(json.dumps([tried(what) for what in wanted["tries"]]))
"""


def behind(
    *tries: str, cwd: Path, rules: list[tuple[str, int]] | None = None, connect: tuple[int, ...] | None = None,
    calls: bool = False, places: list[Place] | None = None, network: bool = False, user: int = 0, abi: int | None = None,
) -> list[int]:  # fmt: skip
    """What each of *tries* (a Python expression) gives behind those walls: its value, or the negative errno."""
    told = (
        None
        if places is None
        else [{name: getattr(place, name) for name in place.__struct_fields__} for place in places]
    )
    wanted = {
        "tries": tries, "cwd": str(cwd), "rules": rules, "connect": connect, "calls": calls, "places": told,
        "network": network, "user": user, "abi": abi,
    }  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", BEHIND, json.dumps(wanted)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


OPENED = "os.close(os.open({path!r}, os.O_{how}))"


@needs_landlock
def test_landlock_denies_what_has_no_rule(tmp_path: Path) -> None:
    for name in ("given", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    given, other = (str(tmp_path / name / "file") for name in ("given", "other"))
    tries = (
        OPENED.format(path=given, how="RDONLY"),
        OPENED.format(path=given, how="WRONLY"),
        OPENED.format(path=other, how="RDONLY"),
        f"os.rename({given!r}, {given + '2'!r})",
        f"os.truncate({other!r}, 0)",
        f"os.mkdir({str(tmp_path / 'new')!r})",
        f"os.symlink('/x', {str(tmp_path / 'new2')!r})",
        f"os.mkfifo({str(tmp_path / 'new3')!r})",
    )
    rules = [(str(tmp_path / "given"), landlock.READ)]
    behind_it = behind(*tries, cwd=tmp_path, rules=rules)
    assert behind_it[:4] == [0, -13, -13, -13]
    assert behind_it[5:] == [-13, -13, -13]
    if kernel.landlock_abi() >= 3:
        assert behind_it[4] == -13
    assert behind(*tries, cwd=tmp_path)[1:] == [0] * 7, "the control: without it all of that works"


@needs_landlock
def test_landlock_denies_connecting_to_other_ports(tmp_path: Path) -> None:
    if kernel.landlock_abi() < landlock.TCP_SINCE:
        pytest.skip("this kernel's Landlock knows nothing of TCP")
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        tries = [f"socket.socket().connect(('127.0.0.1', {port}))" for port in ports]
        assert behind(*tries, cwd=tmp_path, rules=[], connect=(ports[0],)) == [0, -13]
        assert behind(*tries, cwd=tmp_path) == [0, 0]


@needs_landlock
@pytest.mark.parametrize("abi", [1, 2, 3, 4, 5, 6])
def test_an_older_landlock_keeps_what_it_can(abi: int, tmp_path: Path) -> None:
    if kernel.landlock_abi() < abi:
        pytest.skip("this kernel's Landlock is older still")
    (tmp_path / "file").write_text("x")
    path = str(tmp_path / "file")
    tries = (
        OPENED.format(path=path, how="WRONLY"),
        OPENED.format(path=path, how="RDONLY"),
        f"os.truncate({path!r}, 0)",
        f"os.kill({os.getpid()}, 0)",
    )
    written, read, truncated, signalled = behind(
        *tries, cwd=tmp_path, rules=[("/", landlock.READ)], connect=(1,), abi=abi
    )
    assert (written, read) == (-13, 0)
    assert (truncated == -13) is (abi >= 3), "the mounts keep that where Landlock doesn't"
    assert (signalled == -1) is (abi >= 6), "`standing` says that this is open before"


def test_calls_that_leave_or_change_the_envelope_are_errors(tmp_path: Path) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers here are x86-64's")
    tries = {
        "mount": ("call(165, 0, 0, 0, 0, 0)", 1),
        "unshare a user namespace": ("call(272, 0x10000000)", 1),
        "unshare nothing of that kind": ("call(272, 0x400)", 0),
        "setns": ("call(308, -1, 0)", 1),
        "clone3": ("call(435, 0, 0)", 38),
        "keyctl": ("call(250, 0, -3, 0)", 1),
        "bpf": ("call(321, 0, 0, 0)", 1),
        "a packet socket": ("socket.socket(17, 3, 0)", -97),
        "a vsock": ("socket.socket(40, 1, 0)", -97),
        "an internet socket": ("socket.socket(2, 1, 0).close()", 0),
        "executable memory": ("os.memfd_create('x')", -1),
        "memory that can't be executed": ("os.close(os.memfd_create('x', 8))", 0),
        "typing for the person": ("call(16, 0, 0x5412, 0)", 1),
        "with other upper bits": ("call(16, 0, 0x100005412, 0)", 1),
        "a process": ("os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)[1]", 0),
        "x32": ("call(0x40000000 + 39)", 38),
    }
    got = behind(*(what for what, _ in tries.values()), cwd=tmp_path, calls=True)
    assert dict(zip(tries, got, strict=True)) == {name: told for name, (_, told) in tries.items()}
    free = behind(*(what for what, _ in tries.values()), cwd=tmp_path)
    differ = [name for name, a, b in zip(tries, got, free, strict=True) if a != b]
    assert {"clone3", "executable memory", "typing for the person", "setns"} <= set(differ)


VIEW = [
    Place("/bin", "link", target="usr/bin"), Place("/lib", "link", target="usr/lib"), Place("/lib64", "link", target="usr/lib64"),
    Place("/dev", "private", writable=True), Place("/etc"), Place("/proc"), Place("/tmp", "private", writable=True),
    Place("/usr", executable=True), Place("/dev/null", writable=True, devices=True),
]  # fmt: skip


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that other accounts can reach, too."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-walls-")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@needs_view
@pytest.mark.parametrize("user", [0, 65534])
def test_the_private_view_holds_what_was_put_into_it_and_nothing_else(user: int, room: Path) -> None:
    if user and os.getuid():
        pytest.skip("only root can become another account")
    work = room / "work"
    (work / ".git").mkdir(parents=True)
    for path, text in (
        (work / ".git" / "config", "[core]\n"),
        (work / "secret", "s3cret"),
        (room / "outside", "o"),
    ):
        path.write_text(text)
    for path in (room, *room.rglob("*")):
        os.chown(path, user or os.getuid(), -1)
    places = [
        *VIEW, Place(str(work), writable=True), Place(f"{work}/.git", writable=True), Place(f"{work}/secret", "mask"),
        Place(f"{work}/.git/config"),
    ]  # fmt: skip
    tries = {
        f"os.close(os.open({str(work)!r} + '/new', os.O_CREAT | os.O_WRONLY))": 0,
        f"os.close(os.open({str(work)!r} + '/.git/config', os.O_WRONLY))": -30,
        f"os.rename({str(work)!r} + '/.git', {str(work)!r} + '/g')": -16,
        f"os.stat({str(work)!r} + '/secret').st_size": 0,
        f"os.chmod({str(work)!r} + '/secret', 0o600)": -30,
        f"os.link({str(work)!r} + '/secret', {str(work)!r} + '/copy')": -18,
        f"os.unlink({str(work)!r} + '/secret')": -16,
        f"os.stat({str(work.parent)!r} + '/outside')": -2,
        "os.chmod('/etc/hostname', 0o644)": -30,
        "os.utime('/etc/hostname')": -30,
        "os.setxattr('/etc/hostname', 'user.x', b'y')": -30,
        "os.listdir('/tmp') != []": True,
        "os.close(os.open('/new', os.O_CREAT | os.O_WRONLY))": -30,
        "os.close(os.open('/tmp/new', os.O_CREAT | os.O_WRONLY))": 0,
        "os.close(os.open('/proc/sys/kernel/hostname', os.O_WRONLY))": -13 if user else -30,
        "os.close(os.open('/dev/null', os.O_WRONLY))": 0,
        "[n for n in socket.if_nameindex() if n[1] != 'lo'] == []": True,
        "os.getuid()": user or os.getuid(),
    }
    got = behind(*tries, cwd=work, places=places, user=user)
    assert dict(zip(tries, got, strict=True)) == tries
    control = behind(*list(tries)[3:9], cwd=work, user=user)
    assert control[0] == 6
    assert control[2] == 0
    assert control[4] != -16
    assert control[5] != -2


UNBUILT = """
import json, os, sys
from keyturn.gates.exec import confinement
from keyturn.gates.exec.envelope import envelope
from keyturn.gates.exec.model import Allow
from keyturn.gates.exec.supervisor import NotConfined, Supervisor
from keyturn.gates.exec.survey import survey
from keyturn.policy.profiles import Profiles
from keyturn.resources import Surroundings
work, broken, given = json.loads(sys.argv[1])
profile = Profiles().get("workspace")
whole = envelope(profile, survey(profile, (), Surroundings(cwd=work, workspace=work, home="/nowhere"), ()))
if broken:
    import msgspec
    from keyturn.gates.exec.namespaces import Place
    whole = msgspec.structs.replace(whole, places=(*whole.places, Place("/not/there/at/all")))
supervisor = Supervisor(lambda asked, answer: Allow())
stdin = os.open(given, os.O_RDONLY)
try:
    child = supervisor.start(["touch", "made"], {"PATH": "/usr/bin:/bin"}, work, envelope=confinement.builder(whole), stdin=stdin)
    print("started", child.wait())
except NotConfined as error:
    print("not started:", error.strerror)
supervisor.close()
"""


@needs_view
@needs_landlock
@pytest.mark.parametrize(
    ("broken", "given", "words"),
    [
        (True, "/dev/null", "/not/there/at/all"),
        (False, ".", "descriptor 0 is a folder"),
        (False, "/dev/null", "started 0"),
    ],
)
def test_a_wall_that_can_not_be_built_ends_it_before_anything_starts(
    broken: bool, given: str, words: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    work = os.path.realpath(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", UNBUILT, json.dumps([work, broken, os.path.join(work, given)])],
        capture_output=True, text=True, env=environment, timeout=120, start_new_session=True,
    )  # fmt: skip
    assert words in done.stdout, done.stderr
    assert (tmp_path / "made").exists() is words.startswith("started")
