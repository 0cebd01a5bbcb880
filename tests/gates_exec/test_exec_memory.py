"""Words out of another process's memory, and which process it is: what is read in a short way is what lies there, or nothing."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from exec_world import needs_gate, scripted

from keyturn.gates.exec import family
from keyturn.gates.exec.memory import Reader, Words

pytestmark = needs_gate

PAGE = mmap.PAGESIZE


class Room:
    """Memory of this process, where strings are put at places of the test's choice."""

    def __init__(self, pages: int = 6) -> None:
        self._map = mmap.mmap(-1, pages * PAGE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))

    def put(self, at: int, content: bytes) -> int:
        """The address of *content*, which lies *at* bytes behind the beginning."""
        self._map[at : at + len(content)] = content
        return self.address + at

    def pointers(self, at: int, *addresses: int) -> int:
        return self.put(at, b"".join(one.to_bytes(8, "little") for one in (*addresses, 0)))


def place(room: Room, words: list[bytes], variables: list[bytes], begin: int = PAGE) -> tuple[int, int, int]:
    """Path, words and variables behind each other from *begin*; the three addresses that execve(2) is given."""
    at, addresses = begin, []
    for one in (*words, *variables):
        addresses.append(room.put(at, one + b"\0"))
        at += len(one) + 1
    path = room.put(0, b"/bin/program\0")
    count = len(words)
    return path, room.pointers(1024, *addresses[:count]), room.pointers(2048, *addresses[count:])


def joined(*words: bytes) -> bytes:
    return b"".join(word + b"\0" for word in words)


def test_what_lies_there_is_read() -> None:
    reader, room = Reader(), Room()
    found = reader.read(os.getpid(), *place(room, [b"program", b"", b"two"], [b"A=1", b"B="]))
    assert found == Words(b"/bin/program", (3, 2), joined(b"program", b"", b"two", b"A=1", b"B="))
    assert found.split() == ([b"program", b"", b"two"], [b"A=1", b"B="])


OTHERS = {
    "the same": ([b"program", b"one"], [b"A=1", b"B=2"]),
    "of the same lengths": ([b"program", b"two"], [b"A=3", b"B=4"]),
    "a longer word": ([b"program", b"three"], [b"A=1", b"B=2"]),
    "a shorter word": ([b"program", b"o"], [b"A=1", b"B=2"]),
    "one longer, one shorter": ([b"program", b"on"], [b"AA=1", b"B=2"]),
    "an empty word": ([b"program", b""], [b"A=1", b"B=2"]),
    "a variable called a word": ([b"program", b"one", b"A=1"], [b"B=2"]),
    "nothing but empty ones": ([b"", b""], [b"", b""]),
}


@pytest.mark.parametrize("other", OTHERS)
def test_what_was_read_before_is_not_taken_for_what_lies_there_now(other: str) -> None:
    """The lengths of the last time are only where it looks first."""
    reader = Reader()
    first, second = Room(), Room()
    reader.read(os.getpid(), *place(first, [b"program", b"one"], [b"A=1", b"B=2"]))
    words, variables = OTHERS[other]
    for _ in range(2):
        found = reader.read(os.getpid(), *place(second, words, variables))
        assert found == Words(b"/bin/program", (len(words), len(variables)), joined(*words, *variables))


def test_a_string_over_the_end_of_a_page_is_read_whole_or_not_at_all() -> None:
    """Its next page is not looked at, unless another string lies there: what is in the buffer behind it is another page."""
    long = b"x" * 40
    over, apart = Room(), Room()
    start = 2 * PAGE - 20
    path, words, _ = place(over, [long], [], start)
    there = over.put(2 * PAGE + 100, b"A=1\0")
    found = Reader().read(os.getpid(), path, words, over.pointers(2048, there))
    assert found is not None
    assert found.content == joined(long, b"A=1")
    path, words, _ = place(apart, [long], [], start)
    elsewhere = apart.put(4 * PAGE, b"A=1\0")
    assert Reader().read(os.getpid(), path, words, apart.pointers(2048, elsewhere)) is None


def test_what_can_not_be_read_is_nothing() -> None:
    reader, room = Reader(), Room()
    path, words, variables = place(room, [b"program"], [])
    assert reader.read(os.getpid(), path, 0, variables) is None
    assert reader.read(os.getpid(), 8, words, variables) is None
    assert reader.read(os.getpid(), path, room.pointers(1024, 8), variables) is None


def test_a_process_is_told_from_every_other() -> None:
    children = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
    try:
        told = [family.parent_and_serial(child.pid) for child in children]
        assert [parent for parent, _ in told] == [os.getpid()] * 2
        assert len({serial for _, serial in told}) == 2
        assert told == [family.parent_and_serial(child.pid) for child in children]
    finally:
        for child in children:
            child.communicate(b"\n")
    assert [family.serial(child.pid) for child in children] == ["", ""]


@pytest.mark.parametrize("tells", [True, False], ids=["by pidfd", "by /proc"])
def test_a_threads_id_is_no_processs(tells: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not tells:
        monkeypatch.setattr(family, "_tells_parents", lambda: False)
    ids: list[int] = []
    end, began = threading.Event(), threading.Event()

    def stay() -> None:
        ids.append(threading.get_native_id())
        began.set()
        end.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    try:
        began.wait()
        assert family.parent_and_serial(os.getpid())[0] == os.getppid()
        with pytest.raises(OSError):
            family.parent_and_serial(ids[0])
    finally:
        end.set()
        thread.join()


MISSING = """
import os, sys
from keyturn.gates.exec import supervisor
from keyturn.gates.exec.model import Allow
seen = []
s = supervisor.Supervisor(lambda e, a: (seen.append(e.path), Allow())[1])
code = s.start(["/bin/sh", "-c", sys.argv[1]], {"PATH": "/usr/bin:/bin"}, sys.argv[2]).wait()
s.close()
print(code, seen[1:])
"""


def test_what_is_not_there_is_an_error_and_nobody_is_asked(tmp_path: Path) -> None:
    """Each with the kernel's own number: the shell says 127 for what is missing, 126 for what can't be run."""
    folder = os.fspath(tmp_path)
    for script, code in (
        (f"{folder}/missing", 127),
        (f"ln -s {folder}/nowhere {folder}/link; {folder}/link", 127),
        (f": > {folder}/file; {folder}/file", 126),
    ):
        done = scripted(MISSING, words=(script, folder))
        told, _, seen = done.stdout.strip().partition(" ")
        assert int(told) == code, (script, done.stderr)
        assert "missing" not in seen
        assert f"{folder}/link" not in seen
