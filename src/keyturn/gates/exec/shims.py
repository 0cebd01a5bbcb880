"""Where the kernel can't stop programs: a folder, first in PATH, with a small program under every program's name that asks first.

It stops who goes by PATH. A program that is started by its whole path, or with another PATH, is not seen: the level is
cooperative, and `keyturn run` says so when it falls back to this.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from keyturn.gates.exec import family
from keyturn.gates.exec.decisions import Decisions
from keyturn.gates.exec.model import Deny, Exec, FileIdentity, Verdict

SCRIPT = ".shim.py"
SOCKET = ".ask"
MAX_QUESTION = 4 * 1024 * 1024
MAX_DIGESTED = 256 * 1024 * 1024


class NotThere(Exception):
    """There is no such program. Never leaves this room."""


class Shims:
    """The shims in *folder*, which nobody else may write to, answered by *decisions*."""

    def __init__(self, folder: Path, decisions: Decisions, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._decisions = decisions
        self._path = environment.get("PATH", os.defpath)
        self._server: asyncio.AbstractServer | None = None

    async def __aenter__(self) -> Shims:
        from keyturn.gates.exec import shim

        source = Path(shim.__file__).read_text()
        script = self._folder / SCRIPT
        script.write_text(f"#!{_interpreter()} -IS\n{source}")
        script.chmod(0o500)
        for name in sorted(set(_programs(self._path))):
            (self._folder / name).symlink_to(SCRIPT)
        self._server = await asyncio.start_unix_server(
            self._answer, str(self._folder / SOCKET), limit=MAX_QUESTION
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    def argv(self, path: str, command: tuple[str, ...]) -> list[str]:
        """How *command*, whose program lies at *path*, is started so that it is asked for itself."""
        return [_interpreter(), "-IS", str(self._folder / SCRIPT), "--", path, *command]

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """*environment* in which every program that PATH finds is a shim."""
        return {**environment, "PATH": f"{self._folder}{os.pathsep}{self._path}"}

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._decided(json.loads(await reader.readline()))
        except (ValueError, KeyError, TypeError, OSError) as error:
            answer = {"words": f"keyturn: the question can't be read ({type(error).__name__}). Nothing ran."}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _decided(self, question: dict[str, Any]) -> dict[str, Any]:
        try:
            seen = await asyncio.to_thread(self._seen, question)
        except NotThere:
            return {"words": f"{question['argv'][0]}: command not found", "code": 127}
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        verdicts: list[Verdict] = []

        def answer(verdict: Verdict) -> None:
            verdicts.append(verdict)
            loop.call_soon_threadsafe(told.set)

        at_once = await asyncio.to_thread(self._decisions.decide, seen, answer)
        if at_once is None:
            await told.wait()
        verdict = at_once or verdicts[0]
        return {"words": f"keyturn: {verdict.words}"} if isinstance(verdict, Deny) else {"path": seen.path}

    def _seen(self, question: dict[str, Any]) -> Exec:
        argv, cwd, pid = tuple(question["argv"]), str(question["cwd"]), int(question["pid"])
        environment = {str(name): str(value) for name, value in question["environment"].items()}
        search = environment.get("PATH", self._path)
        own = f"{self._folder}"
        path = str(question["path"]) or found(argv[0], search, own)
        # The shims' own folder is Keyturn's doing, not a change of the agent's.
        folders = [folder for folder in search.split(os.pathsep) if folder != own]
        environment["PATH"] = os.pathsep.join(folders)
        file = identity(path)
        interpreter, script = None, None
        if first := _first_line(file.path):
            interpreter, script = identity(first), file
        try:
            parent, serial = family.parent_and_serial(pid)
        except OSError:  # no /proc here: no scope is found by it
            parent, serial = 0, ""
        return Exec(
            pid=pid,
            tgid=pid,
            path=os.path.join(cwd, path),
            argv=argv,
            environment=environment,
            cwd=cwd,
            file=file,
            interpreter=interpreter,
            script=script,
            parent=parent,
            serial=serial,
        )


def identity(path: str) -> FileIdentity:
    """The file at *path* with links followed, digested. Raises `NotThere`."""
    real = os.path.realpath(path)
    try:
        with open(real, "rb") as source:
            status = os.fstat(source.fileno())
            if status.st_size > MAX_DIGESTED:
                raise NotThere
            digest = hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise NotThere from error
    return FileIdentity(
        path,
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        f"sha256:{digest}",
    )


def _first_line(path: str) -> str:
    """The interpreter that the first line names, empty for what is no script (execve(2), "Interpreter scripts")."""
    with open(path, "rb") as source:
        line = source.read(256).split(b"\n")[0]
    words = line[2:].split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else ""


def _programs(path: str) -> Iterator[str]:
    for folder in path.split(os.pathsep):
        try:
            with os.scandir(folder or ".") as found:
                yield from (entry.name for entry in found if not entry.name.startswith("."))
        except OSError:
            continue


def found(name: str, path: str, own: str) -> str:
    """The program called *name*, as execvp(3) finds it, past the shims in *own*. Raises `NotThere`."""
    if "/" in name:
        return os.path.abspath(name)
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder or ".", name)
        if folder != own and os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            return os.path.abspath(candidate)
    raise NotThere


def _interpreter() -> str:
    system = Path("/usr/bin/python3")
    return str(system) if system.exists() else sys.executable
