"""Requests from the command line: looking, deciding, waiting, and what each ends with."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_house import House, environment, furnished, in_process_of_its_own, process

from keyturn.errors import ExitCode

RULES = b"""
@id("look") @because("looking is fine")
permit(principal, action, resource) when { context.effects.contains("reads:workspace") };

@id("push") @because("others see it") @hold @approve("2 of reviewers") @within("15m")
permit(principal, action, resource) when { context.program == "git" };

@id("soon") @because("it is urgent") @hold @approve("1 of reviewers") @within("10s")
permit(principal, action, resource) when { context.program == "curl" };

@id("why") @because("it has to be explained") @hold @approve("1 of reviewers") @within("15m") @reason("required")
permit(principal, action, resource) when { context.program == "rm" };
"""
POLICY = {"policy.toml": b'name = "tried"\nmode = "enforce"\n', "rules/all.cedar": RULES}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose policy wants two people, a reason, or haste."""
    with furnished(tmp_path_factory.mktemp("s"), policy=POLICY) as made:
        made.ask("curl example.org")  # ten seconds from here, the least that a policy can give
        yield made


# --- looking ------------------------------------------------------------------------------------------------------


def test_what_waits_is_listed_and_what_ended_only_when_asked(house: House) -> None:
    request = house.ask()
    assert request in house.keyturn("requests", by="riley").out
    assert house.keyturn("deny", request, by="riley").code == ExitCode.DONE
    assert request not in house.keyturn("requests", by="riley").out
    listed = house.keyturn("requests", "--all", "--json", by="riley").json
    assert {one["id"]: one["state"] for one in listed}[request] == "denied"


def test_a_card_says_what_why_who_and_the_digest_last(house: House) -> None:
    request = house.ask("rm -r old && git push origin main")
    said = house.keyturn("show", request, by="riley")
    assert said.code == ExitCode.DONE
    for words in (
        "  | rm -r old && git push origin main",
        "  held: ",
        "for dana: do it",
        "needs 1 of reviewers, has 0",
    ):
        assert words in said.out
    assert said.out.splitlines()[-1].startswith("  digest sha256:")
    assert "You can't approve" not in said.out
    assert "You can't approve: You asked for this action." in house.keyturn("show", request).out


def test_hints_are_for_terminals_only(house: House) -> None:
    request = house.ask()
    assert "keyturn approve" not in house.keyturn("show", request, by="riley").all
    assert house.keyturn("requests", by="riley").err == ""


def test_an_unknown_request_is_no_request(house: House) -> None:
    for name in ("nope", "r_00000000000000000000000000", "../people", "a/b?c=d", "%2e%2e", "", "r_1#x"):
        for verb in (("show", name), ("deny", name), ("approve", name, "--digest", "0" * 12)):
            said = house.keyturn(*verb, by="riley")
            assert said.code == ExitCode.USAGE, (name, said)
            assert "[request.unknown]" in said.err or "[not_found]" in said.err


# --- deciding -----------------------------------------------------------------------------------------------------


def test_an_approval_needs_proof_of_having_looked(house: House) -> None:
    request = house.ask()
    digest = house.digest(request)
    other = house.digest(house.ask())
    blind: list[tuple[str, ...]] = [
        (), ("--json",), ("--reason", "trust me"), ("--digest", ""), ("--digest", "sha256:"), ("--digest", digest[7:18]),
        ("--digest", other), ("--digest", digest[:-1] + ("0" if digest[-1] != "0" else "1")), ("--digest", "*" * 64),
    ]  # fmt: skip
    for options in blind:
        said = house.keyturn("approve", request, *options, by="riley")
        assert said.code == ExitCode.USAGE, options
        assert "approval.not_shown" in said.err
        assert "Nothing was approved" in said.err
    assert house.keyturn("show", request, "--json", by="riley").json["state"] == "waiting"
    said = house.keyturn("approve", request, "--digest", digest[7:19], by="riley")
    assert said.code == ExitCode.DONE
    assert f"{request} is approved; your decision is entry " in said.out


def test_who_asked_or_is_in_no_group_is_refused_in_words(house: House) -> None:
    request = house.ask()
    digest = house.digest(request)
    for by, code in (("dana", "approver.initiator"), ("nemo", "approver.")):
        said = house.keyturn("approve", request, "--digest", digest, "--json", by=by)
        assert said.code == ExitCode.REFUSED
        assert said.error["code"].startswith(code)
        assert said.out == ""


def test_a_decision_too_late_says_how_it_ended(house: House) -> None:
    request = house.ask()
    digest = house.digest(request)
    assert house.keyturn("deny", request, "--reason", "not today", by="riley").code == ExitCode.DONE
    for verb in (("approve", request, "--digest", digest), ("deny", request)):
        said = house.keyturn(*verb, by="robin")
        assert said.code == ExitCode.REFUSED
        assert "denied by riley" in said.err
        assert "[request.ended]" in said.err


def test_only_who_asked_withdraws(house: House) -> None:
    request = house.ask()
    assert house.keyturn("withdraw", request, by="riley").code == ExitCode.REFUSED
    said = house.keyturn("withdraw", request, "--why", "another way")
    assert (said.code, said.out) == (ExitCode.DONE, f"{request} is withdrawn.\n")


def test_the_first_of_two_approvals_says_what_is_still_missing(strict: House) -> None:
    request = strict.ask("git push origin a")
    digest = strict.digest(request)
    first = strict.keyturn("approve", request, "--digest", digest, by="riley")
    assert first.code == ExitCode.DONE
    assert f"{request} still waits for 1 of reviewers." in first.out
    again = strict.keyturn("approve", request, "--digest", digest, by="riley")
    assert (again.code, "approval.already_given" in again.err) == (ExitCode.REFUSED, True)
    assert "is approved" in strict.keyturn("approve", request, "--digest", digest, by="robin").out


def test_a_missing_reason_is_asked_for(strict: House) -> None:
    request = strict.ask("rm -r x")
    digest = strict.digest(request)
    said = strict.keyturn("approve", request, "--digest", digest, "--json", by="riley")
    assert (said.code, said.error["code"]) == (ExitCode.REFUSED, "approval.reason_missing")
    assert (
        strict.keyturn("approve", request, "--digest", digest, "--reason", "old", by="riley").code
        == ExitCode.DONE
    )


# --- waiting ------------------------------------------------------------------------------------------------------


def test_waiting_ends_as_the_request_does(house: House) -> None:
    approved, denied, withdrawn, waiting = (house.ask() for _ in range(4))
    house.keyturn("approve", approved, "--digest", house.digest(approved), by="riley")
    house.keyturn("deny", denied, by="riley")
    house.keyturn("withdraw", withdrawn)
    expected = {approved: ExitCode.DONE, denied: ExitCode.DENIED, withdrawn: ExitCode.REFUSED}
    for request, code in expected.items():
        said = house.keyturn("show", request, "--wait", "--json", by="riley")
        assert (said.code, said.json["id"]) == (code, request)
    for timeout in ("0", "0.05"):
        said = house.keyturn("show", waiting, "--wait", "--timeout", timeout, by="riley")
        assert said.code == ExitCode.WAITING
        assert "waiting" in said.out
    assert house.keyturn("show", waiting, by="riley").code == ExitCode.DONE


def test_a_server_that_restarts_meanwhile_is_waited_for(own_house: House) -> None:
    request = own_house.ask()
    digest = own_house.digest(request)
    waiting = process("show", request, "--wait", "--timeout", "60", env=own_house.environment("robin"))
    assert waiting.stderr is not None
    assert "Ctrl-C" in waiting.stderr.readline()
    own_house.server.kill()
    own_house.server.start()
    assert own_house.keyturn("approve", request, "--digest", digest, by="riley").code == ExitCode.DONE
    out, err = waiting.communicate(timeout=120)
    assert (waiting.returncode, err) == (ExitCode.DONE, "")
    assert out.startswith(f"{request}  approved")


# --- in a terminal ------------------------------------------------------------------------------------------------


class Terminal:
    """A command in a pseudo-terminal, and somebody who types."""

    def __init__(self, house: House, *arguments: str, by: str = "riley") -> None:
        self._master, slave = pty.openpty()
        env = environment(**house.environment(by), TERM="xterm", COLUMNS="120", LINES="50")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "keyturn", *arguments],
            stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.shown = ""

    def until(self, words: str) -> str:
        """What is shown once *words* are."""
        while words not in self.shown and self._read():
            pass
        assert words in self.shown
        return self.shown

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def end(self, again: str = "") -> int:
        """All it shows until it ends; its exit code. *again* is typed whenever nothing happens for a second.

        (A Ctrl-C that comes between Python's prompt and its waiting is seen only with the next key.)
        """
        for _ in range(60):
            while self._read(1):
                pass
            if self._child.poll() is not None:
                break
            self.type(again)
        os.close(self._master)
        return self._child.wait(120)

    def _read(self, seconds: float = 120) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side closed
            return False
        self.shown += data.decode().replace("\r\n", "\n")
        return bool(data)


def state(house: House, request: str) -> str:
    return str(house.keyturn("show", request, "--json", by="riley").json["state"])


def test_in_a_terminal_it_shows_and_asks(house: House) -> None:
    request = house.ask("rm -r build # \u202ehi")
    terminal = Terminal(house, "approve", request)
    terminal.until("Why: ")  # what is not understood is of high risk
    terminal.type("a comment\n")
    shown = terminal.until("Approve exactly this? [y/N]: ")
    assert "  | rm -r build # ‹U+202E›hi" in shown
    assert "CAUTION: U+202E RIGHT-TO-LEFT OVERRIDE" in shown
    terminal.type("y\n")
    assert terminal.end() == ExitCode.DONE
    assert f"{request} is approved" in terminal.shown
    assert state(house, request) == "approved"


@pytest.mark.parametrize(
    ("keys", "code"), [("n\n", ExitCode.WAITING), ("\n", ExitCode.WAITING), ("\x03", 130), ("\x04", 130)]
)
def test_anything_but_yes_approves_nothing(house: House, keys: str, code: int) -> None:
    request = house.ask()
    terminal = Terminal(house, "approve", request)
    terminal.until("Approve exactly this? [y/N]: ")
    terminal.type(keys)
    assert terminal.end(again=keys) == code
    assert "Traceback" not in terminal.shown
    assert state(house, request) == "waiting"


def test_in_a_terminal_a_required_reason_is_asked_for(strict: House) -> None:
    request = strict.ask("rm -r terminal")
    terminal = Terminal(strict, "approve", request)
    terminal.until("Why: ")
    terminal.type("it is old\n")
    terminal.until("Approve exactly this? [y/N]: ")
    terminal.type("y\n")
    assert terminal.end() == ExitCode.DONE
    assert "it is old" in strict.keyturn("show", request, by="robin").out


def test_who_can_t_approve_is_not_asked(house: House) -> None:
    terminal = Terminal(house, "approve", house.ask(), by="dana")
    assert terminal.end() == ExitCode.REFUSED
    assert "Approve exactly this?" not in terminal.shown
    assert "[approver.initiator]" in terminal.shown


def test_a_terminal_that_shows_nothing_proves_no_look(house: House, folder: Path) -> None:
    """Answers from a terminal, but the request written to a file: nobody saw it."""
    request = house.ask()
    master, slave = pty.openpty()
    with (folder / "out").open("w") as out:
        started = process("approve", request, env=house.environment("riley"), stdin=slave, stdout=out)
        os.write(master, b"y\n")
        _, err = started.communicate(timeout=120)
    os.close(slave)
    os.close(master)
    assert started.returncode == ExitCode.USAGE
    assert "approval.not_shown" in err
    assert state(house, request) == "waiting"


def test_a_pipe_can_t_say_yes(house: House) -> None:
    request = house.ask()
    said = in_process_of_its_own("approve", request, env=house.environment("riley"))
    assert said.code == ExitCode.USAGE
    started = process("approve", request, env=house.environment("riley"), stdin=subprocess.PIPE)
    started.communicate("y\n" * 10, timeout=120)
    assert started.returncode == ExitCode.USAGE
    assert state(house, request) == "waiting"


def test_ctrl_c_ends_a_wait(house: House) -> None:
    terminal = Terminal(house, "show", house.ask(), "--wait")
    terminal.until("Ctrl-C ends only the waiting.")
    terminal.type("\x03")
    assert terminal.end(again="\x03") == 130
    assert "Traceback" not in terminal.shown


def test_waiting_for_what_expires_ends_with_5(strict: House) -> None:
    request = strict.keyturn("requests", "--all", "--json", by="riley").json[-1]["id"]
    said = strict.keyturn("show", request, "--wait", "--timeout", "60", by="riley")
    assert said.code == ExitCode.EXPIRED
    assert f"{request}  expired" in said.out
    assert "curl example.org" in said.out
