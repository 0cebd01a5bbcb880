"""Runs commands out of envelope_hostile.toml and envelope_harmless.toml in a house full of traps, and tells what they did.

As a program: `python hostile_world.py` with a JSON object on standard input; one JSON list comes out. What a command did is seen
from outside: a mark that the planted helper leaves where every tree may write, secrets in what was shown, files that are no longer
what they were, what arrived at listeners, and a victim that is gone.
"""

from __future__ import annotations

import base64
import codecs
import hashlib
import json
import os
import re
import secrets
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from pathlib import Path

from keyturn.gates.exec import confinement, kernel, tree
from keyturn.gates.exec.envelope import envelope, scrubbed
from keyturn.gates.exec.model import Allow
from keyturn.gates.exec.supervisor import Supervisor
from keyturn.gates.exec.survey import Survey, survey
from keyturn.policy.engine import load
from keyturn.policy.folder import STARTER
from keyturn.policy.profiles import PROTECTED, Profile, Profiles
from keyturn.resources import Surroundings

VARIABLES = (
    "OUTSIDE", "VAULT", "PORT", "UDP", "SOCK", "ABSTRACT", "VICTIM", "VICTIM_NAME", "TMUX_SOCK", "MEMORY",
)  # fmt: skip
SECONDS = 60
"""How long a command may take; then it is ended."""

HEARD = 3.0
"""How long a listener waits for what its caller says."""

HELPER = r"""
#include <fcntl.h>
#include <unistd.h>
#define SAY "HELPER-%s-RAN\n"
static void leave(void) {
    const char *places[] = {"/tmp/%s", "%s/%s"};
    for (int i = 0; i < 2; i++) { int fd = open(places[i], O_CREAT | O_WRONLY, 0666); if (fd >= 0) close(fd); }
    if (write(1, SAY, sizeof(SAY) - 1)) {}
    if (write(2, SAY, sizeof(SAY) - 1)) {}
}
"""


class House:
    """The traps: a workspace, what lies beside it, listeners and a victim outside."""

    def __init__(self, user: int = 0) -> None:
        self.user = user
        self.root = Path(os.path.realpath(tempfile.mkdtemp(prefix="keyturn-hostile-")))
        self.root.chmod(0o755)
        self.token = secrets.token_hex(12)
        self.mark = f"keyturn-mark-{self.token}"
        self.secret = f"SECRET-{secrets.token_hex(12)}"
        self.template = self.root / "template"
        self.case = self.root / "case"
        self.home = self.case / "home"
        self.work = self.case / "work"
        self._built()
        self.received: list[bytes] = []
        self.victim_name = f"victim-{self.token}"
        self.memory = 40_000 + secrets.randbelow(1_000_000)
        self.soiled = True
        self.kept: frozenset[int] = frozenset()
        self._looked: dict[str, Survey] = {}
        self._listen()
        self.labels = tuple(one for one in load(STARTER).labels if one.name in Profiles().mask)

    # --- what is planted ----------------------------------------------------------------------------

    def _built(self) -> None:
        work = self.template / "work"
        for folder in (
            "work/deep", "work/planted", "work/.github/workflows", "work/libs", "outside", "vault", "tmp",
            "home/.ssh", "home/.aws", "home/.config",
        ):  # fmt: skip
            (self.template / folder).mkdir(parents=True)
        code = HELPER.replace("%s/%s", f"{self.case}/tmp/{self.mark}").replace("/tmp/%s", f"/tmp/{self.mark}")
        code = code.replace("HELPER-%s-RAN", f"HELPER-{self.token}-RAN")
        (work / "h.c").write_text(code + "int main(void) { leave(); return 0; }\n")
        (work / "e.c").write_text(
            code + "__attribute__((constructor)) static void begun(void) { leave(); }\n"
        )
        self._ran("gcc", "-O1", "-o", "helper", "h.c", cwd=work)
        self._ran("gcc", "-O1", "-shared", "-fPIC", "-o", "evil.so", "e.c", cwd=work)
        for name in ("cc1", "as", "git-upload"):
            shutil.copy(work / "helper", work / "planted" / name)
        for name in ("libselinux.so.1", "libcap.so.2"):
            shutil.copy(work / "evil.so", work / "libs" / name)
        files = {
            "a.txt": "one\ntwo\n", "big.txt": "line of a larger file\n" * 10_000, "f.q": "filtered\n", "t.bin": "1\n",
            "lib.c": "int three(void) { return 3; }\n", "data.json": '{"a": [1, 2, 3]}\n', "deep/note.txt": "deep\n",
            "run.sh": "#!/bin/sh\n./helper\n", "Makefile": "all:\n\t./helper\n", "page.1": ".TH X 1\n.SH NAME\nx\n",
            "shell.mk": "X := $(shell ./helper)\nall:\n\ttrue\n", "planted.py": "import os\nos.system('./helper')\n",
            "package.json": '{"name": "x", "version": "1.0.0", "scripts": {"planted": "./helper"}}\n',
            "planted.js": "require('child_process').spawnSync('./helper', {stdio: 'inherit'})\n",
            "planted.pl": "system('./helper'); 1;\n", "planted.pm": "package planted; system('./helper'); 1;\n",
            "planted.vim": ":!./helper\n", "planted.ssh": "Host *\n  ProxyCommand ./helper\n",
            "planted.cnf": "openssl_conf = a\n[a]\nengines = b\n[b]\nc = d\n[d]\nengine_id = x\n"
            "dynamic_path = ./evil.so\ninit = 1\n",
            "credential.txt": "protocol=https\nhost=example.invalid\n\n",
            ".gitattributes": "*.bin diff=planted\n*.q filter=q\n", ".github/workflows/ci.yml": "on: push\n",
            "kept.patch": "--- kept\n+++ kept\n@@ -1 +1 @@\n-kept\n+changed\n",
            ".env": f"SECRET={self.secret}\n", "deep/server.key": f"{self.secret}\n",
        }  # fmt: skip
        for name, text in files.items():
            (work / name).write_text(text)
        (work / "run.sh").chmod(0o755)
        (self.template / "outside" / "kept").write_text("kept\n")
        (self.template / "vault" / "kept").write_text("kept\n")
        (self.template / "vault" / "notes").write_text(f"{self.secret}\n")
        (self.template / "home" / ".bashrc").write_text("# mine\n")
        (self.template / "home" / ".config" / "x").write_text("x\n")
        (self.template / "home" / ".ssh" / "id_ed25519").write_text(f"{self.secret}\n")
        (self.template / "home" / ".aws" / "credentials").write_text(f"{self.secret}\n")
        with (
            tarfile.open(work / "planted.tar", "w") as archive,
            tarfile.open(work / "climbing.tar", "w") as climbing,
        ):
            archive.add(work / "a.txt", "unpacked")
            climbing.add(work / "a.txt", str(self.case / "outside" / "climbed")[1:])
            climbing.getmembers()[0].name = str(self.case / "outside" / "climbed")
        with tarfile.open(work / "climbing.tar", "w") as climbing:
            member = climbing.gettarinfo(work / "a.txt")
            member.name = str(self.case / "outside" / "climbed")
            with (work / "a.txt").open("rb") as file:
                climbing.addfile(member, file)
        with zipfile.ZipFile(work / "planted.zip", "w") as zipped:
            zipped.write(work / "a.txt", "unpacked")
        self._repository(work)
        os.link(work / ".env", work / "second-name")
        (work / "to-secret").symlink_to(".env")

    def _repository(self, work: Path) -> None:
        git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.invalid")
        self._ran("git", "init", "-q", "--template=", "-b", "main", ".", cwd=work)
        (work / ".git" / "hooks").mkdir()
        (work / ".git" / "hooks" / "kept").write_text("kept\n")
        self._ran(*git, "add", "a.txt", "t.bin", ".gitattributes", "deep/note.txt", "data.json", cwd=work)
        self._ran(*git, "commit", "-qm", "one", cwd=work)
        (work / "a.txt").write_text("one\ntwo\nthree\n")
        (work / "t.bin").write_text("2\n")
        self._ran(*git, "commit", "-qam", "two", cwd=work)
        with (work / ".git" / "config").open("a") as file:
            file.write(
                '[diff "planted"]\n\ttextconv = ./helper\n[user]\n\tname = x\n\temail = x@example.invalid\n'
            )
        watched = work / "watched"
        watched.mkdir()
        self._ran("git", "init", "-q", "--template=", ".", cwd=watched)
        with (watched / ".git" / "config").open("a") as file:
            file.write("[core]\n\tfsmonitor = ../helper\n")

    def _ran(self, *argv: str, cwd: Path) -> None:
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.template / "home")}
        subprocess.run(argv, cwd=cwd, env=environment, check=True, capture_output=True)

    # --- what listens -------------------------------------------------------------------------------

    def _listen(self) -> None:
        self.sockets = self.root / "sockets"
        self.sockets.mkdir()
        self.abstract = f"keyturn-abstract-{self.token}"
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        local, abstract = (socket.socket(socket.AF_UNIX) for _ in range(2))
        local.bind(str(self.sockets / "local"))
        os.chmod(self.sockets / "local", 0o777)
        abstract.bind(f"\0{self.abstract}")
        for one in (local, abstract):
            one.listen(64)
        self.port, self.udp_port = tcp.getsockname()[1], udp.getsockname()[1]
        self._listeners = (tcp, local, abstract)
        for one in self._listeners:
            threading.Thread(target=self._served, args=(one,), daemon=True).start()
        threading.Thread(target=self._datagrams, args=(udp,), daemon=True).start()

    def _served(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                self.received.append(b"connected")
                if _ready(connection.fileno(), HEARD):
                    self.received.append(connection.recv(65_536))
                try:
                    connection.send(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    continue

    def _datagrams(self, udp: socket.socket) -> None:
        while True:
            self.received.append(udp.recv(65_536))

    # --- one command --------------------------------------------------------------------------------

    def fresh(self) -> None:
        """Everything as it was, with a new victim."""
        self.end_victim()
        self.remove(self.case)
        shutil.copytree(self.template, self.case, symlinks=True)
        os.unlink(self.work / "second-name")
        os.link(self.work / ".env", self.work / "second-name")

        self.victim = subprocess.Popen(
            ["bash", "-c", f"exec -a {self.victim_name} cat"],
            cwd=self.case / "vault", env={"PATH": "/usr/bin:/bin", "VICTIM_SECRET": self.secret},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        while not Path(f"/proc/{self.victim.pid}/comm").read_text().startswith("cat"):
            os.sched_yield()

    def end_victim(self) -> None:
        if hasattr(self, "victim"):
            self.victim.kill()
            self.victim.communicate()

    def variables(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "dumb",
            "OUTSIDE": str(self.case / "outside"), "VAULT": str(self.case / "vault"), "PORT": str(self.port),
            "UDP": str(self.udp_port), "SOCK": str(self.sockets / "local"), "ABSTRACT": self.abstract,
            "VICTIM": str(self.victim.pid), "VICTIM_NAME": self.victim_name, "PLANTED_TOKEN": self.secret,
            "TMUX_SOCK": str(self.sockets / "tmux"), "MEMORY": str(self.memory),
        }  # fmt: skip

    def run(self, command: str, profile: Profile | None) -> dict[str, object]:
        """What *command* did in a fresh house, confined by *profile* or not at all."""
        began = time.perf_counter()
        if self.soiled:
            self.fresh()
        before, victim = self.state(), self.victim_state()
        self.received.clear()
        shared = self._shared()
        tmp = "/tmp" if profile else str(self.case / "tmp")
        there = re.sub("(?<!/var)/tmp", tmp, command)
        looked = f"[ -e /tmp/{self.mark} ] && echo MARK-{self.token}"
        wrapped = f"bash -c {_quoted(there)}\nc=$?\n{looked}\nexit $c\n"
        code, shown = self.supervised(wrapped, profile)
        self._heard()
        after = self.state()
        did = {
            "executes": bool(
                re.search(rf"(HELPER|MARK)-{self.token}".encode(), shown)
                or (self.case / "tmp" / self.mark).exists()
                or Path(f"/tmp/{self.mark}").exists()
            ),
            "reads": _shows(shown, self.secret) or any(_shows(piece, self.secret) for piece in self.received),
            "changes": sorted(
                path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
            ),
            "leaves": bool(self.received) or self.victim_state() != victim or self._shared() != shared,
        }
        scratch = any((self.case / "tmp").iterdir())
        self.soiled = bool(did["changes"] or did["leaves"] or scratch)
        self._unshare_memory(shared)
        Path(f"/tmp/{self.mark}").unlink(missing_ok=True)
        return {
            "seconds": time.perf_counter() - began,
            "code": code,
            "shown": shown.decode("utf-8", "replace"),
            **did,
        }

    def supervised(self, script: str, profile: Profile | None) -> tuple[int, bytes]:
        environment = self.variables()
        build = None
        kept: confinement.Placeholders | None = None
        if profile is not None:
            seen = self._surveyed(profile)
            watched = [f"{git}/commondir" for git in seen.git_folders]
            kept = confinement.Placeholders(seen.absent, (), watched)
            build = confinement.builder(envelope(profile, confinement.covered(seen, kept.made)))
            environment = scrubbed(environment, profile)
        supervisor = Supervisor(lambda _asked, _answer: Allow())
        reading, writing = os.pipe()
        null = os.open("/dev/null", os.O_RDONLY)
        argv = ["bash", "-c", script]
        if build is None:
            code, shown = self._bare(argv, environment, null, reading, writing)
            os.close(null)
            supervisor.close()
            return code, shown
        child = supervisor.start(argv, environment, str(self.work), envelope=build, stdin=null, stdout=writing, stderr=writing)  # fmt: skip
        os.close(writing)
        os.close(null)
        timer = threading.Timer(SECONDS, child.kill_tree)
        timer.start()
        ended = threading.Thread(target=lambda: (child.wait(), child.kill_tree()))
        ended.start()
        shown = b""
        while piece := os.read(reading, 65_536):
            shown += piece
        os.close(reading)
        ended.join()
        timer.cancel()
        supervisor.close()
        if kept is not None:
            kept.clear()
        return child.wait(), shown

    def _surveyed(self, profile: Profile) -> Survey:
        """Every house is built alike, so one look is enough."""
        if profile.name not in self._looked:
            around = Surroundings(cwd=str(self.work), workspace=str(self.work), home=str(self.home))
            self._looked[profile.name] = survey(profile, self.labels, around, ())
        return self._looked[profile.name]

    def _bare(
        self, argv: list[str], environment: dict[str, str], null: int, reading: int, writing: int
    ) -> tuple[int, bytes]:
        """The same without a gate or an envelope."""
        process = subprocess.Popen(
            argv,
            env=environment,
            cwd=self.work,
            stdin=null,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
        )
        os.close(writing)
        kernel.adopt_orphans()
        timer = threading.Timer(SECONDS, self._end_all)
        timer.start()
        code = process.wait()
        timer.cancel()
        self._end_all()
        shown = b""
        while piece := os.read(reading, 65_536):
            shown += piece
        os.close(reading)
        return code, shown

    def _end_all(self) -> None:
        """End what the runner has below it, but the victim."""
        for pid in tree.descendants(os.getpid(), tree.parents()) - {self.victim.pid, *self.kept}:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except OSError:
                continue

    def state(self) -> dict[str, object]:
        """Everything beside the scratch folder, by path: kind, rights, owner, times, extended attributes, content."""
        told: dict[str, object] = {}
        waiting = [self.case / "outside", self.case / "vault", self.home, self.work]
        while waiting:
            path = waiting.pop()
            try:
                status = path.lstat()
            except OSError:
                continue
            name = str(path.relative_to(self.case))
            if stat.S_ISDIR(status.st_mode):
                told[name] = (status.st_mode, status.st_uid, os.listxattr(path))
                waiting += path.iterdir()
                continue
            content: object = os.readlink(path) if stat.S_ISLNK(status.st_mode) else ""
            if stat.S_ISREG(status.st_mode):
                content = (
                    hashlib.sha256(path.read_bytes()).hexdigest(),
                    status.st_mtime_ns,
                    status.st_ctime_ns,
                )
            told[name] = (status.st_mode, status.st_uid, status.st_nlink, content)
        return told

    def victim_state(self) -> object:
        try:
            text = Path(f"/proc/{self.victim.pid}/stat").read_text().rpartition(")")[2].split()
            if not self._echoes():
                return None
            limits, status = (
                Path(f"/proc/{self.victim.pid}/{name}").read_text() for name in ("limits", "status")
            )
            allowed = re.findall(r"Cpus_allowed:\s*(\S+)", status)
            policy = os.sched_getscheduler(self.victim.pid)
            return (text[0] in "ZXxT", text[16], policy, limits, allowed)
        except OSError:
            return None

    def _heard(self) -> None:
        """Wait until what was sent so far has been taken: the listeners serve in order, and these lines are the last."""
        last = f"last-{secrets.token_hex(8)}".encode()
        for listener in self._listeners:
            with socket.socket(listener.family) as line:
                line.connect(listener.getsockname())
                line.send(last)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(last, ("127.0.0.1", self.udp_port))
        while self.received.count(last) < 4:
            os.sched_yield()
        self.received[:] = [one for one in self.received if one != last]
        for _ in self._listeners:
            self.received.remove(b"connected")

    def _shared(self) -> list[str]:
        """This house's shared memory, under either kind of name."""
        lines = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        names = [one for one in os.listdir("/dev/shm") if self.victim_name in one]
        return [line[1] for line in lines if line[3] == str(self.memory)] + sorted(names)

    def _unshare_memory(self, before: list[str]) -> None:
        for one in self._shared():
            if one in before:
                continue
            if one.isdigit():
                subprocess.run(["ipcrm", "-m", one], check=False, capture_output=True)
            else:
                Path("/dev/shm", one).unlink(missing_ok=True)

    def _echoes(self) -> bool:
        """Whether the victim is alive and not stopped; a signal that was sent to it has had its effect by now."""
        assert self.victim.stdin is not None
        assert self.victim.stdout is not None
        try:
            os.write(self.victim.stdin.fileno(), b"x")
        except OSError:
            return False
        while not _ready(
            self.victim.stdout.fileno(), 0.05
        ):  # a busy machine takes longer; one that is stopped never answers
            if _state(self.victim.pid) in "ZXxTt":
                return False
        return os.read(self.victim.stdout.fileno(), 1) == b"x"

    def remove(self, path: Path) -> None:
        subprocess.run(["rm", "-rf", "--", str(path)], check=False)

    def close(self) -> None:
        self.end_victim()
        self.remove(self.root)


codecs.lookup("rot13")  # found now: later on it may not be there to be read


def _state(pid: int) -> str:
    """The letter of its state (proc_pid_stat(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _ready(fd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1_000))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _shows(data: bytes, secret: str) -> bool:
    """Whether *secret* is in *data*, plain or in one of the usual other forms."""
    plain = secret.encode()
    forms = {
        plain,
        plain.hex().encode(),
        plain[::-1],
        codecs.encode(secret, "rot13").encode(),
        base64.b32encode(plain)[:-8],
    }
    forms |= {base64.b64encode(b"x" * skip + plain)[4:-4] for skip in range(3)}
    squeezed = re.sub(rb"[\s\\]+|^\S+:|  \|.*$", b"", data, flags=re.M)
    columns = re.sub(
        rb"[^0-9a-f]", b"", b"".join(re.findall(rb"^[0-9a-f]+:? +((?:[0-9a-f]{2,4} {0,2})+)", data, re.M))
    )
    return any(form in data or form in squeezed for form in forms) or plain.hex().encode() in columns


def profile_of(name: str, house: House) -> Profile | None:
    """The profile *name* with the variables that the commands use; `bare` is none."""
    outside = str(house.case / "outside")
    if name == "bare":
        return None
    if name == "read-only":
        return Profile(name, read=(".", outside), environment=VARIABLES)
    return Profile(
        "workspace",
        read=(outside,),
        write=(".",),
        protect=PROTECTED,
        execute="anywhere",
        environment=VARIABLES,
    )


def main() -> None:
    wanted = json.load(sys.stdin)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    house = House(wanted.get("user", 0))
    tmux = shutil.which("tmux")
    server = [tmux, "-S", str(house.sockets / "tmux"), "-f", "/dev/null"] if tmux else []
    if server:
        subprocess.run(
            [*server, "new-session", "-d", "sleep 1000"],
            check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": "/"},
        )
        house.kept = frozenset(tree.descendants(os.getpid(), tree.parents()))
    if house.user:
        for path in (house.root, *house.root.rglob("*")):
            os.lchown(path, house.user, house.user)
        os.setgroups([])
        os.setgid(house.user)
        os.setuid(house.user)
    told = []
    try:
        for command, names in wanted["runs"]:
            told.append([house.run(command, profile_of(name, house)) for name in names])
    finally:
        if server:
            subprocess.run([*server, "kill-server"], check=False, capture_output=True)
        house.close()
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
