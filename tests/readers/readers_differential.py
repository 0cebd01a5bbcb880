"""What a command really did in a scratch folder, beside what was read of it.

    python tests/readers/readers_differential.py 10000    # what `make test-differential` runs

Each command is read; if the reading is complete its re-emitted script is run by bash. Which programs started is told
by strace or, where there is none, by a folder of wrappers in front of PATH; what became of the files by comparing the
folder before and after. A *miss* is a program or a changed file that the reading did not name.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct
from readers_generated import Generator, plant

from keyturn.actions import Reading, Shell
from keyturn.readers import read_afresh
from keyturn.resources import Surroundings

SEED = 2026
SECONDS = 10
_CHILDREN = {"tar": {"gzip", "sh"}, "gunzip": {"gzip"}, "zcat": {"gzip"}, "nice": set(), "patch": {"ed"}}
"""Programs that a described program starts by itself, which is no effect of its own."""
_EXECVE = re.compile(r'execve\("([^"]*)".* = 0$', re.MULTILINE)
_WRITTEN = re.compile(
    r'(?:openat\(AT_FDCWD(?:<[^>]*>)?|creat\(|unlinkat\(AT_FDCWD(?:<[^>]*>)?|renameat2?\(AT_FDCWD(?:<[^>]*>)?)[, ]*"(/[^"]*)", '
    r"[^\n]*(?:O_WRONLY|O_RDWR|O_CREAT|unlinkat|rename)[^\n]* = [0-9]+",
)
_WRAPPER = '#!/bin/sh\nprintf "%s\\n" "{name}" >> "{log}"\nexec "{real}" "$@"\n'
_CALLS = "execve,openat,creat,unlinkat,renameat,renameat2"

Reader = Callable[[str, Surroundings], Reading]


def read(script: str, around: Surroundings) -> Reading:
    """The reader under test."""
    return read_afresh(Shell(script), around)


class Case(Struct, frozen=True):
    """One command: whether it was understood, and what it did that the reading doesn't name."""

    script: str
    complete: bool
    misses: tuple[str, ...] = ()
    changes: int = 0
    programs: int = 0
    unread: str = ""


class Did(Struct, frozen=True):
    """What a script did: programs started; absolute paths changed, gone, and folders made."""

    programs: frozenset[str]
    changed: frozenset[str]
    gone: frozenset[str]
    made: frozenset[str]


def _state(root: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(root):
        for name in folders + names:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if os.path.islink(path):
                found[path] = ("link", os.readlink(path))
            elif os.path.isdir(path):
                found[path] = ("folder", status.st_mode)
            elif os.path.isfile(path):
                data = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                found[path] = ("file", status.st_mode, status.st_mtime_ns, status.st_size, data)
            else:
                found[path] = ("other",)
    return found


_BASH = shutil.which("bash") or "/bin/bash"
_BOUNDS = (_BASH, "--noprofile", "--norc", "-c", f'ulimit -c 0 -t {SECONDS} -f 8192; exec "$@"', "bounded")
"""Limits are set by a shell: Python between fork and exec, with threads around, may never come back."""


def wrappers(folder: Path, log: Path) -> Path:
    """A folder with one wrapper for each program of PATH, which writes its name to *log*."""
    made = folder / "wrappers"
    made.mkdir()
    for place in ("/usr/bin", "/bin"):
        for program in Path(place).iterdir():
            wrapper = made / program.name
            if not wrapper.exists() and os.access(program, os.X_OK) and program.is_file():
                wrapper.write_text(_WRAPPER.format(name=program.name, log=log, real=program))
                wrapper.chmod(0o755)
    return made


def run(script: str, root: Path, beside: Path, tracer: str | None) -> Did:
    """Run *script* with bash in *root*; whatever it started is ended when it takes too long."""
    log = beside / "log"
    log.unlink(missing_ok=True)
    log.touch()
    path = "/usr/bin:/bin"
    command = [_BASH, "--noprofile", "--norc", "-c", script]
    if tracer:
        command = [tracer, "-f", "-qq", "-s", "4096", "-e", f"trace={_CALLS}", "-o", str(log), *command]
    elif not (beside / "wrappers").exists():
        wrappers(beside, log)
    if not tracer:
        path = f"{beside / 'wrappers'}:{path}"
    before = _state(root)
    environment = {"PATH": path, "HOME": str(root), "TMPDIR": str(beside), "LC_ALL": "C"}
    child = subprocess.Popen(
        [*_BOUNDS, *command], cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        child.wait(SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    after = _state(root)
    told = log.read_text("utf-8", "replace")
    if tracer:
        programs = {name.rsplit("/", 1)[-1] for name in _EXECVE.findall(told)[1:]}
        outside = {p for p in _WRITTEN.findall(told) if not p.startswith((str(root), str(beside), "/dev/"))}
    else:
        programs, outside = set(told.split("\n")) - {""}, set()
    changed = {p for p, state in after.items() if before.get(p) != state} | outside
    made = {path for path, state in after.items() if state[0] == "folder" and path not in before}
    gone = before.keys() - after.keys()
    return Did(frozenset(programs), frozenset(changed), frozenset(gone), frozenset(made))


def misses(reading: Reading, did: Did) -> list[str]:
    """What was done that *reading* does not name."""
    named = {step.program.rsplit("/", 1)[-1] for step in reading.steps}
    named |= {child for name in named for child in _CHILDREN.get(name, ())}
    found = [f"ran {program}" for program in sorted(did.programs - named)]
    changing = [e.what for e in reading.effects if e.verb in ("writes", "configures")]
    deleting = [e.what for e in reading.effects if e.verb == "deletes"]
    unknown = {e.verb for e in reading.effects if e.zone == "unknown"}
    if found and "executes" in unknown:
        return []  # it is read as running anything, and something is what it ran
    if "writes" not in unknown:
        found += [
            f"changed {path}" for path in sorted(did.changed - did.made) if not _covered(path, changing)
        ]
        # A folder on the way to a named path is made for it.
        found += [
            f"made {path}"
            for path in sorted(did.made)
            if not _covered(path, changing) and not any(_leads_to(path, what) for what in changing)
        ]
    if "deletes" not in unknown:
        # `writes` on a file also says that it may be replaced.
        found += [
            f"deleted {path}"
            for path in sorted(did.gone)
            if not _covered(path, deleting) and not _covered(path, changing, below=False)
        ]
    return found


def _covered(path: str, effects: list[str], below: bool = True) -> bool:
    """Whether *path* or, with *below*, a folder that it is in, is named by one of *effects*."""
    parts = path.split("/")
    ends = range(1, len(parts) + 1) if below else [len(parts)]
    return any(_meets(parts[:end], os.path.normpath(what).split("/")) for what in effects for end in ends)


def _leads_to(folder: str, what: str) -> bool:
    """Whether *folder* is on the way to what fits *what*."""
    parts, wanted = folder.split("/"), os.path.normpath(what).split("/")
    return any(_meets(parts, wanted[:end]) for end in range(1, len(wanted)))


def _meets(parts: list[str], wanted: list[str]) -> bool:
    if not wanted or not parts:
        return not parts and all(piece == "**" for piece in wanted)
    if wanted[0] == "**":
        return _meets(parts, wanted[1:]) or _meets(parts[1:], wanted)
    return (parts[0] == wanted[0] or fnmatch.fnmatchcase(parts[0], wanted[0])) and _meets(
        parts[1:], wanted[1:]
    )


def case(script: str, folder: Path, reader: Reader = read, tracer: str | None = None) -> Case:
    """Read *script*, run it in a fresh folder inside *folder* if it was understood, and compare."""
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    plant(root)
    (folder / "beside").mkdir(exist_ok=True)
    here = str(root)
    reading = reader(script, Surroundings(cwd=here, workspace=here, home=here))
    if not reading.complete or reading.canonical is None:
        why = next((unread.why for unread in reading.unread), "")
        return Case(script, False, unread=why)
    did = run(reading.canonical, root, folder / "beside", tracer)
    found = tuple(misses(reading, did))
    return Case(script, True, found, len(did.changed) + len(did.gone), len(did.programs))


def cases(count: int, seed: int, folder: Path, reader: Reader = read, workers: int = 4) -> list[Case]:
    """*count* generated commands, run in as many scratch folders as there are workers."""
    generator = Generator(seed)
    scripts = [generator.script() for _ in range(count)]
    tracer = shutil.which("strace")

    def some(number: int) -> list[Case]:
        mine = folder / f"w{number}"
        return [case(script, mine, reader, tracer) for script in scripts[number::workers]]

    with ThreadPoolExecutor(workers) as pool:
        return [one for several in pool.map(some, range(workers)) for one in several]


def main(count: int, seed: int) -> int:
    """Print how many commands were understood and run, and every miss; 1 if there is one."""
    with tempfile.TemporaryDirectory(prefix="keyturn-differential-") as name:
        found = cases(count, seed, Path(os.path.realpath(name)))
    complete = [one for one in found if one.complete]
    missed = [one for one in complete if one.misses]
    for one in missed[:50]:
        print(f"MISS {one.script!r}: {', '.join(one.misses)}")
    told = "strace" if shutil.which("strace") else "wrappers"
    print(
        f"cases={len(found)} complete={len(complete)} ({len(complete) / max(1, len(found)):.1%}) "
        f"programs={sum(one.programs for one in complete)} changes={sum(one.changes for one in complete)} "
        f"misses={len(missed)} seed={seed} oracle={told}"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:3]]
    sys.exit(main(*(arguments + [10_000, SEED][len(arguments) :])))
