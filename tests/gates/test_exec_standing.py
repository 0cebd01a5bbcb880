"""The line on which a gate hears that what it remembers doesn't hold any more: every doubt about it means to ask again."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from keyturn.actions import Action, Agent, Attribution, Gate, Shell
from keyturn.gates import protocol as wire
from keyturn.gates.exec.model import Exec, FileIdentity
from keyturn.gates.exec.remembered import Memory, Yes
from keyturn.gates.exec.scope import Scope
from keyturn.gates.exec.standing import Standing, StandingLine
from keyturn.gates.hooks.contents import Looked
from keyturn.resources import Surroundings


class Played:
    """A server that answers with *policy*, and counts how often it was asked; it hangs up when it is told to."""

    def __init__(self, path: Path) -> None:
        self.path, self.policy, self.asked = path, "sha256:1", 0
        self.lines: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(120)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            while True:
                line, _ = self._listener.accept()
                self.lines.append(line)
                threading.Thread(target=self._answer, args=(line,), daemon=True).start()
        except OSError:
            return

    def _answer(self, line: socket.socket) -> None:
        try:
            while head := line.recv(4):
                body = line.recv(struct.unpack(">I", head)[0])
                ask = msgspec.msgpack.decode(body[1:], type=wire.Ask)
                self.asked += 1
                answer = b"M" + msgspec.msgpack.encode(wire.Answer(ask.id, policy=self.policy))
                line.sendall(struct.pack(">I", len(answer)) + answer)
        except OSError:
            return

    def hang_up(self) -> None:
        for line in self.lines:
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def leave(self) -> None:
        self._listener.close()
        self.path.unlink(missing_ok=True)
        self.hang_up()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Played]:
    played = Played(tmp_path / "gates")
    yield played
    played.leave()


@pytest.fixture
def line(server: Played) -> Iterator[StandingLine]:
    line = StandingLine(server.path)
    yield line
    line.close()


def test_a_quiet_line_is_not_asked_again(server: Played, line: StandingLine, tmp_path: Path) -> None:
    for _ in range(3):
        assert line.standing("s", str(tmp_path)) == Standing("sha256:1", 1)
    assert server.asked == 1


def test_a_line_that_was_hung_up_on_is_another_one(server: Played, line: StandingLine) -> None:
    line.standing("s", "")
    server.policy = "sha256:2"
    server.hang_up()
    assert line.standing("s", "") == Standing("sha256:2", 2)


def test_a_line_with_anything_to_read_does_not_stand(server: Played, line: StandingLine) -> None:
    line.standing("s", "")
    server.lines[0].sendall(b"?")
    assert not line.quiet()
    assert line.standing("s", "") == Standing("sha256:1", 2)


def test_a_server_that_is_away_stands_for_nothing(server: Played, line: StandingLine) -> None:
    assert line.standing("s", "") is not None
    server.leave()
    assert line.standing("s", "") is None


def test_rules_in_the_workspace_are_asked_for_each_time(
    server: Played, line: StandingLine, tmp_path: Path
) -> None:
    line.standing("s", str(tmp_path))
    (tmp_path / ".keyturn" / "rules").mkdir(parents=True)
    server.policy = "sha256:2"
    assert line.standing("s", str(tmp_path)) == Standing("sha256:2", 1)
    server.policy = "sha256:3"
    assert line.standing("s", str(tmp_path)) == Standing("sha256:3", 1)
    assert server.asked == 3


# --- what is remembered under it -------------------------------------------------------------------------

LOOKED = Looked(
    Action(Shell("true"), Attribution(Agent("a", "exec")), Gate("exec@here", "cooperative"), "s"),
    Surroundings(),
)
SEEN = Exec(
    1, 1, "/bin/true", ("true",), {}, "/", FileIdentity("/bin/true", 1, 2, 3, 4, 5, "sha256:"), question=7
)
SCOPE = Scope()


def test_an_answer_that_was_under_way_while_something_changed_is_not_kept(
    server: Played, line: StandingLine
) -> None:
    """The negative control is the same answer with nothing changed."""
    for changes in (False, True):
        memory = Memory(line, "s", "")
        number = memory.number()
        if changes:
            server.hang_up()
            assert memory.number() != number, "the line stands again before the answer comes"
        memory.keep(LOOKED, None, Yes(server.policy, number, SCOPE))
        memory.keep_question(SEEN, None, Yes(server.policy, number, SCOPE))
        assert (memory.of_question(SEEN, None) is None) == changes
        assert (memory.of(LOOKED, None) is None) == changes


def test_a_yes_is_for_one_question_in_one_scope_under_one_policy(server: Played, line: StandingLine) -> None:
    memory = Memory(line, "s", "")
    above = Scope(within="a_1")
    yes = Yes(server.policy, memory.number(), SCOPE)
    memory.keep_question(SEEN, above, yes)
    assert memory.of_question(SEEN, above) is yes
    other = Exec(**{**{name: getattr(SEEN, name) for name in SEEN.__struct_fields__}, "question": 8})
    assert memory.of_question(other, above) is None
    assert memory.of_question(SEEN, None) is None
    assert memory.of_question(SEEN, Scope(within="a_1")) is None, "another scope, if an equal one"
    memory.keep_question(SEEN, above, Yes("sha256:other", yes.number, SCOPE))
    assert memory.of_question(SEEN, above) is None


def test_what_was_asked_while_no_line_stood_is_not_kept(server: Played, line: StandingLine) -> None:
    server.leave()
    memory = Memory(line, "s", "")
    assert memory.number() == 0
    memory.keep(LOOKED, None, Yes("sha256:1", 0, SCOPE))
    assert not memory


def test_an_exec_without_a_number_is_no_question(server: Played, line: StandingLine) -> None:
    memory = Memory(line, "s", "")
    unnumbered = Exec(**{**{name: getattr(SEEN, name) for name in SEEN.__struct_fields__}, "question": 0})
    memory.keep_question(unnumbered, None, Yes(server.policy, memory.number(), SCOPE))
    assert memory.of_question(unnumbered, None) is None
